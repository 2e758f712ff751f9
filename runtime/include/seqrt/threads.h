/* threads.h - a team of threads for compiled code and for the optimizer.
 *
 * One context serves one call at a time; two programs' threads that compute at once need a context each. Results do not depend on
 * the number of threads: work is cut by sizes alone.
 */
#ifndef SEQRT_THREADS_H
#define SEQRT_THREADS_H

#include "seqrt/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A team of `threads` threads, the caller's among them; 0: as many as OMP_NUM_THREADS or the processors this process may use.
 * The others begin with the first call and take no signals. Between calls they sleep, after a moment in which the next call may come.
 * Where the system gives no more threads the team is smaller. After a fork the new process may go on with the context: it has its own
 * threads from the next call on. SEQRT_INVALID_ARGUMENT for a count below 0 or above 4096. */
seqrt_code seqrt_context_create(int32_t threads, seqrt_context **out_context, seqrt_error *out_error);
/* Ends the threads and waits for it. */
void seqrt_context_destroy(seqrt_context *context);

/* body(argument, thread, count) on every thread of the team, or on the caller alone when `context` is NULL. */
void seqrt_parallel(const seqrt_context *context, void (*body)(void *argument, int32_t thread, int32_t thread_count),
                    void *argument);

#ifdef __cplusplus
}
#endif

#endif
