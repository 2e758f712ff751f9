/* parameters.c - declarations of parameters: public names with the turn of a repeat in them, stored shapes, initialisers. */
#include <stdlib.h>

#include "frontend/elaborate.h"

/* "{2*l+1}": scale * turn + offset. */
bool parse_turn(const char *text, const char *end, const char *turn, int64_t *out_scale, int64_t *out_offset) {
  size_t length = strlen(turn);
  *out_scale = 1;
  *out_offset = 0;
  if (*text >= '0' && *text <= '9') {
    char *rest = NULL;
    *out_scale = strtol(text, &rest, 10);
    if (*rest != '*') return false;
    text = rest + 1;
  }
  if ((size_t)(end - text) < length || strncmp(text, turn, length)) return false;
  text += length;
  if (text == end) return true;
  if (*text != '+' && *text != '-') return false;
  char *rest = NULL;
  *out_offset = strtol(text, &rest, 10);
  return rest == end;
}

static bool find_turn(Elaboration *elaboration, Scope *scope, Parameter *parameter) {
  const char *name = parameter->name, *open = strchr(name, '{');
  Variable *turn = NULL;
  int turn_count = 0;
  for (int n = 0; n < scope->outer_count; n++)
    if (scope->outers[n]->is_turn) turn = scope->outers[n], turn_count++;
  SourceRange where = parameter->node->source;
  if (turn_count > 1) {
    ERROR_AT(elaboration, where, "'%s' is a parameter inside of two repeats; parameters may stand in one", name);
    return false;
  }
  const char *close = open ? strchr(open, '}') : NULL;
  if (!turn && !open) return true;
  if (!turn) {
    ERROR_AT(elaboration, where, "the name '%s' asks for the turn of a repeat, but there is none around", name);
    return false;
  }
  if (!open || !close) {
    ERROR_AT(elaboration, scope->call ? scope->call->source : where,
             "each turn of '%s' has a parameter '%s' of its own: name them with 'as ...{%s}'", turn->name, name, turn->name);
    if (scope->call) NOTE_AT(elaboration, where, "it is declared here");
    return false;
  }
  if (!parse_turn(open + 1, close, turn->name, &parameter->turn_scale, &parameter->turn_offset) || strchr(close, '{')) {
    ERROR_AT(elaboration, where, "expected one '{%s}' or '{2*%s+1}' and the like in '%s'", turn->name, turn->name, name);
    return false;
  }
  parameter->has_turns = true;
  parameter->turn = turn;
  parameter->name = arena_format(elaboration->arena, "%.*s{}%s", (int)(open - name), name, close + 1);
  return true;
}

/* The name that the first turn's tensor has in a file, once the range of the turn is known. */
static void name_first(Elaboration *elaboration, Parameter *parameter) {
  parameter->first_name = parameter->name;
  if (!parameter->has_turns) return;
  Value low = evaluate(elaboration, parameter->turn->scope, parameter->turn->low, true);
  int64_t first = low.kind == VALUE_SIZE ? low.size.constant : 0;
  const char *brace = strstr(parameter->name, "{}");
  parameter->first_name = arena_format(elaboration->arena, "%.*s%lld%s", (int)(brace - parameter->name), parameter->name,
                                       (long long)(parameter->turn_scale * first + parameter->turn_offset), brace + 2);
}

void declare_parameter(Elaboration *elaboration, Scope *scope, const Node *node) {
  Name *name = scope_add(elaboration, scope, NAME_TENSOR, node->text, node->source);
  if (!name) return;
  Parameter *parameter = ARENA_NEW(elaboration->arena, Parameter);
  parameter->node = node;
  parameter->scope = scope;
  parameter->name = names_apply(elaboration->arena, scope->parameter_names, node->extra ? node->extra : node->text);
  parameter->name = names_of_turns(elaboration, scope, parameter->name);
  bool is_named = find_turn(elaboration, scope, parameter);
  parameter->entity = entity_create(elaboration, scope, ROLE_PARAMETER, parameter->name, node->items.count, node->source);
  for (int n = 0; n < node->items.count; n++)
    parameter->entity->axes[parameter->entity->outer_count + n] = axis_cell(
        elaboration, scope, node->items.nodes[n], arena_format(elaboration->arena, "axis %d of '%s'", n + 1, node->text));
  if (is_declared_complex(elaboration, node, "a parameter")) entity_keep_parts(elaboration, parameter->entity);
  parameter->stored_rank = node->has_stored ? node->outputs.count : -1;
  if (node->has_stored) parameter->stored = ARENA_ARRAY(elaboration->arena, Cell *, node->outputs.count);
  for (int n = 0; node->has_stored && n < node->outputs.count; n++)
    parameter->stored[n] = axis_cell(elaboration, scope, node->outputs.nodes[n],
                                     arena_format(elaboration->arena, "stored axis %d of '%s'", n + 1, node->text));
  name_define(elaboration, name, view_of_entity(elaboration, scope, parameter->entity), 0);
  if (!is_named) return;
  name_first(elaboration, parameter);
  ARENA_PUSH(elaboration->arena, elaboration->parameters, elaboration->parameter_count, parameter);
}

/* ---- ports ---- */

static bool evaluate_number(Elaboration *elaboration, const Parameter *parameter, const Node *node, double *out_number) {
  Value value = evaluate(elaboration, parameter->scope, node, true);
  if (value.kind == VALUE_REAL) *out_number = value.real;
  else if (value.kind == VALUE_SIZE && value.size.symbol == NONE) *out_number = (double)value.size.constant;
  else if (value.kind != VALUE_ERROR) ERROR_AT(elaboration, node->source, "expected a number that is known while compiling");
  return value.kind != VALUE_ERROR;
}

static void find_initialiser(Elaboration *elaboration, const Parameter *parameter, Port *port) {
  const Node *node = parameter->node->left;
  if (!node) return;
  bool is_uniform = node->kind == NODE_APPLY && !strcmp(node->text, "uniform");
  bool is_normal = node->kind == NODE_APPLY && !strcmp(node->text, "normal");
  if (!is_uniform && !is_normal) {
    port->init = INIT_CONSTANT;
    evaluate_number(elaboration, parameter, node, &port->init_a);
    return;
  }
  port->init = is_uniform ? INIT_UNIFORM : INIT_NORMAL;
  if (node->body.count != 2) {
    ERROR_AT(elaboration, node->source, "'%s' takes 2 arguments, found %d", node->text, node->body.count);
    return;
  }
  evaluate_number(elaboration, parameter, node->body.nodes[0], &port->init_a);
  evaluate_number(elaboration, parameter, node->body.nodes[1], &port->init_b);
}

static int64_t element_count(const Size *sizes, int count) {
  int64_t product = 1;
  for (int n = 0; n < count; n++)
    if (__builtin_mul_overflow(product, sizes[n].constant, &product)) return -1;
  return product;
}

static bool find_stored_shape(Elaboration *elaboration, const Parameter *parameter, Port *port) {
  const Entity *entity = parameter->entity;
  int rank = entity->rank - entity->outer_count;
  bool is_declared = parameter->stored_rank >= 0;
  port->stored_rank = is_declared ? parameter->stored_rank : rank;
  port->stored_shape = ARENA_ARRAY(elaboration->arena, int64_t, port->stored_rank);
  Size *sizes = ARENA_ARRAY(elaboration->arena, Size, rank), *stored = ARENA_ARRAY(elaboration->arena, Size, port->stored_rank);
  for (int n = 0; n < rank; n++) {
    sizes[n] = cell_size(entity->axes[entity->outer_count + n]);
    if (sizes[n].symbol == NONE) continue;
    ERROR_AT(elaboration, entity->source, "axis %d of the parameter '%s' is %s, which is known at run time only", n + 1,
             parameter->name, size_text(elaboration, sizes[n]));
    return false;
  }
  for (int n = 0; n < port->stored_rank; n++) {
    stored[n] = is_declared ? cell_size(parameter->stored[n]) : sizes[n];
    port->stored_shape[n] = stored[n].constant;
  }
  int64_t wanted = element_count(sizes, rank), found = element_count(stored, port->stored_rank);
  if (wanted == found && wanted > 0) return true;
  ERROR_AT(elaboration, entity->source, "'%s' has %lld elements, but its stored shape has %lld", parameter->name,
           (long long)wanted, (long long)found);
  return false;
}

static bool is_public_name_free(Elaboration *elaboration, const Program *program, const Parameter *parameter) {
  int other = program_find_port(program, PORT_PARAMETER, parameter->name);
  if (other == NONE) return true;
  const char *name = parameter->name;
  if (parameter->scope->call) {
    ERROR_AT(elaboration, parameter->scope->call->source,
             "this call makes a second parameter '%s': name its parameters with 'as'", name);
    NOTE_AT(elaboration, parameter->node->source, "it is declared here");
  } else {
    ERROR_AT(elaboration, parameter->node->source, "two parameters have the public name '%s'", name);
    NOTE_AT(elaboration, program->ports[other].source, "the other one is here");
  }
  return false;
}

void add_parameter_ports(Elaboration *elaboration, Program *program, const TensorId *tensors) {
  for (int n = 0; n < elaboration->parameter_count; n++) {
    const Parameter *parameter = elaboration->parameters[n];
    if (!parameter->entity->is_used) {
      ERROR_AT(elaboration, parameter->node->source, "no equation reads the parameter '%s'", parameter->name);
      continue;
    }
    if (!is_public_name_free(elaboration, program, parameter)) continue;
    Port port = {.kind = PORT_PARAMETER,
                 .name = parameter->name,
                 .tensor = tensors[parameter->entity->id],
                 .batch_axis = NONE,
                 .of = NONE,
                 .source = parameter->node->source,
                 .has_turns = parameter->has_turns};
    if (parameter->has_turns) {
      port.turn_scale = parameter->turn_scale;
      port.turn_offset = parameter->turn_scale * parameter->turn->offset + parameter->turn_offset;
    }
    find_initialiser(elaboration, parameter, &port);
    if (find_stored_shape(elaboration, parameter, &port)) program_add_port(program, port);
  }
}
