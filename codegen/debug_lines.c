/* debug_lines.c - which equation an instruction belongs to, for debuggers and profilers: the line and column of the author's
 * file, and nothing about variables.
 */
#include <llvm-c/DebugInfo.h>

#include "codegen/emit.h"

struct DebugLines {
  LLVMDIBuilderRef builder;
  LLVMMetadataRef function;
  bool is_shared;         /* with the function that calls this one */
  const SourceFile *file; /* of `scope` */
  LLVMMetadataRef scope;
};

static LLVMMetadataRef file_of(struct DebugLines *debug, const char *path) {
  const char *slash = strrchr(path, '/');
  size_t folder = slash ? (size_t)(slash - path) : 0;
  const char *name = slash ? slash + 1 : path;
  return LLVMDIBuilderCreateFile(debug->builder, name, strlen(name), slash ? path : ".", slash ? folder : 1);
}

static SourceRange first_place(const Statement *statement) {
  for (; statement; statement = statement->next) {
    if (statement->source.file) return statement->source;
    SourceRange inside = first_place(statement->body);
    if (inside.file) return inside;
  }
  return (SourceRange){0};
}

/* LLVM drops debug information without this flag. */
static void add_version(Codegen *codegen) {
  static const char name[] = "Debug Info Version";
  if (LLVMGetModuleFlag(codegen->module, name, sizeof name - 1)) return;
  LLVMMetadataRef version = LLVMValueAsMetadata(LLVMConstInt(codegen->type_i32, LLVMDebugMetadataVersion(), false));
  LLVMAddModuleFlag(codegen->module, LLVMModuleFlagBehaviorWarning, name, sizeof name - 1, version);
}

static struct DebugLines *create_unit(Codegen *codegen, LLVMMetadataRef *out_file, SourceRange place) {
  add_version(codegen);
  struct DebugLines *debug = ARENA_NEW(codegen->arena, struct DebugLines);
  debug->builder = LLVMCreateDIBuilder(codegen->module);
  *out_file = file_of(debug, place.file->path);
  LLVMDIBuilderCreateCompileUnit(debug->builder, LLVMDWARFSourceLanguageC, *out_file, "seqc", 4,
                                 codegen->options.optimisation > 0, "", 0, 0, "", 0, LLVMDWARFEmissionLineTablesOnly, 0, false,
                                 false, "", 0, "", 0);
  return debug;
}

void debug_lines_begin(Emitter *emitter, const char *name) {
  Codegen *codegen = emitter->codegen;
  SourceRange place = first_place(emitter->kernel->body);
  if (!place.file) return;
  struct DebugLines *debug;
  LLVMMetadataRef file;
  if (emitter->debug) {
    debug = arena_copy(codegen->arena, emitter->debug, sizeof *debug);
    debug->is_shared = true;
    file = file_of(debug, place.file->path);
  } else {
    debug = create_unit(codegen, &file, place);
  }
  LLVMMetadataRef type = LLVMDIBuilderCreateSubroutineType(debug->builder, file, NULL, 0, LLVMDIFlagZero);
  unsigned line = (unsigned)place.line;
  debug->function = LLVMDIBuilderCreateFunction(debug->builder, file, name, strlen(name), name, strlen(name), file, line, type,
                                                true, true, line, LLVMDIFlagZero, codegen->options.optimisation > 0);
  LLVMSetSubprogram(emitter->function, debug->function);
  debug->file = place.file;
  debug->scope = debug->function;
  emitter->debug = debug;
  debug_lines_at(emitter, place);
}

void debug_lines_end(Emitter *emitter) {
  if (!emitter->debug || emitter->debug->is_shared) return;
  LLVMDIBuilderFinalize(emitter->debug->builder);
  LLVMDisposeDIBuilder(emitter->debug->builder);
  emitter->debug = NULL;
}

void debug_lines_at(Emitter *emitter, SourceRange source) {
  struct DebugLines *debug = emitter->debug;
  if (!debug || !source.file) return;
  if (source.file != debug->file) { /* a layer of another file */
    debug->file = source.file;
    debug->scope = LLVMDIBuilderCreateLexicalBlockFile(debug->builder, debug->function, file_of(debug, source.file->path), 0);
  }
  LLVMMetadataRef location = LLVMDIBuilderCreateDebugLocation(emitter->codegen->context, (unsigned)source.line,
                                                              (unsigned)source.column, debug->scope, NULL);
  LLVMSetCurrentDebugLocation2(emitter->builder, location);
}
