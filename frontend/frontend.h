/* frontend.h - from the text of a model to equations.
 *
 * Reads .seq files (docs/language.md), leaves a verified Program without batch axis: what the author wrote, with
 * calls and imports expanded, sizes known, and boundary tensors made for every read before the first step.
 */
#ifndef SEQC_FRONTEND_H
#define SEQC_FRONTEND_H

#include "base/diagnostic.h"
#include "ir/equations.h"

/* -D NAME=VALUE; wins over a `const`, a config and everything but a contradiction with a shape. */
typedef struct Define {
  const char *name, *value;
} Define;

/* A shape that is known from a file of weights or of reference data: "param.weight_ih", "input.x", "state.h". */
typedef struct KnownShape {
  const char *name;
  int rank;
  const int64_t *shape;
  const char *path; /* of the file, for messages */
} KnownShape;

/* A config: JSON text. */
typedef struct Config {
  const char *text;
  const char *path; /* for messages */
} Config;

typedef struct FrontendOptions {
  int define_count;
  const Define *defines;
  int import_path_count; /* -I, searched after the folder of the importing file; the standard library comes last */
  const char *const *import_paths;
  int config_count; /* a key that two of them have with different values is an error where it is used */
  const Config *configs;
  int known_shape_count;
  const KnownShape *known_shapes; /* of two with one name the first holds */
  const char *layer;       /* of the file or its imports, compiled as if it were the model; NULL: the model, or the only layer */
  int free_size_count;     /* sizes that nothing gives get these values, over and over, a 0 letting that of an input be a length; none: they are errors */
  const int64_t *free_sizes;
} FrontendOptions;

/* A size that got its value from free_sizes; 0: it is a length. */
typedef struct ChosenSize {
  const char *name;
  int64_t value;
} ChosenSize;

typedef struct FrontendResult {
  Program *program;    /* NULL after errors */
  const char *ast;     /* the syntax tree as text, when asked for */
  int file_count;      /* every file read, for -M: the model first */
  const char **files;
  int chosen_count;
  const ChosenSize *chosen;
} FrontendResult;

/* `path` NULL or "-" reads standard input. Errors go to `diagnostics`. */
FrontendResult frontend_compile(Arena *arena, const char *path, const FrontendOptions *options, bool wants_ast, Diagnostics *diagnostics);

/* The names of what can be compiled alone: the layers of the file, or NULL alone for its model. NULL after errors. */
const char **frontend_layers(Arena *arena, const char *path, const FrontendOptions *options, Diagnostics *diagnostics, int *out_count);

#endif
