# The equations in the README are those of the example, and every file it links to is there.
readme=$TESTS/../README.md
sed -n '/^```seq$/,/^```$/p' "$readme" | sed '1d;$d' >shown
[ -s shown ] || fail 'the README shows no equations'
awk 'NR == FNR { shown[++n] = $0; next } { file[++m] = $0 }
     END { for (s = 0; s + n <= m; s++) { for (i = 1; i <= n && file[s + i] == shown[i]; i++); if (i > n) exit 0 } exit 1 }' \
  shown "$TESTS/../examples/char_lm/lstm.seq" || fail 'the README shows other equations than examples/char_lm/lstm.seq'
sed '/^```/,/^```$/d' "$readme" | grep -o '](\([^)#:]*\))' | sed 's/](\(.*\))/\1/' | while read -r path; do
  [ -e "$TESTS/../$path" ] || fail "the README links to $path, which is not there"
done
