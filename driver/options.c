/* options.c - parses the command line by the rows of options.def.
 *
 * A row is found by its spelling (the longest that fits, so that -MD is not -M with an argument), then its argument is taken
 * in the row's form, and one switch stores it. Unknown options get the nearest spelling as a suggestion.
 */
#include "driver/options.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

typedef enum { FORM_PLAIN, FORM_JOINED, FORM_EITHER, FORM_VALUE, FORM_OPTIONAL } Form;

typedef enum {
#define GROUP(title)
#define OPTION(id, spelling, form, argument, help) OPTION_##id,
#include "driver/options.def"
#undef GROUP
#undef OPTION
  OPTION_COUNT
} OptionId;

/* A group's title is a row without spelling. */
typedef struct OptionRow {
  int id;
  const char *spelling;
  Form form;
  const char *argument, *help;
} OptionRow;

static const OptionRow rows[] = {
#define GROUP(title) {-1, NULL, FORM_PLAIN, "", title},
#define OPTION(id, spelling, form, argument, help) {OPTION_##id, spelling, FORM_##form, argument, help},
#include "driver/options.def"
#undef GROUP
#undef OPTION
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0], HELP_COLUMN = 26, HELP_WIDTH = 110 };

const EmitInfo emit_table[EMIT_COUNT] = {
    [EMIT_AST] = {"ast", ".ast", true},   [EMIT_EQUATIONS] = {"equations", ".eq", true}, [EMIT_LOOPS] = {"loops", ".loops", true},
    [EMIT_LLVM] = {"llvm", ".ll", false}, [EMIT_BITCODE] = {"bitcode", ".bc", false},    [EMIT_ASSEMBLY] = {"asm", ".s", false},
    [EMIT_OBJECT] = {"obj", ".o", false}, [EMIT_HEADER] = {"header", ".h", false},
};

/* The command line while it is read. */
typedef struct Call {
  Arena *arena;
  int count, next;
  char **arguments;
  Options *options;
  Define *defines;
  const char **import_paths;
  const char **disabled;
} Call;

static bool wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
static bool wrong(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("seqc: error: ", stderr);
  vfprintf(stderr, format, arguments);
  fputs("\n", stderr);
  va_end(arguments);
  return false;
}

static bool starts_with(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

/* ---- suggestions ---- */

static int smallest(int a, int b, int c) {
  int least = a < b ? a : b;
  return least < c ? least : c;
}

/* How many characters have to be added, removed or changed to get from one to the other. */
static int edit_distance(const char *from, const char *to) {
  enum { LONGEST = 40 };
  int row[LONGEST + 1];
  int to_length = (int)strlen(to);
  if (to_length > LONGEST) return INT_MAX;
  for (int t = 0; t <= to_length; t++) row[t] = t;
  for (int f = 0; from[f]; f++) {
    int diagonal = row[0];
    row[0] = f + 1;
    for (int t = 1; t <= to_length; t++) {
      int above = row[t];
      row[t] = smallest(above + 1, row[t - 1] + 1, diagonal + (from[f] != to[t - 1]));
      diagonal = above;
    }
  }
  return row[to_length];
}

/* Keeps in `best` the candidate that is nearest to `text`, if it is near at all. */
static void consider(const char *text, const char *candidate, int *best_distance, const char **best) {
  bool is_start = starts_with(text, candidate) || (strlen(text) > 3 && starts_with(candidate, text));
  int distance = is_start ? 1 : edit_distance(text, candidate);
  if (distance < *best_distance && distance <= 1 + (int)strlen(candidate) / 4) {
    *best_distance = distance;
    *best = candidate;
  }
}

static bool unknown_option(const Call *call, const char *argument) {
  const char *name = arena_string_length(call->arena, argument, strcspn(argument, "="));
  const char *best = NULL;
  int best_distance = INT_MAX;
  for (int r = 0; r < ROW_COUNT; r++)
    if (rows[r].spelling && rows[r].help) consider(name, rows[r].spelling, &best_distance, &best);
  if (best) return wrong("unknown option '%s'; did you mean '%s'?", name, best);
  return wrong("unknown option '%s'; see seqc --help", name);
}

/* ---- finding a row and its argument ---- */

static bool row_matches(const OptionRow *row, const char *argument) {
  if (!row->spelling || !starts_with(argument, row->spelling)) return false;
  char after = argument[strlen(row->spelling)];
  switch (row->form) {
  case FORM_PLAIN: return after == '\0';
  case FORM_JOINED:
  case FORM_EITHER: return true;
  case FORM_VALUE:
  case FORM_OPTIONAL: return after == '\0' || after == '=';
  }
  return false;
}

static const OptionRow *find_row(const char *argument) {
  const OptionRow *best = NULL;
  for (int r = 0; r < ROW_COUNT; r++)
    if (row_matches(&rows[r], argument) && (!best || strlen(rows[r].spelling) > strlen(best->spelling))) best = &rows[r];
  return best;
}

static bool take_argument(Call *call, const OptionRow *row, const char *argument, const char **out_value) {
  const char *rest = argument + strlen(row->spelling);
  *out_value = "";
  if (row->form == FORM_PLAIN) return true;
  if (*rest == '=' && (row->form == FORM_VALUE || row->form == FORM_OPTIONAL)) rest++;
  else if (*rest == '\0' && row->form == FORM_OPTIONAL) return true;
  else if (*rest == '\0' && row->form != FORM_JOINED) {
    if (call->next == call->count) return wrong("'%s' needs an argument: %s", row->spelling, row->argument);
    rest = call->arguments[call->next++];
  }
  if (*rest == '\0') return wrong("'%s' needs an argument: %s", row->spelling, row->argument);
  *out_value = rest;
  return true;
}

/* ---- storing ---- */

static bool store_emit(Call *call, const char *list) {
  while (*list) {
    size_t length = strcspn(list, ",");
    const char *name = arena_string_length(call->arena, list, length);
    int kind = 0;
    while (kind < EMIT_COUNT && strcmp(emit_table[kind].name, name) != 0) kind++;
    if (kind == EMIT_COUNT) {
      const char *best = NULL;
      int best_distance = INT_MAX;
      for (int k = 0; k < EMIT_COUNT; k++) consider(name, emit_table[k].name, &best_distance, &best);
      if (best) return wrong("--emit: unknown kind '%s'; did you mean '%s'?", name, best);
      return wrong("--emit: unknown kind '%s'; there are ast, equations, loops, llvm, bitcode, asm, obj and header", name);
    }
    call->options->emit[kind] = true;
    list += length + (list[length] == ',');
  }
  return true;
}

const char *const check_form_names[CHECK_FORM_COUNT] = {"compiled", "chunk", "step", "interpreted"};

static bool store_forms(Call *call, const char *list) {
  Options *options = call->options;
  for (int form = 0; form < CHECK_FORM_COUNT; form++) options->is_left_out[form] = true;
  while (*list) {
    size_t length = strcspn(list, ",");
    const char *name = arena_string_length(call->arena, list, length);
    int form = 0;
    while (form < CHECK_FORM_COUNT && strcmp(check_form_names[form], name) != 0) form++;
    if (form == CHECK_FORM_COUNT)
      return wrong("--forms: unknown form '%s'; there are compiled, chunk, step and interpreted", name);
    options->is_left_out[form] = false;
    list += length + (list[length] == ',');
  }
  return options->has_forms = true;
}

static bool store_define(Call *call, const char *text) {
  const char *equals = strchr(text, '=');
  if (!equals || equals == text || !equals[1]) return wrong("-D needs NAME=VALUE, found '%s'", text);
  Define define = {arena_string_length(call->arena, text, (size_t)(equals - text)), equals + 1};
  ARENA_PUSH(call->arena, call->defines, call->options->frontend.define_count, define);
  return true;
}

static bool store_number(const char *option, const char *text, int low, int high, int *out_number) {
  char *end;
  errno = 0;
  long number = strtol(text, &end, 10);
  if (errno || end == text || *end || number < low || number > high)
    return wrong("'%s' needs a number from %d to %d, found '%s'", option, low, high, text);
  *out_number = (int)number;
  return true;
}

static bool store_pass(const char *option, const char *name, bool may_be_all, const char **out_name) {
  if (!(may_be_all && strcmp(name, "all") == 0) && !pipeline_has_pass(name))
    return wrong("%s: there is no pass '%s'; see seqc --help=passes", option, name);
  *out_name = name;
  return true;
}

static bool pass_is_optional(const char *name) {
#define PASS(pass, is_optional, help) \
  if (strcmp(#pass, name) == 0) return is_optional;
#include "passes/passes.def"
#undef PASS
  return false;
}

static bool store_disabled(Call *call, const char *name) {
  if (!store_pass("--disable", name, false, &name)) return false;
  if (!pass_is_optional(name)) return wrong("--disable: pass '%s' cannot be left out; see seqc --help=passes", name);
  ARENA_PUSH(call->arena, call->disabled, call->options->pipeline.disable_count, name);
  return true;
}

static bool store_optimisation(Call *call, const char *level) {
  if (!store_number("-O", level, 0, 3, &call->options->pipeline.optimisation)) return false;
  call->options->codegen.optimisation = call->options->pipeline.optimisation;
  return true;
}

static bool store_scan(Call *call, const char *how) {
  enum { USUAL_PIECE = 64, LONGEST_PIECE = 1 << 20 };
  int *steps = &call->options->pipeline.piece_steps;
  *steps = 0;
  if (strcmp(how, "sequential") == 0) return true;
  *steps = USUAL_PIECE;
  if (strcmp(how, "split") == 0) return true;
  if (how[0] < '0' || how[0] > '9') return wrong("-fscan: unknown way '%s'; there are sequential, split, or a number of steps", how);
  return store_number("-fscan", how, 2, LONGEST_PIECE, steps);
}

static bool store_packed(Options *options, const char *type) {
  for (int n = PACKED_F32; n <= PACKED_INT8; n++) {
    options->pipeline.packed_format = (PackedFormat)n;
    if (strcmp(type, packed_format_names[n]) == 0) return true;
  }
  return wrong("--packed: unknown type '%s'; there are f32, bf16 and int8", type);
}

static bool store_cpu(Options *options, const char *name) {
  options->codegen.cpu = name;
  options->has_cpu_help = strcmp(name, "help") == 0;
  return true;
}

static bool store_help(Options *options, const char *topic) {
  if (*topic && strcmp(topic, "passes") != 0 && strcmp(topic, "man") != 0)
    return wrong("--help: unknown topic '%s'; there is 'passes'", topic);
  options->help = topic;
  return true;
}

static bool set(bool *flag) { return *flag = true; }
static bool set_text(const char **text, const char *value) { return (*text = value) != NULL; }

static bool store(Call *call, const OptionRow *row, const char *value) {
  Options *options = call->options;
  switch ((OptionId)row->id) {
  case OPTION_OUTPUT: return set_text(&options->output, value);
  case OPTION_EMIT: return store_emit(call, value);
  case OPTION_COMPILE: return true;
  case OPTION_DEFINE: return store_define(call, value);
  case OPTION_IMPORT_PATH: ARENA_PUSH(call->arena, call->import_paths, options->frontend.import_path_count, value); return true;
  case OPTION_CONFIG: return set_text(&options->config, value);
  case OPTION_WEIGHTS: return set_text(&options->weights, value);
  case OPTION_OPTIMISE: return store_optimisation(call, value);
  case OPTION_DEBUG_LINES: return set(&options->codegen.has_debug_lines);
  case OPTION_SCAN: return store_scan(call, value);
  case OPTION_PACKED: return store_packed(options, value);
  case OPTION_TARGET: return set_text(&options->codegen.target, value);
  case OPTION_CPU: return store_cpu(options, value);
  case OPTION_FEATURES: return set_text(&options->codegen.features, value);
  case OPTION_DEPENDENCIES_ONLY: return set(&options->has_only_dependencies);
  case OPTION_DEPENDENCIES: return set(&options->has_dependencies);
  case OPTION_DEPENDENCY_FILE: return set_text(&options->dependency_file, value);
  case OPTION_DEPENDENCY_TARGET: return set_text(&options->dependency_target, value);
  case OPTION_CHECK: return set(&options->is_checking);
  case OPTION_AGAINST: return set_text(&options->against, value);
  case OPTION_FORMS: return store_forms(call, value);
  case OPTION_LAYER: return set_text(&options->frontend.layer, value);
  case OPTION_SEED: return store_number("--seed", value, 1, 1 << 30, &options->seed);
  case OPTION_THREADS: return store_number("--threads", value, 1, 4096, &options->threads);
  case OPTION_EXPLAIN: return set(&options->is_explaining);
  case OPTION_DUMP: return store_pass("--dump", value, true, &options->pipeline.dump);
  case OPTION_STOP_AFTER: return store_pass("--stop-after", value, false, &options->pipeline.stop_after);
  case OPTION_DISABLE: return store_disabled(call, value);
  case OPTION_TIME_PASSES: return set(&options->pipeline.is_timing);
  case OPTION_RUN_PASS: return store_pass("--run-pass", value, false, &options->run_pass);
  case OPTION_VERIFY: return set(&options->pipeline.is_verifying);
  case OPTION_HELP: return store_help(options, value);
  case OPTION_VERSION: return set(&options->has_version);
  case OPTION_COUNT: break;
  }
  internal_error("option '%s' is in the table and not in store()", row->spelling);
}

static bool store_input(Call *call, const char *path) {
  if (call->options->input) return wrong("one model at a time: '%s' and '%s' are given", call->options->input, path);
  call->options->input = path;
  return true;
}

/* ---- what only makes sense together ---- */

/* Without --emit the ending of -o chooses. */
static bool choose_emit(Options *options) {
  bool has_emit = false;
  for (int kind = 0; kind < EMIT_COUNT; kind++) has_emit |= options->emit[kind];
  if (has_emit) return true;
  const char *slash = options->output ? strrchr(options->output, '/') : NULL;
  const char *name = slash ? slash + 1 : options->output;
  const char *ending = name ? strrchr(name, '.') : NULL;
  for (int kind = 0; ending && kind < EMIT_COUNT; kind++)
    if (strcmp(emit_table[kind].extension, ending) == 0) return options->emit[kind] = true;
  return options->emit[EMIT_OBJECT] = true;
}

static bool check_together(Options *options) {
  if (!options->input) return wrong("no model file given; see seqc --help");
  if (options->is_checking && !options->against && options->weights) return wrong("--check takes --weights only with --against FILE, the reference data");
  if (options->against && !options->is_checking && !options->is_explaining) return wrong("--against is for --check and --explain");
  if (options->is_explaining && options->is_checking) return wrong("--check and --explain are two runs");
  if (options->is_explaining && options->codegen.cpu && strchr(options->codegen.cpu, ','))
    return wrong("--explain is for one processor, found the list '%s'", options->codegen.cpu);
  if (options->is_explaining && options->output) return wrong("--explain writes no file, so -o has no meaning");
  if (options->is_checking && options->output) return wrong("--check writes no file, so -o has no meaning");
  if (options->has_forms && !options->is_checking) return wrong("--forms is for --check");
  if (options->seed && (!options->is_checking || options->against)) return wrong("--seed is for --check without --against");
  if (options->threads && !options->is_checking)
    return wrong("--threads is for --check; compiled code takes its threads from the caller");
  if ((options->dependency_file || options->dependency_target) && !options->has_dependencies && !options->has_only_dependencies)
    return wrong("-MF and -MT need -M or -MD");
  if (options->output && strcmp(options->output, "-") == 0) {
    int kinds = 0;
    for (int kind = 0; kind < EMIT_COUNT; kind++) kinds += options->emit[kind];
    if (kinds > 1) return wrong("one --emit at a time goes to standard output");
  }
  return choose_emit(options);
}

bool options_parse(Arena *arena, int argument_count, char **arguments, Options *out_options) {
  Options *options = out_options;
  memset(options, 0, sizeof *options);
  options->pipeline.optimisation = options->codegen.optimisation = 2;
  options->codegen.is_pic = true;
  options->pipeline.dump_stream = stderr;
#ifndef NDEBUG
  options->pipeline.is_verifying = true;
#endif
  Call call = {.arena = arena, .count = argument_count, .next = 1, .arguments = arguments, .options = options};
  bool are_options_over = false;
  while (call.next < call.count) {
    const char *argument = arguments[call.next++];
    if (are_options_over || argument[0] != '-' || argument[1] == '\0') {
      if (!store_input(&call, argument)) return false;
    } else if (strcmp(argument, "--") == 0) {
      are_options_over = true;
    } else {
      const OptionRow *row = find_row(argument);
      const char *value;
      if (!row) return unknown_option(&call, argument);
      if (!take_argument(&call, row, argument, &value) || !store(&call, row, value)) return false;
    }
  }
  options->frontend.defines = call.defines;
  options->frontend.import_paths = call.import_paths;
  options->pipeline.disabled = call.disabled;
  return options->help || options->has_version || options->has_cpu_help || check_together(options);
}

/* ---- printing the table ---- */

/* "-o FILE", "--emit=KIND", "-O LEVEL" as "-OLEVEL". */
static const char *synopsis(Arena *arena, const OptionRow *row) {
  switch (row->form) {
  case FORM_PLAIN: return row->spelling;
  case FORM_JOINED: return arena_format(arena, "%s%s", row->spelling, row->argument);
  case FORM_EITHER: return arena_format(arena, "%s %s", row->spelling, row->argument);
  case FORM_VALUE: return arena_format(arena, "%s=%s", row->spelling, row->argument);
  case FORM_OPTIONAL: return arena_format(arena, "%s[=%s]", row->spelling, row->argument);
  }
  return "";
}

/* The text from HELP_COLUMN on, broken between words. */
static void print_wrapped(FILE *stream, const char *text) {
  int column = HELP_COLUMN;
  while (*text) {
    int length = (int)strcspn(text, " ");
    bool is_first = column == HELP_COLUMN;
    if (!is_first && column + 1 + length > HELP_WIDTH) {
      fprintf(stream, "\n%*s", HELP_COLUMN, "");
      column = HELP_COLUMN;
    } else if (!is_first) {
      fputc(' ', stream);
      column++;
    }
    fprintf(stream, "%.*s", length, text);
    column += length;
    text += length;
    text += strspn(text, " ");
  }
  fputc('\n', stream);
}

void options_print_help(FILE *stream) {
  Arena *arena = arena_create();
  fputs("usage: seqc [options] MODEL.seq\n\n"
        "Compiles the equations of a sequence model to an object file and a header.\n"
        "MODEL.seq may be '-' for standard input, or FILE.eq, equations as --emit=equations prints them.\n",
        stream);
  for (int r = 0; r < ROW_COUNT; r++) {
    if (!rows[r].help) continue;
    if (!rows[r].spelling) {
      fprintf(stream, "\n%s:\n", rows[r].help);
      continue;
    }
    const char *left = synopsis(arena, &rows[r]);
    fprintf(stream, "  %-*s", HELP_COLUMN - 2, left);
    if (strlen(left) > HELP_COLUMN - 4) fprintf(stream, "\n%*s", HELP_COLUMN, "");
    print_wrapped(stream, rows[r].help);
  }
  fputs("\nExit codes: 0 done; 1 errors in the model, or --check found a difference; 2 wrong call; 3 a file cannot be\n"
        "read or written; 4 out of memory.\n",
        stream);
  arena_destroy(arena);
}

static void print_roff(FILE *stream, const char *text) {
  for (; *text; text++) {
    if (*text == '-' || *text == '\\') fputc('\\', stream);
    fputc(*text, stream);
  }
}

void options_print_manual(FILE *stream) {
  Arena *arena = arena_create();
  for (int r = 0; r < ROW_COUNT; r++) {
    if (!rows[r].help) continue;
    fputs(rows[r].spelling ? ".TP\n.B " : ".SS ", stream);
    print_roff(stream, rows[r].spelling ? synopsis(arena, &rows[r]) : rows[r].help);
    if (rows[r].spelling) {
      fputs("\n", stream);
      print_roff(stream, rows[r].help);
    }
    fputs("\n", stream);
  }
  arena_destroy(arena);
}
