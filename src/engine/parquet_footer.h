/* The footer of a Parquet file that the engine has written, with what its writer cannot say of
 * columns of geometry and geography: edges, and a reference system that it has no definition of.
 *
 * Such a column is written as a GEOMETRY, by its field id, and its logical type is put in another's
 * place: in FileMetaData.schema, the one thing of a footer that says it. Its bounding boxes are
 * taken out where they are not those of the specification: the engine's are of vertices, and edges
 * on a sphere leave them; a NaN makes it forget what came before. All other bytes stay as they are.
 * (parquet.thrift and Geospatial.md of Apache Parquet 2.12.) */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

/* EdgeInterpolationAlgorithm, which begins with 0 for spherical, behind the straight line. */
enum parquet_edges {
    PARQUET_PLANAR, /* GEOMETRY */
    PARQUET_SPHERICAL,
    PARQUET_VINCENTY,
    PARQUET_THOMAS,
    PARQUET_ANDOYER,
    PARQUET_KARNEY
};

struct parquet_geo {
    int32_t field_id;
    struct slice crs; /* empty: OGC:CRS84 */
    enum parquet_edges edges;
};

/* False for a word that is none. "planar" is one. */
bool parquet_edges_parse(struct slice word, enum parquet_edges *ret_edges);

struct parquet_mending {
    const struct parquet_geo *columns;
    size_t column_count;
    /* Of row group g and column c, [g * column_count + c]: its box is taken out, whatever its
     * edges. Of geographies it is in any case. */
    const bool *is_box_wrong;
    size_t group_count;
};

/* Appends the footer (without the length and the magic bytes behind it) as it is to be.
 * ERR_CORRUPT: not to be understood, other row groups than `mending` says, a column that is not
 * there once or that is no GEOMETRY; ERR_NOMEM. On an error `out` has what it had. */
MUST_USE enum err parquet_footer_mend(struct slice footer, const struct parquet_mending *mending,
                                      struct buf *out, struct errinfo *info);

/* The same of the end of a file: bytes of whatever came before the footer, the footer, length and
 * magic bytes. */
MUST_USE enum err parquet_end_mend(struct slice end, const struct parquet_mending *mending,
                                   struct buf *out, struct errinfo *info);
