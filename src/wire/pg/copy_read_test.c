/* The reader of COPY FROM alone: what a value becomes, and that it does not matter how the bytes
 * are cut. Clients are in tests/wire/copy_test.py. */
#include "base/sweep.h"
#include "base/test.h"
#include "wire/pg/copy_read.h"

#define COLUMNS 3

struct reading {
    struct pg_command command;
    struct arena *arena;
    struct copy_reader reader;
    struct copy_target targets[COLUMNS];
    struct copy_cell cells[COLUMNS + 1];
    struct buf rows; /* "a|~|c" each, ~ for NULL */
};

static enum err note_row(void *context, const struct copy_cell *cells, UNUSED size_t *ret_column,
                         struct errinfo *info)
{
    struct buf *out = context;
    for (size_t i = 0; i < COLUMNS; i++) {
        buf_append_str(out, i == 0 ? "" : "|");
        buf_append_slice(out, cells[i].is_null ? SLICE("~") : cells[i].value);
    }
    buf_append_char(out, ';');
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

static enum err reading_begin(struct reading *reading, const char *options, struct errinfo *info)
{
    char statement[256];
    *reading = (struct reading){.arena = arena_new(NULL, "test", 0)};
    if (reading->arena == NULL) {
        return errinfo_nomem(info);
    }
    (void)snprintf(statement, sizeof(statement), "COPY t FROM STDIN %s", options);
    struct slice text;
    if (!arena_slice(reading->arena, slice_of(statement), &text)) {
        return errinfo_nomem(info);
    }
    TRY(pg__command_parse(text, reading->arena, &reading->command, info));
    static const struct slice names[] = {{"a", 1}, {"b", 1}, {"c", 1}};
    for (size_t i = 0; i < COLUMNS; i++) {
        reading->targets[i].name = names[i];
    }
    reading->reader = (struct copy_reader){.copy = &reading->command.copy,
                                           .targets = reading->targets,
                                           .target_count = COLUMNS,
                                           .line_bytes_max = 4096,
                                           .row = note_row,
                                           .context = &reading->rows,
                                           .cells = reading->cells};
    copy_reader_init(&reading->reader);
    return ERR_OK;
}

static void reading_end(struct reading *reading)
{
    copy_reader_fini(&reading->reader);
    buf_fini(&reading->rows);
    arena_free(reading->arena);
}

/* Feeds all in pieces of up to `piece` bytes. */
static enum err feed(struct reading *reading, struct slice data, uint64_t *seed, size_t piece,
                     struct errinfo *info)
{
    while (data.len > 0) {
        size_t len = piece == 0 ? data.len : 1 + test_random_below(seed, piece);
        len = len > data.len ? data.len : len;
        TRY(copy_reader_feed(&reading->reader, (struct slice){data.ptr, len}, info));
        data = (struct slice){data.ptr + len, data.len - len};
    }
    return copy_reader_end(&reading->reader, info);
}

TEST(copy_read, values_are_as_postgresql_reads_them)
{
    static const struct {
        const char *options;
        const char *data;
        const char *rows; /* or the message */
        const char *where;
    } cases[] = {
        {"", "1\t\\N\t\n\\\\N\tx\\ty\t\\101\\x4a\\7\n", "1|~|;\\N|x\ty|AJ\7;", NULL},
        {"", "a\\\tb\tc\td\n", "a\tb|c|d;", NULL},
        {"", "a\\\nb\tc\td", "a\nb|c|d;", NULL},
        {"", "a\tb\tc\r\n\\.\r\nwhatever", "a|b|c;", NULL},
        {"", "a\tb\tc\n\\.", "a|b|c;", NULL},
        {"", "a\tb\tc\\", "a|b|c\\;", NULL},
        {"(NULL 'x')", "x\t\\x\t\\N\n", "~|x|N;", NULL},
        {"CSV", "a,\"b\",\n\"\",\"c,\nd\",\"\"\"\"\n", "a|b|~;|c,\nd|\";", NULL},
        {"CSV", "\\.,\\.x,\\\n\\.\n,,", "\\.|\\.x|\\;", NULL},
        {"CSV ESCAPE '\\'", "\"a\\\"b\",\"\\\\\",\"\\n\"\n", "a\"b|\\|\\n;", NULL},
        {"CSV QUOTE '\\'", "\\a,b\\,c,\\\n\\\n", "a,b|c|\n;", NULL},
        {"CSV HEADER", "x,\"\n\"\n1,2,3\n", "1|2|3;", NULL},
        {"(FORMAT csv, HEADER match)", "a,b,c\n1,2,3\n", "1|2|3;", NULL},
        {"(FORMAT csv, HEADER match)", "a,b\n",
         "wrong number of fields in header line: got 2, expected 3", "COPY t, line 1: \"a,b\""},
        {"", "1\t2\n", "missing data for column \"c\"", "COPY t, line 1: \"1\t2\""},
        {"", "1\t2\t3\n1\t2\t3\t4\n", "extra data after last expected column",
         "COPY t, line 2: \"1\t2\t3\t4\""},
        {"", "1\t2\t3\n1\r", "literal carriage return found in data", "COPY t, line 2"},
        {"CSV", "1,\"\n\n\",3\n1,2\n", "missing data for column \"c\"", "COPY t, line 2: \"1,2\""},
        {"CSV", "a,b,c\n1,\"\n\n\",3\n1,2\n", "missing data for column \"c\"",
         "COPY t, line 5: \"1,2\""},
        {"CSV", "1,\"2\n", "unterminated CSV quoted field", NULL},
        {"", "1\t\\.\t\n", "end-of-copy marker is not alone on its line", "COPY t, line 1"},
        {"", "1\t\\377\t\n", "invalid byte sequence for encoding \"UTF8\": 0xff", NULL},
        {"", "1\t\\0\t\n", "invalid byte sequence for encoding \"UTF8\": 0x00", NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct reading reading;
        struct errinfo info;
        struct buf where CLEANUP(buf_fini) = {0};
        errinfo_init(&info);
        CHECK(reading_begin(&reading, cases[i].options, &info) == ERR_OK);
        enum err err = feed(&reading, slice_of(cases[i].data), NULL, 0, &info);
        if (err == ERR_OK) {
            CHECK_STR(cases[i].rows, buf_cstr(&reading.rows));
        } else {
            CHECK_STR(cases[i].rows, info.message);
        }
        if (cases[i].where != NULL) {
            copy_reader_where(&reading.reader, SLICE("t"), &where);
            CHECK_STR(cases[i].where, buf_cstr(&where));
        }
        reading_end(&reading);
    }
}

/* Bytes that matter, thrown together. */
static void random_data(uint64_t *seed, struct buf *out)
{
    static const char *const parts[] = {
        "a",  "\t",  ",",   "\n",       "\r\n", "\r",          "\"",        "\"\"",    "\\",
        "x4", "\\N", "\\.", "\xc3\xa9", "\\\n", "\n1\t2\t3\n", "\n1,2,3\n", "\"q,\n\""};
    size_t count = test_random_below(seed, 30);
    for (size_t i = 0; i < count; i++) {
        buf_append_str(out, parts[test_random_below(seed, ARRAY_COUNT(parts))]);
    }
}

TEST(copy_read, it_does_not_matter_how_bytes_are_cut)
{
    // Goal: rows, error and place of it are the same for one piece and for random ones.
    static const char *const all[] = {"", "CSV", "CSV HEADER", "CSV QUOTE '\\'", "CSV ESCAPE '\\'"};
    uint64_t seed = test_seed();
    for (int turn = 0; turn < 20000; turn++) {
        struct buf data CLEANUP(buf_fini) = {0};
        const char *options = all[test_random_below(&seed, ARRAY_COUNT(all))];
        struct reading whole, cut;
        struct errinfo infos[2];
        struct buf wheres[2] = {{0}, {0}};
        random_data(&seed, &data);
        errinfo_init(&infos[0]);
        errinfo_init(&infos[1]);
        CHECK(reading_begin(&whole, options, &infos[0]) == ERR_OK);
        CHECK(reading_begin(&cut, options, &infos[1]) == ERR_OK);
        enum err first = feed(&whole, buf_slice(&data), &seed, 0, &infos[0]);
        enum err second = feed(&cut, buf_slice(&data), &seed, 3, &infos[1]);
        CHECK(first == second);
        CHECK_STR(buf_cstr(&whole.rows), buf_cstr(&cut.rows));
        CHECK_STR(infos[0].message, infos[1].message);
        copy_reader_where(&whole.reader, SLICE("t"), &wheres[0]);
        copy_reader_where(&cut.reader, SLICE("t"), &wheres[1]);
        if (first != ERR_OK) {
            CHECK_STR(buf_cstr(&wheres[0]), buf_cstr(&wheres[1]));
        }
        buf_fini(&wheres[0]);
        buf_fini(&wheres[1]);
        reading_end(&whole);
        reading_end(&cut);
    }
}

TEST(copy_read, a_line_has_a_limit)
{
    struct reading reading;
    struct errinfo info;
    char data[1000];
    enum err err = ERR_OK;
    memset(data, 'x', sizeof(data));
    errinfo_init(&info);
    CHECK(reading_begin(&reading, "CSV", &info) == ERR_OK);
    for (int i = 0; i < 5 && err == ERR_OK; i++) {
        err = copy_reader_feed(&reading.reader, (struct slice){data, sizeof(data)}, &info);
    }
    CHECK(err == ERR_LIMIT);
    CHECK_STR("54000", info.sqlstate);
    reading_end(&reading);
}

TEST(copy_read, memory_may_end_anywhere)
{
    SWEEP_ALLOC(fault)
    {
        struct reading reading;
        struct errinfo info;
        errinfo_init(&info);
        enum err err = reading_begin(&reading, "CSV", &info);
        if (err == ERR_OK) {
            err = feed(&reading, SLICE("1,\"a\"\"b\",\n,x,\"y\ny\"\n"), NULL, 0, &info);
        }
        CHECK(err == ERR_OK || err == ERR_NOMEM);
        CHECK(err != ERR_OK || strcmp(buf_cstr(&reading.rows), "1|a\"b|~;~|x|y\ny;") == 0);
        if (reading.arena != NULL) {
            reading_end(&reading);
        }
    }
}
