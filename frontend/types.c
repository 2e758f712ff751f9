/* types.c - the types of tensors: a fixed point over their equations. What does not follow without going round a cycle has the
 * least type that agrees with all of the cycle; what even that leaves open is real.
 */
#include "frontend/elaborate.h"

enum { OPEN = TYPE_OPEN };

static int type_of(Elaboration *elaboration, const Term *term, int pass);

static int combined(int a, int b) {
  if (a == OPEN) return b;
  if (b == OPEN) return a;
  return a == TYPE_REAL || b == TYPE_REAL ? TYPE_REAL : a;
}

/* One real number makes all real. */
static int type_of_args(Elaboration *elaboration, const Term *term, int first, int pass) {
  int type = OPEN;
  bool has_open = false;
  for (int n = first; n < term->count; n++) {
    int other = type_of(elaboration, term->args[n], pass);
    has_open |= other == OPEN;
    type = combined(type, other);
  }
  return has_open && type != TYPE_REAL && !elaboration->guesses_types ? OPEN : type;
}

static int type_of_call(Elaboration *elaboration, const Term *term, int pass) {
  switch (term->builtin->kind) {
  case BUILTIN_DIVIDE:
  case BUILTIN_POWER:
  case BUILTIN_TO_REAL:
  case BUILTIN_MEAN: return TYPE_REAL;
  case BUILTIN_TO_INT: return TYPE_INT;
  default: break;
  }
  if (term->builtin->reduce == REDUCE_ARGMAX) return TYPE_INT;
  if (term->builtin->kind == BUILTIN_REDUCE) return type_of(elaboration, term->args[0], pass);
  switch (op_table[term->builtin->op].result) {
  case RESULT_REAL: return TYPE_REAL;
  case RESULT_INT: return TYPE_INT;
  case RESULT_BOOL: return TYPE_BOOL;
  default: return type_of_args(elaboration, term, 0, pass);
  }
}

static int type_of_value(Elaboration *elaboration, Name *name) {
  Name *turn = turn_of_constant(elaboration, name);
  int64_t count = turn ? cell_size(turn->turn->extent).constant : 1;
  int type = OPEN;
  for (int64_t n = 0; n < count && type != TYPE_REAL; n++) {
    Value value = turn ? value_at_turn(elaboration, name, turn, turn->turn->offset + n) : name_value(elaboration, name, true);
    type = combined(type, value.kind == VALUE_SIZE ? TYPE_INT : value.kind == VALUE_BOOLEAN ? TYPE_BOOL : TYPE_REAL);
  }
  return type;
}

static int find_type(Elaboration *elaboration, const Term *term, int pass) {
  switch (term->kind) {
  case TERM_REAL: return TYPE_REAL;
  case TERM_BOOLEAN: return TYPE_BOOL;
  case TERM_CONSTANT: return type_of_value(elaboration, term->constant);
  case TERM_READ: return term->entity->has_type ? (int)term->entity->type : term->entity->guess;
  case TERM_CALL:
  case TERM_REDUCE: return type_of_call(elaboration, term, pass);
  case TERM_IF: return type_of_args(elaboration, term, 1, pass);
  default: return TYPE_INT;
  }
}

static int type_of(Elaboration *elaboration, const Term *term, int pass) {
  if (term->has_type) return (int)term->type;
  if (term->pass == pass) return term->guess;
  Term *memo = (Term *)term;
  memo->pass = pass;
  memo->guess = OPEN;
  memo->guess = find_type(elaboration, term, pass);
  memo->has_type = memo->guess != OPEN && !elaboration->guesses_types;
  if (memo->has_type) memo->type = (Type)memo->guess;
  return memo->guess;
}

static int type_of_cases(Elaboration *elaboration, const Entity *entity, int pass) {
  int type = OPEN;
  bool has_open = false;
  for (int n = 0; n < entity->case_count; n++) {
    int other = type_of(elaboration, entity->cases[n]->value, pass);
    has_open |= other == OPEN;
    type = combined(type, other);
  }
  return has_open && !elaboration->guesses_types ? OPEN : type;
}

/* A guess only rises, from open over whole numbers to real ones. */
static bool raise_guess(Elaboration *elaboration, Entity *entity, int pass) {
  int type = type_of_cases(elaboration, entity, pass);
  if (type == entity->guess || (entity->guess != OPEN && type != TYPE_REAL)) return false;
  entity->guess = type;
  return true;
}

static void settle(Entity *entity, int type) {
  entity->type = type == OPEN ? TYPE_REAL : (Type)type;
  entity->has_type = true;
}

void infer_types(Elaboration *elaboration) {
  int pass = 1;
  for (int n = 0; n < elaboration->entity_count; n++) elaboration->entities[n]->guess = OPEN;
  for (bool has_progress = true; has_progress; pass++) {
    has_progress = false;
    for (int n = 0; n < elaboration->entity_count; n++) {
      Entity *entity = elaboration->entities[n];
      int type = entity->has_type ? OPEN : type_of_cases(elaboration, entity, pass);
      if (type == OPEN) continue;
      settle(entity, type);
      has_progress = true;
    }
  }
  elaboration->guesses_types = true;
  for (bool has_progress = true; has_progress;) {
    has_progress = false;
    for (int n = 0; n < elaboration->entity_count; n++)
      if (!elaboration->entities[n]->has_type) has_progress |= raise_guess(elaboration, elaboration->entities[n], pass++);
  }
  elaboration->guesses_types = false;
  for (int n = 0; n < elaboration->entity_count; n++)
    if (!elaboration->entities[n]->has_type) settle(elaboration->entities[n], elaboration->entities[n]->guess);
}
