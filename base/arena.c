/* arena.c - blocks of doubling size, bump allocation inside a block.
 *
 * Under AddressSanitizer each allocation is its own block, so an overrun of one
 * object is seen instead of landing in its neighbour.
 */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__)
static const size_t first_block = 0, largest_block = 0;
#else
static const size_t first_block = 1 << 14, largest_block = 1 << 22;
#endif
enum { ALIGNMENT = 16 };

typedef struct Block {
  struct Block *previous;
  size_t used, size;
} Block;

struct Arena {
  Block *block;
  size_t next_size;
};

static void *allocate_or_end(size_t size) {
  void *memory = calloc(1, size);
  if (!memory) {
    fprintf(stderr, "seqc: out of memory (%zu bytes wanted)\n", size);
    exit(4);
  }
  return memory;
}

Arena *arena_create(void) {
  Arena *arena = allocate_or_end(sizeof *arena);
  arena->next_size = first_block;
  return arena;
}

void arena_destroy(Arena *arena) {
  if (!arena) return;
  for (Block *block = arena->block; block;) {
    Block *previous = block->previous;
    free(block);
    block = previous;
  }
  free(arena);
}

static size_t header_size(void) { return (sizeof(Block) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

void *arena_allocate(Arena *arena, size_t size) {
  if (size > SIZE_MAX / 2) size = SIZE_MAX / 2; /* fails below with the message */
  size_t rounded = size ? (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
  Block *block = arena->block;
  if (!block || block->size - block->used < rounded) {
    size_t room = rounded > arena->next_size ? rounded : arena->next_size;
    block = allocate_or_end(header_size() + room);
    block->size = room;
    block->previous = arena->block;
    arena->block = block;
    if (arena->next_size < largest_block) arena->next_size *= 2;
  }
  char *memory = (char *)block + header_size() + block->used;
  block->used += rounded;
  return memory;
}

void *arena_copy(Arena *arena, const void *data, size_t size) {
  void *copy = arena_allocate(arena, size);
  if (size) memcpy(copy, data, size);
  return copy;
}

char *arena_string_length(Arena *arena, const char *text, size_t length) {
  char *copy = arena_allocate(arena, length + 1);
  memcpy(copy, text, length);
  copy[length] = 0;
  return copy;
}

char *arena_string(Arena *arena, const char *text) { return arena_string_length(arena, text, strlen(text)); }

char *arena_format_list(Arena *arena, const char *format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  int length = vsnprintf(NULL, 0, format, again);
  va_end(again);
  char *text = arena_allocate(arena, (size_t)length + 1);
  vsnprintf(text, (size_t)length + 1, format, arguments);
  return text;
}

char *arena_format(Arena *arena, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *text = arena_format_list(arena, format, arguments);
  va_end(arguments);
  return text;
}

void *arena_grow(Arena *arena, void *items, size_t count, size_t item_size) {
  int is_full = count == 0 || (count >= 4 && (count & (count - 1)) == 0);
  if (!is_full) return items;
  size_t capacity = count < 4 ? 4 : count * 2;
  void *bigger = arena_allocate(arena, capacity * item_size);
  if (count) memcpy(bigger, items, count * item_size);
  return bigger;
}
