/* status.h - what went wrong, in a code and in a sentence.
 *
 * Functions of libseqrt that can fail return a seqrt_code (abi.h) and take, last, a seqrt_error that may be NULL. On failure
 * it holds the code and a sentence that says what was expected, what was found and where; on success it is not touched.
 */
#ifndef SEQRT_STATUS_H
#define SEQRT_STATUS_H

#include "seqrt/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct seqrt_error {
  seqrt_code code;
  char message[1024]; /* ends with NUL; cut with "..." when longer */
} seqrt_error;

/* "out of range", "out of memory", ...: never NULL. */
const char *seqrt_code_text(seqrt_code code);

/* Writes the sentence for a failed call, such as "input 'token', row 3, step 17: value 99 is outside 0 <= v < 63", and
 * returns the code of the fault. `call` is the call as it was made, with its fault filled. */
seqrt_code seqrt_describe_fault(const seqrt_model *model, const seqrt_call *call, seqrt_error *out_error);

#ifdef __cplusplus
}
#endif

#endif
