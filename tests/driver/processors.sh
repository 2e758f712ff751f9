# One object for several processors: what is in it for each, and which lists are refused.
write_model model.seq
cat >net.seq <<'MODEL'
import std.recurrent
model net(x[T, I]) -> logits[T, V] {
  const I = 24, H = 32, V = 19
  param weight[V, H] = uniform(-0.3, 0.3)
  h, c = lstm(x)
  logits[t,v] = sum[j](weight[v,j] * h[t,j])
}
MODEL
x86="--target=x86_64-pc-linux-gnu"
wrong() { # MESSAGE ARGUMENT...
  local message=$1
  shift
  expect 2 "$SEQC" "$@"
  says "$message"
}
wrong "unknown processor 'pentium9'" $x86 --cpu=x86-64-v3,pentium9 net.seq
wrong "processor 'haswell' is in the list 'haswell,x86-64-v2,haswell' twice" $x86 --cpu=haswell,x86-64-v2,haswell net.seq
wrong "processor 'x86-64' is in the list 'x86-64,x86-64' twice" $x86 --cpu=x86-64,x86-64 net.seq
wrong "the list of processors 'x86-64-v3,' has an empty name" $x86 --cpu=x86-64-v3, net.seq
wrong "processor 'i686' cannot run code for target 'x86_64-pc-linux-gnu'" $x86 --cpu=x86-64-v3,i686 net.seq
wrong "processor 'i686' cannot run code for target 'x86_64-pc-linux-gnu'" $x86 --cpu=i686 net.seq
wrong "needs an x86_64 target, found 'aarch64-unknown-linux-gnu'" --target=aarch64-linux-gnu --cpu=cortex-a72,neoverse-n1 net.seq
wrong '--features is for one processor' $x86 --cpu=x86-64,x86-64-v3 --features=+gfni net.seq
wrong '--explain is for one processor' $x86 --cpu=x86-64,x86-64-v3 --explain net.seq
[ ! -e net.o ] || fail 'a wrong call wrote a file'

# From the plainest to the best, whatever the order in the list; the baseline is always there.
expect 0 "$SEQC" $x86 --cpu=znver4,x86-64-v4,haswell,x86-64-v2,x86-64-v3 net.seq -o net.o
grep -q 'these processors: x86-64, x86-64-v2, x86-64-v3, haswell, x86-64-v4, znver4\.' net.h || fail 'the header does not list the processors'
"$SEQC" $x86 --cpu=x86-64-v3 net.seq -o one.o
! grep -q 'processors' one.h || fail 'the header of one processor lists several'
[ "$(nm -g net.o | grep -c ' [A-TV-Z] ')" = 1 ] || fail 'more than the descriptor is exported'
[ "$(nm net.o | grep ' [bBdD] ' | grep -cv net_model)" = 1 ] || fail 'more than one variable'

# What the code of each processor uses: nothing of the next.
touch common v1 v2 v3 v4
objdump -d --no-show-raw-insn net.o | awk '
  /^[0-9a-f]+ <.*>:$/ {
    kind = "common"
    if ($2 ~ /_x86_64>:$/) kind = "v1"
    else if ($2 ~ /_x86_64_v2>:$/) kind = "v2"
    else if ($2 ~ /_x86_64_v3>:$/) kind = "v3"
    else if ($2 ~ /_haswell>:$/) kind = "v3"
    else if ($2 ~ /_x86_64_v4>:$/) kind = "v4"
    else if ($2 ~ /_znver4>:$/) kind = "v4"
    next
  }
  kind { print >kind }'
! grep -qE '%[yz]mm|%k[1-7]|[[:space:]]v[a-z]' common v1 v2 || fail 'the baseline has vectors of a later processor'
! grep -qE '[[:space:]](p?blend|round|pshufb|pmulld|insertps|popcnt)' common v1 || fail 'the baseline has instructions of a later processor'
grep -q 'mulps.*%xmm' v1 || fail 'no vectors in the baseline'
! grep -qE '%zmm|%k[1-7]|%[xy]mm(1[6-9]|2[0-9]|3[01])' v3 || fail 'AVX2 code has registers of AVX-512'
grep -q 'vfmadd.*%ymm' v3 || fail 'no multiply-add in AVX2 code'
grep -q 'vfmadd.*%zmm' v4 || fail 'no multiply-add in AVX-512 code'
grep -q cpuid common && grep -q xgetbv common || fail 'nobody asks what the machine is'

# The other kinds of output hold all of it too.
expect 0 "$SEQC" $x86 --cpu=x86-64-v3,x86-64-v4 --emit=loops net.seq
for processor in x86-64 x86-64-v3 x86-64-v4; do prints "# for processor $processor"; done
[ "$(grep -c '^module ' out)" = 3 ] || fail 'not one module of loops for each processor'
expect 0 "$SEQC" $x86 --cpu=x86-64-v3,x86-64-v4 --emit=asm,llvm net.seq -o both.x
for processor in x86_64 x86_64_v3 x86_64_v4; do
  grep -q "^net_gradient_body_$processor:" both.s && grep -q "define.*@net_gradient_body_$processor(" both.ll || fail "no code for $processor"
done
expect 0 "$SEQC" $x86 -g --cpu=x86-64,x86-64-v3 net.seq -o lines.o

[ "$(uname -m)" = x86_64 ] || exit 0

# One that it does not run is refused before an instruction of it is met.
if ! grep -qw xop /proc/cpuinfo; then
  expect 1 "$SEQC" --check --cpu=bdver4 net.seq
  says 'cannot run on this machine'
fi
expect 0 "$SEQC" --check --cpu=x86-64-v2 --threads=1 net.seq

# Every one that this machine runs computes what the equations say.
expect 0 "$SEQC" --check --threads=2 --cpu=native,x86-64-v2,x86-64-v3,x86-64-v4 net.seq
prints 'net ok:'
expect 0 "$SEQC" --check --threads=2 --cpu=x86-64,x86-64-v3 "$TESTS/golden/gru_wide.seq" --against "$TESTS/golden/gru_wide.safetensors"
prints 'processor x86-64'
[ "$(grep -c '^compiled output.* ok$' out)" -ge 1 ] || fail 'nothing was compared'
