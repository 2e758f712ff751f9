/* run_pass.c - one pass alone, for its tests: equations in, equations out.
 *
 * The machine is a fixed one, so that what is expected does not depend on where the tests run.
 */
#include "driver/run_pass.h"

#include <string.h>

#include "passes/passes.h"

typedef struct PassRow {
  const char *name;
  EquationsPass *run;
} PassRow;

static const PassRow pass_rows[] = {
#define PASS(name, is_optional, help) {#name, pass_##name},
#include "passes/passes.def"
#undef PASS
};

const char *run_pass(Arena *arena, Program *program, const char *name, Diagnostics *diagnostics) {
  static const Machine machine = {
      .lanes = 8, .registers = 16, .tile_rows = 6, .tile_vectors = 2, .l1_bytes = 32768, .l2_bytes = 1 << 20};
  PassContext context = {.diagnostics = diagnostics, .machine = &machine, .optimisation = 2, .piece_steps = 4};
  for (size_t row = 0; row < sizeof pass_rows / sizeof pass_rows[0]; row++) {
    if (strcmp(pass_rows[row].name, name) != 0) continue;
    pass_rows[row].run(program, &context);
    const char *violation = equations_verify(program);
    if (violation) internal_error("pass '%s' left an illegal program: %s", name, violation);
  }
  Text text = {.arena = arena};
  equations_print(&text, program);
  return text_string(&text);
}
