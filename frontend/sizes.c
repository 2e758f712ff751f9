/* sizes.c - cells: sizes that are not known yet, merged where they must be equal. */
#include "frontend/elaborate.h"

Cell *cell_create(Elaboration *elaboration) { return ARENA_NEW(elaboration->arena, Cell); }

Cell *cell_root(Cell *cell) {
  while (cell->parent) {
    if (cell->parent->parent) cell->parent = cell->parent->parent;
    cell = cell->parent;
  }
  return cell;
}

Size cell_size(const Cell *cell) {
  while (cell->parent) cell = cell->parent;
  return cell->is_known ? cell->size : size_constant(1);
}

const char *size_text(Elaboration *elaboration, Size size) {
  if (size.symbol == NONE) return arena_format(elaboration->arena, "%lld", (long long)size.constant);
  const char *name = elaboration->draft->symbols[size.symbol].name;
  if (size.constant == 0) return name;
  return arena_format(elaboration->arena, "%s %c %lld", name, size.constant < 0 ? '-' : '+',
                      (long long)(size.constant < 0 ? -size.constant : size.constant));
}

static void note_origin(Elaboration *elaboration, const Cell *cell) {
  const char *text = size_text(elaboration, cell->size);
  if (cell->origin) NOTE_AT(elaboration, cell->source, "%s comes from %s", text, cell->origin);
  else NOTE_AT(elaboration, cell->source, "%s comes from here", text);
}

bool cell_set(Elaboration *elaboration, Cell *cell, Size size, SourceRange source, const char *origin, SourceRange where,
              const char *what) {
  cell = cell_root(cell);
  if (!cell->is_known) {
    cell->is_known = true;
    cell->size = size;
    cell->source = source;
    cell->origin = origin;
    return true;
  }
  if (size_equal(cell->size, size)) return true;
  Cell other = {.size = size, .source = source, .origin = origin};
  ERROR_AT(elaboration, where, "sizes differ: %s is %s here and %s there", what, size_text(elaboration, size),
           size_text(elaboration, cell->size));
  note_origin(elaboration, cell);
  if (origin || source.line != where.line || source.column != where.column) note_origin(elaboration, &other);
  return false;
}

bool cell_merge(Elaboration *elaboration, Cell *a, Cell *b, SourceRange where, const char *what) {
  a = cell_root(a);
  b = cell_root(b);
  if (a == b) return true;
  if (a->is_known && b->is_known) {
    if (!size_equal(a->size, b->size)) {
      ERROR_AT(elaboration, where, "sizes differ: %s is %s here and %s there", what, size_text(elaboration, b->size),
               size_text(elaboration, a->size));
      note_origin(elaboration, a);
      note_origin(elaboration, b);
      return false;
    }
  }
  Cell *root = a->is_known ? a : b;
  (root == a ? b : a)->parent = root;
  return true;
}

/* Every name that stands in an axis is a size, unless it is something else already. */
void declare_axis_names(Elaboration *elaboration, Scope *scope, const Node *axis) {
  if (!axis) return;
  if (axis->kind == NODE_NAME) {
    if (strchr(axis->text, '.') || !strcmp(axis->text, "batch")) return;
    if (!scope_find(scope, axis->text, NULL)) scope_add(elaboration, scope, NAME_SIZE, axis->text, axis->source);
    return;
  }
  declare_axis_names(elaboration, scope, axis->left);
  declare_axis_names(elaboration, scope, axis->right);
  declare_axis_names(elaboration, scope, axis->third);
  for (int n = 0; n < axis->body.count; n++) declare_axis_names(elaboration, scope, axis->body.nodes[n]);
}

Cell *axis_cell(Elaboration *elaboration, Scope *scope, const Node *axis, const char *what) {
  declare_axis_names(elaboration, scope, axis);
  if (axis->kind == NODE_NAME) {
    Name *name = scope_find(scope, axis->text, NULL);
    if (name && name->cell) return name->cell;
  }
  Cell *cell = cell_create(elaboration);
  if (axis->kind == NODE_INTEGER) {
    if (axis->integer < 1)
      ERROR_AT(elaboration, axis->source, "%s has size %lld, expected at least 1", what, (long long)axis->integer);
    cell_set(elaboration, cell, size_constant(axis->integer), axis->source, NULL, axis->source, what);
    return cell;
  }
  Constraint constraint = {
      .kind = CONSTRAINT_SIZE, .cell = cell, .node = axis, .scope = scope, .source = axis->source, .what = what};
  constraint_add(elaboration, constraint);
  return cell;
}
