/* The data of COPY FROM through reader and batches, whole and cut: both must come to the same. The
 * first byte chooses the options, the second the columns, the third the length of the pieces. */
#include "base/fuzz.h"
#include "wire/pg/copy_batch.h"
#include "wire/pg/pg_fixture.h"

struct run {
    struct copy_reader reader;
    struct copy_batch batch;
    struct query query;
    uint64_t row_count;
    uint64_t hash;
    enum err err;
    struct errinfo info;
};

static enum err take_row(void *context, const struct copy_cell *cells, size_t *ret_column,
                         struct errinfo *info)
{
    struct run *run = context;
    run->row_count++;
    for (size_t i = 0; i < run->reader.target_count; i++) {
        run->hash = run->hash * 31 + cells[i].is_null;
        for (size_t at = 0; at < cells[i].value.len && !cells[i].is_null; at++) {
            run->hash = run->hash * 31 + (unsigned char)cells[i].value.ptr[at];
        }
    }
    TRY(copy_batch_add(&run->batch, run->reader.line, cells, ret_column, info));
    if (run->row_count % 3 != 0) {
        return ERR_OK;
    }
    struct ArrowArray batch;
    TRY(copy_batch_take(&run->batch, &batch, info));
    return query_push(&run->query, &batch, info);
}

static enum err feed(struct run *run, struct slice data, size_t piece)
{
    for (size_t at = 0; at < data.len; at += piece) {
        size_t len = data.len - at < piece ? data.len - at : piece;
        TRY(copy_reader_feed(&run->reader, (struct slice){data.ptr + at, len}, &run->info));
    }
    TRY(copy_reader_end(&run->reader, &run->info));
    struct ArrowArray batch;
    if (run->batch.row_count > 0) {
        TRY(copy_batch_take(&run->batch, &batch, &run->info));
        return query_push(&run->query, &batch, &run->info);
    }
    return ERR_OK;
}

static void read_all(struct run *run, const struct pg_copy *copy, struct slice data, size_t piece)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "fuzz", 0);
    struct copy_target targets[ARRAY_COUNT(fixture_targets)] = {0};
    struct copy_cell cells[ARRAY_COUNT(fixture_targets) + 1];
    struct ArrowSchema schema;
    *run = (struct run){.query = {.takes_rows = true}};
    for (size_t i = 0; i < fixture_target_count; i++) {
        targets[i].name = fixture_targets[i].name;
        targets[i].is_force_null = i % 3 == 1;
        targets[i].is_force_not_null = i % 3 == 2;
    }
    run->reader = (struct copy_reader){.copy = copy,
                                       .targets = targets,
                                       .target_count = fixture_target_count,
                                       .line_bytes_max = 1 << 16,
                                       .row = take_row,
                                       .context = run,
                                       .cells = cells};
    errinfo_init(&run->info);
    copy_reader_init(&run->reader);
    ASSERT(copy_batch_init(&run->batch, NULL, copy->format == COPY_BINARY, arena, NULL) == ERR_OK);
    ASSERT(copy_batch_schema(&run->batch, &schema, NULL) == ERR_OK);
    ASSERT(query_push_begin(&run->query, &schema, NULL) == ERR_OK);
    run->err = feed(run, data, piece);
    struct buf where CLEANUP(buf_fini) = {0};
    copy_reader_where(&run->reader, SLICE("t"), &where);
    run->query.schema.release(&run->query.schema);
    copy_reader_fini(&run->reader);
    copy_batch_fini(&run->batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct pg_copy all[] = {
        {.format = COPY_TEXT, .delimiter = '\t', .null = {"\\N", 2}},
        {.format = COPY_CSV, .delimiter = ',', .quote = '"', .escape = '"', .null = {"", 0}},
        {.format = COPY_BINARY},
        {.format = COPY_CSV, .delimiter = ';', .quote = '\'', .escape = '\\', .null = {"nil", 3}},
        {.format = COPY_TEXT, .delimiter = '|', .null = {"", 0}, .has_header = true},
        {.format = COPY_CSV,
         .delimiter = ',',
         .quote = '"',
         .escape = '"',
         .null = {"", 0},
         .has_header = true,
         .is_header_matched = true},
    };
    if (size < 3) {
        return 0;
    }
    const struct pg_copy *copy = &all[data[0] % ARRAY_COUNT(all)];
    struct slice bytes = {(const char *)data + 3, size - 3};
    struct run whole, cut;
    fixture_target_count = 1 + data[1] % ARRAY_COUNT(fixture_targets);
    read_all(&whole, copy, bytes, SIZE_MAX / 2);
    read_all(&cut, copy, bytes, (size_t)data[2] % 16 + 1);
    bool is_late = whole.err != cut.err; /* data behind the trailer: told when they come */
    ASSERT(!is_late || copy->format == COPY_BINARY);
    ASSERT(is_late || strcmp(whole.info.message, cut.info.message) == 0);
    ASSERT(whole.row_count == cut.row_count && whole.hash == cut.hash);
    return 0;
}
