/* codegen_test.c - the object around the kernels: descriptor, sizes, checks of calls, states, header, outputs, targets.
 *
 * One small model is built by hand: h[t] = decay * h[t-1] + scale_0 * x[t] + table[token[t]], y = h, with a carried and a declared
 * state, a parameter with turns and a checked integer input; its objective reads an input of its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "codegen/codegen.h"

#ifndef SEQC_TESTS
#define SEQC_TESTS "tests"
#endif

enum { N = 5, TURNS = 3, VOCABULARY = 7 };
enum { SLOT_DECAY, SLOT_SCALE, SLOT_TABLE = SLOT_SCALE + TURNS, SLOTS };

typedef struct Fixture {
  Arena *arena;
  Diagnostics *diagnostics;
  Program *program;
  SymbolId batch, time;
  Module *module;
  Codegen *codegen;
} Fixture;

/* ---- the model ---- */

static TensorId add_port(Fixture *fixture, PortKind kind, const char *name, Type type, int rank, const Size *shape,
                         int batch_axis) {
  TensorId tensor = program_add_tensor(fixture->program, name, type, rank, shape);
  Port port = {.kind = kind, .name = name, .tensor = tensor, .batch_axis = batch_axis, .of = NONE, .streams = true};
  program_add_port(fixture->program, port);
  return tensor;
}

static void add_parameter(Fixture *fixture, const char *name, int turns, int64_t rows, Port rest) {
  Arena *arena = fixture->arena;
  Size shape[3];
  int rank = 0;
  if (turns) shape[rank++] = size_constant(turns);
  if (rows) shape[rank++] = size_constant(rows);
  shape[rank++] = size_constant(N);
  rest.kind = PORT_PARAMETER;
  rest.name = name;
  rest.tensor = program_add_tensor(fixture->program, name, TYPE_REAL, rank, shape);
  rest.batch_axis = rest.of = NONE;
  rest.has_turns = turns > 0;
  rest.stored_rank = rows ? 2 : 1;
  rest.stored_shape = ARENA_ARRAY(arena, int64_t, 2);
  rest.stored_shape[0] = rows ? rows : N;
  rest.stored_shape[1] = N;
  program_add_port(fixture->program, rest);
}

static Program *build_interface(Fixture *fixture) {
  Program *program = fixture->program = program_create(fixture->arena, "leaky.net");
  fixture->batch = program_add_symbol(program, SYMBOL_BATCH, "B");
  fixture->time = program_add_symbol(program, SYMBOL_STREAM, "T");
  Size b = size_symbol(fixture->batch), t = size_symbol(fixture->time), n = size_constant(N);
  add_parameter(fixture, "decay", 0, 0, (Port){.init = INIT_CONSTANT, .init_a = 0.5});
  add_parameter(fixture, "layers.{}.scale", TURNS, 0,
                (Port){.init = INIT_UNIFORM, .init_a = -1, .init_b = 2, .turn_scale = 2, .turn_offset = 1});
  add_parameter(fixture, "table", 0, VOCABULARY, (Port){.init = INIT_NORMAL, .init_b = 0.25});
  add_port(fixture, PORT_INPUT, "x", TYPE_REAL, 3, (Size[]){b, t, n}, 0);
  add_port(fixture, PORT_INPUT, "int", TYPE_INT, 2, (Size[]){b, t}, 0);
  add_port(fixture, PORT_INPUT, "target", TYPE_INT, 2, (Size[]){b, t}, 0);
  program->ports[program->port_count - 1].is_for_objective = true;
  add_port(fixture, PORT_STATE, "h0", TYPE_REAL, 3, (Size[]){size_constant(1), b, n}, 1);
  add_port(fixture, PORT_OUTPUT, "y", TYPE_REAL, 3, (Size[]){b, t, n}, 0);
  return program;
}

typedef struct Nest {
  Fixture *fixture;
  Kernel *kernel;
  IndexId b, t, n;
  const Expr *at_b, *at_t, *at_n;
} Nest;

static Nest nest_create(Fixture *fixture, EntryKind entry) {
  Nest nest = {.fixture = fixture, .kernel = kernel_create(fixture->arena, entry, fixture->program)};
  Size zero = size_constant(0);
  nest.b = kernel_add_index(nest.kernel, "b", zero, size_symbol(fixture->batch));
  nest.t = kernel_add_index(nest.kernel, "t", zero, size_symbol(fixture->time));
  nest.n = kernel_add_index(nest.kernel, "n", zero, size_constant(N));
  nest.at_b = expr_index(fixture->arena, nest.b);
  nest.at_t = expr_index(fixture->arena, nest.t);
  nest.at_n = expr_index(fixture->arena, nest.n);
  return nest;
}

static const Expr *load(const Nest *nest, BufferId buffer, const Expr *const *indices, const Expr *guard) {
  const Buffer *info = &nest->kernel->buffers[buffer];
  return expr_load(nest->fixture->arena, info->type, buffer, info->rank, indices, guard);
}

static Statement *over(const Nest *nest, LoopKind kind, IndexId index, const Expr *high, Statement *body) {
  return statement_loop(nest->kernel, kind, index, expr_integer(nest->fixture->arena, 0), high, body);
}

static Statement *over_rows(const Nest *nest, Statement *body) {
  return over(nest, LOOP_PARALLEL, nest->b, expr_symbol(nest->fixture->arena, nest->fixture->batch), body);
}

static Statement *over_elements(const Nest *nest, Statement *body) {
  return over(nest, LOOP_SEQUENTIAL, nest->n, expr_integer(nest->fixture->arena, N), body);
}

/* carried[b, n] = h0[0, b, n] where given, else 0; and the declared state likewise */
static Kernel *build_initial(Fixture *fixture) {
  Nest nest = nest_create(fixture, ENTRY_INITIAL);
  Size b = size_symbol(fixture->batch), n = size_constant(N), one = size_constant(1);
  BufferId given = kernel_add_buffer(nest.kernel, "h0", TYPE_REAL, 3, (Size[]){one, b, n}, HOME_STATE, 0);
  BufferId carry = kernel_add_buffer(nest.kernel, "h_carry", TYPE_REAL, 2, (Size[]){b, n}, HOME_CARRY_OUT, 0);
  BufferId declared = kernel_add_buffer(nest.kernel, "h_final", TYPE_REAL, 3, (Size[]){one, b, n}, HOME_FINAL_STATE, 0);
  const Expr *at[] = {expr_integer(fixture->arena, 0), nest.at_b, nest.at_n};
  const Expr *value = load(&nest, given, at, expr_given(fixture->arena, given));
  Block body = {0};
  block_append(&body, statement_store(nest.kernel, carry, at + 1, value));
  block_append(&body, statement_store(nest.kernel, declared, at, value));
  nest.kernel->body = over_rows(&nest, over_elements(&nest, body.first));
  return nest.kernel;
}

/* Stores the last step into the states, where they are wanted. */
static Statement *store_states(Nest *nest, BufferId history) {
  Fixture *fixture = nest->fixture;
  Arena *arena = fixture->arena;
  Size b = size_symbol(fixture->batch), n = size_constant(N), one = size_constant(1);
  BufferId carry = kernel_add_buffer(nest->kernel, "h_carry_out", TYPE_REAL, 2, (Size[]){b, n}, HOME_CARRY_OUT, 0);
  BufferId declared = kernel_add_buffer(nest->kernel, "h_final", TYPE_REAL, 3, (Size[]){one, b, n}, HOME_FINAL_STATE, 0);
  const Expr *last = expr_binary(arena, OP_SUB, expr_symbol(arena, fixture->time), expr_integer(arena, 1));
  const Expr *value = load(nest, history, (const Expr *[]){nest->at_b, last, nest->at_n}, NULL);
  const Expr *at[] = {expr_integer(arena, 0), nest->at_b, nest->at_n};
  Block body = {0};
  block_append(&body, statement_store(nest->kernel, carry, at + 1, value));
  block_append(&body, statement_store(nest->kernel, declared, at, value));
  return statement_if(nest->kernel, expr_given(arena, carry), over_elements(nest, body.first), NULL);
}

/* A second slot, one for each thread, whose size is derived: [(T + 2) / 3, N]. */
static void add_blocks(Nest *nest) {
  Arena *arena = nest->fixture->arena;
  Kernel *kernel = nest->kernel;
  const Expr *more = expr_binary(arena, OP_ADD, expr_symbol(arena, nest->fixture->time), expr_integer(arena, 2));
  Symbol symbol = {.kind = SYMBOL_DERIVED, .name = "blocks", .formula = expr_binary(arena, OP_QUOTIENT, more, expr_integer(arena, 3))};
  ARENA_PUSH(arena, kernel->symbols, kernel->symbol_count, symbol);
  Size shape[] = {size_symbol(kernel->symbol_count - 1), size_constant(N)};
  BufferId blocks = kernel_add_buffer(kernel, "blocks", TYPE_REAL, 2, shape, HOME_WORKSPACE, 1);
  kernel->buffers[blocks].is_private = true;
  kernel->workspace_slots = 2;
}

static Kernel *build_forward(Fixture *fixture) {
  Nest nest = nest_create(fixture, ENTRY_FORWARD);
  Arena *arena = fixture->arena;
  Kernel *kernel = nest.kernel;
  Size b = size_symbol(fixture->batch), t = size_symbol(fixture->time), n = size_constant(N);
  BufferId decay = kernel_add_buffer(kernel, "decay", TYPE_REAL, 1, &n, HOME_PARAMETER, 0);
  BufferId scale = kernel_add_buffer(kernel, "scale", TYPE_REAL, 2, (Size[]){size_constant(TURNS), n}, HOME_PARAMETER, 1);
  kernel->buffers[scale].has_turns = true;
  BufferId table = kernel_add_buffer(kernel, "table", TYPE_REAL, 2, (Size[]){size_constant(VOCABULARY), n}, HOME_PARAMETER, 2);
  BufferId x = kernel_add_buffer(kernel, "x", TYPE_REAL, 3, (Size[]){b, t, n}, HOME_INPUT, 0);
  BufferId token = kernel_add_buffer(kernel, "token", TYPE_INT, 2, (Size[]){b, t}, HOME_INPUT, 1);
  BufferId carry = kernel_add_buffer(kernel, "h_carry", TYPE_REAL, 2, (Size[]){b, n}, HOME_CARRY_IN, 0);
  BufferId h = kernel_add_buffer(kernel, "h", TYPE_REAL, 3, (Size[]){b, t, n}, HOME_WORKSPACE, 0);
  BufferId y = kernel_add_buffer(kernel, "y", TYPE_REAL, 3, (Size[]){b, t, n}, HOME_OUTPUT, 0);
  add_blocks(&nest);
  const Expr *at[] = {nest.at_b, nest.at_t, nest.at_n}, *zero = expr_integer(arena, 0);
  const Expr *before = expr_binary(arena, OP_SUB, nest.at_t, expr_integer(arena, 1));
  const Expr *is_first = expr_binary(arena, OP_EQ, nest.at_t, zero);
  const Expr *previous = expr_select(
      arena, is_first, load(&nest, carry, (const Expr *[]){nest.at_b, nest.at_n}, is_first),
      load(&nest, h, (const Expr *[]){nest.at_b, before, nest.at_n}, expr_unary(arena, OP_NOT, is_first)));
  const Expr *row = load(&nest, token, at, NULL);
  const Expr *value = expr_binary(arena, OP_MUL, load(&nest, decay, &nest.at_n, NULL), previous);
  const Expr *scaled = expr_binary(arena, OP_MUL, load(&nest, scale, (const Expr *[]){zero, nest.at_n}, NULL),
                                   load(&nest, x, at, NULL));
  value = expr_binary(arena, OP_ADD, expr_binary(arena, OP_ADD, value, scaled),
                      load(&nest, table, (const Expr *[]){row, nest.at_n}, NULL));
  Statement *step = over_elements(&nest, statement_store(kernel, h, at, value));
  Statement *copy = over_elements(&nest, statement_store(kernel, y, at, load(&nest, h, at, NULL)));
  const Expr *steps = expr_symbol(arena, fixture->time);
  Block rows = {0};
  block_append(&rows, over(&nest, LOOP_SEQUENTIAL, nest.t, steps, step));
  block_append(&rows, statement_if(kernel, expr_given(arena, y), over(&nest, LOOP_SEQUENTIAL, nest.t, steps, copy), NULL));
  block_append(&rows, store_states(&nest, h));
  kernel->body = over_rows(&nest, rows.first);
  return kernel;
}

/* gradient of turns: parameter_gradients[scale] = 1 where given, so that the table's handling is seen */
static Kernel *build_gradient(Fixture *fixture) {
  Nest nest = nest_create(fixture, ENTRY_GRADIENT);
  Arena *arena = fixture->arena;
  Size n = size_constant(N);
  BufferId scale = kernel_add_buffer(nest.kernel, "scale.gradient", TYPE_REAL, 2, (Size[]){size_constant(TURNS), n},
                                     HOME_PARAMETER_GRADIENT, 1);
  nest.kernel->buffers[scale].has_turns = true;
  IndexId turn = kernel_add_index(nest.kernel, "l", size_constant(0), size_constant(TURNS));
  const Expr *at[] = {expr_index(arena, turn), nest.at_n};
  Statement *store = over_elements(&nest, statement_store(nest.kernel, scale, at, expr_number(arena, 1)));
  Statement *turns = over(&nest, LOOP_PARALLEL, turn, expr_integer(arena, TURNS), store);
  nest.kernel->body = statement_if(nest.kernel, expr_given(arena, scale), turns, NULL);
  return nest.kernel;
}

static Module *build_module(Fixture *fixture) {
  Arena *arena = fixture->arena;
  Module *module = ARENA_NEW(arena, Module);
  *module = (Module){.arena = arena,
                     .name = "leaky.net",
                     .interface = build_interface(fixture),
                     .has_step = true,
                     .piece_count = 2,
                     .check_count = 1};
  Size b = size_symbol(fixture->batch), n = size_constant(N);
  module->pieces = ARENA_ARRAY(arena, StatePiece, 2);
  module->pieces[0] = (StatePiece){"h", TYPE_REAL, 2, arena_copy(arena, (Size[]){b, n}, 2 * sizeof(Size)), NONE, false, NONE, NONE, NULL};
  int port = program_find_port(fixture->program, PORT_STATE, "h0");
  module->pieces[1] = (StatePiece){"h0", TYPE_REAL, 3, arena_copy(arena, (Size[]){size_constant(1), b, n}, 3 * sizeof(Size)),
                                   port, true, NONE, NONE, NULL};
  module->checks = ARENA_NEW(arena, InputCheck);
  *module->checks = (InputCheck){1, 0, size_constant(VOCABULARY)};
  module->kernels[ENTRY_FORWARD] = build_forward(fixture);
  module->kernels[ENTRY_INITIAL] = build_initial(fixture);
  module->kernels[ENTRY_GRADIENT] = build_gradient(fixture);
  return module;
}

static Fixture fixture_create(int optimisation) {
  Fixture fixture = {.arena = arena_create()};
  fixture.diagnostics = diagnostics_create(fixture.arena);
  fixture.module = build_module(&fixture);
  for (int entry = 0; entry < ENTRY_COUNT; entry++) {
    const char *error = fixture.module->kernels[entry] ? loops_verify(fixture.module->kernels[entry]) : NULL;
    if (error) fail_msg("%s", error);
  }
  fixture.codegen = codegen_create(&(CodegenOptions){.optimisation = optimisation, .is_pic = true}, fixture.diagnostics);
  assert_non_null(fixture.codegen);
  assert_true(codegen_compile(fixture.codegen, &fixture.module, fixture.diagnostics));
  return fixture;
}

static void fixture_destroy(Fixture *fixture) {
  codegen_destroy(fixture->codegen);
  arena_destroy(fixture->arena);
}

static const seqrt_model *load_model(Fixture *fixture) {
  const seqrt_model *model = codegen_load(fixture->codegen, fixture->module, fixture->diagnostics);
  diagnostics_print(fixture->diagnostics, stderr);
  assert_non_null(model);
  return model;
}

/* ---- a caller ---- */

enum { ROWS = 2, STEPS = 4 };

typedef struct Caller {
  float values[SLOTS][VOCABULARY * N];
  const float *parameters[SLOTS];
  float x[ROWS * STEPS * N], y[ROWS * STEPS * N], h0[ROWS * N];
  int32_t token[ROWS * STEPS];
  const void *inputs[3];
  const float *states[1];
  void *outputs[1];
  int64_t lengths[1];
  void *workspace;
  seqrt_call call;
} Caller;

static void *allocate_aligned(int64_t size) {
  assert_true(size > 0);
  void *memory = aligned_alloc(SEQRT_ALIGNMENT, ((size_t)size + SEQRT_ALIGNMENT - 1) / SEQRT_ALIGNMENT * SEQRT_ALIGNMENT);
  assert_non_null(memory);
  memset(memory, 0xff, (size_t)size); /* contents don't matter, so they are bad */
  return memory;
}

static Caller *caller_create(const seqrt_model *model) {
  Caller *caller = calloc(1, sizeof *caller);
  for (int slot = 0; slot < SLOTS; slot++) {
    caller->parameters[slot] = caller->values[slot];
    for (int n = 0; n < VOCABULARY * N; n++) caller->values[slot][n] = 0.25f * (float)(slot + 1) - 0.0625f * (float)(n % 11);
  }
  for (int n = 0; n < ROWS * STEPS * N; n++) caller->x[n] = 0.125f * (float)(n % 13) - 0.5f;
  for (int n = 0; n < ROWS * STEPS; n++) caller->token[n] = n * 3 % VOCABULARY;
  for (int n = 0; n < ROWS * N; n++) caller->h0[n] = (float)n;
  caller->inputs[0] = caller->x;
  caller->inputs[1] = caller->token;
  caller->states[0] = caller->h0;
  caller->outputs[0] = caller->y;
  caller->lengths[0] = STEPS;
  caller->workspace = allocate_aligned(model->workspace_size(SEQRT_FORWARD, ROWS, caller->lengths, 0, 1));
  caller->call = (seqrt_call){.abi_version = SEQRT_ABI_VERSION,
                              .batch = ROWS,
                              .lengths = caller->lengths,
                              .parameters = caller->parameters,
                              .inputs = caller->inputs,
                              .initial_states = caller->states,
                              .outputs = caller->outputs,
                              .workspace = caller->workspace};
  return caller;
}

static void caller_destroy(Caller *caller) {
  free(caller->workspace);
  free(caller);
}

static void expected_outputs(const Caller *caller, float *out_y) {
  for (int b = 0; b < ROWS; b++)
    for (int n = 0; n < N; n++) {
      float h = caller->h0[b * N + n];
      for (int t = 0; t < STEPS; t++) {
        int at = b * STEPS + t;
        h = caller->values[SLOT_DECAY][n] * h + caller->values[SLOT_SCALE][n] * caller->x[at * N + n] +
            caller->values[SLOT_TABLE][caller->token[at] * N + n];
        out_y[at * N + n] = h;
      }
    }
}

static void assert_close(const float *values, const float *expected, int count) {
  for (int n = 0; n < count; n++) assert_float_equal(values[n], expected[n], 1e-5f);
}

/* A team whose threads run one after the other; the kernels here have no barrier. */
static void run_in_turn(const seqrt_context *context, void (*body)(void *, int32_t, int32_t), void *argument) {
  ++*(int *)context->self;
  for (int32_t thread = 0; thread < context->thread_count; thread++) body(argument, thread, context->thread_count);
}
static void no_barrier(const seqrt_context *context) { (void)context; }

/* ---- tests ---- */

static void test_descriptor(void **state) {
  (void)state;
  Fixture fixture = fixture_create(2);
  const seqrt_model *model = load_model(&fixture);
  assert_int_equal(model->abi_version, SEQRT_ABI_VERSION);
  assert_int_equal(model->struct_size, sizeof(seqrt_model));
  assert_string_equal(model->name, "leaky.net");
  assert_memory_equal(model->compiler, "seqc ", 5);
  assert_string_equal(model->target, codegen_target_text(fixture.codegen));
  assert_int_equal(model->parameter_count, 3);
  assert_int_equal(model->parameter_slots, SLOTS);
  const seqrt_parameter *scale = &model->parameters[1];
  assert_string_equal(scale->name, "layers.{}.scale");
  assert_int_equal(scale->rank, 1);
  assert_int_equal(scale->turns, TURNS);
  assert_int_equal(scale->shape[0], N);
  assert_int_equal(scale->elements, N);
  assert_int_equal(scale->turn_scale, 2);
  assert_int_equal(scale->turn_offset, 1);
  assert_int_equal(scale->first_slot, SLOT_SCALE);
  assert_int_equal(scale->init, SEQRT_INIT_UNIFORM);
  assert_true(scale->init_a == -1 && scale->init_b == 2);
  assert_int_equal(model->parameters[0].turns, 0);
  assert_int_equal(model->parameters[2].first_slot, SLOT_TABLE);
  assert_int_equal(model->parameters[2].elements, VOCABULARY * N);
  assert_int_equal(model->input_count, 3);
  const seqrt_tensor *token = &model->inputs[1];
  assert_int_equal(token->dtype, SEQRT_I32);
  assert_int_equal(token->rank, 2);
  assert_int_equal(token->shape[0], SEQRT_AXIS_BATCH);
  assert_int_equal(token->shape[1], SEQRT_AXIS_LENGTH(0));
  assert_true(token->has_range && token->low == 0 && token->high == VOCABULARY && !token->is_for_objective);
  assert_true(model->inputs[2].is_for_objective && !model->inputs[2].has_range);
  assert_int_equal(model->output_count, 1);
  assert_true(model->outputs[0].streams);
  assert_int_equal(model->state_count, 1);
  assert_int_equal(model->states[0].batch_axis, 1);
  assert_int_equal(model->states[0].shape[0], 1);
  assert_int_equal(model->length_count, 1);
  assert_string_equal(model->length_names[0], "T");
  assert_true(!model->has_objective && model->has_step && !model->objective_name && !model->why_no_step);
  assert_true(model->fingerprint != 0);
  assert_non_null(model->entries[SEQRT_FORWARD]);
  assert_null(model->entries[SEQRT_OBJECTIVE]);
  fixture_destroy(&fixture);
}

static void test_sizes(void **state) {
  (void)state;
  Fixture fixture = fixture_create(2);
  const seqrt_model *model = load_model(&fixture);
  int64_t piece = (ROWS * N * 4 + 63) / 64 * 64, lengths[] = {STEPS};
  assert_int_equal(model->state_size(ROWS, NULL, 0), 64 + 2 * piece);
  assert_int_equal(model->state_offset(0, ROWS, NULL, 0), 64 + piece);
  assert_int_equal(model->state_offset(1, ROWS, NULL, 0), 0);
  int64_t history = (ROWS * STEPS * N * 4 + 63) / 64 * 64 + 64;
  int64_t one = ((STEPS + 2) / 3 * N * 4 + 63) / 64 * 64 + 64, shared = 64 + 2 * piece + history;
  assert_int_equal(model->workspace_size(SEQRT_FORWARD, ROWS, lengths, 0, 1), shared + one);
  assert_int_equal(model->workspace_size(SEQRT_FORWARD, ROWS, lengths, 0, 0), shared + one);
  /* what two threads write lies so far apart that neither fetches the other's in advance */
  assert_int_equal(model->workspace_size(SEQRT_FORWARD, ROWS, lengths, 0, 3), shared + one + 2 * (one + 32768));
  assert_true(model->workspace_size(SEQRT_INITIAL, ROWS, lengths, 0, 1) > 0);
  assert_int_equal(model->workspace_size(SEQRT_OBJECTIVE, ROWS, lengths, 0, 1), 0);
  assert_int_equal(model->workspace_size(17, ROWS, lengths, 0, 1), 0);
  assert_int_equal(model->workspace_size(SEQRT_FORWARD, 0, lengths, 0, 1), 0);
  assert_int_equal(model->workspace_size(SEQRT_FORWARD, ROWS, NULL, 0, 1), 0);
  for (int shift = 30; shift < 63; shift++) {
    lengths[0] = (int64_t)1 << shift;
    assert_int_equal(model->workspace_size(SEQRT_FORWARD, (int64_t)1 << 40, lengths, 0, 1), 0);
  }
  lengths[0] = INT64_MAX;
  assert_int_equal(model->workspace_size(SEQRT_FORWARD, INT64_MAX, lengths, 0, 1), 0);
  assert_int_equal(model->state_size(INT64_MAX, NULL, 0), 0);
  assert_int_equal(model->state_size(-1, NULL, 0), 0);
  fixture_destroy(&fixture);
}

static void check_run(int optimisation) {
  Fixture fixture = fixture_create(optimisation);
  const seqrt_model *model = load_model(&fixture);
  Caller *caller = caller_create(model);
  float expected[ROWS * STEPS * N];
  expected_outputs(caller, expected);
  seqrt_state_header *out = allocate_aligned(model->state_size(ROWS, NULL, 0));
  caller->call.state_out = out;
  assert_int_equal(model->entries[SEQRT_FORWARD](&caller->call), SEQRT_OK);
  assert_close(caller->y, expected, ROWS * STEPS * N);
  assert_int_equal(out->position, STEPS);
  assert_true(out->fingerprint == model->fingerprint);
  const float *declared = (const float *)((const char *)out + model->state_offset(0, ROWS, NULL, 0));
  for (int b = 0; b < ROWS; b++) assert_close(declared + b * N, expected + (b * STEPS + STEPS - 1) * N, N);

  int regions = 0;
  seqrt_context team = {SEQRT_ABI_VERSION, 3, run_in_turn, no_barrier, &regions};
  memset(caller->y, 0, sizeof caller->y);
  caller->call.context = &team;
  assert_int_equal(model->entries[SEQRT_FORWARD](&caller->call), SEQRT_OK);
  assert_close(caller->y, expected, ROWS * STEPS * N);
  assert_int_equal(regions, 2); /* the initial state and the kernel */
  free(out);
  caller_destroy(caller);
  fixture_destroy(&fixture);
}

static void test_run(void **state) {
  (void)state;
  for (int level = 0; level <= 3; level++) check_run(level);
}

/* Step by step, in one state, from the state that `initial` gives. */
static void test_steps(void **state) {
  (void)state;
  Fixture fixture = fixture_create(2);
  const seqrt_model *model = load_model(&fixture);
  Caller *caller = caller_create(model);
  float expected[ROWS * STEPS * N], x[ROWS * N], y[ROWS * N];
  int32_t token[ROWS];
  expected_outputs(caller, expected);
  seqrt_state_header *carried = allocate_aligned(model->state_size(ROWS, NULL, 0));
  caller->call.state_out = carried;
  assert_int_equal(model->entries[SEQRT_INITIAL](&caller->call), SEQRT_OK);
  assert_int_equal(carried->position, 0);
  caller->call.state_in = carried;
  caller->inputs[0] = x;
  caller->inputs[1] = token;
  caller->outputs[0] = y;
  caller->lengths[0] = 1;
  for (int t = 0; t < STEPS; t++) {
    for (int b = 0; b < ROWS; b++) {
      memcpy(x + b * N, caller->x + (b * STEPS + t) * N, N * sizeof *x);
      token[b] = caller->token[b * STEPS + t];
    }
    assert_int_equal(model->entries[SEQRT_FORWARD](&caller->call), SEQRT_OK);
    assert_int_equal(carried->position, t + 1);
    for (int b = 0; b < ROWS; b++) assert_close(y + b * N, expected + (b * STEPS + t) * N, N);
  }
  free(carried);
  caller_destroy(caller);
  fixture_destroy(&fixture);
}

static void assert_fault(const seqrt_model *model, Caller *caller, int code, int argument, int index) {
  assert_int_equal(model->entries[SEQRT_FORWARD](&caller->call), code);
  assert_int_equal(caller->call.fault.code, code);
  assert_int_equal(caller->call.fault.argument, argument);
  assert_int_equal(caller->call.fault.index, index);
}

static void test_argument_faults(void **state) {
  (void)state;
  Fixture fixture = fixture_create(2);
  const seqrt_model *model = load_model(&fixture);
  Caller *caller = caller_create(model);
  const seqrt_call good = caller->call;
  assert_int_equal(model->entries[SEQRT_FORWARD](NULL), SEQRT_INVALID_ARGUMENT);
  caller->call.abi_version++;
  assert_int_equal(model->entries[SEQRT_FORWARD](&caller->call), SEQRT_VERSION);
  caller->call = good, caller->call.batch = 0;
  assert_fault(model, caller, SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_BATCH, -1);
  caller->call = good, caller->call.lengths = NULL;
  assert_fault(model, caller, SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_LENGTH, -1);
  caller->call = good, caller->call.lengths = (const int64_t[]){-1};
  assert_fault(model, caller, SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_LENGTH, 0);
  caller->call = good, caller->call.lengths = (const int64_t[]){INT64_MAX};
  assert_fault(model, caller, SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_LENGTH, -1);
  caller->call = good, caller->call.workspace = NULL;
  assert_fault(model, caller, SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_WORKSPACE, -1);
  caller->call = good, caller->call.workspace = (char *)caller->workspace + 4;
  assert_fault(model, caller, SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_WORKSPACE, -1);
  caller->call = good, caller->call.parameters = NULL;
  assert_fault(model, caller, SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_PARAMETERS, -1);
  caller->call = good, caller->parameters[SLOT_SCALE + 2] = NULL;
  assert_fault(model, caller, SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_PARAMETERS, SLOT_SCALE + 2);
  caller->parameters[SLOT_SCALE + 2] = caller->values[SLOT_SCALE + 2];
  caller->inputs[1] = NULL;
  assert_fault(model, caller, SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_INPUT, 1);
  caller->inputs[1] = caller->token;
  caller->call.inputs = NULL;
  assert_fault(model, caller, SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_INPUT, -1);
  caller->call = good;
  caller->call.context = &(seqrt_context){SEQRT_ABI_VERSION + 1, 1, run_in_turn, no_barrier, NULL};
  assert_fault(model, caller, SEQRT_VERSION, SEQRT_ARGUMENT_NONE, -1);
  caller->call = good;
  assert_int_equal(model->entries[SEQRT_FORWARD](&caller->call), SEQRT_OK); /* the objective's input is not missed */
  caller_destroy(caller);
  fixture_destroy(&fixture);
}

static void test_value_fault(void **state) {
  (void)state;
  Fixture fixture = fixture_create(2);
  const seqrt_model *model = load_model(&fixture);
  Caller *caller = caller_create(model);
  caller->token[6] = VOCABULARY;
  assert_fault(model, caller, SEQRT_OUT_OF_RANGE, SEQRT_ARGUMENT_INPUT, 1);
  assert_int_equal(caller->call.fault.element, 6);
  assert_int_equal(caller->call.fault.value, VOCABULARY);
  assert_int_equal(caller->call.fault.low, 0);
  assert_int_equal(caller->call.fault.high, VOCABULARY);
  caller->token[2] = -5;
  assert_fault(model, caller, SEQRT_OUT_OF_RANGE, SEQRT_ARGUMENT_INPUT, 1);
  assert_int_equal(caller->call.fault.element, 2);
  assert_int_equal(caller->call.fault.value, -5);
  caller_destroy(caller);
  fixture_destroy(&fixture);
}

/* An index of an axis whose length is known at run time only. */
static void test_value_past_a_length(void **state) {
  (void)state;
  Fixture fixture = fixture_create(2);
  fixture.module->checks->high = size_symbol(fixture.time);
  assert_true(codegen_compile(fixture.codegen, &fixture.module, fixture.diagnostics));
  const seqrt_model *model = load_model(&fixture);
  assert_int_equal(model->inputs[1].has_range, 0);
  Caller *caller = caller_create(model);
  for (int n = 0; n < ROWS * STEPS; n++) caller->token[n] = STEPS - 1;
  assert_int_equal(model->entries[SEQRT_FORWARD](&caller->call), SEQRT_OK);
  caller->token[5] = STEPS;
  assert_fault(model, caller, SEQRT_OUT_OF_RANGE, SEQRT_ARGUMENT_INPUT, 1);
  assert_int_equal(caller->call.fault.element, 5);
  assert_int_equal(caller->call.fault.high, STEPS);
  caller_destroy(caller);
  fixture_destroy(&fixture);
}

static void test_state_faults(void **state) {
  (void)state;
  Fixture fixture = fixture_create(2);
  const seqrt_model *model = load_model(&fixture);
  Caller *caller = caller_create(model);
  seqrt_state_header *carried = allocate_aligned(model->state_size(ROWS, NULL, 0));
  caller->call.state_in = carried; /* filled with ones */
  assert_fault(model, caller, SEQRT_MISMATCH, SEQRT_ARGUMENT_STATE, -1);
  caller->call.state_in = (char *)carried + 8;
  assert_fault(model, caller, SEQRT_INVALID_ARGUMENT, SEQRT_ARGUMENT_STATE, -1);
  caller->call.state_in = NULL;
  caller->call.state_out = NULL;
  assert_int_equal(model->entries[SEQRT_INITIAL](&caller->call), SEQRT_INVALID_ARGUMENT);
  carried->position = 3;
  carried->fingerprint = model->fingerprint;
  caller->call.state_in = carried;
  caller->call.state_gradients = (float *[]){NULL};
  caller->call.cotangents = (const float *[]){NULL};
  assert_int_equal(model->entries[SEQRT_GRADIENT](&caller->call), SEQRT_POSITION);
  free(carried);
  caller_destroy(caller);
  fixture_destroy(&fixture);
}

static void test_no_step(void **state) {
  (void)state;
  Fixture fixture = fixture_create(2);
  fixture.module->has_step = false;
  fixture.module->why_no_step = "model.seq:3: looks ahead";
  assert_true(codegen_compile(fixture.codegen, &fixture.module, fixture.diagnostics));
  const seqrt_model *model = load_model(&fixture);
  assert_string_equal(model->why_no_step, "model.seq:3: looks ahead");
  Caller *caller = caller_create(model);
  seqrt_state_header *carried = allocate_aligned(model->state_size(ROWS, NULL, 0));
  caller->call.state_in = carried;
  assert_fault(model, caller, SEQRT_NO_STEP, SEQRT_ARGUMENT_STATE, -1);
  free(carried);
  caller_destroy(caller);
  fixture_destroy(&fixture);
}

static void test_turn_gradients(void **state) {
  (void)state;
  Fixture fixture = fixture_create(2);
  const seqrt_model *model = load_model(&fixture);
  Caller *caller = caller_create(model);
  float values[TURNS][N] = {{0}};
  float *gradients[SLOTS] = {NULL, values[0], values[1], values[2], NULL};
  assert_int_equal(model->entries[SEQRT_GRADIENT](&caller->call), SEQRT_OK); /* no table at all */
  caller->call.parameter_gradients = gradients;
  gradients[SLOT_SCALE + 1] = NULL; /* one hole: none of the turns */
  assert_int_equal(model->entries[SEQRT_GRADIENT](&caller->call), SEQRT_OK);
  for (int n = 0; n < N; n++) assert_true(values[0][n] == 0);
  gradients[SLOT_SCALE + 1] = values[1];
  assert_int_equal(model->entries[SEQRT_GRADIENT](&caller->call), SEQRT_OK);
  for (int n = 0; n < TURNS * N; n++) assert_true(values[n / N][n % N] == 1);
  caller_destroy(caller);
  fixture_destroy(&fixture);
}

static void test_outputs(void **state) {
  (void)state;
  Fixture fixture = fixture_create(2);
  size_t length = 0, again = 0;
  const char *object = codegen_emit(fixture.codegen, OUTPUT_OBJECT, &length, fixture.diagnostics);
  assert_memory_equal(object, "\177ELF", 4);
  assert_non_null(strstr(codegen_emit(fixture.codegen, OUTPUT_LLVM, &again, fixture.diagnostics), "@leaky_net_model = constant"));
  assert_non_null(strstr(codegen_emit(fixture.codegen, OUTPUT_ASSEMBLY, &again, fixture.diagnostics), ".globl\tleaky_net_model"));
  assert_memory_equal(codegen_emit(fixture.codegen, OUTPUT_BITCODE, &again, fixture.diagnostics), "BC", 2);
  assert_ptr_equal(codegen_emit(fixture.codegen, OUTPUT_OBJECT, &again, fixture.diagnostics), object);
  assert_true(codegen_compile(fixture.codegen, &fixture.module, fixture.diagnostics)); /* the same bytes each time */
  char *copy = malloc(length);
  memcpy(copy, codegen_emit(fixture.codegen, OUTPUT_OBJECT, &again, fixture.diagnostics), length);
  assert_true(codegen_compile(fixture.codegen, &fixture.module, fixture.diagnostics));
  assert_memory_equal(codegen_emit(fixture.codegen, OUTPUT_OBJECT, &again, fixture.diagnostics), copy, length);
  assert_int_equal(again, length);
  free(copy);
  fixture_destroy(&fixture);
}

static void compile_header(const char *text, const char *compiler, const char *extension) {
  char folder[] = "/tmp/seqc_header_XXXXXX";
  assert_non_null(mkdtemp(folder));
  Arena *arena = arena_create();
  const char *header = arena_format(arena, "%s/model.h", folder), *source = arena_format(arena, "%s/use.%s", folder, extension);
  FILE *file = fopen(header, "w");
  fputs(text, file);
  fclose(file);
  file = fopen(source, "w");
  fputs("#include \"model.h\"\n#include \"model.h\"\n"
        "int use(const float *const *p, const float *x, const int32_t *i, void *s, float *y, void *w, seqrt_fault *f);\n"
        "int use(const float *const *p, const float *x, const int32_t *i, void *s, float *y, void *w, seqrt_fault *f) {\n"
        "  return leaky_net_forward(NULL, p, x, i, 2, 4, NULL, s, s, y, w, f) + leaky_net_step(NULL, p, x, i, 2, NULL, s, s, y, "
        "w, f) +\n"
        "         (int)leaky_net_workspace_size(SEQRT_FORWARD, 2, 4, 1) + LEAKY_NET_PARAMETER_LAYERS_SCALE + LEAKY_NET_INPUTS;\n}\n",
        file);
  fclose(file);
  const char *command = arena_format(arena, "%s -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I%s/../runtime/include %s",
                                     compiler, SEQC_TESTS, source);
  assert_int_equal(system(command), 0);
  assert_int_equal(system(arena_format(arena, "rm -r %s", folder)), 0);
  arena_destroy(arena);
}

static void test_header(void **state) {
  (void)state;
  Fixture fixture = fixture_create(0);
  const char *text = codegen_header(fixture.codegen, fixture.arena, fixture.module, "models/leaky.seq");
  assert_non_null(strstr(text, "const int32_t *int_, int64_t batch")); /* an input named like a keyword */
  compile_header(text, "gcc -std=c11", "c");
  if (system("command -v g++ > /dev/null") == 0) compile_header(text, "g++ -std=c++11", "cc");
  fixture_destroy(&fixture);
}

static Codegen *create_for(Arena *arena, const char *target, const char *cpu, const char *features, int *out_errors) {
  Diagnostics *diagnostics = diagnostics_create(arena);
  CodegenOptions options = {.target = target, .cpu = cpu, .features = features, .optimisation = 2, .is_pic = true};
  Codegen *codegen = codegen_create(&options, diagnostics);
  *out_errors = diagnostics_error_count(diagnostics);
  return codegen;
}

static void check_machine(const char *target, const char *cpu, const char *features, Machine expected) {
  Arena *arena = arena_create();
  int errors;
  Codegen *codegen = create_for(arena, target, cpu, features, &errors);
  assert_int_equal(errors, 0);
  assert_non_null(codegen);
  Machine machine = *codegen_machines(codegen, &(int){0});
  assert_int_equal(machine.lanes, expected.lanes);
  assert_int_equal(machine.registers, expected.registers);
  assert_int_equal(machine.tile_rows, expected.tile_rows);
  assert_int_equal(machine.tile_vectors, expected.tile_vectors);
  codegen_destroy(codegen);
  arena_destroy(arena);
}

static void test_machines(void **state) {
  (void)state;
  const char *x86 = "x86_64-linux-gnu";
  const Machine wide = {.lanes = 16, .registers = 32, .tile_rows = 8, .tile_vectors = 3};
  const Machine middle = {.lanes = 8, .registers = 16, .tile_rows = 6, .tile_vectors = 2};
  const Machine narrow = {.lanes = 4, .registers = 16, .tile_rows = 4, .tile_vectors = 2};
  check_machine(x86, "x86-64", NULL, narrow);
  check_machine(x86, "sandybridge", NULL, narrow); /* no fused multiply-add */
  check_machine(x86, "x86-64-v3", NULL, middle);
  check_machine(x86, "x86-64-v4", NULL, wide);
  check_machine(x86, "znver4", NULL, wide);
  check_machine(x86, "x86-64-v4", "-avx512f", middle);
  check_machine("aarch64-linux-gnu", NULL, NULL, (Machine){.lanes = 4, .registers = 32, .tile_rows = 8, .tile_vectors = 3});
}

static void test_other_targets(void **state) {
  (void)state;
  static const char *const targets[][2] = {
      {"aarch64-linux-gnu", NULL}, {"riscv64-linux-gnu", NULL}, {"x86_64-linux-gnu", "x86-64"}, {"x86_64-linux-gnu", "haswell"}};
  Fixture fixture = fixture_create(0);
  for (size_t n = 0; n < sizeof targets / sizeof *targets; n++) {
    int errors;
    size_t length = 0;
    Codegen *codegen = create_for(fixture.arena, targets[n][0], targets[n][1], NULL, &errors);
    assert_non_null(codegen);
    assert_true(codegen_compile(codegen, &fixture.module, fixture.diagnostics));
    assert_non_null(codegen_emit(codegen, OUTPUT_OBJECT, &length, fixture.diagnostics));
    assert_non_null(strstr(codegen_emit(codegen, OUTPUT_ASSEMBLY, &length, fixture.diagnostics), "leaky_net_model"));
    if (n < 2) assert_null(codegen_load(codegen, fixture.module, fixture.diagnostics)); /* another architecture */
    codegen_destroy(codegen);
  }
  assert_int_equal(diagnostics_error_count(fixture.diagnostics), 2);
  fixture_destroy(&fixture);
}

static void test_unknown_targets(void **state) {
  (void)state;
  Arena *arena = arena_create();
  int errors;
  assert_null(create_for(arena, "vax-dec-ultrix", NULL, NULL, &errors));
  assert_int_equal(errors, 1);
  assert_null(create_for(arena, "x86_64-linux-gnu", "pentium9", NULL, &errors));
  assert_int_equal(errors, 1);
  assert_null(create_for(arena, "x86_64-linux-gnu", "x86-64", "+warp", &errors));
  assert_int_equal(errors, 1);
  assert_null(create_for(arena, "riscv64-linux-gnu", "native", NULL, &errors));
  assert_int_equal(errors, 1);
  arena_destroy(arena);
}

static void test_print_targets(void **state) {
  (void)state;
  char *text = NULL;
  size_t size = 0;
  FILE *stream = open_memstream(&text, &size);
  codegen_print_targets(stream);
  fclose(stream);
  assert_non_null(strstr(text, "x86-64"));
  assert_non_null(strstr(text, "sapphirerapids"));
  free(text);
}

static void test_border(void **state) {
  (void)state;
  Fixture fixture = fixture_create(0);
  int port = program_find_port(fixture.program, PORT_OUTPUT, "y");
  fixture.program->tensors[fixture.program->ports[port].tensor].type = TYPE_BOOL;
  fixture.program->tensors[fixture.program->ports[port].tensor].shape[1].constant = 1;
  assert_false(codegen_compile(fixture.codegen, &fixture.module, fixture.diagnostics));
  assert_int_equal(diagnostics_error_count(fixture.diagnostics), 2);
  fixture_destroy(&fixture);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_machines),      cmocka_unit_test(test_unknown_targets), cmocka_unit_test(test_print_targets),
      cmocka_unit_test(test_descriptor),    cmocka_unit_test(test_sizes),           cmocka_unit_test(test_run),
      cmocka_unit_test(test_steps),         cmocka_unit_test(test_argument_faults), cmocka_unit_test(test_value_fault),
      cmocka_unit_test(test_value_past_a_length),
      cmocka_unit_test(test_state_faults),  cmocka_unit_test(test_no_step),         cmocka_unit_test(test_turn_gradients),
      cmocka_unit_test(test_outputs),       cmocka_unit_test(test_header),          cmocka_unit_test(test_border),
      cmocka_unit_test(test_other_targets),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
