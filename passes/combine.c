/* combine.c - the operator with which pieces of a recurrence are put together.
 *
 * A piece takes what it is given to factor * value + offset (or max(factor + value, offset)). Putting the first piece into the second
 * and expanding gives the whole. Factors that are none, one, equal or opposite are so in every piece, and the expansion keeps that.
 */
#include "passes/combine.h"

typedef struct Entry {
  const Expr *coefficient; /* of the step */
  const char *name;
} Entry;

typedef struct Composer {
  Combine *combine;
  const Recurrence *recurrence;
  Program *program; /* of the operator */
  Program *model;
  bool is_extremal;
  Op join;
  int entry_count;
  Entry entries[MOST_COMBINED * MOST_COMBINED];
  TensorId tensors[2][MOST_COMBINED * MOST_COMBINED]; /* by piece and entry */
} Composer;

static const Expr *scalar_read(Program *program, TensorId tensor) { return program_read(program, tensor, NULL, NULL); }

static TensorId scalar(Program *program, const char *name) { return program_add_tensor(program, name, TYPE_REAL, 0, NULL); }

static const Expr *times(const Composer *composer, const Expr *a, const Expr *b) {
  if (!a || !b) return NULL;
  return expr_binary(composer->program->arena, composer->is_extremal ? OP_ADD : OP_MUL, a, b);
}

static const Expr *plus(const Composer *composer, const Expr *a, const Expr *b) {
  if (!a || !b) return a ? a : b;
  return expr_binary(composer->program->arena, composer->join, a, b);
}

static const RecurrenceState *state_at(const Composer *composer, int number) { return &composer->recurrence->states[number]; }

/* The coefficient in the indices of the first state, so that those of different states can be compared. */
static const Expr *in_common_names(const Composer *composer, const RecurrenceState *row, const Expr *coefficient) {
  Program *program = composer->model;
  const Equation *common = &program->equations[state_at(composer, 0)->equation], *own = &program->equations[row->equation];
  const Expr **replacement = ARENA_ARRAY(program->arena, const Expr *, program->index_count);
  for (int n = 0; n < program->tensors[row->tensor].rank; n++) replacement[own->indices[n]] = expr_index(program->arena, common->indices[n]);
  return expr_substitute(program->arena, coefficient, program->index_count, replacement);
}

/* The factor of either piece that this coefficient of a step grows to. */
static const Expr *entry_for(Composer *composer, const Expr *coefficient, int piece) {
  Arena *arena = composer->program->arena;
  if (coefficient->op == OP_NUMBER && (composer->is_extremal ? expr_is_number(coefficient, 0) : expr_is_number(coefficient, 1))) return coefficient;
  bool is_negative = coefficient->op == OP_NEG;
  const Expr *positive = is_negative ? coefficient->args[0] : coefficient;
  int found = NONE;
  for (int n = 0; n < composer->entry_count; n++)
    if (expr_equal(composer->entries[n].coefficient, positive)) found = n;
  if (found == NONE) {
    found = composer->entry_count++;
    const char *name = arena_format(arena, "%c", 'a' + found + (found > 0)); /* b is the offset */
    composer->entries[found] = (Entry){positive, name};
    composer->tensors[0][found] = scalar(composer->program, name);
    composer->tensors[1][found] = scalar(composer->program, arena_format(arena, "%s'", name));
  }
  const Expr *read = scalar_read(composer->program, composer->tensors[piece][found]);
  return is_negative ? expr_unary(arena, OP_NEG, read) : read;
}

static int state_number(const Recurrence *recurrence, TensorId tensor) {
  for (int n = 0; n < recurrence->state_count; n++)
    if (recurrence->states[n].tensor == tensor) return n;
  return NONE;
}

Combine recurrence_combine(const Recurrences *recurrences, const Recurrence *recurrence) {
  Combine combine = {.program = program_create(recurrences->program->arena, "combine")};
  Composer composer = {.combine = &combine, .recurrence = recurrence, .program = combine.program, .model = recurrences->program};
  int size = recurrence->state_count;
  if (size > MOST_COMBINED || recurrence->size != size) return combine;
  composer.is_extremal = recurrence->states[0].form->kind != FORM_AFFINE;
  composer.join = recurrence->states[0].form->kind == FORM_AFFINE ? OP_ADD : recurrence->states[0].form->kind == FORM_MAX ? OP_MAX : OP_MIN;
  const Expr *second[MOST_COMBINED][MOST_COMBINED] = {{NULL}};
  const Expr *offsets[2][MOST_COMBINED];
  for (int s = 0; s < size; s++) {
    const char *suffix = size == 1 ? "" : arena_format(combine.program->arena, ".%d", s + 1);
    for (int piece = 0; piece < 2; piece++)
      offsets[piece][s] = scalar_read(combine.program, scalar(combine.program, arena_format(combine.program->arena, "b%s%s", suffix, piece ? "'" : "")));
    const RecurrenceState *row = state_at(&composer, s);
    for (int k = 0; k < row->form->term_count; k++) {
      int r = state_number(recurrence, row->form->terms[k].read->id);
      const Expr *coefficient = in_common_names(&composer, row, row->form->terms[k].coefficient);
      combine.first[s][r] = entry_for(&composer, coefficient, 0);
      second[s][r] = entry_for(&composer, coefficient, 1);
    }
  }
  combine.size = size;
  for (int s = 0; s < size; s++) {
    for (int r = 0; r < size; r++)
      for (int m = 0; m < size; m++) combine.whole[s][r] = plus(&composer, combine.whole[s][r], times(&composer, second[s][m], combine.first[m][r]));
    for (int m = 0; m < size; m++) combine.offset[s] = plus(&composer, combine.offset[s], times(&composer, second[s][m], offsets[0][m]));
    combine.offset[s] = plus(&composer, combine.offset[s], offsets[1][s]);
  }
  return combine;
}
