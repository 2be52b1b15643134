#include "base/log.h"

#include <unistd.h>

#include "base/test.h"

/* What one log call writes to stderr. */
static const char *logged(enum log_level level, const char *text)
{
    static char line[4096];
    int ends[2];
    CHECK(pipe(ends) == 0);
    int saved = dup(STDERR_FILENO);
    CHECK(dup2(ends[1], STDERR_FILENO) >= 0);
    log_write(level, "test", "%s", text);
    CHECK(dup2(saved, STDERR_FILENO) >= 0);
    (void)close(saved);
    (void)close(ends[1]);
    ssize_t got = read(ends[0], line, sizeof(line) - 1);
    (void)close(ends[0]);
    line[got < 0 ? 0 : got] = '\0';
    return line;
}

TEST(log, writes_one_line_above_the_level)
{
    enum log_level before = log_get_level();
    log_set_level(LOG_WARN);
    CHECK_STR("", logged(LOG_INFO, "quiet"));
    const char *line = logged(LOG_ERROR, "disk is full");
    CHECK(strlen(line) > 27 && line[26] == 'Z');
    CHECK_STR(" error test disk is full\n", line + 27);
    log_set_level(LOG_OFF);
    CHECK_STR("", logged(LOG_ERROR, "quiet"));
    log_set_level(before);
}

TEST(log, cuts_what_is_too_long_but_ends_the_line)
{
    char text[3000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    const char *line = logged(LOG_ERROR, text);
    size_t len = strlen(line);
    CHECK(len > 900 && len <= 1024 && line[len - 1] == '\n');
}

TEST(log, reads_level_names)
{
    enum log_level level = LOG_OFF;
    CHECK(log_level_parse(SLICE("Debug"), &level) && level == LOG_DEBUG);
    CHECK(log_level_parse(SLICE("warn"), &level) && level == LOG_WARN);
    CHECK(!log_level_parse(SLICE("warning"), &level) && level == LOG_WARN);
}
