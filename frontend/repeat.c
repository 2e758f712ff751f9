/* repeat.c - a repeat is one more axis on everything in its body; what is carried reads the turn before.
 *
 * A carried x is two tensors: `x.in[l] = x.out[l-1]`, before the first turn the x from outside, and x.out, which the
 * body defines. After the repeat x is the last turn of x.out.
 */
#include "frontend/elaborate.h"

bool mentions_turn(const Node *target, const char *turn) {
  for (int n = 0; n < target->items.count; n++) {
    const Node *item = target->items.nodes[n];
    if (item->kind == NODE_NAME && !strcmp(item->text, turn)) return true;
    if (item->kind != NODE_BINARY) continue;
    if (item->left->kind == NODE_NAME && !strcmp(item->left->text, turn)) return true;
    if (item->right->kind == NODE_NAME && !strcmp(item->right->text, turn)) return true;
  }
  return false;
}

static void carry(Elaboration *elaboration, Scope *scope, Scope *body, const Node *target) {
  if (!strncmp(target->text, "state.", 6) || scope_find_local(body, target->text)) return;
  int position = body->position;
  Name *around = scope_find(scope, target->text, &position);
  View *before = around && around->kind == NAME_TENSOR ? name_view(around, position) : NULL;
  if (!before) return;
  Name *name = scope_add(elaboration, body, NAME_TENSOR, target->text, target->source);
  const char *label = scope_tensor_name(elaboration, body, arena_format(elaboration->arena, "%s.in", target->text));
  Entity *incoming = entity_create(elaboration, body, ROLE_LOCAL, label, before->rank, target->source);
  for (int n = 0; n < before->rank; n++) incoming->axes[incoming->outer_count + n] = before->axes[n];
  name_define(elaboration, name, view_of_entity(elaboration, body, incoming), 0);
  name->defined = NULL;
  name->declared_rank = before->rank;
  name->declared = before->axes;
  CarryEntry entry = {incoming, name, before, body, target};
  ARENA_PUSH(elaboration->arena, elaboration->carries, elaboration->carry_count, entry);
}

/* All that the body assigns, inner repeats included, except what collects the turns. */
static void carry_all(Elaboration *elaboration, Scope *scope, Scope *body, NodeList statements, const char *const *turns,
                      int turn_count) {
  for (int n = 0; n < statements.count; n++) {
    const Node *node = statements.nodes[n];
    if (node->kind == NODE_REPEAT && turn_count < 8) {
      const char *inner[9];
      memcpy(inner, turns, sizeof *inner * (size_t)turn_count);
      inner[turn_count] = node->text;
      carry_all(elaboration, scope, body, node->body, inner, turn_count + 1);
    }
    if (node->kind == NODE_CHOICE) { /* of a repeat inside: not decided yet */
      carry_all(elaboration, scope, body, node->body, turns, turn_count);
      carry_all(elaboration, scope, body, node->outputs, turns, turn_count);
    }
    for (int m = 0; node->kind == NODE_EQUATION && m < node->items.count; m++) {
      bool collects = false;
      for (int t = 0; t < turn_count; t++) collects |= mentions_turn(node->items.nodes[m], turns[t]);
      if (!collects) carry(elaboration, scope, body, node->items.nodes[m]);
    }
  }
}

static View *after_last_turn(Elaboration *elaboration, const View *view, const Variable *turn) {
  View *after = ARENA_NEW(elaboration->arena, View);
  *after = *view;
  after->subscripts = ARENA_ARRAY(elaboration->arena, const Term *, view->entity->rank);
  for (int n = 0; n < view->entity->rank; n++) {
    const Term *term = view->subscripts[n];
    bool is_turn = term->kind == TERM_RAW && term->variable == turn;
    after->subscripts[n] = is_turn ? term_variable(elaboration, TERM_LAST, term->variable, term->source) : term;
  }
  return after;
}

void declare_repeat(Elaboration *elaboration, Scope *scope, int position, const Node *node) {
  Scope *body = scope_create(elaboration, scope, node);
  body->position = position;
  Variable *turn = variable_create(elaboration, node->text, node->source);
  turn->is_turn = true;
  turn->low = node->left;
  turn->high = node->right;
  turn->scope = scope;
  Constraint range = {.kind = CONSTRAINT_RANGE, .variable = turn, .source = node->source};
  constraint_add(elaboration, range);
  body->turn = turn;
  body->turn_name = turn->name;
  body->outers = ARENA_ARRAY(elaboration->arena, Variable *, scope->outer_count + 1);
  for (int n = 0; n < scope->outer_count; n++) body->outers[n] = scope->outers[n];
  body->outers[scope->outer_count] = turn;
  body->outer_count = scope->outer_count + 1;
  if (node->extra)
    body->parameter_names = names_apply(elaboration->arena, scope->parameter_names,
                                        names_template(elaboration->arena, node->extra));
  Name *name = scope_add(elaboration, body, NAME_TURN, node->text, node->source);
  if (name) name->turn = turn;
  declare_sizes_and_parameters(elaboration, body);
  int first = elaboration->carry_count;
  carry_all(elaboration, scope, body, body->statements, &node->text, 1);
  int last = elaboration->carry_count;
  declare_statements(elaboration, body);
  for (int n = first; n < last; n++) {
    const CarryEntry *entry = &elaboration->carries[n];
    if (!entry->name->defined) /* a choice in a repeat inside left its equation out: it stays what it was */
      declare_copy(elaboration, body, 0, entry->node, entry->node, entry->before->rank);
    if (!entry->name->defined || !entry->name->defined->entity) continue; /* reported */
    int seen_from = position;
    Name *around = scope_find(scope, entry->name->text, &seen_from);
    name_define(elaboration, around, after_last_turn(elaboration, entry->name->defined, turn), seen_from + 1);
  }
}
