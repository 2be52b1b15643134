/* Files with columns of geometry and geography, as the engine's module writes them: what it
 * refuses, and what is left where a write fails. What others read:
 * tests/interop/iceberg/geo_test.py. */
#include "engine/duckdb/fixture.h"
#include "engine/parquet_layout.h"

/* COPY of a SELECT with columns id, a and s into the sink. */
static enum err copy(struct fixture *fixture, const char *select, const char *geo,
                     struct file_sink *sink, struct errinfo *info)
{
    struct buf options CLEANUP(buf_fini) = {0};
    buf_printf(&options,
               "GEOPARQUET_VERSION 'NONE', FIELD_IDS {id: 1, a: 2, s: {__duckdb_field_id: 3, g: "
               "4}}%s",
               geo);
    return fixture_write(fixture, select, buf_cstr(&options), sink, info);
}

#define ROWS                                                                                       \
    "SELECT i AS id, CAST(st_geomfromtext('POINT (1 2)') AS GEOMETRY) AS a, "                      \
    "CAST({'g': %s} AS STRUCT(g GEOMETRY)) AS s FROM range(100000) t(i)"
#define RIGHT "st_geomfromtext('POINT (3 4)')"
#define GEO                                                                                        \
    ", GEO_COLUMNS {a: {id: 2, crs: 'EPSG:4326', edges: 'planar'}, b: {id: 4, crs: '', edges: "    \
    "'thomas'}}"

static void select_with(const char *value, char *out, size_t len)
{
    (void)snprintf(out, len, ROWS, value);
}

TEST(engine_geo, a_file_says_what_its_columns_are)
{
    struct fixture fixture = fixture_open(NULL);
    struct memory_store store = {.object_count = 1};
    struct file_sink sink = {0};
    struct errinfo info;
    char select[512];
    select_with(RIGHT, select, sizeof(select));
    CHECK_OK(copy(&fixture, select, GEO, &sink, &info));
    CHECK(sink.is_closed);
    store.objects[0] = sink.bytes;
    struct engine_grant *grant = store_grant(&fixture, &store, 0);
    char *sql = fixture_sql(grant, 0,
                            "SELECT name || ' ' || logical_type FROM parquet_schema('%s') WHERE "
                            "logical_type IS NOT NULL ORDER BY name");
    fixture_expect(&fixture, sql,
                   "a GeometryType(crs=EPSG:4326)\ng GeographyType(crs=<null>, algorithm=THOMAS)");
    mem_free(sql);
    sql = fixture_sql(grant, 0, "SELECT count(s.g) || ' ' || sum(id) FROM '%s'");
    fixture_expect(&fixture, sql, "100000 4999950000");
    mem_free(sql);
    engine_grant_close(grant);
    store_fini(&store);
    fixture_close(&fixture);
}

TEST(engine_geo, what_was_not_meant_leaves_no_file)
{
    static const struct {
        const char *value, *geo;
        enum err err;
        const char *message;
    } rows[] = {
        {RIGHT, "", ERR_INTERNAL, "not those it was told of"},
        {RIGHT, ", GEO_COLUMNS {a: {id: 2, crs: '', edges: 'planar'}}", ERR_INTERNAL,
         "not those it was told of"},
        {RIGHT,
         ", GEO_COLUMNS {a: {id: 2, crs: '', edges: 'planar'}, b: {id: 5, crs: '', edges: "
         "'karney'}}",
         ERR_CORRUPT, "not what it was expected to be"},
        {"CASE WHEN i = 7 THEN unhex('00') END", GEO, ERR_INVALID,
         "column \"s.g\" of type geography"},
        {"CASE WHEN i = 99999 THEN st_geomfromtext('POINT (181 0)') END", GEO, ERR_INVALID,
         "no longitude of -180 to 180"},
    };
    struct fixture fixture = fixture_open(NULL);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct file_sink sink = {0};
        struct errinfo info;
        char select[512];
        select_with(rows[i].value, select, sizeof(select));
        enum err err = copy(&fixture, select, rows[i].geo, &sink, &info);
        if (err != rows[i].err) {
            fail_msg("%s %s: %s", rows[i].value, rows[i].geo, info.message);
        }
        CHECK(strstr(info.message, rows[i].message) != NULL);
        CHECK(!sink.is_closed);
        buf_fini(&sink.bytes);
    }
    fixture_close(&fixture);
}

TEST(engine_geo, a_write_that_fails_leaves_no_file)
{
    /* Goal: whichever write fails, that of the mended end among them, it is told, and the file is
     * not closed as if it were whole. */
    struct fixture fixture = fixture_open(NULL);
    char select[512];
    bool is_written = false;
    select_with(RIGHT, select, sizeof(select));
    for (size_t call = 1; !is_written; call++) {
        struct file_sink sink = {.failing_call = call};
        struct errinfo info;
        enum err err = copy(&fixture, select, GEO, &sink, &info);
        is_written = sink.call_count < call;
        CHECK(err == (is_written ? ERR_OK : ERR_IO) && sink.is_closed == is_written);
        CHECK(is_written || strstr(info.message, "the store is full") != NULL);
        CHECK(call < 1000);
        buf_fini(&sink.bytes);
    }
    fixture_close(&fixture);
}
