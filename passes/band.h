/* band.h - what the files share that lower a band: lower_band.c builds its stages and takes each equation through a block of rows,
 * band_demand.c finds which columns are needed of it, band_product.c gives sums of products their tiles.
 */
#ifndef SEQC_PASSES_BAND_H
#define SEQC_PASSES_BAND_H

#include "passes/product.h"

enum { BLOCK_ROWS = 24 }; /* of a band at a time: a multiple of the rows of every tile */

/* Columns from low to high (exclusive) in terms of Banding.row; NULL: from the first, to the last. */
typedef struct Columns {
  const Expr *low, *high;
} Columns;

typedef struct Banding {
  const Band *band;
  IndexId shared[MOST_AXES]; /* the axes that are not cut, as loops around */
  IndexId row;               /* stands for a row in what is known of all rows */
  const Expr *low, *high;    /* rows of the block at hand */
  bool has_tiles;            /* there are rows enough for tiles */
  int number;                /* of the equation at hand in the band */
  Columns *needed;           /* by number: of a target that is not kept whole, along its innermost axis */
  const Expr **bounds;       /* by number: the same as a condition, outside of which the target is zero; NULL: not known */
  Block block;               /* what is done with one block of rows */
} Banding;

/* ---- lower_band.c */
const Equation *band_equation(const Lowering *lowering, int number);
int band_number(const Lowering *lowering, TensorId target); /* NONE for tensors that the band does not define */
int band_row_axis(const Lowering *lowering, int number);    /* NONE where the equation sums over the rows */
bool is_banded(const Lowering *lowering, TensorId tensor);  /* only a block of its rows is kept */
/* The axis of a banded tensor that lies innermost in memory. */
int band_column_axis(const Lowering *lowering, TensorId tensor);
/* Columns for the rows of the block at hand; those of the last row of a tile that begins at `row` and is `rows` high, where given. */
Columns band_block_columns(Lowering *lowering, Columns columns, IndexId column, const Expr *first_row, const Expr *last_row);
/* The index of the reduction that runs over the rows. */
IndexId band_summed_rows(Lowering *lowering, const Unit *unit);
/* Appends to the block; where the target is a result the caller may not want, under that condition. */
void band_append(Lowering *lowering, const Unit *unit, Statement *statement);

/* ---- band_demand.c */
/* The index of an expression index + shift, in which the shift depends on sizes only; NONE when it is none. */
IndexId band_shifted_index(const Lowering *lowering, const Expr *expr, const Expr **out_shift);
Columns band_shift(const Lowering *lowering, Columns columns, const Expr *shift);
void band_find_needed(Lowering *lowering);

/* ---- band_product.c: a unit of the equation at hand as tiles; false when it is no product */
bool band_product(Lowering *lowering, Unit *unit);

#endif
