# -M, -MD, -MF and -MT as compilers have them.
mkdir parts
cat >parts/half.seq <<'MODEL'
function half(a) = a / 2
MODEL
cat >model.seq <<'MODEL'
import "parts/half.seq"
layer halves(x[T, D]) -> y[T, D] {
  const D = 2
  y[t,d] = half(x[t,d])
}
MODEL
expect 0 "$SEQC" -M model.seq
prints 'model.o: model.seq'
prints 'parts/half.seq'
[ ! -e model.o ] || fail '-M compiled'

expect 0 "$SEQC" -MD model.seq -o made.o
grep -q '^made.o: model.seq' made.d || fail 'no made.d'
grep -q 'parts/half.seq' made.d || fail 'made.d lacks the import'
expect 0 "$SEQC" -MD -MF other.d -MT 'a target' model.seq -o made.o
grep -q '^a\\ target: model.seq' other.d || fail '-MF and -MT'
expect 0 "$SEQC" -MD -MFjoined.d -MTjoined model.seq -o made.o
grep -q '^joined: ' joined.d || fail '-MFjoined.d'

# make itself reads what was written, also names with spaces.
cp model.seq 'my model.seq'
printf 'my.o: ; @$(SEQC) -MD "my model.seq" -o my.o && echo compiled\n-include my.d\n' >Makefile
expect 0 make -s
prints compiled
expect 0 make -s
! grep -q compiled out || fail 'compiled again without a change'
touch -d '+2 seconds' parts/half.seq
expect 0 make -s
prints compiled
