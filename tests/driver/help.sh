# --help lists every option of the table, --version says which compiler this is.
expect 0 "$SEQC" --help
spellings=$(sed -n 's/^OPTION([A-Z_]*, "\([^"]*\)", [A-Z]*, "[^"]*", ".*/\1/p' "$TESTS/../driver/options.def")
[ "$(echo "$spellings" | wc -l)" -gt 20 ] || fail 'the table of options was not found'
for spelling in $spellings; do prints "  $spelling"; done
prints 'Exit codes'
[ "$(wc -L <out)" -le 110 ] || fail 'a line of --help is too long'

expect 0 "$SEQC" --version
grep -qE '^seqc [0-9]+\.[0-9]+\.[0-9]+$' out || fail 'no version'
expect 0 "$SEQC" --help=passes
prints simplify
expect 0 "$SEQC" --cpu=help
prints x86

# The man page is made of the same rows.
sh "$TESTS/../man/make-page" "$SEQC" "$TESTS/../man/seqc.1.in" page
for spelling in $spellings; do
  grep -qF -- ".B $(echo "$spelling" | sed 's/-/\\-/g')" page || fail "the man page lacks $spelling"
done
! grep -q '@' page || fail 'a placeholder is left in the man page'
