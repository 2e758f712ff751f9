/* works.c - the table of works.def, and floors. */
#include "work.h"

/* ---- what the parts of works take; B rows, T steps ---- */

#define F32(elements) (4.0 * (elements))
/* (M, K) times (K, N). */
#define PRODUCT(M, N, K) {.flops = 2.0 * (M) * (N) * (K), .bytes = F32((double)(M) * (K) + (double)(N) * (K) + (double)(M) * (N))}
/* What a step needs of the step before: G gates of H units, whose weights are read in every step. `times` forward passes' worth. */
#define GATES(G, T, B, H, times)                                        \
  {.flops = 2.0 * (times) * (T) * (B) * (G) * (H) * (H),                \
   .bytes = F32((double)((times) > 1 ? 2 : 1) * (T) * (G) * (H) * (H)), \
   .resident = F32((double)(G) * (H) * (H))}
/* A function of each element: `bytes` move for each. */
#define POINTWISE(elements, flops_each) \
  {.flops = (double)(elements) * (flops_each), .bytes = 2 * F32((double)(elements)), .traffic = TRAFFIC_COPY}
/* Nine multiply-adds for each of N states forward, seventeen more backward. */
#define SCAN(B, T, D, N, slots, arrays) \
  {.flops = 2.0 * (slots) * (B) * (T) * (D) * (N), .bytes = F32((double)(arrays) * (B) * (T) * (D)), .traffic = TRAFFIC_COPY}
/* N / 2 complex states. Five multiply-adds for each of them: a basis in which one coefficient is one has three in the step, and two read it out.
 * With the gradient sixteen: the states once more, their adjoints, and four sums over time. */
#define MODES(B, T, C, N, slots, arrays) \
  {.flops = (double)(slots) * (B) * (T) * (C) * (N), .bytes = F32((double)(arrays) * (B) * (T) * (C)), .traffic = TRAFFIC_COPY}
/* Scores and mixing of H heads of D channels over the past of T steps. */
#define ATTENTION(B, T, H, D, times)                     \
  {.flops = (times) * 2.0 * (B) * (T) * (T) * (H) * (D), \
   .bytes = F32(4.0 * (times) * (B) * (T) * (H) * (D)),  \
   .traffic = TRAFFIC_COPY}
/* AdamW alone: it reads parameter, gradient and both moments, and writes all but the gradient. */
#define ADAMW(parameters) {.bytes = 28.0 * (parameters), .traffic = TRAFFIC_UPDATE}

/* Multiply-adds of a token of a model, and its parameters, embeddings once (output and input share one table or look rows up). */
#define MAMBA_130M_PARAMETERS \
  (50280.0 * 768 + 24.0 * (768.0 * 3072 + 1536.0 * (4 + 1 + 80 + 48 + 1 + 16 + 1) + 1536.0 * 768 + 768) + 768)
#define MAMBA_130M_MADDS (50280.0 * 768 + 24.0 * (768.0 * 3072 + 1536.0 * (4 + 80 + 48) + 1536.0 * 768 + 9.0 * 1536 * 16))
#define GPT2_124M_PARAMETERS 124439808.0
/* All of them are multiplied for each token. */
#define SMOLLM_135M_PARAMETERS (49152.0 * 576 + 30.0 * (576.0 * (576 + 192 + 192 + 576) + 3.0 * 576 * 1536))
#define GPT2_124M_MADDS (50257.0 * 768 + 12.0 * 12 * 768 * 768)

const Work works[] = {
#define WORK(name_, ...) {.name = name_, __VA_ARGS__},
#include "works.def"
#undef WORK
};

const int work_count = (int)(sizeof works / sizeof works[0]);

static FloorPart floor_part(const WorkPhase *phase, int threads, double multiply_adds, double measured_ms, double tokens) {
  FloorPart part = {.flops = phase->flops, .bytes = phase->bytes, .memory = "", .bound = ""};
  double block = phase->resident > 0 ? phase->resident : phase->bytes;
  double compute = phase->flops / 2 / multiply_adds, move = 0;
  if (phase->bytes > 0) {
    part.memory = memory_level(threads, block);
    part.bytes_per_second = measured_ms > 0 ? 1e3 * phase->bytes / measured_ms : bandwidth(phase->traffic, threads, block);
    if (part.bytes_per_second > 0) move = phase->bytes / part.bytes_per_second;
  }
  if (compute > 0 || move > 0) part.bound = compute > move ? "fma" : part.memory;
  part.ms = 1e3 * (compute > move ? compute : move) / tokens;
  return part;
}

void work_floor(const Work *work, int threads, double multiply_adds, const double *moves, Floor *out_floor) {
  *out_floor = (Floor){.longest = &out_floor->parts[0]};
  for (int p = 0; p < WORK_PHASES; p++) {
    FloorPart *part = &out_floor->parts[p];
    *part = floor_part(&work->phases[p], threads, multiply_adds, moves ? moves[p] : 0, work->tokens ? (double)work->tokens : 1);
    if (part->ms > out_floor->longest->ms) out_floor->longest = part;
    out_floor->ms += part->ms;
    out_floor->flops += part->flops;
    out_floor->bytes += part->bytes;
  }
}
