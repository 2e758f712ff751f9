/* depfile.h - the rule for make that names every file a model was read from (-M, -MD). */
#ifndef SEQC_DRIVER_DEPFILE_H
#define SEQC_DRIVER_DEPFILE_H

#include "base/text.h"

/* "target: file file ...", names escaped as make reads them; standard input is left out. */
void depfile_print(Text *text, const char *target, int file_count, const char *const *files);

#endif
