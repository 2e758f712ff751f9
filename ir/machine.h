/* machine.h - what the passes may know of the processor that code is made for. Filled by codegen. */
#ifndef SEQC_IR_MACHINE_H
#define SEQC_IR_MACHINE_H

#include <stdbool.h>

typedef struct Machine {
  int lanes;      /* float32 elements in one vector register */
  int registers;  /* vector registers */
  int tile_rows, tile_vectors; /* register tile of a matrix product: rows by vectors */
  int l1_bytes, l2_bytes;      /* per core */
  bool has_dots;              /* one instruction multiplies 16-bit integers and adds pairs of products up in 32 bits */
  int last_cache_bytes;        /* of the cache next to memory, which cores share */
} Machine;

#endif
