/* emit.h - what the files share that turn the body of a kernel into LLVM IR.
 *
 * Statements and expressions are emitted in one walk. A value is a scalar, the same for all lanes, or a vector with one
 * element for each lane of the vector loop around it; scalars are broadcast where a vector is needed.
 * Integers are computed in 64 bits and kept in 32 bits in memory; booleans are i1, and one byte in memory.
 */
#ifndef SEQC_CODEGEN_EMIT_H
#define SEQC_CODEGEN_EMIT_H

#include "codegen/internal.h"
#include "ir/pair_map.h"

typedef struct Value {
  LLVMValueRef value; /* NULL: not known yet */
  bool is_vector;
  Type type;
} Value;

typedef struct Emitter {
  Codegen *codegen;
  const Kernel *kernel;
  LLVMBuilderRef builder;       /* where code goes now */
  LLVMBuilderRef entry_builder; /* the end of the entry block: loads and sizes that everything uses */
  LLVMValueRef function, frame, thread, thread_count;
  int lanes;

  bool is_stage;          /* `frame` is the stage's view of it */
  FrameViews *views;      /* of the kernel */
  int view_first;         /* of the stage */
  int used_buffers;
  LLVMValueRef *symbols;  /* i64 each; NULL: not loaded yet */
  LLVMValueRef *bases;    /* by buffer: its first element, or its table of pointers */
  LLVMValueRef **strides; /* by buffer and axis, in elements, i64 */
  LLVMValueRef *elements; /* by buffer: how many */
  LLVMValueRef private_offset; /* i64, bytes; NULL: not computed yet */
  LLVMValueRef *indices;  /* by index: i64; for the index of a vector loop that of lane 0 */
  int *stage_count;       /* of the kernel */
  Value *locals;

  /* The vector loop we are in. */
  IndexId vector_index;    /* NONE: in none */
  LLVMValueRef mask;       /* lanes that exist; NULL: all */
  LLVMValueRef lane_numbers; /* <0, 1, 2, ...>, i64 */
  bool is_past_caches;     /* nontemporal stores are so, and their addresses are multiples of a cache line */
  bool has_gone_past;      /* there is such a loop in the stage */
  bool is_first_lane;      /* expressions are wanted for lane 0 only, as scalars */
  PairMap *memo;           /* values of the nodes of the expression at hand */

  LLVMValueRef zeros;        /* 64 zero bytes in memory: what a guarded load reads instead */
  LLVMMetadataRef alias_root;
  LLVMValueRef *alias_tags;  /* by buffer */
  struct DebugLines *debug;  /* NULL: none wanted */
} Emitter;

/* ---- operations.c: small helpers over values */
LLVMTypeRef emit_vector_type(const Emitter *emitter, LLVMTypeRef element);
LLVMTypeRef emit_type(const Emitter *emitter, Type type, bool is_vector);
LLVMTypeRef emit_memory_type(const Emitter *emitter, Type type);
LLVMTypeRef emit_element_type(const Emitter *emitter, BufferId id); /* of a buffer in memory */
LLVMValueRef emit_from_packed(Emitter *emitter, PackedFormat format, LLVMValueRef kept); /* or a vector of them, to float */
LLVMValueRef emit_constant(const Emitter *emitter, int64_t value); /* i64 */
LLVMValueRef emit_broadcast(Emitter *emitter, LLVMValueRef scalar);
/* The value as a vector; one that is already stays as it is. */
LLVMValueRef emit_as_vector(Emitter *emitter, Value value);
/* Allows products to be fused with sums, and nothing else. Returns the value. */
LLVMValueRef emit_contract(LLVMValueRef value);
/* A call of an intrinsic, overloaded on the given types. */
LLVMValueRef emit_intrinsic(Emitter *emitter, const char *name, int type_count, LLVMTypeRef *types, int count,
                            LLVMValueRef *arguments);
/* a * b + c in one instruction where the processor has it. */
LLVMValueRef emit_multiply_add(Emitter *emitter, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c);
/* Unary, binary and other operations on values of the right types. */
Value emit_operation(Emitter *emitter, const Expr *expr, const Value *args);
/* The operation of a reduction; also of its lanes among themselves. */
LLVMValueRef emit_combine(Emitter *emitter, ReduceOp op, Type type, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef emit_identity(Emitter *emitter, ReduceOp op, Type type, bool is_vector);
LLVMValueRef emit_horizontal(Emitter *emitter, ReduceOp op, Type type, LLVMValueRef vector);

/* ---- expression.c */
Value emit_expression(Emitter *emitter, const Expr *expr);
/* An expression that is the same in all lanes: a bound, a condition, an index of an outer loop. */
LLVMValueRef emit_scalar(Emitter *emitter, const Expr *expr);
/* Part of an expression that is being emitted: shares what it has in common with the rest. */
Value emit_part(Emitter *emitter, const Expr *expr);
/* The value for lane 0 of an expression that grows by a constant from lane to lane. */
LLVMValueRef emit_first_lane(Emitter *emitter, const Expr *expr);
/* True when the value may differ between the lanes. */
bool emit_is_varying(const Emitter *emitter, const Expr *expr);
/* The growth of an integer expression from lane to lane; false when it is not constant. */
bool emit_lane_growth(const Emitter *emitter, const Expr *expr, int64_t *out_growth);
/* high - low where it is known; NONE where it isn't. */
int64_t emit_constant_count(const Expr *low, const Expr *high);
/* How many operations the tree has, where one that takes long counts as many. */
int emit_node_count(const Expr *expr);
/* True when the tree has at most `limit` nodes, so that copies of its code are cheap. */
bool emit_is_small(const Expr *expr, int limit);

/* ---- address.c */
/* Loads, at the entry of the function, sizes and buffers that the statements use (is_alone: that one only). */
void emit_buffers(Emitter *emitter, const Statement *used_by, bool is_alone);
/* A run-time size, loaded at the entry of the function. */
LLVMValueRef emit_symbol(Emitter *emitter, SymbolId id);
Value emit_load(Emitter *emitter, const Expr *expr);
void emit_store(Emitter *emitter, const Statement *store, Value value);
/* The address of what the first lane stores; NULL where the others don't follow it. */
LLVMValueRef emit_store_address(Emitter *emitter, const Statement *store);
/* The address of an element whose indices are the same in all lanes. */
enum { FAR = 1, NEAR = 3 }; /* into the second level of the cache, into the first */
void emit_prefetch_load(Emitter *emitter, const Expr *load, int nearness); /* what the load would read, which need not be there; scattered: nothing */
LLVMValueRef emit_uniform_address(Emitter *emitter, BufferId buffer, const Expr *const *indices);
/* Says to which buffer a load or store belongs, so that it need not be ordered with those of others. */
void emit_tag(Emitter *emitter, LLVMValueRef instruction, BufferId buffer);
LLVMValueRef emit_any_lane(Emitter *emitter, LLVMValueRef mask);

/* ---- kernel.c */
/* Emits a parallel loop as a function of its own and calls it: small functions keep LLVM's allocation of registers fast, and
 * each has in registers only what it uses. */
void emit_stage(Emitter *emitter, const Statement *loop);

/* ---- statements.c */
/* This thread's part of a parallel loop. */
void emit_parallel_loop(Emitter *emitter, const Statement *statement);
void emit_block(Emitter *emitter, const Statement *first);
/* Enters a vector loop at `first` with the lanes first + lane < high; high NULL: all. emit_leave_lanes undoes it. */
void emit_enter_lanes(Emitter *emitter, IndexId index, LLVMValueRef first, LLVMValueRef high);
void emit_leave_lanes(Emitter *emitter);

/* ---- weave.c: how many vectors of a loop are computed side by side, and these from `first` on; `emit_vector` emits a whole one. */
typedef void EmitVector(Emitter *emitter, const Statement *loop, LLVMValueRef first);
int emit_woven_count(const Emitter *emitter, const Statement *loop);
void emit_woven(Emitter *emitter, const Statement *loop, LLVMValueRef first, int count, EmitVector *emit_vector);

/* ---- reduce.c, tile.c */
void emit_reduce(Emitter *emitter, const Statement *statement);

/* Vectors of the loop around a reduction that share a walk over its terms: the first lane of each. */
enum { MOST_OUTPUTS = 4 };
typedef struct Outputs {
  IndexId index; /* NONE: no loop, one output */
  int count;
  LLVMValueRef first[MOST_OUTPUTS];
} Outputs;
void emit_reduce_outputs(Emitter *emitter, const Statement *statement, const Outputs *outputs, Value *out_results);
bool emit_has_strands(const Emitter *emitter, const Statement *reduce); /* cheap and long enough for more than one accumulator */

/* outputs.c: how many vectors of the loop share a walk over the terms, 1: none do; and those from `first` on. */
int emit_outputs_together(const Emitter *emitter, const Statement *loop);
void emit_outputs(Emitter *emitter, const Statement *loop, LLVMValueRef first, int count);
void emit_tile(Emitter *emitter, const Statement *statement);
void emit_keep_apart(const Codegen *codegen, LLVMValueRef function); /* it is called, and not copied to where it is */

/* ---- math.c: `x` (and `y`) float or a vector of it */
LLVMValueRef emit_exp(Emitter *emitter, LLVMValueRef x);
LLVMValueRef emit_exp2(Emitter *emitter, LLVMValueRef x);
LLVMValueRef emit_expm1(Emitter *emitter, LLVMValueRef x);
LLVMValueRef emit_tanh(Emitter *emitter, LLVMValueRef x);
LLVMValueRef emit_sigmoid(Emitter *emitter, LLVMValueRef x);
LLVMValueRef emit_log(Emitter *emitter, LLVMValueRef x);
LLVMValueRef emit_log1p(Emitter *emitter, LLVMValueRef x);
LLVMValueRef emit_log1p_of_exp(Emitter *emitter, LLVMValueRef x); /* log1p(exp(x)) for x <= 0 */
LLVMValueRef emit_sin(Emitter *emitter, LLVMValueRef x);
LLVMValueRef emit_cos(Emitter *emitter, LLVMValueRef x);
LLVMValueRef emit_erf(Emitter *emitter, LLVMValueRef x);
LLVMValueRef emit_pow(Emitter *emitter, LLVMValueRef x, LLVMValueRef y);

/* ---- debug_lines.c */
void debug_lines_begin(Emitter *emitter, const char *name);
void debug_lines_end(Emitter *emitter);
/* From here on instructions belong to this place; one without file changes nothing. */
void debug_lines_at(Emitter *emitter, SourceRange source);

#endif
