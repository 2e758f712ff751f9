/* main.c - trains the model of lstm.seq on a text, saves its weights and lets it write.
 *
 * The model comes as one descriptor, char_lm_model, from the object that seqc made; everything else is libseqrt. Model,
 * text and schedule are those of a reference training whose figures are known: 32 streams, 64 steps, AdamW with warm-up
 * and cosine.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lstm.h"
#include "seqrt/seqrt.h"

enum { ROWS = 32, LENGTH = 64, WARMUP = 100, BYTES = 256 };

static const int64_t KNOWN_TEXT_BYTES = 4137850; /* the King James Bible, one verse a line */

typedef struct Settings {
  const char *text_path, *weights_path, *checkpoint_path, *prompt;
  int64_t steps, seed, threads, characters;
  seqrt_sampling sampling;
} Settings;

/* The text as tokens: the rank of each byte among those that occur. */
typedef struct Text {
  int32_t *tokens;
  int64_t count;
  int32_t ranks[BYTES]; /* -1: does not occur */
  char bytes[BYTES];    /* of each rank */
  int32_t vocabulary;
} Text;

static int report(const seqrt_error *error) {
  fprintf(stderr, "char_lm: %s\n", error->message);
  return 1;
}

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- the command line ---- */

static const char USAGE[] =
    "usage: char_lm [options] TEXT [WEIGHTS]\n"
    "Trains a character model on TEXT, saves it to WEIGHTS (weights.safetensors) and prints what it writes.\n"
    "  --steps N         training steps (1200)\n"
    "  --seed N          of initial values and generated text (0)\n"
    "  --threads N       0: as many as there are (0)\n"
    "  --checkpoint FILE go on from FILE if it exists, and save to it every 200 steps\n"
    "  --characters N    to generate (600)\n"
    "  --prompt TEXT     what the generated text begins with (a new line)\n"
    "  --temperature X   0: always the most probable character (0.8)\n"
    "  --top-k N         only the N most probable; 0: all (0)\n"
    "  --top-p X         only the most probable that together reach X (0.95)\n";

static bool read_number(const char *name, const char *text, double low, double high, double *out_value) {
  char *end;
  *out_value = strtod(text, &end);
  if (end != text && *end == '\0' && *out_value >= low && *out_value <= high) return true;
  fprintf(stderr, "char_lm: --%s is '%s', expected a number from %g to %g\n", name, text, low, high);
  return false;
}

static bool read_count(const char *name, const char *text, int64_t *out_value) {
  double value;
  if (!read_number(name, text, 0, 1e12, &value)) return false;
  *out_value = (int64_t)value;
  if ((double)*out_value == value) return true;
  fprintf(stderr, "char_lm: --%s is '%s', expected a whole number\n", name, text);
  return false;
}

/* 0: go on; otherwise the exit status plus one. */
static int read_command_line(int argc, char **argv, Settings *settings) {
  static const struct option options[] = {{"steps", required_argument, NULL, 's'},
                                          {"seed", required_argument, NULL, 'e'},
                                          {"threads", required_argument, NULL, 't'},
                                          {"checkpoint", required_argument, NULL, 'c'},
                                          {"characters", required_argument, NULL, 'n'},
                                          {"prompt", required_argument, NULL, 'p'},
                                          {"temperature", required_argument, NULL, 'T'},
                                          {"top-k", required_argument, NULL, 'k'},
                                          {"top-p", required_argument, NULL, 'P'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
  int option, index = 0;
  while ((option = getopt_long(argc, argv, "h", options, &index)) != -1) {
    const char *name = options[index].name;
    int64_t top_k;
    bool is_good = true;
    switch (option) {
    case 's': is_good = read_count(name, optarg, &settings->steps); break;
    case 'e': is_good = read_count(name, optarg, &settings->seed); break;
    case 't': is_good = read_count(name, optarg, &settings->threads); break;
    case 'n': is_good = read_count(name, optarg, &settings->characters); break;
    case 'c': settings->checkpoint_path = optarg; break;
    case 'p': settings->prompt = optarg; break;
    case 'T': is_good = read_number(name, optarg, 0, 100, &settings->sampling.temperature); break;
    case 'P': is_good = read_number(name, optarg, 1e-9, 1, &settings->sampling.top_p); break;
    case 'k':
      is_good = read_count(name, optarg, &top_k);
      settings->sampling.top_k = (int32_t)(top_k < BYTES ? top_k : BYTES);
      break;
    case 'h': fputs(USAGE, stdout); return 1;
    default: fputs(USAGE, stderr); return 3;
    }
    if (!is_good) return 3;
  }
  if (optind == argc || argc - optind > 2) {
    fputs(USAGE, stderr);
    return 3;
  }
  settings->text_path = argv[optind];
  if (argc - optind == 2) settings->weights_path = argv[optind + 1];
  if (settings->threads <= 4096) return 0;
  fprintf(stderr, "char_lm: --threads is %" PRId64 ", expected at most 4096\n", settings->threads);
  return 3;
}

/* ---- the text ---- */

static unsigned char *read_whole_file(const char *path, int64_t *out_size) {
  FILE *file = fopen(path, "rb");
  if (!file) return NULL;
  unsigned char *bytes = NULL;
  long size = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
  if (size >= 0 && fseek(file, 0, SEEK_SET) == 0) bytes = malloc((size_t)size + 1);
  if (bytes && fread(bytes, 1, (size_t)size, file) != (size_t)size) {
    free(bytes);
    bytes = NULL;
  }
  fclose(file);
  *out_size = size;
  return bytes;
}

static bool text_read(const char *path, int64_t vocabulary, Text *out_text) {
  unsigned char *bytes = read_whole_file(path, &out_text->count);
  if (!bytes) {
    fprintf(stderr, "char_lm: cannot read '%s': %s\n", path, strerror(errno));
    return false;
  }
  if (out_text->count != KNOWN_TEXT_BYTES)
    fprintf(stderr, "char_lm: '%s' has %" PRId64 " bytes; the known figures are for a text of %" PRId64 "\n", path,
            out_text->count, KNOWN_TEXT_BYTES);
  bool occurs[BYTES] = {false};
  for (int64_t n = 0; n < out_text->count; n++) occurs[bytes[n]] = true;
  for (int byte = 0; byte < BYTES; byte++) {
    out_text->ranks[byte] = occurs[byte] ? out_text->vocabulary : -1;
    if (occurs[byte]) out_text->bytes[out_text->vocabulary++] = (char)byte;
  }
  out_text->tokens = malloc(((size_t)out_text->count + 1) * sizeof *out_text->tokens);
  for (int64_t n = 0; out_text->tokens && n < out_text->count; n++) out_text->tokens[n] = out_text->ranks[bytes[n]];
  free(bytes);
  if (!out_text->tokens) fprintf(stderr, "char_lm: no memory for the text\n");
  if (out_text->vocabulary > vocabulary)
    fprintf(stderr, "char_lm: '%s' has %d different characters, the model knows %" PRId64 "; compile it with -D V=%d\n", path,
            out_text->vocabulary, vocabulary, out_text->vocabulary);
  return out_text->tokens && out_text->vocabulary <= vocabulary;
}

/* ---- the machine's limit ---- */

#if defined(__x86_64__) && defined(__GNUC__)
/* Multiply-adds on independent vectors of `bytes`: nothing but the arithmetic limits this. The empty statement keeps them apart. */
#define DEFINE_BURN(name, features, bytes)                                    \
  __attribute__((target(features))) static float name(int64_t rounds) {       \
    typedef float Vector __attribute__((vector_size(bytes)));                 \
    Vector sums[12] = {{0}}, factor = {0}, addend = {0};                      \
    factor += 0.999f;                                                         \
    addend += 0.001f;                                                         \
    for (int64_t round = 0; round < rounds; round++) {                        \
      _Pragma("GCC unroll 12") for (int i = 0; i < 12; i++) {                 \
        sums[i] = sums[i] * factor + addend;                                  \
        __asm__("" : "+x"(sums[i]));                                          \
      }                                                                       \
    }                                                                         \
    _Pragma("GCC unroll 12") for (int i = 1; i < 12; i++) sums[0] += sums[i]; \
    return sums[0][0];                                                        \
  }
DEFINE_BURN(burn_512, "avx512f", 64)
DEFINE_BURN(burn_256, "avx2,fma", 32)

typedef struct Burn {
  bool is_512;
  int64_t rounds;
  volatile float result;
} Burn;

static void burn_share(void *argument, int32_t thread, int32_t thread_count) {
  Burn *burn = argument;
  (void)thread_count;
  float result = burn->is_512 ? burn_512(burn->rounds) : burn_256(burn->rounds);
  if (thread == 0) burn->result = result;
}

/* Multiply-adds a second of the whole team, the best of a few short runs; 0 where it cannot be measured. */
static double measure_peak(const seqrt_context *context) {
  Burn burn = {.is_512 = __builtin_cpu_supports("avx512f"), .rounds = 4000000};
  if (!burn.is_512 && !(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))) return 0;
  double best = INFINITY;
  for (int run = 0; run < 5; run++) {
    double started = seconds_now();
    seqrt_parallel(context, burn_share, &burn);
    best = fmin(best, seconds_now() - started);
  }
  return 12.0 * (burn.is_512 ? 16 : 8) * (double)burn.rounds * context->thread_count / best;
}
#else
static double measure_peak(const seqrt_context *context) {
  (void)context;
  return 0;
}
#endif

/* Multiply-adds of one character: forward one for each number in a matrix that is multiplied with, backward two. A row of
 * the embedding is only looked up. */
static double multiply_adds(const seqrt_model *model) {
  double total = 0;
  for (int32_t i = 0; i < model->parameter_count; i++) {
    const seqrt_parameter *parameter = &model->parameters[i];
    if (parameter->rank < 2 || strncmp(parameter->name, "embedding", 9) == 0) continue;
    total += 3.0 * (double)parameter->elements * (parameter->turns ? parameter->turns : 1);
  }
  return total;
}

/* ---- training ---- */

typedef struct Training {
  seqrt_trainer *trainer;
  seqrt_progress progress;
  const char *checkpoint_path;
  int64_t characters;
  seqrt_error error;
} Training;

static int after_step(void *argument, const seqrt_step_report *step) {
  Training *training = argument;
  training->characters += ROWS * LENGTH;
  seqrt_progress_update(&training->progress, step->step, step->loss / log(2), training->characters);
  if (!training->checkpoint_path || step->step % 200) return 0;
  return seqrt_trainer_save(training->trainer, training->checkpoint_path, &training->error) != SEQRT_OK;
}

static seqrt_code train(Training *training, const Settings *settings, const seqrt_context *context, double *out_seconds) {
  seqrt_trainer *trainer = training->trainer;
  double peak = measure_peak(context);
  training->checkpoint_path = settings->checkpoint_path;
  FILE *old = settings->checkpoint_path ? fopen(settings->checkpoint_path, "rb") : NULL;
  if (old) {
    fclose(old);
    seqrt_code code = seqrt_trainer_resume(trainer, settings->checkpoint_path, &training->error);
    if (code != SEQRT_OK) return code;
    printf("going on from '%s' after step %" PRId64 "\n", settings->checkpoint_path, trainer->step);
  }
  double started = seconds_now();
  seqrt_progress_start(&training->progress, stdout, trainer->step, settings->steps);
  seqrt_error error;
  seqrt_code code = seqrt_trainer_run(trainer, after_step, training, &error);
  seqrt_progress_finish(&training->progress, training->characters);
  *out_seconds = seconds_now() - started;
  if (code != SEQRT_OK) {
    if (code != SEQRT_CANCELLED) training->error = error;
    return code;
  }
  if (!training->characters) return SEQRT_OK;
  double speed = (double)training->characters / *out_seconds, work = speed * multiply_adds(trainer->parameters->model);
  printf("%.0f characters/s on %" PRId32 " threads, %.1f G multiply-adds/s", speed, context->thread_count, work * 1e-9);
  if (peak > 0) printf(", %.0f %% of the %.1f G measured as this machine's peak", 100 * work / peak, peak * 1e-9);
  printf("\n");
  return SEQRT_OK;
}

/* Bits per character of one part of the text. */
static seqrt_code evaluate(const seqrt_trainer *trainer, const Text *text, int64_t begin, int64_t end, double *out_bits,
                           seqrt_error *error) {
  seqrt_streams streams;
  seqrt_code code = seqrt_streams_cut(text->tokens + begin, end - begin, ROWS, &streams, error);
  if (code == SEQRT_OK) code = seqrt_trainer_evaluate(trainer, &streams, out_bits, error);
  *out_bits /= log(2);
  return code;
}

/* ---- writing ---- */

/* The prompt and what the model makes of it, one step at a time. */
static seqrt_code write_text(seqrt_session *session, seqrt_sampler *sampler, const Settings *settings, const Text *text,
                             float *logits, seqrt_error *error) {
  const void *inputs[CHAR_LM_INPUTS] = {0};
  void *outputs[CHAR_LM_OUTPUTS] = {0};
  int32_t token = 0;
  inputs[CHAR_LM_INPUT_TOKEN] = &token;
  outputs[CHAR_LM_OUTPUT_LOGITS] = logits;
  const char *prompt = *settings->prompt ? settings->prompt : "\n";
  for (int64_t n = 0; prompt[n]; n++) {
    token = text->ranks[(unsigned char)prompt[n]];
    if (token < 0) {
      snprintf(error->message, sizeof error->message, "the prompt holds '%c', which the text does not", prompt[n]);
      return error->code = SEQRT_INVALID_ARGUMENT;
    }
    seqrt_code code = seqrt_session_step(session, inputs, outputs, error);
    if (code != SEQRT_OK) return code;
  }
  printf("\n%s", settings->prompt);
  for (int64_t n = 0; n < settings->characters; n++) {
    seqrt_code code = seqrt_sample(sampler, logits, &token, error);
    if (code != SEQRT_OK) return code;
    if (token < text->vocabulary) putchar(text->bytes[token]);
    code = seqrt_session_step(session, inputs, outputs, error);
    if (code != SEQRT_OK) return code;
  }
  printf("\n\n");
  return SEQRT_OK;
}

static seqrt_code generate(const seqrt_parameters *parameters, const Settings *settings, const Text *text, seqrt_error *error) {
  int64_t vocabulary = char_lm_model.inputs[CHAR_LM_INPUT_TOKEN].high;
  seqrt_session *session = NULL;
  seqrt_sampler *sampler = NULL;
  float *logits = malloc((size_t)vocabulary * sizeof *logits);
  seqrt_code code = logits ? SEQRT_OK : SEQRT_OUT_OF_MEMORY;
  if (!logits) snprintf(error->message, sizeof error->message, "no memory for a row of logits");
  if (code == SEQRT_OK) code = seqrt_session_create(parameters, NULL, 1, &session, error);
  if (code == SEQRT_OK)
    code = seqrt_sampler_create(vocabulary, &settings->sampling, (uint64_t)settings->seed, 1u << 30, &sampler, error);
  if (code == SEQRT_OK) code = write_text(session, sampler, settings, text, logits, error);
  seqrt_sampler_destroy(sampler);
  seqrt_session_destroy(session);
  free(logits);
  return code;
}

/* ---- all of it ---- */

static seqrt_code create_trainer(const Settings *settings, const Text *text, int64_t train_end, const seqrt_context *context,
                                 seqrt_trainer **out_trainer, seqrt_error *error) {
  seqrt_trainer_options options = {.length = LENGTH,
                                   .token_input = "token",
                                   .target_input = "target",
                                   .optimizer = seqrt_adamw_defaults(),
                                   .schedule = {.learning_rate = 4e-3, .warmup = WARMUP, .steps = settings->steps},
                                   .seed = (uint64_t)settings->seed};
  seqrt_code code = seqrt_streams_cut(text->tokens, train_end, ROWS, &options.data, error);
  return code == SEQRT_OK ? seqrt_trainer_create(&char_lm_model, context, &options, out_trainer, error) : code;
}

static int run(const Settings *settings, const Text *text, const seqrt_context *context, Training *training) {
  int64_t train_end = text->count * 90 / 100, valid_end = text->count * 95 / 100;
  seqrt_error *error = &training->error;
  double seconds, valid, test;
  if (create_trainer(settings, text, train_end, context, &training->trainer, error) != SEQRT_OK) return report(error);
  const seqrt_trainer *trainer = training->trainer;
  printf("%" PRId64 " parameters, %" PRId64 " characters to train on, %d different ones\n", trainer->parameters->elements,
         train_end, text->vocabulary);
  if (train(training, settings, context, &seconds) != SEQRT_OK) return report(error);
  if (evaluate(trainer, text, train_end, valid_end, &valid, error) != SEQRT_OK ||
      evaluate(trainer, text, valid_end, text->count, &test, error) != SEQRT_OK)
    return report(error);
  const seqrt_metadata metadata[] = {{"model", char_lm_model.name}, {"compiler", char_lm_model.compiler}};
  if (seqrt_parameters_save(trainer->parameters, settings->weights_path, metadata, 2, error) != SEQRT_OK) return report(error);
  printf("saved %s\n", settings->weights_path);
  if (settings->characters && generate(trainer->parameters, settings, text, error) != SEQRT_OK) return report(error);
  printf("held-out valid %.3f test %.3f bits per character, trained in %.0f s\n", valid, test, seconds);
  return 0;
}

int main(int argc, char **argv) {
  Settings settings = {.weights_path = "weights.safetensors",
                       .prompt = "",
                       .steps = 1200,
                       .characters = 600,
                       .sampling = {.temperature = 0.8, .top_p = 0.95}};
  int stop = read_command_line(argc, argv, &settings);
  if (stop) return stop - 1;
  Text text = {0};
  Training training = {0};
  seqrt_context *context = NULL;
  int status = 1;
  if (text_read(settings.text_path, char_lm_model.inputs[CHAR_LM_INPUT_TOKEN].high, &text)) {
    if (seqrt_context_create((int32_t)settings.threads, &context, &training.error) == SEQRT_OK)
      status = run(&settings, &text, context, &training);
    else report(&training.error);
  }
  seqrt_trainer_destroy(training.trainer);
  seqrt_context_destroy(context);
  free(text.tokens);
  return status;
}
