/* arena.h - memory with a named lifetime.
 *
 * Everything the compiler allocates belongs to an arena and is freed with it;
 * nothing is freed alone. Allocation never returns NULL: running out of memory
 * ends the process with a message, as no caller could go on.
 */
#ifndef SEQC_BASE_ARENA_H
#define SEQC_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>
#include <string.h>

typedef struct Arena Arena;

Arena *arena_create(void);
void arena_destroy(Arena *arena);

/* Zeroed memory, aligned for any type. A size of zero gives a valid pointer. */
void *arena_allocate(Arena *arena, size_t size);
void *arena_copy(Arena *arena, const void *data, size_t size);
char *arena_string(Arena *arena, const char *text);
char *arena_string_length(Arena *arena, const char *text, size_t length);
char *arena_format(Arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_format_list(Arena *arena, const char *format, va_list arguments);

#define ARENA_NEW(arena, type) ((type *)arena_allocate((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_allocate((arena), sizeof(type) * (size_t)(count)))

/* The place for one more item at the end of `items`; the caller counts.
 * Capacity is the next power of two (at least 4), so no field is kept for it. */
void *arena_grow(Arena *arena, void *items, size_t count, size_t item_size);

/* Appends `value` to a plain array of which `count` items are used. */
#define ARENA_PUSH(arena, items, count, ...)                                             \
  do {                                                                                   \
    (items) = arena_grow((arena), (items), (size_t)(count), sizeof *(items));            \
    (items)[(count)++] = __VA_ARGS__;                                                    \
  } while (0)

#endif
