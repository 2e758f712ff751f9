/* target.c - which processor code is made for, and what the passes may know of it.
 *
 * The vector width is not looked up by name: a tiny function is compiled for the processor, and its assembly tells
 * which registers LLVM uses. So every processor that LLVM knows is understood, with any list of features.
 */
#include <setjmp.h>
#include <unistd.h>

#include <llvm-c/ErrorHandling.h>
#include <llvm-c/Support.h>

#include "codegen/capture.h"
#include "codegen/internal.h"
#include "codegen/jit.h"
#include "codegen/processors.h"

/* LLVM's loop strength reduction gives every pointer of a vector loop a register of its own and takes a quarter of the time of
 * code generation. It can be left out by a command line option only, which belongs to the process and may be given once. */
static void set_options(void) {
  static bool is_set;
  if (is_set) return;
  is_set = true;
  LLVMParseCommandLineOptions(2, (const char *const[]){"seqc", "-disable-lsr"}, NULL);
}

static void initialise_targets(void) {
  set_options();
  LLVMInitializeAllTargetInfos();
  LLVMInitializeAllTargets();
  LLVMInitializeAllTargetMCs();
  LLVMInitializeAllAsmPrinters();
  LLVMInitializeAllAsmParsers(); /* of pick.c's instructions */
}

/* Copies a string that LLVM owns. */
static char *take_message(Arena *arena, char *message) {
  char *text = arena_string(arena, message);
  LLVMDisposeMessage(message);
  return text;
}

static size_t architecture_length(const char *triple) { return strcspn(triple, "-"); }

bool is_same_architecture(const char *a, const char *b) {
  size_t length = architecture_length(a);
  return length == architecture_length(b) && !strncmp(a, b, length);
}

typedef struct MachineRequest {
  const Codegen *codegen;
  LLVMTargetRef target;
  LLVMTargetMachineRef machine;
} MachineRequest;

static void create_machine(void *context) {
  static const LLVMCodeGenOptLevel levels[] = {LLVMCodeGenLevelNone, LLVMCodeGenLevelLess, LLVMCodeGenLevelLess,
                                               LLVMCodeGenLevelAggressive};
  MachineRequest *request = context;
  const Codegen *codegen = request->codegen;
  request->machine = LLVMCreateTargetMachine(request->target, codegen->triple, codegen->cpu, codegen->features,
                                             levels[codegen->options.optimisation],
                                             codegen->options.is_pic ? LLVMRelocPIC : LLVMRelocStatic, LLVMCodeModelDefault);
}

/* LLVM reports an unknown name as "'x' is not a recognized processor for this target (ignoring processor)". */
static bool report_unknown(const Codegen *codegen, const char *printed, Diagnostics *diagnostics) {
  const char *complaint = strstr(printed, " is not a recognized ");
  if (!complaint) {
    if (*printed) diagnostics_warning(diagnostics, (SourceRange){0}, "%.*s", (int)strcspn(printed, "\n"), printed);
    return false;
  }
  const char *start = complaint;
  while (start > printed && start[-1] != '\n') start--;
  bool is_feature = !strncmp(complaint + strlen(" is not a recognized "), "feature", 7);
  diagnostics_error(diagnostics, (SourceRange){0}, "unknown %s %.*s for target '%s'; --cpu=help lists what there is",
                    is_feature ? "feature" : "processor", (int)(complaint - start), start, codegen->triple);
  return true;
}

/* For codegen->cpu; NULL after a diagnostic. */
static LLVMTargetMachineRef create_target_machine(const Codegen *codegen, Diagnostics *diagnostics) {
  MachineRequest request = {.codegen = codegen};
  char *message = NULL;
  if (LLVMGetTargetFromTriple(codegen->triple, &request.target, &message)) {
    LLVMDisposeMessage(message);
    diagnostics_error(diagnostics, (SourceRange){0},
                      "unknown target '%s'; expected a triple such as 'x86_64-pc-linux-gnu', --cpu=help lists the architectures",
                      codegen->triple);
    return NULL;
  }
  if (!LLVMTargetHasTargetMachine(request.target) || !LLVMTargetHasAsmBackend(request.target)) {
    diagnostics_error(diagnostics, (SourceRange){0}, "no code can be made for target '%s'; --cpu=help lists the architectures",
                      codegen->triple);
    return NULL;
  }
  const char *printed = capture_errors(codegen->arena, create_machine, &request);
  if (!request.machine) {
    diagnostics_error(diagnostics, (SourceRange){0}, "no code can be made for target '%s' and processor '%s'", codegen->triple,
                      codegen->cpu);
    return NULL;
  }
  if (!report_unknown(codegen, printed, diagnostics)) return request.machine;
  LLVMDisposeTargetMachine(request.machine);
  return NULL;
}

static void create_types(Codegen *codegen, LLVMTargetMachineRef machine) {
  codegen->target_machine = machine;
  codegen->context = LLVMContextCreate();
  codegen->data_layout = LLVMCreateTargetDataLayout(codegen->target_machine);
  codegen->type_void = LLVMVoidTypeInContext(codegen->context);
  codegen->type_i1 = LLVMInt1TypeInContext(codegen->context);
  codegen->type_i8 = LLVMInt8TypeInContext(codegen->context);
  codegen->type_i16 = LLVMInt16TypeInContext(codegen->context);
  codegen->type_i32 = LLVMInt32TypeInContext(codegen->context);
  codegen->type_i64 = LLVMInt64TypeInContext(codegen->context);
  codegen->type_f32 = LLVMFloatTypeInContext(codegen->context);
  codegen->type_ptr = LLVMPointerTypeInContext(codegen->context, 0);
}

/* Sums of two products each, of 16-bit integers. */
static void probe_dots(Codegen *codegen, LLVMBuilderRef builder, LLVMValueRef address) {
  LLVMTypeRef numbers = LLVMVectorType(codegen->type_i16, 32), wide = LLVMVectorType(codegen->type_i32, 32);
  LLVMValueRef loaded = LLVMBuildSExt(builder, LLVMBuildLoad2(builder, numbers, address, ""), wide, ""), half[2];
  LLVMValueRef products = LLVMBuildMul(builder, loaded, loaded, ""), places[16];
  for (unsigned odd = 0; odd < 2; odd++) {
    for (unsigned n = 0; n < 16; n++) places[n] = LLVMConstInt(codegen->type_i32, 2 * n + odd, false);
    half[odd] = LLVMBuildShuffleVector(builder, products, LLVMGetPoison(wide), LLVMConstVector(places, 16), "");
  }
  LLVMBuildStore(builder, LLVMBuildAdd(builder, half[0], half[1], ""), address);
}

/* The assembly of `void probe(ptr p)`: a fused multiply-add of 16 floats in memory, and sums of products of 16-bit integers. */
static const char *probe_assembly(Codegen *codegen) {
  codegen->machine.lanes = 16; /* so that the function asks for the widest registers */
  codegen->module = LLVMModuleCreateWithNameInContext("probe", codegen->context);
  LLVMSetTarget(codegen->module, codegen->triple);
  LLVMSetModuleDataLayout(codegen->module, codegen->data_layout);
  LLVMTypeRef type = LLVMFunctionType(codegen->type_void, &codegen->type_ptr, 1, false);
  LLVMValueRef function = codegen_add_function(codegen, "probe", type, LLVMExternalLinkage);
  LLVMBuilderRef builder = LLVMCreateBuilderInContext(codegen->context);
  LLVMPositionBuilderAtEnd(builder, LLVMAppendBasicBlockInContext(codegen->context, function, ""));
  LLVMTypeRef vector = LLVMVectorType(codegen->type_f32, 16);
  LLVMValueRef fma = codegen_intrinsic(codegen, "llvm.fma", vector);
  LLVMValueRef loaded = LLVMBuildLoad2(builder, vector, LLVMGetParam(function, 0), "");
  LLVMValueRef arguments[] = {loaded, loaded, loaded};
  LLVMValueRef result = LLVMBuildCall2(builder, LLVMGlobalGetValueType(fma), fma, arguments, 3, "");
  LLVMBuildStore(builder, result, LLVMGetParam(function, 0));
  probe_dots(codegen, builder, LLVMGetParam(function, 0));
  LLVMBuildRetVoid(builder);
  LLVMDisposeBuilder(builder);

  const char *text = "";
  LLVMMemoryBufferRef buffer = NULL;
  char *message = NULL;
  if (LLVMTargetMachineEmitToMemoryBuffer(codegen->target_machine, codegen->module, LLVMAssemblyFile, &message, &buffer))
    LLVMDisposeMessage(message);
  else {
    text = arena_string_length(codegen->arena, LLVMGetBufferStart(buffer), LLVMGetBufferSize(buffer));
    LLVMDisposeMemoryBuffer(buffer);
  }
  LLVMDisposeModule(codegen->module);
  codegen->module = NULL;
  return text;
}

/* One instruction does it for as many as a register holds. */
static bool finds_dots(const char *assembly, int lanes) {
  const char *dots = strstr(assembly, "pmaddwd");
  const char *registers = lanes == 16 ? "zmm" : lanes == 8 ? "ymm" : "xmm", *found = dots ? strstr(dots, registers) : NULL;
  return found && found < dots + strcspn(dots, "\n");
}

static int cache_bytes(int name, int otherwise) {
  long size = sysconf(name);
  return size > 0 && size < 1 << 30 ? (int)size : otherwise;
}

/* Of Linux' description of the first processor: what sysconf says may be the sum over all caches of the machine. */
static int last_cache_bytes(int otherwise) {
  int bytes = cache_bytes(_SC_LEVEL3_CACHE_SIZE, otherwise), described;
  FILE *file = fopen("/sys/devices/system/cpu/cpu0/cache/index3/size", "r");
  if (!file) return bytes;
  if (fscanf(file, "%dK", &described) == 1 && described > 0 && described < 1 << 20) bytes = described << 10;
  fclose(file);
  return bytes;
}

static Machine probe_machine(Codegen *codegen, bool is_here) {
  const char *assembly = probe_assembly(codegen);
  Machine machine = {.lanes = 4, .registers = 16, .tile_rows = 4, .tile_vectors = 2, .l1_bytes = 32 << 10, .l2_bytes = 512 << 10};
  if (strstr(assembly, "zmm")) {
    machine = (Machine){
        .lanes = 16, .registers = 32, .tile_rows = 8, .tile_vectors = 3, .l1_bytes = 48 << 10, .l2_bytes = 2 << 20};
  } else if (strstr(assembly, "ymm") && strstr(assembly, "vfmadd")) {
    machine.lanes = 8;
    machine.tile_rows = 6;
  } else if (is_same_architecture(codegen->triple, "aarch64-") || is_same_architecture(codegen->triple, "arm64-")) {
    machine.registers = 32;
    machine.tile_rows = 8;
    machine.tile_vectors = 3;
  }
  machine.has_dots = finds_dots(assembly, machine.lanes);
  machine.last_cache_bytes = 32 << 20;
  if (is_here) {
    machine.l1_bytes = cache_bytes(_SC_LEVEL1_DCACHE_SIZE, machine.l1_bytes);
    machine.l2_bytes = cache_bytes(_SC_LEVEL2_CACHE_SIZE, machine.l2_bytes);
    machine.last_cache_bytes = last_cache_bytes(machine.last_cache_bytes);
  }
  return machine;
}

/* LLVM has no other way to say that a processor of 32 bits cannot have code for a target of 64 than to end the process. */
static jmp_buf after_probe;

static void leave_probe(const char *reason) {
  (void)reason;
  longjmp(after_probe, 1);
}

/* What LLVM holds when it is left so is lost: the leak checker need not say it. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
static void watch_leaks(bool is_watching) {
  if (is_watching) __lsan_enable();
  else __lsan_disable();
}
#else
static void watch_leaks(bool is_watching) { (void)is_watching; }
#endif

static bool try_probe(Codegen *codegen, Processor *processor) {
  watch_leaks(false);
  bool is_possible = !setjmp(after_probe);
  if (is_possible) {
    LLVMInstallFatalErrorHandler(leave_probe);
    processor->machine = probe_machine(codegen, processor->is_here);
  }
  LLVMResetFatalErrorHandler();
  watch_leaks(true);
  return is_possible;
}

bool processor_probe(Codegen *codegen, Processor *processor, Diagnostics *diagnostics) {
  codegen->cpu = processor->name;
  codegen->features = processor->features;
  LLVMTargetMachineRef machine = create_target_machine(codegen, diagnostics);
  if (!machine) return false;
  if (codegen->target_machine) LLVMDisposeTargetMachine(machine); /* its name is known; functions say themselves what they are for */
  else create_types(codegen, machine);
  if (try_probe(codegen, processor)) return true;
  diagnostics_error(diagnostics, (SourceRange){0}, "processor '%s' cannot run code for target '%s'", processor->name, codegen->triple);
  return false;
}

Codegen *codegen_create(const CodegenOptions *options, Diagnostics *diagnostics) {
  initialise_targets();
  Arena *arena = arena_create();
  Codegen *codegen = ARENA_NEW(arena, Codegen);
  codegen->arena = arena;
  codegen->options = *options;
  int level = options->optimisation;
  codegen->options.optimisation = level < 0 ? 0 : level > 3 ? 3 : level;
  codegen->triple = take_message(arena,
                                 options->target ? LLVMNormalizeTargetTriple(options->target) : LLVMGetDefaultTargetTriple());
  if (processors_choose(codegen, diagnostics)) return codegen;
  codegen_destroy(codegen);
  return NULL;
}

void codegen_destroy(Codegen *codegen) {
  if (!codegen) return;
  jit_destroy(codegen);
  for (int kind = 0; kind <= OUTPUT_BITCODE; kind++)
    if (codegen->emitted[kind]) LLVMDisposeMemoryBuffer(codegen->emitted[kind]);
  if (codegen->module) LLVMDisposeModule(codegen->module);
  if (codegen->context) LLVMContextDispose(codegen->context);
  if (codegen->data_layout) LLVMDisposeTargetData(codegen->data_layout);
  if (codegen->target_machine) LLVMDisposeTargetMachine(codegen->target_machine);
  arena_destroy(codegen->arena);
}

static void ask_for_processors(void *context) {
  const char *const *names = context;
  LLVMTargetRef target = NULL;
  char *message = NULL;
  if (LLVMGetTargetFromTriple(names[0], &target, &message)) {
    LLVMDisposeMessage(message);
    return;
  }
  LLVMTargetMachineRef machine = LLVMCreateTargetMachine(target, names[0], "help", "", LLVMCodeGenLevelDefault, LLVMRelocPIC,
                                                         LLVMCodeModelDefault);
  if (machine) LLVMDisposeTargetMachine(machine);
}

/* Architectures, then LLVM's own list of processors of the host's architecture. */
void codegen_print_targets(FILE *stream) {
  initialise_targets();
  Arena *arena = arena_create();
  const char *triple = take_message(arena, LLVMGetDefaultTargetTriple());
  const char *processor = take_message(arena, LLVMGetHostCPUName());
  unsigned major, minor, patch;
  LLVMGetVersion(&major, &minor, &patch);
  fprintf(stream, "LLVM %u.%u.%u, this machine: %s, processor %s\n\nArchitectures for --target:\n", major, minor, patch, triple,
          processor);
  for (LLVMTargetRef target = LLVMGetFirstTarget(); target; target = LLVMGetNextTarget(target))
    fprintf(stream, "  %-12s %s\n", LLVMGetTargetName(target), LLVMGetTargetDescription(target));
  fprintf(stream, "\nProcessors for --cpu, besides 'native':\n");
  const char *list = capture_errors(arena, ask_for_processors, &triple);
  const char *start = strstr(list, "\n  ");
  const char *stop = start ? strstr(start, "\n\n") : NULL;
  if (stop) fwrite(start + 1, 1, (size_t)(stop - start), stream);
  arena_destroy(arena);
}
