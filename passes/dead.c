/* dead.c - remove equations that no result needs.
 *
 * Needs:  ports.
 * Leaves: only equations from which a result port can be reached; tensors stay, as their ids are used elsewhere.
 */
#include "passes/passes.h"

typedef struct Marking {
  const Program *program;
  bool *is_needed; /* by tensor */
  bool changed;
} Marking;

static void mark(void *context, const Expr *expr) {
  Marking *marking = context;
  if (expr->op != OP_READ || marking->is_needed[expr->id]) return;
  marking->is_needed[expr->id] = marking->changed = true;
}

bool pass_dead(Program *program, PassContext *context) {
  (void)context;
  Marking marking = {.program = program, .is_needed = ARENA_ARRAY(program->arena, bool, program->tensor_count)};
  for (int n = 0; n < program->port_count; n++)
    if (port_is_result(program->ports[n].kind)) marking.is_needed[program->ports[n].tensor] = true;
  do {
    marking.changed = false;
    for (int n = program->equation_count - 1; n >= 0; n--) {
      const Equation *equation = &program->equations[n];
      if (!marking.is_needed[equation->target]) continue;
      if (equation->value) expr_visit(equation->value, mark, &marking);
      if (equation->guard) expr_visit(equation->guard, mark, &marking);
      if (equation->body) expr_visit(equation->body, mark, &marking);
    }
  } while (marking.changed);
  int kept = 0;
  for (int n = 0; n < program->equation_count; n++)
    if (marking.is_needed[program->equations[n].target]) program->equations[kept++] = program->equations[n];
  bool changed = kept != program->equation_count;
  program->equation_count = kept;
  if (changed) program_index(program);
  return changed;
}
