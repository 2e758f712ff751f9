/* tile_dots.h - the sums of a tile of whole numbers, for tile.c. */
#ifndef SEQC_CODEGEN_TILE_DOTS_H
#define SEQC_CODEGEN_TILE_DOTS_H

#include "codegen/emit.h"

enum {
  DOT_B,      /* pairs of terms of the columns, i8; their scales, bf16 */
  DOT_SCALES,
  DOT_A,      /* the first row, i16, and how many elements lie from row to row; its scales, float, likewise */
  DOT_A_STRIDE,
  DOT_ROW_SCALES,
  DOT_ROW_SCALE_STRIDE,
  DOT_DEPTH,  /* terms */
  DOT_OUT,    /* where the sums go, float, and how many elements lie from row to row there */
  DOT_PITCH,
  DOT_ARGUMENTS
};

typedef struct DotTile {
  int rows, vectors;
  bool adds; /* to what is there */
  LLVMValueRef arguments[DOT_ARGUMENTS];
} DotTile;

/* Calls the function of this shape, of which there is one for each processor that has such instructions. */
void emit_dots(Emitter *emitter, const DotTile *tile);

#endif
