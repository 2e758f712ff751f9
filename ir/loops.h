/* loops.h - the second intermediate language: kernels as loop nests over buffers.
 *
 * A Kernel is executed by all threads of a team at once: code outside of parallel loops is executed by every thread alike
 * (so it must not store), the iterations of a LOOP_PARALLEL are divided among the threads, and a STATEMENT_BARRIER waits
 * for all. The division depends on the number of iterations only through contiguous ranges, and no sum is split over
 * threads, so results do not depend on the number of threads. Codegen sees this level only.
 *
 * The text form (loops_print, loops_parse) is documented in docs/ir.md.
 */
#ifndef SEQC_IR_LOOPS_H
#define SEQC_IR_LOOPS_H

#include "ir/equations.h"

typedef int BufferId, LocalId;

/* Where a buffer lives. Indices of ports count within their kind, in the order of the module's interface. */
typedef enum {
  HOME_WORKSPACE,     /* `slot` of the workspace */
  HOME_PARAMETER,     /* call.parameters[first slot of parameter `slot` + turn] */
  HOME_INPUT,         /* call.inputs[slot] */
  HOME_STATE,         /* call.initial_states[slot]; may be null: reads as zero through `given` */
  HOME_OUTPUT,        /* call.outputs[slot] */
  HOME_OBJECTIVE,     /* call.objective */
  HOME_COTANGENT,     /* call.cotangents[slot], one for each output */
  HOME_CARRY_IN,      /* piece `slot` of call.state_in */
  HOME_CARRY_OUT,     /* piece `slot` of call.state_out */
  HOME_FINAL_STATE,   /* declared piece `slot` of call.state_out */
  HOME_HISTORY,       /* carried piece `slot`, of all steps so far, of call.state_out; without one in the workspace */
  HOME_PARAMETER_GRADIENT, /* call.parameter_gradients[first slot of parameter `slot` + turn] */
  HOME_INPUT_GRADIENT,     /* call.input_gradients[slot] */
  HOME_STATE_GRADIENT,     /* call.state_gradients[slot] */
  HOME_PACKED,             /* part `slot` of call.packed; may be null: see `given` */
  HOME_COUNT
} BufferHome;
extern const char *const home_names[HOME_COUNT];

/* How real numbers are kept in memory. */
typedef enum {
  PACKED_F32,
  PACKED_BF16, /* the upper half of a float32, rounded to nearest */
  PACKED_INT8, /* whole numbers from -127 to 127, rounded to nearest: real numbers together with scales of another buffer */
  PACKED_INT16, /* likewise from -32767 to 32767: rows that are multiplied by int8 */
  PACKED_FORMAT_COUNT
} PackedFormat;
extern const char *const packed_format_names[PACKED_FORMAT_COUNT]; /* "f32", "bf16", "int8", "int16" */
extern const int packed_steps[PACKED_FORMAT_COUNT]; /* the largest of whole numbers; 0: others are kept */
enum { SCALE_TERMS = 32 }; /* that share a scale: the largest of them becomes the largest whole number */

/* Row-major over `order`: order[0] is the outermost axis in memory. An axis of extent 0 symbol NONE, constant 0 never occurs. */
typedef struct Buffer {
  const char *name; /* unique in the kernel */
  Type type;        /* TYPE_REAL is float32, TYPE_INT int32 in memory; TYPE_BOOL one byte */
  int rank;
  Size *shape;
  int *order;       /* permutation of 0..rank-1; a workspace buffer may be laid out in another order than its axes */
  bool *is_folded;  /* by axis: only one position is kept (stride 0), as all uses are at the current one */
  bool is_private;  /* workspace: every thread has one of its own */
  PackedFormat format; /* packed, or int16 in the workspace, and real; all others are PACKED_F32 */
  bool has_turns;   /* parameters and their gradients: axis 0 selects the pointer */
  BufferHome home;
  int slot;
  int packed_slot;  /* of the workspace: the part of call.packed that is used in its place where that is given; NONE: there is none */
} Buffer;
int64_t buffer_element_bytes(const Buffer *buffer); /* in memory */

typedef struct Local {
  const char *name;
  Type type;
} Local;

typedef enum {
  LOOP_SEQUENTIAL, /* every thread runs all iterations, in order */
  LOOP_PARALLEL,   /* each thread runs a contiguous range of the iterations */
  LOOP_VECTOR      /* inside a parallel or sequential loop: iterations are independent and contiguous ones share an instruction */
} LoopKind;
extern const char *const loop_names[]; /* "for", "parallel", "vector" */

typedef enum {
  STATEMENT_LOOP,
  STATEMENT_IF,
  STATEMENT_LET,
  STATEMENT_STORE,
  STATEMENT_REDUCE,
  STATEMENT_TILE,
  STATEMENT_PREFETCH,
  STATEMENT_BARRIER
} StatementKind;

typedef struct Statement Statement;
struct Statement {
  StatementKind kind;
  SourceRange source;
  Statement *next; /* in the same block */

  /* LOOP: for index in low .. high (exclusive), from the last to the first when reversed */
  LoopKind loop_kind;
  IndexId index;
  const Expr *low, *high;
  bool is_reversed;
  IndexId ahead_index; /* VECTOR: what its loads read when this index, of a loop around, has grown by ahead_by is asked for; NONE: nothing */
  int ahead_by;
  Statement *body;

  /* IF: the condition is uniform, it never depends on the index of a vector loop around it */
  const Expr *condition;
  Statement *otherwise; /* `body` when true */

  /* LET local = value. Also the result of REDUCE. Assigned once. */
  LocalId local;
  const Expr *value;

  /* PREFETCH value: a load whose memory is asked for ahead of its use; it need not be there, and nothing waits for it. */
  /* STORE buffer[indices] = value. Nontemporal: where the buffer is larger than the caches can hold, past them: nothing reads it
   * soon, so a line need not come from memory before it is written. Contiguous along the index of the vector loop around. */
  bool is_nontemporal;
  BufferId buffer;
  int rank;
  const Expr **indices;

  /* REDUCE: local = value combined with body over reduce_indices (nested, in order; ranges in the index table) where guard.
   * low, high: the innermost runs from low to high (exclusive) instead, uniformly for all lanes; NULL: as the table says.
   * The innermost runs in vector lanes when is_vector; a vector reduction never stands in a vector loop. argmax: value is
   * NULL, the result is the index, of type int. `value` NULL: the identity. */
  ReduceOp reduce;
  int reduce_count;
  IndexId *reduce_indices;
  const Expr *guard;
  const Expr *reduce_body;
  bool is_vector;

  /* TILE: C[row0 + r, column0 + c] = value + sum over k in 0 .. depth of A[k, r] * B[k, c]
   * for r < tile_rows with row0 + r < row_limit and c < tile_vectors * lanes with column0 + c < column_limit.
   * A is [.., depth, .., tile_rows] with the depth along a_depth_axis, B is packed [.., depth, tile_vectors * lanes]; both padded, so
   * loads need no guard.
   * With has_rows_in_place A is read where it lies, as [.., depth] for each row: a_indices are in terms of row_index, and memory
   * has stride 1 along the terms. Rows past the limit are read as the last one.
   * `indices` (C, buffer) and `value` are in terms of row_index and column_index; C and the loads of `value` have
   * stride 1 or 0 along column_index. value NULL: zero. Accumulation over blocks of k: value reads C itself. */
  int tile_rows, tile_vectors;
  IndexId row_index, column_index;
  const Expr *row0, *column0, *row_limit, *column_limit, *depth;
  BufferId a_buffer, b_buffer;
  int a_rank, b_rank;
  const Expr **a_indices, **b_indices; /* of the first element; packed, the last two are the k at which to start and 0 */
  bool has_rows_in_place;
  int a_depth_axis; /* without rows in place: of A; the last but one of panels */
  /* The same panels of B, packed once for many calls: used instead of b_buffer where they are given. NONE: there are none. */
  BufferId packed_buffer;
  int packed_rank;
  const Expr **packed_indices;
  /* Of panels in int8: [.., SCALE_TERMS of the depth, column], at the first terms and columns; each multiplies the sum over its terms. The depth at which
   * to start is a multiple of SCALE_TERMS. NONE: there are none. */
  BufferId scale_buffer;
  int scale_rank;
  const Expr **scale_indices;
  /* Of rows in place in int16: [.., row, SCALE_TERMS of the depth]. B is then in int8, two terms of a column side by side: [.., depth / 2, column * 2],
   * and sums of products of whole numbers are added up in 32 bits. Rows are there up to a multiple of tile_rows. NONE: there are none. */
  BufferId row_scale_buffer;
  int row_scale_rank;
  const Expr **row_scale_indices;
};

typedef enum { ENTRY_FORWARD, ENTRY_OBJECTIVE, ENTRY_GRADIENT, ENTRY_INITIAL, ENTRY_PACK, ENTRY_COUNT } EntryKind;
extern const char *const entry_names[ENTRY_COUNT]; /* "forward", "objective", "gradient", "initial", "pack" */

typedef struct Kernel {
  Arena *arena;
  EntryKind entry;
  int symbol_count;
  Symbol *symbols;  /* same as the module's */
  int index_count;
  Index *indices;   /* ranges are used by REDUCE only; loops carry their own */
  int buffer_count;
  Buffer *buffers;
  int local_count;
  Local *locals;
  int workspace_slots; /* buffers of one slot share memory: the slot is as large as the largest of them; all or none are private */
  Statement *body;
  struct Kernel *pack; /* what fills the packed buffers that it uses; NULL: it uses none */
} Kernel;

/* One piece of carried or declared state; they are in memory order. The state begins with the position (int64), padded to 64 bytes;
 * each piece is aligned to 64 bytes. */
typedef struct StatePiece {
  const char *name;
  Type type;
  int rank;
  Size *shape;
  int port; /* of the interface program; FINAL_STATE pieces come after all CARRY pieces */
  bool is_declared;
  int grown_axis; /* has room for as many steps as the capacity, whatever the shape says; NONE: no axis grows */
  int shown;      /* a declared one that is the carried piece of this number; NONE: it has a place of its own */
  const int *order; /* of the axes in memory, outermost first; NULL: as in the shape */
} StatePiece;

/* An integer input whose values are used as indices must lie in low <= v < high. */
typedef struct InputCheck {
  int input; /* counts the inputs */
  int64_t low;
  Size high;
} InputCheck;

/* Everything that goes into one object. */
typedef struct Module {
  Arena *arena;
  const char *name;
  const Program *interface; /* the batched program: symbols and ports (parameters, inputs, outputs, declared states) */
  int piece_count;
  StatePiece *pieces;
  int check_count;
  InputCheck *checks;
  int64_t *limits;         /* [symbols of the interface] where the shortest table ends that is read along this length (the stream's
                              counts from the first step of all); 0: no limit */
  bool has_step;           /* chunk and step exist */
  const char *why_no_step; /* otherwise: the reason with file:line */
  bool has_objective;
  Kernel *kernels[ENTRY_COUNT]; /* NULL where the model has none */
} Module;

/* Builder */
Kernel *kernel_create(Arena *arena, EntryKind entry, const Program *program); /* copies symbols */
IndexId kernel_add_index(Kernel *kernel, const char *name, Size low, Size high);
LocalId kernel_add_local(Kernel *kernel, const char *name, Type type);
/* The packed buffer of this slot, or NONE. */
BufferId kernel_packed_buffer(const Kernel *kernel, int slot);
BufferId kernel_add_buffer(Kernel *kernel, const char *name, Type type, int rank, const Size *shape, BufferHome home, int slot);
/* A block is built by appending: `tail` points at where the next statement goes. */
typedef struct Block {
  Statement *first;
  Statement **tail; /* NULL for an empty block */
} Block;
void block_append(Block *block, Statement *statement);
Statement *statement_loop(Kernel *kernel, LoopKind kind, IndexId index, const Expr *low, const Expr *high, Statement *body);
Statement *statement_if(Kernel *kernel, const Expr *condition, Statement *then, Statement *otherwise);
Statement *statement_let(Kernel *kernel, LocalId local, const Expr *value);
Statement *statement_store(Kernel *kernel, BufferId buffer, const Expr *const *indices, const Expr *value);
Statement *statement_reduce(Kernel *kernel, LocalId local, ReduceOp op, int count, const IndexId *indices, const Expr *guard,
                            const Expr *value, const Expr *body, bool is_vector);
Statement *statement_prefetch(Kernel *kernel, const Expr *load);
Statement *statement_barrier(Kernel *kernel);
Statement *statement_create(Kernel *kernel, StatementKind kind);

const char *loops_verify(const Kernel *kernel);

void loops_print(Text *text, const Module *module);
void kernel_print(Text *text, const Kernel *kernel);
Kernel *kernel_parse(Arena *arena, const SourceFile *file, Diagnostics *diagnostics);

#endif
