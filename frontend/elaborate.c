/* elaborate.c - the stages of the elaboration, in order. Each ends when it has reported errors. */
#include "frontend/elaborate.h"

static bool has_errors(const Elaboration *elaboration) { return diagnostics_error_count(elaboration->diagnostics) > 0; }

/* `: int` in a layer's header is a promise of the caller. */
static void check_formals(Elaboration *elaboration) {
  for (int n = 0; n < elaboration->formal_count; n++) {
    const FormalEntry *formal = &elaboration->formals[n];
    const View *view = formal->name->versions[0].view;
    const char *declared = formal->name->declared_type ? formal->name->declared_type : type_names[TYPE_REAL];
    if (!view->entity || !formal->actual) continue;
    const char *found = view->entity->is_complex ? COMPLEX_TYPE : type_names[view->entity->type];
    bool is_number = !view->entity->is_complex && view->entity->type != TYPE_BOOL;
    bool is_fine = !strcmp(declared, found) || (!formal->name->declared_type && view->entity->type == TYPE_INT) ||
                   (!strcmp(declared, COMPLEX_TYPE) && is_number);
    if (is_fine) continue;
    ERROR_AT(elaboration, formal->actual->source, "wrong type: the input '%s' of '%s' is %s, found %s", formal->formal->text,
             formal->scope->node->text, declared, found);
    NOTE_AT(elaboration, formal->formal->source, "it is declared here");
  }
}

static Program *run_stages(Elaboration *elaboration, const Node *model) {
  declare_model(elaboration, model);
  if (has_errors(elaboration)) return NULL;
  apply_known_shapes(elaboration);
  solve_sizes(elaboration, false); /* what is known by now is not blamed later */
  if (has_errors(elaboration)) return NULL;
  bind_formals(elaboration);
  if (has_errors(elaboration)) return NULL;
  resolve_carries(elaboration);
  resolve_targets(elaboration);
  resolve_objective(elaboration);
  constrain_targets(elaboration);
  if (has_errors(elaboration)) return NULL;
  solve_sizes(elaboration, true);
  if (has_errors(elaboration)) return NULL;
  report_open_sizes(elaboration);
  if (has_errors(elaboration)) return NULL;
  check_requirements(elaboration);
  if (has_errors(elaboration)) return NULL;
  split_complex(elaboration);
  if (has_errors(elaboration)) return NULL;
  infer_types(elaboration);
  check_formals(elaboration);
  create_tensors(elaboration);
  build_equations(elaboration);
  if (has_errors(elaboration)) return NULL;
  make_boundaries(elaboration);
  if (has_errors(elaboration)) return NULL;
  const int *components = find_components(elaboration);
  if (has_errors(elaboration)) return NULL;
  make_chains(elaboration, components);
  return finish_program(elaboration);
}

void elaborate(Arena *arena, Library *library, const FrontendOptions *options, Diagnostics *diagnostics, FrontendResult *out_result) {
  const Node *model = library_entry(library, options->layer, diagnostics);
  if (!model) return;
  Elaboration *elaboration = ARENA_NEW(arena, Elaboration);
  elaboration->arena = arena;
  elaboration->diagnostics = diagnostics;
  elaboration->options = options;
  elaboration->library = library;
  elaboration->draft = program_create(arena, model->text);
  elaboration->draft->source = model->source;
  elaboration->batch = program_add_symbol(elaboration->draft, SYMBOL_BATCH, "B");
  Program *program = config_open(elaboration) ? run_stages(elaboration, model) : NULL;
  config_close(elaboration);
  out_result->chosen_count = elaboration->chosen_count;
  out_result->chosen = elaboration->chosen;
  if (!program || has_errors(elaboration)) return;
  const char *violation = equations_verify(program);
  if (violation) internal_error("the front end made an illegal program: %s", violation);
  out_result->program = program;
}
