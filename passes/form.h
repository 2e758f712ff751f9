/* form.h - what one step of a recurrence makes of the values that the step before left: affine, a maximum, or neither.
 *
 * The expression of every equation in a cycle is evaluated over such forms instead of numbers. The values of the step before stay
 * symbols; each gets its coefficient as an expression, found by the rules of arithmetic and not by comparison with known layers.
 */
#ifndef SEQC_PASSES_FORM_H
#define SEQC_PASSES_FORM_H

#include "passes/schedule.h"

typedef enum {
  FORM_CONSTANT, /* of the values carried from other steps: none */
  FORM_AFFINE,   /* sum of coefficient * value, plus offset */
  FORM_MAX,      /* maximum over coefficient + value, and offset */
  FORM_MIN,
  FORM_NONLINEAR
} FormKind;

/* One carried value. With `bound` indices it stands for the sum (maximum) over them where `guard` holds. */
typedef struct FormTerm {
  const Expr *read;        /* of the value, at an earlier step */
  int lag;                 /* by so many */
  const Expr *coefficient; /* factor, or summand under a maximum */
  int bound_count;
  const IndexId *bound;
  const Expr *guard;       /* NULL: true */
  int through;             /* the first reduction on its way, an equation, or NONE ... */
  int64_t width;           /* ... and how many numbers that makes of one vector of values; 0: not known while compiling */
} FormTerm;

typedef struct Form {
  FormKind kind;
  int term_count;
  FormTerm *terms;
  const Expr *offset;  /* what is added (or compared); NULL: no single expression says it */
  const Expr *culprit; /* NONLINEAR: the smallest expression that is neither */
  const char *why;
} Form;

typedef struct FormContext FormContext;

enum { MOST_AROUND = 8 };

/* Loops around a loop, the outermost first. What is read of another turn of theirs does not change inside. */
typedef struct Around {
  int count;
  const ScheduleNode *loops[MOST_AROUND];
} Around;
bool same_turn(const Program *program, const Around *around, const Equation *user, const Expr *read);

/* For the equations of one loop without loops inside. Fresh indices are added to the program. */
FormContext *forms_create(Program *program, const ScheduleNode *loop, const Around *around);
/* Of a member of the loop, in terms of the indices of its equation. */
const Form *form_of(FormContext *context, int equation);

#endif
