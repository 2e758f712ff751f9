/* memory.c - aligned memory, sizes that may overflow, and other small things every file needs. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#include "runtime/internal.h"

#define LARGEST_ALLOCATION ((int64_t)1 << 56)

/* Large buffers lie on huge pages where the system gives them: fewer misses of the address translation. */
#define HUGE_PAGE ((size_t)2 << 20)
#define LARGE_BUFFER HUGE_PAGE

static void advise_huge_pages(void *memory, size_t size) {
#if defined __linux__ && defined MADV_HUGEPAGE
  if (size >= LARGE_BUFFER) (void)madvise(memory, size, MADV_HUGEPAGE); /* a hint: refusing it changes nothing */
#else
  (void)memory, (void)size;
#endif
}

void *runtime_allocate(int64_t bytes) {
  if (bytes < 0 || bytes > LARGEST_ALLOCATION) return NULL;
  size_t alignment = (size_t)bytes >= LARGE_BUFFER ? HUGE_PAGE : SEQRT_ALIGNMENT;
  size_t size = ((size_t)bytes + alignment) / alignment * alignment;
  void *memory = aligned_alloc(alignment, size);
  if (!memory) return NULL;
  advise_huge_pages(memory, size);
  memset(memory, 0, size);
  return memory;
}

int64_t runtime_elements(const int64_t *shape, int32_t rank, int64_t batch, const int64_t *lengths) {
  int64_t product = 1;
  for (int32_t axis = 0; axis < rank; axis++) {
    int64_t extent = shape[axis];
    if (extent == SEQRT_AXIS_BATCH) extent = batch;
    else if (extent == SEQRT_AXIS_STEPS) extent = -1;
    else if (extent < SEQRT_AXIS_BATCH) extent = lengths ? lengths[-2 - extent] : -1;
    if (extent < 0 || __builtin_mul_overflow(product, extent, &product)) return -1;
  }
  return product;
}

void runtime_format_shape(const int64_t *shape, int32_t rank, char *out_text, size_t size) {
  size_t length = (size_t)snprintf(out_text, size, "(");
  for (int32_t axis = 0; axis < rank && length < size; axis++)
    length += (size_t)snprintf(out_text + length, size - length, "%s%" PRId64, axis ? ", " : "", shape[axis]);
  if (length < size) snprintf(out_text + length, size - length, ")");
}

/* SEQRT_CPU names the processor whose code runs, of those that an object has code for: to find out what one of them does. */
static seqrt_code use_named_processor(const seqrt_model *model, seqrt_error *error) {
  const char *name = model->use_processor ? getenv("SEQRT_CPU") : NULL;
  if (!name || !*name) return SEQRT_OK;
  char known[256] = "";
  size_t length = 0;
  for (int32_t n = 0; n < model->processor_count; n++) {
    if (strcmp(model->processors[n], name) == 0) {
      if (model->use_processor(n) == n) return SEQRT_OK;
      return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "SEQRT_CPU is '%s', whose code this machine does not run", name);
    }
    if (length < sizeof known)
      length += (size_t)snprintf(known + length, sizeof known - length, "%s%s", n ? ", " : "", model->processors[n]);
  }
  return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "SEQRT_CPU is '%s', expected one of those that model '%s' has code for: %s", name,
                      model->name, known);
}

seqrt_code runtime_check_model(const seqrt_model *model, seqrt_error *error) {
  if (!model) return runtime_fail(error, SEQRT_INVALID_ARGUMENT, "no model is given");
  if (model->abi_version == SEQRT_ABI_VERSION && model->struct_size == sizeof *model) return use_named_processor(model, error);
  return runtime_fail(error, SEQRT_VERSION,
                      "the model follows version %" PRIu32
                      " of the interface, this library version %d: compile it with a seqc of "
                      "the same release",
                      model->abi_version, SEQRT_ABI_VERSION);
}

uint64_t runtime_hash(uint64_t hash, const void *bytes, size_t size) {
  const unsigned char *next = bytes;
  for (size_t i = 0; i < size; i++) hash = (hash ^ next[i]) * 0x100000001b3u;
  return hash;
}

double runtime_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}
