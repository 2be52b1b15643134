#include "cli/history.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/io.h"
#include "base/mem.h"
#include "sql/statement.h"

enum {
    HISTORY_LINES = 2000
};

bool history_may_keep(struct slice statement)
{
    struct slice word = SLICE("password");
    for (size_t i = 0; i + word.len <= statement.len; i++) {
        if (slice_equal_fold((struct slice){statement.ptr + i, word.len}, word)) {
            return false; /* also misspelt ones, which no parser would redact */
        }
    }
    if (statement.len > 0 && statement.ptr[0] == '\\') {
        return true; /* a command of the shell */
    }
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "history", 0);
    struct slice redacted;
    return arena != NULL && statement_redact(statement, arena, &redacted, NULL) == ERR_OK &&
           slice_equal(redacted, statement);
}

void history_start(struct statement_history *kept, const char *folder)
{
    *kept = (struct statement_history){.lines = history_init()};
    if (kept->lines == NULL) {
        return;
    }
    HistEvent event;
    (void)history(kept->lines, &event, H_SETSIZE, HISTORY_LINES);
    (void)history(kept->lines, &event, H_SETUNIQUE, 1);
    (void)snprintf(kept->path, sizeof(kept->path), "%s/history", folder);
    /* Made with its mode before anything is in it; a link is not followed. */
    int fd = open(kept->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fchmod(fd, 0600) != 0) {
        kept->path[0] = '\0';
    }
    io_close(fd);
    if (kept->path[0] != '\0') {
        (void)history(kept->lines, &event, H_LOAD, kept->path);
    }
}

void history_add(struct statement_history *kept, struct slice statement)
{
    if (kept->lines == NULL || !history_may_keep(statement)) {
        return;
    }
    char *text CLEANUP(mem_free_cleanup) = mem_slicedup(statement);
    if (text == NULL) {
        return;
    }
    /* One line is easier to edit again, unless a comment would swallow the rest. */
    for (char *at = text; strstr(text, "--") == NULL && *at != '\0'; at++) {
        *at = *at == '\n' ? ' ' : *at;
    }
    HistEvent event;
    (void)history(kept->lines, &event, H_ENTER, text);
    if (kept->path[0] != '\0') {
        (void)history(kept->lines, &event, H_SAVE, kept->path);
    }
}

void history_stop(struct statement_history *kept)
{
    if (kept->lines != NULL) {
        history_end(kept->lines);
        kept->lines = NULL;
    }
}
