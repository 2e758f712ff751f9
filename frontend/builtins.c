/* builtins.c - the functions and reductions that expressions know by themselves, and the operators as functions. */
#include "frontend/elaborate.h"

static const Builtin builtins[] = {
    {"+", 2, 2, BUILTIN_OP, OP_ADD, REDUCE_NONE},
    {"-", 2, 2, BUILTIN_OP, OP_SUB, REDUCE_NONE},
    {"*", 2, 2, BUILTIN_OP, OP_MUL, REDUCE_NONE},
    {"/", 2, 2, BUILTIN_DIVIDE, OP_DIV, REDUCE_NONE},
    {"^", 2, 2, BUILTIN_POWER, OP_POW, REDUCE_NONE},
    {"pow", 2, 2, BUILTIN_POWER, OP_POW, REDUCE_NONE},
    {"neg", 1, 1, BUILTIN_OP, OP_NEG, REDUCE_NONE},
    {"mod", 2, 2, BUILTIN_OP, OP_REMAINDER, REDUCE_NONE},
    {"div", 2, 2, BUILTIN_OP, OP_QUOTIENT, REDUCE_NONE},
    {"<", 2, 2, BUILTIN_OP, OP_LT, REDUCE_NONE},
    {"<=", 2, 2, BUILTIN_OP, OP_LE, REDUCE_NONE},
    {">", 2, 2, BUILTIN_OP, OP_GT, REDUCE_NONE},
    {">=", 2, 2, BUILTIN_OP, OP_GE, REDUCE_NONE},
    {"==", 2, 2, BUILTIN_OP, OP_EQ, REDUCE_NONE},
    {"!=", 2, 2, BUILTIN_OP, OP_NE, REDUCE_NONE},
    {"and", 2, 2, BUILTIN_OP, OP_AND, REDUCE_NONE},
    {"or", 2, 2, BUILTIN_OP, OP_OR, REDUCE_NONE},
    {"not", 1, 1, BUILTIN_OP, OP_NOT, REDUCE_NONE},
    {"abs", 1, 1, BUILTIN_OP, OP_ABS, REDUCE_NONE},
    {"sign", 1, 1, BUILTIN_OP, OP_SIGN, REDUCE_NONE},
    {"floor", 1, 1, BUILTIN_OP, OP_FLOOR, REDUCE_NONE},
    {"sqrt", 1, 1, BUILTIN_OP, OP_SQRT, REDUCE_NONE},
    {"exp", 1, 1, BUILTIN_OP, OP_EXP, REDUCE_NONE},
    {"exp2", 1, 1, BUILTIN_OP, OP_EXP2, REDUCE_NONE},
    {"expm1", 1, 1, BUILTIN_OP, OP_EXPM1, REDUCE_NONE},
    {"log", 1, 1, BUILTIN_OP, OP_LOG, REDUCE_NONE},
    {"log1p", 1, 1, BUILTIN_OP, OP_LOG1P, REDUCE_NONE},
    {"tanh", 1, 1, BUILTIN_OP, OP_TANH, REDUCE_NONE},
    {"sigmoid", 1, 1, BUILTIN_OP, OP_SIGMOID, REDUCE_NONE},
    {"sin", 1, 1, BUILTIN_OP, OP_SIN, REDUCE_NONE},
    {"cos", 1, 1, BUILTIN_OP, OP_COS, REDUCE_NONE},
    {"erf", 1, 1, BUILTIN_OP, OP_ERF, REDUCE_NONE},
    {"stop_gradient", 1, 1, BUILTIN_OP, OP_STOP_GRADIENT, REDUCE_NONE},
    {"min", 2, -1, BUILTIN_FOLD, OP_MIN, REDUCE_NONE},
    {"max", 2, -1, BUILTIN_FOLD, OP_MAX, REDUCE_NONE},
    {"relu", 1, 1, BUILTIN_RELU, OP_MAX, REDUCE_NONE},
    {"real", 1, 1, BUILTIN_TO_REAL, OP_TO_REAL, REDUCE_NONE},
    {"int", 1, 1, BUILTIN_TO_INT, OP_TO_INT, REDUCE_NONE},
    {"complex", 2, 2, BUILTIN_COMPLEX, OP_ADD, REDUCE_NONE},
    {"re", 1, 1, BUILTIN_RE, OP_ADD, REDUCE_NONE},
    {"im", 1, 1, BUILTIN_IM, OP_ADD, REDUCE_NONE},
    {"conj", 1, 1, BUILTIN_CONJUGATE, OP_NEG, REDUCE_NONE},
    {"sum", 1, 1, BUILTIN_REDUCE, OP_ADD, REDUCE_SUM},
    {"max", 1, 1, BUILTIN_REDUCE, OP_MAX, REDUCE_MAX},
    {"min", 1, 1, BUILTIN_REDUCE, OP_MIN, REDUCE_MIN},
    {"product", 1, 1, BUILTIN_REDUCE, OP_MUL, REDUCE_PRODUCT},
    {"argmax", 1, 1, BUILTIN_REDUCE, OP_MAX, REDUCE_ARGMAX},
    {"mean", 1, 1, BUILTIN_MEAN, OP_ADD, REDUCE_SUM},
};

const Builtin *builtin_find(const char *name, bool is_reduction) {
  for (size_t n = 0; n < sizeof builtins / sizeof *builtins; n++)
    if (!strcmp(builtins[n].name, name) && (builtins[n].kind >= BUILTIN_REDUCE) == is_reduction) return &builtins[n];
  return NULL;
}
