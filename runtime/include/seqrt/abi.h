/* abi.h - the contract between compiled models and everything that calls them.
 *
 * This header stands alone and is versioned: a change of meaning or layout raises SEQRT_ABI_VERSION, and the runtime
 * refuses a model of another version. An object made by `seqc model.seq` exports
 *
 *     const seqrt_model NAME_model;
 *
 * and nothing else. Compiled code has no global state, but for the number of the processor that was picked where there are
 * several. It allocates nothing, and calls nothing but the two functions of seqrt_context and, from libc and libm, memcpy, memset
 * and scalar math.
 *
 * All arrays are dense and row-major; float32 or int32. Batched arrays are (B, T, ...) unless the model places the batch
 * elsewhere (seqrt_tensor.batch_axis).
 */
#ifndef SEQRT_ABI_H
#define SEQRT_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SEQRT_ABI_VERSION 5
#define SEQRT_ALIGNMENT 64 /* of workspaces and states; other arrays need that of their elements only */

/* ---- threads ---------------------------------------------------------------------------------------------------- */

/* A team of threads, supplied by the caller. `parallel` runs body(argument, thread, thread_count) once on each thread of the
 * team and returns when all have; `barrier`, called by every thread inside, waits for the others. */
typedef struct seqrt_context {
  uint32_t abi_version;
  int32_t thread_count;
  void (*parallel)(const struct seqrt_context *context, void (*body)(void *argument, int32_t thread, int32_t thread_count),
                   void *argument);
  void (*barrier)(const struct seqrt_context *context);
  void *self; /* the supplier's own */
} seqrt_context;

/* ---- status ----------------------------------------------------------------------------------------------------- */

typedef enum seqrt_code {
  SEQRT_OK = 0,
  SEQRT_INVALID_ARGUMENT = 1, /* null where a pointer is needed, a size that is negative or too large */
  SEQRT_OUT_OF_RANGE = 2,     /* a value of an integer input lies outside of its table */
  SEQRT_NO_STEP = 3,          /* a state was given to a model that looks ahead */
  SEQRT_POSITION = 4,         /* position past the capacity or past a learned table; gradient of a state that is not the first */
  SEQRT_VERSION = 5,          /* object and caller follow different versions of this header */
  SEQRT_OUT_OF_MEMORY = 6,
  SEQRT_IO = 7,               /* a file could not be read or written */
  SEQRT_FORMAT = 8,           /* a file is not what it should be */
  SEQRT_MISMATCH = 9,         /* weights, checkpoint or state of another model */
  SEQRT_CANCELLED = 10        /* stopped by the caller's callback */
} seqrt_code;

typedef enum seqrt_argument {
  SEQRT_ARGUMENT_NONE = 0,
  SEQRT_ARGUMENT_PARAMETERS = 1,
  SEQRT_ARGUMENT_INPUT = 2,
  SEQRT_ARGUMENT_OUTPUT = 3,
  SEQRT_ARGUMENT_STATE = 4,
  SEQRT_ARGUMENT_COTANGENT = 5,
  SEQRT_ARGUMENT_WORKSPACE = 6,
  SEQRT_ARGUMENT_BATCH = 7,
  SEQRT_ARGUMENT_LENGTH = 8,
  SEQRT_ARGUMENT_CAPACITY = 9,
  SEQRT_ARGUMENT_PACKED = 10
} seqrt_argument;

/* Which argument of a call is wrong, and where. */
typedef struct seqrt_fault {
  int32_t code;      /* seqrt_code */
  int32_t argument;  /* seqrt_argument */
  int32_t index;     /* which parameter slot, input, output, ...; -1 when there is one only */
  int32_t reserved;
  int64_t element;   /* SEQRT_OUT_OF_RANGE: flat index of the offending element; row and step follow from the shape */
  int64_t value;     /* the value found */
  int64_t low, high; /* allowed: low <= value < high */
} seqrt_fault;

/* ---- calls ------------------------------------------------------------------------------------------------------ */

/* Arguments of every entry point. Tables follow the order of the descriptor. A call writes only `fault` and what the
 * pointers of results lead to. */
typedef struct seqrt_call {
  uint32_t abi_version;
  uint32_t reserved;
  const seqrt_context *context;    /* NULL: the calling thread alone */
  int64_t batch;                   /* rows, >= 1 */
  const int64_t *lengths;          /* [length_count], each >= 1; the stream's length comes first */
  int64_t capacity;                /* models whose state grows: steps that state_out and the workspace have room for, in all */
  const float *const *parameters;  /* [parameter_slots] */
  const void *const *inputs;       /* [input_count]; those of the objective may be NULL where it is not computed */
  const float *const *initial_states; /* NULL, or [state_count]; NULL entries mean zero, as those with an axis of
                                    * SEQRT_AXIS_STEPS must be, which are empty before the first step. Used when state_in is NULL */
  const void *state_in;            /* from an earlier call; NULL: the start of the sequence */
  void *state_out;                 /* NULL: not wanted. May be the same as state_in */
  void *const *outputs;            /* NULL, or [output_count]; NULL entries are not written */
  float *objective;                /* one number; NULL: not wanted */
  const float *const *cotangents;  /* gradient of a model without objective: [output_count], NULL entries mean zero */
  float *const *parameter_gradients; /* NULL, or [parameter_slots]; overwritten; NULL entries are skipped, with turns all if one is */
  float *const *input_gradients;   /* NULL, or [input_count] */
  float *const *state_gradients;   /* NULL, or [state_count]: of the declared initial states; only with state_in NULL */
  void *packed;                    /* what SEQRT_PACK made of these parameters, packed_size bytes, aligned; NULL: each call packs
                                      what it needs. SEQRT_PACK writes it, the others read it */
  void *workspace;                 /* workspace_size(...) bytes, aligned; contents don't matter */
  seqrt_fault fault;               /* filled when the result is not SEQRT_OK */
} seqrt_call;

/* The entry points. Returns a seqrt_code. */
typedef int32_t (*seqrt_entry)(seqrt_call *call);

typedef enum seqrt_entry_kind {
  SEQRT_FORWARD = 0,   /* outputs and state; the chunk: any number of steps from any state */
  SEQRT_OBJECTIVE = 1, /* the objective and the state */
  SEQRT_GRADIENT = 2,  /* objective, state, gradients of parameters, inputs and initial states */
  SEQRT_INITIAL = 3,   /* state_out = the state before the first step, from initial_states */
  SEQRT_PACK = 4,      /* packed = the parameters in the order in which products read them, and what is computed of them alone; NULL: nothing is */
  SEQRT_ENTRY_COUNT = 5
} seqrt_entry_kind;

/* ---- descriptor ------------------------------------------------------------------------------------------------- */

typedef enum seqrt_dtype { SEQRT_F32 = 0, SEQRT_I32 = 1 } seqrt_dtype;

/* An axis whose extent is known at run time: SEQRT_AXIS_BATCH is the batch, SEQRT_AXIS_LENGTH(n) is lengths[n], and in a declared
 * state SEQRT_AXIS_STEPS is the number of steps so far. */
#define SEQRT_AXIS_BATCH (-1)
#define SEQRT_AXIS_STEPS INT64_MIN
#define SEQRT_AXIS_LENGTH(n) (-2 - (n))

/* An input, output or declared state. */
typedef struct seqrt_tensor {
  const char *name;  /* with "{}" in that of a state, files have a tensor for each element of its first axis, numbered there */
  int32_t dtype;     /* seqrt_dtype */
  int32_t rank;
  const int64_t *shape; /* extents, or SEQRT_AXIS_... */
  int32_t batch_axis;   /* -1: common to all rows */
  int32_t is_for_objective; /* inputs */
  int32_t streams;      /* outputs: exists step by step; declared states: always when the model has a step */
  int32_t has_range;    /* integer inputs that are used as indices */
  int64_t low, high;    /* low <= value < high */
} seqrt_tensor;

typedef enum seqrt_init { SEQRT_INIT_NONE = 0, SEQRT_INIT_CONSTANT = 1, SEQRT_INIT_UNIFORM = 2, SEQRT_INIT_NORMAL = 3 } seqrt_init;

/* A parameter; one with turns stands for `turns` tensors of the same shape, in consecutive slots. */
typedef struct seqrt_parameter {
  const char *name;  /* "{}" is where the number of the turn stands: turn_scale * turn + turn_offset */
  int32_t rank;
  int32_t turns;     /* 0: none, one slot. Otherwise as many slots */
  const int64_t *shape; /* of one slot, as in the checkpoint */
  int64_t elements;  /* of one slot */
  int64_t turn_scale, turn_offset;
  int32_t first_slot;
  int32_t init;      /* seqrt_init */
  double init_a, init_b; /* constant a; uniform [a, b); normal mean a, deviation b */
} seqrt_parameter;

typedef struct seqrt_model {
  uint32_t abi_version;
  uint32_t struct_size; /* sizeof(seqrt_model) */
  const char *name;
  const char *compiler; /* "seqc 0.1.0" */
  const char *target;   /* triple and processors */
  int32_t parameter_count, parameter_slots;
  const seqrt_parameter *parameters;
  int32_t input_count;
  const seqrt_tensor *inputs;
  int32_t output_count;
  const seqrt_tensor *outputs;
  int32_t state_count; /* declared states */
  const seqrt_tensor *states;
  int32_t length_count;
  const char *const *length_names;
  int32_t has_objective;
  int32_t has_step;
  int32_t grows;              /* the state holds values of all steps so far: its size depends on a capacity */
  int32_t reserved;
  const char *objective_name; /* NULL when there is none */
  const char *why_no_step;    /* NULL when there is a step */
  uint64_t fingerprint;       /* of names, shapes and state layout: states and checkpoints of another model are refused by it */
  seqrt_entry entries[SEQRT_ENTRY_COUNT]; /* NULL where the model has none */
  const int64_t *length_limits; /* [length_count], where a table ends that is read along the length, for the stream from the first step
                                 * of all: no call may go past it; 0: no limit */
  /* Bytes, 0 for impossible sizes. `capacity` is the number of steps, in all, that there is room for; it does not matter for models
   * that don't grow. A whole sequence without state needs a capacity of 0. `threads`: those of the context that the call will have, 1
   * without one. */
  int64_t (*workspace_size)(int32_t entry, int64_t batch, const int64_t *lengths, int64_t capacity, int32_t threads);
  /* Of `lengths` the stream's does not matter; NULL where there is no other. */
  int64_t (*state_size)(int64_t batch, const int64_t *lengths, int64_t capacity);
  /* Byte offset of a declared state inside a carried state. */
  int64_t (*state_offset)(int32_t state, int64_t batch, const int64_t *lengths, int64_t capacity);
  /* Names of arrays that a checkpoint may hold and the model does not read; '*' stands for any characters. */
  int32_t ignored_count;
  const char *const *ignored;
  int64_t packed_size; /* bytes, whatever processor is used; 0 without SEQRT_PACK */
  /* The processors that the object has code for, from the plainest to the best. Where there are several, the first call of any kind picks
   * the best of them that this machine runs, and the first is the baseline, which every machine does. Results of one processor are
   * the same for any number of threads; those of two may differ in rounding. */
  int32_t processor_count;
  const char *const *processors;
  /* Uses this one from now on, in the whole process, or the best again with -1. Returns the one that is used, -1 where this machine does not
   * run it: nothing is changed then. States stay good; sizes of workspaces and what SEQRT_PACK made do not, and no call may be going on.
   * NULL with one processor. */
  int32_t (*use_processor)(int32_t processor);
} seqrt_model;

/* A carried state begins with the number of steps done so far; the rest is the model's own, but for the declared states: those
 * with an axis of SEQRT_AXIS_STEPS have `capacity` places there in memory, of which the first `position` are filled. */
typedef struct seqrt_state_header {
  int64_t position;
  uint64_t fingerprint;
  int64_t capacity;
  int64_t lengths[5]; /* those after the stream's, where the state keeps what depends on them: at the first step and ever after */
} seqrt_state_header;

#ifdef __cplusplus
}
#endif

#endif
