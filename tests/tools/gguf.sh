# gguf2safetensors: every format of blocks, the order of rows, names and config; and no file that is cut off or claims too much is believed.
export ASAN_OPTIONS=exitcode=99 UBSAN_OPTIONS=exitcode=99 # 1 is an error that was found
tool=$BUILD/tools/gguf2safetensors
text() { whole 8 ${#1}; printf '%s' "$1"; }
key() { text "$1"; whole 4 "$2"; }
tensor() { # NAME FORMAT OFFSET AXIS...: the fastest axis first
  local format=$2 offset=$3
  text "$1"
  shift 3
  whole 4 $#
  whole 8 "$@"
  whole 4 "$format"
  whole 8 "$offset"
}
bytes() { whole 1 "$@"; }
# A model of one layer: 2 heads of 4, width 32.
write() {
  {
    printf 'GGUF'
    whole 4 3
    whole 8 8 9
    key general.architecture 8; text llama
    key llama.block_count 4; whole 4 1
    key llama.attention.head_count 4; whole 4 2
    key llama.embedding_length 4; whole 4 32
    key llama.rope.freq_base 6; real 32 10000
    key llama.attention.layer_norm_rms_epsilon 6; bytes 172 197 39 55 # 1e-5
    key tokenizer.ggml.tokens 9; whole 4 8; whole 8 2; text a; text bc
    key tokenizer.ggml.bos_token_id 4; whole 4 1
    key general.alignment 4; whole 4 64
    tensor token_embd.weight 8 0 32 2
    tensor output_norm.weight 0 128 4
    tensor blk.0.attn_q.weight 1 192 1 8
    tensor blk.0.attn_k.weight 30 256 1 4
    tensor blk.0.attn_v.weight 3 320 32
    tensor blk.0.attn_output.weight 2 384 32
    tensor blk.0.ffn_norm.weight 0 448 1
    tensor strange.scale 0 512
  } >"$1"
  local size
  size=$(stat -c %s "$1")
  head -c $(((64 - size % 64) % 64)) /dev/zero >>"$1"
  {
    real 16 0.5; bytes $(seq 0 31); real 16 -2; bytes $(seq 0 30) 255; head -c 60 /dev/zero # Q8_0: 68 bytes, then up to 128
    real 32 1 2 3 4; head -c 48 /dev/zero
    real 16 0 1 2 3 4 5 6 7; head -c 48 /dev/zero
    real b16 0 1 2 3; head -c 56 /dev/zero
    real 16 2 -1; bytes 16 50 $(yes 0 | head -14); head -c 44 /dev/zero   # Q4_1
    real 16 2; bytes 16 50 $(yes 136 | head -14); head -c 46 /dev/zero    # Q4_0
    real 32 9; head -c 60 /dev/zero
    real 32 7
  } >>"$1"
}
write model.gguf
expect 0 "$tool" model.gguf out.d
prints 'out.d/model.safetensors: 8 tensors'
says "'strange.scale' keeps its name"
cat >expected.json <<'CONFIG'
{
  "model_type": "llama",
  "hidden_size": 32,
  "num_hidden_layers": 1,
  "num_attention_heads": 2,
  "rms_norm_eps": 1e-05,
  "rope_theta": 10000.0,
  "bos_token_id": 1,
  "vocab_size": 2,
  "num_key_value_heads": 2,
  "head_dim": 16,
  "tie_word_embeddings": true
}
CONFIG
diff expected.json out.d/config.json || fail 'another config'
# The values, in the order of the file.
{
  real 32 0 0.5 1 1.5 2 2.5 3 3.5 4 4.5 5 5.5 6 6.5 7 7.5 8 8.5 9 9.5 10 10.5 11 11.5 12 12.5 13 13.5 14 14.5 15 15.5
  whole 4 $((1 << 31)) # -2 times 0
  real 32 $(seq -2 -2 -60) 2
  real 32 1 2 3 4
  real 32 0 2 1 3 4 6 5 7    # row 2i + s of a head is row i + 2s
  real 32 0 1 2 3            # heads of 2 rows: row 2i + s with one i
  real 32 -1 3 $(yes -- -1 | head -14) 1 5 $(yes -- -1 | head -14)
  real 32 -16 -12 $(yes 0 | head -14) -14 -10 $(yes 0 | head -14)
  real 32 9 7
} >expected
size=$(stat -c %s expected)
tail -c "$size" out.d/model.safetensors | cmp - expected || fail 'other values'
for name in model.embed_tokens.weight model.norm.weight model.layers.0.self_attn.q_proj.weight model.layers.0.self_attn.k_proj.weight \
  model.layers.0.self_attn.v_proj.weight model.layers.0.self_attn.o_proj.weight model.layers.0.post_attention_layernorm.weight strange.scale; do
  head -c 2000 out.d/model.safetensors | grep -aqF "\"$name\"" || fail "no $name"
done
expect 0 "$tool" --dtype bf16 model.gguf brain
[ "$(stat -c %s brain/model.safetensors)" -lt "$(stat -c %s out.d/model.safetensors)" ] || fail 'bfloat16 takes as much'
expect 2 "$tool" --dtype f16 model.gguf brain
expect 2 "$tool" model.gguf

# Cut off anywhere: refused with a message. What stands behind the last tensor is not there.
rm -rf out.d
size=$(stat -c %s model.gguf)
for ((cut = 0; cut < size; cut += cut < 1000 ? 7 : 29)); do
  head -c "$cut" model.gguf >cut.gguf
  expect 1 "$tool" cut.gguf out.d
  says 'gguf2safetensors: cut.gguf: '
done
# Each of the first bytes made as large as it can be: some are fine, none is the end of the program by a signal.
for ((place = 0; place < 700; place += 3)); do
  { head -c "$place" model.gguf; bytes 255; tail -c +$((place + 2)) model.gguf; } >bad.gguf
  code=0
  "$tool" bad.gguf out.d >out 2>err || code=$?
  [ "$code" -le 1 ] || { cat err; fail "byte $place: exit code $code"; }
done
