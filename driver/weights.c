/* weights.c - a checkpoint beside a model. Everything that does not fit is said at once: counts, then the first few of each kind. */
#include "driver/weights.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "seqrt/weights.h"

enum { MOST_LISTED = 6 }; /* of each kind: three kinds and what sums them up are fewer than diagnostics keep */

/* ---- shapes ---- */

const char *shape_text(Arena *arena, int rank, const int64_t *shape) {
  Text text = {.arena = arena};
  text_add(&text, "(");
  for (int axis = 0; axis < rank; axis++) text_format(&text, "%s%lld", axis ? ", " : "", (long long)shape[axis]);
  text_add(&text, ")");
  return text_string(&text);
}

bool shape_is_finer(int rank, const int64_t *shape, int stored_rank, const int64_t *stored) {
  int axis = 0;
  for (int s = 0; s < stored_rank; s++) {
    int64_t product = 1;
    while (axis < rank && (product < stored[s] || shape[axis] == 1)) product *= shape[axis++];
    if (product != stored[s]) return false;
  }
  while (axis < rank && shape[axis] == 1) axis++;
  return axis == rank;
}

/* ---- before the model is read ---- */

void weights_add_known(Arena *arena, const Reference *weights, FrontendOptions *frontend) {
  KnownShape *shapes = ARENA_ARRAY(arena, KnownShape, frontend->known_shape_count + weights->tensor_count);
  if (frontend->known_shape_count) memcpy(shapes, frontend->known_shapes, sizeof *shapes * (size_t)frontend->known_shape_count);
  for (int n = 0; n < weights->tensor_count; n++) {
    const ReferenceTensor *tensor = &weights->tensors[n];
    shapes[frontend->known_shape_count++] = (KnownShape){arena_format(arena, "param.%s", tensor->name), tensor->rank,
                                                         tensor->shape, weights->path};
  }
  frontend->known_shapes = shapes;
  if (!weights->config || frontend->config_count) return;
  Config *config = ARENA_NEW(arena, Config);
  *config = (Config){weights->config, weights->config_path};
  frontend->configs = config;
  frontend->config_count = 1;
}

static FrontendOptions without_parameters(Arena *arena, const FrontendOptions *frontend) {
  FrontendOptions options = *frontend;
  KnownShape *shapes = ARENA_ARRAY(arena, KnownShape, frontend->known_shape_count);
  options.known_shape_count = 0;
  for (int n = 0; n < frontend->known_shape_count; n++)
    if (strncmp(frontend->known_shapes[n].name, "param.", 6) != 0)
      shapes[options.known_shape_count++] = frontend->known_shapes[n];
  options.known_shapes = shapes;
  return options;
}

FrontendResult weights_compile(Arena *arena, const char *model, const FrontendOptions *frontend, const Reference *weights,
                               bool wants_ast, Diagnostics *diagnostics) {
  FrontendResult result = frontend_compile(arena, model, frontend, wants_ast, diagnostics);
  if (!weights) return result;
  if (result.program) {
    weights_check(arena, result.program, weights, "", diagnostics);
    return result;
  }
  if (!model || strcmp(model, "-") == 0) return result; /* standard input cannot be read again */
  FrontendOptions options = without_parameters(arena, frontend);
  FrontendResult again = frontend_compile(arena, model, &options, false, diagnostics_create(arena));
  if (again.program) weights_check(arena, again.program, weights, "", diagnostics);
  return result;
}

/* ---- after it ---- */

/* One comparison under way. */
typedef struct Fit {
  Arena *arena;
  const Program *program;
  const Reference *weights;
  const char *prefix;
  int missing, extra, misshapen;
  Diagnostics *diagnostics; /* NULL while counting */
} Fit;

static bool is_listed(const Fit *fit, int *count) { return ++*count <= MOST_LISTED && fit->diagnostics; }

static void check_turns(Fit *fit, const Port *port) {
  int64_t turns = port->has_turns ? fit->program->tensors[port->tensor].shape[0].constant : 1;
  int64_t missing = 0, misshapen = 0;
  const char *missing_name = NULL;
  const ReferenceTensor *wrong = NULL;
  for (int64_t turn = 0; turn < turns; turn++) {
    const char *name = port_turn_name(fit->arena, port, turn);
    const ReferenceTensor *tensor = reference_find(fit->weights, arena_format(fit->arena, "%s%s", fit->prefix, name));
    if (!tensor && missing++ == 0) missing_name = name;
    if (!tensor || shape_is_finer(port->stored_rank, port->stored_shape, tensor->rank, tensor->shape)) continue;
    if (misshapen++ == 0) wrong = tensor;
  }
  if (missing && is_listed(fit, &fit->missing))
    diagnostics_error(fit->diagnostics, port->source, "parameter '%s' is missing from '%s'%s", missing_name, fit->weights->path,
                      missing > 1 ? arena_format(fit->arena, ", and so are %lld other turns of it", (long long)missing - 1) : "");
  if (misshapen && is_listed(fit, &fit->misshapen))
    diagnostics_error(fit->diagnostics, port->source, "'%s' has shape %s in the model, but '%s' in '%s' has %s%s", port->name,
                      shape_text(fit->arena, port->stored_rank, port->stored_shape), wrong->name, fit->weights->path,
                      shape_text(fit->arena, wrong->rank, wrong->shape),
                      misshapen > 1 ? arena_format(fit->arena, ", and so it is in %lld other turns", (long long)misshapen - 1)
                                    : "");
}

static bool is_ignored(const Program *program, const char *name) {
  for (int n = 0; n < program->ignored_count; n++)
    if (pattern_matches(program->ignored[n], name)) return true;
  return false;
}

/* Whether the name is that of a port or, where it has turns, of one of them; there may be many, so no names are made. */
static bool is_name_of(const Fit *fit, const Port *port, const char *name) {
  const char *place = port->has_turns ? strstr(port->name, "{}") : NULL;
  if (!place) return strcmp(port->name, name) == 0;
  size_t before = (size_t)(place - port->name);
  if (strncmp(port->name, name, before) != 0) return false;
  const char *digits = name + before, *end = digits + strspn(digits, "0123456789");
  if (end == digits || end - digits > 9 || (*digits == '0' && end - digits > 1) || strcmp(end, place + 2) != 0) return false;
  int64_t number = strtol(digits, NULL, 10) - port->turn_offset, turns = fit->program->tensors[port->tensor].shape[0].constant;
  if (port->turn_scale == 0) return number == 0;
  return number % port->turn_scale == 0 && number / port->turn_scale >= 0 && number / port->turn_scale < turns;
}

static bool is_parameter(const Fit *fit, const char *name) {
  for (int n = 0; n < fit->program->port_count; n++)
    if (fit->program->ports[n].kind == PORT_PARAMETER && is_name_of(fit, &fit->program->ports[n], name)) return true;
  return false;
}

static void check_extra(Fit *fit, const ReferenceTensor *tensor) {
  size_t length = strlen(fit->prefix);
  const char *name = tensor->name + length;
  if (strncmp(tensor->name, fit->prefix, length) != 0 || is_parameter(fit, name) || is_ignored(fit->program, name)) return;
  if (is_listed(fit, &fit->extra))
    diagnostics_error(fit->diagnostics, fit->program->source, "the model declares no parameter '%s', which '%s' holds", name,
                      fit->weights->path);
}

static void check_all(Fit *fit) {
  fit->missing = fit->misshapen = fit->extra = 0;
  for (int n = 0; n < fit->program->port_count; n++)
    if (fit->program->ports[n].kind == PORT_PARAMETER) check_turns(fit, &fit->program->ports[n]);
  for (int n = 0; n < fit->weights->tensor_count; n++) check_extra(fit, &fit->weights->tensors[n]);
}

bool weights_check(Arena *arena, const Program *program, const Reference *weights, const char *prefix, Diagnostics *diagnostics) {
  Fit fit = {.arena = arena, .program = program, .weights = weights, .prefix = prefix};
  check_all(&fit);
  if (!fit.missing && !fit.extra && !fit.misshapen) return true;
  diagnostics_error(
      diagnostics, program->source,
      "'%s' does not fit the model: parameters that are missing: %d, of another shape: %d, tensors of no parameter: %d",
      weights->path, fit.missing, fit.misshapen, fit.extra);
  if (fit.extra) diagnostics_note(diagnostics, (SourceRange){0}, "'ignore \"NAME\"' in the model file leaves tensors alone");
  fit.diagnostics = diagnostics;
  check_all(&fit);
  return false;
}

/* ---- files ---- */

int weights_file_count(const Reference *weights) {
  return seqrt_weights_file_count(weights->weights) + (weights->config != NULL);
}

const char *weights_file(const Reference *weights, int index) {
  const char *file = seqrt_weights_file(weights->weights, index);
  return file ? file : weights->config_path;
}
