# Files that cannot be read or written end the run with 3, and what was there before stays whole.
write_model model.seq
expect 3 "$SEQC" missing.seq
says "cannot read 'missing.seq': No such file"
expect 3 "$SEQC" . -o x.o
says "cannot read '.'"
expect 3 "$SEQC" --config=missing.json model.seq
says "cannot read 'missing.json'"
expect 3 "$SEQC" model.seq -o missing/model.o
says "cannot write 'missing/model.o'"
expect 3 "$SEQC" model.seq -o model.seq/model.o
says "cannot write 'model.seq/model.o'"
mkdir folder.o
expect 3 "$SEQC" model.seq -o folder.o
says "cannot write 'folder.o': Is a directory"
expect 3 "$SEQC" --emit=asm -o /dev/full model.seq
says "cannot write '/dev/full': No space left"
expect 3 sh -c '"$SEQC" --emit=asm -o - model.seq >/dev/full'
expect 3 sh -c '"$SEQC" --help >/dev/full'

# An error in the model leaves the old object, and nothing else in the folder.
mkdir kept
"$SEQC" model.seq -o kept/model.o
cp kept/model.o old.o
echo 'layer broken(' >broken.seq
expect 1 "$SEQC" broken.seq -o kept/model.o
cmp kept/model.o old.o || fail 'an error changed the old object'
# So does a disk that is full while writing.
echo 'old header' >kept/model.h
if [ -z "${SANITIZE:-}" ]; then
  expect 3 sh -c "trap '' XFSZ; ulimit -f 1; exec \"\$SEQC\" -O0 -g model.seq -o kept/model.o"
  says "cannot write"
  cmp kept/model.o old.o || fail 'a full disk cut the old object'
  [ "$(cat kept/model.h)" = 'old header' ] || fail 'the header was written without its object'
fi
[ "$(ls -A kept | wc -l)" = 2 ] || fail 'temporary files are left'

# Writing through a link keeps the link; the mode of an old file stays.
ln -s model.o kept/link.o
chmod 600 kept/model.o
expect 0 "$SEQC" model.seq -o kept/link.o
[ -L kept/link.o ] || fail 'the link was replaced'
[ "$(stat -c %a kept/model.o)" = 600 ] || fail 'the mode was changed'
