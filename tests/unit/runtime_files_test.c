/* runtime_files_test.c - safetensors: what is read and converted, what is refused, and that a failed save harms nothing. */
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "seqrt/safetensors.h"

/* A folder of its own for each test. */
static int enter_folder(void **state) {
  char *folder = strdup("/tmp/seqrt_files_XXXXXX");
  *state = folder;
  return folder && mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state) {
  char command[100];
  snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
  free(*state);
  return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static int count_files(void) {
  int count = 0;
  DIR *folder = opendir(".");
  for (struct dirent *entry; (entry = readdir(folder));) count += entry->d_name[0] != '.';
  closedir(folder);
  return count;
}

/* Parses a header with `data_size` bytes 1, 2, 3, ... behind it. */
static seqrt_code parse(const char *header, size_t data_size, seqrt_safetensors **out_file, seqrt_error *error) {
  size_t length = strlen(header);
  unsigned char *bytes = calloc(1, 8 + length + data_size);
  for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(length >> 8 * i);
  memcpy(bytes + 8, header, length);
  for (size_t i = 0; i < data_size; i++) bytes[8 + length + i] = (unsigned char)(i + 1);
  *out_file = NULL;
  seqrt_code code = seqrt_safetensors_parse(bytes, 8 + length + data_size, "file", out_file, error);
  free(bytes);
  return code;
}

static void assert_refused(const char *header, size_t data_size, const char *expected) {
  seqrt_safetensors *file;
  seqrt_error error = {0};
  assert_int_equal(parse(header, data_size, &file, &error), SEQRT_FORMAT);
  assert_null(file);
  if (!strstr(error.message, expected)) fail_msg("'%s' is not in '%s'", expected, error.message);
}

static void round_trip(void **state) {
  (void)state;
  const float values[] = {1, -2.5f, 3};
  const int64_t ids[] = {-7, 1ll << 40}, shape_a[] = {1, 3}, shape_b[] = {2}, empty[] = {0, 4};
  const seqrt_stored_tensor tensors[] = {
      {.name = "a \"quoted\"\n", .dtype = SEQRT_STORED_F32, .rank = 2, .shape = shape_a, .data = values},
      {.name = "ids", .dtype = SEQRT_STORED_I64, .rank = 1, .shape = shape_b, .data = ids},
      {.name = "scalar", .dtype = SEQRT_STORED_F32, .data = values + 1},
      {.name = "none", .dtype = SEQRT_STORED_F64, .rank = 2, .shape = empty},
  };
  const seqrt_metadata metadata[] = {{"config", "{\"H\": 3}"}, {"empty", ""}};
  seqrt_safetensors *file;
  seqrt_error error;
  assert_int_equal(seqrt_safetensors_save("x.safetensors", tensors, 4, metadata, 2, &error), SEQRT_OK);
  assert_int_equal(seqrt_safetensors_open("x.safetensors", &file, &error), SEQRT_OK);
  assert_int_equal(seqrt_safetensors_count(file), 4);
  assert_string_equal(seqrt_safetensors_metadata(file, "config"), "{\"H\": 3}");
  assert_string_equal(seqrt_safetensors_metadata(file, "empty"), "");
  assert_null(seqrt_safetensors_metadata(file, "other"));
  const seqrt_stored_tensor *a = seqrt_safetensors_find(file, "a \"quoted\"\n");
  assert_non_null(a);
  assert_int_equal(a->rank, 2);
  assert_int_equal(a->shape[1], 3);
  float read[3];
  assert_int_equal(seqrt_stored_to_f32(a, read, &error), SEQRT_OK);
  assert_memory_equal(read, values, sizeof values);
  const seqrt_stored_tensor *stored_ids = seqrt_safetensors_find(file, "ids");
  int64_t wide[2];
  int32_t narrow[2];
  assert_int_equal(seqrt_stored_to_i64(stored_ids, wide, &error), SEQRT_OK);
  assert_memory_equal(wide, ids, sizeof ids);
  assert_int_equal(seqrt_stored_to_i32(stored_ids, narrow, &error), SEQRT_OUT_OF_RANGE);
  assert_string_equal(error.message, "'ids', element 1: the value does not fit into int32");
  assert_int_equal(seqrt_stored_to_i32(a, narrow, &error), SEQRT_FORMAT);
  assert_null(seqrt_safetensors_find(file, "idss"));
  seqrt_safetensors_close(file);
}

static void conversions(void **state) {
  (void)state;
  const uint16_t halves[] = {0x3C00, 0xC000, 0x0001, 0x7BFF, 0xFC00, 0x8000}, brain[] = {0x3F80, 0xC040, 0x7F80};
  const double expected_halves[] = {1, -2, 0x1p-24, 65504, -INFINITY, 0}, expected_brain[] = {1, -3, INFINITY};
  const uint8_t truth[] = {0, 1};
  const int16_t small[] = {-32768};
  seqrt_stored_tensor tensor = {.name = "t", .dtype = SEQRT_STORED_F16, .elements = 6, .bytes = 12, .data = halves};
  double values[6];
  assert_int_equal(seqrt_stored_to_f64(&tensor, values, NULL), SEQRT_OK);
  for (int i = 0; i < 6; i++) assert_true(values[i] == expected_halves[i]);
  assert_true(signbit(values[5]));
  tensor = (seqrt_stored_tensor){.dtype = SEQRT_STORED_BF16, .elements = 3, .bytes = 6, .data = brain};
  assert_int_equal(seqrt_stored_to_f64(&tensor, values, NULL), SEQRT_OK);
  for (int i = 0; i < 3; i++) assert_true(values[i] == expected_brain[i]);
  tensor = (seqrt_stored_tensor){.dtype = SEQRT_STORED_BOOL, .elements = 2, .bytes = 2, .data = truth};
  int32_t integers[2];
  assert_int_equal(seqrt_stored_to_i32(&tensor, integers, NULL), SEQRT_OK);
  assert_true(integers[0] == 0 && integers[1] == 1);
  tensor = (seqrt_stored_tensor){.dtype = SEQRT_STORED_I16, .elements = 1, .bytes = 2, .data = small};
  assert_int_equal(seqrt_stored_to_i32(&tensor, integers, NULL), SEQRT_OK);
  assert_int_equal(integers[0], -32768);
}

#define ENTRY(shape, begin, end) "{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

static void lying_headers(void **state) {
  (void)state;
  seqrt_safetensors *file;
  assert_int_equal(parse("{\"a\":" ENTRY("[2]", "0", "8") "}   ", 8, &file, NULL), SEQRT_OK);
  seqrt_safetensors_close(file);
  assert_int_equal(parse("{}", 0, &file, NULL), SEQRT_OK);
  seqrt_safetensors_close(file);
  assert_refused("{\"a\":" ENTRY("[2]", "0", "8") "}", 7, "claims bytes 0 to 8 of 7");
  assert_refused("{\"a\":" ENTRY("[2]", "0", "8") "}", 9, "1 bytes after the last array belong to none");
  assert_refused("{\"a\":" ENTRY("[3]", "0", "8") "}", 8, "needs 12 bytes by type and shape, but claims 8");
  assert_refused("{\"a\":" ENTRY("[2]", "8", "0") "}", 8, "claims bytes 8 to 0");
  assert_refused("{\"a\":" ENTRY("[2]", "0", "8") ",\"b\":" ENTRY("[2]", "4", "12") "}", 12, "'a' and 'b' overlap");
  assert_refused("{\"a\":" ENTRY("[2]", "0", "8") ",\"b\":" ENTRY("[2]", "0", "8") "}", 8, "overlap");
  assert_refused("{\"a\":" ENTRY("[1]", "4", "8") "}", 8, "a gap of 4 bytes between 'the header' and 'a'");
  assert_refused("{\"a\":" ENTRY("[1]", "0", "4") ",\"a\":" ENTRY("[1]", "4", "8") "}", 8, "'a' occurs twice");
  assert_refused("{\"a\":" ENTRY("[4294967296,4294967296]", "0", "8") "}", 8, "fits into no memory");
  assert_refused("{\"a\":" ENTRY("[4611686018427387904]", "0", "8") "}", 8, "fits into no memory");
  assert_refused("{\"a\":" ENTRY("[99999999999999999999]", "0", "8") "}", 8, "a number below 2^63 expected");
  assert_refused("{\"a\":" ENTRY("[-1]", "0", "8") "}", 8, "a whole number, not negative, expected");
  assert_refused("{\"a\":" ENTRY("[2.0]", "0", "8") "}", 8, "a whole number, not negative, expected");
  assert_refused("{\"a\":" ENTRY("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, "more than 16 axes");
  assert_refused("{\"a\":{\"dtype\":\"F33\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, "unknown type 'F33'");
  assert_refused("{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 4, "lacks the field 'data_offsets'");
  assert_refused("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 4, "has the field 'dtype' twice");
  assert_refused("{\"a\":{\"type\":\"F32\"}}", 4, "unknown field 'type'");
  assert_refused("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, "metadata key 'k' occurs twice");
  assert_refused("{\"__metadata__\":{\"k\":1}}", 0, "a string expected");
}

static void broken_json(void **state) {
  (void)state;
  assert_refused("", 0, "must begin with '{'");
  assert_refused("[]", 0, "must begin with '{'");
  assert_refused("{", 0, "a string expected");
  assert_refused("{} x", 0, "nothing more expected");
  assert_refused("{\"a", 0, "the end of a string expected");
  assert_refused("{\"a\" 1}", 0, "':' expected");
  assert_refused("{\"a\":1}", 0, "'{' expected");
  assert_refused("{\"\\q\":1}", 0, "a known escape expected");
  assert_refused("{\"\\u0000\":1}", 0, "no NUL expected");
  assert_refused("{\"\\ud800\":1}", 0, "a second surrogate expected");
  assert_refused("{\"\xC0\x80\":1}", 0, "valid UTF-8 expected");
  assert_refused("{\"\x01\":1}", 0, "no control character expected");
  size_t depth = 200000;
  char *deep = calloc(1, 5 * depth + 1);
  for (size_t i = 0; i < depth; i++) memcpy(deep + 5 * i, "{\"a\":", 5);
  assert_refused(deep, 0, "unknown field 'a'");
  memset(deep, '[', 5 * depth);
  memcpy(deep, "{\"a\":", 5);
  assert_refused(deep, 0, "'{' expected");
  free(deep);
}

static void broken_prefix(void **state) {
  (void)state;
  seqrt_safetensors *file;
  seqrt_error error;
  unsigned char bytes[16] = {255, 255, 255, 255, 255, 255, 255, 255, '{', '}'};
  assert_int_equal(seqrt_safetensors_parse(bytes, 16, "f", &file, &error), SEQRT_FORMAT);
  assert_non_null(strstr(error.message, "only 8 are left"));
  assert_int_equal(seqrt_safetensors_parse(bytes, 5, "f", &file, &error), SEQRT_FORMAT);
  assert_int_equal(seqrt_safetensors_parse(bytes, 0, "f", &file, &error), SEQRT_FORMAT);
  assert_int_equal(seqrt_safetensors_open("missing", &file, &error), SEQRT_IO);
  assert_string_equal(error.message, "cannot open 'missing': No such file or directory");
  assert_int_equal(seqrt_safetensors_open("/tmp", &file, &error), SEQRT_IO);
  assert_null(file);
}

/* Every prefix of a good file is refused, none crashes. */
static void truncated_anywhere(void **state) {
  (void)state;
  const float values[] = {1, 2, 3, 4};
  const int64_t shape[] = {2, 2};
  const seqrt_stored_tensor tensor = {.name = "w", .dtype = SEQRT_STORED_F32, .rank = 2, .shape = shape, .data = values};
  assert_int_equal(seqrt_safetensors_save("x", &tensor, 1, NULL, 0, NULL), SEQRT_OK);
  char bytes[1024];
  int descriptor = open("x", O_RDONLY);
  ssize_t size = read(descriptor, bytes, sizeof bytes);
  close(descriptor);
  assert_in_range(size, 60, 1023);
  for (ssize_t length = 0; length < size; length++) {
    char *exact = malloc((size_t)length + 1);
    memcpy(exact, bytes, (size_t)length);
    seqrt_safetensors *file;
    assert_int_equal(seqrt_safetensors_parse(exact, (size_t)length, "x", &file, NULL), SEQRT_FORMAT);
    free(exact);
  }
}

static seqrt_code save_constant(const char *path, float value, int64_t count, seqrt_error *error) {
  float *values = malloc((size_t)count * sizeof *values);
  for (int64_t i = 0; i < count; i++) values[i] = value;
  const seqrt_stored_tensor tensor = {.name = "w", .dtype = SEQRT_STORED_F32, .rank = 1, .shape = &count, .data = values};
  seqrt_code code = seqrt_safetensors_save(path, &tensor, 1, NULL, 0, error);
  free(values);
  return code;
}

static void assert_constant(const char *path, float expected) {
  seqrt_safetensors *file;
  assert_int_equal(seqrt_safetensors_open(path, &file, NULL), SEQRT_OK);
  const seqrt_stored_tensor *tensor = seqrt_safetensors_find(file, "w");
  float *values = malloc((size_t)tensor->bytes);
  seqrt_stored_to_f32(tensor, values, NULL);
  for (int64_t i = 0; i < tensor->elements; i++) assert_true(values[i] == expected);
  free(values);
  seqrt_safetensors_close(file);
}

/* A limit on the size of files fails a write in the middle, as a full disk does. */
static void disk_full(void **state) {
  (void)state;
  seqrt_error error;
  assert_int_equal(save_constant("w.safetensors", 1, 1000, &error), SEQRT_OK);
  struct rlimit before, small;
  getrlimit(RLIMIT_FSIZE, &before);
  small = before;
  small.rlim_cur = 8192;
  void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  seqrt_code code = save_constant("w.safetensors", 2, 100000, &error),
             new_code = save_constant("new.safetensors", 2, 100000, NULL);
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, handler);
  assert_int_equal(code, SEQRT_IO);
  assert_int_equal(new_code, SEQRT_IO);
  assert_non_null(strstr(error.message, "File too large"));
  assert_constant("w.safetensors", 1);
  assert_int_equal(count_files(), 1);
  assert_int_equal(save_constant("w.safetensors", 2, 100000, &error), SEQRT_OK);
  assert_constant("w.safetensors", 2);
  assert_int_equal(count_files(), 1);
}

static void bad_destinations(void **state) {
  (void)state;
  seqrt_error error;
  assert_int_equal(save_constant("missing/w", 1, 10, &error), SEQRT_IO);
  assert_non_null(strstr(error.message, "No such file or directory"));
  assert_int_equal(save_constant("/dev/full", 1, 10, &error), SEQRT_IO);
  assert_non_null(strstr(error.message, "not a regular file"));
  assert_int_equal(access("/dev/full", F_OK), 0);
  assert_int_equal(save_constant("w", 1, 10, &error), SEQRT_OK);
  assert_int_equal(symlink("w", "link"), 0);
  assert_int_equal(chmod("w", 0600), 0);
  assert_int_equal(save_constant("link", 3, 10, &error), SEQRT_OK);
  assert_constant("w", 3);
  struct stat status;
  assert_int_equal(lstat("link", &status), 0);
  assert_true(S_ISLNK(status.st_mode));
  assert_int_equal(stat("w", &status), 0);
  assert_int_equal(status.st_mode & 0777, 0600);
}

static void twice_the_same_name(void **state) {
  (void)state;
  const seqrt_stored_tensor tensors[] = {{.name = "a", .dtype = SEQRT_STORED_F32, .data = "abcd"},
                                         {.name = "a", .dtype = SEQRT_STORED_F32, .data = "abcd"}};
  seqrt_error error;
  assert_int_equal(seqrt_safetensors_save("x", tensors, 2, NULL, 0, &error), SEQRT_INVALID_ARGUMENT);
  assert_non_null(strstr(error.message, "'a' is given twice"));
  assert_int_equal(count_files(), 0);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_FOLDER(round_trip),         cmocka_unit_test(conversions), cmocka_unit_test(lying_headers),
      cmocka_unit_test(broken_json), IN_FOLDER(broken_prefix),      IN_FOLDER(truncated_anywhere),
      IN_FOLDER(disk_full),          IN_FOLDER(bad_destinations),   IN_FOLDER(twice_the_same_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
