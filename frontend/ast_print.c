/* ast_print.c - the syntax tree as indented text, for --emit=ast. */
#include "frontend/ast.h"

static const char *const kind_texts[NODE_KIND_COUNT] = {
#define NODE(id, text) text,
    NODE_KINDS(NODE)
#undef NODE
};

static void print_node(Text *text, const Node *node, int indent, const char *role);

static void print_list(Text *text, NodeList list, int indent, const char *role) {
  for (int n = 0; n < list.count; n++) print_node(text, list.nodes[n], indent, role);
}

static void print_node(Text *text, const Node *node, int indent, const char *role) {
  if (!node) return;
  text_format(text, "%*s%s%s", 2 * indent, "", role, kind_texts[node->kind]);
  if (node->text) {
    text_add(text, " ");
    if (node->kind == NODE_STRING) text_quoted(text, node->text);
    else text_add(text, node->text);
  }
  if (node->kind == NODE_INTEGER) text_format(text, " %lld", (long long)node->integer);
  if (node->kind == NODE_BOOLEAN) text_add(text, node->integer ? " true" : " false");
  if (node->kind == NODE_REAL) {
    text_add(text, " ");
    text_double(text, node->number);
  }
  if (node->is_common) text_add(text, " common");
  if (node->is_unrolled) text_add(text, " unrolled");
  if (node->type) text_format(text, " : %s", node->type);
  if (node->extra) text_format(text, " as %s", node->extra);
  text_format(text, "  @%d:%d\n", node->source.line, node->source.column);
  bool is_header = node->kind == NODE_LAYER || node->kind == NODE_MODEL;
  print_list(text, node->items, indent + 1, is_header ? "input " : "");
  print_list(text, node->outputs, indent + 1, is_header ? "output " : node->has_stored ? "stored " : node->kind == NODE_CHOICE ? "else " : "");
  print_node(text, node->left, indent + 1, "");
  print_node(text, node->right, indent + 1, node->kind == NODE_APPLY ? "where " : "");
  print_node(text, node->third, indent + 1, "");
  print_list(text, node->body, indent + 1, "");
}

void ast_print(Text *text, NodeList nodes) { print_list(text, nodes, 0, ""); }
