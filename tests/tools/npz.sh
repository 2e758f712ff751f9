# npz2safetensors: stored and deflated arrays, both orders; and no archive that is damaged is believed.
export ASAN_OPTIONS=exitcode=99 UBSAN_OPTIONS=exitcode=99 # 1 is an error that was found
tool=$BUILD/tools/npz2safetensors
hex() { printf "$(sed 's/[^0-9a-f]//g; s/../\\x&/g' | tr -d '\n')"; }
# A deflated archive: a (2, 3) column-major <f8, b (3,) <i4, c () |u1, d (200,) <f4 of n mod 7.
hex <"$TESTS/tools/deflated.hex" >deflated.npz
expect 0 "$tool" deflated.npz out.d/x.safetensors
prints 'out.d/x.safetensors: 4 arrays'
{
  real 64 0 1 2 3 4 5
  whole 4 7 8 9
  whole 1 200
  real 32 $(seq 0 199 | awk '{ print $1 % 7 }')
} >expected
tail -c "$(stat -c %s expected)" out.d/x.safetensors | cmp - expected || fail 'other values'
head -c 300 out.d/x.safetensors | grep -aqF '"a":{"dtype":"F64","shape":[2,3],' || fail 'another shape of a'
head -c 300 out.d/x.safetensors | grep -aqF '"c":{"dtype":"U8","shape":[],' || fail 'another shape of c'

# By hand, stored: what the header says, and its errors. header FILE TEXT DATA-BYTES...
store() {
  local out=$1 text=$2 crc=$3
  shift 3
  { printf '\x93NUMPY\x01\x00'; whole 2 ${#text}; printf '%s' "$text"; whole 1 "$@"; } >array.npy
  local size
  size=$(stat -c %s array.npy)
  {
    printf 'PK\x03\x04'; whole 2 20 0 0 0 0; whole 4 "$crc" "$size" "$size"; whole 2 5 0; printf 'x.npy'; cat array.npy
    printf 'PK\x01\x02'; whole 2 20 20 0 0 0 0; whole 4 "$crc" "$size" "$size"; whole 2 5 0 0 0 0; whole 4 0 0; printf 'x.npy'
    printf 'PK\x05\x06'; whole 2 0 0 1 1; whole 4 51 $((35 + size)); whole 2 0
  } >"$out"
}
refused() { # HEADER MESSAGE BYTE...
  local text=$1 message=$2 crc
  shift 2
  { printf '\x93NUMPY\x01\x00'; whole 2 ${#text}; printf '%s' "$text"; whole 1 "$@"; } >array.npy
  crc=$((16#$(gzip -c array.npy | tail -c 8 | head -c 4 | od -An -tx4 | tr -d ' ')))
  store x.npz "$text" "$crc" "$@"
  expect 1 "$tool" x.npz y.safetensors
  says "$message"
}
refused "{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }" "type '>f4'" 0 0 0 0
refused "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }" "expected a little-endian number" 0 0 0 0
refused "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }" 'cut off or malformed' 0 0 0 0
refused "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }" 'are left behind the elements' 0 0 0 0 0
refused "{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 9999999999), }" 'fits into no memory' 0
refused "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }" 'the shape is no list' 0
refused "{'descr': '<f4', 'fortran_order': False}" "the header has no 'shape'" 0
store x.npz "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }" 1 0 0 0 0
expect 1 "$tool" x.npz y.safetensors
says 'another checksum'
[ ! -e y.safetensors ] || fail 'a file was written'

size=$(stat -c %s deflated.npz)
for ((cut = 0; cut < size; cut += 5)); do
  head -c "$cut" deflated.npz >cut.npz
  expect 1 "$tool" cut.npz y.safetensors
done
for ((place = 0; place < size; place += 3)); do
  { head -c "$place" deflated.npz; whole 1 255; tail -c +$((place + 2)) deflated.npz; } >bad.npz
  code=0
  "$tool" bad.npz y.safetensors >out 2>err || code=$?
  [ "$code" -le 1 ] || { cat err; fail "byte $place: exit code $code"; }
done
expect 2 "$tool" only.npz
