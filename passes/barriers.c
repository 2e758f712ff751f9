/* barriers.c - where threads wait for each other.
 *
 * Needs:  a kernel of stages without barriers. Threads go through them each at its own pace.
 * Leaves: a barrier before each stage that touches memory which another thread may have touched since the last barrier, when one of
 *         the two writes it. It stands as late as possible, so stages that have nothing to do with each other have one together:
 *         several products of the same vector, say. Around a choice what was touched on either way counts, around a loop what the turn
 *         before touched. What only asks for a barrier after something optional has it at the end of that.
 */
#include "passes/lower.h"

enum { IS_READ = 1, IS_WRITTEN = 2 };

typedef struct Placing {
  Kernel *kernel;
  unsigned char *since; /* by buffer: what was done to it since the last barrier */
  Statement *option;    /* of this block, the last statement since then that may be left out; NULL: none */
  unsigned char *without; /* then: `since` where it is */
} Placing;

typedef struct TouchWalk {
  const Kernel *kernel;
  unsigned char *touches; /* by buffer */
} TouchWalk;

/* What a thread has to itself nobody waits for. */
static void touch(TouchWalk *walk, BufferId buffer, int how) {
  if (!walk->kernel->buffers[buffer].is_private) walk->touches[buffer] |= (unsigned char)how;
}

static void touch_load(void *context, const Expr *expr) {
  if (expr->op == OP_LOAD) touch(context, expr->id, IS_READ);
}

static void touch_exprs(TouchWalk *walk, const Statement *statement) {
  const Expr *parts[] = {statement->low, statement->high, statement->condition, statement->value, statement->guard, statement->reduce_body};
  for (size_t n = 0; n < sizeof parts / sizeof *parts; n++)
    if (parts[n]) expr_visit(parts[n], touch_load, walk);
  for (int n = 0; n < statement->rank; n++) expr_visit(statement->indices[n], touch_load, walk);
}

static void touch_block(TouchWalk *walk, const Statement *statement);

static void touch_statement(TouchWalk *walk, const Statement *statement) {
  if (statement->kind == STATEMENT_PREFETCH) return;
  touch_exprs(walk, statement);
  touch_block(walk, statement->body);
  touch_block(walk, statement->otherwise);
  if (statement->kind == STATEMENT_STORE || statement->kind == STATEMENT_TILE) touch(walk, statement->buffer, IS_WRITTEN);
  if (statement->kind != STATEMENT_TILE) return;
  touch(walk, statement->a_buffer, IS_READ);
  touch(walk, statement->b_buffer, IS_READ);
  if (statement->row_scale_buffer != NONE) touch(walk, statement->row_scale_buffer, IS_READ);
}

static void touch_block(TouchWalk *walk, const Statement *statement) {
  for (; statement; statement = statement->next) touch_statement(walk, statement);
}

/* The state that a call leaves may lie where the one lies that it came with. */
static void touch_carried(TouchWalk *walk) {
  const Kernel *kernel = walk->kernel;
  for (int n = 0; n < kernel->buffer_count; n++) {
    if (!walk->touches[n] || kernel->buffers[n].home != HOME_CARRY_OUT) continue;
    for (int m = 0; m < kernel->buffer_count; m++)
      if (kernel->buffers[m].home == HOME_CARRY_IN && kernel->buffers[m].slot == kernel->buffers[n].slot) touch(walk, m, IS_WRITTEN);
  }
}

static size_t bytes_of(const Placing *placing) { return (size_t)placing->kernel->buffer_count; }

/* Before the statement at *link; returns the link to the statement. */
static Statement **put_barrier(Placing *placing, Statement **link) {
  Statement *barrier = statement_barrier(placing->kernel);
  barrier->next = *link;
  *link = barrier;
  memset(placing->since, 0, bytes_of(placing));
  placing->option = NULL;
  return &barrier->next;
}

static bool conflicts(const Placing *placing, const unsigned char *before, const unsigned char *touches) {
  for (int n = 0; n < placing->kernel->buffer_count; n++)
    if (before[n] && touches[n] && (before[n] | touches[n]) & IS_WRITTEN) return true;
  return false;
}

static void add_touches(const Placing *placing, unsigned char *to, const unsigned char *touches) {
  for (int n = 0; n < placing->kernel->buffer_count; n++) to[n] |= touches[n];
}

static void wait_in_option(Placing *placing) {
  Statement **end = &placing->option->body;
  while (*end) end = &(*end)->next;
  *end = statement_barrier(placing->kernel);
  placing->since = placing->without;
  placing->option = NULL;
}

/* A barrier before *link where what was touched asks for one; returns the link to the statement. */
static Statement **wait_before(Placing *placing, Statement **link, const unsigned char *touches) {
  if (conflicts(placing, placing->since, touches)) {
    if (placing->option && !conflicts(placing, placing->without, touches)) wait_in_option(placing);
    else link = put_barrier(placing, link);
  }
  add_touches(placing, placing->since, touches);
  if (placing->option) add_touches(placing, placing->without, touches);
  return link;
}

static void place_in_block(Placing *placing, Statement **link);

static bool is_touched(const Placing *placing) {
  bool any = false;
  for (int n = 0; n < placing->kernel->buffer_count; n++) any |= placing->since[n] != 0;
  return any;
}

static void place_in_choice(Placing *placing, Statement *choice) {
  unsigned char *before = arena_copy(placing->kernel->arena, placing->since, bytes_of(placing));
  place_in_block(placing, &choice->body);
  unsigned char *after = placing->since;
  placing->since = before;
  place_in_block(placing, &choice->otherwise);
  placing->option = choice->otherwise ? NULL : choice;
  placing->without = arena_copy(placing->kernel->arena, before, bytes_of(placing));
  add_touches(placing, placing->since, after);
}

/* With each round more counts as touched at the beginning, until it is all that a turn leaves. */
static void place_in_loop(Placing *placing, Statement *loop) {
  unsigned char *begin = arena_copy(placing->kernel->arena, placing->since, bytes_of(placing));
  for (bool grows = true; grows;) {
    place_in_block(placing, &loop->body);
    grows = false;
    for (int n = 0; n < placing->kernel->buffer_count; n++) {
      grows |= (placing->since[n] & ~begin[n]) != 0;
      begin[n] |= placing->since[n];
    }
    placing->since = arena_copy(placing->kernel->arena, begin, bytes_of(placing));
  }
}

static bool has_stage(const Statement *statement) {
  for (; statement; statement = statement->next) {
    if (statement->kind == STATEMENT_LOOP && statement->loop_kind == LOOP_PARALLEL) return true;
    if (has_stage(statement->body) || has_stage(statement->otherwise)) return true;
  }
  return false;
}

static void place_in_block(Placing *placing, Statement **link) {
  const Kernel *kernel = placing->kernel;
  placing->option = NULL;
  for (; *link; link = &(*link)->next) {
    while (*link && (*link)->kind == STATEMENT_BARRIER) *link = (*link)->next; /* of the round before */
    Statement *statement = *link;
    if (!statement) break;
    TouchWalk walk = {kernel, ARENA_ARRAY(kernel->arena, unsigned char, kernel->buffer_count)};
    bool is_loop = statement->kind == STATEMENT_LOOP && statement->loop_kind != LOOP_PARALLEL && has_stage(statement->body);
    bool is_choice = statement->kind == STATEMENT_IF && (has_stage(statement->body) || has_stage(statement->otherwise));
    if (!is_loop && !is_choice) {
      touch_statement(&walk, statement);
      touch_carried(&walk);
      link = wait_before(placing, link, walk.touches);
      continue;
    }
    touch_exprs(&walk, statement);
    link = wait_before(placing, link, walk.touches);
    if (is_loop && is_touched(placing)) link = put_barrier(placing, link); /* one before it, not one in each turn */
    if (is_loop) place_in_loop(placing, statement);
    else place_in_choice(placing, statement);
  }
  placing->option = NULL;
}

void place_barriers(Kernel *kernel) {
  Placing placing = {.kernel = kernel, .since = ARENA_ARRAY(kernel->arena, unsigned char, kernel->buffer_count)};
  place_in_block(&placing, &kernel->body);
}
