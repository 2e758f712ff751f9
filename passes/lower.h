/* lower.h - what the files of the lowering share: from scheduled equations to the statements of one kernel.
 *
 *   lower.c          walks the schedule, opens loops, hands units on
 *   split_domain.c   cuts an equation where its conditions on an index change
 *   storage.c        a buffer for each tensor: home, layout, folded axes
 *   halo.c           values before the first step kept in the same buffer
 *   wanted.c         what is only computed when the caller asks for certain results
 *   lower_expr.c     reads become loads, with guards where they could lie outside
 *   lower_once.c     what is computed when parameters are packed
 *   lower_map.c      groups of equations without reduction, fused
 *   lower_scan.c     recurrences whose elements do not mix: time inside of the parallel loop
 *   plan_sweep.c, lower_sweep.c   such a recurrence with what is read out of it at each step, so that its state is not kept
 *   lower_held.c     where that state stays in registers for a block of time
 *   reverse.h        recurrences back through time over states that are computed again
 *   plan_band.c, lower_band.c   equations that one thread takes some rows through, so that what grows with a square is never kept
 *   plan_slab.c, lower_slab.c   equations that all threads take some hundred long rows through, so that what has such rows is never kept
 *   lower_product.c  sums of products of two factors: packed panels and register tiles (product.h)
 *   product_epilogue.c    maps that join the stage of such a product
 *   lower_scatter.c  sums guarded by "this element is the one that was read"
 *   lower_reduce.c   every other reduction
 *   barriers.c       where threads wait for each other
 *   plan_memory.c    lifetimes of buffers, shared slots
 */
#ifndef SEQC_PASSES_LOWER_H
#define SEQC_PASSES_LOWER_H

#include "passes/passes.h"
#include "passes/ranges.h"
#include "passes/schedule.h"

/* Room in memory before index 0 of an axis, where a tensor that a loop defines keeps its values before the first step: then a
 * read at a lag needs no test. */
typedef struct Halo {
  bool is_there;
  bool is_history; /* all steps before this call, in a piece of the state with room for more */
  bool is_window;  /* the last steps before this call: filled at the start */
  Size slots;
  int axis;
  TensorId before; /* the boundary tensor that is copied there */
} Halo;

/* A loop over time that takes the equations which read its state along, and keeps the state of one step only. */
typedef struct Sweep {
  const ScheduleNode *loop;
  int count;      /* equations of the loop, then the readouts, then maps of these at their own element */
  int *equations;
  int *axes;      /* the axis of each target that the loop runs over */
  int *shared;    /* by equation and number: the axis of its target that is the shared axis of this number */
  int shared_count; /* axes along which elements don't mix, in memory order of the first target */
  bool is_held;     /* the state stays in registers for a block of time: lower_held.c. Then: */
  int map_count;    /* the maps of readouts; without is_held there are none */
  int inner_count;  /* axes of the state that the readouts sum over */
  int inner[16];
  IndexId *inner_index; /* by equation and number: the index of a readout's sum that runs over the inner axis of this number */
} Sweep;

/* Equations that are taken together, a block of rows at a time. */
typedef struct Band {
  int count;
  int *equations;   /* in order */
  int *shared;      /* by equation and number: the axis of its target that is the shared axis of this number. The last one are the rows;
                     * NONE there: the equation sums over them */
  int shared_count;
  bool has_sums;
  bool is_of_rows;  /* which are read again: no products */
  int rows;         /* of a block */
  bool has_products; /* that want tiles: there are rows enough, or there is another way */
} Band;

enum {
  MOST_SLAB_AXES = 4,
  SLAB_ROWS = 256 /* of a block: then each weight that comes from memory is used often enough */
};

/* An axis of rows that are taken a block at a time: `rows` of them from `first` on, of which those before `skipped` were in the block before. */
typedef struct SlabAxis {
  Size extent, rows;
  IndexId block, first, skipped;
} SlabAxis;

/* Equations that all threads take a block of rows through together, then the next one. */
typedef struct Slab {
  const ScheduleNode *loop; /* the steps, in a loop without an index */
  Band members;             /* the equations */
  int axis_count;
  SlabAxis axes[MOST_SLAB_AXES];
  Statement *turn; /* once it is lowered: its innermost loop */
  int *places; /* by member and axis (member * MOST_SLAB_AXES + axis): the axis of its target; NONE: it sums over these rows */
} Slab;

/* One axis of a unit's target: bound by a loop around (or a constant), or free in the range of its index. */
typedef struct UnitAxis {
  const Expr *bound; /* NULL: free */
  IndexId index;
} UnitAxis;

/* An equation, or a part of one, inside the loops that are open: expressions are still those of Equations, but with
 * bound indices replaced. */
typedef struct Unit {
  const Equation *equation;
  TensorId target;
  int rank;
  UnitAxis *axes;
  const Expr *value, *guard, *body;
  int reduce_count;
  IndexId *reduce_indices;
} Unit;

/* A sequential loop that is being filled. */
typedef struct OpenLoop {
  const ScheduleNode *node;
  bool *is_written; /* by tensor: defined inside */
  Block *before;    /* the block the loop will stand in: what does not change inside can go there */
  const Slab *slab; /* whose blocks it runs over; NULL: none */
} OpenLoop;

/* A value that the group being built has in a local. */
enum { MAP_CHUNK = 1024 }; /* elements of the innermost axis in one item of parallel work: enough that finding their place costs nothing beside */

typedef struct Forwarded {
  TensorId tensor;
  const Expr **indices;
  const Expr *value; /* in terms of reads, with the indices of the group */
  LocalId local;
} Forwarded;

/* Equations without reduction over the same ranges, in one loop nest. */
typedef struct Group {
  bool is_open;
  bool is_trial; /* of lower_scan: it must hold all units, so flushing it is a failure */
  bool has_failed;
  int loop_count;
  IndexId *loops; /* outermost first */
  int row_loop;    /* in a band: the loop over the rows of the block; NONE elsewhere */
  bool is_ordered; /* the last loop but one (the last, where there is one only) runs upwards inside of one item of work */
  Block block;
  int forwarded_count;
  Forwarded *forwarded;
  const Expr *wanted; /* all of it serves results that the caller may not want: the condition; NULL: always */
  SourceRange source;
} Group;

enum { MOST_LOOPS = 8 };

typedef struct Lowering {
  Arena *arena;
  Program *program;
  Kernel *kernel; /* its index table begins with the program's */
  PassContext *context;
  BufferId *buffers; /* by tensor, NONE until needed */
  BufferId *pack_buffers; /* the same of kernel->pack */
  Block pack_block;  /* its stages */
  bool is_packing;   /* this is what fills that kernel: nothing depends on what the caller wants */
  int *depth;        /* by tensor and axis (tensor * MOST_AXES + axis): depth of the loop that runs over it, 0: none */
  bool *is_folded;   /* likewise */
  Halo *halos;       /* by tensor */
  bool has_recent;   /* of an expression that is looked at while these are planned */
  int sweep_count;
  Sweep *sweeps;
  bool *is_readout;    /* by equation: done inside of a sweep */
  bool *is_contracted; /* by tensor: a sweep keeps one step of it */
  TensorId *goes_on_in; /* by tensor: the sum that begins with it in its memory, or NONE */
  int *innermost;      /* by tensor: the axis that a sweep wants innermost in memory, plus one; 0: as it is */
  struct Sweeping *sweeping; /* the one being lowered */
  int reverse_count;
  struct Reverse *reverses; /* reverse.h */
  int band_count;
  Band *bands;
  int *band_of;   /* by equation: NONE for most */
  int *band_rows; /* by tensor: the axis of which a band keeps a block of rows only, plus one; 0: kept whole */
  struct Banding *banding; /* the one being lowered */
  int slab_count;
  Slab *slabs;
  int *first_rows;   /* by tensor and axis: the index of a slab that its rows are counted from in the slab, plus one; 0: as they are */
  bool *is_of_slab;  /* by tensor: has rows for one block of a slab only */
  const Slab *slab;  /* the one being lowered */
  int open_count;
  OpenLoop open[MOST_LOOPS];
  Block *block;      /* where statements go */
  Group group;
  struct ProductStage *product_stage; /* the product that was lowered last, NULL: none that maps could join; product.h */
  uint64_t *results; /* by tensor: the results that need it, as bits; see wanted.c */
  struct Demand *demands; /* by tensor: the condition under which anything reads it; see wanted.c */
} Lowering;

enum { MOST_AXES = 16 };

/* storage.c */
void plan_storage(Lowering *lowering, const ScheduleNode *schedule);
/* Once it is known what is not kept whole: that has memory of its own. */
void drop_starts(Lowering *lowering);
BufferId buffer_of(Lowering *lowering, TensorId tensor);
/* An index of the tensor's axis, as one of its buffer's. */
const Expr *halo_index(const Lowering *lowering, TensorId tensor, int axis, const Expr *index);
/* The read gives the boundary's value in the halo where it lies before index 0. */
bool is_halo_read(const Lowering *lowering, const Expr *read);
/* Then: where it lies neither before the halo nor after the end; NULL: everywhere. */
const Expr *halo_inside(const Lowering *lowering, const Expr *read);
int innermost_axis(const Lowering *lowering, BufferId buffer);

/* wanted.c */
void plan_wanted(Lowering *lowering);
/* The condition under which the caller wants what depends on the tensor; NULL: always. */
const Expr *wanted_condition(Lowering *lowering, TensorId tensor);
/* The condition under which anything reads what the loop defines; NULL: none, or several. */
const Expr *loop_condition(const Lowering *lowering, const ScheduleNode *node);

/* Nothing reads it where some condition does not hold. */
bool wanted_is_conditional(const Lowering *lowering, TensorId tensor);

/* halo.c */
void plan_halos(Lowering *lowering, const ScheduleNode *schedule);
/* Stages that fill the halos of what the loop defines. */
void fill_halos(Lowering *lowering, const ScheduleNode *loop);
/* Stages that copy the last steps before this call, and all of them where the state does not stay in its place; before all others. */
void fill_histories(Lowering *lowering);
/* The equation only says that steps before this call and those of it are together, as they are in memory. */
bool is_history_result(const Lowering *lowering, int equation);
/* The halo's home: the slot of its piece, with room for as many steps as the state has. */
BufferId history_buffer(Lowering *lowering, TensorId tensor);
/* A symbol of this kind, which belongs to kernels. */
SymbolId kernel_symbol(Lowering *lowering, SymbolKind kind);

/* split_domain.c: calls `emit` for each part. */
typedef void UnitEmit(Lowering *lowering, Unit *unit);
void split_unit(Lowering *lowering, Unit *unit, UnitEmit *emit);

/* lower_expr.c */
Ranges lowering_ranges(const Lowering *lowering);
/* In terms of loads; where `guard` (NULL: true) is false the value does not matter and nothing is accessed that could
 * lie outside. Uses what the open group forwards when uses_group. */
const Expr *lower_expr(Lowering *lowering, const Expr *expr, const Expr *guard, bool uses_group);
/* Number of loads that would have to gather when lanes run along the index. */
int gather_count(Lowering *lowering, const Expr *expr, IndexId index);
const Expr **unit_indices(Lowering *lowering, const Unit *unit);
const Expr **store_indices(Lowering *lowering, const Unit *unit); /* of its buffer */
/* Free axes of the unit in memory order of its target, outermost first: axis numbers; returns their count. */
int free_axes(Lowering *lowering, const Unit *unit, int *out_axes);

/* lower.c */
/* Puts the stage under the condition (NULL: none), and appends it to `block`. */
void end_stage(Lowering *lowering, Block *block, Statement *stage, const Expr *wanted);
/* Leaves the value of a sum alone, zero where there is none. */
void drop_sum(Lowering *lowering, Unit *unit);
/* A sum over nothing becomes its value. */
void drop_empty_sum(Lowering *lowering, Unit *unit);
/* A size of the kernel's own that is computed at run time; a constant where the formula is one. */
Size derived_size(Lowering *lowering, const Expr *formula, const char *name);
const Expr *integer(const Lowering *lowering, int64_t value);
const Expr *extent_of(const Lowering *lowering, IndexId index); /* high - low */
const Expr *ceil_quotient(const Lowering *lowering, const Expr *a, int64_t b);
/* A parallel loop over all values of the `loops` (outermost first); the last is cut in chunks of `chunk` elements (0: not)
 * and left to the caller: it gets the bounds within the chunk. Appends to *body_block what must be filled by the caller. */
typedef struct Nest {
  Statement *statement; /* the whole */
  const Expr *low, *high; /* of the last index */
} Nest;
Statement *parallel_nest(Lowering *lowering, int count, const IndexId *loops, int64_t chunk, const Expr **out_low, const Expr **out_high,
                         Statement **out_innermost);
void lower_nodes(Lowering *lowering, const ScheduleNode *nodes);
/* Only the plan: the order, and by tensor, what of it is kept, as band_rows. NULL after errors. The program gets indices for loops. */
const int *lower_plan(Program *program, PassContext *context, const ScheduleNode **out_schedule);
void flush_group(Lowering *lowering);
Statement *group_nest(Lowering *lowering); /* lower_map.c: the stage of the group */
/* Lets the maps of the group join the product before them; false where they can't. */
bool product_fuse_maps(Lowering *lowering, const Group *group);

void lower_map(Lowering *lowering, Unit *unit);
void lower_equation(Lowering *lowering, int equation);
/* The equation with these indices (by axis, NULL: free) bound. */
Unit unit_of(Lowering *lowering, int equation, const Expr *const *bound);
/* The index of an open loop over this axis of the equation's target, or NULL. */
const Expr *bound_axis(const Lowering *lowering, int equation, int axis);
/* The whole loop as one stage, where it is of this kind. */
bool lower_scan(Lowering *lowering, const ScheduleNode *node);
/* An equation of parameters alone, which the kernel that packs computes; false when it is none. */
bool lower_once(Lowering *lowering, int equation);
/* product_pack.c: what builds on the kernel that packs, with its own buffers and the indices and symbols of the other. */
Lowering enter_pack(Lowering *lowering);
void leave_pack(Lowering *lowering);
int packed_count(const Kernel *kernel); /* buffers of packed parameters */
bool lower_scatter(Lowering *lowering, Unit *unit);
bool lower_product(Lowering *lowering, Unit *unit);
void lower_reduce(Lowering *lowering, Unit *unit);
/* The reduction of a unit over `order`, which ends with its innermost index, into the local. What of the guard bounds that index
 * becomes its range, where it does not differ between the lanes of a loop around (`lanes`, or NONE). */
Statement *reduction_of(Lowering *lowering, const Unit *unit, LocalId local, const IndexId *order, bool is_vector, IndexId lanes);

/* plan_sweep.c: after plan_storage, before plan_halos. */
void plan_sweeps(Lowering *lowering, const ScheduleNode *schedule);
/* plan_band.c: after plan_sweeps; puts the equations of a band side by side. */
ScheduleNode *plan_bands(Lowering *lowering, ScheduleNode *schedule);
/* row_reads.c: a reduction of a row of something, so that it needs no other than its own. */
bool is_row_reduction(const Program *program, int equation);
/* lower_band.c: all equations of the band that begins with this node. */
void lower_band(Lowering *lowering, const Band *band);
/* The axis of the rows in the target of the equation at hand. */
int band_rows_of_unit(const Lowering *lowering);
/* The open group as loops over the block of rows. */
void band_append_group(Lowering *lowering);
/* The place of a row in the block that is kept of it; the index itself for tensors that are kept whole. */
const Expr *band_index(const Lowering *lowering, TensorId tensor, int axis, const Expr *index);
/* Gives the buffer of a tensor that is not kept whole its shape. */
void shape_band_buffer(Lowering *lowering, TensorId tensor, Buffer *buffer);

/* The condition under which a result that comes of them is wanted; NULL: always. */
const Expr *any_wanted(Lowering *lowering, const Band *band);

/* plan_slab.c: once the order is known, before all other plans; changes the equations. */
ScheduleNode *plan_slabs(Lowering *lowering, ScheduleNode *schedule);
/* lower_slab.c */
Slab *find_slab(const Lowering *lowering, const ScheduleNode *node); /* or NULL */
void lower_slab(Lowering *lowering, Slab *slab);
/* Puts barriers at the end of turns; after place_barriers. */
void end_turns(const Lowering *lowering);
/* The most values that the indices have together, where they run over the rows of a block of the slab at hand; else 0. */
int64_t slab_rows(const Lowering *lowering, int count, const IndexId *indices);
/* The condition, true or not for all of a turn of the slab at hand, under which the value of a sum is what it begins with; NULL: there is none. */
const Expr *slab_start(const Lowering *lowering, const Expr *value);
/* Open loops but that of a slab. */
int loops_around(const Lowering *lowering);
/* Whether this node of an expression may have another value in the next turn. */
bool changes_in_loop(const OpenLoop *open, const Expr *expr);

/* lower_held.c: whether the first `members` equations of the sweep and its readouts allow it; fills in the inner axes. is_inside: by
 * tensor, what the loop and everything read out of it define. */
/* In products, what does not depend on `element` comes first: elements that go together multiply it once for all of them. */
const Expr *with_common_first(Arena *arena, const Expr *expr, IndexId element);
bool can_hold_state(Lowering *lowering, Sweep *sweep, int members, const bool *is_inside);
/* All of time for the lanes from low to high, at most `chunk` of them. */
Statement *held_item(Lowering *lowering, const Sweep *sweep, const IndexId *shared, const Expr *low, const Expr *high, int64_t chunk);

/* lower_sweep.c: false when the loop is none. */
bool is_result_buffer(const Lowering *lowering, BufferId buffer);
bool lower_sweep(Lowering *lowering, const ScheduleNode *node);
const Sweep *find_sweep(const Lowering *lowering, const ScheduleNode *node); /* or NULL */
/* Whether lanes run along a reduction index, which is then the last of `order`, or along the innermost of the axes. */
bool choose_lanes(Lowering *lowering, const Unit *unit, int count, const int *axes, IndexId *order);

/* barriers.c: puts barriers between stages. */
void place_barriers(Kernel *kernel);
/* plan_memory.c: assigns slots to the workspace buffers. */
void plan_memory(const Lowering *lowering);
/* Removes stores to workspace buffers that nothing loads. */
void remove_dead_stores(Kernel *kernel);
/* Of results that the kernel does not read. */
void mark_nontemporal_stores(Kernel *kernel);

#endif
