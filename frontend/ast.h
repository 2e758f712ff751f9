/* ast.h - the syntax tree of a model file, as written: one kind of node, one table of what each kind holds.
 *
 * Names are not looked up and nothing is checked here beyond grammar and nesting; see elaborate.h for what follows.
 */
#ifndef SEQC_FRONTEND_AST_H
#define SEQC_FRONTEND_AST_H

#include <stdint.h>

#include "base/arena.h"
#include "base/diagnostic.h"
#include "base/text.h"

enum { DEEPEST_NESTING = 500, MOST_LEVELS = 2000 }; /* of brackets; of operators, a + b + c having two */

/* NODE(ID, text form)    what the fields hold */
#define NODE_KINDS(NODE)                                                                                     \
  /* definitions */                                                                                          \
  NODE(IMPORT, "import")       /* text: path or dotted name (is_dotted) */                                   \
  NODE(LAYER, "layer")         /* text, items: inputs, outputs, body */                                      \
  NODE(MODEL, "model")         /* the same */                                                                \
  NODE(FUNCTION, "function")   /* text, items: indices, outputs: formals, left: value, body: locals */       \
  NODE(PORT, "port")           /* text, items: axes, type, left: default, is_common */                       \
  NODE(LOCAL, "local")         /* text, left */                                                              \
  /* statements */                                                                                           \
  NODE(CONSTANT, "const")      /* text, left */                                                              \
  NODE(LENGTH, "length")       /* text */                                                                    \
  NODE(PARAMETER, "param")     /* as PORT, outputs: stored axes (has_stored), extra: as, left: initialiser */ \
  NODE(STATE, "state")         /* text, items: axes, type, is_common */                                      \
  NODE(EQUATION, "equation")   /* items: targets, left: value, extra: as */                                  \
  NODE(REPEAT, "repeat")       /* text: index, left: low, right: high, extra: as, body */                    \
  NODE(REQUIREMENT, "require") /* left, text: what to say otherwise, or NULL */                              \
  NODE(CHOICE, "choice")       /* left: condition, body: when true, outputs: when false */                   \
  NODE(OBJECTIVE, "objective") /* text, items: inputs, left */                                               \
  NODE(IGNORE, "ignore")       /* text: pattern of names */                                                  \
  /* expressions */                                                                                          \
  NODE(INTEGER, "integer")     /* integer */                                                                 \
  NODE(REAL, "real")           /* number */                                                                  \
  NODE(STRING, "string")       /* text */                                                                    \
  NODE(BOOLEAN, "boolean")     /* integer */                                                                 \
  NODE(NAME, "name")           /* text, dots included */                                                     \
  NODE(READ, "read")           /* text, items: subscripts, right: guard (only legal in APPLY) */             \
  NODE(APPLY, "apply")         /* text, items: indices (may be none), right: guard, body: arguments */       \
  NODE(NAMED, "named")         /* text, left: an argument by name */                                         \
  NODE(RANGE, "range")         /* text: index, left: low, right: high */                                     \
  NODE(COLON, "colon")         /* all of an axis */                                                          \
  NODE(UNARY, "unary")         /* text: operator, left */                                                    \
  NODE(BINARY, "binary")       /* text: operator, left, right */                                             \
  NODE(IF, "if")               /* left: condition, right: when true, third: when false */

typedef enum {
#define NODE(id, text) NODE_##id,
  NODE_KINDS(NODE)
#undef NODE
  NODE_KIND_COUNT
} NodeKind;

typedef struct Node Node;
typedef struct NodeList {
  Node **nodes;
  int count;
} NodeList;

struct Node {
  NodeKind kind;
  int depth; /* levels of nodes below and including this one */
  SourceRange source;
  const char *text, *extra, *type;
  int64_t integer;
  double number;
  bool is_common, is_dotted, has_stored, is_unrolled;
  NodeList items, outputs, body;
  Node *left, *right, *third;
};

Node *syntax_node(Arena *arena, NodeKind kind, SourceRange source, const char *text);
/* Sets the operands and the depth. */
Node *node_with(Node *node, Node *left, Node *right, Node *third);
Node *node_binary(Arena *arena, SourceRange source, const char *operator_text, Node *left, Node *right);
NodeList node_list_add(Arena *arena, NodeList list, Node *node);
int node_list_depth(NodeList list);
/* The initialiser of a list of parameters holds for those before it that have none. */
void node_share_initialisers(NodeList parameters);

/* One file's definitions. False after syntax errors. */
bool ast_parse(Arena *arena, const SourceFile *file, Diagnostics *diagnostics, NodeList *out_definitions);

void ast_print(Text *text, NodeList nodes);

#endif
