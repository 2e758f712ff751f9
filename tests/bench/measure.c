/* measure.c - compiles a work, then lets everyone run it in turn.
 *
 * A turn is one run of each participant, so that all see the same machine; a run is as many calls in a row as make it long enough to be
 * timed, and gives their mean. Whoever has had its time misses the turns that follow, but each gets a few unless a single call takes too long.
 */
#include "measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "peak.h"

#define COMPILE_LIMIT 120.0
#define CALL_LIMIT 45.0 /* of one call, or the work is given up */
#define PEER_LIMIT 45.0 /* the same for a peer, with all it does before */
#define PEER_LEAST 10.0
#define PEER_START_LIMIT 60.0
#define SLOW_MS 2000.0 /* a call that takes longer is made only a few times */
#define RUN_MS 2.0     /* the least length of a run */

enum { OPTION_COUNT = 32, PATH_SIZE = 1024, LARGEST_COUNT = 200 };

typedef struct Entrant {
  Participant *participant;
  Times *times;
  double limit;     /* seconds of one run */
  int count, turns; /* calls in a run; the least number of runs */
  double used;      /* seconds so far */
  bool is_out;
  Times *moves; /* of parts whose bytes are moved in each turn too; NULL: none */
  bool is_moved[WORK_PHASES];
} Entrant;

/* ---- compiling ---- */

/* seqc WORKS/MODEL.seq -o OBJECT OPTIONS. `text` holds the words that the arguments point into. */
static void compiler_arguments(const Bench *bench, const Work *work, char *text, char *path, char *object, char **arguments) {
  int count = 0;
  snprintf(path, PATH_SIZE, "%s/%s.seq", bench->works, work->model);
  snprintf(text, PATH_SIZE, "%s %s", work->options ? work->options : "", bench->options);
  arguments[count++] = (char *)bench->seqc;
  arguments[count++] = path;
  arguments[count++] = "-o";
  arguments[count++] = object;
  for (char *word = strtok(text, " "); word && count < OPTION_COUNT - 1; word = strtok(NULL, " ")) arguments[count++] = word;
  arguments[count] = NULL;
}

/* The name that the object of a work has: works of the same model and options share it. */
static void object_path(const Bench *bench, const Work *work, const char *ending, char *path) {
  int length = snprintf(path, PATH_SIZE, "%s/%s%s%s", bench->folder, work->model, work->options ? work->options : "", ending);
  for (int n = (int)strlen(bench->folder) + 1; n < length && n < PATH_SIZE; n++)
    if (path[n] == ' ' || path[n] == '/') path[n] = '_';
}

static bool is_same_model(const Work *left, const Work *right) {
  const char *options = left->options ? left->options : "", *others = right->options ? right->options : "";
  return strcmp(left->model, right->model) == 0 && strcmp(options, others) == 0;
}

static bool compile(const Bench *bench, const Work *work, char *library, char *reason) {
  static const Work *last; /* that was made: its neighbours in the table often are the same model */
  char text[PATH_SIZE], source[PATH_SIZE], object[PATH_SIZE];
  char *arguments[OPTION_COUNT];
  object_path(bench, work, ".o", object);
  object_path(bench, work, ".so", library);
  if (last && is_same_model(last, work)) return true;
  last = NULL;
  compiler_arguments(bench, work, text, source, object, arguments);
  if (!run_command(arguments, COMPILE_LIMIT, reason)) return false;
  char *link[] = {(char *)bench->cc, "-shared", "-o", library, object, "-lm", NULL};
  if (!run_command(link, COMPILE_LIMIT, reason)) return false;
  last = work;
  return true;
}

static void measure_compiler(const Bench *bench, Result *result, double seconds) {
  char text[PATH_SIZE], source[PATH_SIZE], object[PATH_SIZE];
  char *arguments[OPTION_COUNT];
  object_path(bench, result->work, ".timed.o", object);
  double begin = seconds_now();
  for (int turn = 0; turn < TIME_COUNT && (turn < 3 || seconds_now() - begin < seconds); turn++) {
    compiler_arguments(bench, result->work, text, source, object, arguments);
    double start = seconds_now();
    if (!run_command(arguments, COMPILE_LIMIT, result->own.reason)) return;
    double ms = 1e3 * (seconds_now() - start);
    times_add(&result->own, ms, ms);
  }
}

/* ---- running ---- */

/* What a call's time is divided by. */
static double token_count(const Work *work) { return work->tokens ? (double)work->tokens : 1; }

/* How often one run calls, and how many runs there must be, from the time of a call. */
static void plan_runs(Entrant *entrant, double ms) {
  double count = ms > 0 ? RUN_MS / ms + 1 : LARGEST_COUNT;
  entrant->count = count > LARGEST_COUNT ? LARGEST_COUNT : (int)count;
  entrant->turns = ms > SLOW_MS ? 2 : ms > SLOW_MS / 4 ? 3 : 5;
}

/* A call that nobody times, and one that says how long it takes: the first of a peer may compile. False when there are to be no turns. */
static bool enter(Entrant *entrant, const char *setup, double tokens) {
  RunTime time;
  double start = seconds_now();
  char *reason = entrant->times->reason;
  if (!participant_ask(entrant->participant, setup, "ready", entrant->limit, &time, reason)) return false;
  if (setup || time.ms < SLOW_MS) {
    start = seconds_now();
    if (!participant_ask(entrant->participant, "run 1", "ms", entrant->limit, &time, reason)) return false;
  }
  if (time.ms > 5 * SLOW_MS) { /* the one call there is must do */
    times_add(entrant->times, time.ms / tokens, time.processor_ms / tokens);
    return false;
  }
  plan_runs(entrant, time.ms);
  entrant->used = time.ms < SLOW_MS ? 0 : seconds_now() - start;
  return true;
}

static void take_turn(Entrant *entrant, double tokens) {
  char say[32];
  RunTime time;
  double start = seconds_now();
  snprintf(say, sizeof say, "run %d", entrant->count);
  if (!participant_ask(entrant->participant, say, "ms", entrant->limit + 1, &time, entrant->times->reason)) {
    entrant->is_out = true;
    return;
  }
  times_add(entrant->times, time.ms / tokens, time.processor_ms / tokens);
  entrant->used += seconds_now() - start;
  for (int part = 0; entrant->moves && part < WORK_PHASES; part++) {
    if (!entrant->is_moved[part]) continue;
    snprintf(say, sizeof say, "move %d", part);
    if (participant_ask(entrant->participant, say, "ms", entrant->limit + 1, &time, entrant->times->reason)) times_add(&entrant->moves[part], time.ms, time.ms);
    else entrant->is_out = true;
  }
  usleep(2000); /* threads that wait for more work spin a while */
}

static void take_turns(Entrant *entrants, int count, double seconds, double tokens) {
  bool is_running = true;
  for (int turn = 0; turn < TIME_COUNT && is_running; turn++) {
    is_running = false;
    for (int n = 0; n < count; n++) {
      Entrant *entrant = &entrants[n];
      if (entrant->is_out || (entrant->used >= seconds && turn >= entrant->turns)) continue;
      take_turn(entrant, tokens);
      is_running = true;
    }
  }
}

static bool start_peer(Bench *bench, Participant *participant, int peer, int threads, char *reason) {
  char python[PATH_SIZE], thread_count[16];
  RunTime ready;
  snprintf(python, sizeof python, "%s/bin/python", bench->peers);
  snprintf(thread_count, sizeof thread_count, "%d", threads);
  char *arguments[] = {python, (char *)bench->script, (char *)peer_names[peer], thread_count, NULL};
  if (!participant_start(participant, arguments, bench->log)) {
    snprintf(reason, REASON_SIZE, "no process");
    return false;
  }
  return participant_ask(participant, NULL, "ready", PEER_START_LIMIT, &ready, reason);
}

/* Lets a peer in, if it is there and knows the work. */
static bool enter_peer(Bench *bench, Result *result, int peer, double seconds, Entrant *entrant) {
  Participant *participant = &bench->running[result->threads * PEER_COUNT + peer];
  char *reason = result->peers[peer].reason, setup[PATH_SIZE];
  static bool is_missing[PEER_COUNT]; /* it did not start once, so it will not */
  if (is_missing[peer]) return false;
  if (!participant->process && !start_peer(bench, participant, peer, result->threads, reason)) {
    is_missing[peer] = true;
    participant_stop(participant);
    return false;
  }
  snprintf(setup, sizeof setup, "setup %s", result->work->peer);
  *entrant = (Entrant){
      .participant = participant, .times = &result->peers[peer], .limit = fmin(PEER_LIMIT, fmax(PEER_LEAST, 10 * seconds))};
  return enter(entrant, setup, token_count(result->work));
}

/* Which parts of the floor are DRAM's, whose bandwidth may be another from process to process and from one second to the next. */
static void find_moves(const Result *result, Entrant *entrant) {
  Floor floor;
  work_floor(result->work, result->threads, result->multiply_adds, NULL, &floor);
  for (int part = 0; part < WORK_PHASES; part++) entrant->is_moved[part] = strcmp(floor.parts[part].bound, "DRAM") == 0;
}

static void measure_model(Bench *bench, Result *result, double seconds) {
  char library[PATH_SIZE], thread_count[16];
  Participant own = {0};
  Entrant entrants[1 + PEER_COUNT];
  int count = 0;
  if (compile(bench, result->work, library, result->own.reason)) {
    snprintf(thread_count, sizeof thread_count, "%d", result->threads);
    char *arguments[] = {(char *)bench->self, "--serve", (char *)result->work->name, thread_count, library, NULL};
    entrants[0] = (Entrant){.participant = &own, .times = &result->own, .limit = CALL_LIMIT, .moves = result->moves};
    find_moves(result, &entrants[0]);
    if (participant_start(&own, arguments, NULL)) count += enter(&entrants[0], NULL, token_count(result->work));
  }
  for (int peer = 0; peer < PEER_COUNT && bench->peers && result->work->peer; peer++)
    count += enter_peer(bench, result, peer, seconds, &entrants[count]);
  take_turns(entrants, count, seconds, token_count(result->work));
  participant_stop(&own);
  for (int peer = 0; peer < PEER_COUNT; peer++) {
    Participant *participant = &bench->running[result->threads * PEER_COUNT + peer];
    RunTime done;
    char reason[REASON_SIZE];
    if (participant->process) participant_ask(participant, "end", "ready", PEER_LIMIT, &done, reason);
  }
}

void measure(Bench *bench, Result *result, double seconds) {
  if (seconds_now() > bench->deadline) snprintf(result->own.reason, REASON_SIZE, "no time left");
  else if (result->work->entry == WORK_COMPILE) measure_compiler(bench, result, seconds);
  else measure_model(bench, result, seconds);
  times_finish(&result->own);
  for (int part = 0; part < WORK_PHASES; part++) times_finish(&result->moves[part]);
  for (int peer = 0; peer < PEER_COUNT; peer++) times_finish(&result->peers[peer]);
}

void measure_end(Bench *bench) {
  for (int n = 0; n < (LARGEST_THREADS + 1) * PEER_COUNT; n++) participant_stop(&bench->running[n]);
}
