/* runtime_weights_test.c - checkpoints of one file and of several: every type, what does not fit together, what is cut off. */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "demo_model.h"
#include "seqrt/weights.h"

enum { V = DEMO_VOCABULARY, D = DEMO_WIDTH };

static int enter_folder(void **state) {
  char *folder = strdup("/tmp/seqrt_weights_XXXXXX");
  *state = folder;
  return folder && mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state) {
  char command[100];
  snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
  free(*state);
  return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static void write_text(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static void save(const char *path, const seqrt_stored_tensor *tensors, int64_t count) {
  assert_int_equal(seqrt_safetensors_save(path, tensors, count, NULL, 0, NULL), SEQRT_OK);
}

static seqrt_weights *open_weights(const char *path) {
  seqrt_weights *weights;
  seqrt_error error;
  if (seqrt_weights_open(path, &weights, &error) != SEQRT_OK) fail_msg("%s", error.message);
  return weights;
}

static void assert_refused(const char *path, seqrt_code code, const char *expected) {
  seqrt_weights *weights;
  seqrt_error error = {0};
  assert_int_equal(seqrt_weights_open(path, &weights, &error), code);
  assert_null(weights);
  if (!strstr(error.message, expected)) fail_msg("'%s' is not in '%s'", expected, error.message);
}

/* ---- types ---- */

static seqrt_stored_tensor flat(const char *name, seqrt_stored_dtype dtype, const int64_t *count, const void *data) {
  return (seqrt_stored_tensor){.name = name, .dtype = dtype, .rank = 1, .shape = count, .data = data};
}

static void assert_floats(const seqrt_weights *weights, const char *name, const float *expected, int count) {
  float values[16];
  double wide[16];
  assert_int_equal(seqrt_weights_to_f32(weights, name, values, NULL), SEQRT_OK);
  assert_int_equal(seqrt_weights_to_f64(weights, name, wide, NULL), SEQRT_OK);
  for (int i = 0; i < count; i++) {
    bool is_same = isnan(expected[i]) ? isnan(values[i]) : values[i] == expected[i] && signbit(values[i]) == signbit(expected[i]);
    if (!is_same) fail_msg("'%s', element %d: %a, expected %a", name, i, (double)values[i], (double)expected[i]);
    assert_true(isnan(wide[i]) ? isnan(values[i]) : wide[i] == (double)values[i]);
  }
}

/* Zeros, subnormals, the smallest and the largest, infinities and a nan of each. */
static void real_types(void **state) {
  (void)state;
  const uint16_t half[] = {0, 0x8000, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0x7C00, 0xFC00, 0x7E00, 0x3555};
  const float halves[] = {0, -0.0f, 0x1p-24f, -0x1.ff8p-15f, 0x1p-14f, 65504, INFINITY, -INFINITY, NAN, 0x1.554p-2f};
  const uint16_t brain[] = {0, 0x8000, 0x0001, 0x807F, 0x0080, 0x7F7F, 0x7F80, 0xFF80, 0x7FC0, 0x3EAB};
  const float brains[] = {0, -0.0f, 0x1p-133f, -0x1.fcp-127f, 0x1p-126f, 0x1.fep127f, INFINITY, -INFINITY, NAN, 0x1.56p-2f};
  const float single[] = {0, -0.0f, 0x1p-149f, -0x1.fffffcp-127f, 0x1p-126f, 0x1.fffffep127f, INFINITY, -INFINITY, NAN, 0.1f};
  const double wide[] = {0, -0.0, 0x1p-149, 0x1p-200, 0x1.fffffep127, 0.1, INFINITY, -INFINITY, NAN, 0x1.000001p0};
  const float narrowed[] = {0, -0.0f, 0x1p-149f, 0, 0x1.fffffep127f, 0.1f, INFINITY, -INFINITY, NAN, 1};
  const int64_t count[] = {10};
  const seqrt_stored_tensor tensors[] = {
      flat("half", SEQRT_STORED_F16, count, half), flat("brain", SEQRT_STORED_BF16, count, brain),
      flat("single", SEQRT_STORED_F32, count, single), flat("wide", SEQRT_STORED_F64, count, wide)};
  save("x.safetensors", tensors, 4);
  seqrt_weights *weights = open_weights("x.safetensors");
  assert_floats(weights, "half", halves, 10);
  assert_floats(weights, "brain", brains, 10);
  assert_floats(weights, "single", single, 10);
  float values[10];
  assert_int_equal(seqrt_weights_to_f32(weights, "wide", values, NULL), SEQRT_OK);
  for (int i = 0; i < 10; i++) assert_true(isnan(narrowed[i]) ? isnan(values[i]) : values[i] == narrowed[i]);
  double exact[10];
  assert_int_equal(seqrt_weights_to_f64(weights, "wide", exact, NULL), SEQRT_OK);
  assert_memory_equal(exact, wide, sizeof wide);
  int32_t integers[10];
  assert_int_equal(seqrt_weights_to_i32(weights, "half", integers, NULL), SEQRT_FORMAT);
  seqrt_error error;
  assert_int_equal(seqrt_weights_to_f32(weights, "other", values, &error), SEQRT_MISMATCH);
  assert_string_equal(error.message, "'x.safetensors' has no array 'other'");
  seqrt_weights_close(weights);
}

static void integer_types(void **state) {
  (void)state;
  const uint8_t bytes[] = {0, 1, 255};
  const int8_t small[] = {-128, 0, 127};
  const int16_t shorts[] = {-32768, 0, 32767};
  const uint16_t unsigned_shorts[] = {0, 1, 65535};
  const int32_t words[] = {INT32_MIN, 0, INT32_MAX};
  const uint32_t unsigned_words[] = {0, 1, UINT32_MAX};
  const int64_t longs[] = {INT32_MIN, 0, INT32_MAX}, too_long[] = {0, 1ll << 31, 0};
  const uint64_t unsigned_longs[] = {0, 1, INT32_MAX}, too_large[] = {0, 0, UINT64_MAX};
  const int64_t count[] = {3};
  const seqrt_stored_tensor tensors[] = {flat("bool", SEQRT_STORED_BOOL, count, (const uint8_t[]){0, 1, 1}),
                                         flat("u8", SEQRT_STORED_U8, count, bytes),
                                         flat("i8", SEQRT_STORED_I8, count, small),
                                         flat("i16", SEQRT_STORED_I16, count, shorts),
                                         flat("u16", SEQRT_STORED_U16, count, unsigned_shorts),
                                         flat("i32", SEQRT_STORED_I32, count, words),
                                         flat("u32", SEQRT_STORED_U32, count, unsigned_words),
                                         flat("i64", SEQRT_STORED_I64, count, longs),
                                         flat("u64", SEQRT_STORED_U64, count, unsigned_longs),
                                         flat("long", SEQRT_STORED_I64, count, too_long),
                                         flat("large", SEQRT_STORED_U64, count, too_large)};
  save("x.safetensors", tensors, 11);
  seqrt_weights *weights = open_weights("x.safetensors");
  static const struct {
    const char *name;
    int64_t values[3];
  } expected[] = {{"bool", {0, 1, 1}},
                  {"u8", {0, 1, 255}},
                  {"i8", {-128, 0, 127}},
                  {"i16", {-32768, 0, 32767}},
                  {"u16", {0, 1, 65535}},
                  {"i32", {INT32_MIN, 0, INT32_MAX}},
                  {"i64", {INT32_MIN, 0, INT32_MAX}},
                  {"u64", {0, 1, INT32_MAX}}};
  for (size_t n = 0; n < sizeof expected / sizeof expected[0]; n++) {
    int32_t narrow[3];
    int64_t wide[3];
    float floats[3];
    assert_int_equal(seqrt_weights_to_i32(weights, expected[n].name, narrow, NULL), SEQRT_OK);
    assert_int_equal(seqrt_weights_to_i64(weights, expected[n].name, wide, NULL), SEQRT_OK);
    assert_int_equal(seqrt_weights_to_f32(weights, expected[n].name, floats, NULL), SEQRT_OK);
    for (int i = 0; i < 3; i++) {
      assert_int_equal(narrow[i], expected[n].values[i]);
      assert_int_equal(wide[i], expected[n].values[i]);
      assert_true(floats[i] == (float)expected[n].values[i]);
    }
  }
  int32_t narrow[3];
  int64_t wide[3];
  seqrt_error error;
  assert_int_equal(seqrt_weights_to_i32(weights, "u32", narrow, &error), SEQRT_OUT_OF_RANGE);
  assert_string_equal(error.message, "'u32', element 2: the value does not fit into int32");
  assert_int_equal(seqrt_weights_to_i32(weights, "long", narrow, &error), SEQRT_OUT_OF_RANGE);
  assert_int_equal(seqrt_weights_to_i64(weights, "long", wide, &error), SEQRT_OK);
  assert_int_equal(seqrt_weights_to_i64(weights, "large", wide, &error), SEQRT_OUT_OF_RANGE);
  seqrt_weights_close(weights);
}

/* More than is read at once; the place of what does not fit is that in the whole array. */
static void large_arrays(void **state) {
  (void)state;
  enum { COUNT = 300001 };
  uint16_t *brain = malloc(COUNT * sizeof *brain);
  double *wide = calloc(COUNT, sizeof *wide);
  float *values = malloc(COUNT * sizeof *values);
  for (int i = 0; i < COUNT; i++) brain[i] = (uint16_t)(0x3F80 + i % 1000);
  wide[250000] = 1e39;
  const int64_t count[] = {COUNT};
  const seqrt_stored_tensor tensors[] = {flat("brain", SEQRT_STORED_BF16, count, brain),
                                         flat("wide", SEQRT_STORED_F64, count, wide)};
  save("x.safetensors", tensors, 2);
  seqrt_weights *weights = open_weights("x.safetensors");
  assert_int_equal(seqrt_weights_to_f32(weights, "brain", values, NULL), SEQRT_OK);
  for (int i = 0; i < COUNT; i++) {
    uint32_t bits;
    memcpy(&bits, &values[i], sizeof bits);
    if (bits != (uint32_t)brain[i] << 16) fail_msg("element %d", i);
  }
  seqrt_error error;
  assert_int_equal(seqrt_weights_to_f32(weights, "wide", values, &error), SEQRT_OUT_OF_RANGE);
  assert_string_equal(error.message, "'wide', element 250000: 1e+39 does not fit into float32");
  /* The file is cut off while it is open: an error, not the end of the program. */
  assert_int_equal(truncate("x.safetensors", 1000), 0);
  assert_int_equal(seqrt_weights_to_f32(weights, "brain", values, &error), SEQRT_IO);
  assert_string_equal(error.message, "'x.safetensors' became shorter while it was open");
  seqrt_weights_close(weights);
  free(brain);
  free(wide);
  free(values);
}

/* ---- several files, and a model ---- */

static const int64_t MATRIX[] = {V, D}, WIDTH[] = {D}, WORDS[] = {V};
static float data[V * D];
static uint16_t brain_data[V * D];

/* The parameters of the demo model in two files, and what it ignores. */
static void write_shards(void) {
  for (int i = 0; i < V * D; i++) {
    data[i] = (float)i;
    brain_data[i] = 0x4000;
  }
  const seqrt_stored_tensor first[] = {
      {.name = "embedding", .dtype = SEQRT_STORED_F32, .rank = 2, .shape = MATRIX, .data = data},
      {.name = "head.3.weight", .dtype = SEQRT_STORED_BF16, .rank = 2, .shape = MATRIX, .data = brain_data},
      {.name = "unused.table", .dtype = SEQRT_STORED_I64, .rank = 0, .data = data}};
  const seqrt_stored_tensor second[] = {
      {.name = "head.1.weight", .dtype = SEQRT_STORED_F32, .rank = 2, .shape = MATRIX, .data = data},
      {.name = "decay", .dtype = SEQRT_STORED_F32, .rank = 1, .shape = WIDTH, .data = data},
      {.name = "head.bias", .dtype = SEQRT_STORED_F32, .rank = 1, .shape = WORDS, .data = data}};
  save("a.safetensors", first, 3);
  save("b.safetensors", second, 3);
  write_text(
      "model.safetensors.index.json",
      "{\"metadata\": {\"total_size\": 1, \"x\": [true, {\"y\": -1.5e-3}]}, \"weight_map\": {\"embedding\": \"a.safetensors\","
      "\"head.3.weight\": \"a.safetensors\", \"unused.table\": \"a.safetensors\", \"head.1.weight\": \"b.safetensors\","
      "\"decay\": \"b.safetensors\", \"head.bias\": \"b.safetensors\"}}");
  write_text("config.json", "{\"hidden_size\": 5}");
}

static void shards(void **state) {
  (void)state;
  write_shards();
  seqrt_weights *weights = open_weights(".");
  assert_int_equal(seqrt_weights_file_count(weights), 2);
  assert_int_equal(seqrt_weights_count(weights), 6);
  assert_string_equal(seqrt_weights_tensor(weights, 0)->name, "decay");
  assert_null(seqrt_weights_tensor(weights, 6));
  assert_string_equal(seqrt_weights_config(weights), "{\"hidden_size\": 5}");
  seqrt_parameters *parameters;
  assert_int_equal(seqrt_parameters_create(&demo_model, &parameters, NULL), SEQRT_OK);
  assert_int_equal(seqrt_parameters_load_weights(parameters, weights, NULL, 0, NULL), SEQRT_OK);
  for (int i = 0; i < V * D; i++) {
    assert_true(parameters->slots[0][i] == (float)i);
    assert_true(parameters->slots[2][i] == 2);
  }
  seqrt_weights_close(weights);

  /* The second file lacks one, has one in another shape and one too many: nothing is loaded. */
  const seqrt_stored_tensor second[] = {
      {.name = "head.1.weight", .dtype = SEQRT_STORED_F32, .rank = 1, .shape = WIDTH, .data = data},
      {.name = "decay", .dtype = SEQRT_STORED_F32, .rank = 1, .shape = WIDTH, .data = data},
      {.name = "head.weight", .dtype = SEQRT_STORED_F32, .rank = 1, .shape = WORDS, .data = data}};
  save("b.safetensors", second, 3);
  assert_refused(".", SEQRT_FORMAT,
                 "'head.bias' is not in 'b.safetensors'; 'head.weight' of 'b.safetensors' is not in the index");
  save("one.safetensors", second, 3);
  weights = open_weights("one.safetensors");
  seqrt_error error;
  parameters->slots[3][0] = 77;
  assert_int_equal(seqrt_parameters_load_weights(parameters, weights, NULL, 0, &error), SEQRT_MISMATCH);
  assert_string_equal(error.message,
                      "one.safetensors does not fit model 'demo': 'embedding' is missing; 'head.1.weight' has shape (5), "
                      "expected (7, 5); 'head.3.weight' is missing; 'head.bias' is missing; 'head.weight' belongs to no "
                      "parameter");
  assert_true(parameters->slots[3][0] == 77);
  seqrt_weights_close(weights);
  seqrt_parameters_destroy(parameters);
}

static void indices_that_lead_astray(void **state) {
  (void)state;
  write_shards();
  static const struct {
    const char *text, *expected;
  } cases[] = {{"{\"weight_map\": {\"decay\": \"../b.safetensors\"}}", "expected a file beside the index"},
               {"{\"weight_map\": {\"decay\": \"/tmp/b.safetensors\"}}", "expected a file beside the index"},
               {"{\"weight_map\": {\"decay\": \"..\"}}", "expected a file beside the index"},
               {"{\"weight_map\": {\"decay\": \"\"}}", "expected a file beside the index"},
               {"{\"weight_map\": {\"a\": \"b.safetensors\", \"a\": \"a.safetensors\"}}", "'a' occurs twice"},
               {"{\"weight_map\": {}, \"weight_map\": {}}", "'weight_map' occurs twice"},
               {"{}", "'weight_map' is missing"},
               {"{\"weight_map\": []}", "'{' expected"},
               {"{\"metadata\": {\"a\": }, \"weight_map\": {}}", "a value expected"},
               {"{\"metadata\": [1, 2", "',' or ']' expected"},
               {"{\"metadata\": 1.}", "a digit expected"},
               {"{\"weight_map\": {}} x", "nothing more expected"},
               {"", "'{' expected"}};
  for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
    write_text("model.safetensors.index.json", cases[n].text);
    assert_refused(".", SEQRT_FORMAT, cases[n].expected);
  }
  char deep[400] = "{\"metadata\": ";
  for (int n = 0; n < 70; n++) strcat(deep, "[");
  write_text("model.safetensors.index.json", deep);
  assert_refused(".", SEQRT_FORMAT, "at most 64 levels expected");
  write_text("model.safetensors.index.json", "{\"weight_map\": {\"a\": \"gone.safetensors\"}}");
  assert_refused(".", SEQRT_IO, "cannot open './gone.safetensors'");
  assert_int_equal(mkdir("folder", 0777), 0);
  assert_refused("folder", SEQRT_IO, "found none");
  assert_refused("nothing", SEQRT_IO, "cannot open 'nothing'");
}

/* Every prefix of an index and of a file is refused, or is none that reads past its end. */
static void cut_off(void **state) {
  (void)state;
  write_shards();
  static const char *const paths[] = {"model.safetensors.index.json", "b.safetensors"};
  for (int p = 0; p < 2; p++) {
    struct stat status;
    assert_int_equal(stat(paths[p], &status), 0);
    for (off_t size = status.st_size - 1; size >= 0; size--) {
      assert_int_equal(truncate(paths[p], size), 0);
      seqrt_weights *weights;
      assert_int_equal(seqrt_weights_open(".", &weights, NULL), SEQRT_FORMAT);
    }
    write_shards();
  }
}

static void config_of_a_file(void **state) {
  (void)state;
  const seqrt_stored_tensor tensor = {.name = "x", .dtype = SEQRT_STORED_F32, .data = data};
  const seqrt_metadata metadata[] = {{"config", "{\"a\": 1}"}};
  assert_int_equal(seqrt_safetensors_save("only.safetensors", &tensor, 1, metadata, 1, NULL), SEQRT_OK);
  seqrt_weights *weights = open_weights(".");
  assert_string_equal(seqrt_weights_config(weights), "{\"a\": 1}");
  assert_string_equal(seqrt_weights_config_path(weights), "./only.safetensors");
  seqrt_weights_close(weights);
  write_text("config.json", "{}");
  weights = open_weights("only.safetensors");
  assert_string_equal(seqrt_weights_config(weights), "{}");
  assert_string_equal(seqrt_weights_config_path(weights), "config.json");
  seqrt_weights_close(weights);
  seqrt_weights_close(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(real_types, enter_folder, leave_folder),
      cmocka_unit_test_setup_teardown(integer_types, enter_folder, leave_folder),
      cmocka_unit_test_setup_teardown(large_arrays, enter_folder, leave_folder),
      cmocka_unit_test_setup_teardown(shards, enter_folder, leave_folder),
      cmocka_unit_test_setup_teardown(indices_that_lead_astray, enter_folder, leave_folder),
      cmocka_unit_test_setup_teardown(cut_off, enter_folder, leave_folder),
      cmocka_unit_test_setup_teardown(config_of_a_file, enter_folder, leave_folder),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
