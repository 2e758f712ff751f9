/* check_runs.c - names of the file: the model's public names behind a prefix, before a suffix where the file holds several runs.
 *
 * A file may hold inputs of several runs, each with lengths of its own: `input.token_text` and `input.token_chat` for the input
 * `token`. The suffix marks what belongs to a run; what has none is shared by all. A result without suffix belongs to one of the runs, which the
 * file does not say: it is compared with the run that comes nearest.
 */
#include <string.h>

#include "driver/check_internal.h"

const char *turn_name(Arena *arena, const char *name, int64_t scale, int64_t offset, int64_t turn) {
  const char *place = strstr(name, "{}");
  if (!place) return name;
  return arena_format(arena, "%.*s%lld%s", (int)(place - name), name, (long long)(scale * turn + offset), place + 2);
}

/* The name without the prefix, or NULL when it has another one. */
const char *without_prefix(const char *name, const char *prefix) {
  size_t length = strlen(prefix);
  return strncmp(name, prefix, length) == 0 ? name + length : NULL;
}

static const char *full_name(Arena *arena, const char *prefix, const char *name, const char *suffix) {
  return arena_format(arena, "%s%s%s%s", prefix, name, suffix ? "_" : "", suffix ? suffix : "");
}

/* The tensors of all turns as one, whose first axis is the turn. */
static const ReferenceTensor *stack_turns(const Check *check, const char *prefix, const char *name, const char *suffix) {
  Arena *arena = check->arena;
  const ReferenceTensor *first = NULL, *next = NULL;
  double *values = NULL;
  int64_t turns = 0, capacity = 0;
  while ((next = reference_find(check->reference, full_name(arena, prefix, turn_name(arena, name, 1, 0, turns), suffix)))) {
    if (!first) first = next;
    if (next->elements != first->elements) break;
    if (turns == capacity) {
      double *bigger = ARENA_ARRAY(arena, double, (capacity = 2 * capacity + 4) * first->elements);
      if (turns) memcpy(bigger, values, sizeof *values * (size_t)(turns * first->elements));
      values = bigger;
    }
    memcpy(values + turns++ * first->elements, next->values, sizeof *values * (size_t)first->elements);
  }
  if (!first) return NULL;
  ReferenceTensor *stack = arena_copy(arena, first, sizeof *stack);
  int64_t *shape = ARENA_ARRAY(arena, int64_t, first->rank + 1);
  shape[0] = turns;
  memcpy(shape + 1, first->shape, sizeof *shape * (size_t)first->rank);
  stack->rank++;
  stack->shape = shape;
  stack->elements *= turns;
  stack->values = values;
  return stack;
}

static const ReferenceTensor *find_with(const Check *check, const char *prefix, const char *name, const char *suffix) {
  if (strstr(name, "{}")) return stack_turns(check, prefix, name, suffix);
  return reference_find(check->reference, full_name(check->arena, prefix, name, suffix));
}

const ReferenceTensor *check_find(const Check *check, const char *prefix, const char *name) {
  const ReferenceTensor *tensor = check->suffix ? find_with(check, prefix, name, check->suffix) : NULL;
  return tensor ? tensor : find_with(check, prefix, name, NULL);
}

bool check_is_shared(const Check *check, const char *prefix, const char *name) {
  return check->suffix && !find_with(check, prefix, name, check->suffix) && find_with(check, prefix, name, NULL);
}

const char *check_file_name(const Check *check, const char *prefix, const char *name) {
  const char *name_of_run = full_name(check->arena, prefix, name, check->suffix);
  return reference_find(check->reference, name_of_run) ? name_of_run : full_name(check->arena, prefix, name, NULL);
}

/* ---- which runs there are ---- */

static const char *find_port_name(const Check *check, PortKind kind, const char *name) {
  const Program *program = check->lowered.batched;
  for (int i = 0; i < program->port_count; i++) {
    const Port *port = &program->ports[i];
    if (port->kind != kind) continue;
    if (strcmp(port->name, name) == 0) return port->name;
    if (!strstr(port->name, "{}")) continue;
    for (int64_t turn = 0; turn < program->tensors[port->tensor].shape[0].constant; turn++)
      if (strcmp(turn_name(check->arena, port->name, 1, 0, turn), name) == 0) return port->name;
  }
  return NULL;
}

const char *check_split_name(const Check *check, const char *name, const char **out_run) {
  size_t length = strlen(name);
  *out_run = NULL;
  for (int run = 0; run < check->run_count; run++) {
    size_t suffix = check->runs[run] ? strlen(check->runs[run]) + 1 : length;
    if (suffix >= length || name[length - suffix] != '_' || strcmp(name + length - suffix + 1, check->runs[run]) != 0) continue;
    if (!*out_run || strlen(*out_run) < suffix - 1) *out_run = check->runs[run];
  }
  return *out_run ? arena_string_length(check->arena, name, length - strlen(*out_run) - 1) : name;
}

const char *check_port_name(const Check *check, PortKind kind, const char *name) {
  const char *run, *known = find_port_name(check, kind, name);
  return known ? known : find_port_name(check, kind, check_split_name(check, name, &run));
}

/* The suffix that makes an input of the file one of the model, the shortest there is; NULL when none does. */
static const char *find_suffix(const Check *check, const char *name, const char **out_input) {
  for (const char *place = name + strlen(name); place > name; place--) {
    if (*place != '_' || !place[1]) continue;
    *out_input = find_port_name(check, PORT_INPUT, arena_string_length(check->arena, name, (size_t)(place - name)));
    if (*out_input) return place + 1;
  }
  return NULL;
}

bool check_find_runs(Check *check) {
  const Program *program = check->lowered.batched;
  int errors = diagnostics_error_count(check->diagnostics);
  check->run_count = 0;
  for (int i = 0; i < check->reference->tensor_count; i++) {
    const char *name = without_prefix(check->reference->tensors[i].name, "input."), *input;
    if (!name || find_port_name(check, PORT_INPUT, name)) continue;
    const char *suffix = find_suffix(check, name, &input);
    if (!suffix) continue;
    if (reference_find(check->reference, full_name(check->arena, "input.", input, NULL)))
      diagnostics_error(check->diagnostics, program->source,
                        "'%s' holds the input '%s' both alone and as '%s': the suffix '%s' marks a run", check->reference->path,
                        input, name, suffix);
    bool is_known = false;
    for (int run = 0; run < check->run_count; run++) is_known |= strcmp(check->runs[run], suffix) == 0;
    if (!is_known) ARENA_PUSH(check->arena, check->runs, check->run_count, suffix);
  }
  if (check->run_count == 0) ARENA_PUSH(check->arena, check->runs, check->run_count, NULL);
  return diagnostics_error_count(check->diagnostics) == errors;
}
