/* size_program.c - makes the steps that compute sizes.
 *
 * Workspace: [the initial state, when the kernel reads a carried one] [a state to append to, when the kernel does] [slot 0] [slot 1]
 * ... [private slots of thread 0] [those of thread 1] ...; each slot is followed by one unused line, so that slots of one size don't start
 * at the same place of the caches' sets.
 * State: seqrt_state_header, then the pieces in the order of the module.
 */
#include "codegen/size_program.h"

enum { LINE = SEQRT_ALIGNMENT };
/* Unused bytes between what two threads write all the time: one's prefetches run ahead and would take lines from the other's cache. From
 * 32 KB on two threads did not disturb each other (Zen 4); with 256 bytes each took up to three times as long. */
enum { PRIVATE_GAP = 32768 };

_Static_assert(sizeof(seqrt_state_header) <= LINE, "the header of a state fits in one line");

static int64_t element_bytes(Type type) { return type == TYPE_BOOL ? 1 : 4; }

SizeProgram *size_program_create(Arena *arena, const Module *module, bool has_stream) {
  SizeProgram *program = ARENA_NEW(arena, SizeProgram);
  *program = (SizeProgram){.arena = arena,
                           .module = module,
                           .has_stream = has_stream,
                           .given_count = VALUE_LENGTHS + module_length_count(module)};
  return program;
}

void size_program_enter(SizeProgram *program, const Kernel *kernel) {
  program->kernel = kernel;
  program->symbols = kernel ? ARENA_ARRAY(program->arena, int, kernel->symbol_count) : NULL;
  for (SymbolId s = 0; kernel && s < kernel->symbol_count; s++) program->symbols[s] = NONE;
}

void size_program_place(SizeProgram *program) {
  program->has_position = true;
  for (SymbolId s = 0; program->kernel && s < program->kernel->symbol_count; s++) program->symbols[s] = NONE;
}

static int append_step(SizeProgram *program, SizeStep step) {
  ARENA_PUSH(program->arena, program->steps, program->step_count, step);
  return program->given_count + program->step_count - 1;
}

static int find_or_append(SizeProgram *program, SizeStep step) {
  for (int n = 0; n < program->step_count; n++) {
    const SizeStep *other = &program->steps[n];
    if (other->kind == step.kind && other->a == step.a && other->b == step.b && other->constant == step.constant)
      return program->given_count + n;
  }
  return append_step(program, step);
}

int size_constant_value(SizeProgram *program, int64_t constant) {
  return find_or_append(program, (SizeStep){.kind = STEP_CONSTANT, .constant = constant});
}

static bool is_constant(const SizeProgram *program, int value, int64_t constant) {
  const SizeStep *step = value < program->given_count ? NULL : &program->steps[value - program->given_count];
  return step && step->kind == STEP_CONSTANT && step->constant == constant;
}

int size_step_value(SizeProgram *program, StepKind kind, int a, int b) {
  if ((kind == STEP_MAX || kind == STEP_MIN) && a == b) return a;
  if (kind == STEP_MUL && is_constant(program, a, 1)) return b;
  if (kind == STEP_MUL && is_constant(program, b, 1)) return a;
  return find_or_append(program, (SizeStep){.kind = kind, .a = a, .b = b});
}

static int formula_value(SizeProgram *program, const Expr *expr) {
  if (expr->op == OP_INTEGER) return size_constant_value(program, expr->integer);
  if (expr->op == OP_SYMBOL) return size_symbol_value(program, expr->id);
  int values[2] = {NONE, NONE};
  for (int n = 0; n < expr->arg_count && n < 2; n++) values[n] = formula_value(program, expr->args[n]);
  switch (expr->op) {
  case OP_ADD: return size_step_value(program, STEP_ADD, values[0], values[1]);
  case OP_SUB: return size_step_value(program, STEP_SUB, values[0], values[1]);
  case OP_NEG: return size_step_value(program, STEP_SUB, size_constant_value(program, 0), values[0]);
  case OP_MIN: return size_step_value(program, STEP_MIN, values[0], values[1]);
  case OP_MAX: return size_step_value(program, STEP_MAX, values[0], values[1]);
  case OP_MUL: return size_step_value(program, STEP_MUL, values[0], values[1]);
  case OP_QUOTIENT: return size_step_value(program, STEP_QUOTIENT, values[0], values[1]);
  case OP_REMAINDER: return size_step_value(program, STEP_REMAINDER, values[0], values[1]);
  default: internal_error("the formula of a derived size has an operation '%s'", op_table[expr->op].text);
  }
}

/* Steps before the call, `most` at most (0: all); that bound itself while the position is not known. */
static int past_value(SizeProgram *program, int64_t most) {
  if (!most) return VALUE_POSITION;
  int bound = size_constant_value(program, most);
  return program->has_position ? size_step_value(program, STEP_MIN, VALUE_POSITION, bound) : bound;
}

int size_symbol_value(SizeProgram *program, SymbolId symbol) {
  const Program *interface = program->module->interface;
  bool is_given = symbol < interface->symbol_count;
  if (!is_given && !program->kernel) internal_error("a state depends on symbol %d of a kernel", symbol);
  const Symbol *info = is_given ? &interface->symbols[symbol] : &program->kernel->symbols[symbol];
  int length = is_given ? module_length_index(program->module, symbol) : NONE;
  if (length >= 0 && (program->has_stream || info->kind == SYMBOL_LENGTH)) return VALUE_LENGTHS + length;
  switch (info->kind) {
  case SYMBOL_BATCH: return VALUE_BATCH;
  case SYMBOL_POSITION:
    if (program->has_position) return VALUE_POSITION;
    break;
  case SYMBOL_RECENT: return past_value(program, info->most);
  case SYMBOL_HISTORY: /* the capacity bounds it */
    if (!program->has_position && !info->most) return VALUE_CAPACITY_OUT;
    return size_step_value(program, STEP_ADD, past_value(program, info->most),
                           size_symbol_value(program, program_find_symbol(interface, SYMBOL_STREAM)));
  case SYMBOL_CAPACITY_IN: return VALUE_CAPACITY_IN;
  case SYMBOL_CAPACITY_OUT: return VALUE_CAPACITY_OUT;
  case SYMBOL_MOVED: return VALUE_MOVED;
  default: break;
  }
  if (is_given || info->kind != SYMBOL_DERIVED)
    internal_error("a size depends on '%s', which is not known where it is needed", info->name);
  int *known = &program->symbols[symbol];
  if (*known == NONE) *known = formula_value(program, info->formula);
  return *known;
}

int size_elements_value(SizeProgram *program, int64_t scale, int rank, const Size *shape, const bool *is_skipped) {
  int product = NONE;
  for (int axis = 0; axis < rank; axis++) {
    if (is_skipped && is_skipped[axis]) continue;
    Size extent = shape[axis];
    if (extent.symbol == NONE) {
      if (__builtin_mul_overflow(scale, extent.constant, &scale)) scale = INT64_MAX;
      continue;
    }
    int value = size_symbol_value(program, extent.symbol);
    if (extent.constant) value = size_step_value(program, STEP_ADD, value, size_constant_value(program, extent.constant));
    if (extent.constant < 0) value = size_step_value(program, STEP_MAX, value, size_constant_value(program, 0));
    product = product == NONE ? value : size_step_value(program, STEP_MUL, product, value);
  }
  int constant = size_constant_value(program, scale);
  return product == NONE ? constant : size_step_value(program, STEP_MUL, product, constant);
}

/* The slots that threads share, or those that each has of its own, from `base` on; returns their end. */
static int place_slots(SizeProgram *program, bool is_private, int base, int *offsets) {
  const Kernel *kernel = program->kernel;
  int end = base;
  for (int slot = 0; slot < kernel->workspace_slots; slot++) {
    int size = NONE;
    for (int b = 0; b < kernel->buffer_count; b++) {
      const Buffer *buffer = &kernel->buffers[b];
      if (buffer->home != HOME_WORKSPACE || buffer->slot != slot || buffer->is_private != is_private) continue;
      int bytes = size_elements_value(program, buffer_element_bytes(buffer), buffer->rank, buffer->shape, buffer->is_folded);
      size = size == NONE ? bytes : size_step_value(program, STEP_MAX, size, bytes);
    }
    if (size == NONE) continue;
    offsets[slot] = end;
    int with_gap = size_step_value(program, STEP_ADD, size, size_constant_value(program, LINE));
    end = size_step_value(program, STEP_AFTER, end, with_gap);
  }
  return end;
}

SlotSizes size_slots_value(SizeProgram *program, int base) {
  int *offsets = ARENA_ARRAY(program->arena, int, program->kernel->workspace_slots);
  int shared_end = place_slots(program, false, base, offsets), end = place_slots(program, true, shared_end, offsets);
  if (end == shared_end) return (SlotSizes){.offsets = offsets, .end = end, .stride = size_constant_value(program, 0)};
  int own = size_step_value(program, STEP_SUB, end, shared_end);
  int stride = size_step_value(program, STEP_ADD, own, size_constant_value(program, PRIVATE_GAP));
  int others = size_step_value(program, STEP_SUB, VALUE_THREADS, size_constant_value(program, 1));
  end = size_step_value(program, STEP_ADD, end, size_step_value(program, STEP_MUL, stride, others));
  return (SlotSizes){.offsets = offsets, .end = end, .stride = stride};
}

static int piece_bytes(SizeProgram *program, const StatePiece *piece, int capacity) {
  bool *is_skipped = ARENA_ARRAY(program->arena, bool, piece->rank);
  if (piece->grown_axis != NONE) is_skipped[piece->grown_axis] = true;
  int bytes = size_elements_value(program, element_bytes(piece->type), piece->rank, piece->shape, is_skipped);
  return piece->grown_axis == NONE ? bytes : size_step_value(program, STEP_MUL, bytes, capacity);
}

int size_state_value(SizeProgram *program, int capacity, int *out_offsets) {
  const Module *module = program->module;
  int end = size_constant_value(program, LINE);
  for (int n = 0; n < module->piece_count; n++) {
    const StatePiece *piece = &module->pieces[n];
    if (out_offsets) out_offsets[n] = piece->shown == NONE ? end : out_offsets[piece->shown];
    if (piece->shown == NONE) end = size_step_value(program, STEP_AFTER, end, piece_bytes(program, piece, capacity));
  }
  return end;
}

int size_frame_values(SizeProgram *program, int private_stride) {
  int count = program->kernel->symbol_count, *values = ARENA_ARRAY(program->arena, int, count + 1);
  for (SymbolId s = 0; s < count; s++) values[s] = size_symbol_value(program, s);
  values[count] = private_stride;
  int first = program->given_count + program->step_count;
  for (int s = 0; s <= count; s++) append_step(program, (SizeStep){.kind = STEP_MAX, .a = values[s], .b = values[s]});
  return first;
}

LLVMValueRef build_size_steps(const ModuleEmitter *emitter, const SizeProgram *program) {
  int64_t *numbers = ARENA_ARRAY(program->arena, int64_t, 3 * program->step_count);
  for (int n = 0; n < program->step_count; n++) {
    const SizeStep *step = &program->steps[n];
    bool is_constant_step = step->kind == STEP_CONSTANT;
    numbers[3 * n] = step->kind;
    numbers[3 * n + 1] = is_constant_step ? (int32_t)(uint32_t)step->constant : step->a;
    numbers[3 * n + 2] = is_constant_step ? step->constant >> 32 : step->b;
  }
  return build_numbers(emitter, "steps", emitter->codegen->type_i32, numbers, 3 * program->step_count);
}
