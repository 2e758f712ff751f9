/* types.c - the types of tensors: a fixed point over their equations. What a cycle leaves open is real. */
#include "frontend/elaborate.h"

enum { OPEN = -1 };

static int type_of(Elaboration *elaboration, const Term *term, int pass);

static int combined(int a, int b) {
  if (a == OPEN) return b;
  if (b == OPEN) return a;
  return a == TYPE_REAL || b == TYPE_REAL ? TYPE_REAL : a;
}

static int type_of_args(Elaboration *elaboration, const Term *term, int first, int pass) {
  int type = OPEN;
  for (int n = first; n < term->count; n++) {
    int other = type_of(elaboration, term->args[n], pass);
    if (other == OPEN && type != TYPE_REAL) return OPEN;
    type = combined(type, other);
  }
  return type;
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
  case TERM_READ: return term->entity->has_type ? (int)term->entity->type : OPEN;
  case TERM_CALL:
  case TERM_REDUCE: return type_of_call(elaboration, term, pass);
  case TERM_IF: return type_of_args(elaboration, term, 1, pass);
  default: return TYPE_INT;
  }
}

static int type_of(Elaboration *elaboration, const Term *term, int pass) {
  if (term->has_type) return (int)term->type;
  if (term->pass == pass) return OPEN;
  Term *memo = (Term *)term;
  memo->pass = pass;
  int type = find_type(elaboration, term, pass);
  if (type != OPEN) {
    memo->has_type = true;
    memo->type = (Type)type;
  }
  return type;
}

static bool infer_entity(Elaboration *elaboration, Entity *entity, int pass, bool is_forced) {
  int type = OPEN;
  for (int n = 0; n < entity->case_count; n++) {
    int other = type_of(elaboration, entity->cases[n]->value, pass);
    if (other == OPEN && !is_forced) return false;
    type = combined(type, other);
  }
  entity->type = type == OPEN ? TYPE_REAL : (Type)type;
  return entity->has_type = true;
}

void infer_types(Elaboration *elaboration) {
  int pass = 1;
  for (bool has_progress = true; has_progress; pass++) {
    has_progress = false;
    for (int n = 0; n < elaboration->entity_count; n++)
      if (!elaboration->entities[n]->has_type) has_progress |= infer_entity(elaboration, elaboration->entities[n], pass, false);
  }
  /* a cycle: its first tensor decides, from what is known of it; then go on */
  for (int n = 0; n < elaboration->entity_count; n++) {
    if (elaboration->entities[n]->has_type) continue;
    infer_entity(elaboration, elaboration->entities[n], pass++, true);
    for (bool has_progress = true; has_progress; pass++) {
      has_progress = false;
      for (int m = n + 1; m < elaboration->entity_count; m++)
        if (!elaboration->entities[m]->has_type) has_progress |= infer_entity(elaboration, elaboration->entities[m], pass, false);
    }
  }
}
