#include "cli/report.h"

#include "base/test.h"

static void check_report(const char *statement, size_t position, const struct origin *origin,
                         size_t width, const char *expected)
{
    struct errinfo info;
    (void)errinfo_set(&info, ERR_NOT_FOUND, "42P01", "table \"x\" does not exist");
    errinfo_position(&info, position);
    struct sink sink = {.fd = -1, .is_unicode = true, .width = width};
    report_error(&sink, &info, slice_of(statement), origin);
    CHECK_STR(expected, buf_cstr(&sink.buf));
    buf_fini(&sink.buf);
}

TEST(report, the_caret_stands_under_the_position)
{
    check_report("SELECT 1\nFROM\tx", 15, NULL, 0,
                 "ERROR 42P01: table \"x\" does not exist\n"
                 "LINE 2: FROM x\n"
                 "             ^\n");
}

TEST(report, wide_characters_count_twice)
{
    check_report("SELECT '\xe6\x97\xa5', x", 15, NULL, 0,
                 "ERROR 42P01: table \"x\" does not exist\n"
                 "LINE 1: SELECT '\xe6\x97\xa5', x\n"
                 "                     ^\n");
}

TEST(report, long_lines_are_cut_around_the_caret)
{
    char statement[601];
    memset(statement, 'a', 600);
    statement[600] = '\0';
    statement[299] = 'X';
    struct errinfo info;
    (void)errinfo_set(&info, ERR_SYNTAX, NULL, "bad");
    errinfo_position(&info, 300);
    struct sink sink = {.fd = -1, .is_unicode = false, .width = 60};
    report_error(&sink, &info, slice_of(statement), NULL);
    const char *line = strchr(buf_cstr(&sink.buf), '\n') + 1;
    const char *caret = strchr(line, '\n') + 1;
    assert_int_equal(caret - line - 1, 60);
    CHECK(line[strcspn(caret, "^")] == 'X');
    buf_fini(&sink.buf);
}

TEST(report, files_are_named_with_their_line)
{
    const struct origin origin = {.file = "a.sql", .line = 7};
    check_report("SELECT 1\nFROM x", 15, &origin, 0,
                 "a.sql:8: ERROR 42P01: table \"x\" does not exist\n"
                 "LINE 2: FROM x\n"
                 "             ^\n");
    check_report("", 0, &origin, 0, "a.sql:7: ERROR 42P01: table \"x\" does not exist\n");
}

TEST(report, a_position_past_the_end_points_behind_it)
{
    check_report("SELECT", 99, NULL, 0,
                 "ERROR 42P01: table \"x\" does not exist\nLINE 1: SELECT\n              ^\n");
}

TEST(report, messages_cannot_drive_the_terminal)
{
    struct errinfo info;
    (void)errinfo_set(&info, ERR_INVALID, NULL, "bad \x1b[2J value");
    struct sink sink = {.fd = -1};
    report_error(&sink, &info, SLICE(""), NULL);
    CHECK(strstr(buf_cstr(&sink.buf), "bad \\x1b[2J value") != NULL);
    buf_fini(&sink.buf);
}
