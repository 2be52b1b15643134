/* Goal: a byte of metadata, a manifest, a Puffin file or a Parquet footer that was changed gives a
 * clear error or the same rows, never others. Method: one byte of one file of a table that Spark
 * wrote is changed at random, the table is read, and the byte is put back.
 *
 *   iceberg_flip [ROUNDS [SEED]]      MOAT_TEST_ICEBERG: the sample, which is written to
 *
 * Neither JSON nor a deflated Avro block has a checksum, so a changed path, say, is another valid
 * file: of 8,004 changes 2 went unnoticed, both the path of a data file that a delete is for, which
 * then is for no file. UNNOTICED_MAX is above that rate, and below what a check that is gone would
 * let through. */
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "arrow/value.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "query/query.h"

#define ROUNDS 150
#define UNNOTICED_MAX(rounds) (2 + (rounds) / 1000)
#define FILES_MAX 256
#define FOOTER_FRAME_BYTES 8 /* length and magic, at the end of a Parquet file */

static const char *const tables[] = {
    "core.v2_bucket_id_pos_eq", "core.v3_bucket_id_dv_eq",      "core.v1_evolved_drop_cow",
    "core.v3_none_pos_to_dv",   "evolution.v2_deep_eq",         "evolution.v3_default_many_eq",
    "refs.v2_branches",         "files.v2_manifest_snappy",     "files.v2_metadata_gzip",
    "files.v2_global_equality", "evolution.v1_rename_swap_none"};

struct file {
    char *path;
    size_t size_bytes;
    size_t first; /* where changes begin: the footer of Parquet */
};

struct flipper {
    struct arena *arena;
    const char *sample;
    char folder[64];
    struct config *config;
    struct warehouse *warehouse;
    struct identity *who;
    uint64_t random;
    unsigned same;
    unsigned refused;
    unsigned unnoticed;
    unsigned failed;
};

static struct file found[FILES_MAX];
static size_t found_count;

static uint64_t below(struct flipper *f, uint64_t bound)
{
    f->random += 0x9E3779B97F4A7C15u; /* splitmix64 */
    uint64_t z = f->random;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (z ^ (z >> 31)) % bound;
}

/* ---- files ---- */

static bool read_at(const char *path, size_t at, void *bytes, size_t len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_read = fd >= 0 && pread(fd, bytes, len, (off_t)at) == (ssize_t)len;
    (void)close(fd);
    return is_read;
}

static void write_at(const char *path, size_t at, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ASSERT(fd >= 0 && pwrite(fd, bytes, len, (off_t)at) == (ssize_t)len);
    (void)close(fd);
}

static int add_file(const char *path, const struct stat *status, int kind, UNUSED struct FTW *walk)
{
    struct slice name = slice_of(path);
    bool is_parquet = slice_ends_with(name, SLICE(".parquet"));
    if (kind != FTW_F || status->st_size == 0 || found_count == FILES_MAX ||
        slice_ends_with(name, SLICE(".text"))) {
        return 0;
    }
    struct file file = {mem_strdup(path), (size_t)status->st_size, 0};
    ASSERT(file.path != NULL);
    if (is_parquet) {
        uint32_t footer = 0;
        ASSERT(read_at(path, file.size_bytes - FOOTER_FRAME_BYTES, &footer, sizeof(footer)));
        file.first = file.size_bytes - FOOTER_FRAME_BYTES - footer;
    }
    found[found_count++] = file;
    return 0;
}

static void forget_files(void)
{
    for (size_t i = 0; i < found_count; i++) {
        mem_free(found[i].path);
    }
    found_count = 0;
}

/* ---- reading ---- */

static enum err print_batch(const struct ArrowSchema *schema, const struct ArrowArray *batch,
                            struct buf *out, struct errinfo *info)
{
    for (int64_t row = 0; row < batch->length; row++) {
        for (int64_t c = 0; c < schema->n_children; c++) {
            const struct ArrowSchema *column = schema->children[c];
            buf_append_char(out, '|');
            if (arrow_is_valid(column, batch->children[c], batch->offset + row)) {
                TRY(arrow_print(column, batch->children[c], batch->offset + row, out, info));
            }
        }
        buf_append_char(out, '\n');
    }
    return ERR_OK;
}

/* Types and rows as one text: a column by another name has the same rows. */
static enum err read_rows(struct session *session, const char *sql, struct buf *out,
                          struct errinfo *info)
{
    struct query *query CLEANUP(query_cleanup) = NULL;
    struct ArrowSchema schema = {0};
    TRY(query_open(session, slice_of(sql), NULL, 0, &query, info));
    if (!query_has_rows(query)) {
        return ERR_OK;
    }
    TRY(query_schema(query, &schema, info));
    for (int64_t c = 0; c < schema.n_children; c++) {
        buf_printf(out, "%s|", schema.children[c]->format);
    }
    enum err err = ERR_OK;
    bool is_end = false;
    while (err == ERR_OK && !is_end) {
        struct ArrowArray batch = {0};
        err = query_next(query, &batch, info);
        is_end = batch.release == NULL;
        if (err == ERR_OK && !is_end) {
            err = print_batch(&schema, &batch, out, info);
            batch.release(&batch);
        }
    }
    schema.release(&schema);
    return err;
}

/* Anew each time: what was planned or cached before would hide the change. */
static enum err open_warehouse(struct flipper *f, struct errinfo *info)
{
    identity_unref(TAKE(f->who));
    warehouse_close(TAKE(f->warehouse));
    struct warehouse_options options = {.config = f->config, .create_if_missing = true};
    TRY(warehouse_open(&options, &f->warehouse, info));
    return warehouse_login_local(f->warehouse, SLICE(""), &f->who, info);
}

static enum err read_table(struct flipper *f, const char *table, struct buf *out,
                           struct errinfo *info)
{
    char sql[160];
    TRY(open_warehouse(f, info));
    struct session *session CLEANUP(session_cleanup) = NULL;
    TRY(session_open(f->warehouse, f->who, &session, info));
    (void)snprintf(sql, sizeof(sql), "SELECT * FROM lake.%s ORDER BY ALL", table);
    return read_rows(session, sql, out, info);
}

/* The catalog is kept in the warehouse. */
static enum err attach(struct flipper *f, struct errinfo *info)
{
    char sql[256];
    struct buf ignored CLEANUP(buf_fini) = {0};
    TRY(open_warehouse(f, info));
    struct session *session CLEANUP(session_cleanup) = NULL;
    TRY(session_open(f->warehouse, f->who, &session, info));
    (void)snprintf(sql, sizeof(sql), "ATTACH '%s/warehouse/hadoop' AS lake (TYPE hadoop)",
                   f->sample);
    return read_rows(session, sql, &ignored, info);
}

/* ---- judging ---- */

static void judge(struct flipper *f, const char *table, const struct file *file, size_t at,
                  uint8_t before, uint8_t after, const struct buf *expected)
{
    struct buf rows CLEANUP(buf_fini) = {0};
    struct errinfo info;
    errinfo_init(&info);
    enum err err = read_table(f, table, &rows, &info);
    bool is_clear = err != ERR_OK && info.message[0] != '\0' && err != ERR_INTERNAL;
    bool is_same = err == ERR_OK && slice_equal(buf_slice(&rows), buf_slice(expected));
    if (is_same || is_clear) {
        f->same += is_same;
        f->refused += is_clear;
        return;
    }
    f->unnoticed += err == ERR_OK;
    f->failed += err != ERR_OK;
    printf("%s: byte %zu of %s, %02x to %02x: %s%s\n", table, at, file->path + strlen(f->sample),
           before, after,
           err == ERR_OK ? "other rows" : "no clear error: ", err == ERR_OK ? "" : info.message);
}

static void flip_once(struct flipper *f, const char *table, const struct buf *expected)
{
    const struct file *file = &found[below(f, found_count)];
    size_t at = file->first + below(f, file->size_bytes - file->first);
    uint8_t before;
    ASSERT(read_at(file->path, at, &before, 1));
    uint8_t after = (uint8_t)(before ^ (1u + below(f, 255)));
    write_at(file->path, at, &after, 1);
    judge(f, table, file, at, before, after, expected);
    write_at(file->path, at, &before, 1);
}

static enum err flip_table(struct flipper *f, const char *table, unsigned rounds,
                           struct errinfo *info)
{
    struct buf expected CLEANUP(buf_fini) = {0};
    char folder[256];
    const char *dot = strchr(table, '.');
    (void)snprintf(folder, sizeof(folder), "%s/warehouse/hadoop/%.*s/%s", f->sample,
                   (int)(dot - table), table, dot + 1);
    TRY(read_table(f, table, &expected, info));
    (void)nftw(folder, add_file, 16, FTW_PHYS);
    ASSERT(found_count > 0);
    for (unsigned i = 0; i < rounds; i++) {
        flip_once(f, table, &expected);
    }
    forget_files();
    return ERR_OK;
}

static enum err run(struct flipper *f, unsigned rounds, struct errinfo *info)
{
    (void)snprintf(f->folder, sizeof(f->folder), "/tmp/moat_flip_XXXXXX");
    if (mkdtemp(f->folder) == NULL) {
        return errinfo_set(info, ERR_IO, NULL, "no temporary folder");
    }
    char *set = arena_printf(f->arena, "warehouse.path=%s/warehouse", f->folder);
    const char *sets[] = {set};
    struct config_sources sources = {.sets = sets, .set_count = 1};
    TRY(config_load(&sources, &f->config, info));
    TRY(attach(f, info));
    unsigned each = rounds / (unsigned)ARRAY_COUNT(tables) + 1;
    for (size_t i = 0; i < ARRAY_COUNT(tables); i++) {
        TRY(flip_table(f, tables[i], each, info));
    }
    return ERR_OK;
}

static int remove_entry(const char *path, UNUSED const struct stat *status, UNUSED int kind,
                        UNUSED struct FTW *walk)
{
    return remove(path);
}

int main(int argc, char **argv)
{
    struct timespec now;
    struct errinfo info;
    struct flipper f = {.sample = getenv("MOAT_TEST_ICEBERG")};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    f.random = argc > 2 ? strtoull(argv[2], NULL, 0) : (uint64_t)now.tv_sec * 1000003u;
    errinfo_init(&info);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (f.sample == NULL) {
        (void)fprintf(stderr, "MOAT_TEST_ICEBERG names no sample\n");
        return 2;
    }
    printf("seed %llu\n", (unsigned long long)f.random);
    f.arena = arena_new(NULL, "flip", 0);
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : ROUNDS;
    enum err err = f.arena == NULL ? errinfo_nomem(&info) : run(&f, rounds, &info);
    if (err != ERR_OK) {
        printf("ERROR %s: %s\n", info.sqlstate, info.message);
        f.failed++;
    }
    identity_unref(f.who);
    warehouse_close(f.warehouse);
    config_free(f.config);
    (void)nftw(f.folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    arena_free(f.arena);
    f.failed += f.unnoticed > UNNOTICED_MAX(rounds) ? 1 : 0;
    printf("%u gave the same rows, %u an error, %u went unnoticed\n", f.same, f.refused,
           f.unnoticed);
    printf("%u passed, %u failed\n", f.same + f.refused, f.failed);
    return f.failed == 0 ? 0 : 1;
}
