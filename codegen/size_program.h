/* size_program.h - the run-time sizes of an object as programs: constant tables of steps, which one function walks through.
 *
 * Sizes are needed in every entry point and are computed once a call, so straight code for them would be most of the object
 * and of the time to make it. A value is named by its number: the batch, the position, the number of threads, the lengths, then one value for each
 * step. Equal steps are kept once. All arithmetic saturates at the largest int64, so a size that overflows anywhere ends as
 * one that is too large.
 */
#ifndef SEQC_CODEGEN_SIZE_PROGRAM_H
#define SEQC_CODEGEN_SIZE_PROGRAM_H

#include "codegen/module.h"

typedef enum {
  STEP_CONSTANT, /* operands: its low and its high half */
  STEP_ADD,
  STEP_SUB,
  STEP_MUL,
  STEP_MIN,
  STEP_MAX,
  STEP_QUOTIENT, /* rounds down */
  STEP_REMAINDER,
  STEP_AFTER, /* a + b rounded up to lines: where memory goes on after b bytes at a */
  STEP_KINDS
} StepKind;

/* Numbers of the values that are given. */
enum { VALUE_BATCH, VALUE_POSITION, VALUE_CAPACITY_IN, VALUE_CAPACITY_OUT, VALUE_MOVED, VALUE_THREADS, VALUE_LENGTHS };

typedef struct SizeStep {
  StepKind kind;
  int a, b;
  int64_t constant;
} SizeStep;

typedef struct SizeProgram {
  Arena *arena;
  const Module *module;
  bool has_stream, has_position; /* what may be used, beside the whole lengths */
  const Kernel *kernel;           /* whose symbols these are; NULL: the interface's only */
  int *symbols;                   /* values of the kernel's symbols as far as they are known */
  int given_count, step_count;
  SizeStep *steps;
} SizeProgram;

SizeProgram *size_program_create(Arena *arena, const Module *module, bool has_stream);
/* From here on symbols are those of this kernel. */
void size_program_enter(SizeProgram *program, const Kernel *kernel);
int size_constant_value(SizeProgram *program, int64_t constant);
int size_step_value(SizeProgram *program, StepKind kind, int a, int b);
int size_symbol_value(SizeProgram *program, SymbolId symbol);
/* scale * the elements of a shape, without the axes that are skipped. */
int size_elements_value(SizeProgram *program, int64_t scale, int rank, const Size *shape, const bool *is_skipped);
/* Values: where the slots of the kernel's workspace are. */
typedef struct SlotSizes {
  int *offsets; /* of each slot, of a private one for thread 0 */
  int end;
  int stride; /* from the private slots of one thread to those of the next */
} SlotSizes;
/* From value `base` on. */
SlotSizes size_slots_value(SizeProgram *program, int base);
/* The size of a state with room for `capacity` steps, a value; out_offsets (may be NULL): where its pieces begin. */
int size_state_value(SizeProgram *program, int capacity, int *out_offsets);
/* From here on the position may be used: what depended on it had the capacity as its bound. */
void size_program_place(SizeProgram *program);
/* The numbers of the frame, one after the other: copies of the kernel's symbols and of the stride of private slots; the result is the first. */
int size_frame_values(SizeProgram *program, int private_stride);

/* The steps as a constant of the object: three i32 each. */
LLVMValueRef build_size_steps(const ModuleEmitter *emitter, const SizeProgram *program);
/* void evaluate(const int32 *steps, int64 first, int64 end, int64 *values) */
void build_evaluate_function(ModuleEmitter *emitter);

#endif
