# What is written where: by --emit, by the ending of -o, beside the object its header.
write_model model.seq
expect 0 "$SEQC" model.seq
[ -s model.o ] && [ -s model.h ] || fail 'no model.o and model.h'
mkdir made
expect 0 "$SEQC" -c model.seq -o made/smooth.o
[ -s made/smooth.o ] && [ -s made/smooth.h ] || fail 'no header beside the object'
grep -q smooth_model made/smooth.h || fail 'the header lacks the descriptor'

for ending in s ll bc h; do
  expect 0 "$SEQC" model.seq -o "made/only.$ending"
  [ -s "made/only.$ending" ] || fail "no output with ending $ending"
done
[ ! -e made/only.o ] || fail 'an object nobody asked for'
expect 0 "$SEQC" --emit=asm,llvm,header model.seq -o made/three.x
[ -s made/three.s ] && [ -s made/three.ll ] && [ -s made/three.h ] || fail 'several kinds in one run'

expect 0 "$SEQC" --emit=equations model.seq
prints 'decay'
expect 0 "$SEQC" --emit=ast model.seq
prints 'decay'
expect 0 "$SEQC" --emit=loops model.seq
prints 'forward'
expect 0 "$SEQC" --emit=asm -o - model.seq
prints 'smooth_model'
expect 0 "$SEQC" --emit=obj - -o standard.o <model.seq
[ -s standard.o ] && [ -s standard.h ] || fail 'a model from standard input'

# Equations are an input too, and give the same code.
"$SEQC" --emit=equations model.seq -o model.eq
"$SEQC" --emit=asm -o first.s model.seq
"$SEQC" --emit=asm -o again.s model.eq
cmp first.s again.s || fail 'equations as input give other code'

# The same input gives the same bytes.
"$SEQC" model.seq -o one.o && "$SEQC" model.seq -o two.o
cmp one.o two.o || fail 'two runs differ'
expect 0 "$SEQC" -O0 -g -D D=5 --emit=loops model.seq
prints 5
