/* optimizer.c - two passes over the arenas: the norm, then everything else fused; one pass where nothing depends on the norm.
 *
 * The passes over memory are compiled for each width of vectors, as a square root and a quotient for each parameter would otherwise
 * take longer than memory does. Products and sums are kept apart, so every width gives the same bits.
 *
 * The slots are cut into blocks of a fixed size. Each block's sum of squares is formed by a fixed number of accumulators,
 * and the blocks' sums are added in order, so that the result does not depend on who computes which block.
 */
#include "seqrt/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/internal.h"
#include "seqrt/threads.h"

enum { BLOCK_ELEMENTS = 8192, PIECE_ELEMENTS = 512, LANES = 16 };

/* A piece of one slot. */
typedef struct Block {
  int64_t offset; /* into the arenas */
  int64_t count;
  bool decays;
} Block;

struct seqrt_optimizer_plan {
  Block *blocks;
  double *sums; /* of squares, for each block */
  int64_t count;
  uint8_t *decays;
};

seqrt_optimizer_options seqrt_adamw_defaults(void) {
  return (seqrt_optimizer_options){
      .kind = SEQRT_ADAMW, .beta1 = 0.9, .beta2 = 0.99, .epsilon = 1e-8, .weight_decay = 0.01, .clip_norm = 1};
}

seqrt_optimizer_options seqrt_sgd_defaults(void) {
  return (seqrt_optimizer_options){.kind = SEQRT_SGD, .momentum = 0.9, .clip_norm = 1};
}

/* ---- create ---- */

static seqrt_code check_options(const seqrt_optimizer_options *options, seqrt_error *error) {
  bool is_adamw = options->kind == SEQRT_ADAMW;
  const struct {
    const char *name;
    double value, limit;
    bool is_used;
  } rows[] = {
      {"beta1", options->beta1, 1, is_adamw},
      {"beta2", options->beta2, 1, is_adamw},
      {"epsilon", options->epsilon, INFINITY, is_adamw},
      {"momentum", options->momentum, INFINITY, !is_adamw},
      {"weight_decay", options->weight_decay, INFINITY, true},
      {"clip_norm", options->clip_norm, INFINITY, true},
  };
  if (!is_adamw && options->kind != SEQRT_SGD) return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "optimizer: unknown kind");
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    if (rows[i].is_used && !(rows[i].value >= 0 && rows[i].value < rows[i].limit))
      return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "optimizer: %s is %g, expected 0 <= %s < %g", rows[i].name,
                          rows[i].value, rows[i].name, rows[i].limit);
  return SEQRT_OK;
}

static struct seqrt_optimizer_plan *plan_create(const seqrt_parameters *parameters, const uint8_t *decays) {
  const seqrt_model *model = parameters->model;
  int64_t count = 0;
  for (int32_t slot = 0; slot < model->parameter_slots; slot++)
    count += (seqrt_slot_parameter(model, slot)->elements + BLOCK_ELEMENTS - 1) / BLOCK_ELEMENTS;
  struct seqrt_optimizer_plan *plan = calloc(1, sizeof *plan);
  if (!plan) return NULL;
  plan->blocks = calloc((size_t)count + 1, sizeof *plan->blocks);
  plan->sums = calloc((size_t)count + 1, sizeof *plan->sums);
  plan->decays = calloc((size_t)model->parameter_slots + 1, 1);
  if (!plan->blocks || !plan->sums || !plan->decays) return plan; /* count 0 says so */
  for (int32_t slot = 0; slot < model->parameter_slots; slot++) {
    const seqrt_parameter *parameter = seqrt_slot_parameter(model, slot);
    plan->decays[slot] = decays ? decays[slot] != 0 : parameter->rank >= 2;
    int64_t start = parameters->slots[slot] - parameters->arena;
    for (int64_t first = 0; first < parameter->elements; first += BLOCK_ELEMENTS) {
      int64_t left = parameter->elements - first;
      plan->blocks[plan->count++] = (Block){start + first, left < BLOCK_ELEMENTS ? left : BLOCK_ELEMENTS, plan->decays[slot]};
    }
  }
  return plan;
}

static void plan_destroy(struct seqrt_optimizer_plan *plan) {
  if (!plan) return;
  free(plan->blocks);
  free(plan->sums);
  free(plan->decays);
  free(plan);
}

void seqrt_optimizer_destroy(seqrt_optimizer *optimizer) {
  if (!optimizer) return;
  seqrt_parameters_destroy(optimizer->first);
  seqrt_parameters_destroy(optimizer->second);
  plan_destroy(optimizer->plan);
  free(optimizer);
}

seqrt_code seqrt_optimizer_create(seqrt_parameters *parameters, const seqrt_optimizer_options *options,
                                  seqrt_optimizer **out_optimizer, seqrt_error *error) {
  if (!parameters || !options || !out_optimizer)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "optimizer: no parameters, no options or no place for it");
  *out_optimizer = NULL;
  seqrt_code code = check_options(options, error);
  if (code != SEQRT_OK) return code;
  seqrt_optimizer *optimizer = calloc(1, sizeof *optimizer);
  if (!optimizer) return runtime_fail_memory(error, "optimizer", sizeof *optimizer);
  optimizer->options = *options;
  optimizer->parameters = parameters;
  optimizer->plan = plan_create(parameters, options->decays);
  bool has_plan = optimizer->plan && optimizer->plan->blocks && optimizer->plan->sums && optimizer->plan->decays;
  if (!has_plan) code = runtime_fail_memory(error, "optimizer", parameters->elements / BLOCK_ELEMENTS * 64);
  else optimizer->options.decays = optimizer->plan->decays;
  if (code == SEQRT_OK) code = seqrt_parameters_create(parameters->model, &optimizer->first, error);
  if (code == SEQRT_OK && options->kind == SEQRT_ADAMW)
    code = seqrt_parameters_create(parameters->model, &optimizer->second, error);
  if (code == SEQRT_OK) *out_optimizer = optimizer;
  else seqrt_optimizer_destroy(optimizer);
  return code;
}

/* ---- step ---- */

/* The numbers of one step, in float32 as the update uses them. */
typedef struct Step {
  seqrt_optimizer *optimizer;
  const float *gradients;
  bool has_norm; /* it was found before; else together with the update */
  float clip;
  float decay_factor; /* AdamW: what is left of the parameter */
  float beta1, beta1_rest, beta2, beta2_rest;
  float step_size, root_factor, epsilon;
  float momentum, decay, rate; /* SGD */
} Step;

/* `name`, from the inline function name_body, with the widest vectors of the processor at hand. */
#if defined(__x86_64__) && defined(__GNUC__)
#define FOR_EACH_WIDTH(result, name, parameters, arguments)                                  \
  __attribute__((target("avx512f"))) static result name##_512 parameters { return name##_body arguments; } \
  __attribute__((target("avx2"))) static result name##_256 parameters { return name##_body arguments; }    \
  static result name parameters {                                                            \
    if (__builtin_cpu_supports("avx512f")) return name##_512 arguments;                      \
    if (__builtin_cpu_supports("avx2")) return name##_256 arguments;                         \
    return name##_body arguments;                                                            \
  }
#define INLINE_BODY static inline __attribute__((always_inline))
#else
#define FOR_EACH_WIDTH(result, name, parameters, arguments) \
  static result name parameters { return name##_body arguments; }
#define INLINE_BODY static inline
#endif

/* All pieces of a block but the last are multiples of LANES. */
INLINE_BODY void add_squares_body(double *sums, const float *values, int64_t count) {
  double lanes[LANES];
  memcpy(lanes, sums, sizeof lanes);
  int64_t n = 0;
  for (; n + LANES <= count; n += LANES)
    for (int lane = 0; lane < LANES; lane++) lanes[lane] += (double)values[n + lane] * (double)values[n + lane];
  for (int lane = 0; n < count; n++, lane++) lanes[lane] += (double)values[n] * (double)values[n];
  memcpy(sums, lanes, sizeof lanes);
}

FOR_EACH_WIDTH(void, add_squares, (double *sums, const float *values, int64_t count), (sums, values, count))

static double sum_of_lanes(double *lanes) {
  for (int width = LANES / 2; width; width /= 2)
    for (int lane = 0; lane < width; lane++) lanes[lane] += lanes[lane + width];
  return lanes[0];
}

INLINE_BODY void update_adamw_body(const Step *given, float kept, int64_t count, float *restrict p, float *restrict m, float *restrict v,
                                   const float *restrict gradients) {
  const Step step = *given;
  for (int64_t n = 0; n < count; n++) {
    float g = gradients[n] * step.clip;
    float m_new = step.beta1 * m[n] + step.beta1_rest * g;
    float v_new = step.beta2 * v[n] + step.beta2_rest * g * g;
    m[n] = m_new;
    v[n] = v_new;
    p[n] = p[n] * kept - step.step_size * m_new / (sqrtf(v_new) * step.root_factor + step.epsilon);
  }
}

FOR_EACH_WIDTH(void, update_adamw,
               (const Step *step, float kept, int64_t count, float *restrict p, float *restrict m, float *restrict v, const float *restrict gradients),
               (step, kept, count, p, m, v, gradients))

static void update_sgd(const Step *step, float decay, int64_t count, float *restrict p, float *restrict m,
                       const float *restrict gradients) {
  for (int64_t n = 0; n < count; n++) {
    float m_new = step->momentum * m[n] + (gradients[n] * step->clip + decay * p[n]);
    m[n] = m_new;
    p[n] -= step->rate * m_new;
  }
}

/* The contiguous run of blocks that is this thread's. */
static void share_of_blocks(int64_t count, int32_t thread, int32_t thread_count, int64_t *out_first, int64_t *out_end) {
  *out_first = count * thread / thread_count;
  *out_end = count * (thread + 1) / thread_count;
}

static void norm_share(void *argument, int32_t thread, int32_t thread_count) {
  const Step *step = argument;
  struct seqrt_optimizer_plan *plan = step->optimizer->plan;
  int64_t i, end;
  for (share_of_blocks(plan->count, thread, thread_count, &i, &end); i < end; i++) {
    double lanes[LANES] = {0};
    add_squares(lanes, step->gradients + plan->blocks[i].offset, plan->blocks[i].count);
    plan->sums[i] = sum_of_lanes(lanes);
  }
}

/* One element after the other of a piece, which stays in the nearest cache between what is done with it. */
static void update_piece(const Step *step, const Block *block, int64_t offset, int64_t count) {
  const seqrt_optimizer *optimizer = step->optimizer;
  float *p = optimizer->parameters->arena + offset, *m = optimizer->first->arena + offset;
  const float *g = step->gradients + offset;
  if (optimizer->options.kind == SEQRT_ADAMW)
    update_adamw(step, block->decays ? step->decay_factor : 1, count, p, m, optimizer->second->arena + offset, g);
  else update_sgd(step, block->decays ? step->decay : 0, count, p, m, g);
}

static void update_share(void *argument, int32_t thread, int32_t thread_count) {
  const Step *step = argument;
  struct seqrt_optimizer_plan *plan = step->optimizer->plan;
  int64_t i, end;
  for (share_of_blocks(plan->count, thread, thread_count, &i, &end); i < end; i++) {
    const Block *block = &plan->blocks[i];
    double lanes[LANES] = {0};
    int64_t piece = step->has_norm ? BLOCK_ELEMENTS : PIECE_ELEMENTS;
    for (int64_t first = 0; first < block->count; first += piece) {
      int64_t left = block->count - first, count = left < piece ? left : piece, offset = block->offset + first;
      if (!step->has_norm) add_squares(lanes, step->gradients + offset, count);
      update_piece(step, block, offset, count);
    }
    if (!step->has_norm) plan->sums[i] = sum_of_lanes(lanes);
  }
}

static void prepare_step(Step *step, const seqrt_optimizer_options *options, int64_t number, double rate, double norm) {
  step->clip = options->clip_norm > 0 ? (float)fmin(1, options->clip_norm / (norm + 1e-6)) : 1;
  step->decay_factor = (float)(1 - rate * options->weight_decay);
  step->beta1 = (float)options->beta1;
  step->beta1_rest = (float)(1 - options->beta1);
  step->beta2 = (float)options->beta2;
  step->beta2_rest = (float)(1 - options->beta2);
  step->step_size = (float)(rate / (1 - pow(options->beta1, (double)number)));
  step->root_factor = (float)(1 / sqrt(1 - pow(options->beta2, (double)number)));
  step->epsilon = (float)options->epsilon;
  step->momentum = (float)options->momentum;
  step->decay = (float)options->weight_decay;
  step->rate = (float)rate;
}

static double norm_of_blocks(const struct seqrt_optimizer_plan *plan) {
  double sum = 0;
  for (int64_t i = 0; i < plan->count; i++) sum += plan->sums[i];
  return sqrt(sum);
}

static seqrt_code fail_norm(double norm, double *out_norm, seqrt_error *error) {
  if (out_norm) *out_norm = norm;
  return runtime_fail(error, SEQRT_OUT_OF_RANGE, "optimizer: the norm of the gradients is %g: training diverged", norm);
}

seqrt_code seqrt_optimizer_step(seqrt_optimizer *optimizer, const seqrt_parameters *gradients, double learning_rate,
                                const seqrt_context *context, double *out_norm, seqrt_error *error) {
  if (!optimizer || !gradients || gradients->model != optimizer->parameters->model)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "optimizer: no gradients, or those of another model");
  Step step = {.optimizer = optimizer, .gradients = gradients->arena, .has_norm = optimizer->options.clip_norm > 0};
  double norm = 0;
  if (step.has_norm) {
    seqrt_parallel(context, norm_share, &step);
    norm = norm_of_blocks(optimizer->plan);
    if (!isfinite(norm)) return fail_norm(norm, out_norm, error);
  }
  seqrt_parameters_unpack(optimizer->parameters);
  prepare_step(&step, &optimizer->options, ++optimizer->steps, learning_rate, norm);
  seqrt_parallel(context, update_share, &step);
  if (!step.has_norm) norm = norm_of_blocks(optimizer->plan);
  if (!isfinite(norm)) return fail_norm(norm, out_norm, error);
  if (out_norm) *out_norm = norm;
  return SEQRT_OK;
}
