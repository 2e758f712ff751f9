/* pair_map.h - what was computed for a pair of nodes: the memo of walks over expressions.
 *
 * Subtrees are shared, often many times over, so a walk that forgets where it was takes exponential time.
 * A small map lives on the stack of the walk; a larger one moves to an arena of its own.
 */
#ifndef SEQC_IR_PAIR_MAP_H
#define SEQC_IR_PAIR_MAP_H

#include <stdbool.h>

#include "base/arena.h"

enum { PAIR_MAP_SMALL = 32 };

typedef struct PairSlot {
  const void *first, *second, *value; /* first NULL: free */
} PairSlot;

typedef struct PairMap {
  PairSlot small[PAIR_MAP_SMALL];
  PairSlot *large; /* NULL while `small` is enough */
  size_t capacity, count;
  Arena *arena;
} PairMap;

void pair_map_begin(PairMap *map);
void pair_map_end(PairMap *map);
/* False when the pair is new. `second` may be NULL. */
bool pair_map_find(const PairMap *map, const void *first, const void *second, const void **out_value);
/* The pair must be new. */
void pair_map_add(PairMap *map, const void *first, const void *second, const void *value);

#endif
