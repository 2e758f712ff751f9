/* interpret_internal.h - what the two files of the interpreter share.
 *
 * interpret_expr.c evaluates expressions for many values of one index at once (its "lanes"); interpret.c walks over
 * equations and elements. Evaluation never recurses into another element: a read of a value that is not there yet
 * is put on the list of tasks, the evaluation is given up, and started again when the value is there. So the
 * depth of a recurrence costs no stack.
 */
#ifndef SEQC_IR_INTERPRET_INTERNAL_H
#define SEQC_IR_INTERPRET_INTERNAL_H

#include "ir/interpret.h"

enum { LANE_LIMIT = 128 };

/* Values of the lane index, ascending. */
typedef struct Lanes {
  int count;
  bool is_contiguous;
  const int64_t *values;
} Lanes;

/* A subset of lanes: where they stand in the set they were taken from, and their values. */
typedef struct LaneSubset {
  int count;
  int positions[LANE_LIMIT];
  int64_t values[LANE_LIMIT];
} LaneSubset;

typedef struct Node Node;

/* The position of a read along one axis: affine in the indices, or the value of a node. */
typedef struct ReadAxis {
  Node *node; /* NULL: affine */
  int64_t constant, lane_coefficient;
  int term_count;
  struct {
    IndexId index;
    int64_t coefficient;
  } terms[AFFINE_TERMS];
  int64_t extent, stride;
} ReadAxis;

typedef struct NodeRead {
  const Expr *expr;
  TensorId tensor;
  bool is_in_cycle; /* the reading equation is needed by the tensor that is read: element by element */
  int rank;
  ReadAxis *axes;
  Node *outside; /* NULL: an index outside is an error */
  int64_t offsets[LANE_LIMIT];
} NodeRead;

struct Node {
  Op op;
  bool varies; /* with the lane index */
  IndexId index;
  int arg_count;
  Node **args;
  NodeRead *read;
  LaneSubset *subsets; /* two, of select and of reads with an outside: where true and where false */
  double values[LANE_LIMIT];
};

typedef enum { ELEMENT_UNTOUCHED = 0, ELEMENT_STARTED, ELEMENT_DONE } ElementState;

/* An equation made ready for evaluation. */
typedef struct Rule {
  const Equation *equation;
  Node *value;        /* lanes: the last index of the target */
  Node *guard, *body; /* lanes: the longest of the reduce indices */
  IndexId lane;
  int64_t lane_low, lane_high;
  int outer_count; /* the other reduce indices */
  IndexId *outer;
  int64_t *outer_low, *outer_high;
} Rule;

typedef struct TensorState {
  int rank;
  int64_t *shape;
  int64_t elements;
  int component;  /* tensors that need each other have the same one */
  bool is_cyclic; /* its component has a cycle: computed element by element */
  bool is_complete;
  int64_t next;    /* elements before it are done */
  uint8_t *states; /* ElementState of each element, of cyclic tensors */
  Rule *rule;      /* made at first use; NULL for tensors without equation */
} TensorState;

/* One element of a tensor, or all of them. */
enum { ALL_ELEMENTS = -1 };
typedef struct Task {
  TensorId tensor;
  int64_t element;
} Task;

typedef struct Interpreter {
  Interpretation shared; /* first: what the caller sees */
  Arena *arena;
  TensorState *tensors;
  int64_t *index_values;
  size_t task_count, task_capacity;
  Task *tasks; /* the last one is worked on */
  const char *error;
  Task current; /* for messages */
} Interpreter;

/* interpret_expr.c. `lane` NONE: nothing varies. */
Node *node_create(Interpreter *interpreter, const Expr *expr, IndexId lane, int component);
/* One value for each lane; NULL when something was put on the list of tasks or on an error. */
const double *node_evaluate(Interpreter *interpreter, Node *node, const Lanes *lanes);

/* interpret.c. Both return false when the evaluation cannot go on with it. */
bool request_element(Interpreter *interpreter, TensorId tensor, int64_t element);
void request_all(Interpreter *interpreter, TensorId tensor);
void interpreter_fail(Interpreter *interpreter, SourceRange source, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const char *element_text(Interpreter *interpreter, TensorId tensor, int64_t element); /* 'h'[3, 0] */

#endif
