# make bench: a small work, alone and beside peers of which one does it, one does not know it and the others end too early.
bench=$BUILD/tests/bench/bench

peer=peers/bin/python
mkdir -p peers/bin
cat >$peer <<'PEER'
#!/bin/sh
# peers.py NAME THREADS
case $2 in torch | jax) ;; *) exit 7 ;; esac
echo ready 0
while read -r word _; do
  case $word$2 in
    setuptorch) echo 'a library talks' && echo ready 2 ;;
    setupjax) echo 'no such "work"' ;;
    runtorch) echo ms 3.5 6.5 ;;
    end*) echo ready 0 ;;
  esac
done
PEER
chmod +x $peer

expect 0 "$bench" --only 'exp 64x4096' --threads 1 --seconds 1 --json alone.json --svg alone.svg
prints 'no peers'
grep -qE '^pointwise exp 64x4096 +1 +[0-9.]+ +[0-9.]+ +[0-9]+% +[0-9.]+ +0.0003 +2.097 (L1|L2|L3|DRAM) +[0-9.]+ (L1|L2|L3|DRAM) +[0-9.]+%( +-){6}$' out || fail "no row of numbers"
grep -qE '"work": "pointwise exp 64x4096", "threads": 1, "dtype": "f32", "ms": [0-9.e-]+, .*"floor_ms": [0-9.e-]+, "bound": "[A-Z0-9]+", "share": [0-9.e-]+, .*"peers": \{\}' alone.json || fail "JSON: $(cat alone.json)"
grep -q '>pointwise exp 64x4096, 1 thr</text>' alone.svg || fail "no bar"

expect 0 "$bench" --only 'exp 64x4096' --threads 1 --seconds 1 --json beside.json --svg beside.svg --peers peers
grep -qE '^pointwise exp .*% +3\.500 +- +- +- +- +[0-9.]+x$' out || fail "no column of the peer"
grep -qF '"peers": {"torch": 3.5}' beside.json || fail "no peer in JSON"
grep -qF '"peers_cpu": {"torch": 6.5}' beside.json || fail "no time of processors in JSON"
grep -qF '"jax": "such \"work\""' beside.json || fail "no reason of the peer that does not know the work"
grep -qF '"onnxruntime": "ended with status 7"' beside.json || fail "no reason of the peer that ended"

# What a product of known sizes takes.
expect 0 "$bench" --only 'gemm 64x2048x512' --threads 1 --seconds 1 --json product.json
grep -qE '"parts": \[\{"flops": 1.34218e\+08, "bytes": 4.84966e\+06, "memory": "[A-Z0-9]+", "gbytes_per_s": [0-9.e+]+, "floor_ms": [0-9.e-]+, "bound": "[a-zA-Z0-9]+"\}\]' product.json || fail "flops or bytes: $(cat product.json)"

# Whatever does not compile is a row with the reason; with nothing measured the status is 1.
printf '#!/bin/sh\necho "model.seq:1:1: error: broken" >&2\nexit 1\n' >broken
chmod +x broken
SEQC=./broken expect 1 "$bench" --only 'exp 64x4096|compile mamba L2$' --threads 1 --seconds 1 --json broken.json
prints 'seqc: model.seq:1:1: error: broken'
[ "$(grep -c '"ms": null.*"reason": "model.seq:1:1: error: broken"' broken.json)" = 2 ] || fail "no reason in JSON: $(cat broken.json)"

# So is what ends by a fault.
cat >fault.c <<'OBJECT'
#include "seqrt/abi.h"
static int32_t fault(seqrt_call *call) { return *(volatile int32_t *)(call->batch - call->batch); }
static int64_t size(int32_t entry, int64_t batch, const int64_t *lengths, int64_t capacity, int32_t threads) { return 64; }
const seqrt_model exp_rows_model = {.abi_version = SEQRT_ABI_VERSION, .struct_size = sizeof(seqrt_model), .name = "exp_rows", .entries = {fault}, .workspace_size = size};
OBJECT
printf '#!/bin/sh\nexec "%s" -w -fPIC -I"%s" -c fault.c -o "$3"\n' "$CC" "$TESTS/../runtime/include" >faulty
chmod +x faulty
SEQC=./faulty expect 1 "$bench" --only 'exp 64x4096' --threads 1 --seconds 1
prints 'seqc: ended by signal 11'

# Options of every compilation.
expect 1 "$bench" --only 'exp 64x4096' --threads 1 --seconds 1 --options '-D E=1 --nonsense'
prints "seqc: seqc: error: unknown option '--nonsense'"

expect 2 "$bench" --only 'no work at all'
says 'no work has a name like this'
expect 2 "$bench" --only '('
expect 2 "$bench" --threads 0

# Every model of a work compiles, and every row names one.
"$bench" --list >list
[ "$(sort list | uniq -d)" = "" ] || fail "two works of one name"
for model in "$TESTS"/bench/works/*.seq; do
  expect 0 "$SEQC" "$model" -o model.o
  grep -q "\"$(basename "$model" .seq)\"\|#kind" "$TESTS/bench/works.def" || fail "no work uses $model"
done
