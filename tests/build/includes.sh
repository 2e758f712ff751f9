# A room can include what it may see and nothing else (the include folders of cmake/Rooms.cmake).
may_include() { # ROOM HEADER
  printf '#include "%s"\n' "$2" >probe.c
  (cd "$TESTS/../$1" && "$CC" -std=gnu11 -fsyntax-only -I"$BUILD/include/$1" -x c - <"$here/probe.c" 2>/dev/null)
}
here=$PWD

allowed='
base base/text.h
ir base/text.h
ir ir/expr.h
frontend base/text.h
frontend ir/equations.h
frontend frontend/frontend.h
passes base/text.h
passes ir/loops.h
passes passes/pipeline.h
codegen base/text.h
codegen ir/loops.h
codegen codegen/codegen.h
codegen seqrt/abi.h
runtime seqrt/abi.h
driver frontend/frontend.h
driver passes/pipeline.h
driver codegen/codegen.h
driver seqrt/abi.h
tools base/text.h
tools seqrt/safetensors.h
'
forbidden='
tools ir/expr.h
tools runtime/json.h
base ir/expr.h
ir frontend/frontend.h
ir passes/pipeline.h
ir codegen/codegen.h
ir seqrt/abi.h
ir llvm-c/Core.h
frontend passes/pipeline.h
frontend codegen/codegen.h
frontend seqrt/abi.h
frontend driver/options.h
passes frontend/frontend.h
passes codegen/codegen.h
passes seqrt/abi.h
passes driver/options.h
passes llvm-c/Core.h
codegen frontend/frontend.h
codegen passes/pipeline.h
codegen seqrt/seqrt.h
runtime base/text.h
runtime ir/expr.h
runtime codegen/codegen.h
driver llvm-c/Core.h
'
echo "$allowed" | while read -r room header; do
  [ -z "$room" ] || may_include "$room" "$header" || fail "$room/ cannot include $header"
done
echo "$forbidden" | while read -r room header; do
  [ -z "$room" ] || ! may_include "$room" "$header" || fail "$room/ can include $header"
done
# A relative path would go around the folders.
if grep -n '#include "\.\./' "$TESTS"/../{base,ir,frontend,passes,codegen,runtime,driver}/*.[chly]; then fail 'relative includes'; fi
