/* complex.c - complex numbers as pairs of reals, between the sizes and the types: nothing after this knows of them.
 *
 * A tensor that comes from outside, or shows a state, keeps both parts in a last axis of two, at which its views have
 * TERM_PART; any other one becomes two tensors, so the innermost axis of each stays dense. What is complex is a least
 * fixed point over the equations. A term becomes a pair whose `im` is NULL where the value is real, so numbers that
 * are real cost nothing extra beside complex ones.
 */
#include "frontend/elaborate.h"

typedef struct Pair {
  const Term *re, *im; /* im NULL: real */
} Pair;

static Pair lowered(Elaboration *elaboration, const Term *term);

/* ---- what is complex ---- */

static bool is_complex_call(const Builtin *builtin) {
  return builtin->kind >= BUILTIN_COMPLEX && builtin->kind <= BUILTIN_CONJUGATE;
}

static bool finds_complex(const Term *term, int pass, bool *out_is_used);

static bool value_is_complex(const Term *term, int pass, bool *out_is_used) {
  bool any = false, sides = false;
  for (int n = 0; n < term->count; n++) {
    bool is_complex = finds_complex(term->args[n], pass, out_is_used);
    any |= is_complex;
    if (n > 0) sides |= is_complex;
  }
  if (term->guard) finds_complex(term->guard, pass, out_is_used);
  bool is_outside = term->outside && finds_complex(term->outside, pass, out_is_used);
  switch (term->kind) {
  case TERM_READ: return term->entity->is_complex || is_outside;
  case TERM_IF: return sides;
  case TERM_REDUCE: return any;
  case TERM_CALL: break;
  default: return false;
  }
  if (is_complex_call(term->builtin)) *out_is_used = true;
  switch (term->builtin->kind) {
  case BUILTIN_COMPLEX: return true;
  case BUILTIN_RE:
  case BUILTIN_IM: return false;
  default: return any && term->builtin->op != OP_ABS;
  }
}

static bool finds_complex(const Term *term, int pass, bool *out_is_used) {
  if (term->complex_pass == pass) return term->is_complex;
  Term *memo = (Term *)term;
  memo->complex_pass = pass;
  memo->is_complex = value_is_complex(term, pass, out_is_used);
  return memo->is_complex;
}

/* True when there is something to do. */
static bool find_complex(Elaboration *elaboration) {
  bool is_used = false;
  int pass = 0;
  for (bool has_progress = true; has_progress;) {
    has_progress = false;
    pass++;
    for (int n = 0; n < elaboration->entity_count; n++) {
      Entity *entity = elaboration->entities[n];
      is_used |= entity->is_complex;
      for (int m = 0; m < entity->case_count; m++)
        if (finds_complex(entity->cases[m]->value, pass, &is_used) && !entity->is_complex && !entity->has_type)
          has_progress = entity->is_complex = true;
    }
  }
  return is_used;
}

/* ---- arithmetic ---- */

static const Term *call(Elaboration *elaboration, const char *name, const Term *a, const Term *b) {
  const Term *args[] = {a, b};
  return term_call(elaboration, builtin_find(name, false), a->source, b ? 2 : 1, args);
}

static const Term *number(Elaboration *elaboration, double value, SourceRange source) {
  Term *term = term_create(elaboration, TERM_REAL, source);
  term->number = value;
  return term;
}

static const Term *part_or_zero(Elaboration *elaboration, Pair pair) {
  return pair.im ? pair.im : number(elaboration, 0, pair.re->source);
}

static Pair failed(Elaboration *elaboration, const Term *term, const char *message) {
  ERROR_AT(elaboration, term->source, "%s", message);
  return (Pair){number(elaboration, 0, term->source), NULL};
}

/* `expected` says what is wanted: "'tanh' takes real numbers". */
static const Term *real_of(Elaboration *elaboration, const Term *term, const char *expected) {
  Pair pair = lowered(elaboration, term);
  if (!pair.im) return pair.re;
  return failed(elaboration, term, arena_format(elaboration->arena, "%s, found a complex number", expected)).re;
}

static Pair sum(Elaboration *elaboration, const char *name, Pair a, Pair b) {
  Pair result = {call(elaboration, name, a.re, b.re), a.im};
  if (a.im && b.im) result.im = call(elaboration, name, a.im, b.im);
  else if (b.im) result.im = *name == '-' ? call(elaboration, "neg", b.im, NULL) : b.im;
  return result;
}

static Pair product(Elaboration *elaboration, Pair a, Pair b) {
  Pair result = {call(elaboration, "*", a.re, b.re), NULL};
  if (a.im && b.im) {
    result.re = call(elaboration, "-", result.re, call(elaboration, "*", a.im, b.im));
    result.im = call(elaboration, "+", call(elaboration, "*", a.re, b.im), call(elaboration, "*", a.im, b.re));
  } else if (a.im || b.im) {
    result.im = a.im ? call(elaboration, "*", a.im, b.re) : call(elaboration, "*", a.re, b.im);
  }
  return result;
}

static const Term *square_of_modulus(Elaboration *elaboration, Pair a) {
  return call(elaboration, "+", call(elaboration, "*", a.re, a.re), call(elaboration, "*", a.im, a.im));
}

static Pair quotient(Elaboration *elaboration, Pair a, Pair b) {
  if (!b.im) return (Pair){call(elaboration, "/", a.re, b.re), a.im ? call(elaboration, "/", a.im, b.re) : NULL};
  Pair above = product(elaboration, a, (Pair){b.re, call(elaboration, "neg", b.im, NULL)});
  return quotient(elaboration, above, (Pair){square_of_modulus(elaboration, b), NULL});
}

/* Integers that are known while compiling: a number, its negative, a constant. */
static bool find_integer(Elaboration *elaboration, const Term *term, int64_t *out_value) {
  if (term->kind == TERM_CALL && !strcmp(term->builtin->name, "neg")) {
    if (!find_integer(elaboration, term->args[0], out_value)) return false;
    *out_value = -*out_value;
    return true;
  }
  if (term->kind == TERM_INTEGER) {
    *out_value = term->integer;
    return true;
  }
  if (term->kind != TERM_CONSTANT && term->kind != TERM_SIZE) return false;
  Value value = {.kind = VALUE_SIZE, .size = cell_size(term->cell)};
  if (term->kind == TERM_CONSTANT) value = name_value(elaboration, term->constant, true);
  *out_value = value.size.constant;
  return value.kind == VALUE_SIZE && value.size.symbol == NONE;
}

enum { LARGEST_POWER = 4096 };

static Pair power(Elaboration *elaboration, const Term *term) {
  Pair base = lowered(elaboration, term->args[0]);
  int64_t exponent = 0;
  bool is_known = find_integer(elaboration, term->args[1], &exponent);
  if (!base.im || !is_known || exponent < -LARGEST_POWER || exponent > LARGEST_POWER)
    return failed(elaboration, term->args[1],
                  base.im ? "expected a small integer that is known while compiling as the exponent of a complex number"
                          : "a real number cannot have a complex exponent: write exp(z * log(x))");
  Pair one = {number(elaboration, 1, term->source), NULL}, result = one;
  bool is_one = true;
  for (uint64_t rest = (uint64_t)(exponent < 0 ? -exponent : exponent); rest; rest >>= 1) {
    if (rest & 1) result = is_one ? base : product(elaboration, result, base);
    is_one &= !(rest & 1);
    if (rest > 1) base = product(elaboration, base, base);
  }
  return exponent < 0 ? quotient(elaboration, one, result) : result;
}

static Pair exponential(Elaboration *elaboration, Pair a) {
  const Term *modulus = call(elaboration, "exp", a.re, NULL);
  return (Pair){call(elaboration, "*", modulus, call(elaboration, "cos", a.im, NULL)),
                call(elaboration, "*", modulus, call(elaboration, "sin", a.im, NULL))};
}

/* exp(z) - 1 without cancellation near 0: expm1(a) cos(b) - 2 sin(b/2)^2 + i exp(a) sin(b). */
static Pair exponential_less_one(Elaboration *elaboration, Pair a) {
  const Term *half = call(elaboration, "*", number(elaboration, 0.5, a.im->source), a.im);
  const Term *sine = call(elaboration, "sin", half, NULL);
  const Term *missing = call(elaboration, "*", number(elaboration, 2, a.im->source), call(elaboration, "*", sine, sine));
  const Term *turned = call(elaboration, "*", call(elaboration, "expm1", a.re, NULL), call(elaboration, "cos", a.im, NULL));
  return (Pair){call(elaboration, "-", turned, missing), exponential(elaboration, a).im};
}

/* ---- terms to pairs ---- */

static Term *copied(Elaboration *elaboration, const Term *term, const Term *const *args) {
  Term *copy = term_create(elaboration, term->kind, term->source);
  *copy = *term;
  copy->args = arena_copy(elaboration->arena, args, sizeof *args * (size_t)term->count);
  copy->lowered_re = copy->lowered_im = NULL;
  return copy;
}

static Pair lowered_real_call(Elaboration *elaboration, const Term *term) {
  const Term **args = ARENA_ARRAY(elaboration->arena, const Term *, term->count);
  bool is_same = true;
  for (int n = 0; n < term->count; n++) {
    args[n] = real_of(elaboration, term->args[n],
                      arena_format(elaboration->arena, "'%s' takes real numbers", term->builtin->name));
    is_same &= args[n] == term->args[n];
  }
  return (Pair){is_same ? term : copied(elaboration, term, args), NULL};
}

static bool has_complex_argument(const Term *term) {
  for (int n = 0; n < term->count; n++)
    if (term->args[n]->is_complex) return true;
  return false;
}

static Pair lowered_operation(Elaboration *elaboration, const Term *term) {
  Pair a = lowered(elaboration, term->args[0]);
  Pair b = term->count == 2 ? lowered(elaboration, term->args[1]) : a;
  switch (term->builtin->op) {
  case OP_ADD:
  case OP_SUB: return sum(elaboration, term->builtin->name, a, b);
  case OP_MUL: return product(elaboration, a, b);
  case OP_DIV: return quotient(elaboration, a, b);
  case OP_NEG:
  case OP_STOP_GRADIENT:
    return (Pair){call(elaboration, term->builtin->name, a.re, NULL), call(elaboration, term->builtin->name, a.im, NULL)};
  case OP_EXP: return exponential(elaboration, a);
  case OP_EXPM1: return exponential_less_one(elaboration, a);
  case OP_ABS: return (Pair){call(elaboration, "sqrt", square_of_modulus(elaboration, a), NULL), NULL};
  default: return lowered_real_call(elaboration, term); /* reports */
  }
}

static Pair lowered_call(Elaboration *elaboration, const Term *term) {
  switch (term->builtin->kind) {
  case BUILTIN_COMPLEX:
    return (Pair){real_of(elaboration, term->args[0], "'complex' takes real numbers"),
                  real_of(elaboration, term->args[1], "'complex' takes real numbers")};
  case BUILTIN_RE: return (Pair){lowered(elaboration, term->args[0]).re, NULL};
  case BUILTIN_IM: return (Pair){part_or_zero(elaboration, lowered(elaboration, term->args[0])), NULL};
  case BUILTIN_CONJUGATE: {
    Pair a = lowered(elaboration, term->args[0]);
    return (Pair){a.re, a.im ? call(elaboration, "neg", a.im, NULL) : NULL};
  }
  case BUILTIN_POWER: return has_complex_argument(term) ? power(elaboration, term) : lowered_real_call(elaboration, term);
  case BUILTIN_OP:
  case BUILTIN_DIVIDE:
    return has_complex_argument(term) ? lowered_operation(elaboration, term) : lowered_real_call(elaboration, term);
  default: return lowered_real_call(elaboration, term);
  }
}

static Pair lowered_read(Elaboration *elaboration, const Term *term) {
  const Term **args = ARENA_ARRAY(elaboration->arena, const Term *, term->count);
  for (int n = 0; n < term->count; n++) args[n] = real_of(elaboration, term->args[n], "an index is an integer");
  Pair outside = {NULL, NULL};
  if (term->outside) outside = lowered(elaboration, term->outside);
  Term *parts[2];
  for (int part = 0; part < 2; part++) {
    parts[part] = copied(elaboration, term, args);
    parts[part]->outside = part == 0 || !outside.re ? outside.re : part_or_zero(elaboration, outside);
    if (!term->entity->is_complex) continue;
    if (!term->entity->has_part_axis) {
      parts[part]->entity = part == 0 ? term->entity : term->entity->imaginary;
      continue;
    }
    Term *place = term_create(elaboration, TERM_INTEGER, term->source);
    place->integer = part;
    parts[part]->args[term->count - 1] = place;
  }
  if (term->entity->is_complex) return (Pair){parts[0], parts[1]};
  if (!outside.im) return (Pair){parts[0], NULL};
  return failed(elaboration, term, "a real tensor continues a complex one here: declare both ': complex'");
}

static Pair lowered_if(Elaboration *elaboration, const Term *term) {
  const Term *condition = real_of(elaboration, term->args[0], "expected a truth value");
  Pair sides[] = {lowered(elaboration, term->args[1]), lowered(elaboration, term->args[2])};
  const Term *args[] = {condition, sides[0].re, sides[1].re};
  Pair result = {copied(elaboration, term, args), NULL};
  if (!sides[0].im && !sides[1].im) return result;
  const Term *imaginary[] = {condition, part_or_zero(elaboration, sides[0]), part_or_zero(elaboration, sides[1])};
  result.im = copied(elaboration, term, imaginary);
  return result;
}

static Pair lowered_reduction(Elaboration *elaboration, const Term *term) {
  Pair body = lowered(elaboration, term->args[0]);
  const Term *guard = term->guard ? real_of(elaboration, term->guard, "expected a truth value") : NULL;
  if (body.im && term->builtin->reduce != REDUCE_SUM)
    body.re = real_of(elaboration, term->args[0],
                      arena_format(elaboration->arena, "'%s' takes real numbers", term->builtin->name)),
    body.im = NULL;
  Term *re = copied(elaboration, term, &body.re), *im = body.im ? copied(elaboration, term, &body.im) : NULL;
  re->guard = guard;
  if (im) im->guard = guard;
  return (Pair){re, im};
}

static Pair lowered_anew(Elaboration *elaboration, const Term *term) {
  switch (term->kind) {
  case TERM_READ: return lowered_read(elaboration, term);
  case TERM_CALL: return lowered_call(elaboration, term);
  case TERM_IF: return lowered_if(elaboration, term);
  case TERM_REDUCE: return lowered_reduction(elaboration, term);
  default: return (Pair){term, NULL};
  }
}

static Pair lowered(Elaboration *elaboration, const Term *term) {
  if (!term->lowered_re) {
    Pair pair = lowered_anew(elaboration, term);
    ((Term *)term)->lowered_re = pair.re;
    ((Term *)term)->lowered_im = pair.im;
  }
  return (Pair){term->lowered_re, term->lowered_im};
}

void complex_parts(Elaboration *elaboration, const Term *term, const Term **out_re, const Term **out_im) {
  Pair pair = lowered(elaboration, term);
  *out_re = pair.re;
  *out_im = part_or_zero(elaboration, pair);
}

/* ---- tensors ---- */

static Entity *imaginary_of(Elaboration *elaboration, Entity *entity) {
  Entity *imaginary = ARENA_NEW(elaboration->arena, Entity);
  *imaginary = *entity;
  imaginary->name = arena_format(elaboration->arena, "%s.im", entity->name);
  imaginary->case_count = 0;
  imaginary->cases = NULL;
  entity->name = arena_format(elaboration->arena, "%s.re", entity->name);
  ARENA_PUSH(elaboration->arena, elaboration->entities, elaboration->entity_count, imaginary);
  return imaginary;
}

static Case *case_with(Elaboration *elaboration, const Case *part, const Term *value) {
  Case *copy = arena_copy(elaboration->arena, part, sizeof *part);
  copy->value = value;
  return copy;
}

static void place_part(Elaboration *elaboration, const Entity *entity, Case *part, int64_t place) {
  part->subscripts = arena_copy(elaboration->arena, part->subscripts, sizeof *part->subscripts * (size_t)entity->rank);
  Term *term = term_create(elaboration, TERM_INTEGER, part->target->source);
  term->integer = place;
  part->subscripts[entity->rank - 1] = term;
}

static void split_case(Elaboration *elaboration, Entity *entity, int at) {
  Case *part = entity->cases[at];
  Pair value = lowered(elaboration, part->value);
  if (!entity->is_complex) {
    if (value.im)
      ERROR_AT(elaboration, part->target->source,
               "'%s' is real, but its equation is complex: declare it ': complex', or take re, im or abs", entity->name);
    part->value = value.re;
    return;
  }
  Case *imaginary = case_with(elaboration, part, part_or_zero(elaboration, value));
  part->value = value.re;
  if (entity->imaginary) {
    ARENA_PUSH(elaboration->arena, entity->imaginary->cases, entity->imaginary->case_count, imaginary);
    return;
  }
  if (entity->role != ROLE_LOCAL)
    ERROR_AT(elaboration, part->target->source, "'%s' is complex and comes from outside: give a boundary to a copy of it",
             entity->name);
  place_part(elaboration, entity, part, 0);
  place_part(elaboration, entity, imaginary, 1);
  ARENA_PUSH(elaboration->arena, entity->cases, entity->case_count, imaginary);
}

void split_complex(Elaboration *elaboration) {
  if (!find_complex(elaboration)) return;
  int count = elaboration->entity_count;
  for (int n = 0; n < count; n++) {
    Entity *entity = elaboration->entities[n];
    if (!entity->is_complex) continue;
    entity->type = TYPE_REAL;
    entity->has_type = true;
    if (!entity->has_part_axis) entity->imaginary = imaginary_of(elaboration, entity);
  }
  for (int n = 0; n < count; n++)
    for (int m = 0, case_count = elaboration->entities[n]->case_count; m < case_count; m++)
      split_case(elaboration, elaboration->entities[n], m);
}
