/* reverse.h - a recurrence that runs back through time over the states of one that ran forward, as gradients do: what plan_reverse.c
 * decides and lower_reverse.c writes.
 *
 * The states are not kept. The forward recurrence is computed once for its state at the start of each block of steps, then block
 * after block from the last: its states again, into the first cache, and back through them with everything that is summed over
 * axes of the state. All is written in one set of indices, one for each axis of the state: the frame.
 */
#ifndef SEQC_PASSES_REVERSE_H
#define SEQC_PASSES_REVERSE_H

#include "passes/lower.h"

typedef enum {
  AXIS_OUTER,  /* a loop around runs over it */
  AXIS_SHARED, /* items of work run over it, one index each */
  AXIS_TIME,
  AXIS_LANE,   /* a chunk of it in each item, in lanes */
  AXIS_INNER   /* loops inside of a block of steps */
} ReverseAxis;

/* An equation of the forward or the backward recurrence. */
typedef struct ReverseMember {
  int equation;
  TensorId tensor;
  const char *name;    /* the author's, of the tensor that is computed again */
  const Expr *value;
  const Expr *initial; /* forward: before the first step; NULL: zero */
  TensorId end;        /* what the last step (forward) or the first one (backward) leaves, without time; NONE: nobody reads it */
} ReverseMember;

/* A value that is read by the name of a tensor that is never kept. */
typedef struct ReverseValue {
  TensorId tensor;
  const Expr *value;
} ReverseValue;

/* One sum, grown by `term` at every element and step that it does not keep apart. */
typedef struct ReverseSum {
  const Expr *term;
  bool keeps[MOST_AXES];
} ReverseSum;

typedef struct ReverseTerm {
  int sum;
  const Expr *factor; /* NULL: 1 */
  bool is_negative;
} ReverseTerm;

enum { CHUNK_AXIS = -2 };

/* A tensor that comes out of an item: terms, and the value they are added to. */
typedef struct ReverseResult {
  TensorId target;
  int equation;         /* it takes the place of this one */
  bool keeps[MOST_AXES];
  int axis[MOST_AXES];  /* by axis of the target: of the frame, or CHUNK_AXIS */
  const Expr *value;    /* NULL: none */
  const Expr *body;     /* what is summed, before it is cut into terms */
  int term_count;
  ReverseTerm *terms;
} ReverseResult;

typedef struct Reverse {
  const ScheduleNode *loop; /* of the backward recurrence: where all of it happens */
  int rank;
  IndexId frame[MOST_AXES];
  ReverseAxis roles[MOST_AXES];
  Size extents[MOST_AXES];
  int time, lane;           /* axes */
  int64_t chunk;            /* of the lane axis in an item */
  int64_t steps;            /* in a block */
  int together;             /* elements of the last inner axis that are taken together */
  int forward_count, backward_count, carried_count, shared_count, sum_count, result_count;
  ReverseMember *forward, *backward;
  ReverseValue *carried;    /* what the step before in time takes over, in terms of the step that leaves it */
  ReverseValue *shared;     /* costly ones that both directions need */
  ReverseSum *sums;
  ReverseResult *results;
} Reverse;

/* plan_reverse.c: before anything else is planned, as it changes the program and the schedule. */
void plan_reverses(Lowering *lowering, ScheduleNode **schedule);
/* After plan_storage: what is read along the lanes lies along them. */
void choose_reverse_layouts(Lowering *lowering);
const Reverse *find_reverse(const Lowering *lowering, const ScheduleNode *node); /* or NULL */

/* reverse_sums.c: cuts what the results sum into terms. */
void reverse_cut_sums(Arena *arena, Reverse *reverse);
int reverse_last_inner(const Reverse *reverse); /* axis */
/* The offset from the frame's time of a read of a recurrence; false where it is none. */
bool reverse_offset(const Reverse *reverse, const Expr *read, int64_t *out_offset);
bool reverse_needs_adjoint(const Reverse *reverse, const Expr *term); /* else it is of the states alone */
const Expr *reverse_tidy(Arena *arena, const Expr *expr); /* subscripts in one form */

/* lower_reverse.c */
bool lower_reverse(Lowering *lowering, const ScheduleNode *node);

#endif
