/* expr_verify.h - what a legal expression is, for the verifiers of both languages. */
#ifndef SEQC_IR_EXPR_VERIFY_H
#define SEQC_IR_EXPR_VERIFY_H

#include "ir/expr_text.h"

typedef struct ExprRules {
  Arena *arena; /* of messages */
  Names names;
  /* Whether an index or a local may be used here. */
  bool (*is_bound)(const void *context, const Expr *leaf);
  const void *context;
  /* Further rules of the language for one node; NULL or a message. May be NULL. */
  const char *(*check_node)(const void *context, const Expr *node);
} ExprRules;

/* NULL or the first violation. `what` is the name of the expression in the message. */
const char *expr_verify(const ExprRules *rules, const Expr *expr, Type type, const char *what);
/* Whether a size stands for something. */
bool size_is_valid(Names names, Size size);
/* What is wrong with a reduction, apart from its expressions; NULL when nothing is. `result` is the type it gives. */
const char *reduction_verify(ReduceOp reduce, int count, const Expr *value, const Expr *guard, const Expr *body, Type result);

#endif
