# -fscan=split: every class whose steps can be composed, forward and in the gradient, against the equations and on 1, 2 and 3 threads.
for model in affine extremal memory; do
  for steps in 2 3 5; do
    expect 0 "$SEQC" --check "$TESTS/explain/$model.seq" -fscan=$steps --seed $steps
    grep -q ' ok:' out || fail "$model in pieces of $steps steps"
  done
done

# It is what was asked for, and told.
expect 0 "$SEQC" --explain "$TESTS/explain/affine.seq" -fscan=4
split=$(grep -c 'schedule.*split over time into pieces of 4 steps' out)
[ "$split" = 8 ] || fail "$split of 8 affine recurrences are split"
[ "$(grep -c 'gradient.*split over time into pieces of 4 steps' out)" = 8 ] || fail 'not every gradient is split'
expect 0 "$SEQC" --explain "$TESTS/explain/extremal.seq" -fscan=split
[ "$(grep -c 'schedule.*split over time into pieces of 64 steps' out)" = 5 ] || fail 'not all maxima and sums relative to them are split'
expect 0 "$SEQC" --explain "$TESTS/explain/affine.seq" -fscan=sequential
! grep -q 'split over time into' out || fail 'sequential is not sequential'
expect 2 "$SEQC" -fscan=parallel model.seq
says "-fscan: unknown way 'parallel'; there are sequential, split, or a number of steps"
expect 2 "$SEQC" -fscan=1 model.seq
