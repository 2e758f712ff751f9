/* participant.c - processes, pipes and time limits. */
#define _GNU_SOURCE /* pipe2 */
#include "participant.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "peak.h"

__attribute__((format(printf, 2, 3))) static bool fail(char *reason, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reason, REASON_SIZE, format, arguments);
  va_end(arguments);
  reason[strcspn(reason, "\n")] = 0;
  return false;
}

/* The child's side, between fork and exec. Peers run as they are for everyone: settings for other programs' sake are not theirs. */
_Noreturn static void become(char *const *arguments, int in, int out, int error) {
  if (in >= 0) dup2(in, STDIN_FILENO);
  if (out >= 0) dup2(out, STDOUT_FILENO);
  if (error >= 0) dup2(error, STDERR_FILENO);
  unsetenv("OPENBLAS_CORETYPE");
  unsetenv("OPENBLAS_L2_SIZE");
  execvp(arguments[0], arguments);
  _exit(127);
}

bool participant_start(Participant *participant, char *const *arguments, const char *log) {
  int to[2], from[2];
  *participant = (Participant){0};
  if (pipe2(to, O_CLOEXEC) != 0) return false;
  if (pipe2(from, O_CLOEXEC) != 0) {
    close(to[0]), close(to[1]);
    return false;
  }
  int error = open(log ? log : "/dev/null", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  fflush(NULL);
  pid_t process = fork();
  if (process == 0) become(arguments, to[0], from[1], error);
  close(to[0]), close(from[1]);
  if (error >= 0) close(error);
  if (process < 0) {
    close(to[1]), close(from[0]);
    return false;
  }
  participant->process = process;
  participant->to = to[1], participant->from = from[0];
  return true;
}

void participant_stop(Participant *participant) {
  if (!participant->process) return;
  close(participant->to), close(participant->from);
  kill(participant->process, SIGCONT);
  for (int wait = 0; wait < 20 && waitpid(participant->process, NULL, WNOHANG) == 0; wait++) {
    if (wait == 19) {
      kill(participant->process, SIGKILL);
      waitpid(participant->process, NULL, 0);
    }
    usleep(10000);
  }
  participant->process = 0;
}

/* How a process that says nothing more has ended. */
static bool explain_end(Participant *participant, char *reason) {
  int status = 0;
  for (int wait = 0; wait < 100; wait++) {
    pid_t ended = waitpid(participant->process, &status, WNOHANG);
    if (ended != 0) break;
    usleep(10000);
    if (wait == 99) kill(participant->process, SIGKILL), waitpid(participant->process, &status, 0);
  }
  close(participant->to), close(participant->from);
  participant->process = 0;
  if (WIFSIGNALED(status)) return fail(reason, "ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
  return fail(reason, "ended with status %d", WEXITSTATUS(status));
}

/* The next line, without its end. NULL with a reason at the end or after the time. */
static char *read_line(Participant *participant, double seconds, char *reason, char *line, size_t size) {
  double limit = seconds_now() + seconds;
  for (;;) {
    char *end = memchr(participant->line, '\n', participant->filled);
    if (end) {
      size_t length = (size_t)(end - participant->line);
      snprintf(line, size, "%.*s", (int)length, participant->line);
      participant->filled -= length + 1;
      memmove(participant->line, end + 1, participant->filled);
      return line;
    }
    if (participant->filled == sizeof participant->line) participant->filled = 0; /* no line of ours is so long */
    struct pollfd poll_for = {.fd = participant->from, .events = POLLIN};
    double left = limit - seconds_now();
    int ready = left > 0 ? poll(&poll_for, 1, (int)(1e3 * left) + 1) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      kill(participant->process, SIGKILL);
      explain_end(participant, reason);
      fail(reason, "took more than %.0f s", seconds);
      return NULL;
    }
    ssize_t got = read(participant->from, participant->line + participant->filled,
                       sizeof participant->line - participant->filled);
    if (got <= 0) {
      explain_end(participant, reason);
      return NULL;
    }
    participant->filled += (size_t)got;
  }
}

static bool ask(Participant *participant, const char *say, const char *word, double seconds, RunTime *out_time, char *reason) {
  char line[sizeof participant->line];
  if (say && dprintf(participant->to, "%s\n", say) < 0) return explain_end(participant, reason);
  size_t length = strlen(word);
  for (;;) { /* what a library writes on its own account is passed over */
    if (!read_line(participant, seconds, reason, line, sizeof line)) return false;
    if (strncmp(line, "no ", 3) == 0) return fail(reason, "%s", line + 3);
    if (strncmp(line, word, length) == 0 && line[length] == ' ' &&
        sscanf(line + length, "%lf %lf", &out_time->ms, &out_time->processor_ms) >= 1)
      return true;
  }
}

/* It is stopped until it is asked again: threads that spin while they wait would take the processor from those whose turn it is. */
bool participant_ask(Participant *participant, const char *say, const char *word, double seconds, RunTime *out_time, char *reason) {
  if (!participant->process) return fail(reason, "not running");
  kill(participant->process, SIGCONT);
  bool answered = ask(participant, say, word, seconds, out_time, reason);
  if (participant->process) kill(participant->process, SIGSTOP);
  return answered;
}

bool run_command(char *const *arguments, double seconds, char *reason) {
  int error[2];
  if (pipe2(error, O_CLOEXEC) != 0) return fail(reason, "no pipe");
  fflush(NULL);
  pid_t process = fork();
  if (process == 0) become(arguments, -1, -1, error[1]);
  close(error[1]);
  if (process < 0) {
    close(error[0]);
    return fail(reason, "no process");
  }
  Participant reader = {.process = process, .to = open("/dev/null", O_WRONLY | O_CLOEXEC), .from = error[0]};
  char line[sizeof reader.line], first[REASON_SIZE] = "", why[REASON_SIZE];
  while (read_line(&reader, seconds, why, line, sizeof line)) {
    if (!*first) fail(first, "%s", line);
  }
  if (strcmp(why, "ended with status 0") == 0) return true;
  return fail(reason, "%s", *first && strncmp(why, "took", 4) != 0 ? first : why);
}
