/* threads.c - the threads of a team, and how they wait for each other.
 *
 * The threads are the team's own. They begin with its first call, sleep between calls, and end with it. Inside a call all of them are
 * there, and synchronise with the barrier below: it counts arrivals and turns a generation over.
 *
 * Who waits spins for a while, as what is waited for mostly comes at once, and then sleeps: the processor may be wanted elsewhere, by the
 * very thread that is waited for too. How long it spins is learnt: longer after a sleep that was short, shorter after a long one, and not
 * at all in a team of more threads than there are processors.
 */
#define _GNU_SOURCE /* sched_getaffinity */
#include "seqrt/threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "runtime/internal.h"

enum { MAX_THREADS = 4096, MOST_SPINS = 4000, FEWEST_SPINS = 1000 }; /* fewer, and calls in a row find the others asleep */
#define SHORT_SLEEP 100e-6 /* seconds: about what the most spins take, and a sleep with all that belongs to it */

/* Something that happens again and again, and that threads wait for. */
typedef struct Event {
  _Alignas(SEQRT_ALIGNMENT) atomic_uint count;
  atomic_int spins; /* while waiting for it, before a sleep */
} Event;

typedef struct Team Team;
typedef struct Worker {
  Team *team;
  int32_t number;
  unsigned calls; /* before its time */
  pthread_t thread;
} Worker;

/* The counters that all threads write stay on lines of their own. */
struct Team {
  seqrt_context context;
  int32_t present;  /* threads, the caller's too: fewer than were asked for where the system gives no more */
  int32_t most_spins;
  Worker *workers;  /* present - 1; NULL before the first call */
  unsigned forks;   /* what this was when they began */
  void (*body)(void *argument, int32_t thread, int32_t thread_count); /* of the call; NULL: there will be none */
  void *argument;
  pthread_mutex_t lock;
  pthread_cond_t happened;
  Event call, meeting;
  _Alignas(SEQRT_ALIGNMENT) atomic_int arrived;
  _Alignas(SEQRT_ALIGNMENT) atomic_int sleepers;
};

static inline void spin_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* ---- waiting ---- */

/* Whoever is about to sleep is counted before it looks for the last time, and who announces looks for sleepers after the count: in
 * one order for all, so one of them sees the other. */
static void announce(Team *team, Event *event) {
  atomic_fetch_add(&event->count, 1);
  if (!atomic_load(&team->sleepers)) return;
  pthread_mutex_lock(&team->lock);
  pthread_cond_broadcast(&team->happened);
  pthread_mutex_unlock(&team->lock);
}

static void sleep_until(Team *team, Event *event, unsigned count) {
  pthread_mutex_lock(&team->lock);
  atomic_fetch_add(&team->sleepers, 1);
  while (atomic_load(&event->count) == count) pthread_cond_wait(&team->happened, &team->lock);
  atomic_fetch_sub(&team->sleepers, 1);
  pthread_mutex_unlock(&team->lock);
}

/* Until the event's count is another. */
static void wait_for(Team *team, Event *event, unsigned count) {
  int spins = atomic_load_explicit(&event->spins, memory_order_relaxed);
  for (int n = 0; n < spins; n++) {
    if (atomic_load_explicit(&event->count, memory_order_acquire) != count) return;
    spin_pause();
  }
  double begin = runtime_seconds();
  sleep_until(team, event, count);
  spins = runtime_seconds() - begin < SHORT_SLEEP ? 2 * spins : spins / 2;
  if (spins < FEWEST_SPINS) spins = FEWEST_SPINS;
  if (spins > team->most_spins) spins = team->most_spins;
  atomic_store_explicit(&event->spins, spins, memory_order_relaxed);
}

static void team_barrier(const seqrt_context *context) {
  Team *team = context->self;
  if (team->present == 1) return;
  unsigned count = atomic_load_explicit(&team->meeting.count, memory_order_relaxed);
  if (atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel) + 1 < team->present) {
    wait_for(team, &team->meeting, count);
    return;
  }
  atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
  announce(team, &team->meeting);
}

/* ---- threads ---- */

static atomic_uint forks; /* by which this process came to be, since the first team: a process begins with one thread */

static void count_fork(void) { atomic_fetch_add(&forks, 1); }
static void watch_forks(void) { (void)pthread_atfork(NULL, NULL, count_fork); }

static void *run_worker(void *argument) {
  Worker *worker = argument;
  Team *team = worker->team;
  for (unsigned calls = worker->calls;; calls++) {
    wait_for(team, &team->call, calls);
    if (!team->body) return NULL;
    team->body(team->argument, worker->number, team->present);
    team_barrier(&team->context);
  }
}

static int32_t processor_count(void) {
#ifdef __linux__
  cpu_set_t usable;
  if (sched_getaffinity(0, sizeof usable, &usable) == 0) return CPU_COUNT(&usable);
#endif
  long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count < 1 ? 1 : count > MAX_THREADS ? MAX_THREADS : (int32_t)count;
}

static void begin_team(Team *team) {
  team->forks = atomic_load(&forks);
  pthread_mutex_init(&team->lock, NULL);
  pthread_cond_init(&team->happened, NULL);
  atomic_store(&team->arrived, 0);
  atomic_store(&team->sleepers, 0);
  team->most_spins = team->context.thread_count > processor_count() ? 0 : MOST_SPINS;
  atomic_store(&team->call.spins, team->most_spins);
  atomic_store(&team->meeting.spins, team->most_spins);
}

/* Signals of the program are for its own threads. */
static void begin_workers(Team *team) {
  sigset_t all, before;
  sigfillset(&all);
  team->present = 1;
  team->workers = calloc((size_t)team->context.thread_count, sizeof *team->workers);
  if (!team->workers) return;
  pthread_sigmask(SIG_SETMASK, &all, &before);
  for (int32_t number = 1; number < team->context.thread_count; number++) {
    Worker *worker = &team->workers[number - 1];
    *worker = (Worker){.team = team, .number = number, .calls = atomic_load(&team->call.count)};
    if (pthread_create(&worker->thread, NULL, run_worker, worker) != 0) break;
    team->present++;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* After a fork the new process has none of the threads. */
static void leave_forked(Team *team) {
  if (team->forks == atomic_load_explicit(&forks, memory_order_relaxed)) return;
  free(team->workers);
  team->workers = NULL;
  begin_team(team);
}

static void team_parallel(const seqrt_context *context, void (*body)(void *argument, int32_t thread, int32_t thread_count), void *argument) {
  Team *team = context->self;
  if (context->thread_count > 1) {
    leave_forked(team);
    if (!team->workers) begin_workers(team);
  }
  if (team->present == 1) {
    body(argument, 0, 1);
    return;
  }
  team->body = body;
  team->argument = argument;
  announce(team, &team->call);
  body(argument, 0, team->present);
  team_barrier(context);
}

/* OMP_NUM_THREADS, as for other libraries that compute, or the processors. */
static int32_t default_threads(void) {
  const char *text = getenv("OMP_NUM_THREADS");
  long wanted = text ? strtol(text, NULL, 10) : 0;
  if (wanted < 1) return processor_count();
  return wanted > MAX_THREADS ? MAX_THREADS : (int32_t)wanted;
}

seqrt_code seqrt_context_create(int32_t threads, seqrt_context **out_context, seqrt_error *error) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  if (!out_context) return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "threads: no place for the context is given");
  *out_context = NULL;
  if (threads < 0 || threads > MAX_THREADS)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "threads: %d is outside 0 <= threads <= %d", (int)threads, (int)MAX_THREADS);
  Team *team = runtime_allocate(sizeof *team);
  if (!team) return runtime_fail_memory(error, "threads", sizeof *team);
  pthread_once(&once, watch_forks);
  team->context = (seqrt_context){.abi_version = SEQRT_ABI_VERSION,
                                  .thread_count = threads ? threads : default_threads(),
                                  .parallel = team_parallel,
                                  .barrier = team_barrier,
                                  .self = team};
  team->present = 1;
  begin_team(team);
  *out_context = &team->context;
  return SEQRT_OK;
}

void seqrt_context_destroy(seqrt_context *context) {
  if (!context) return;
  Team *team = context->self;
  leave_forked(team);
  if (team->present > 1 && team->workers) {
    team->body = NULL;
    announce(team, &team->call);
    for (int32_t n = 0; n < team->present - 1; n++) pthread_join(team->workers[n].thread, NULL);
  }
  free(team->workers);
  pthread_cond_destroy(&team->happened);
  pthread_mutex_destroy(&team->lock);
  free(team);
}

void seqrt_parallel(const seqrt_context *context, void (*body)(void *argument, int32_t thread, int32_t thread_count), void *argument) {
  if (context) context->parallel(context, body, argument);
  else body(argument, 0, 1);
}
