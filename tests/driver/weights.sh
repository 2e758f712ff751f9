# --weights: a checkpoint as a folder, an index or a file; its config and shapes, and what does not fit.
cat >model.seq <<'MODEL'
model net(x[T, I]) -> y[T, H] {
  const I = config.input_size, H = config.hidden_size, L = config.layers
  param embed[H, I] as "embed.weight"
  ignore "pooler.*", "position_ids"
  h[t,j] = sum[i](embed[j,i] * x[t,i])
  repeat l in 0..L as layers.{l} {
    param weight[H], bias[H]
    h[t,j] = weight[j] * h[t,j] + bias[j]
  }
  y = h
}
MODEL
# part FILE NAME COUNT...: float32 arrays of one axis, but (2, 3) for embed.weight; all ones.
part() {
  local file=$1 header='{' offset=0 total=0
  shift
  while [ $# -gt 0 ]; do
    local shape=$2
    [ "$1" = embed.weight ] && shape="2,$(($2 / 2))"
    header+="\"$1\":{\"dtype\":\"F32\",\"shape\":[$shape],\"data_offsets\":[$offset,$((offset + 4 * $2))]},"
    offset=$((offset + 4 * $2)) total=$((total + $2))
    shift 2
  done
  real 32 $(yes 1 | head -n "$total") | safetensors "$file" "${header%,}}"
}
mkdir one many
part one/model.safetensors embed.weight 6 layers.0.weight 2 layers.0.bias 2 layers.1.weight 2 layers.1.bias 2 position_ids 4 pooler.dense.weight 1
part many/model-00001-of-00002.safetensors embed.weight 6 layers.0.weight 2 layers.0.bias 2
part many/model-00002-of-00002.safetensors layers.1.weight 2 layers.1.bias 2
cat >many/model.safetensors.index.json <<'INDEX'
{"metadata": {"total_size": 56, "other": [1, {"a": null}, -2.5e3]}, "weight_map": {
 "embed.weight": "model-00001-of-00002.safetensors", "layers.0.weight": "model-00001-of-00002.safetensors",
 "layers.0.bias": "model-00001-of-00002.safetensors",
 "layers.1.weight": "model-00002-of-00002.safetensors", "layers.1.bias": "model-00002-of-00002.safetensors"}}
INDEX
echo '{"input_size": 3, "hidden_size": 2, "layers": 2, "name": "x"}' | tee one/config.json >many/config.json
for weights in one one/model.safetensors many many/ many/model.safetensors.index.json; do
  expect 0 "$SEQC" model.seq --weights "$weights" -o model.o
done
expect 0 "$SEQC" model.seq --weights many -M
for file in many/model-00001-of-00002.safetensors many/model-00002-of-00002.safetensors many/config.json; do prints "$file"; done

# The same as the reference's data, for --check: y = x with all weights one adds up 3 + 2.
{ real 32 1 1 1; real 64 5 5; } | safetensors reference.safetensors '{"__metadata__":{"streams":"[\"y\"]"},
  "input.x":{"dtype":"F32","shape":[1,1,3],"data_offsets":[0,12]},"output.y":{"dtype":"F64","shape":[1,1,2],"data_offsets":[12,28]}}'
for weights in one many; do
  expect 0 "$SEQC" --check model.seq --weights "$weights" --against reference.safetensors
  [ "$(grep -cE ' output.y 0 .* ok$' out)" = 4 ] || fail 'four forms were expected'
done

# Equations as text are compared as well.
"$SEQC" model.seq --weights one --emit=equations -o equations.eq
expect 0 "$SEQC" equations.eq --weights one -o model.o
sed '/ignored/d' equations.eq >bare.eq
expect 1 "$SEQC" bare.eq --weights one -o other.o
says "the model declares no parameter 'pooler.dense.weight', which 'one' holds"

# All that does not fit, at once: counts first, then names.
part one/model.safetensors embed.weight 6 layers.0.weight 2 layers.1.weight 2 layers.0.bias 1 layers.1.bias 1 extra.a 1 extra.b 1 extra.c 1 extra.d 1 extra.e 1 \
  extra.f 1 extra.g 1
sed 's/ as "embed.weight"/ as "embedding.weight"/' model.seq >other.seq
expect 1 "$SEQC" other.seq --weights one -o other.o
says "'one' does not fit the model: parameters that are missing: 1, of another shape: 1, tensors of no parameter: 8"
says "parameter 'embedding.weight' is missing from 'one'"
says "'layers.0.bias' in 'one' has (1), and so it is in 1 other turns"
says "the model declares no parameter 'extra.a'"
says "'ignore \"NAME\"' in the model file leaves tensors alone"
[ ! -e other.o ] || fail 'an object was written'
expect 2 "$SEQC" --check other.seq --weights one --against reference.safetensors
says "parameters that are missing: 1, of another shape: 1, tensors of no parameter: 8"
part one/model.safetensors embed.weight 6
expect 1 "$SEQC" model.seq --weights one -o other.o
says "parameter 'layers.0.weight' is missing from 'one', and so are 1 other turns of it"

# Numbers that no turn has, or written otherwise, are names of no parameter.
part one/model.safetensors embed.weight 6 layers.0.weight 2 layers.0.bias 2 layers.1.weight 2 layers.1.bias 2 layers.2.bias 1 layers.01.bias 1 layers..bias 1 \
  layers.1x.bias 1 layers.-1.bias 1
expect 1 "$SEQC" model.seq --weights one -o other.o
says "parameters that are missing: 0, of another shape: 0, tensors of no parameter: 5"

# Shapes and config that disagree: both are shown.
part one/model.safetensors embed.weight 8 layers.0.weight 2 layers.0.bias 2 layers.1.weight 2 layers.1.bias 2 extra.a 1
expect 1 "$SEQC" model.seq --weights one -o other.o
says "'input_size' of 'one/config.json', which is 3"
says "'param.embed.weight' (2, 4) of one"
says "tensors of no parameter: 1"
# What the reference says beside the weights: a key that both have and that differs.
{ real 32 1 1 1; real 64 5 5; } | safetensors differs.safetensors '{"__metadata__":{"config":"{\"hidden_size\":5,\"name\":\"y\"}"},
  "input.x":{"dtype":"F32","shape":[1,1,3],"data_offsets":[0,12]},"output.y":{"dtype":"F64","shape":[1,1,2],"data_offsets":[12,28]}}'
expect 2 "$SEQC" --check model.seq --weights many --against differs.safetensors
says "'hidden_size' is 5 in 'differs.safetensors', but 2 in 'many/config.json'"

# Folders, indices and configs that cannot be used.
mkdir empty two
cp many/*.safetensors two
expect 3 "$SEQC" model.seq --weights empty
says 'expected a file model.safetensors or model.safetensors.index.json, found none'
expect 3 "$SEQC" model.seq --weights two
says '2 files end in .safetensors and none is model.safetensors'
expect 3 "$SEQC" model.seq --weights missing
says "cannot open 'missing'"
index() { printf '%s' "$1" >two/model.safetensors.index.json; expect 3 "$SEQC" model.seq --weights two; says "$2"; }
index '{"weight_map": {"a": "../many/model-00001-of-00002.safetensors"}}' "expected a file beside the index"
index '{"weight_map": {"a": "/etc/passwd"}}' "expected a file beside the index"
index '{"weight_map": {"a": ".."}}' "expected a file beside the index"
index '{"weight_map": {"a": "gone.safetensors"}}' "cannot open 'two/gone.safetensors'"
index '{"weight_map": {"embed.weight": "model-00001-of-00002.safetensors"}}' "'layers.0.bias' of 'model-00001-of-00002.safetensors' is not in the index"
index '{"weight_map": {"b": "model-00002-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}' "'b' occurs twice"
index '{"metadata": {}}' "'weight_map' is missing"
index '{"weight_map": {"a": 1}}' "a string expected"
index '{"metadata": [1, 2, "weight_map": {}}' "',' or ']' expected"
part two/model-00001-of-00002.safetensors layers.1.weight 2
index '{"weight_map": {"layers.1.weight": "model-00001-of-00002.safetensors", "layers.1.bias": "model-00002-of-00002.safetensors"}}' \
  "'layers.1.weight' is in 'model-00001-of-00002.safetensors' and in 'model-00002-of-00002.safetensors'"
index '{"weight_map": {"layers.1.weight": "model-00001-of-00002.safetensors", "x": "model-00001-of-00002.safetensors"}}' \
  "'x' is not in 'model-00001-of-00002.safetensors'"
echo '[]' >many/config.json
expect 1 "$SEQC" model.seq --weights many
says "the config of 'many/config.json' is not a JSON object"
