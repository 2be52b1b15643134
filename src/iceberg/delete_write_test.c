#include "iceberg/delete_write.h"

#include "base/sweep.h"
#include "base/test.h"

#define FILES 3

struct sets {
    struct iceberg_positions *all[FILES];
};

static void fill(struct sets *sets)
{
    static const int64_t rows[FILES][4] = {
        {0, 1, 2, 3}, {7, 65535, 65536, 4294967296}, {INT64_C(1) << 40, 5, 5, 9}};
    for (size_t i = 0; i < FILES; i++) {
        CHECK_OK(iceberg_positions_open(&sets->all[i], NULL));
        CHECK_OK(iceberg_positions_add(sets->all[i], rows[i], 4, NULL));
    }
}

static void clear(struct sets *sets)
{
    for (size_t i = 0; i < FILES; i++) {
        iceberg_positions_close(sets->all[i]);
    }
}

static const char *const paths[FILES] = {"/a/1.parquet", "/a/\"2\".parquet", "/a/\xC3\xBC.parquet"};

static enum err write_puffin(const struct sets *sets, struct iceberg_file *files, struct buf *out,
                             struct errinfo *info)
{
    struct puffin_writer writer CLEANUP(puffin_writer_fini) = {0};
    for (size_t i = 0; i < FILES; i++) {
        files[i] = (struct iceberg_file){.referenced_data_file = slice_of(paths[i])};
        TRY(puffin_writer_add_vector(&writer, sets->all[i], &files[i], out, info));
    }
    return puffin_writer_finish(&writer, out, info);
}

static void check_blob(const struct puffin_blob *blob, const struct iceberg_file *file,
                       const struct iceberg_positions *rows, struct slice bytes)
{
    struct iceberg_positions *read CLEANUP(iceberg_positions_cleanup) = NULL;
    uint64_t left[8];
    uint64_t right[8];
    CHECK(slice_equal(blob->type, SLICE("deletion-vector-v1")));
    CHECK(blob->offset == (uint64_t)file->content_offset &&
          blob->length_bytes == (uint64_t)file->content_size_bytes);
    CHECK(blob->property_count == 2 &&
          slice_equal(blob->properties[0].value, file->referenced_data_file));
    CHECK_OK(iceberg_positions_open(&read, NULL));
    CHECK_OK(iceberg_positions_add_vector(
        read, (struct slice){bytes.ptr + blob->offset, (size_t)blob->length_bytes},
        file->record_count, NULL));
    size_t count = iceberg_positions_copy(rows, 0, left, 8);
    CHECK(count == (size_t)file->record_count);
    CHECK(iceberg_positions_copy(read, 0, right, 8) == count);
    CHECK(memcmp(left, right, count * sizeof(left[0])) == 0);
}

/* Goal: what is written is what our own reader, held against other programs' files, reads. */
TEST(delete_write, vectors_are_read_as_they_were_written)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct sets sets = {0};
    struct iceberg_file files[FILES];
    struct puffin_footer footer;
    struct buf out CLEANUP(buf_fini) = {0};
    uint64_t needed;
    fill(&sets);
    CHECK_OK(write_puffin(&sets, files, &out, NULL));
    CHECK_OK(puffin_footer_parse(buf_slice(&out), out.len, arena, &footer, &needed, NULL));
    CHECK(footer.blob_count == FILES);
    for (size_t i = 0; i < FILES; i++) {
        check_blob(&footer.blobs[i], &files[i], sets.all[i], buf_slice(&out));
    }
    clear(&sets);
}

static uint32_t u32_at(const struct buf *out, size_t at)
{
    uint32_t value;
    memcpy(&value, out->ptr + at, sizeof(value));
    return value;
}

/* What is inside, other programs read (tests/interop/iceberg/dml_test.py). */
TEST(delete_write, a_file_of_positions_tells_its_bounds)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct sets sets = {0};
    fill(&sets);
    for (size_t i = 0; i < FILES; i++) {
        struct buf out CLEANUP(buf_fini) = {0};
        struct iceberg_file file = {.referenced_data_file = slice_of(paths[i])};
        uint64_t rows[8];
        size_t count = iceberg_positions_copy(sets.all[i], 0, rows, 8);
        CHECK_OK(iceberg_position_deletes_write(sets.all[i], &file, arena, &out, NULL));
        CHECK(file.record_count == (int64_t)count && file.size_bytes == (int64_t)out.len);
        CHECK(memcmp(out.ptr, "PAR1", 4) == 0 && memcmp(out.ptr + out.len - 4, "PAR1", 4) == 0);
        CHECK(u32_at(&out, out.len - 8) < out.len - 12);
        CHECK(file.metrics_count == 2 && file.metrics[0].field_id < file.metrics[1].field_id);
        CHECK(memcmp(file.metrics[0].lower.ptr, &rows[0], 8) == 0);
        CHECK(memcmp(file.metrics[0].upper.ptr, &rows[count - 1], 8) == 0);
        CHECK(slice_equal(file.metrics[1].lower, slice_of(paths[i])));
        CHECK(slice_equal(file.metrics[1].upper, slice_of(paths[i])));
    }
    clear(&sets);
}

TEST(delete_write, whatever_allocation_fails_it_says_so)
{
    struct sets sets = {0};
    fill(&sets);
    SWEEP_ALLOC(fault)
    {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        struct buf out CLEANUP(buf_fini) = {0};
        struct buf puffin CLEANUP(buf_fini) = {0};
        struct iceberg_file file = {.referenced_data_file = slice_of(paths[0])};
        struct iceberg_file files[FILES];
        enum err err = arena == NULL
                           ? ERR_NOMEM
                           : iceberg_position_deletes_write(sets.all[0], &file, arena, &out, NULL);
        if (err == ERR_OK) {
            err = write_puffin(&sets, files, &puffin, NULL);
        }
        CHECK(fault.fired ? err == ERR_NOMEM : err == ERR_OK);
    }
    clear(&sets);
}
