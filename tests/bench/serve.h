/* serve.h - one work of a compiled model, in a process of its own, on demand. */
#ifndef SEQC_TESTS_BENCH_SERVE_H
#define SEQC_TESTS_BENCH_SERVE_H

#include "work.h"

/* Loads the shared object and answers on standard output what it reads on standard input, line by line:
 *     (at the start)  ready MS      after a first call, which took so long; or: no REASON
 *     move PART       ms MS CPU     which the bytes of this part of the floor take to move and nothing else, in this process at this time
 *     run COUNT       ms MS CPU     of one call, the mean of COUNT in a row (after one more, when calls are short), and of the processors, all threads together; or: no REASON
 * until the input ends. Returns an exit status. peers.py speaks the same. */
int serve_work(const Work *work, int threads, const char *object);

#endif
