# --dump, --stop-after, --disable, --time-passes and --verify.
write_model model.seq
expect 0 "$SEQC" --dump=batch --verify model.seq -o model.o
says decay
expect 0 "$SEQC" --dump=all model.seq -o model.o
says simplify
rm -f model.o
expect 0 "$SEQC" --stop-after=batch model.seq -o model.o
[ ! -e model.o ] || fail '--stop-after wrote an object'
expect 0 "$SEQC" --time-passes model.seq -o model.o
says simplify
expect 0 "$SEQC" --disable=simplify --disable common model.seq -o model.o
expect 2 "$SEQC" --disable=batch model.seq -o model.o
expect 0 "$SEQC" --verify -O0 model.seq -o model.o
