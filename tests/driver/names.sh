# The compiler proper knows equations only: no layer, architecture or model is named in it.
root=$TESTS/..
names='lstm|gru|mlstm|slstm|xlstm|mamba|mamba2|ssd|attention|transformer|s4|s4d|s5|dss|lru|h3|hyena|rwkv|retnet|retention|gla|deltanet|delta_rule|gpt|gpt2|llama|bert|t5|elman|wavenet|tcn|convnet|cornn|lem'
if grep -rniE "(^|[^a-z0-9_])($names)([^a-z0-9_]|$)" "$root/ir" "$root/passes" "$root/codegen" --include='*.c' --include='*.h' --include='*.def' --include='*.l' --include='*.y'; then
  echo 'an architecture is named where only equations are known'
  exit 1
fi
# The pattern finds what it is for.
printf '%s\n' '/* like LSTM */' | grep -qiE "(^|[^a-z0-9_])($names)([^a-z0-9_]|$)"
