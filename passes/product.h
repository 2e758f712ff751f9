/* product.h - what the files share that lower a sum of products: lower_product.c recognises it and puts its stages together,
 * product_shape.c chooses tiles and panels, product_pack.c fills panels, product_tiles.c runs tiles over them.
 */
#ifndef SEQC_PASSES_PRODUCT_H
#define SEQC_PASSES_PRODUCT_H

#include "passes/lower.h"

typedef struct Product {
  Lowering *lowering;
  Unit *unit;
  BufferId target;
  const Expr *a, *b;    /* factors in terms of the unit's indices */
  const Expr *around;   /* part of the guard that only loops around decide; tested before anything is done. NULL: none */
  int column;           /* axis of the target */
  int outer_columns[MOST_AXES], outer_column_count; /* other axes of B only */
  int rows[MOST_AXES], row_count;                   /* axes of A only, in memory order */
  int shared[MOST_AXES], shared_count;              /* axes of both: a loop around */
  int tile_rows, tile_vectors, tile_columns;
  bool is_flat;         /* all row axes together are the rows; otherwise the last of them alone */
  const Expr *row_extent;    /* of what the tiles run over */
  Size row_panels, column_panels;
  const Expr *depth;    /* terms of the sum */
  int64_t pass_depth;   /* terms per pass over a tile */
  bool is_one_pass;     /* as many as there are */
  IndexId row;          /* of an element of the tile at hand */
  const Expr *rows_in_place; /* A as a load at this row and the first term, where it needs no panels; or NULL */
  BufferId a_panels, b_panels;
  BufferId packed;      /* the panels of B packed once for many calls, or NONE */
  BufferId scales;      /* theirs, where they are kept in 8 bits, or NONE */
  struct ReportEntry *report; /* NULL: none wanted */
  BufferId widened;     /* then: of each thread, one of the panels for one pass as it was */
  bool has_dots;        /* or instead: they are multiplied by rows in 16 bits, */
  BufferId kept_rows, row_scales; /* which a stage of their own fills */
  int turn_count;       /* axes before theirs: loops around that B depends on */
  IndexId turns[MOST_LOOPS];
} Product;

typedef struct Span {
  const Expr *low, *high;
} Span;

/* ---- product_shape.c */
IndexId product_axis(const Product *product, int axis); /* the index of an axis of the target */
/* Number of values of the indices together. */
const Expr *product_extent(const Lowering *lowering, int count, const IndexId *indices);
const Expr *product_row_total(const Product *product);
Size index_extent(const Lowering *lowering, IndexId index);
const Expr *index_from_low(const Lowering *lowering, IndexId index); /* index - low */
void product_choose_tile(Product *product);
void product_choose_depth(Product *product);
bool product_has_few_rows(const Product *product); /* those of one step in a loop: they stay in the cache */
void product_choose_rows(Product *product);
/* A read with nothing but indices in its subscripts, of which the innermost in memory alone is the term, once. */
bool product_is_row_read(Lowering *lowering, const Expr *expr, IndexId term);
/* Finds out whether A can be read where it lies. */
void product_find_rows(Product *product);
int product_outer_rows(const Product *product); /* row axes that are loops around the panels */
/* The row axes in terms of one row number, by index; NULL entries stay as they are. */
const Expr **product_row_indices(const Product *product, const Expr *row);
/* ceil(extent / by), with a symbol of the kernel's own where it is known at run time only. */
Size product_panel_count(Lowering *lowering, const Expr *extent, int64_t by, const char *name);

/* ---- product_scaled.c: panels of B in 8 bits */
void product_scaled_buffers(Product *product, Kernel *pack, int slot);
/* What is largest in magnitude in the terms from low to high, into a local; infinite where something is not finite. */
Statement *product_largest(const Product *product, LocalId local, IndexId term, const Span *terms, const Expr *value, bool is_vector);
/* The first of the terms that share scale `group`, and the end of those below `depth`. */
Span product_scale_terms(const Lowering *lowering, const Expr *group, const Expr *depth);
/* The terms in terms of their number, by index. */
void product_number_terms(const Product *product, const Expr *term, const Expr **by);
/* Of the kernel that packs: fills panels and scales. */
Statement *product_fill_scaled(Product *product, BufferId panels, BufferId scales);
/* The first element of them, or of their scales, for a tile whose terms begin at pass `pass` (NONE: there is one only). */
const Expr **product_scaled_place(const Product *product, IndexId column_panel, IndexId pass, bool is_scale);
/* Rows are so many that the panel is widened for all of them; of `work`, which multiplies by product->widened, after that. */
const Expr *product_widens(const Product *product);
Statement *product_widen(Product *product, IndexId column_panel, IndexId pass, const Expr *depth, Statement *work);

/* ---- product_dots.c: rows of A in 16 bits, for panels of B in 8 */
Statement *product_keep_rows(Product *product);
void product_place_dots(const Product *product, Statement *tile, IndexId column_panel, IndexId pass);

/* ---- lower_product.c: whether it is one; then factors and axes are known. No part of the guard may be left around it. */
bool product_recognise(Product *product);

/* ---- product_pack.c: the stages that fill the panels, before the outermost loop that does not change them; `condition`
 * is that of the packed way (NULL: always) */
void product_pack(Product *product, const Expr *condition);
/* The panels of B, whose number is known, and the stage that fills them. */
Statement *product_pack_columns(Product *product);
/* Finds out whether the panels of B can be kept from call to call, and makes what fills them. */
void product_pack_once(Product *product);

/* Maps to be done on each block of a product: by loop of theirs, the axis of the product's target. */
typedef struct ProductMaps {
  const Group *group;
  const int *axis_of;
} ProductMaps;

/* The last stage of tiles, as long as nothing stands behind it. */
typedef struct ProductStage {
  Product *product;
  Statement *tiles;
  Block *block;         /* where it stands, alone or in an `if` */
  Statement *last;      /* there: the stage, or the outermost `if` */
  Statement *otherwise; /* an `if` around it with another way of doing it, or NULL */
  const Expr *wanted;   /* the condition of an `if` around all that, or NULL */
} ProductStage;

/* ---- product_tiles.c: the stage of the tiles, with maps done on each block (NULL: none) */
Statement *product_tiles(Product *product, const ProductMaps *maps);

/* ---- product_epilogue.c */
bool product_has_loop(const ProductMaps *maps, int axis);
/* The loops of the maps over one block; `rows` and `columns` are panels. */
Statement *product_block_maps(const Product *product, const ProductMaps *maps, const Span *rows, const Span *columns);

#endif
