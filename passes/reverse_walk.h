/* reverse_walk.h - what lower_reverse.c writes its loops with: where an item of work is, in the axes of the states, and its memory.
 */
#ifndef SEQC_PASSES_REVERSE_WALK_H
#define SEQC_PASSES_REVERSE_WALK_H

#include "passes/reverse.h"

/* What a read of this tensor, so many steps from the one at hand, is. */
typedef struct Known {
  TensorId tensor;
  int64_t offset;
  const Expr *value;
} Known;

enum { MOST_KNOWN = 64 };

typedef struct Walk {
  Lowering *lowering;
  const Reverse *reverse;
  Arena *arena;
  Kernel *kernel;
  IndexId item[MOST_AXES];          /* by axis: of its loop */
  const Expr *place[MOST_AXES];     /* by axis: where the element at hand is */
  IndexId block, part, slot, group; /* the last: of elements that go together */
  const Expr *low, *high;           /* lanes of the item */
  const Expr *part_low, *part_high;
  const Expr *first, *limit; /* steps of the block */
  const Expr *blocks;
  BufferId *state, *kept,
      *states; /* by forward member: at this step; at the start of each block; in the block, one more than steps */
  BufferId *shared, *next, *first_step, *sums; /* by shared value, carried value, backward member, sum */
  int known_count;
  Known known[MOST_KNOWN];
  int row_count; /* values of a step that all inner elements have in common, computed once: [step, lane of the item] */
  const Expr **rows;
  BufferId *row_buffers;
  Block *steady; /* where loads go that do not change with time; NULL: they stay */
  int steady_count;
  const Expr **steady_loads, **steady_locals;
} Walk;

const Expr *walk_plus(const Walk *walk, const Expr *a, const Expr *b);
const Expr *walk_minus(const Walk *walk, const Expr *a, const Expr *b);
const Expr *walk_number(const Walk *walk, int64_t value);
const Expr *walk_load(const Walk *walk, BufferId buffer, const Expr *const *indices);
Statement *walk_store(const Walk *walk, BufferId buffer, const Expr *const *indices, const Expr *value);
void walk_know(Walk *walk, TensorId tensor, int64_t offset, const Expr *value);
const Expr *const *walk_row_indices(const Walk *walk);
const Expr *walk_at_place(Walk *walk, const Expr *expr);
const Expr *walk_let(Walk *walk, const char *name, const Expr *value, SourceRange source, Block *block);
SourceRange walk_source_of(const Walk *walk, int equation);
const Expr *const *walk_element_indices(const Walk *walk, const Expr *before);
/* Of the elements that are together, in the block: [step, element, lane of the part]. */
const Expr *const *walk_block_indices(const Walk *walk, const Expr *step, int element);
const Expr *const *walk_sum_indices(const Walk *walk, const ReverseSum *sum, const Expr *slot);
void walk_add_buffers(Walk *walk);
Statement *walk_over(const Walk *walk, LoopKind kind, IndexId index, const Expr *low, const Expr *high, Statement *body);
Statement *walk_over_steps(const Walk *walk, const Expr *limit, bool is_reversed, Statement *body);
Statement *walk_over_lanes(const Walk *walk, Statement *body);
/* Over whole inner axes, those in `keeps` (NULL: all), one element at a time. */
Statement *walk_over_inner(const Walk *walk, const bool *keeps, Statement *body);
/* Over the elements that go together, and over vectors of lanes. */
Statement *walk_over_groups(const Walk *walk, Statement *body);
void walk_put_at_group(Walk *walk, int element);
void walk_put_at_element(Walk *walk);

#endif
