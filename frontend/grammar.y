/* grammar.y - the grammar of docs/language.md. Actions only build nodes; parser.c feeds tokens and ends statements. */
%define api.pure full
%define api.location.type {SourceRange}
%define api.value.type {ParserValue}
%define parse.error custom
%define api.prefix {seqparse}
%locations
%expect 0
%parse-param { Parser *parser }
%lex-param { Parser *parser }

%code requires {
#include "frontend/parser.h"
}
%code {
#define seqparselex parser_next
#define YYLLOC_DEFAULT(current, rhs, n)                                                        \
  do {                                                                                         \
    if (n) {                                                                                   \
      (current) = YYRHSLOC(rhs, 1);                                                            \
      (current).end_line = YYRHSLOC(rhs, n).end_line;                                          \
      (current).end_column = YYRHSLOC(rhs, n).end_column;                                      \
    } else {                                                                                   \
      (current) = YYRHSLOC(rhs, 0);                                                            \
      (current).line = (current).end_line;                                                     \
      (current).column = (current).end_column;                                                 \
    }                                                                                          \
  } while (0)

static void seqparseerror(SourceRange *place, Parser *parser, const char *message);

static Node *make(Parser *parser, NodeKind kind, SourceRange place, const char *text) {
  return syntax_node(parser->arena, kind, place, text);
}
static Node *checked(Parser *parser, Node *node) {
  if (node->depth > MOST_LEVELS) parser_stop(parser, node->source, "this expression has too many levels");
  return node;
}
static Node *binary(Parser *parser, SourceRange place, const char *text, Node *left, Node *right) {
  return checked(parser, node_binary(parser->arena, place, text, left, right));
}
static NodeList add(Parser *parser, NodeList list, Node *node) { return node_list_add(parser->arena, list, node); }
static NodeList append(Parser *parser, NodeList list, NodeList more) {
  for (int n = 0; n < more.count; n++) list = add(parser, list, more.nodes[n]);
  return list;
}
static const NodeList empty_list;
static Node *bracketed(Parser *parser, Node *node, Node *bracket) {
  node->items = bracket->items;
  node->right = bracket->right;
  node->depth = bracket->depth + 1;
  return checked(parser, node);
}
static Node *applied(Parser *parser, SourceRange place, const char *name, Node *bracket, NodeList arguments) {
  Node *node = make(parser, NODE_APPLY, place, name);
  int depth = node_list_depth(arguments);
  if (bracket) {
    node->items = bracket->items;
    node->right = bracket->right;
    if (bracket->depth > depth) depth = bracket->depth;
  }
  node->body = arguments;
  node->depth = depth + 1;
  return checked(parser, node);
}
}

%token END_OF_FILE 0 "the end of the file"
%token NEWLINE "the end of the line"
%token END "the end of the statement"
%token <text> NAME "a name" STRING "a string" TEMPLATE "a name for parameters"
%token <integer> INTEGER "an integer" BOOLEAN "a truth value"
%token <number> REAL "a number"
%token IMPORT "'import'" LAYER "'layer'" MODEL "'model'" FUNCTION "'function'" PARAM "'param'" CONST "'const'"
%token STATE "'state'" LENGTH "'length'" OBJECTIVE "'objective'" IGNORE "'ignore'" REPEAT "'repeat'" UNROLL "'unroll'" REQUIRE "'require'" COMMON "'common'" STORED "'stored'"
%token IN "'in'" AS_NAME "'as'" WHERE "'where'" IF "'if'" THEN "'then'" ELSE "'else'" AND "'and'" OR "'or'" NOT "'not'"
%token MOD "'mod'" DIV "'div'" ARROW "'->'" DOTS "'..'" LE "'<='" GE "'>='" EQ "'=='" NE "'!='"

%type <node> choice definition port local function_formal constant parameter state equation expression primary bracket item target argument
%type <list> ports ports_or_none locals locals_or_none formals formals_or_none names names_or_none statements statement
%type <list> otherwise constants lengths ignored parameters states targets expressions items arguments arguments_or_none axes axes_or_none
%type <text> name dotted type_or_none as as_or_none
%type <flag> common repeated

%precedence ELSE
%left OR
%left AND
%precedence NOT
%nonassoc '<' '>' LE GE EQ NE
%left '+' '-'
%left '*' '/' MOD DIV
%precedence NEGATIVE
%right '^'

%%

file: definitions ;

definitions: %empty
  | definitions END
  | definitions definition END { parser->definitions = add(parser, parser->definitions, $definition); }
  | definitions error END
  ;

definition:
    IMPORT dotted { $$ = make(parser, NODE_IMPORT, @$, $dotted); $$->is_dotted = true; }
  | IMPORT STRING { $$ = make(parser, NODE_IMPORT, @$, $STRING); }
  | LAYER NAME '(' ports_or_none ')' ARROW ports '{' statements '}'
    { $$ = make(parser, NODE_LAYER, @NAME, $NAME); $$->items = $4; $$->outputs = $7; $$->body = $9; }
  | MODEL NAME '(' ports_or_none ')' ARROW ports '{' statements '}'
    { $$ = make(parser, NODE_MODEL, @NAME, $NAME); $$->items = $4; $$->outputs = $7; $$->body = $9; }
  | FUNCTION NAME names_or_none '(' formals_or_none ')' '=' expression locals_or_none
    { $$ = node_with(make(parser, NODE_FUNCTION, @NAME, $NAME), $expression, NULL, NULL);
      $$->items = $3; $$->outputs = $5; $$->body = $9; }
  ;

dotted: NAME
  | dotted '.' NAME { $$ = arena_format(parser->arena, "%s.%s", $1, $3); }
  ;

ports_or_none: %empty { $$ = empty_list; } | ports ;
ports: port { $$ = add(parser, empty_list, $1); }
  | ports ',' port { $$ = add(parser, $1, $3); }
  ;
port: common NAME axes_or_none type_or_none
    { $$ = make(parser, NODE_PORT, @NAME, $NAME); $$->items = $3; $$->type = $4; $$->is_common = $1; }
  | common NAME axes_or_none type_or_none '=' expression
    { $$ = node_with(make(parser, NODE_PORT, @NAME, $NAME), $expression, NULL, NULL);
      $$->items = $3; $$->type = $4; $$->is_common = $1; }
  ;
common: %empty { $$ = false; } | COMMON { $$ = true; } ;
type_or_none: %empty { $$ = NULL; } | ':' NAME { $$ = $2; } ;
axes_or_none: %empty { $$ = empty_list; } | axes ;
axes: '[' expressions ']' { $$ = $2; } ;
expressions: expression { $$ = add(parser, empty_list, $1); }
  | expressions ',' expression { $$ = add(parser, $1, $3); }
  ;

names_or_none: %empty { $$ = empty_list; } | '[' names ']' { $$ = $2; } ;
names: NAME { $$ = add(parser, empty_list, make(parser, NODE_NAME, @1, $1)); }
  | names ',' NAME { $$ = add(parser, $1, make(parser, NODE_NAME, @3, $3)); }
  ;
formals_or_none: %empty { $$ = empty_list; } | formals ;
formals: function_formal { $$ = add(parser, empty_list, $1); }
  | formals ',' function_formal { $$ = add(parser, $1, $3); }
  ;
function_formal: NAME names_or_none type_or_none
    { $$ = make(parser, NODE_PORT, @NAME, $NAME); $$->items = $2; $$->type = $3; }
  ;
locals_or_none: %empty { $$ = empty_list; } | WHERE locals { $$ = $2; } ;
locals: local { $$ = add(parser, empty_list, $1); }
  | locals ',' local { $$ = add(parser, $1, $3); }
  ;
local: NAME '=' expression { $$ = node_with(make(parser, NODE_LOCAL, @NAME, $NAME), $3, NULL, NULL); } ;

statements: %empty { $$ = empty_list; }
  | statements END
  | statements statement END { $$ = append(parser, $1, $2); }
  | statements error END
  ;

statement:
    CONST constants { $$ = $2; }
  | LENGTH lengths { $$ = $2; }
  | PARAM parameters { node_share_initialisers($2); $$ = $2; }
  | STATE states { $$ = $2; }
  | IGNORE ignored { $$ = $2; }
  | equation { $$ = add(parser, empty_list, $1); }
  | repeated NAME IN expression DOTS expression as_or_none '{' statements '}'
    { Node *node = node_with(make(parser, NODE_REPEAT, @NAME, $NAME), $4, $6, NULL);
      node->is_unrolled = $1;
      node->extra = $7; node->body = $9;
      int depth = node_list_depth($9);
      node->depth = depth > node->depth ? depth : node->depth;
      $$ = add(parser, empty_list, checked(parser, node)); }
  | choice { $$ = add(parser, empty_list, $1); }
  | REQUIRE expression { $$ = add(parser, empty_list, node_with(make(parser, NODE_REQUIREMENT, @2, NULL), $2, NULL, NULL)); }
  | REQUIRE expression ',' STRING
    { $$ = add(parser, empty_list, node_with(make(parser, NODE_REQUIREMENT, @2, $4), $2, NULL, NULL)); }
  | OBJECTIVE NAME '(' ports_or_none ')' '=' expression
    { Node *node = node_with(make(parser, NODE_OBJECTIVE, @NAME, $NAME), $7, NULL, NULL);
      node->items = $4;
      $$ = add(parser, empty_list, node); }
  ;

choice: IF expression '{' statements '}' otherwise
    { $$ = node_with(make(parser, NODE_CHOICE, @IF, NULL), $expression, NULL, NULL);
      $$->body = $statements; $$->outputs = $otherwise;
      int depth = node_list_depth($statements), other_depth = node_list_depth($otherwise);
      if (depth < other_depth) depth = other_depth;
      $$->depth = depth >= $$->depth ? depth + 1 : $$->depth;
      checked(parser, $$); }
  ;
otherwise: %empty { $$ = empty_list; }
  | ELSE '{' statements '}' { $$ = $3; }
  | ELSE choice { $$ = add(parser, empty_list, $2); }
  ;

repeated: REPEAT { $$ = false; } | UNROLL { $$ = true; } ;

constants: constant { $$ = add(parser, empty_list, $1); }
  | constants ',' constant { $$ = add(parser, $1, $3); }
  ;
constant: NAME '=' expression { $$ = node_with(make(parser, NODE_CONSTANT, @NAME, $NAME), $3, NULL, NULL); } ;
lengths: NAME { $$ = add(parser, empty_list, make(parser, NODE_LENGTH, @1, $1)); }
  | lengths ',' NAME { $$ = add(parser, $1, make(parser, NODE_LENGTH, @3, $3)); }
  ;
parameters: parameter { $$ = add(parser, empty_list, $1); }
  | parameters ',' parameter { $$ = add(parser, $1, $3); }
  ;
parameter: NAME axes_or_none type_or_none
    { $$ = make(parser, NODE_PARAMETER, @NAME, $NAME); $$->items = $2; $$->type = $3; }
  | parameter STORED axes { $$ = $1; $$->outputs = $3; $$->has_stored = true; }
  | parameter as { $$ = $1; $$->extra = $2; }
  | parameter '=' expression { $$ = node_with($1, $3, NULL, NULL); }
  ;
states: state { $$ = add(parser, empty_list, $1); }
  | states ',' state { $$ = add(parser, $1, $3); }
  ;
state: common NAME axes_or_none type_or_none
    { $$ = make(parser, NODE_STATE, @NAME, $NAME); $$->items = $3; $$->type = $4; $$->is_common = $1; }
  | state as { $$ = $1; $$->extra = $2; }
  ;

ignored: STRING { $$ = add(parser, empty_list, make(parser, NODE_IGNORE, @1, $1)); }
  | ignored ',' STRING { $$ = add(parser, $1, make(parser, NODE_IGNORE, @3, $3)); }
  ;

equation: targets '=' expression as_or_none
    { $$ = node_with(make(parser, NODE_EQUATION, @1, NULL), $3, NULL, NULL); $$->items = $1; $$->extra = $4; }
  ;
targets: target { $$ = add(parser, empty_list, $1); }
  | targets ',' target { $$ = add(parser, $1, $3); }
  ;
target: name { $$ = make(parser, NODE_NAME, @$, $1); }
  | name '[' bracket ']' { $$ = bracketed(parser, make(parser, NODE_READ, @$, $1), $3); }
  ;
as_or_none: %empty { $$ = NULL; } | as ;
as: AS_NAME TEMPLATE { $$ = $2; } | AS_NAME STRING { $$ = $2; } ;

name: NAME
  | STATE '.' NAME { $$ = arena_format(parser->arena, "state.%s", $3); }
  | name '.' NAME { $$ = arena_format(parser->arena, "%s.%s", $1, $3); }
  ;

bracket: items
    { $$ = make(parser, NODE_READ, @$, NULL); $$->items = $1; $$->depth = node_list_depth($1); }
  | items WHERE expression
    { $$ = make(parser, NODE_READ, @$, NULL); $$->items = $1; $$->right = $3;
      int depth = node_list_depth($1); $$->depth = depth > $3->depth ? depth : $3->depth + 1; }
  ;
items: item { $$ = add(parser, empty_list, $1); }
  | items ',' item { $$ = add(parser, $1, $3); }
  ;
item: expression
  | ':' { $$ = make(parser, NODE_COLON, @$, NULL); }
  | NAME IN expression DOTS expression { $$ = node_with(make(parser, NODE_RANGE, @$, $NAME), $3, $5, NULL); }
  ;

arguments_or_none: %empty { $$ = empty_list; } | arguments ;
arguments: argument { $$ = add(parser, empty_list, $1); }
  | arguments ',' argument { $$ = add(parser, $1, $3); }
  ;
argument: expression
  | NAME '=' expression { $$ = node_with(make(parser, NODE_NAMED, @$, $NAME), $3, NULL, NULL); }
  ;

expression: primary
  | expression '+' expression { $$ = binary(parser, @$, "+", $1, $3); }
  | expression '-' expression { $$ = binary(parser, @$, "-", $1, $3); }
  | expression '*' expression { $$ = binary(parser, @$, "*", $1, $3); }
  | expression '/' expression { $$ = binary(parser, @$, "/", $1, $3); }
  | expression MOD expression { $$ = binary(parser, @$, "mod", $1, $3); }
  | expression DIV expression { $$ = binary(parser, @$, "div", $1, $3); }
  | expression '^' expression { $$ = binary(parser, @$, "^", $1, $3); }
  | expression '<' expression { $$ = binary(parser, @$, "<", $1, $3); }
  | expression '>' expression { $$ = binary(parser, @$, ">", $1, $3); }
  | expression LE expression { $$ = binary(parser, @$, "<=", $1, $3); }
  | expression GE expression { $$ = binary(parser, @$, ">=", $1, $3); }
  | expression EQ expression { $$ = binary(parser, @$, "==", $1, $3); }
  | expression NE expression { $$ = binary(parser, @$, "!=", $1, $3); }
  | expression AND expression { $$ = binary(parser, @$, "and", $1, $3); }
  | expression OR expression { $$ = binary(parser, @$, "or", $1, $3); }
  | NOT expression { $$ = checked(parser, node_with(make(parser, NODE_UNARY, @$, "not"), $2, NULL, NULL)); }
  | '-' expression %prec NEGATIVE
    { $$ = checked(parser, node_with(make(parser, NODE_UNARY, @$, "-"), $2, NULL, NULL)); }
  | IF expression THEN expression ELSE expression
    { $$ = checked(parser, node_with(make(parser, NODE_IF, @$, NULL), $2, $4, $6)); }
  ;

primary: INTEGER { $$ = make(parser, NODE_INTEGER, @$, NULL); $$->integer = $1; }
  | REAL { $$ = make(parser, NODE_REAL, @$, NULL); $$->number = $1; }
  | STRING { $$ = make(parser, NODE_STRING, @$, $1); }
  | BOOLEAN { $$ = make(parser, NODE_BOOLEAN, @$, NULL); $$->integer = $1; }
  | name { $$ = make(parser, NODE_NAME, @$, $1); }
  | name '[' bracket ']' { $$ = bracketed(parser, make(parser, NODE_READ, @$, $1), $3); }
  | name '(' arguments_or_none ')' { $$ = applied(parser, @$, $1, NULL, $3); }
  | name '[' bracket ']' '(' arguments_or_none ')' { $$ = applied(parser, @$, $1, $3, $6); }
  | '(' expression ')' { $$ = $2; }
  ;

%%

static void seqparseerror(SourceRange *place, Parser *parser, const char *message) {
  (void)message; /* only "memory exhausted" arrives here */
  parser_stop(parser, *place, "this is nested too deeply");
}

static int yyreport_syntax_error(const yypcontext_t *context, Parser *parser) {
  if (parser->has_stopped) return 0;
  enum { MOST_EXPECTED = 4 };
  yysymbol_kind_t expected[MOST_EXPECTED + 1];
  int count = yypcontext_expected_tokens(context, expected, MOST_EXPECTED);
  yysymbol_kind_t found = yypcontext_token(context);
  Text text = {.arena = parser->arena};
  if (count) text_add(&text, "expected ");
  for (int n = 0; n < count; n++)
    text_format(&text, "%s%s", n == 0 ? "" : n + 1 == count ? " or " : ", ", yysymbol_name(expected[n]));
  text_format(&text, "%s%s", count ? ", found " : "did not expect ",
              found == YYSYMBOL_YYEMPTY ? "nothing" : yysymbol_name(found));
  diagnostics_error(parser->diagnostics, *yypcontext_location(context), "%s%s", text_string(&text), count ? "" : " here");
  return 0;
}
