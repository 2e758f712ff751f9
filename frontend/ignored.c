/* ignored.c - `ignore "pooler.*"`: arrays of a checkpoint that belong to no parameter. */
#include "frontend/elaborate.h"

/* A pattern stands under the names of the calls around it, as a parameter would; the turn of a repeat may be any. */
void declare_ignored(Elaboration *elaboration, Scope *scope, const Node *node) {
  const char *pattern = names_of_turns(elaboration, scope, names_apply(elaboration->arena, scope->parameter_names, node->text));
  Text text = {.arena = elaboration->arena};
  for (const char *next = pattern; *next;) {
    const char *close = *next == '{' ? strchr(next, '}') : NULL;
    text_format(&text, "%c", close ? '*' : *next);
    next = close ? close + 1 : next + 1;
  }
  IgnoreEntry entry = {text_string(&text), node};
  if (!*node->text) ERROR_AT(elaboration, node->source, "expected the name of a tensor, in which '*' stands for any characters");
  ARENA_PUSH(elaboration->arena, elaboration->ignores, elaboration->ignore_count, entry);
}

/* A parameter cannot be left alone. */
static void check_parameters(Elaboration *elaboration, const Program *program, const IgnoreEntry *entry) {
  for (int n = 0; n < program->port_count; n++) {
    const Port *port = &program->ports[n];
    if (port->kind != PORT_PARAMETER) continue;
    int64_t turns = port->has_turns ? program->tensors[port->tensor].shape[0].constant : 1;
    for (int64_t turn = 0; turn < turns; turn++) {
      const char *name = port_turn_name(elaboration->arena, port, turn);
      if (!pattern_matches(entry->pattern, name)) continue;
      ERROR_AT(elaboration, entry->node->source, "'%s' is ignored here, but a parameter of the model", name);
      NOTE_AT(elaboration, port->source, "it is declared here");
      break;
    }
  }
}

void add_ignored(Elaboration *elaboration, Program *program) {
  for (int n = 0; n < elaboration->ignore_count; n++) {
    check_parameters(elaboration, program, &elaboration->ignores[n]);
    program_add_ignored(program, elaboration->ignores[n].pattern);
  }
}
