/* unroll.c - a repeat whose turns are equations of their own, so that sizes, lags and states may differ between them.
 *
 * The turn is a constant of its body. What the body assigns is handed on as in any repeat: a turn reads what the one
 * before it left, and after the repeat the name is what the last turn left.
 */
#include <stdlib.h>

#include "frontend/elaborate.h"

enum { MOST_TURNS = 1 << 12 };

/* One name that turns hand on; `now` is what the last one so far left. */
typedef struct Handed {
  const char *text;
  const Node *target;
  View *now;
} Handed;

typedef struct Unrolling {
  Elaboration *elaboration;
  Scope *scope;
  const Node *node;
  int position, count;
  Handed *handed;
} Unrolling;

static bool evaluate_bound(Elaboration *elaboration, Scope *scope, const Node *node, int64_t *out_value) {
  Value value = evaluate(elaboration, scope, node, true);
  if (value.kind == VALUE_SIZE && value.size.symbol == NONE) {
    *out_value = value.size.constant;
    return true;
  }
  if (value.kind != VALUE_ERROR)
    ERROR_AT(elaboration, node->source, "the range of 'unroll' is given by integers that constants or the config give");
  return false;
}

static Handed *find_handed(Unrolling *unrolling, const char *text) {
  for (int n = 0; n < unrolling->count; n++)
    if (!strcmp(unrolling->handed[n].text, text)) return &unrolling->handed[n];
  return NULL;
}

/* What a name of the body is before this turn; NULL: it belongs to the turn alone. */
static View *view_before(Unrolling *unrolling, const char *text) {
  const Handed *handed = find_handed(unrolling, text);
  if (handed) return handed->now;
  int position = unrolling->position;
  Name *around = scope_find(unrolling->scope, text, &position);
  return around && around->kind == NAME_TENSOR ? name_view(around, position) : NULL;
}

static void hand_in(Unrolling *unrolling, Scope *body, const Node *target) {
  Elaboration *elaboration = unrolling->elaboration;
  if (!strncmp(target->text, "state.", 6) || mentions_turn(target, body->turn_name)) return;
  if (scope_find_local(body, target->text)) return;
  View *before = view_before(unrolling, target->text);
  if (!before) return;
  Name *name = scope_add(elaboration, body, NAME_TENSOR, target->text, target->source);
  name_define(elaboration, name, before, 0);
  name->defined = NULL;
  if (find_handed(unrolling, target->text)) return;
  Handed handed = {target->text, target, before};
  ARENA_PUSH(elaboration->arena, unrolling->handed, unrolling->count, handed);
}

/* Repeats inside hand on what they assign, so they ask for the names of this body too. */
static void hand_in_all(Unrolling *unrolling, Scope *body, NodeList statements) {
  for (int n = 0; n < statements.count; n++) {
    const Node *node = statements.nodes[n];
    if (node->kind == NODE_REPEAT) hand_in_all(unrolling, body, node->body);
    if (node->kind == NODE_CHOICE) hand_in_all(unrolling, body, node->body), hand_in_all(unrolling, body, node->outputs);
    for (int m = 0; node->kind == NODE_EQUATION && m < node->items.count; m++) hand_in(unrolling, body, node->items.nodes[m]);
  }
}

static void declare_turn(Unrolling *unrolling, int64_t value) {
  Elaboration *elaboration = unrolling->elaboration;
  const Node *node = unrolling->node;
  Scope *body = scope_create(elaboration, unrolling->scope, node);
  body->position = unrolling->position;
  body->turn_name = node->text;
  if (node->extra)
    body->parameter_names = names_apply(elaboration->arena, unrolling->scope->parameter_names,
                                        names_template(elaboration->arena, node->extra));
  Name *turn = scope_add(elaboration, body, NAME_CONSTANT, node->text, node->source);
  turn->is_turn = true;
  turn->known = (Value){.kind = VALUE_SIZE, .size = size_constant(value)};
  cell_set(elaboration, turn->cell, turn->known.size, node->source, NULL, node->source, node->text);
  body->unrolled = turn;
  declare_sizes_and_parameters(elaboration, body);
  hand_in_all(unrolling, body, body->statements);
  declare_statements(elaboration, body);
  for (int n = 0; n < unrolling->count; n++) {
    Handed *handed = &unrolling->handed[n];
    const Name *name = scope_find_local(body, handed->text);
    if (name && name->defined && name->defined->entity) handed->now = name->defined; /* else it stays what it was */
  }
}

void declare_unrolled(Elaboration *elaboration, Scope *scope, int position, const Node *node) {
  int64_t low = 0, high = 0;
  if (!evaluate_bound(elaboration, scope, node->left, &low) || !evaluate_bound(elaboration, scope, node->right, &high)) return;
  if (high < low || high - low > MOST_TURNS) {
    ERROR_AT(elaboration, node->source, "the range of '%s' is %lld..%lld, expected between 0 and %d turns", node->text,
             (long long)low, (long long)high, MOST_TURNS);
    return;
  }
  Unrolling unrolling = {elaboration, scope, node, position, 0, NULL};
  for (int64_t value = low; value < high; value++) declare_turn(&unrolling, value);
  for (int n = 0; n < unrolling.count; n++) {
    int seen_from = position;
    Name *around = scope_find(scope, unrolling.handed[n].text, &seen_from);
    name_define(elaboration, around, unrolling.handed[n].now, seen_from + 1);
  }
}

/* ---- the turn in public names ---- */

/* "{l}" and "{2*l+1}" become numbers; "{...}" of other repeats stay. */
static const char *replace_turn(Elaboration *elaboration, const char *text, const Name *turn) {
  Text result = {.arena = elaboration->arena};
  while (*text) {
    const char *close = *text == '{' ? strchr(text, '}') : NULL;
    int64_t scale = 0, offset = 0;
    if (close && parse_turn(text + 1, close, turn->text, &scale, &offset)) {
      text_format(&result, "%lld", (long long)(scale * turn->known.size.constant + offset));
      text = close + 1;
    } else {
      text_format(&result, "%c", *text++);
    }
  }
  return text_string(&result);
}

const char *names_of_turns(Elaboration *elaboration, const Scope *scope, const char *text) {
  for (; scope; scope = scope->parent ? scope->parent : scope->caller)
    if (scope->unrolled) text = replace_turn(elaboration, text, scope->unrolled);
  return text;
}
