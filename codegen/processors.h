/* processors.h - the processors that one object is made for: what each needs, and which is better. */
#ifndef SEQC_CODEGEN_PROCESSORS_H
#define SEQC_CODEGEN_PROCESSORS_H

#include "codegen/internal.h"

/* What an x86-64 processor says of itself: cpuid's leaf, or leaf and subleaf, and register; X1 is leaf 0x80000001. The last word is the
 * registers that the operating system keeps (xgetbv). */
enum { WORD_1_ECX, WORD_7_EBX, WORD_7_ECX, WORD_7_EDX, WORD_7_1_EAX, WORD_7_1_EDX, WORD_X1_ECX, WORD_KEPT, PROCESSOR_WORDS };

struct Processor {
  char *name, *features; /* LLVM's */
  bool is_here;          /* the one that seqc runs on */
  Machine machine;
  /* In a list only: the bits that must be set for its code to run, and the number of instruction sets that it has. */
  uint32_t needs[PROCESSOR_WORDS];
  int instruction_set_count;
};

/* processors.c. Fills codegen->processors from the options: one, or what a list names and the baseline, from the plainest to the best.
 * False after diagnostics. */
bool processors_choose(Codegen *codegen, Diagnostics *diagnostics);

/* The one of this name; there must be one. */
const Processor *processor_find(const Codegen *codegen, const char *name);

/* target.c. Finds the machine of one processor; the first also gives the whole object its target. False after diagnostics. */
bool processor_probe(Codegen *codegen, Processor *processor, Diagnostics *diagnostics);

/* instruction_sets.c. Fills what each processor needs; false after a diagnostic. */
bool processors_learn(Codegen *codegen, Diagnostics *diagnostics);

#endif
