/* bandwidth.c - bandwidth of a block that is read, copied or updated again and again.
 *
 * The fastest of several runs counts, and for copies the faster of plain and streaming stores: the figure is to be a floor. Threads have
 * neighbouring parts of one block, which they touch first themselves.
 */
#include "bandwidth.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "peak.h"

enum { LINE = 64, MEASURED = 512, REPEATS = 60 };
#define PASS_SECONDS 0.12      /* for all repeats, of which there are at least three */
#define REMEMBERED_SECONDS 5.0 /* then a block is measured again, beside the work, and the best counts */
#define LARGEST 640e6

typedef float Vector __attribute__((vector_size(64), aligned(64)));

#if defined(__x86_64__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx512f", "avx2", "default"), noinline))
#else
#define FOR_EACH_PROCESSOR __attribute__((noinline))
#endif

/* `count` is a multiple of 8. */
FOR_EACH_PROCESSOR static float run_read(Vector *block, size_t count) {
  Vector a = block[0], b = a, c = a, d = a, e = a, f = a, g = a, h = a;
  for (size_t n = 0; n < count; n += 8) {
    a += block[n], b += block[n + 1], c += block[n + 2], d += block[n + 3];
    e += block[n + 4], f += block[n + 5], g += block[n + 6], h += block[n + 7];
  }
  a += b + c + d + e + f + g + h;
  return a[0] + a[1];
}

FOR_EACH_PROCESSOR static float run_copy(Vector *block, size_t count) {
  Vector *to = block + count / 2;
  for (size_t n = 0; n < count / 2; n += 4) {
    Vector a = block[n], b = block[n + 1], c = block[n + 2], d = block[n + 3];
    to[n] = a, to[n + 1] = b, to[n + 2] = c, to[n + 3] = d;
    __asm__ volatile("" ::: "memory"); /* no call of memcpy */
  }
  return to[0][0];
}

FOR_EACH_PROCESSOR static float run_update(Vector *block, size_t count) {
  for (size_t n = 0; n < count; n += 8) {
    for (size_t k = 0; k < 8; k++) block[n + k] = block[n + k] * 0.5f + 1.0f;
  }
  return block[0][0];
}

#if defined(__x86_64__)
__attribute__((target("avx2"), noinline)) static float run_streaming_copy(Vector *block, size_t count) {
  const __m256i *from = (const __m256i *)(const void *)block;
  __m256i *to = (__m256i *)(void *)(block + count / 2);
  for (size_t n = 0; n < count; n += 4) {
    for (size_t k = 0; k < 4; k++) _mm256_stream_si256(to + n + k, _mm256_load_si256(from + n + k));
  }
  _mm_sfence();
  return block[count / 2][0];
}
#endif

typedef float (*BlockRun)(Vector *block, size_t count);

/* A block of which each thread has a part. */
typedef struct Block {
  Vector *lines; /* NULL: no memory for it */
  size_t part;   /* vectors, a multiple of 8 */
  int threads;
} Block;

typedef struct Pass {
  const Block *block;
  const seqrt_context *team;
  BlockRun run; /* NULL: the first touch */
  int count;    /* of passes that are timed; one comes before, into the caches */
  double start;
  volatile float sink; /* of the first thread */
} Pass;

static void make_pass(void *argument, int32_t thread, int32_t thread_count) {
  Pass *pass = argument;
  const Block *block = pass->block;
  Vector *mine = block->lines + block->part * (size_t)thread;
  if (!pass->run) {
    memset(mine, 0, block->part * LINE);
    return;
  }
  float total = pass->run(mine, block->part);
  if (thread_count > 1) pass->team->barrier(pass->team);
  if (thread == 0) pass->start = seconds_now();
  for (int n = 0; n < pass->count; n++) total += pass->run(mine, block->part);
  if (thread == 0) pass->sink = total;
}

static size_t block_size(const Block *block) { return block->part * LINE * (size_t)block->threads; }

static Block create_block(int threads, double bytes) {
  Block block = {.part = (size_t)(bytes / threads / LINE) / 8 * 8, .threads = threads};
  if (block.part < 8) block.part = 8;
  block.lines = mmap(NULL, block_size(&block), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block.lines == MAP_FAILED) return (Block){0};
#ifdef MADV_HUGEPAGE
  madvise(block.lines, block_size(&block), MADV_HUGEPAGE);
#endif
  Pass pass = {.block = &block, .team = team_of(threads)};
  seqrt_parallel(pass.team, make_pass, &pass);
  return block;
}

/* Seconds for one pass of all threads over the block: the fastest of at least `repeats`. */
static double fastest_pass(BlockRun run, const Block *block, int repeats, double seconds) {
  double bytes = (double)block_size(block), best = 1e30, begin = seconds_now();
  Pass pass = {.block = block, .team = team_of(block->threads), .run = run, .count = bytes < 4e6 ? (int)(4e6 / bytes) + 1 : 1};
  for (int repeat = 0; repeat < REPEATS && (repeat < repeats || seconds_now() - begin < seconds); repeat++) {
    seqrt_parallel(pass.team, make_pass, &pass);
    double taken = (seconds_now() - pass.start) / pass.count;
    if (taken < best) best = taken;
  }
  return best;
}

/* Bytes per second of the block. */
static double block_rate(Traffic traffic, const Block *block, int repeats, double pass_seconds) {
  static const BlockRun runs[TRAFFIC_COUNT] = {run_read, run_copy, run_update};
  double size = (double)block_size(block), seconds = fastest_pass(runs[traffic], block, repeats, pass_seconds);
#if defined(__x86_64__)
  if (traffic == TRAFFIC_COPY && size > cache_size(2) && __builtin_cpu_supports("avx2")) {
    double streaming = fastest_pass(run_streaming_copy, block, repeats, pass_seconds);
    if (streaming < seconds) seconds = streaming;
  }
#endif
  return (traffic == TRAFFIC_UPDATE ? 2.0 : 1.0) * size / seconds;
}

/* Beyond some size it is all the same memory. */
static double distinct_size(double bytes) {
  double largest = 4 * cache_size(3);
  if (largest <= 0 || largest > LARGEST) largest = LARGEST;
  return bytes < largest ? bytes : largest;
}

static double measure(Traffic traffic, int threads, double bytes) {
  Block block = create_block(threads, bytes);
  if (!block.lines) return 0;
  double rate = block_rate(traffic, &block, 3, PASS_SECONDS);
  munmap(block.lines, block_size(&block));
  return rate;
}

double bandwidth_now(Traffic traffic, int threads, double bytes) {
  static Block block; /* stays where it is, as what is measured beside it */
  static double size;
  bytes = distinct_size(bytes);
  if (block.lines && (block.threads != threads || size < bytes || size > bytes)) {
    munmap(block.lines, block_size(&block));
    block.lines = NULL;
  }
  if (!block.lines) block = create_block(threads, size = bytes);
  return block.lines ? block_rate(traffic, &block, 1, 0) : 0;
}

double bandwidth(Traffic traffic, int threads, double bytes) {
  static struct {
    Traffic traffic;
    int threads;
    double bytes, rate, when;
  } known[MEASURED];
  static int count;
  bytes = distinct_size(bytes);
  int n = 0;
  for (; n < count; n++) {
    double ratio = known[n].bytes / bytes;
    if (known[n].traffic == traffic && known[n].threads == threads && ratio > 0.97 && ratio < 1.03) break;
  }
  if (n == MEASURED) return measure(traffic, threads, bytes);
  if (n < count && seconds_now() - known[n].when < REMEMBERED_SECONDS) return known[n].rate;
  if (n == count) {
    known[count].traffic = traffic, known[count].threads = threads;
    known[count].bytes = bytes, known[count].rate = 0;
    count++;
  }
  double rate = measure(traffic, threads, bytes);
  if (rate > known[n].rate) known[n].rate = rate;
  known[n].when = seconds_now();
  return known[n].rate;
}

/* Of Linux' description of processor 0; what sysconf says may be the sum over several caches. */
static double described_cache_size(int level) {
  for (int index = 0; index < 8; index++) {
    char path[128], type[32] = "", unit = 0;
    int found_level = 0;
    double size = 0;
    static const char *const files[] = {"level", "type", "size"};
    for (int n = 0; n < 3; n++) {
      snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, files[n]);
      FILE *file = fopen(path, "r");
      if (!file) return 0;
      int count = n == 0   ? fscanf(file, "%d", &found_level)
                  : n == 1 ? fscanf(file, "%31s", type)
                           : fscanf(file, "%lf%c", &size, &unit);
      fclose(file);
      if (count < 1) return 0;
    }
    if (found_level == level && strcmp(type, "Instruction") != 0) return size * (unit == 'K' ? 1024 : unit == 'M' ? 1048576 : 1);
  }
  return 0;
}

double cache_size(int level) {
  static const int names[] = {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE};
  static double known[3];
  if (known[level - 1] > 0) return known[level - 1];
  double size = described_cache_size(level);
  if (size <= 0) size = (double)sysconf(names[level - 1]);
  return known[level - 1] = size > 0 ? size : 0;
}

const char *memory_level(int threads, double bytes) {
  if (bytes / threads <= cache_size(1)) return "L1";
  if (bytes / threads <= cache_size(2)) return "L2";
  if (bytes <= cache_size(3)) return "L3";
  return "DRAM";
}
