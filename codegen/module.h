/* module.h - what the files that emit a whole module share: everything around the kernels' bodies.
 *
 * The object of a model consists of internal functions and one exported constant, so all of it is reached through a
 * ModuleEmitter. build_... functions append to the builder's current block.
 */
#ifndef SEQC_CODEGEN_MODULE_H
#define SEQC_CODEGEN_MODULE_H

#include "codegen/internal.h"

typedef struct ModuleEmitter {
  Codegen *codegen;
  const Module *module;                                   /* the interface; while plans are made that of their processor */
  Module *const *modules;                                 /* one for each processor */
  Diagnostics *diagnostics;
  LLVMBuilderRef builder;
  const char *symbol;                                     /* the model's name as a C identifier */
  LLVMTypeRef call_type, context_type, fault_type;        /* of seqrt/abi.h */
  LLVMTypeRef plan_type;                                  /* plan.c */
  LLVMValueRef plans;
  LLVMValueRef use_processor, plan_of;                    /* pick.c; NULL with one processor */
  LLVMValueRef evaluate;                                  /* evaluate.c */
  LLVMValueRef fail, first_null, check_call, check_values; /* checks.c */
  LLVMValueRef measure, workspace_size, state_size, state_offset; /* sizes.c */
  LLVMValueRef entries[ENTRY_COUNT];                      /* wrapper.c; NULL where the model has none */
} ModuleEmitter;

/* Fields of seqrt_call, seqrt_context and seqrt_fault, in order. */
enum {
  CALL_ABI_VERSION,
  CALL_RESERVED,
  CALL_CONTEXT,
  CALL_BATCH,
  CALL_LENGTHS,
  CALL_CAPACITY,
  CALL_PARAMETERS,
  CALL_INPUTS,
  CALL_INITIAL_STATES,
  CALL_STATE_IN,
  CALL_STATE_OUT,
  CALL_OUTPUTS,
  CALL_OBJECTIVE,
  CALL_COTANGENTS,
  CALL_PARAMETER_GRADIENTS,
  CALL_INPUT_GRADIENTS,
  CALL_STATE_GRADIENTS,
  CALL_PACKED,
  CALL_WORKSPACE,
  CALL_FAULT,
  CALL_FIELDS
};
enum { CONTEXT_ABI_VERSION, CONTEXT_THREAD_COUNT, CONTEXT_PARALLEL, CONTEXT_BARRIER, CONTEXT_SELF, CONTEXT_FIELDS };
enum { FAULT_CODE, FAULT_ARGUMENT, FAULT_INDEX, FAULT_RESERVED, FAULT_ELEMENT, FAULT_VALUE, FAULT_LOW, FAULT_HIGH, FAULT_FIELDS };

enum { HEADER_POSITION, HEADER_FINGERPRINT, HEADER_CAPACITY, HEADER_LENGTHS }; /* of a state, int64 each */

/* The n-th port of a kind, counted in the order of the interface; NULL past the last. */
const Port *module_port(const Module *module, PortKind kind, int n);
int module_port_count(const Module *module, PortKind kind);
int port_slot_count(const Module *module, const Port *parameter); /* turns, or 1 */
/* Whether the kernel has a buffer of this home; with `slot` >= 0 of this slot. */
bool kernel_has_home(const Kernel *kernel, BufferHome home, int slot);
/* The entry's kernel reads carried state, so without a given state the initial one is made in the workspace first. */
bool entry_makes_state(const Module *module, EntryKind entry);
bool module_port_grows(const Module *module, const Port *state); /* it has a value for each step */
int64_t module_limit(const Module *module, int length); /* 0: none */
bool module_state_has_lengths(const Module *module); /* it holds something for each position of a whole length */
bool module_grows(const Module *module); /* its state has room for a number of steps that the caller chooses */
/* Byte offset of a slot of what is packed; past the last one the size of all. */
int64_t module_packed_offset(const Module *module, int slot);
uint64_t module_fingerprint(const Module *module);
int64_t module_axis(const Module *module, Size size); /* the extent, or SEQRT_AXIS_... */
/* Low and high that all checks of an input allow; false without a check. */
bool module_input_range(const Module *module, int input, int64_t *out_low, int64_t *out_high);

/* Small pieces of code. */
LLVMValueRef build_i32(const ModuleEmitter *emitter, int64_t value);
LLVMValueRef build_i64(const ModuleEmitter *emitter, int64_t value);
LLVMValueRef build_null(const ModuleEmitter *emitter);
LLVMBasicBlockRef build_block(const ModuleEmitter *emitter, const char *name); /* appended to the current function */
LLVMValueRef build_call(const ModuleEmitter *emitter, LLVMValueRef function, LLVMValueRef *arguments, unsigned count);
LLVMValueRef build_is_null(const ModuleEmitter *emitter, LLVMValueRef pointer);
/* table[index], a pointer. */
LLVMValueRef build_table_load(const ModuleEmitter *emitter, LLVMValueRef table, LLVMValueRef index);
LLVMValueRef build_bytes_after(const ModuleEmitter *emitter, LLVMValueRef pointer, LLVMValueRef bytes);
LLVMValueRef build_call_field(const ModuleEmitter *emitter, LLVMValueRef call, int field); /* loaded */
LLVMValueRef build_context_field(const ModuleEmitter *emitter, LLVMValueRef context, int field);
/* Starts an internal function and moves the builder into it. */
LLVMValueRef build_function(ModuleEmitter *emitter, const char *name, LLVMTypeRef result, LLVMTypeRef *parameters,
                            unsigned count);

/* Starts a loop over index = low .. high of the current function, of which all code is cold; the end goes on behind it. */
typedef struct TableLoop {
  LLVMValueRef index; /* i64 */
  LLVMBasicBlockRef head, after;
} TableLoop;
TableLoop table_loop_begin(const ModuleEmitter *emitter, LLVMValueRef low, LLVMValueRef high);
void table_loop_end(const ModuleEmitter *emitter, TableLoop *loop);
/* Constants of the object; the result is the address, null for an empty table. */
LLVMValueRef build_constant(const ModuleEmitter *emitter, const char *name, LLVMValueRef value);
LLVMValueRef build_numbers(const ModuleEmitter *emitter, const char *name, LLVMTypeRef type, const int64_t *numbers, int count);
/* The i32 in a row and column of a table, as i64. */
LLVMValueRef build_table_number(const ModuleEmitter *emitter, LLVMValueRef table, LLVMValueRef row, int width, int column);

/* plan.c: what the entry points differ in, as one constant for each. Values are those of the entry's size program. */
enum {
  PLAN_STEPS,    /* ptr: the size program */
  PLAN_PLACES,   /* ptr: PLACE_... of each buffer */
  PLAN_INPUTS,   /* ptr: i32 numbers of the inputs that must be given */
  PLAN_RANGES,   /* ptr: RANGE_... of each check of values */
  PLAN_VIEWS,    /* ptr: i32 byte offsets in the frame of what the views repeat */
  PLAN_INITIAL,  /* ptr: the plan that makes the initial state on the same processor */
  PLAN_BODY,     /* ptr: null where the model has no such entry */
  PLAN_PLACE_COUNT,
  PLAN_INPUT_COUNT,
  PLAN_RANGE_COUNT,
  PLAN_SIZE_STEPS,   /* the first steps, those that the size of the workspace needs */
  PLAN_STEP_COUNT,
  PLAN_SIZE,         /* value: bytes of workspace */
  PLAN_STATE_SIZE,   /* value: bytes of the initial state */
  PLAN_SCRATCH,      /* value: where in the workspace the state is that is appended to when none is left */
  PLAN_NUMBERS,      /* value: the first of the numbers of the frame */
  PLAN_NUMBER_COUNT,
  PLAN_MOVED,        /* value: the steps done by the call */
  PLAN_NUMBERS_AT,   /* byte offsets in the frame */
  PLAN_BUFFERS_AT,
  PLAN_VIEWS_AT,
  PLAN_VIEW_WORDS,
  PLAN_FRAME_BYTES,
  PLAN_PARAMETERS,   /* slots of which none may be null */
  PLAN_FLAGS,
  PLAN_FIELDS
};
enum {
  FLAG_FORWARD = 1,
  FLAG_GRADIENT = 2,
  FLAG_INITIAL = 4,
  FLAG_MAKES_STATE = 8,
  FLAG_READS_INPUTS = 16,
  FLAG_READS_COTANGENTS = 32,
  FLAG_PACK = 64
};
/* Where a buffer is: bytes after its home (turns -1, `at` a value), an entry of the table there (0), or the turns that begin at one. */
enum { PLACE_HOME, PLACE_AT, PLACE_TURNS, PLACE_FIELDS };
enum { RANGE_INPUT, RANGE_COUNT, RANGE_LOW, RANGE_HIGH, RANGE_FIELDS }; /* i64 each; count and high are values */
void declare_plans(ModuleEmitter *emitter);
/* The kernels of one processor. */
typedef struct EntryBodies {
  LLVMValueRef functions[ENTRY_COUNT];
  FrameViews views[ENTRY_COUNT];
} EntryBodies;
void define_plans(ModuleEmitter *emitter, const EntryBodies *bodies);
LLVMValueRef build_plan_at(const ModuleEmitter *emitter, LLVMValueRef index);      /* of all processors, one after the other; `index` i64 */
LLVMValueRef build_plan_address(const ModuleEmitter *emitter, LLVMValueRef entry); /* of the processor that is used; `entry` i64 */
LLVMValueRef build_plan_field(const ModuleEmitter *emitter, LLVMValueRef plan, int field);
LLVMValueRef build_plan_flag(const ModuleEmitter *emitter, LLVMValueRef plan, int flag); /* i1 */
/* The value whose number the field holds. */
LLVMValueRef build_plan_value(const ModuleEmitter *emitter, LLVMValueRef plan, int field, LLVMValueRef values);

/* sizes.c */
int module_length_count(const Module *module);
int module_length_index(const Module *module, SymbolId symbol); /* in call.lengths; -1 for the batch and the position */
SymbolId module_length_symbol(const Module *module, int n);
void build_size_functions(ModuleEmitter *emitter);
/* Room on the stack for the values of a plan. */
LLVMValueRef build_values(const ModuleEmitter *emitter, LLVMValueRef plan);

/* pick.c: which processor is used, where there are several. */
void build_pick_functions(ModuleEmitter *emitter);

/* checks.c */
void build_check_functions(ModuleEmitter *emitter);
/* Returns the status from the current function where it is not SEQRT_OK. */
void build_return_unless_fine(const ModuleEmitter *emitter, LLVMValueRef status);

/* wrapper.c */
void build_wrappers(ModuleEmitter *emitter);

/* descriptor.c. False after a diagnostic: the interface cannot be said in the ABI. */
bool check_interface(const ModuleEmitter *emitter);
void build_descriptor(ModuleEmitter *emitter);

/* optimise.c */
void optimise_module(Codegen *codegen);

/* output.c: bytes of the module, which is left as it was, unless it is emitted once: then it is gone. */
LLVMMemoryBufferRef output_to_buffer(Codegen *codegen, LLVMTargetMachineRef target_machine, OutputKind kind, char **out_message);

#endif
