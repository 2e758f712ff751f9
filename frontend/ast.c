/* ast.c - making nodes; depth is kept so that later walks can recurse safely. */
#include "frontend/ast.h"

Node *syntax_node(Arena *arena, NodeKind kind, SourceRange source, const char *text) {
  Node *node = ARENA_NEW(arena, Node);
  node->kind = kind;
  node->source = source;
  node->text = text;
  node->depth = 1;
  return node;
}

static int deeper(int depth, const Node *child) { return child && child->depth >= depth ? child->depth + 1 : depth; }

Node *node_with(Node *node, Node *left, Node *right, Node *third) {
  node->left = left;
  node->right = right;
  node->third = third;
  node->depth = deeper(deeper(deeper(node->depth, left), right), third);
  return node;
}

Node *node_binary(Arena *arena, SourceRange source, const char *operator_text, Node *left, Node *right) {
  return node_with(syntax_node(arena, NODE_BINARY, source, operator_text), left, right, NULL);
}

NodeList node_list_add(Arena *arena, NodeList list, Node *node) {
  ARENA_PUSH(arena, list.nodes, list.count, node);
  return list;
}

int node_list_depth(NodeList list) {
  int depth = 1;
  for (int n = 0; n < list.count; n++) depth = deeper(depth, list.nodes[n]);
  return depth;
}

void node_share_initialisers(NodeList parameters) {
  Node *initialiser = NULL;
  for (int n = parameters.count - 1; n >= 0; n--) {
    if (parameters.nodes[n]->left) initialiser = parameters.nodes[n]->left;
    parameters.nodes[n]->left = initialiser;
  }
}
