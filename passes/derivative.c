/* derivative.c - reverse mode inside one scalar expression.
 *
 * The nodes are put in an order in which arguments come first; walking it backwards, each node hands its adjoint to
 * its arguments by the rows of derivatives.def. Shared nodes collect the sum before they hand it on, so the result is as
 * large as the expression, not as its number of paths.
 */
#include "passes/derivative.h"

#include <math.h>

typedef struct Node {
  const Expr *expr;
  const Expr *adjoint; /* NULL: zero */
} Node;

typedef struct Walk {
  Program *program;
  const bool *is_active;
  Node *nodes; /* arguments before users */
  int count;
  int *table; /* hash table of node numbers, -1 empty */
  unsigned table_size;
} Walk;

static unsigned slot_of(const Walk *walk, const Expr *expr) {
  unsigned slot = expr_hash(expr) & (walk->table_size - 1);
  while (walk->table[slot] >= 0 && !expr_equal(walk->nodes[walk->table[slot]].expr, expr))
    slot = (slot + 1) & (walk->table_size - 1);
  return slot;
}

static void grow_table(Walk *walk) {
  walk->table_size = walk->table_size ? walk->table_size * 2 : 64;
  walk->table = ARENA_ARRAY(walk->program->arena, int, walk->table_size);
  for (unsigned n = 0; n < walk->table_size; n++) walk->table[n] = -1;
  for (int n = 0; n < walk->count; n++) walk->table[slot_of(walk, walk->nodes[n].expr)] = n;
}

static void collect(Walk *walk, const Expr *expr) {
  if (expr->type != TYPE_REAL || walk->table[slot_of(walk, expr)] >= 0) return;
  if (expr->op == OP_READ) {
    if (expr->outside) collect(walk, expr->outside);
  } else {
    for (int n = 0; n < expr->arg_count; n++) collect(walk, expr->args[n]);
  }
  unsigned slot = slot_of(walk, expr);
  Node node = {expr, NULL};
  walk->table[slot] = walk->count;
  ARENA_PUSH(walk->program->arena, walk->nodes, walk->count, node);
  if ((unsigned)walk->count * 2 > walk->table_size) grow_table(walk);
}

const Expr *expr_condition_first(Arena *arena, const Expr *expr) {
  if (expr->op != OP_MUL && expr->op != OP_DIV && expr->op != OP_NEG) return expr;
  const Expr *first = expr_condition_first(arena, expr->args[0]);
  if (first->op != OP_SELECT) return expr;
  const Expr *values[2] = {first->args[1], first->args[2]};
  if (!expr_is_number(values[0], 0) && !expr_is_number(values[1], 0)) return expr;
  for (int n = 0; n < 2; n++) {
    if (expr_is_number(values[n], 0)) continue;
    values[n] = expr->op == OP_NEG ? expr_unary(arena, OP_NEG, values[n]) : expr_binary(arena, expr->op, values[n], expr->args[1]);
    values[n] = expr_condition_first(arena, values[n]);
  }
  return expr_select(arena, first->args[0], values[0], values[1]);
}

/* a + b; two choices by one condition are one choice. */
static const Expr *sum_of_adjoints(Arena *arena, const Expr *a, const Expr *b) {
  if (expr_is_number(a, 0)) return b;
  if (expr_is_number(b, 0)) return a;
  if (a->op != OP_SELECT || b->op != OP_SELECT || !expr_equal(a->args[0], b->args[0])) return expr_binary(arena, OP_ADD, a, b);
  return expr_select(arena, a->args[0], sum_of_adjoints(arena, a->args[1], b->args[1]), sum_of_adjoints(arena, a->args[2], b->args[2]));
}

static void add_adjoint(Walk *walk, const Expr *expr, const Expr *adjoint) {
  if (expr->type != TYPE_REAL || expr_is_number(adjoint, 0)) return;
  adjoint = expr_condition_first(walk->program->arena, adjoint);
  Node *node = &walk->nodes[walk->table[slot_of(walk, expr)]];
  node->adjoint = node->adjoint ? sum_of_adjoints(walk->program->arena, node->adjoint, adjoint) : adjoint;
}

#define NUMBER(value) expr_number(arena, value)
#define UNARY(op, x) expr_unary(arena, OP_##op, x)
#define BINARY(op, x, z) expr_binary(arena, OP_##op, x, z)
#define ADD(x, z) BINARY(ADD, x, z)
#define SUB(x, z) BINARY(SUB, x, z)
#define MUL(x, z) BINARY(MUL, x, z)
#define DIV(x, z) BINARY(DIV, x, z)
#define NEG(x) UNARY(NEG, x)
#define LESS(x, z) BINARY(LT, x, z)
#define SELECT(x, z, w) expr_select(arena, x, z, w)

static void hand_on(Walk *walk, const Expr *y, const Expr *g) {
  Arena *arena = walk->program->arena;
  const Expr *a = y->arg_count > 0 ? y->args[0] : NULL, *b = y->arg_count > 1 ? y->args[1] : NULL;
#define DERIVATIVE(op_name, argument, contribution) \
  if (y->op == OP_##op_name) add_adjoint(walk, y->args[argument], contribution);
#include "passes/derivatives.def"
#undef DERIVATIVE
}

const Expr *read_is_inside(Program *program, const Expr *read) {
  Arena *arena = program->arena;
  const Tensor *tensor = &program->tensors[read->id];
  const Expr *inside = expr_boolean(arena, true);
  for (int n = 0; n < read->arg_count; n++) {
    const Expr *low = expr_binary(arena, OP_GE, read->args[n], expr_integer(arena, 0));
    const Expr *high = expr_binary(arena, OP_LT, read->args[n], size_expr(arena, tensor->shape[n]));
    inside = expr_binary(arena, OP_AND, inside, expr_binary(arena, OP_AND, low, high));
  }
  return inside;
}

ReadAdjoint *expr_adjoints(Program *program, const Expr *expr, const Expr *adjoint, const bool *is_active, int *out_count) {
  Walk walk = {.program = program, .is_active = is_active};
  ReadAdjoint *result = NULL;
  *out_count = 0;
  grow_table(&walk);
  collect(&walk, expr);
  add_adjoint(&walk, expr, adjoint);
  for (int n = walk.count - 1; n >= 0; n--) {
    const Expr *node = walk.nodes[n].expr, *g = walk.nodes[n].adjoint;
    if (!g) continue;
    if (node->op != OP_READ) {
      hand_on(&walk, node, g);
      continue;
    }
    if (node->outside)
      add_adjoint(&walk, node->outside, expr_select(program->arena, read_is_inside(program, node), expr_number(program->arena, 0), g));
    if (!is_active[node->id]) continue;
    ReadAdjoint entry = {node, g};
    ARENA_PUSH(program->arena, result, *out_count, entry);
  }
  return result;
}
