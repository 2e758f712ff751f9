/* participant.h - a process that runs works when it is told: the compiled model's own, or a peer's. serve.h has what is said. */
#ifndef SEQC_TESTS_BENCH_PARTICIPANT_H
#define SEQC_TESTS_BENCH_PARTICIPANT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { REASON_SIZE = 256 };

typedef struct Participant {
  pid_t process; /* 0: none */
  int to, from;  /* pipes */
  char line[4096];
  size_t filled;
} Participant;

/* Starts `arguments` (the last one NULL), with standard error thrown away unless `log` names a file. */
bool participant_start(Participant *participant, char *const *arguments, const char *log);

/* What a run took of one call, in milliseconds: by the clock, and of the processors, all threads together. */
typedef struct RunTime {
  double ms, processor_ms;
} RunTime;

/* Says one line and waits for one that begins with `word` and a time or two; in between two of these the process is stopped. False with a reason on anything else: after too many
 * seconds the process is ended. `say` may be NULL. */
bool participant_ask(Participant *participant, const char *say, const char *word, double seconds, RunTime *out_time,
                     char *reason);

/* Ends it, if it has not ended itself. */
void participant_stop(Participant *participant);

/* Runs a command to its end. False with the first line that it wrote to standard error, or why else it failed. */
bool run_command(char *const *arguments, double seconds, char *reason);

#endif
