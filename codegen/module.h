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
  const Module *module;
  Diagnostics *diagnostics;
  LLVMBuilderRef builder;
  const char *symbol;                                     /* the model's name as a C identifier */
  LLVMTypeRef call_type, context_type, fault_type;        /* of seqrt/abi.h */
  LLVMValueRef fail, entry_of, first_null, first_outside; /* checks.c */
  LLVMValueRef workspace_size, state_size, state_offset;  /* sizes.c */
  bool is_in_range;                                       /* sizes cannot overflow here, as the workspace has been measured */
  LLVMValueRef entries[ENTRY_COUNT];                      /* wrapper.c; NULL where the model has none */
} ModuleEmitter;

/* Fields of seqrt_call, seqrt_context and seqrt_fault, in order. */
enum {
  CALL_ABI_VERSION,
  CALL_RESERVED,
  CALL_CONTEXT,
  CALL_BATCH,
  CALL_LENGTHS,
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
  CALL_WORKSPACE,
  CALL_FAULT,
  CALL_FIELDS
};
enum { CONTEXT_ABI_VERSION, CONTEXT_THREAD_COUNT, CONTEXT_PARALLEL, CONTEXT_BARRIER, CONTEXT_SELF, CONTEXT_FIELDS };
enum { FAULT_CODE, FAULT_ARGUMENT, FAULT_INDEX, FAULT_RESERVED, FAULT_ELEMENT, FAULT_VALUE, FAULT_LOW, FAULT_HIGH, FAULT_FIELDS };

/* The n-th port of a kind, counted in the order of the interface; NULL past the last. */
const Port *module_port(const Module *module, PortKind kind, int n);
int module_port_count(const Module *module, PortKind kind);
int port_slot_count(const Module *module, const Port *parameter); /* turns, or 1 */
/* Whether the kernel has a buffer of this home; with `slot` >= 0 of this slot. */
bool kernel_has_home(const Kernel *kernel, BufferHome home, int slot);
/* The entry's kernel reads carried state, so without a given state the initial one is made in the workspace first. */
bool entry_makes_state(const Module *module, EntryKind entry);
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

/* sizes.c. `symbols` are the run-time sizes by SymbolId. */
LLVMValueRef build_elements(const ModuleEmitter *emitter, int rank, const Size *shape, const bool *is_skipped,
                            LLVMValueRef *symbols);
/* Byte offsets of the workspace slots of a kernel, from `base` on; returns the end. */
LLVMValueRef build_slot_offsets(const ModuleEmitter *emitter, const Kernel *kernel, LLVMValueRef *symbols, LLVMValueRef base,
                                LLVMValueRef *out_offsets);
/* Byte offsets of the pieces of the state; returns its size. */
LLVMValueRef build_piece_offsets(const ModuleEmitter *emitter, LLVMValueRef *symbols, LLVMValueRef *out_offsets);
/* The most symbols of any kernel: kernels may know the position and derived sizes besides those of the interface. */
int module_symbol_count(const Module *module);
/* The run-time sizes: those of the interface, then those of the kernel (NULL: none). What depends on lengths or the position
 * is NULL where these are. Lengths follow the order of the symbols, the stream first. */
void build_symbols(const ModuleEmitter *emitter, const Kernel *kernel, LLVMValueRef batch, LLVMValueRef lengths,
                   LLVMValueRef position, LLVMValueRef *out_symbols);
int module_length_count(const Module *module);
int module_length_index(const Module *module, SymbolId symbol); /* in call.lengths; -1 for the batch and the position */
SymbolId module_length_symbol(const Module *module, int n);
void build_size_functions(ModuleEmitter *emitter);

/* checks.c */
void build_check_functions(ModuleEmitter *emitter);
/* Returns from the current function with the fault unless `is_fine`. */
void build_require(const ModuleEmitter *emitter, LLVMValueRef call, LLVMValueRef is_fine, int code, int argument,
                   LLVMValueRef index);
void build_argument_checks(const ModuleEmitter *emitter, LLVMValueRef call, EntryKind entry);
void build_value_checks(const ModuleEmitter *emitter, LLVMValueRef call, EntryKind entry, LLVMValueRef *symbols);

/* wrapper.c */
void build_wrapper(ModuleEmitter *emitter, EntryKind entry, LLVMValueRef body);

/* descriptor.c. False after a diagnostic: the interface cannot be said in the ABI. */
bool check_interface(const ModuleEmitter *emitter);
void build_descriptor(ModuleEmitter *emitter);

/* optimise.c */
void optimise_module(Codegen *codegen);

/* output.c: bytes of the given module, which is left as it was. */
LLVMMemoryBufferRef output_to_buffer(Codegen *codegen, LLVMTargetMachineRef target_machine, OutputKind kind, char **out_message);

#endif
