/* threads.c - the one file that knows OpenMP.
 *
 * A call of compiled code opens one parallel region and synchronises inside it with the barrier below, which costs a tenth of a
 * region. It counts arrivals and turns a generation over; who waits spins for a while, then gives its processor away, because a
 * machine may be shared and the thread waited for may not be running. Built with SEQRT_OPENMP=0 a team is the caller alone.
 */
#include "seqrt/threads.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "runtime/internal.h"

#ifndef SEQRT_OPENMP
#ifdef _OPENMP
#define SEQRT_OPENMP 1
#else
#define SEQRT_OPENMP 0
#endif
#endif

#if SEQRT_OPENMP
#include <omp.h>
#endif

enum { MAX_THREADS = 4096, SPINS_BEFORE_YIELD = 4000 };

/* The counters that all threads write stay on lines of their own. */
typedef struct Team {
  seqrt_context context;
  _Alignas(SEQRT_ALIGNMENT) atomic_int present; /* threads inside the region; OpenMP may give fewer than were asked for */
  _Alignas(SEQRT_ALIGNMENT) atomic_int arrived;
  _Alignas(SEQRT_ALIGNMENT) atomic_uint generation;
} Team;

static inline void spin_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

static void team_barrier(const seqrt_context *context) {
  Team *team = context->self;
  int present = atomic_load_explicit(&team->present, memory_order_relaxed);
  if (present == 1) return;
  unsigned generation = atomic_load_explicit(&team->generation, memory_order_relaxed);
  if (atomic_fetch_add_explicit(&team->arrived, 1, memory_order_acq_rel) + 1 == present) {
    atomic_store_explicit(&team->arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&team->generation, generation + 1, memory_order_release);
    return;
  }
  for (int spins = 0; atomic_load_explicit(&team->generation, memory_order_acquire) == generation; spins++) {
    if (spins < SPINS_BEFORE_YIELD) spin_pause();
    else sched_yield();
  }
}

static void team_parallel(const seqrt_context *context, void (*body)(void *argument, int32_t thread, int32_t thread_count),
                          void *argument) {
  Team *team = context->self;
#if SEQRT_OPENMP
  if (context->thread_count > 1) {
#pragma omp parallel num_threads(context->thread_count)
    {
      int count = omp_get_num_threads();
      /* Every thread stores the same number, so each sees it before its own first barrier. */
      atomic_store_explicit(&team->present, count, memory_order_relaxed);
      body(argument, omp_get_thread_num(), count);
    }
    return;
  }
#endif
  atomic_store_explicit(&team->present, 1, memory_order_relaxed);
  body(argument, 0, 1);
}

static int32_t default_threads(void) {
#if SEQRT_OPENMP
  int threads = omp_get_max_threads();
  return threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads;
#else
  return 1;
#endif
}

seqrt_code seqrt_context_create(int32_t threads, seqrt_context **out_context, seqrt_error *error) {
  if (!out_context) return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "threads: no place for the context is given");
  *out_context = NULL;
  if (threads < 0 || threads > MAX_THREADS)
    return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "threads: %d is outside 0 <= threads <= %d", (int)threads,
                        (int)MAX_THREADS);
  Team *team = runtime_allocate(sizeof *team);
  if (!team) return runtime_fail_memory(error, "threads", sizeof *team);
  team->context = (seqrt_context){.abi_version = SEQRT_ABI_VERSION,
                                  .thread_count = SEQRT_OPENMP ? (threads ? threads : default_threads()) : 1,
                                  .parallel = team_parallel,
                                  .barrier = team_barrier,
                                  .self = team};
  atomic_init(&team->present, 1);
  atomic_init(&team->arrived, 0);
  atomic_init(&team->generation, 0);
  *out_context = &team->context;
  return SEQRT_OK;
}

void seqrt_context_destroy(seqrt_context *context) {
  if (context) free(context->self);
}

void seqrt_parallel(const seqrt_context *context, void (*body)(void *argument, int32_t thread, int32_t thread_count),
                    void *argument) {
  if (context) context->parallel(context, body, argument);
  else body(argument, 0, 1);
}
