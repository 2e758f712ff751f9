/* expr_walk.c - comparing, visiting and rewriting expressions.
 *
 * Each walk remembers the nodes it has seen, so its time is linear in the number of distinct nodes
 * however often they are shared.
 */
#include "ir/expr.h"
#include "ir/pair_map.h"

/* Children in order: arguments, outside, guard. */
static int child_count(const Expr *expr) { return expr->arg_count + 2; }

static const Expr *child_of(const Expr *expr, int n) {
  if (n < expr->arg_count) return expr->args[n];
  return n == expr->arg_count ? expr->outside : expr->guard;
}

static bool same_node(const Expr *a, const Expr *b) {
  return a->hash == b->hash && a->op == b->op && a->type == b->type && a->id == b->id && a->integer == b->integer &&
         a->arg_count == b->arg_count && !memcmp(&a->number, &b->number, sizeof a->number);
}

static bool equal(PairMap *known, const Expr *a, const Expr *b) {
  if (a == b) return true;
  if (!a || !b || !same_node(a, b)) return false;
  if (!a->arg_count && !a->outside && !a->guard) return !b->outside && !b->guard;
  const void *ignored;
  if (pair_map_find(known, a, b, &ignored)) return true;
  for (int n = 0; n < child_count(a); n++)
    if (!equal(known, child_of(a, n), child_of(b, n))) return false;
  pair_map_add(known, a, b, NULL);
  return true;
}

bool expr_equal(const Expr *a, const Expr *b) {
  if (a == b) return true;
  if (!same_node(a, b)) return false;
  PairMap known;
  pair_map_begin(&known);
  bool is_equal = equal(&known, a, b);
  pair_map_end(&known);
  return is_equal;
}

static bool uses_index(PairMap *seen, const Expr *expr, int index) {
  if (expr->op == OP_INDEX) return expr->id == index;
  if (!expr->arg_count && !expr->outside && !expr->guard) return false;
  const void *ignored;
  if (pair_map_find(seen, expr, NULL, &ignored)) return false;
  pair_map_add(seen, expr, NULL, NULL);
  for (int n = 0; n < child_count(expr); n++) {
    const Expr *child = child_of(expr, n);
    if (child && uses_index(seen, child, index)) return true;
  }
  return false;
}

bool expr_uses_index(const Expr *expr, int index) {
  PairMap seen;
  pair_map_begin(&seen);
  bool is_used = uses_index(&seen, expr, index);
  pair_map_end(&seen);
  return is_used;
}

typedef struct Order {
  PairMap seen;
  Arena *arena;
  const Expr **nodes;
  size_t count;
} Order;

/* Children before parents and last before first, so that the reverse is what a visitor sees. */
static void order_nodes(Order *order, const Expr *expr) {
  const void *ignored;
  if (pair_map_find(&order->seen, expr, NULL, &ignored)) return;
  pair_map_add(&order->seen, expr, NULL, NULL);
  for (int n = child_count(expr) - 1; n >= 0; n--)
    if (child_of(expr, n)) order_nodes(order, child_of(expr, n));
  ARENA_PUSH(order->arena, order->nodes, order->count, expr);
}

void expr_visit(const Expr *expr, ExprVisit *visit, void *context) {
  if (!expr->arg_count && !expr->outside && !expr->guard) {
    visit(context, expr);
    return;
  }
  Order order = {.arena = arena_create()};
  pair_map_begin(&order.seen);
  order_nodes(&order, expr);
  pair_map_end(&order.seen);
  for (size_t n = order.count; n > 0; n--) visit(context, order.nodes[n - 1]);
  arena_destroy(order.arena);
}

typedef struct Rewriter {
  Arena *arena;
  ExprChange *change;
  void *context;
  PairMap done;
} Rewriter;

static const Expr *rewrite(Rewriter *rewriter, const Expr *expr);

static const Expr *rewrite_children(Rewriter *rewriter, const Expr *expr) {
  enum { FEW = 8 };
  const Expr *few[FEW], **args = few;
  if (expr->arg_count > FEW) args = ARENA_ARRAY(rewriter->arena, const Expr *, expr->arg_count);
  bool is_same = true;
  for (int n = 0; n < expr->arg_count; n++) {
    args[n] = rewrite(rewriter, expr->args[n]);
    is_same = is_same && args[n] == expr->args[n];
  }
  const Expr *outside = expr->outside ? rewrite(rewriter, expr->outside) : NULL;
  const Expr *guard = expr->guard ? rewrite(rewriter, expr->guard) : NULL;
  if (is_same && outside == expr->outside && guard == expr->guard) return expr;
  const Expr *rebuilt;
  if (expr->op == OP_READ) rebuilt = expr_read(rewriter->arena, expr->type, expr->id, expr->arg_count, args, outside);
  else if (expr->op == OP_LOAD) rebuilt = expr_load(rewriter->arena, expr->type, expr->id, expr->arg_count, args, guard);
  else rebuilt = expr_make(rewriter->arena, expr->op, expr->arg_count, args);
  return rebuilt;
}

/* Whether folding has led to something that consists of changed parts only: (t + 1) - 1 with t + 1 put for t is a t that
 * must not be changed again. */
static bool is_done(const Rewriter *rewriter, const Expr *expr, const Expr *rebuilt) {
  const void *ignored;
  if (rebuilt == expr) return false;
  bool is_atom = op_table[rebuilt->op].arity < 0;
  return (is_atom && rebuilt->op != expr->op) || pair_map_find(&rewriter->done, rebuilt, rewriter, &ignored);
}

/* The memo maps a node to its result; results themselves stand in it as pairs with the rewriter. */
static const Expr *rewrite(Rewriter *rewriter, const Expr *expr) {
  const void *known;
  if (pair_map_find(&rewriter->done, expr, NULL, &known)) return known;
  const Expr *rebuilt = rewrite_children(rewriter, expr);
  const Expr *result = rebuilt;
  if (!is_done(rewriter, expr, rebuilt)) {
    if (!rebuilt->source.file) rebuilt = expr_with_source(rewriter->arena, rebuilt, expr->source);
    result = rewriter->change(rewriter->context, rebuilt);
  }
  pair_map_add(&rewriter->done, expr, NULL, result);
  if (!pair_map_find(&rewriter->done, result, rewriter, &known)) pair_map_add(&rewriter->done, result, rewriter, result);
  return result;
}

const Expr *expr_rewrite(Arena *arena, const Expr *expr, ExprChange *change, void *context) {
  Rewriter rewriter = {.arena = arena, .change = change, .context = context};
  pair_map_begin(&rewriter.done);
  const Expr *result = rewrite(&rewriter, expr);
  pair_map_end(&rewriter.done);
  return result;
}

typedef struct Replacements {
  int count;
  const Expr *const *by_index;
} Replacements;

static const Expr *replace_index(void *context, const Expr *expr) {
  const Replacements *replacements = context;
  if (expr->op != OP_INDEX || expr->id >= replacements->count) return expr;
  const Expr *replacement = replacements->by_index[expr->id];
  return replacement ? replacement : expr;
}

const Expr *expr_substitute(Arena *arena, const Expr *expr, int count, const Expr *const *replacements) {
  Replacements context = {count, replacements};
  return expr_rewrite(arena, expr, replace_index, &context);
}
