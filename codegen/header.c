/* header.c - NAME.h: what a C or C++ program includes to use one model without tables.
 *
 * All entry points are inline functions over the descriptor, so the object still exports one symbol. Their arguments are
 * collected in a list first, as a declaration and a remark each, and then written as a comment and as a signature.
 */
#include <ctype.h>

#include "codegen/module.h"

enum { WIDEST_LINE = 110 };

typedef struct Argument {
  const char *type, *name, *remark;
} Argument;

typedef struct Header {
  Arena *arena;
  const Module *module;
  Text text;
  const char *name, *upper; /* prefixes of functions and of constants */
  int name_count;           /* names that are taken in the scope at hand */
  const char **names;
  int argument_count;
  Argument *arguments;
} Header;

/* ---- names ---- */

/* Words that cannot be an argument of these functions: keywords of C and C++, and what their bodies or <complex.h> mean by a name. */
static bool is_keyword(Arena *arena, const char *name) {
  static const char keywords[] =
      " alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t char8_t class compl concept"
      " const const_cast consteval constexpr constinit continue co_await co_return co_yield decltype default delete do double"
      " dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable namespace new"
      " noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires restrict "
      "return short"
      " signed sizeof static static_assert static_cast struct switch template this thread_local throw true try typedef typeid"
      " typename typeof typeof_unqual union unsigned using virtual void volatile wchar_t while xor xor_eq"
      " int32_t int64_t memset seqrt_call seqrt_context seqrt_fault I NULL ";
  return strstr(keywords, arena_format(arena, " %s ", name)) != NULL;
}

static bool is_taken(const Header *header, const char *name) {
  for (int n = 0; n < header->name_count; n++)
    if (!strcmp(name, header->names[n])) return true;
  return is_keyword(header->arena, name);
}

/* `wanted`, with underscores appended until it is free in this scope. */
static const char *claim_name(Header *header, const char *wanted) {
  const char *name = wanted;
  while (is_taken(header, name)) name = arena_format(header->arena, "%s_", name);
  ARENA_PUSH(header->arena, header->names, header->name_count, name);
  return name;
}

static void claim_all(Header *header, const char *const *names, size_t count) {
  header->name_count = 0;
  for (size_t n = 0; n < count; n++) claim_name(header, names[n]);
}

/* "layers.{}.weight" as LAYERS_WEIGHT. */
static const char *constant_name(Arena *arena, const char *name) {
  Text text = {.arena = arena};
  bool is_gap = false;
  for (const char *c = name; *c; c++) {
    bool is_good = isascii((unsigned char)*c) && isalnum((unsigned char)*c);
    if (is_good && is_gap && text.length) text_add(&text, "_");
    is_gap = !is_good;
    if (is_good) text_format(&text, "%c", toupper((unsigned char)*c));
  }
  return text.length ? text_string(&text) : "_";
}

/* An author's text inside of a comment: nothing in it may end the comment. */
static const char *comment_text(Arena *arena, const char *text) {
  char *copy = arena_string(arena, text);
  for (char *c = copy; *c; c++)
    if ((*c == '*' && c[1] == '/') || (*c == '/' && c[1] == '*') || (unsigned char)*c < 32) *c = ' ';
  return copy;
}

/* ---- remarks ---- */

static const char *shape_text(const Header *header, const Tensor *tensor) {
  Text text = {.arena = header->arena};
  const Program *program = header->module->interface;
  text_add(&text, "(");
  for (int axis = 0; axis < tensor->rank; axis++) {
    Size size = tensor->shape[axis];
    if (axis) text_add(&text, ", ");
    if (size.symbol == NONE) text_format(&text, "%lld", (long long)size.constant);
    else text_add(&text, program->symbols[size.symbol].kind == SYMBOL_BATCH ? "B" : program->symbols[size.symbol].name);
  }
  text_add(&text, ")");
  return text_string(&text);
}

static const Tensor *port_tensor(const Header *header, const Port *port) {
  return &header->module->interface->tensors[port->tensor];
}

static const char *port_remark(const Header *header, const Port *port, int number, const char *more) {
  const Tensor *tensor = port_tensor(header, port);
  const char *type = tensor->type == TYPE_INT ? "int32" : "float32", *range = "";
  int64_t low, high;
  if (port->kind == PORT_INPUT && module_input_range(header->module, number, &low, &high))
    range = arena_format(header->arena, ", %lld <= value < %lld", (long long)low, (long long)high);
  return arena_format(header->arena, "%s %s%s%s", shape_text(header, tensor), type, range, more);
}

/* ---- constants ---- */

static void write_ports(Header *header, PortKind kind, const char *what, const char *count_name) {
  const char *const taken[] = {arena_format(header->arena, "%s_%s", header->upper, count_name)};
  claim_all(header, taken, 1);
  int count = module_port_count(header->module, kind);
  text_add(&header->text, "enum {\n");
  for (int n = 0; n < count; n++) {
    const Port *port = module_port(header->module, kind, n);
    const char *wanted = arena_format(header->arena, "%s_%s_%s", header->upper, what, constant_name(header->arena, port->name));
    text_format(&header->text, "  %s = %d, /* %s: %s */\n", claim_name(header, wanted), n,
                comment_text(header->arena, port->name), port_remark(header, port, n, ""));
  }
  text_format(&header->text, "  %s = %d\n};\n\n", taken[0], count);
}

static const char *stored_shape_text(const Header *header, const Port *port) {
  Text text = {.arena = header->arena};
  text_add(&text, "(");
  for (int axis = 0; axis < port->stored_rank; axis++)
    text_format(&text, "%s%lld", axis ? ", " : "", (long long)port->stored_shape[axis]);
  text_add(&text, ")");
  return text_string(&text);
}

static void write_parameters(Header *header) {
  const char *const taken[] = {arena_format(header->arena, "%s_PARAMETER_SLOTS", header->upper)};
  claim_all(header, taken, 1);
  int slots = 0;
  text_add(
      &header->text,
      "/* Slots of the tables of parameters and of their gradients; a parameter with turns has one slot for each, in order. */\n"
      "enum {\n");
  for (int n = 0; module_port(header->module, PORT_PARAMETER, n); n++) {
    const Port *port = module_port(header->module, PORT_PARAMETER, n);
    const char *wanted = arena_format(header->arena, "%s_PARAMETER_%s", header->upper, constant_name(header->arena, port->name));
    int turns = port_slot_count(header->module, port);
    text_format(&header->text, "  %s = %d, /* %s: %s float32%s */\n", claim_name(header, wanted), slots,
                comment_text(header->arena, port->name), stored_shape_text(header, port),
                port->has_turns ? arena_format(header->arena, ", %d turns", turns) : "");
    slots += turns;
  }
  text_format(&header->text, "  %s = %d\n};\n\n", taken[0], slots);
}

/* ---- functions ---- */

static const char *add_argument(Header *header, const char *type, const char *name, const char *remark) {
  Argument argument = {type, claim_name(header, name), remark};
  ARENA_PUSH(header->arena, header->arguments, header->argument_count, argument);
  return argument.name;
}

/* Starts a scope; the locals of the bodies are taken. */
static void start_arguments(Header *header) {
  static const char *const locals[] = {"call",
                                       "inputs",
                                       "outputs",
                                       "lengths",
                                       "status",
                                       "context",
                                       "parameters",
                                       "batch",
                                       "steps",
                                       "initial_states",
                                       "state_in",
                                       "state_out",
                                       "capacity",
                                       "cotangents",
                                       "objective",
                                       "parameter_gradients",
                                       "input_gradients",
                                       "state_gradients",
                                       "packed",
                                       "workspace",
                                       "out_fault"};
  claim_all(header, locals, sizeof locals / sizeof *locals);
  header->argument_count = 0;
  header->arguments = NULL;
}

/* An argument whose name start_arguments has set aside. */
static void add_fixed(Header *header, const char *type, const char *name, const char *remark) {
  Argument argument = {type, name, remark};
  ARENA_PUSH(header->arena, header->arguments, header->argument_count, argument);
}

/* "const float *x", "int64_t batch" */
static const char *declaration(const Header *header, const char *type, const char *name) {
  return arena_format(header->arena, "%s%s%s", type, type[strlen(type) - 1] == '*' ? "" : " ", name);
}

static void write_signature(Header *header, const char *result, const char *function) {
  Text *text = &header->text;
  size_t widest = 0;
  for (int n = 0; n < header->argument_count; n++)
    if (strlen(header->arguments[n].name) > widest) widest = strlen(header->arguments[n].name);
  for (int n = 0; n < header->argument_count; n++)
    text_format(text, " *   %-*s  %s\n", (int)widest, header->arguments[n].name, header->arguments[n].remark);
  const char *line = arena_format(header->arena, "static inline %s %s_%s(", result, header->name, function);
  text_add(text, " */\n");
  for (int n = 0; n < header->argument_count; n++) {
    const Argument *argument = &header->arguments[n];
    const char *piece = arena_format(header->arena, "%s%s", declaration(header, argument->type, argument->name),
                                     n + 1 < header->argument_count ? "," : ") {");
    if (strlen(line) + strlen(piece) > WIDEST_LINE) {
      text_format(text, "%s\n", line);
      line = arena_format(header->arena, "    %s", piece);
    } else {
      line = arena_format(header->arena, "%s%s%s", line, n ? " " : "", piece);
    }
  }
  text_format(text, "%s\n", line);
}

/* The lengths as arguments; their values by number in out_values. With a fixed step the stream's is 1. */
static void add_lengths(Header *header, bool is_step, const char **out_values) {
  const Module *module = header->module;
  for (int n = 0; n < module_length_count(module); n++) {
    const Symbol *symbol = &module->interface->symbols[module_length_symbol(module, n)];
    bool is_stream = symbol->kind == SYMBOL_STREAM;
    if (is_stream && is_step) {
      out_values[n] = "1";
    } else if (is_stream) {
      add_fixed(header, "int64_t", "steps", arena_format(header->arena, "%s, the number of steps, at least 1", symbol->name));
      out_values[n] = "steps";
    } else {
      const char *wanted = arena_format(header->arena, "length_%s", codegen_identifier(header->arena, symbol->name));
      out_values[n] = add_argument(header, "int64_t", wanted, arena_format(header->arena, "%s, at least 1", symbol->name));
    }
  }
}

static void write_table(Header *header, const char *type, const char *table, const char *const *values, int count) {
  if (!count) return;
  text_format(&header->text, "  %s[] = {", declaration(header, type, table));
  for (int n = 0; n < count; n++) text_format(&header->text, "%s%s", n ? ", " : "", values[n]);
  text_add(&header->text, "};\n");
}

typedef struct EntryText {
  EntryKind entry;
  bool is_step;
  const char *function, *comment;
} EntryText;

/* Values of the local tables of one function. */
typedef struct Tables {
  const char **inputs, **lengths, **outputs;
  int input_count, length_count, output_count;
} Tables;

static void add_inputs(Header *header, const EntryText *entry, Tables *tables) {
  const Module *module = header->module;
  if (entry->entry == ENTRY_INITIAL) return;
  tables->input_count = module_port_count(module, PORT_INPUT);
  tables->inputs = ARENA_ARRAY(header->arena, const char *, tables->input_count);
  for (int n = 0; n < tables->input_count; n++) {
    const Port *port = module_port(module, PORT_INPUT, n);
    bool is_wanted = entry->entry != ENTRY_FORWARD || !port->is_for_objective;
    const char *type = port_tensor(header, port)->type == TYPE_INT ? "const int32_t *" : "const float *";
    const char *name = codegen_identifier(header->arena, port->name);
    tables->inputs[n] = is_wanted ? add_argument(header, type, name, port_remark(header, port, n, "")) : "NULL";
  }
}

static void add_outputs(Header *header, const EntryText *entry, Tables *tables) {
  if (entry->entry != ENTRY_FORWARD) return;
  tables->output_count = module_port_count(header->module, PORT_OUTPUT);
  tables->outputs = ARENA_ARRAY(header->arena, const char *, tables->output_count);
  for (int n = 0; n < tables->output_count; n++) {
    const Port *port = module_port(header->module, PORT_OUTPUT, n);
    const char *type = port_tensor(header, port)->type == TYPE_INT ? "int32_t *" : "float *";
    const char *remark = port_remark(header, port, n, "; NULL: not wanted");
    bool is_whole = entry->is_step && !port->streams; /* exists for a whole sequence only */
    tables->outputs[n] = is_whole ? "NULL" : add_argument(header, type, codegen_identifier(header->arena, port->name), remark);
  }
}

static void add_gradients(Header *header) {
  const Module *module = header->module;
  if (!module->has_objective)
    add_fixed(header, "const float *const *", "cotangents", "gradient of the result by each output, NULL entries mean zero");
  add_fixed(header, "float *const *", "parameter_gradients",
            "NULL, or one pointer for each slot; overwritten, NULL skips a parameter (all of its turns)");
  add_fixed(header, "float *const *", "input_gradients", "NULL, or one pointer for each input, NULL entries are skipped");
  if (module_port(module, PORT_STATE, 0))
    add_fixed(header, "float *const *", "state_gradients", "NULL, or one pointer for each state; only where state_in is NULL");
}

static void add_arguments(Header *header, const EntryText *entry, Tables *tables) {
  const Module *module = header->module;
  start_arguments(header);
  add_fixed(header, "const seqrt_context *", "context", "a team of threads, NULL: the calling thread alone");
  if (module_port(module, PORT_PARAMETER, 0))
    add_fixed(header, "const float *const *", "parameters",
              arena_format(header->arena, "%s_PARAMETER_SLOTS pointers", header->upper));
  add_inputs(header, entry, tables);
  add_fixed(header, "int64_t", "batch", "B, the number of rows, at least 1");
  tables->length_count = module_length_count(module);
  tables->lengths = ARENA_ARRAY(header->arena, const char *, tables->length_count);
  add_lengths(header, entry->is_step || entry->entry == ENTRY_INITIAL, tables->lengths);
  if (module_port(module, PORT_STATE, 0))
    add_fixed(header, "const float *const *", "initial_states",
              arena_format(header->arena, "NULL, or %s_STATES pointers, NULL entries mean zero", header->upper));
  if (entry->entry != ENTRY_INITIAL && module->has_step)
    add_fixed(header, "const void *", "state_in", "NULL: the start of the sequence");
  add_fixed(header, "void *", "state_out",
            entry->entry == ENTRY_INITIAL ? "the state before the first step" : "NULL: not wanted; may be the same as state_in");
  if (module_grows(module))
    add_fixed(header, "int64_t", "capacity", "steps, in all, that state_out has room for; 0 without one at the start of the sequence");
  add_outputs(header, entry, tables);
  if (module->has_objective && (entry->entry == ENTRY_OBJECTIVE || entry->entry == ENTRY_GRADIENT))
    add_fixed(header, "float *", "objective", "one number; NULL: not wanted");
  if (entry->entry == ENTRY_GRADIENT) add_gradients(header);
  if (module->kernels[ENTRY_PACK] && (entry->entry == ENTRY_FORWARD || entry->entry == ENTRY_OBJECTIVE))
    add_fixed(header, "void *", "packed",
              arena_format(header->arena, "what %s_pack made of the parameters, only read; NULL: packed in each call", header->name));
  add_fixed(header, "void *", "workspace",
            arena_format(header->arena, "%s_workspace_size(...) bytes, aligned to 64", header->name));
  add_fixed(header, "seqrt_fault *", "out_fault", "what is wrong when the result is not SEQRT_OK; NULL: not wanted");
}

static void write_entry(Header *header, const EntryText *entry) {
  static const char *const entry_constants[ENTRY_COUNT] = {"SEQRT_FORWARD", "SEQRT_OBJECTIVE", "SEQRT_GRADIENT", "SEQRT_INITIAL", "SEQRT_PACK"};
  Text *text = &header->text;
  Tables tables = {0};
  add_arguments(header, entry, &tables);
  text_format(text, "/* %s Returns a seqrt_code.\n", entry->comment);
  write_signature(header, "int32_t", entry->function);
  write_table(header, "const void *", "inputs", tables.inputs, tables.input_count);
  write_table(header, "void *", "outputs", tables.outputs, tables.output_count);
  write_table(header, "const int64_t", "lengths", tables.lengths, tables.length_count);
  text_add(text,
           "  seqrt_call call;\n  int32_t status;\n  memset(&call, 0, sizeof call);\n  call.abi_version = SEQRT_ABI_VERSION;\n");
  if (tables.length_count) text_add(text, "  call.lengths = lengths;\n");
  if (tables.input_count) text_add(text, "  call.inputs = inputs;\n");
  if (tables.output_count) text_add(text, "  call.outputs = outputs;\n");
  for (int n = 0; n < header->argument_count; n++) {
    static const char *const fields[] = {"context",         "parameters", "batch",     "initial_states",      "state_in",
                                         "state_out",       "cotangents", "objective", "parameter_gradients", "input_gradients",
                                         "state_gradients", "packed",    "workspace",  "capacity"};
    for (size_t f = 0; f < sizeof fields / sizeof *fields; f++)
      if (!strcmp(header->arguments[n].name, fields[f])) text_format(text, "  call.%s = %s;\n", fields[f], fields[f]);
  }
  text_format(text, "  status = %s_model.entries[%s](&call);\n", header->name, entry_constants[entry->entry]);
  text_add(text, "  if (out_fault) *out_fault = call.fault;\n  return status;\n}\n\n");
}

static void write_sizes(Header *header) {
  Text *text = &header->text;
  const char **lengths = ARENA_ARRAY(header->arena, const char *, module_length_count(header->module));
  start_arguments(header);
  add_argument(header, "seqrt_entry_kind", "entry", "which entry point; a step is SEQRT_FORWARD with one step");
  add_fixed(header, "int64_t", "batch", "B, the number of rows");
  add_lengths(header, false, lengths);
  if (module_grows(header->module))
    add_fixed(header, "int64_t", "capacity", "that of the call; 0 for a whole sequence without a state");
  add_fixed(header, "int32_t", "threads", "of the context that the call will have; 1 without one");
  text_add(text, "/* Bytes of workspace that a call needs; 0 for impossible sizes.\n");
  write_signature(header, "int64_t", "workspace_size");
  write_table(header, "const int64_t", "lengths", lengths, module_length_count(header->module));
  bool grows = module_grows(header->module);
  bool has_lengths = module_state_has_lengths(header->module); /* those of a call, the stream's first */
  const char *lengths_given = has_lengths ? ", const int64_t *lengths" : "", *lengths_passed = has_lengths ? "lengths" : "NULL";
  const char *capacity = grows ? ", int64_t capacity" : "", *value = grows ? "capacity" : "0";
  text_format(text, "  return %s_model.workspace_size((int32_t)entry, batch, %s, %s, threads);\n}\n\n", header->name,
              module_length_count(header->module) ? "lengths" : "NULL", value);
  text_format(text,
              "/* Bytes of a state%s, which is aligned to 64; 0 for impossible sizes. */\n"
              "static inline int64_t %s_state_size(int64_t batch%s%s) {\n  return %s_model.state_size(batch, %s, %s);\n}\n\n",
              grows ? " with room for `capacity` steps in all" : "", header->name, lengths_given, capacity, header->name, lengths_passed, value);
  if (!module_port(header->module, PORT_STATE, 0)) return;
  text_format(text,
              "/* The values of a declared state inside of a state that an entry point has written.%s */\n"
              "static inline float *%s_state_values(void *state_out, int32_t state, int64_t batch%s%s) {\n"
              "  return (float *)((char *)state_out + %s_model.state_offset(state, batch, %s, %s));\n}\n\n",
              grows ? " Along all steps so far it has\n * `capacity` places, the first of them filled." : "", header->name, lengths_given,
              capacity, header->name, lengths_passed, value);
}

/* What becomes of values that are packed. */
static const char *packed_precision(const Module *module) {
  static const char *const said[PACKED_FORMAT_COUNT] = {
      [PACKED_F32] = "", [PACKED_BF16] = " They are rounded to bf16 there, and only there.",
      [PACKED_INT8] = " They are rounded to 8 bits there, and only there:\n * to multiples of 1/127 of the largest of every 32 terms of a product."};
  const Kernel *pack = module->kernels[ENTRY_PACK];
  PackedFormat format = PACKED_F32;
  for (BufferId n = 0; n < pack->buffer_count; n++)
    if (pack->buffers[n].format > format) format = pack->buffers[n].format;
  return said[format];
}

/* Packing depends on neither batch nor lengths, and needs no workspace beside what it writes. */
static void write_pack(Header *header) {
  int lengths = module_length_count(header->module);
  text_format(&header->text,
              "/* The parameters in the order in which products read them, and what is computed of them alone, for many calls: packed has\n"
              " * %s_model.packed_size bytes, aligned to 64.%s To be repeated when parameters have changed. Returns a seqrt_code. */\n"
              "static inline int32_t %s_pack(const seqrt_context *context, const float *const *parameters, void *packed,\n"
              "                              seqrt_fault *out_fault) {\n",
              header->name, packed_precision(header->module), header->name);
  if (lengths) text_add(&header->text, "  static const int64_t lengths[] = {1");
  for (int n = 1; n < lengths; n++) text_add(&header->text, ", 1");
  if (lengths) text_add(&header->text, "};\n");
  text_add(&header->text,
           "  seqrt_call call;\n  int32_t status;\n  memset(&call, 0, sizeof call);\n  call.abi_version = SEQRT_ABI_VERSION;\n"
           "  call.context = context;\n  call.batch = 1;\n");
  if (lengths) text_add(&header->text, "  call.lengths = lengths;\n");
  text_format(&header->text,
              "  call.parameters = parameters;\n  call.packed = packed;\n  call.workspace = packed;\n"
              "  status = %s_model.entries[SEQRT_PACK](&call);\n  if (out_fault) *out_fault = call.fault;\n  return status;\n}\n\n",
              header->name);
}

static void write_entries(Header *header) {
  const EntryText entries[] = {
      {ENTRY_FORWARD, false, "forward", "Outputs and state of any number of steps, from any state."},
      {ENTRY_FORWARD, true, "step", "Outputs and state of one step (T = 1)."},
      {ENTRY_OBJECTIVE, false, "objective", "The objective and the state."},
      {ENTRY_GRADIENT, false, "gradient", "The gradients of parameters, inputs and initial states."},
      {ENTRY_INITIAL, false, "initial", "The state before the first step."},
  };
  for (size_t n = 0; n < sizeof entries / sizeof *entries; n++)
    if (header->module->kernels[entries[n].entry] && (!entries[n].is_step || header->module->has_step))
      write_entry(header, &entries[n]);
  if (header->module->kernels[ENTRY_PACK]) write_pack(header);
}

/* Which processors there is code for, where there are several. */
static void write_processors(Header *header, const Codegen *codegen) {
  int count = codegen_processor_count(codegen);
  if (count == 1) return;
  text_add(&header->text, " *\n * There is code for these processors:");
  for (int n = 0; n < count; n++) text_format(&header->text, "%s %s", n ? "," : "", codegen_processor_name(codegen, n));
  text_format(&header->text,
              ".\n * The first call picks the best that the machine runs: the last one in this order. %s_model.use_processor picks another.\n",
              header->name);
}

const char *codegen_header(const Codegen *codegen, Arena *arena, const Module *module, const char *source_path) {
  Header header = {.arena = arena, .module = module, .text = {.arena = arena}, .name = codegen_identifier(arena, module->name)};
  char *upper = arena_string(arena, header.name);
  for (char *c = upper; *c; c++) *c = (char)toupper((unsigned char)*c);
  header.upper = upper;
  Text *text = &header.text;
  text_format(text, "/* %s.h - the model '%s', made by seqc from %s; changes here are lost.\n *\n", header.name,
              comment_text(arena, module->name), comment_text(arena, source_path ? source_path : "standard input"));
  text_format(text,
           " * Arrays are dense and row-major. B is the batch. Nothing here allocates, and nothing has global state%s.\n",
           codegen_processor_count(codegen) > 1 ? " but for the processor that is used" : "");
  write_processors(&header, codegen);
  text_add(text, " */\n");
  text_format(text, "#ifndef SEQC_MODEL_%s_H\n#define SEQC_MODEL_%s_H\n\n#include <seqrt/abi.h>\n#include <string.h>\n\n", upper,
              upper);
  text_add(text, "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
  text_format(text, "extern const seqrt_model %s_model;\n\n", header.name);
  write_parameters(&header);
  write_ports(&header, PORT_INPUT, "INPUT", "INPUTS");
  write_ports(&header, PORT_OUTPUT, "OUTPUT", "OUTPUTS");
  write_ports(&header, PORT_STATE, "STATE", "STATES");
  write_sizes(&header);
  write_entries(&header);
  text_add(text, "#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
  return text_string(text);
}
