/* checkpoint.c - a training on disk, so that it goes on as if it had not stopped.
 *
 * One safetensors file: `parameter.NAME`, `first.NAME`, `second.NAME` (moments) and `state` (the carried state, bytes);
 * metadata says version, model, where the training is, and every setting that the next step depends on. Real settings are
 * written as hexadecimal floating point, which loses nothing. A file is checked in full before anything of it is taken.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/internal.h"
#include "runtime/names.h"
#include "runtime/trainer.h"

static const char FORMAT[] = "seqrt checkpoint", VERSION[] = "1";

enum { MAX_SETTINGS = 32, VALUE_SIZE = 40, GROUPS = 3 };

static const char *const PREFIXES[GROUPS] = {"parameter.", "first.", "second."};

/* Metadata under construction; values are written into the table itself. */
typedef struct Settings {
  seqrt_metadata entries[MAX_SETTINGS];
  char values[MAX_SETTINGS][VALUE_SIZE];
  int32_t count;
} Settings;

static void add_text(Settings *settings, const char *key, const char *value) {
  settings->entries[settings->count++] = (seqrt_metadata){key, value};
}

static void add_integer(Settings *settings, const char *key, int64_t value) {
  char *text = settings->values[settings->count];
  snprintf(text, VALUE_SIZE, "%" PRId64, value);
  add_text(settings, key, text);
}

static void add_bits(Settings *settings, const char *key, uint64_t value) {
  char *text = settings->values[settings->count];
  snprintf(text, VALUE_SIZE, "%016" PRIx64, value);
  add_text(settings, key, text);
}

static void add_real(Settings *settings, const char *key, double value) {
  char *text = settings->values[settings->count];
  snprintf(text, VALUE_SIZE, "%a", value);
  add_text(settings, key, text);
}

/* What must be the same for the training to go on. */
static void collect_settings(const seqrt_trainer *trainer, Settings *settings) {
  const struct seqrt_trainer_private *own = trainer->private_part;
  const seqrt_trainer_options *options = &own->options;
  const seqrt_optimizer_options *optimizer = &trainer->optimizer->options;
  uint64_t data = RUNTIME_HASH_START;
  for (int64_t row = 0; row < options->data.rows; row++)
    data = runtime_hash(data, options->data.tokens + row * options->data.stride,
                        (size_t)(options->data.length + 1) * sizeof(int32_t));
  add_bits(settings, "data", data);
  add_integer(settings, "rows", options->data.rows);
  add_integer(settings, "stream_length", options->data.length);
  add_integer(settings, "length", options->length);
  add_text(settings, "token_input", own->model->inputs[own->feed.token_index].name);
  add_text(settings, "target_input", own->model->inputs[own->feed.target_index].name);
  add_bits(settings, "seed", options->seed);
  add_real(settings, "learning_rate", options->schedule.learning_rate);
  add_integer(settings, "warmup", options->schedule.warmup);
  add_integer(settings, "steps", options->schedule.steps);
  add_text(settings, "optimizer", optimizer->kind == SEQRT_ADAMW ? "adamw" : "sgd");
  add_real(settings, "beta1", optimizer->beta1);
  add_real(settings, "beta2", optimizer->beta2);
  add_real(settings, "epsilon", optimizer->epsilon);
  add_real(settings, "momentum", optimizer->momentum);
  add_real(settings, "weight_decay", optimizer->weight_decay);
  add_real(settings, "clip_norm", optimizer->clip_norm);
  add_bits(settings, "decays", runtime_hash(RUNTIME_HASH_START, optimizer->decays, (size_t)own->model->parameter_slots));
}

/* Parameters and moments; the last is NULL where the optimizer has one moment. */
static void collect_groups(const seqrt_trainer *trainer, seqrt_parameters *out_groups[GROUPS]) {
  out_groups[0] = trainer->parameters;
  out_groups[1] = trainer->optimizer->first;
  out_groups[2] = trainer->optimizer->second;
}

/* ---- save ---- */

seqrt_code seqrt_trainer_save(const seqrt_trainer *trainer, const char *path, seqrt_error *error) {
  if (!trainer || !path) return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "checkpoint: no trainer or no path");
  const seqrt_model *model = trainer->private_part->model;
  Settings settings = {0};
  add_text(&settings, "format", FORMAT);
  add_text(&settings, "version", VERSION);
  add_text(&settings, "model", model->name);
  add_bits(&settings, "fingerprint", model->fingerprint);
  add_integer(&settings, "step", trainer->step);
  add_integer(&settings, "position", trainer->position);
  add_integer(&settings, "optimizer_steps", trainer->optimizer->steps);
  collect_settings(trainer, &settings);

  seqrt_parameters *groups[GROUPS];
  char **names[GROUPS] = {0};
  collect_groups(trainer, groups);
  int32_t slots = model->parameter_slots;
  seqrt_stored_tensor *tensors = calloc((size_t)slots * GROUPS + 1, sizeof *tensors);
  bool has_memory = tensors != NULL;
  int64_t count = 0, state_bytes;
  for (int i = 0; i < GROUPS && has_memory; i++) {
    if (!groups[i]) continue;
    names[i] = slot_names_create(model, PREFIXES[i]);
    has_memory = names[i] != NULL;
    if (has_memory) slot_tensors(groups[i], names[i], tensors + count);
    count += slots;
  }
  seqrt_code code = has_memory ? SEQRT_OK : runtime_fail_memory(error, "checkpoint", slots * (int64_t)sizeof *tensors * GROUPS);
  const void *state = seqrt_session_state(trainer->session, &state_bytes);
  if (code == SEQRT_OK) {
    tensors[count++] = (seqrt_stored_tensor){
        .name = "state", .dtype = SEQRT_STORED_U8, .rank = 1, .shape = &state_bytes, .data = state};
    code = seqrt_safetensors_save(path, tensors, count, settings.entries, settings.count, error);
  }
  for (int i = 0; i < GROUPS; i++) slot_names_destroy(names[i], slots);
  free(tensors);
  return code;
}

/* ---- resume ---- */

static seqrt_code check_head(const seqrt_trainer *trainer, const seqrt_safetensors *file, seqrt_error *error) {
  const seqrt_model *model = trainer->private_part->model;
  const char *path = seqrt_safetensors_path(file), *format = seqrt_safetensors_metadata(file, "format");
  const char *version = seqrt_safetensors_metadata(file, "version"), *name = seqrt_safetensors_metadata(file, "model");
  const char *fingerprint = seqrt_safetensors_metadata(file, "fingerprint");
  if (!format || strcmp(format, FORMAT) != 0 || !version || !name || !fingerprint)
    return runtime_fail(error, SEQRT_FORMAT, "%.200s: not a checkpoint, though a safetensors file", path);
  if (strcmp(version, VERSION) != 0)
    return runtime_fail(error, SEQRT_VERSION, "%.200s: a checkpoint of version %.20s, this library reads version %s", path,
                        version, VERSION);
  char expected[VALUE_SIZE];
  snprintf(expected, sizeof expected, "%016" PRIx64, model->fingerprint);
  if (strcmp(fingerprint, expected) == 0) return SEQRT_OK;
  return runtime_fail(error, SEQRT_MISMATCH, "%.200s: a checkpoint of model '%.100s' (%.20s), expected '%.100s' (%s)", path, name,
                      fingerprint, model->name, expected);
}

static seqrt_code check_settings(const seqrt_trainer *trainer, const seqrt_safetensors *file, seqrt_error *error) {
  Settings settings = {0};
  collect_settings(trainer, &settings);
  Findings findings = {0};
  for (int32_t i = 0; i < settings.count; i++) {
    const seqrt_metadata *entry = &settings.entries[i];
    const char *found = seqrt_safetensors_metadata(file, entry->key);
    if (!found) findings_add(&findings, "'%s' is missing", entry->key);
    else if (strcmp(found, entry->value) != 0)
      findings_add(&findings, "'%s' was %.60s and is now %s", entry->key, found, entry->value);
  }
  if (!findings.count) return SEQRT_OK;
  char subject[260];
  snprintf(subject, sizeof subject, "%.200s: the settings differ", seqrt_safetensors_path(file));
  return findings_fail(&findings, error, SEQRT_MISMATCH, subject);
}

static seqrt_code read_count(const seqrt_safetensors *file, const char *key, int64_t limit, int64_t *out_value,
                             seqrt_error *error) {
  const char *text = seqrt_safetensors_metadata(file, key);
  char *end = NULL;
  long long value = text && *text ? strtoll(text, &end, 10) : -1;
  *out_value = value;
  if (value >= 0 && value <= limit && *end == '\0') return SEQRT_OK;
  return runtime_fail(error, SEQRT_FORMAT, "%.200s: metadata '%s' is not a possible count", seqrt_safetensors_path(file), key);
}

/* Reads everything into `staged`, which has the trainer's shapes, so that a file that proves bad late has changed nothing. */
static seqrt_code read_groups(const seqrt_safetensors *file, seqrt_parameters *const groups[GROUPS],
                              seqrt_parameters *staged[GROUPS], seqrt_error *error) {
  for (int i = 0; i < GROUPS; i++) {
    if (!groups[i]) continue;
    seqrt_code code = seqrt_parameters_create(groups[i]->model, &staged[i], error);
    if (code == SEQRT_OK) code = seqrt_parameters_load(staged[i], file, PREFIXES[i], 0, error);
    if (code != SEQRT_OK) return code;
  }
  return SEQRT_OK;
}

static seqrt_code take_checkpoint(seqrt_trainer *trainer, const seqrt_safetensors *file, seqrt_parameters *staged[GROUPS],
                                  seqrt_error *error) {
  int64_t step, position, optimizer_steps;
  seqrt_parameters *groups[GROUPS];
  collect_groups(trainer, groups);
  seqrt_code code = check_head(trainer, file, error);
  if (code == SEQRT_OK) code = check_settings(trainer, file, error);
  if (code == SEQRT_OK) code = read_count(file, "step", INT64_MAX, &step, error);
  if (code == SEQRT_OK) code = read_count(file, "position", trainer->private_part->options.data.length, &position, error);
  if (code == SEQRT_OK) code = read_count(file, "optimizer_steps", INT64_MAX, &optimizer_steps, error);
  if (code == SEQRT_OK) code = read_groups(file, groups, staged, error);
  if (code != SEQRT_OK) return code;
  const seqrt_stored_tensor *state = seqrt_safetensors_find(file, "state");
  if (!state || state->dtype != SEQRT_STORED_U8)
    return runtime_fail(error, SEQRT_FORMAT, "%.200s: 'state' is missing or not U8", seqrt_safetensors_path(file));
  code = seqrt_session_set_state(trainer->session, state->data, state->bytes, error);
  if (code != SEQRT_OK) return code;
  for (int i = 0; i < GROUPS; i++)
    if (groups[i]) seqrt_parameters_unpack(groups[i]), memcpy(groups[i]->arena, staged[i]->arena, (size_t)groups[i]->arena_elements * sizeof(float));
  trainer->step = step;
  trainer->position = position;
  trainer->optimizer->steps = optimizer_steps;
  return SEQRT_OK;
}

seqrt_code seqrt_trainer_resume(seqrt_trainer *trainer, const char *path, seqrt_error *error) {
  if (!trainer || !path) return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "checkpoint: no trainer or no path");
  seqrt_safetensors *file;
  seqrt_code code = seqrt_safetensors_open(path, &file, error);
  if (code != SEQRT_OK) return code;
  seqrt_parameters *staged[GROUPS] = {0};
  code = take_checkpoint(trainer, file, staged, error);
  for (int i = 0; i < GROUPS; i++) seqrt_parameters_destroy(staged[i]);
  seqrt_safetensors_close(file);
  return code;
}
