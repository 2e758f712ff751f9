/* row_reads.c - how an equation reads rows of another tensor: to reduce them, or with what they were reduced to. */
#include "passes/row_reads.h"

#include "passes/lower.h"

enum { LONG_ROW = 64 };

typedef struct RowRead {
  const Program *program;
  const Equation *equation;
  bool found;      /* a read that has all indices of the target, and more */
  bool is_aligned; /* every read of `of` has the same indices as `of` is defined with, from the target */
  TensorId of;
} RowRead;

static void find_row_read(void *context, const Expr *expr) {
  RowRead *row = context;
  if (expr->op != OP_READ) return;
  const Equation *equation = row->equation;
  int rank = row->program->tensors[equation->target].rank, used = 0;
  bool is_reduced = false;
  for (int n = 0; n < rank; n++)
    for (int k = 0; k < expr->arg_count; k++)
      if (expr_is_index(expr->args[k], equation->indices[n])) {
        used++;
        break;
      }
  for (int n = 0; n < equation->reduce_count; n++)
    for (int k = 0; k < expr->arg_count; k++) {
      Size extent = row->program->tensors[expr->id].shape[k];
      is_reduced |= expr_is_index(expr->args[k], equation->reduce_indices[n]) && (extent.symbol != NONE || extent.constant >= LONG_ROW);
    }
  row->found |= used == rank && is_reduced;
}

bool is_row_reduction(const Program *program, int equation) {
  const Equation *e = &program->equations[equation];
  if (e->reduce == REDUCE_NONE || !program->tensors[e->target].rank) return false;
  RowRead row = {.program = program, .equation = e};
  expr_visit(e->body, find_row_read, &row);
  return row.found;
}

static void find_alignment(void *context, const Expr *expr) {
  RowRead *row = context;
  if (expr->op != OP_READ || expr->id != row->of) return;
  row->found = true;
  row->is_aligned &= !expr->outside;
  int rank = row->program->tensors[row->equation->target].rank;
  for (int k = 0; k < expr->arg_count; k++) {
    bool is_own = false;
    for (int n = 0; n < rank; n++) is_own |= expr_is_index(expr->args[k], row->equation->indices[n]);
    row->is_aligned &= is_own;
  }
}

bool follows_row(const Program *program, int equation, TensorId reduced) {
  RowRead row = {.program = program, .equation = &program->equations[equation], .is_aligned = true, .of = reduced};
  equation_visit(row.equation, find_alignment, &row);
  return row.found && row.is_aligned;
}

static void find_row_alignment(void *context, const Expr *expr) {
  RowRead *row = context;
  if (expr->op != OP_READ || expr->id != row->of) return;
  const Equation *equation = row->equation;
  int rank = row->program->tensors[equation->target].rank, own = 0, summed = 0;
  for (int k = 0; k < expr->arg_count; k++) {
    for (int n = 0; n < rank; n++) own += expr_is_index(expr->args[k], equation->indices[n]);
    for (int n = 0; n < equation->reduce_count; n++) summed += expr_is_index(expr->args[k], equation->reduce_indices[n]);
  }
  row->found = true;
  row->is_aligned &= !expr->outside && own == rank && own + summed == expr->arg_count;
}

bool reduces_row(const Program *program, int equation, TensorId map) {
  int definition = program->definition[map];
  if (program->equations[definition].reduce != REDUCE_NONE || program_shows(program, map) || !is_row_reduction(program, equation)) return false;
  RowRead row = {.program = program, .equation = &program->equations[equation], .is_aligned = true, .of = map};
  equation_visit(row.equation, find_row_alignment, &row);
  return row.found && row.is_aligned;
}
