/* config.c - constants from the config of a checkpoint (JSON), and from -D. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>

#include "frontend/elaborate.h"

static const char *config_path(const Elaboration *elaboration, int number) {
  const char *path = elaboration->options->configs[number].path;
  return path ? path : "the config";
}

bool config_open(Elaboration *elaboration) {
  const FrontendOptions *options = elaboration->options;
  elaboration->configs = ARENA_ARRAY(elaboration->arena, void *, options->config_count);
  SourceRange nowhere = {0};
  for (int n = 0; n < options->config_count; n++) {
    elaboration->configs[n] = cJSON_Parse(options->configs[n].text);
    if (cJSON_IsObject((cJSON *)elaboration->configs[n])) continue;
    ERROR_AT(elaboration, nowhere, "the config of '%s' is not a JSON object", config_path(elaboration, n));
    return false;
  }
  return true;
}

void config_close(Elaboration *elaboration) {
  for (int n = 0; elaboration->configs && n < elaboration->options->config_count; n++) cJSON_Delete(elaboration->configs[n]);
  elaboration->configs = NULL;
}

static Value value_of_number(double number) {
  Value value = {.kind = VALUE_REAL, .real = number};
  if (number == floor(number) && fabs(number) < 9e15) {
    value.kind = VALUE_SIZE;
    value.size = size_constant((int64_t)number);
  }
  return value;
}

/* A key may be a path: "rope.base". Absent and null are the same, and NULL here. */
static const cJSON *find_in(const Elaboration *elaboration, const cJSON *item, const char *key) {
  char *path = arena_string(elaboration->arena, key);
  for (char *part = path, *next; item && part; part = next) {
    next = strchr(part, '.');
    if (next) *next++ = 0;
    item = cJSON_GetObjectItemCaseSensitive(item, part);
  }
  return cJSON_IsNull(item) ? NULL : item;
}

static const cJSON *find_first(const Elaboration *elaboration, const char *key, int *out_number) {
  for (*out_number = 0; *out_number < elaboration->options->config_count; ++*out_number) {
    const cJSON *item = find_in(elaboration, elaboration->configs[*out_number], key);
    if (item) return item;
  }
  return NULL;
}

static const char *item_text(Elaboration *elaboration, const cJSON *item) {
  char *text = cJSON_PrintUnformatted(item);
  const char *copy = arena_string(elaboration->arena, text ? text : "?");
  cJSON_free(text);
  return strlen(copy) > 60 ? arena_format(elaboration->arena, "%.60s...", copy) : copy;
}

static const cJSON *find_item(Elaboration *elaboration, const char *key, SourceRange where) {
  int first;
  const cJSON *item = find_first(elaboration, key, &first);
  for (int n = first + 1; item && n < elaboration->options->config_count; n++) {
    const cJSON *other = find_in(elaboration, elaboration->configs[n], key);
    if (!other || cJSON_Compare(item, other, true)) continue;
    ERROR_AT(elaboration, where, "'%s' is %s in '%s', but %s in '%s'", key, item_text(elaboration, item),
             config_path(elaboration, first), item_text(elaboration, other), config_path(elaboration, n));
  }
  return item;
}

const char *config_origin(Elaboration *elaboration, const Node *node) {
  if (!node) return NULL;
  int number;
  bool is_key = (node->kind == NODE_NAME || node->kind == NODE_READ) && !strncmp(node->text, "config.", 7);
  const cJSON *item = is_key ? find_first(elaboration, node->text + 7, &number) : NULL;
  if (item)
    return arena_format(elaboration->arena, "'%s' of '%s', which is %s", node->text + 7, config_path(elaboration, number),
                        item_text(elaboration, item));
  const Node *parts[] = {node->left, node->right, node->third};
  for (int n = 0; n < 3; n++) {
    const char *origin = config_origin(elaboration, parts[n]);
    if (origin) return origin;
  }
  for (int n = 0; n < node->body.count; n++) {
    const char *origin = config_origin(elaboration, node->body.nodes[n]);
    if (origin) return origin;
  }
  return NULL;
}

static Value value_of_item(Elaboration *elaboration, const cJSON *item, const char *key, SourceRange where) {
  if (!item || cJSON_IsNull(item)) return (Value){.kind = VALUE_ABSENT};
  if (cJSON_IsNumber(item)) return value_of_number(item->valuedouble);
  if (cJSON_IsBool(item)) return (Value){.kind = VALUE_BOOLEAN, .boolean = cJSON_IsTrue(item)};
  if (cJSON_IsString(item)) return (Value){.kind = VALUE_STRING, .text = arena_string(elaboration->arena, item->valuestring)};
  ERROR_AT(elaboration, where, "'%s' in the config is neither a number, a string nor a truth value", key);
  return (Value){.kind = VALUE_ERROR};
}

Value config_value(Elaboration *elaboration, const char *key, SourceRange where) {
  return value_of_item(elaboration, find_item(elaboration, key, where), key, where);
}

static Value not_a_list(Elaboration *elaboration, const char *key, SourceRange where) {
  ERROR_AT(elaboration, where, "'%s' in the config is no list", key);
  return (Value){.kind = VALUE_ERROR};
}

Value config_entry(Elaboration *elaboration, const char *key, int64_t index, SourceRange where) {
  const cJSON *list = find_item(elaboration, key, where);
  if (!list) return (Value){.kind = VALUE_ABSENT};
  if (!cJSON_IsArray(list)) return not_a_list(elaboration, key, where);
  int count = cJSON_GetArraySize(list);
  if (index >= 0 && index < count) return value_of_item(elaboration, cJSON_GetArrayItem(list, (int)index), key, where);
  ERROR_AT(elaboration, where, "'%s' in the config has %d entries, the index is %lld", key, count, (long long)index);
  return (Value){.kind = VALUE_ERROR};
}

Value config_count(Elaboration *elaboration, const char *key, SourceRange where) {
  const cJSON *list = find_item(elaboration, key, where);
  if (!list) return (Value){.kind = VALUE_ABSENT};
  if (!cJSON_IsArray(list)) return not_a_list(elaboration, key, where);
  return (Value){.kind = VALUE_SIZE, .size = size_constant(cJSON_GetArraySize(list))};
}

Value value_parse(Elaboration *elaboration, const char *text) {
  if (!strcmp(text, "true") || !strcmp(text, "false")) return (Value){.kind = VALUE_BOOLEAN, .boolean = text[0] == 't'};
  char *end = NULL;
  double number = strtod(text, &end);
  if (*text && !*end && isfinite(number))
    return strpbrk(text, ".eEpPxX") ? (Value){.kind = VALUE_REAL, .real = number} : value_of_number(number);
  return (Value){.kind = VALUE_STRING, .text = arena_string(elaboration->arena, text)};
}

static Name *define_target(Elaboration *elaboration, const Define *define) {
  SourceRange nowhere = {0};
  Name *name = scope_find_local(elaboration->model, define->name);
  if (name && name->cell) return name;
  ERROR_AT(elaboration, nowhere, "-D %s=%s: the model has no constant or size '%s'", define->name, define->value, define->name);
  return NULL;
}

/* Only constants: before sizes are declared, which a choice between statements waits for. */
void apply_defines(Elaboration *elaboration, bool only_constants) {
  for (int n = 0; n < elaboration->options->define_count; n++) {
    const Define *define = &elaboration->options->defines[n];
    Name *name = only_constants ? scope_find_local(elaboration->model, define->name) : define_target(elaboration, define);
    if (!name || (only_constants && name->kind != NAME_CONSTANT)) continue;
    Value value = value_parse(elaboration, define->value);
    const char *origin = arena_format(elaboration->arena, "-D %s=%s", define->name, define->value);
    SourceRange nowhere = {0};
    if (name->kind == NAME_CONSTANT) name->known = value;
    if (value.kind == VALUE_SIZE && (name->kind == NAME_CONSTANT || value.size.constant >= 1))
      cell_set(elaboration, name->cell, value.size, nowhere, origin, name->source,
               arena_format(elaboration->arena, "'%s'", name->text));
    else if (name->kind == NAME_SIZE) ERROR_AT(elaboration, nowhere, "%s: expected a size of at least 1", origin);
  }
}
