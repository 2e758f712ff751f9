/* bench.c - times of compiled models beside what the machine can do at all, and beside other programs that do the same.
 *
 *     bench [--only PATTERN] [--json FILE] [--svg FILE] [--peers FOLDER] [--threads N,...] [--seconds N] [--options OPTIONS] [--list]
 *
 * First the machine is measured (peak.c, bandwidth.c), then every work of works.def whose name matches the extended regular expression.
 * docs/benchmarks.md says how the table is read.
 */
#include <dirent.h>
#include <getopt.h>
#include <regex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure.h"
#include "peak.h"
#include "serve.h"

enum { THREAD_COUNTS = 8, NAME_SIZE = 128 };

typedef struct Options {
  const char *only, *json, *svg, *peers, *options;
  int threads[THREAD_COUNTS], thread_counts;
  double seconds; /* for all works */
  bool is_list;
} Options;

static void fail(const char *what, const char *which) {
  fprintf(stderr, "bench: %s%s%s\n", what, which ? ": " : "", which ? which : "");
  exit(2);
}

/* ---- command line ---- */

static void read_threads(Options *options, const char *text) {
  options->thread_counts = 0;
  while (*text) {
    char *end;
    long count = strtol(text, &end, 10);
    if (end == text || count < 1 || count > LARGEST_THREADS || options->thread_counts == THREAD_COUNTS)
      fail("expected numbers of threads, such as 1,2", text);
    options->threads[options->thread_counts++] = (int)count;
    text = *end == ',' ? end + 1 : end;
  }
  if (!options->thread_counts) fail("expected numbers of threads, such as 1,2", NULL);
}

static Options read_options(int count, char **arguments) {
  static const struct option known[] = {{"only", required_argument, NULL, 'o'},
                                        {"json", required_argument, NULL, 'j'},
                                        {"svg", required_argument, NULL, 's'},
                                        {"peers", required_argument, NULL, 'p'},
                                        {"threads", required_argument, NULL, 't'},
                                        {"seconds", required_argument, NULL, 'n'},
                                        {"options", required_argument, NULL, 'c'},
                                        {"list", no_argument, NULL, 'l'},
                                        {0}};
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  Options options = {.seconds = 540,
                     .threads = {1, processors > LARGEST_THREADS ? LARGEST_THREADS : (int)processors},
                     .thread_counts = processors > 1 ? 2 : 1};
  for (int option; (option = getopt_long(count, arguments, "", known, NULL)) != -1;) {
    switch (option) {
    case 'o': options.only = optarg; break;
    case 'j': options.json = optarg; break;
    case 's': options.svg = optarg; break;
    case 'p': options.peers = optarg; break;
    case 't': read_threads(&options, optarg); break;
    case 'n': options.seconds = atof(optarg); break;
    case 'c': options.options = optarg; break;
    case 'l': options.is_list = true; break;
    default:
      fail("usage: bench [--only PATTERN] [--json FILE] [--svg FILE] [--peers FOLDER] [--threads N,...] [--seconds N] [--options "
           "OPTIONS] [--list]",
           NULL);
    }
  }
  if (optind < count) fail("not understood", arguments[optind]);
  return options;
}

static const Work *find_work(const char *name) {
  for (int n = 0; n < work_count; n++)
    if (strcmp(works[n].name, name) == 0) return &works[n];
  fail("no such work", name);
  return NULL;
}

static int select_works(const Options *options, const Work **selected) {
  regex_t pattern;
  int count = 0;
  if (regcomp(&pattern, options->only ? options->only : "", REG_EXTENDED | REG_NOSUB) != 0)
    fail("not a regular expression", options->only);
  for (int n = 0; n < work_count; n++)
    if (regexec(&pattern, works[n].name, 0, NULL, 0) == 0) selected[count++] = &works[n];
  regfree(&pattern);
  if (!count) fail("no work has a name like this (--list shows all)", options->only);
  return count;
}

/* ---- the machine ---- */

/* Of /proc/cpuinfo; "" where there is none. */
static void processor_name(char *name, size_t size) {
  FILE *file = fopen("/proc/cpuinfo", "r");
  char line[512];
  *name = 0;
  while (file && !*name && fgets(line, sizeof line, file)) {
    const char *colon = strchr(line, ':');
    if (colon && strncmp(line, "model name", 10) == 0) snprintf(name, size, "%s", colon + 2);
  }
  name[strcspn(name, "\n")] = 0;
  if (file) fclose(file);
}

static const char *widest_vectors(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return "AVX-512";
  if (__builtin_cpu_supports("avx2")) return "AVX2";
  return "SSE2";
#else
  return "128-bit vectors";
#endif
}

static void print_bandwidth(const char *level, double bytes_each, const Options *options) {
  static const char *const kinds[TRAFFIC_COUNT] = {"read", "copy", "update"};
  for (int kind = 0; kind < TRAFFIC_COUNT; kind++) {
    printf("  %-6s %-8s", kind == 0 ? level : "", kinds[kind]);
    for (int n = 0; n < options->thread_counts; n++) {
      double bytes = bytes_each * options->threads[n];
      if (bytes_each > cache_size(2)) bytes = bytes_each; /* shared */
      printf(" %10.1f GB/s", 1e-9 * bandwidth((Traffic)kind, options->threads[n], bytes));
    }
    printf("\n");
  }
}

/* Prints what the machine can do, and keeps its multiply-adds a second for each number of threads. */
static void measure_machine(const Options *options, const char *processor, double *multiply_adds) {
  static const char *const types[PEAK_TYPE_COUNT] = {"f32", "bf16", "int8"};
  printf("%s, %s, caches %.0f K, %.0f K, %.0f K\n", processor, widest_vectors(), cache_size(1) / 1024, cache_size(2) / 1024,
         cache_size(3) / 1024);
  printf("  %-15s", "threads");
  for (int n = 0; n < options->thread_counts; n++) printf(" %10d     ", options->threads[n]);
  printf("\n");
  for (int type = 0; type < PEAK_TYPE_COUNT; type++) {
    printf("  %-6s %-8s", types[type], "peak");
    for (int n = 0; n < options->thread_counts; n++) {
      double peak = peak_multiply_adds((PeakType)type, options->threads[n], 0.2);
      if (type == PEAK_F32) multiply_adds[n] = peak;
      printf(" %10.1f GF/s", 2e-9 * peak);
    }
    printf("\n");
  }
  double level2 = cache_size(2), level3 = cache_size(3);
  if (cache_size(1) > 0) print_bandwidth("L1", cache_size(1) / 2, options);
  if (level2 > 0) print_bandwidth("L2", level2 / 2, options);
  if (level3 > 0) print_bandwidth("L3", level3 / 2, options);
  print_bandwidth("DRAM", level3 * 4 > 256e6 ? level3 * 4 : 256e6, options);
  printf("\n");
  fflush(stdout);
}

/* A note when others used the machine too. */
static void print_load(void) {
  double load = 0;
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  if (getloadavg(&load, 1) == 1 && load > (double)processors + 1)
    printf("\n%.1f processes at a time wanted the %ld processors at the end: the times are not this machine's alone\n", load,
           processors);
}

/* ---- a run ---- */

/* Returns the number of results. */
static int measure_all(Bench *bench, const Options *options, const Work **selected, int count, double *multiply_adds,
                       Result *results) {
  int rows = count * options->thread_counts, row = 0;
  report_heading(stdout);
  for (int w = 0; w < count; w++) {
    for (int n = 0; n < options->thread_counts && (n == 0 || selected[w]->entry != WORK_COMPILE); n++) {
      Result *result = &results[row++];
      *result = (Result){.work = selected[w], .threads = options->threads[n]};
      result->multiply_adds = peak_multiply_adds(PEAK_F32, result->threads, 0.03);
      if (result->multiply_adds > multiply_adds[n]) multiply_adds[n] = result->multiply_adds;
      double share = (bench->deadline - seconds_now()) / (rows - row + 1) / (bench->peers ? 2 + PEER_COUNT : 2);
      measure(bench, result, share < 0.2 ? 0.2 : share > 2 ? 2 : share);
      double moves[WORK_PHASES] = {0};
      for (int part = 0; part < WORK_PHASES; part++)
        if (result->moves[part].count) moves[part] = result->moves[part].median;
      work_floor(result->work, result->threads, multiply_adds[n], moves, &result->floor);
      report_row(stdout, result);
    }
  }
  return row;
}

static FILE *open_result(const char *path) {
  FILE *file = fopen(path, "w");
  if (!file) fail("cannot be written", path);
  return file;
}

static void close_result(FILE *file, const char *path) {
  if (fclose(file) != 0) fail("cannot be written", path);
}

static char run_folder[] = BENCH_FOLDER "/run-XXXXXX"; /* runs beside each other do not meet */

/* With the files in it, which are all this run's. */
static void remove_run_folder(void) {
  const char *path = run_folder;
  char name[1024];
  DIR *folder = opendir(path);
  for (struct dirent *entry; folder && (entry = readdir(folder));) {
    snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
    unlink(name);
  }
  if (folder) closedir(folder);
  rmdir(path);
}

/* Exit status 1 when no work at all could be measured. */
static int run(const Options *options, Bench *bench) {
  const Work **selected = calloc((size_t)work_count, sizeof *selected);
  double multiply_adds[THREAD_COUNTS];
  char processor[NAME_SIZE], python[1024];
  if (!selected) fail("out of memory", NULL);
  int count = select_works(options, selected), rows = count * options->thread_counts, measured = 0;
  Result *results = calloc((size_t)rows, sizeof *results);
  bench->running = calloc((size_t)(LARGEST_THREADS + 1) * PEER_COUNT, sizeof *bench->running);
  if (!results || !bench->running) fail("out of memory", NULL);
  FILE *json = options->json ? open_result(options->json) : NULL, *svg = options->svg ? open_result(options->svg) : NULL;
  snprintf(python, sizeof python, "%s/bin/python", options->peers ? options->peers : "");
  if (options->peers && access(python, X_OK) == 0) bench->peers = options->peers;
  else printf("no peers (tools/install-peers brings them): their columns are empty\n");
  processor_name(processor, sizeof processor);
  measure_machine(options, processor, multiply_adds);
  bench->deadline = seconds_now() + options->seconds;
  rows = measure_all(bench, options, selected, count, multiply_adds, results);
  measure_end(bench);
  print_load();
  for (int row = 0; row < rows; row++) measured += results[row].own.count > 0;
  if (json) report_json(json, results, rows), close_result(json, options->json);
  if (svg) report_picture(svg, results, rows, processor), close_result(svg, options->svg);
  free(results);
  free(bench->running);
  free(selected);
  return measured ? 0 : 1;
}

int main(int argument_count, char **arguments) {
  if (argument_count == 5 && strcmp(arguments[1], "--serve") == 0)
    return serve_work(find_work(arguments[2]), atoi(arguments[3]), arguments[4]);
  Options options = read_options(argument_count, arguments);
  if (options.is_list) {
    for (int n = 0; n < work_count; n++) printf("%s\n", works[n].name);
    return 0;
  }
  signal(SIGPIPE, SIG_IGN);
  mkdir(BENCH_FOLDER, 0777);
  if (!mkdtemp(run_folder) || atexit(remove_run_folder) != 0) fail("no folder can be made", BENCH_FOLDER);
  const char *seqc = getenv("SEQC");
  Bench bench = {.self = "/proc/self/exe",
                 .seqc = seqc ? seqc : BENCH_SEQC,
                 .cc = BENCH_CC,
                 .options = options.options ? options.options : "",
                 .works = BENCH_SOURCE "/works",
                 .folder = run_folder,
                 .log = BENCH_FOLDER "/peers.log",
                 .script = BENCH_SOURCE "/peers/peers.py"};
  return run(&options, &bench);
}
