/* position.c - time used as a number counts from the start of the sequence.
 *
 * Needs:  the program as its author wrote it (before other passes compare times of one call with each other).
 * Leaves: an index over the stream that is used as a value, in a condition or to read a table is index + position; those
 *         that read a tensor of the stream stay, as they count within this call.
 */
#include "passes/passes.h"

typedef struct Positioning {
  Program *program;
  SymbolId stream, position;
  bool *is_time; /* by index: runs over the stream */
  bool changed;
} Positioning;

static const Expr *make_absolute(Positioning *positioning, const Expr *expr) {
  if (!expr) return NULL;
  Program *program = positioning->program;
  Arena *arena = program->arena;
  if (expr->op == OP_INDEX && positioning->is_time[expr->id]) {
    if (positioning->position == NONE) positioning->position = program_add_symbol(program, SYMBOL_POSITION, "position");
    positioning->changed = true;
    return expr_binary(arena, OP_ADD, expr, expr_symbol(arena, positioning->position));
  }
  if (expr->op == OP_READ && program->tensors[expr->id].boundary_of != NONE) return expr;
  const Expr **args = ARENA_ARRAY(arena, const Expr *, expr->arg_count);
  bool changed = false;
  for (int n = 0; n < expr->arg_count; n++) {
    bool is_relative = expr->op == OP_READ && program->tensors[expr->id].shape[n].symbol == positioning->stream;
    args[n] = is_relative ? expr->args[n] : make_absolute(positioning, expr->args[n]);
    changed |= args[n] != expr->args[n];
  }
  if (!changed) return expr;
  const Expr *result = expr->op == OP_READ ? expr_read(arena, expr->type, expr->id, expr->arg_count, args, expr->outside)
                                           : expr_make(arena, expr->op, expr->arg_count, args);
  return expr_with_source(arena, result, expr->source);
}

bool pass_position(Program *program, PassContext *context) {
  (void)context;
  Positioning positioning = {.program = program, .stream = program_find_symbol(program, SYMBOL_STREAM)};
  if (positioning.stream == NONE) return false;
  positioning.position = program_find_symbol(program, SYMBOL_POSITION);
  positioning.is_time = ARENA_ARRAY(program->arena, bool, program->index_count);
  for (int n = 0; n < program->index_count; n++) positioning.is_time[n] = program->indices[n].high.symbol == positioning.stream;
  for (int n = 0; n < program->equation_count; n++) {
    Equation *equation = &program->equations[n];
    equation->value = make_absolute(&positioning, equation->value);
    equation->guard = make_absolute(&positioning, equation->guard);
    equation->body = make_absolute(&positioning, equation->body);
  }
  return positioning.changed;
}
