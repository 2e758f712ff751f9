/* pair_map.c - open addressing, at most half full. */
#include "ir/pair_map.h"

#include <stdint.h>

static size_t hash_pair(const void *first, const void *second) {
  uint64_t hash = (uint64_t)(uintptr_t)first * 0x9e3779b97f4a7c15u + (uint64_t)(uintptr_t)second * 0xc2b2ae3d27d4eb4fu;
  return (size_t)(hash ^ (hash >> 29));
}

void pair_map_begin(PairMap *map) {
  memset(map, 0, sizeof *map);
  map->capacity = PAIR_MAP_SMALL;
}

void pair_map_end(PairMap *map) { arena_destroy(map->arena); }

static PairSlot *slot_of(PairSlot *slots, size_t capacity, const void *first, const void *second) {
  size_t at = hash_pair(first, second) & (capacity - 1);
  while (slots[at].first && (slots[at].first != first || slots[at].second != second)) at = (at + 1) & (capacity - 1);
  return &slots[at];
}

bool pair_map_find(const PairMap *map, const void *first, const void *second, const void **out_value) {
  PairSlot *slots = map->large ? map->large : (PairSlot *)map->small;
  const PairSlot *slot = slot_of(slots, map->capacity, first, second);
  if (!slot->first) return false;
  *out_value = slot->value;
  return true;
}

static void grow(PairMap *map) {
  if (!map->arena) map->arena = arena_create();
  PairSlot *old = map->large ? map->large : map->small;
  size_t capacity = map->capacity * 4;
  PairSlot *slots = ARENA_ARRAY(map->arena, PairSlot, capacity);
  for (size_t n = 0; n < map->capacity; n++)
    if (old[n].first) *slot_of(slots, capacity, old[n].first, old[n].second) = old[n];
  map->large = slots;
  map->capacity = capacity;
}

void pair_map_add(PairMap *map, const void *first, const void *second, const void *value) {
  if ((map->count + 1) * 2 > map->capacity) grow(map);
  PairSlot *slots = map->large ? map->large : map->small;
  *slot_of(slots, map->capacity, first, second) = (PairSlot){first, second, value};
  map->count++;
}
