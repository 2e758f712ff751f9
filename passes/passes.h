/* passes.h - what passes share: their signature, their context, and the functions that the pipeline calls.
 *
 * A pass takes a program, changes it in place and returns whether it changed anything. No pass calls another,
 * prints, times or verifies: pipeline.c does that for all. The table is passes.def.
 */
#ifndef SEQC_PASSES_PASSES_H
#define SEQC_PASSES_PASSES_H

#include "base/diagnostic.h"
#include "ir/equations.h"
#include "ir/loops.h"
#include "ir/machine.h"
#include "passes/report.h"

typedef struct PassContext {
  Diagnostics *diagnostics;
  const Machine *machine;
  int optimisation; /* 0 to 3 */
  int64_t piece_steps; /* recurrences are split over time into pieces of so many; 0: they are not */
  PackedFormat packed_format; /* of what is packed once for many calls */
  Report *report;   /* NULL: not wanted */
  int **carry_orders; /* [pieces that are carried] how the forward kernel, lowered first, has their axes in memory; NULL: as they are */
} PassContext;

typedef bool EquationsPass(Program *program, PassContext *context);

#define PASS(name, is_optional, help) EquationsPass pass_##name;
#include "passes/passes.def"
#undef PASS

/* The declared state before the first step to the carried one: what `initial` computes. Leaves only that. */
void program_keep_initial(Program *program);
/* Whether chunk and step exist, from what pass_lags found on the ports. Otherwise the port that says why not. */
bool program_has_step(const Program *program, const Port **out_reason);

/* boundaries.c. A tensor NAME.suffix that is the same as this one. */
TensorId program_copy_tensor(Program *program, TensorId source, const char *suffix);
/* A boundary NAME.suffix of an axis, of zeros before the first step. */
TensorId program_add_boundary(Program *program, TensorId of, int axis, Size slots, const char *suffix);

/* Order in memory of the axes of a tensor that keeps its steps along `axis`: out_order[rank], outermost first. */
void program_history_order(const Program *program, TensorId tensor, int axis, int *out_order);

/* By symbol: how long a length may be, for the stream from the first step of all, as tables end there that are read along it; 0: no
 * limit. */
int64_t *program_limits(Program *program);

/* Lowering of one program to the kernel of one entry point. NULL after errors. */
Kernel *lower_program(Arena *arena, const Program *program, EntryKind entry, PassContext *context);

/* share.c: within groups of equations, numbers by equation or NONE, parts along rows that are long. False: nothing was changed. */
bool share_parts(Program *program, const int *groups);

#endif
