/* runtime_random_test.c - Philox against its published vectors, distributions, independence of cuts; sampling; schedule;
 * progress. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "seqrt/progress.h"
#include "seqrt/sampling.h"
#include "seqrt/schedule.h"

static void philox_vectors(void **state) {
  (void)state;
  static const struct {
    uint32_t counter[4], key[2], expected[4];
  } rows[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    uint32_t block[4];
    seqrt_philox(rows[i].counter, rows[i].key, block);
    assert_memory_equal(block, rows[i].expected, sizeof block);
  }
}

static void fills_do_not_depend_on_cuts(void **state) {
  (void)state;
  enum { COUNT = 1001 };
  float whole[COUNT], cut[COUNT], normal[COUNT], normal_cut[COUNT];
  seqrt_random_fill_uniform(5, 3, -1, 1, 0, COUNT, whole);
  seqrt_random_fill_normal(5, 3, 0, 1, 0, COUNT, normal);
  for (int64_t first = 0, size = 1; first < COUNT; first += size, size = size % 7 + 1) {
    int64_t count = first + size < COUNT ? size : COUNT - first;
    seqrt_random_fill_uniform(5, 3, -1, 1, first, count, cut + first);
    seqrt_random_fill_normal(5, 3, 0, 1, first, count, normal_cut + first);
  }
  assert_memory_equal(whole, cut, sizeof whole);
  assert_memory_equal(normal, normal_cut, sizeof normal);
  seqrt_random_fill_uniform(5, 4, -1, 1, 0, COUNT, cut);
  assert_memory_not_equal(whole, cut, sizeof whole);
}

static void moments(void **state) {
  (void)state;
  enum { COUNT = 200000 };
  float *values = malloc(COUNT * sizeof *values);
  double mean = 0, square = 0, fourth = 0;
  seqrt_random_fill_normal(1, 0, 0, 1, 0, COUNT, values);
  for (int n = 0; n < COUNT; n++) {
    double x = (double)values[n];
    mean += x / COUNT;
    square += x * x / COUNT;
    fourth += x * x * x * x / COUNT;
  }
  assert_true(fabs(mean) < 0.01 && fabs(square - 1) < 0.02 && fabs(fourth - 3) < 0.12);
  mean = 0;
  seqrt_random_fill_uniform(1, 0, 2, 3, 0, COUNT, values);
  for (int n = 0; n < COUNT; n++) {
    assert_true(values[n] >= 2 && values[n] < 3);
    mean += (double)values[n] / COUNT;
  }
  assert_true(fabs(mean - 2.5) < 0.005);
  free(values);
}

/* How often each token comes in many draws. */
static void draw(const float *logits, int64_t count, seqrt_sampling options, int *out_counts) {
  enum { DRAWS = 20000 };
  seqrt_sampler *sampler;
  assert_int_equal(seqrt_sampler_create(count, &options, 9, 1, &sampler, NULL), SEQRT_OK);
  memset(out_counts, 0, (size_t)count * sizeof *out_counts);
  for (int n = 0; n < DRAWS; n++) {
    int32_t token;
    assert_int_equal(seqrt_sample(sampler, logits, &token, NULL), SEQRT_OK);
    assert_in_range(token, 0, count - 1);
    out_counts[token]++;
  }
  seqrt_sampler_destroy(sampler);
}

static void sampling(void **state) {
  (void)state;
  const float logits[] = {logf(0.1f), logf(0.4f), logf(0.2f), logf(0.3f), -INFINITY};
  int counts[5];
  draw(logits, 5, (seqrt_sampling){.temperature = 0, .top_p = 1}, counts);
  assert_int_equal(counts[1], 20000);
  draw(logits, 5, (seqrt_sampling){.temperature = 1, .top_p = 1}, counts);
  for (int token = 0; token < 4; token++) assert_true(fabs(counts[token] / 20000.0 - (double)expf(logits[token])) < 0.012);
  assert_int_equal(counts[4], 0);
  draw(logits, 5, (seqrt_sampling){.temperature = 1, .top_k = 2, .top_p = 1}, counts);
  assert_int_equal(counts[1] + counts[3], 20000);
  assert_true(fabs(counts[1] / 20000.0 - 4.0 / 7) < 0.015);
  draw(logits, 5, (seqrt_sampling){.temperature = 1, .top_p = 0.69}, counts);
  assert_int_equal(counts[1] + counts[3], 20000);
  draw(logits, 5, (seqrt_sampling){.temperature = 1, .top_p = 0.71}, counts);
  assert_true(counts[2] > 0 && counts[0] == 0);
  draw(logits, 5, (seqrt_sampling){.temperature = 0.01, .top_p = 1}, counts);
  assert_int_equal(counts[1], 20000);
}

static void sampling_refuses(void **state) {
  (void)state;
  seqrt_sampler *sampler;
  seqrt_error error;
  assert_int_equal(seqrt_sampler_create(3, &(seqrt_sampling){.temperature = -1, .top_p = 1}, 0, 0, &sampler, &error),
                   SEQRT_INVALID_ARGUMENT);
  assert_string_equal(error.message, "sampling: temperature is -1, expected 0 or more");
  assert_int_equal(seqrt_sampler_create(3, &(seqrt_sampling){.temperature = 1}, 0, 0, &sampler, &error), SEQRT_INVALID_ARGUMENT);
  assert_int_equal(seqrt_sampler_create(0, &(seqrt_sampling){.top_p = 1}, 0, 0, &sampler, &error), SEQRT_INVALID_ARGUMENT);
  assert_int_equal(seqrt_sampler_create(2, &(seqrt_sampling){.top_p = 1}, 0, 0, &sampler, &error), SEQRT_OK);
  int32_t token;
  assert_int_equal(seqrt_sample(sampler, (float[]){1, NAN}, &token, &error), SEQRT_OUT_OF_RANGE);
  assert_int_equal(seqrt_sample(sampler, (float[]){-INFINITY, -INFINITY}, &token, &error), SEQRT_OUT_OF_RANGE);
  seqrt_sampler_destroy(sampler);
}

static void schedule(void **state) {
  (void)state;
  const seqrt_schedule plan = {4e-3, 100, 1200};
  assert_true(fabs(seqrt_schedule_rate(&plan, 0) - 4e-5) < 1e-18);
  assert_true(seqrt_schedule_rate(&plan, 99) == 4e-3);
  assert_true(seqrt_schedule_rate(&plan, 100) == 4e-3);
  assert_true(fabs(seqrt_schedule_rate(&plan, 650) - 2e-3) < 1e-18);
  assert_true(seqrt_schedule_rate(&plan, 1199) > 0 && seqrt_schedule_rate(&plan, 1200) == 0);
  assert_true(seqrt_schedule_rate(&(seqrt_schedule){1, 0, 0}, 1000000) == 1);
}

static void progress_line(void **state) {
  (void)state;
  char line[200];
  seqrt_progress_format(line, sizeof line, 240, 1200, 2.4126, 31249, 58.4);
  assert_string_equal(line, "step  240/1200   2.413 bits per character   31.2 k characters/s   0:58 left");
  seqrt_progress_format(line, sizeof line, 7, 9, 1, 100, 3661);
  assert_string_equal(line, "step 7/9   1.000 bits per character   0.1 k characters/s   1:01:01 left");
  seqrt_progress_format(line, sizeof line, 9, 9, 1, 100, -1);
  assert_string_equal(line, "step 9/9   1.000 bits per character   0.1 k characters/s");
}

/* In a pipe: whole lines, no carriage return; with no file, nothing. */
static void progress_in_a_pipe(void **state) {
  (void)state;
  FILE *file = tmpfile();
  seqrt_progress progress;
  seqrt_progress_start(&progress, file, 0, 2);
  seqrt_progress_update(&progress, 1, 3, 10);
  seqrt_progress_update(&progress, 2, 3, 20);
  seqrt_progress_finish(&progress, 20);
  char text[300] = "";
  rewind(file);
  assert_non_null(fgets(text, sizeof text, file));
  assert_non_null(strstr(text, "step 2/2   3.000 bits per character"));
  assert_null(strchr(text, '\r'));
  assert_null(fgets(text, sizeof text, file));
  fclose(file);
  seqrt_progress_start(&progress, NULL, 0, 2);
  seqrt_progress_update(&progress, 1, 3, 10);
  seqrt_progress_finish(&progress, 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(philox_vectors),   cmocka_unit_test(fills_do_not_depend_on_cuts),
      cmocka_unit_test(moments),          cmocka_unit_test(sampling),
      cmocka_unit_test(sampling_refuses), cmocka_unit_test(schedule),
      cmocka_unit_test(progress_line),    cmocka_unit_test(progress_in_a_pipe),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
