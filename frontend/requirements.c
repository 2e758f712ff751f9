/* requirements.c - `require condition`: what must hold for the model to be right, decided when all sizes are known. */
#include "frontend/elaborate.h"

static const char *value_text(Elaboration *elaboration, Value value) {
  switch (value.kind) {
  case VALUE_SIZE: return size_text(elaboration, value.size);
  case VALUE_REAL: return arena_format(elaboration->arena, "%g", value.real);
  case VALUE_BOOLEAN: return value.boolean ? "true" : "false";
  case VALUE_STRING: return arena_format(elaboration->arena, "\"%s\"", value.text);
  default: return "nothing";
  }
}

/* Of a comparison: what stands on either side. */
static void note_sides(Elaboration *elaboration, const RequirementEntry *entry) {
  const Node *condition = entry->node->left;
  if (condition->kind != NODE_BINARY || !strchr("<>=!", condition->text[0])) return;
  const Node *sides[] = {condition->left, condition->right};
  for (int n = 0; n < 2; n++) {
    bool is_written = sides[n]->kind == NODE_INTEGER || sides[n]->kind == NODE_REAL || sides[n]->kind == NODE_STRING;
    if (is_written || sides[n]->kind == NODE_BOOLEAN) continue;
    NOTE_AT(elaboration, sides[n]->source, "this is %s", value_text(elaboration, evaluate(elaboration, entry->scope, sides[n], true)));
  }
}

/* False when reported. */
static bool check_value(Elaboration *elaboration, const RequirementEntry *entry, Value value, const Name *turn) {
  const Node *node = entry->node;
  if (value.kind == VALUE_BOOLEAN && value.boolean) return true;
  if (value.kind == VALUE_ERROR) return false;
  if (value.kind != VALUE_BOOLEAN) {
    ERROR_AT(elaboration, node->source, value.kind == VALUE_UNKNOWN ? "'require' takes what is known while compiling"
                                                                     : "expected a truth value");
    return false;
  }
  const char *where = turn ? arena_format(elaboration->arena, " in turn %lld of '%s'", (long long)turn->known.size.constant, turn->text) : "";
  ERROR_AT(elaboration, node->source, "this does not hold%s%s%s", where, node->text ? ": " : "", node->text ? node->text : "");
  note_sides(elaboration, entry);
  for (const Scope *scope = entry->scope; scope; scope = scope->parent)
    if (scope->call) NOTE_AT(elaboration, scope->call->source, "in this call");
  return false;
}

void check_requirements(Elaboration *elaboration) {
  for (int n = 0; n < elaboration->requirement_count; n++) {
    const RequirementEntry *entry = &elaboration->requirements[n];
    elaboration->turn_met = NULL;
    Value value = evaluate(elaboration, entry->scope, entry->node->left, true);
    Name *turn = elaboration->turn_met;
    elaboration->turn_met = NULL;
    if (!turn) check_value(elaboration, entry, value, NULL);
    bool holds = turn != NULL;
    for (int64_t k = 0; holds && k < cell_size(turn->turn->extent).constant; k++) {
      turn->known = (Value){.kind = VALUE_SIZE, .size = size_constant(turn->turn->offset + k)};
      holds = check_value(elaboration, entry, evaluate(elaboration, entry->scope, entry->node->left, true), turn);
    }
    if (turn) turn->known = (Value){.kind = VALUE_UNKNOWN};
  }
}
