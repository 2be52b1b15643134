#include "cli/format.h"

#include <signal.h>
#include <unistd.h>

#include "arrow/sample.h"
#include "base/io.h"
#include "base/sweep.h"
#include "base/test.h"
#include "cli/complete.h"
#include "cli/history.h"
#include "cli/text.h"
#include "cli/watch.h"

/* Two columns of the sample, by name, as a batch of their own. */
struct pair_of_columns {
    struct sample sample;
    struct ArrowSchema schema;
    struct ArrowArray batch;
    struct ArrowSchema *schemas[2];
    struct ArrowArray *arrays[2];
};

static void choose(struct pair_of_columns *pair, const char *first, const char *second)
{
    const char *const names[] = {first, second};
    sample_init(&pair->sample);
    pair->schema = *pair->sample.schema;
    pair->batch = *pair->sample.batch;
    for (size_t i = 0; i < 2; i++) {
        size_t c = 0;
        while (strcmp(pair->sample.schema->children[c]->name, names[i]) != 0) {
            c++;
        }
        pair->schemas[i] = pair->sample.schema->children[c];
        pair->arrays[i] = pair->sample.batch->children[c];
    }
    pair->schema.children = pair->schemas;
    pair->schema.n_children = 2;
    pair->batch.children = pair->arrays;
    pair->batch.n_children = 2;
}

/* Writes `batches` times the batch through a file, and gives what the file has. */
static struct slice output_of(enum cli_format which, struct pair_of_columns *pair, size_t batches,
                              const struct format_options *options, bool is_terminal,
                              struct arena *arena)
{
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/out", test_folder());
    struct sink sink;
    CHECK_OK(sink_open_file(&sink, path, NULL));
    sink.is_terminal = is_terminal;
    sink.width = is_terminal ? 30 : 0;
    struct format *format CLEANUP(format_cleanup) = NULL;
    CHECK_OK(format_open(which, options, &pair->schema, &sink, &format, NULL));
    for (size_t i = 0; i < batches; i++) {
        CHECK_OK(format_batch(format, &pair->batch, NULL));
    }
    CHECK_OK(format_end(format, 12000, NULL));
    sink_close(&sink);
    struct slice bytes;
    CHECK_OK(io_read_file(arena, path, 1 << 26, &bytes, NULL));
    return bytes;
}

static void check_output(enum cli_format which, const char *expected)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct pair_of_columns pair;
    choose(&pair, "i32", "utf8");
    const struct format_options options = {.is_timed = true};
    CHECK_SLICE(expected, output_of(which, &pair, 1, &options, false, arena));
}

TEST(format, csv_tells_null_from_empty_and_quotes)
{
    check_output(OUTPUT_CSV, "i32,utf8\n1,a\n-2147483648,\"\"\n,\n2147483647,\"\xc3\xa9, "
                             "\"\"b\"\"\x01\"\n");
}

TEST(format, json_is_one_array_or_one_object_a_line)
{
    check_output(OUTPUT_JSON,
                 "[\n{\"i32\":1,\"utf8\":\"a\"},\n{\"i32\":-2147483648,\"utf8\":\"\"},\n"
                 "{\"i32\":null,\"utf8\":null},\n{\"i32\":2147483647,\"utf8\":"
                 "\"\xc3\xa9, \\\"b\\\"\\u0001\"}\n]\n");
    check_output(OUTPUT_JSONL, "{\"i32\":1,\"utf8\":\"a\"}\n{\"i32\":-2147483648,\"utf8\":\"\"}\n"
                               "{\"i32\":null,\"utf8\":null}\n{\"i32\":2147483647,\"utf8\":"
                               "\"\xc3\xa9, \\\"b\\\"\\u0001\"}\n");
}

TEST(format, markdown_aligns_numbers_and_escapes)
{
    check_output(OUTPUT_MARKDOWN,
                 "| i32 | utf8 |\n|---:|---|\n| 1 | a |\n| -2147483648 |  |\n|  |  |\n"
                 "| 2147483647 | \xc3\xa9, \"b\"\x01 |\n");
}

TEST(format, a_table_is_aligned_and_escaped)
{
    check_output(OUTPUT_TABLE, "┌─────────────┬────────────┐\n"
                               "│         i32 │ utf8       │\n"
                               "├─────────────┼────────────┤\n"
                               "│           1 │ a          │\n"
                               "│ -2147483648 │            │\n"
                               "│        NULL │ NULL       │\n"
                               "│  2147483647 │ é, \"b\"\\x01 │\n"
                               "└─────────────┴────────────┘\n(4 rows, 12 ms)\n");
}

TEST(format, a_table_is_cut_to_the_terminal)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct pair_of_columns pair;
    choose(&pair, "ts_ns", "struct");
    const struct format_options options = {.no_header = true, .is_quiet = true};
    struct slice text = output_of(OUTPUT_TABLE, &pair, 1, &options, true, arena);
    while (text.len > 0) {
        size_t end = slice_find(text, SLICE("\n"));
        assert_int_equal(text_width((struct slice){text.ptr, end}), 30);
        text = (struct slice){text.ptr + end + 1, text.len - end - 1};
    }
}

TEST(format, long_tables_stream_with_the_widths_of_their_start)
{
    // Goal: memory does not grow with the result. Method: 100,000 rows; every line is there.
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct pair_of_columns pair;
    choose(&pair, "i32", "utf8");
    const struct format_options options = {.is_timed = false};
    struct slice text = output_of(OUTPUT_TABLE, &pair, 25000, &options, false, arena);
    CHECK(slice_ends_with(text, SLICE("(100000 rows)\n")));
    size_t lines = 0;
    for (size_t i = 0; i < text.len; i++) {
        lines += text.ptr[i] == '\n';
    }
    assert_int_equal(lines, 100000 + 5);
}

TEST(format, expanded_shows_a_block_a_row)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct pair_of_columns pair;
    choose(&pair, "i32", "utf8");
    pair.batch.length = 1;
    const struct format_options options = {.is_expanded = true};
    CHECK_SLICE("-[ RECORD 1 ]-\ni32  │ 1\nutf8 │ a\n(1 row)\n",
                output_of(OUTPUT_TABLE, &pair, 1, &options, false, arena));
}

TEST(format, nothing_that_drives_a_terminal_reaches_one)
{
    // Goal: no format passes ESC, C1 or a bidirectional override to a terminal.
    static const char evil[] = "\x1b]0;x\x07\xc2\x9b"
                               "31m\xe2\x80\xae\x7f";
    static const int32_t offsets[] = {0, (int32_t)sizeof(evil) - 1};
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct pair_of_columns pair;
    choose(&pair, "i32", "utf8");
    const void *buffers[] = {NULL, offsets, evil};
    struct ArrowArray array = {.length = 1, .n_buffers = 3, .buffers = buffers};
    struct ArrowSchema schema = {.format = "u", .name = evil};
    pair.batch.length = 1;
    pair.schemas[1] = &schema;
    pair.arrays[1] = &array;
    const struct format_options options = {.is_quiet = true};
    for (size_t which = 0; which <= OUTPUT_MARKDOWN; which++) {
        struct slice text = output_of((enum cli_format)which, &pair, 1, &options, true, arena);
        CHECK(text.len > 0);
        for (size_t i = 0; i < text.len; i++) {
            unsigned char byte = (unsigned char)text.ptr[i];
            CHECK((byte >= 0x20 && byte != 0x7F) || byte == '\n');
        }
        CHECK(slice_find(text, SLICE("\xc2\x9b")) == SIZE_MAX);
        CHECK(slice_find(text, SLICE("\xe2\x80\xae")) == SIZE_MAX);
    }
}

TEST(format, arrow_is_not_for_a_terminal)
{
    struct pair_of_columns pair;
    choose(&pair, "i32", "utf8");
    struct sink sink = {.fd = -1, .is_terminal = true};
    const struct format_options options = {0};
    struct format *format = NULL;
    struct errinfo info;
    CHECK_ERR(ERR_UNSUPPORTED,
              format_open(OUTPUT_ARROW, &options, &pair.schema, &sink, &format, &info));
}

TEST(format, every_failed_allocation_is_a_clean_error)
{
    struct pair_of_columns pair;
    choose(&pair, "list", "utf8");
    for (size_t which = 0; which <= OUTPUT_ARROW; which++) {
        SWEEP_ALLOC(fault)
        {
            struct sink sink;
            CHECK_OK(sink_open_file(&sink, "/dev/null", NULL));
            const struct format_options options = {0};
            struct format *format CLEANUP(format_cleanup) = NULL;
            struct errinfo info;
            enum err err =
                format_open((enum cli_format)which, &options, &pair.schema, &sink, &format, &info);
            err = err == ERR_OK ? format_batch(format, &pair.batch, &info) : err;
            err = err == ERR_OK ? format_end(format, 0, &info) : err;
            CHECK(err == ERR_OK || err == ERR_NOMEM);
            sink_close(&sink);
        }
    }
}

TEST(format, a_reader_that_leaves_ends_the_output_quietly)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    (void)close(ends[0]);
    struct sink sink = {.fd = ends[1], .is_owned = true};
    void (*before)(int) = signal(SIGPIPE, SIG_IGN);
    buf_append_str(&sink.buf, "row\n");
    CHECK_OK(sink_flush(&sink, NULL));
    CHECK(sink.is_closed);
    (void)signal(SIGPIPE, before);
    sink_close(&sink);
}

TEST(text, widths_and_cuts_count_columns)
{
    assert_int_equal(text_width(SLICE("e\xcc\x81\xe6\x97\xa5\xf0\x9f\x98\x80")), 5);
    struct buf out CLEANUP(buf_fini) = {0};
    text_cut(&out, SLICE("\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"), 5, true);
    CHECK_STR("\xe6\x97\xa5\xe6\x9c\xac\xe2\x80\xa6", buf_cstr(&out));
    buf_reset(&out);
    text_cut(&out, SLICE("abcdefgh"), 5, false);
    CHECK_STR("ab...", buf_cstr(&out));
    buf_reset(&out);
    text_escape(&out, SLICE("a\xff\n\t\r\nb"), KEEP_LAYOUT);
    CHECK_STR("a\\xff\n\t\r\nb", buf_cstr(&out));
}

TEST(watch, progress_tells_percent_elapsed_and_left)
{
    char text[WATCH_TEXT_BYTES];
    watch_text(25, 3000000, text);
    CHECK_STR("[######                  ]  25 %, 3 s, about 9 s left", text);
    watch_text(-1, 3000000, text);
    CHECK_STR("running, 3 s", text);
}

TEST(complete, a_word_ends_at_a_dot_and_a_command_keeps_its_backslash)
{
    assert_int_equal(complete_word(SLICE("SELECT main.fli"), 15), 12);
    assert_int_equal(complete_word(SLICE("\\ti"), 3), 0);
    assert_int_equal(complete_word(SLICE("a + b"), 4), 4);
}

TEST(history, statements_that_mention_a_password_are_not_kept)
{
    CHECK(!history_may_keep(SLICE("CREATE USER a PASSWORD 'x'")));
    CHECK(!history_may_keep(SLICE("alter usr a set PassWord 'x'")));
    CHECK(history_may_keep(SLICE("SELECT 1")));
}
