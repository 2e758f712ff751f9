# Whatever is in the file, there is a message and an exit code, never a crash.
refused() {
  expect 1 timeout 60 "$SEQC" "$@" -o made.o
  says 'error: '
  [ ! -e made.o ] || fail "an object was made of $*"
}
: >empty.seq
refused empty.seq
head -c 300000 "$SEQC" >binary.seq
refused binary.seq
head -c 1000 /dev/zero >zeros.seq
refused zeros.seq
printf 'layer f(x[T, D]) -> y[T, D] { const D = 2; y[t,d] = x[t,d]' >unclosed.seq
refused unclosed.seq
printf '\357\273\277layer' >mark.seq
refused mark.seq
head -c 300000 "$SEQC" >binary.eq
refused binary.eq

# Nesting deeper than any stack: a message, or it compiles.
deep() {
  local code=0
  timeout 60 "$SEQC" "$1" -o deep.o >out 2>err || code=$?
  [ "$code" -le 1 ] || { head -c 2000 err >&2; fail "$1: exit code $code"; }
}
repeat() { head -c "$2" /dev/zero | tr '\0' "$1"; }
{ printf 'layer f(x[T]) -> y[T] { y[t] = '; repeat '(' 100000; printf 'x[t]'; repeat ')' 100000; echo ' }'; } >parentheses.seq
deep parentheses.seq
{ printf 'layer f(x[T]) -> y[T] { y[t] = '; repeat '-' 100000; echo 'x[t] }'; } >signs.seq
deep signs.seq
{ printf 'layer f(x[T]) -> y[T] { y[t] = x[t]'; yes ' + x[t]' | head -n 20000 | tr -d '\n'; echo ' }'; } >long_sum.seq
deep long_sum.seq
{ repeat '{' 100000; } >braces.seq
refused braces.seq

# Ten megabytes: of text around a model, and with the error in the last line.
write_model model.seq
{ cat model.seq; yes '# a comment that only makes the file long, again and again' | head -c 10000000; echo; } >comments.seq
expect 0 timeout 60 "$SEQC" comments.seq -o large.o
{ echo 'layer f(x[T]) -> y[T] {'; seq 300000 | sed 's/.*/  tensor_&[t] = x[t] + &/'; echo '  y[t] = x[t] +* 2'; echo '}'; } >large.seq
[ "$(wc -c <large.seq)" -gt 10000000 ] || fail 'the large file is too small'
refused large.seq
says 'large.seq:300002:'
