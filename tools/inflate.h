/* inflate.h - decompression of deflated data (RFC 1951). */
#ifndef TOOLS_INFLATE_H
#define TOOLS_INFLATE_H

#include <stddef.h>
#include <stdint.h>

/* Fills exactly `size` bytes; NULL, or what is wrong with the data. */
const char *inflate(const unsigned char *data, size_t data_size, unsigned char *out_bytes, size_t size);

uint32_t crc32_of(const unsigned char *bytes, size_t size); /* as zip archives use it */

#endif
