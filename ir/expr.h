/* expr.h - scalar expressions, the leaves of both intermediate languages.
 *
 * Expressions are immutable trees in the arena of their program; subtrees may be shared.
 * They are made by the constructors below only, which infer the type, check the arguments,
 * fold constants and apply the identities that never change a result (x+0, x*1, select(true,..)).
 */
#ifndef SEQC_IR_EXPR_H
#define SEQC_IR_EXPR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diagnostic.h"
#include "base/text.h"

typedef enum { TYPE_REAL, TYPE_INT, TYPE_BOOL } Type;

typedef enum {
#define OPERATION(id, text, arity, operands, result, flags) OP_##id,
#include "ir/ops.def"
#undef OPERATION
  OP_COUNT
} Op;

enum { FLAG_COMMUTATIVE = 1, FLAG_ASSOCIATIVE = 2, FLAG_COSTLY = 4 };

typedef enum { OPERANDS_REAL, OPERANDS_INT, OPERANDS_BOOL, OPERANDS_NUMBER, OPERANDS_ANY } OperandKind;
typedef enum { RESULT_REAL, RESULT_INT, RESULT_BOOL, RESULT_SAME } ResultKind;

typedef struct OpInfo {
  const char *id, *text;
  int arity;
  OperandKind operands;
  ResultKind result;
  unsigned flags;
} OpInfo;

extern const OpInfo op_table[OP_COUNT];
extern const char *const type_names[]; /* by Type: "real", "int", "bool" */

enum { NONE = -1 }; /* no tensor, index, symbol, equation, buffer or local */

typedef struct Expr Expr;
struct Expr {
  Op op;
  Type type;
  int id;            /* index, symbol, tensor, buffer or local, by op */
  double number;     /* OP_NUMBER */
  int64_t integer;   /* OP_INTEGER, OP_BOOLEAN */
  int arg_count;
  const Expr **args;
  const Expr *outside; /* OP_READ: value where an index lies outside the tensor; NULL: that can't happen */
  const Expr *guard;   /* OP_LOAD: no access and 0 where false; NULL: always true */
  SourceRange source;  /* of the author's text it came from; may be no place */
  unsigned hash;       /* of the structure, kept by the constructors so that hashing and comparing shared trees stay cheap */
};

/* Leaves */
const Expr *expr_number(Arena *arena, double value);
const Expr *expr_integer(Arena *arena, int64_t value);
const Expr *expr_boolean(Arena *arena, bool value);
const Expr *expr_index(Arena *arena, int index);
const Expr *expr_symbol(Arena *arena, int symbol);
const Expr *expr_read(Arena *arena, Type type, int tensor, int rank, const Expr *const *indices, const Expr *outside);
const Expr *expr_load(Arena *arena, Type type, int buffer, int rank, const Expr *const *indices, const Expr *guard);
const Expr *expr_local(Arena *arena, Type type, int local);
const Expr *expr_given(Arena *arena, int buffer);

/* Any other operation. Wrong arity or types are a defect of the caller (internal_error). */
const Expr *expr_unary(Arena *arena, Op op, const Expr *a);
const Expr *expr_binary(Arena *arena, Op op, const Expr *a, const Expr *b);
const Expr *expr_select(Arena *arena, const Expr *condition, const Expr *when_true, const Expr *when_false);
/* By op and arguments, whatever the arity. */
const Expr *expr_make(Arena *arena, Op op, int count, const Expr *const *args);
const Expr *expr_with_source(Arena *arena, const Expr *expr, SourceRange source);

bool expr_is_number(const Expr *expr, double value);  /* OP_NUMBER of this value */
bool expr_is_integer(const Expr *expr, int64_t value);
bool expr_is_boolean(const Expr *expr, bool value);
bool expr_is_index(const Expr *expr, int index);

/* Same structure (sources are ignored). Commuted arguments differ. */
bool expr_equal(const Expr *a, const Expr *b);
bool expr_is_at_most_zero(const Expr *expr); /* a real that its form shows to be so, or not a number */
unsigned expr_hash(const Expr *expr);
bool expr_uses_index(const Expr *expr, int index); /* anywhere, also in indices, outsides and guards */

/* Rebuilds bottom up: children first, then `change` on the rebuilt node; it returns the node itself to keep it.
 * What folding makes of changed parts alone is not changed again. Unchanged subtrees are shared with the original. */
typedef const Expr *ExprChange(void *context, const Expr *expr);
const Expr *expr_rewrite(Arena *arena, const Expr *expr, ExprChange *change, void *context);
/* Replaces index i by replacements[i] where that is not NULL, for i < count. */
const Expr *expr_substitute(Arena *arena, const Expr *expr, int count, const Expr *const *replacements);
/* Calls `visit` on every node, parents before children, outsides and guards too. */
typedef void ExprVisit(void *context, const Expr *expr);
void expr_visit(const Expr *expr, ExprVisit *visit, void *context);

/* An integer expression as constant + sum of coefficient * term, terms being indices or symbols.
 * False when it is not of this form. At most AFFINE_TERMS terms. */
enum { AFFINE_TERMS = 8 };
typedef struct Affine {
  int64_t constant;
  int term_count;
  struct AffineTerm { bool is_symbol; int id; int64_t coefficient; } terms[AFFINE_TERMS];
} Affine;
bool expr_affine(const Expr *expr, Affine *out_affine);
int64_t affine_coefficient(const Affine *affine, bool is_symbol, int id); /* 0 when absent */
const Expr *affine_expr(Arena *arena, const Affine *affine);

#endif
