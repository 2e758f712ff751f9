/* processors.c - which processors code is made for: what --cpu names, in order from the plainest to the best.
 *
 * The better of two has the wider vectors, then more instruction sets; of equals the one that was named later. An object for several also
 * has code for the baseline of its architecture, so there is none of its machines where it does not run.
 */
#include "codegen/processors.h"

#include "base/text.h"

static const char x86_64[] = "x86_64-", baseline_name[] = "x86-64";

static char *take_message(Arena *arena, char *message) {
  char *text = arena_string(arena, message);
  LLVMDisposeMessage(message);
  return text;
}

/* Names the processor and its features. NULL or "native" is the host's where the target is. */
static bool name_processor(const Codegen *codegen, const char *name, Processor *processor, Diagnostics *diagnostics) {
  Arena *arena = codegen->arena;
  const char *extra = codegen->options.features ? codegen->options.features : "";
  char *host_triple = take_message(arena, LLVMGetDefaultTargetTriple());
  bool is_host = is_same_architecture(codegen->triple, host_triple);
  bool is_native = name ? !strcmp(name, "native") : is_host;
  if (is_native && !is_host) {
    diagnostics_error(diagnostics, (SourceRange){0},
                      "processor 'native' needs a target of this machine, '%s', found '%s'; name one of --cpu=help", host_triple,
                      codegen->triple);
    return false;
  }
  processor->is_here = is_native && !codegen->options.target;
  if (is_native) {
    processor->name = take_message(arena, LLVMGetHostCPUName());
    const char *found = take_message(arena, LLVMGetHostCPUFeatures());
    processor->features = arena_format(arena, "%s%s%s", found, *found && *extra ? "," : "", extra);
  } else {
    processor->name = arena_string(arena, name                                            ? name
                                          : is_same_architecture(codegen->triple, x86_64) ? baseline_name
                                                                                          : "generic");
    processor->features = arena_string(arena, extra);
  }
  return true;
}

static bool append_processor(Codegen *codegen, const char *name, Diagnostics *diagnostics) {
  Processor processor = {0};
  if (!name_processor(codegen, name, &processor, diagnostics)) return false;
  for (int n = 0; n < codegen->processor_count; n++) {
    if (strcmp(codegen->processors[n].name, processor.name)) continue;
    const char *is = strcmp(name, processor.name) ? arena_format(codegen->arena, "'%s' is '%s', which", name, processor.name)
                                                  : arena_format(codegen->arena, "'%s'", name);
    diagnostics_error(diagnostics, (SourceRange){0}, "processor %s is in the list '%s' twice", is, codegen->options.cpu);
    return false;
  }
  ARENA_PUSH(codegen->arena, codegen->processors, codegen->processor_count, processor);
  return true;
}

static bool read_list(Codegen *codegen, Diagnostics *diagnostics) {
  const CodegenOptions *options = &codegen->options;
  if (!is_same_architecture(codegen->triple, x86_64)) {
    diagnostics_error(diagnostics, (SourceRange){0},
                      "a list of processors, '%s', needs an x86_64 target, found '%s'; name one processor", options->cpu,
                      codegen->triple);
    return false;
  }
  if (options->features) {
    diagnostics_error(diagnostics, (SourceRange){0}, "--features is for one processor, found the list '%s'", options->cpu);
    return false;
  }
  const Processor baseline = {.name = arena_string(codegen->arena, baseline_name), .features = arena_string(codegen->arena, "")};
  ARENA_PUSH(codegen->arena, codegen->processors, codegen->processor_count, baseline); /* the target of the whole object */
  bool has_baseline = false;
  for (const char *next = options->cpu;; next++) {
    size_t length = strcspn(next, ",");
    if (!length) {
      diagnostics_error(diagnostics, (SourceRange){0}, "the list of processors '%s' has an empty name", options->cpu);
      return false;
    }
    const char *name = arena_string_length(codegen->arena, next, length);
    bool is_baseline = !has_baseline && !strcmp(name, baseline_name);
    if (!is_baseline && !append_processor(codegen, name, diagnostics)) return false;
    has_baseline |= is_baseline;
    next += length;
    if (!*next) return true;
  }
}

static bool is_better(const Processor *a, const Processor *b) {
  if (a->machine.lanes != b->machine.lanes) return a->machine.lanes > b->machine.lanes;
  return a->instruction_set_count > b->instruction_set_count;
}

static void sort(Processor *processors, int count) {
  for (int n = 1; n < count; n++) {
    Processor moved = processors[n];
    int place = n;
    for (; place > 0 && is_better(&processors[place - 1], &moved); place--) processors[place] = processors[place - 1];
    processors[place] = moved;
  }
}

bool processors_choose(Codegen *codegen, Diagnostics *diagnostics) {
  const char *names = codegen->options.cpu;
  bool is_list = names && strchr(names, ',');
  if (!(is_list ? read_list(codegen, diagnostics) : append_processor(codegen, names, diagnostics))) return false;
  for (int n = 0; n < codegen->processor_count; n++)
    if (!processor_probe(codegen, &codegen->processors[n], diagnostics)) return false;
  if (is_list && !processors_learn(codegen, diagnostics)) return false;
  sort(codegen->processors, codegen->processor_count);
  codegen_select(codegen, 0);
  return true;
}

void codegen_select(Codegen *codegen, int n) {
  const Processor *processor = &codegen->processors[n];
  codegen->cpu = processor->name;
  codegen->features = processor->features;
  codegen->machine = processor->machine;
  codegen->suffix = codegen->processor_count > 1
                        ? codegen_identifier(codegen->arena, arena_format(codegen->arena, "_%s", processor->name))
                        : "";
}

const Processor *processor_find(const Codegen *codegen, const char *name) {
  for (int n = 0; n < codegen->processor_count; n++)
    if (!strcmp(codegen->processors[n].name, name)) return &codegen->processors[n];
  internal_error("there is no processor '%s' among those of the object", name);
}

int codegen_processor_count(const Codegen *codegen) { return codegen->processor_count; }

const Machine *codegen_machines(const Codegen *codegen, int *out_count) {
  Machine *machines = ARENA_ARRAY(codegen->arena, Machine, codegen->processor_count);
  for (int n = 0; n < codegen->processor_count; n++) machines[n] = codegen->processors[n].machine;
  *out_count = codegen->processor_count;
  return machines;
}

const char *codegen_processor_name(const Codegen *codegen, int processor) { return codegen->processors[processor].name; }

const char *codegen_target_text(const Codegen *codegen) {
  Text text = {.arena = codegen->arena};
  text_format(&text, "%s ", codegen->triple);
  for (int n = 0; n < codegen->processor_count; n++) text_format(&text, "%s%s", n ? "," : "", codegen->processors[n].name);
  return text_string(&text);
}
