/* One pass, which looks at what it passes over and appends all of it but for what it replaces: two
 * kinds of places, so nothing is taken apart that is not changed. Field numbers are those of
 * parquet.thrift. */
#include "engine/parquet_footer.h"

#include "base/mem.h"
#include "engine/parquet_layout.h"
#include "engine/thrift_int.h"

#define TAIL_BYTES 8u
#define FOOTER_BYTES_MAX INT32_MAX

static const char *const words[] = {
    [PARQUET_PLANAR] = "planar", [PARQUET_SPHERICAL] = "spherical", [PARQUET_VINCENTY] = "vincenty",
    [PARQUET_THOMAS] = "thomas", [PARQUET_ANDOYER] = "andoyer",     [PARQUET_KARNEY] = "karney"};

bool parquet_edges_parse(struct slice word, enum parquet_edges *ret_edges)
{
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (slice_equal(word, slice_of(words[i]))) {
            *ret_edges = (enum parquet_edges)i;
            return true;
        }
    }
    return false;
}

struct pass {
    struct thrift_reader in;
    const uint8_t *kept; /* what is from here on is not appended yet */
    struct buf *out;
    const struct parquet_mending *mending;
    size_t *leaves;        /* of each column: its number among leaves; SIZE_MAX: not met */
    const uint8_t *schema; /* set once it was passed: groups are told of leaves by it */
    size_t leaf_count;
    size_t group_count;
};

static void skip(struct pass *p, unsigned type)
{
    thrift__skip(&p->in, type, THRIFT_DEPTH_MAX);
}

/* ---- what is put in ---- */

static void put_varint(struct buf *out, uint64_t value)
{
    while (value >= 0x80) {
        buf_append_char(out, (char)(uint8_t)(value | 0x80));
        value >>= 7;
    }
    buf_append_char(out, (char)(uint8_t)value);
}

/* `delta` is at most 15. */
static void put_field(struct buf *out, int32_t delta, enum thrift_type type)
{
    buf_append_char(out, (char)(uint8_t)((uint32_t)delta << 4 | (uint32_t)type));
}

static void keep_until(struct pass *p, const uint8_t *at)
{
    buf_append(p->out, p->kept, (size_t)(at - p->kept));
    p->kept = at;
}

/* LogicalType: 17 GEOMETRY {1 crs}, 18 GEOGRAPHY {1 crs, 2 algorithm}. A union of one field, whose
 * number is too far for a short head. Defaults are said by not saying them. */
static void put_type(struct buf *out, const struct parquet_geo *column)
{
    bool is_planar = column->edges == PARQUET_PLANAR;
    buf_append_char(out, THRIFT_STRUCT);
    put_varint(out, is_planar ? 17 << 1 : 18 << 1);
    if (column->crs.len > 0) {
        put_field(out, 1, THRIFT_BINARY);
        put_varint(out, column->crs.len);
        buf_append_slice(out, column->crs);
    }
    if (column->edges > PARQUET_SPHERICAL) {
        put_field(out, column->crs.len > 0 ? 1 : 2, THRIFT_I32);
        put_varint(out, (uint64_t)(column->edges - PARQUET_SPHERICAL) << 1);
    }
    buf_append_char(out, THRIFT_STOP);
    buf_append_char(out, THRIFT_STOP);
}

/* ---- the schema ---- */

static size_t column_of_id(const struct pass *p, int64_t field_id)
{
    for (size_t i = 0; i < p->mending->column_count; i++) {
        if (p->mending->columns[i].field_id == field_id) {
            return i;
        }
    }
    return SIZE_MAX;
}

static size_t column_of_leaf(const struct pass *p, size_t leaf)
{
    for (size_t i = 0; i < p->mending->column_count; i++) {
        if (p->leaves[i] == leaf) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* Whether it says GEOMETRY, and nothing else. */
static bool take_geometry(struct pass *p)
{
    struct thrift_field field = {0};
    bool is_geometry = false;
    size_t count = 0;
    while (thrift__field(&p->in, &field)) {
        is_geometry = field.id == 17 && field.type == THRIFT_STRUCT;
        count++;
        skip(p, field.type);
    }
    return is_geometry && count == 1;
}

/* SchemaElement: 5 num_children, 9 field_id, 10 logicalType. */
static void pass_element(struct pass *p)
{
    struct thrift_field field = {0};
    const uint8_t *type = NULL;
    const uint8_t *type_end = NULL;
    bool is_leaf = true;
    bool is_geometry = false;
    int64_t id = -1;
    while (thrift__field(&p->in, &field)) {
        if (field.id == 10 && field.type == THRIFT_STRUCT) {
            p->in.is_bad = p->in.is_bad || type != NULL;
            type = p->in.at;
            is_geometry = take_geometry(p);
            type_end = p->in.at;
        } else if (field.id == 9 && field.type == THRIFT_I32) {
            id = thrift__int(&p->in);
        } else {
            is_leaf = is_leaf && field.id != 5;
            skip(p, field.type);
        }
    }
    size_t column = id >= 0 ? column_of_id(p, id) : SIZE_MAX;
    if (column != SIZE_MAX && !p->in.is_bad) {
        p->in.is_bad = !is_leaf || !is_geometry || p->leaves[column] != SIZE_MAX;
    }
    if (column != SIZE_MAX && !p->in.is_bad) {
        p->leaves[column] = p->leaf_count;
        keep_until(p, type);
        put_type(p->out, &p->mending->columns[column]);
        p->kept = type_end;
    }
    p->leaf_count += is_leaf ? 1 : 0;
}

static void pass_schema(struct pass *p)
{
    unsigned type;
    p->in.is_bad = p->in.is_bad || p->schema != NULL;
    p->schema = p->in.at;
    size_t count = thrift__list(&p->in, &type);
    p->in.is_bad = p->in.is_bad || type != THRIFT_STRUCT;
    for (size_t i = 0; i < count && !p->in.is_bad; i++) {
        pass_element(p);
    }
    for (size_t i = 0; i < p->mending->column_count; i++) {
        p->in.is_bad = p->in.is_bad || p->leaves[i] == SIZE_MAX;
    }
}

/* ---- row groups ---- */

/* GeospatialStatistics: 1 bbox, 2 geospatial_types. The box comes first; what comes behind it says
 * how far its number is from the one before, which is 0 then. */
static void pass_without_box(struct pass *p)
{
    struct thrift_field field = {0};
    const uint8_t *head = p->in.at;
    bool is_next = false; /* of what has been taken out */
    for (size_t i = 0; thrift__field(&p->in, &field); i++) {
        bool is_box = field.id == 1;
        bool is_short = field.id > 0 && field.id <= 15;
        p->in.is_bad = p->in.is_bad || (is_box && i > 0) || (is_next && !is_short);
        if (p->in.is_bad) {
            return;
        }
        if (is_next) {
            put_field(p->out, field.id, (enum thrift_type)field.type);
            p->kept = p->in.at;
        }
        skip(p, field.type);
        if (is_box) {
            keep_until(p, head);
            p->kept = p->in.at;
        }
        is_next = is_box;
    }
}

/* ColumnMetaData: 17 geospatial_statistics. */
static void pass_meta(struct pass *p, bool is_box_wrong)
{
    struct thrift_field field = {0};
    while (thrift__field(&p->in, &field)) {
        if (is_box_wrong && field.id == 17 && field.type == THRIFT_STRUCT) {
            pass_without_box(p);
        } else {
            skip(p, field.type);
        }
    }
}

static bool is_box_wrong(const struct pass *p, size_t group, size_t column)
{
    const struct parquet_mending *mending = p->mending;
    return mending->columns[column].edges != PARQUET_PLANAR ||
           mending->is_box_wrong[group * mending->column_count + column];
}

/* ColumnChunk: 3 meta_data. */
static void pass_chunk(struct pass *p, size_t group, size_t leaf)
{
    struct thrift_field field = {0};
    size_t column = column_of_leaf(p, leaf);
    while (thrift__field(&p->in, &field)) {
        if (column != SIZE_MAX && field.id == 3 && field.type == THRIFT_STRUCT) {
            pass_meta(p, is_box_wrong(p, group, column));
        } else {
            skip(p, field.type);
        }
    }
}

/* RowGroup: 1 columns. */
static void pass_group(struct pass *p, size_t group)
{
    struct thrift_field field = {0};
    size_t count = 0;
    while (thrift__field(&p->in, &field)) {
        unsigned type;
        if (field.id != 1 || field.type != THRIFT_LIST) {
            skip(p, field.type);
            continue;
        }
        p->in.is_bad = p->in.is_bad || count > 0;
        count = thrift__list(&p->in, &type);
        p->in.is_bad = p->in.is_bad || type != THRIFT_STRUCT || count != p->leaf_count;
        for (size_t i = 0; i < count && !p->in.is_bad; i++) {
            pass_chunk(p, group, i);
        }
    }
    p->in.is_bad = p->in.is_bad || count == 0;
}

static void pass_groups(struct pass *p)
{
    unsigned type;
    p->in.is_bad = p->in.is_bad || p->schema == NULL || p->group_count > 0;
    size_t count = thrift__list(&p->in, &type);
    p->in.is_bad =
        p->in.is_bad || (count > 0 && type != THRIFT_STRUCT) || count != p->mending->group_count;
    for (size_t i = 0; i < count && !p->in.is_bad; i++) {
        pass_group(p, i);
    }
    p->group_count = count;
}

/* ---- all of it ---- */

/* FileMetaData: 2 schema, 4 row_groups. */
static void pass_footer(struct pass *p)
{
    struct thrift_field field = {0};
    while (thrift__field(&p->in, &field)) {
        if (field.id == 2 && field.type == THRIFT_LIST) {
            pass_schema(p);
        } else if (field.id == 4 && field.type == THRIFT_LIST) {
            pass_groups(p);
        } else {
            skip(p, field.type);
        }
    }
    p->in.is_bad = p->in.is_bad || p->schema == NULL || p->group_count != p->mending->group_count ||
                   p->in.at != p->in.end;
}

static enum err odd_footer(struct errinfo *info)
{
    return errinfo_set(info, ERR_CORRUPT, NULL,
                       "the engine's writer made a footer that is not what it was expected to be");
}

static void truncate_to(struct buf *out, size_t len)
{
    out->len = len;
    if (out->ptr != NULL) {
        out->ptr[len] = '\0';
    }
}

enum err parquet_footer_mend(struct slice footer, const struct parquet_mending *mending,
                             struct buf *out, struct errinfo *info)
{
    const uint8_t *begin = (const uint8_t *)footer.ptr;
    size_t before = out->len;
    struct pass p = {
        .in = {begin, begin + footer.len, false}, .kept = begin, .out = out, .mending = mending};
    p.leaves = mem_alloc((mending->column_count + 1) * sizeof(*p.leaves));
    if (p.leaves == NULL) {
        return errinfo_nomem(info);
    }
    memset(p.leaves, 0xFF, (mending->column_count + 1) * sizeof(*p.leaves)); /* SIZE_MAX */
    pass_footer(&p);
    mem_free(p.leaves);
    if (!p.in.is_bad) {
        keep_until(&p, p.in.end);
    }
    if (p.in.is_bad || buf_failed(out)) {
        truncate_to(out, before);
        return p.in.is_bad ? odd_footer(info) : errinfo_nomem(info);
    }
    return ERR_OK;
}

enum err parquet_end_mend(struct slice end, const struct parquet_mending *mending, struct buf *out,
                          struct errinfo *info)
{
    uint64_t len = parquet_footer_len(end);
    size_t before = out->len;
    if (len == 0 || len > end.len - TAIL_BYTES) {
        return odd_footer(info);
    }
    const char *footer = end.ptr + (end.len - TAIL_BYTES - len);
    buf_append(out, end.ptr, (size_t)(footer - end.ptr));
    size_t start = out->len;
    enum err err = parquet_footer_mend((struct slice){footer, (size_t)len}, mending, out, info);
    size_t mended = out->len - start;
    if (err == ERR_OK && mended > FOOTER_BYTES_MAX) {
        err = errinfo_set(info, ERR_LIMIT, NULL, "the footer of a file is longer than 2 GiB");
    }
    for (unsigned i = 0; i < 4; i++) {
        buf_append_char(out, (char)(uint8_t)(mended >> (8 * i)));
    }
    buf_append(out, end.ptr + end.len - 4, 4);
    if (err == ERR_OK && buf_failed(out)) {
        err = errinfo_nomem(info);
    }
    if (err != ERR_OK) {
        truncate_to(out, before);
    }
    return err;
}
