/* report.c - what passes and lowering decided. */
#include "passes/report.h"

ReportEntry *report_add(Report *report, ReportKind kind, const Program *program, SourceRange source) {
  if (!report) return NULL;
  ReportEntry entry = {.kind = kind, .entry = report->entry, .program = program, .source = source};
  ARENA_PUSH(report->arena, report->items, report->count, entry);
  return &report->items[report->count - 1];
}

void report_name(Report *report, ReportEntry *entry, const char *name) {
  if (entry) ARENA_PUSH(report->arena, entry->names, entry->name_count, name);
}

void report_other(Report *report, ReportEntry *entry, const char *name) {
  if (entry) ARENA_PUSH(report->arena, entry->others, entry->other_count, name);
}
