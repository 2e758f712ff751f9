/* report.h - what passes and lowering decided, recorded where they decide it, for those who want to know. */
#ifndef SEQC_PASSES_REPORT_H
#define SEQC_PASSES_REPORT_H

#include "ir/equations.h"
#include "ir/loops.h"

typedef enum {
  REPORT_LOOP,    /* a sequential loop: in each iteration all threads share out the work, and wait for each other */
  REPORT_SCAN,    /* the loop runs inside of the work of each thread: they never wait */
  REPORT_SWEEP,   /* likewise, with what is read out of it at each step; of the `others` one step is kept */
  REPORT_REVERSE, /* back through time, over states that are computed again from those kept every `depth` steps */
  REPORT_SPLIT,   /* over the steps in pieces */
  REPORT_PRODUCT, /* packed panels and register tiles: rows x columns, over `depth` terms */
  REPORT_HOIST    /* computed before the loop, once */
} ReportKind;

typedef struct ReportEntry {
  ReportKind kind;
  EntryKind entry;
  const Program *program; /* of the names and sizes */
  SourceRange source;
  int name_count;
  const char **names;     /* of the tensors that are defined */
  int other_count;
  const char **others;
  const Expr *rows, *columns, *depth; /* PRODUCT; depth also of SPLIT and REVERSE: steps in a piece */
  int64_t packed_elements, packed_scales; /* PRODUCT: what panels that are packed once hold, and how many scales they have in 8 bits; 0: none are */
} ReportEntry;

typedef struct Report {
  Arena *arena;
  EntryKind entry; /* that is being made */
  int count;
  ReportEntry *items;
} Report;

/* The new entry, to be filled; names are added by report_name. NULL when nobody wants a report. */
ReportEntry *report_add(Report *report, ReportKind kind, const Program *program, SourceRange source);
void report_name(Report *report, ReportEntry *entry, const char *name);
void report_other(Report *report, ReportEntry *entry, const char *name);

#endif
