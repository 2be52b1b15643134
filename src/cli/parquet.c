#include "cli/parquet.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/io.h"
#include "cli/cli_int.h"
#include "sql/scan.h"
#include "sql/statement.h"

static const struct slice copy_head = {"COPY (", 6};

bool parquet_is_query(struct slice statement)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "classify", 1 << 24);
    struct statement parsed;
    /* What cannot be parsed goes the usual way, for its error. */
    return arena != NULL && statement_parse(statement, arena, &parsed, NULL) == ERR_OK &&
           parsed.kind == STATEMENT_QUERY;
}

static enum err copy_to(struct cli *cli, struct slice statement, const char *path,
                        struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    buf_append_slice(&text, copy_head);
    buf_append_slice(&text, statement);
    buf_append_str(&text, "\n) TO "); /* the statement may end in a comment */
    sql_quote_string(&text, slice_of(path));
    buf_append_str(&text, " (FORMAT parquet)");
    if (buf_failed(&text)) {
        return errinfo_nomem(info);
    }
    struct query *query CLEANUP(query_cleanup) = NULL;
    enum err err = query_open(cli->session, buf_slice(&text), NULL, 0, &query, info);
    if (err != ERR_OK && info->position > 0) { /* of the statement as it was written */
        info->position = info->position > copy_head.len ? info->position - copy_head.len : 0;
    }
    return err;
}

static enum err send_file(struct sink *sink, const char *path, struct errinfo *info)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errinfo_set(info, ERR_IO, NULL, "cannot read the Parquet file back: %m");
    }
    enum err err = ERR_OK;
    ssize_t got = 1;
    while (err == ERR_OK && got > 0 && !sink->is_closed) {
        char *room = buf_reserve(&sink->buf, 65536);
        got = room == NULL ? -1 : read(fd, room, 65536);
        sink->buf.len += got > 0 ? (size_t)got : 0;
        err = got < 0 ? errinfo_set(info, ERR_IO, NULL, "cannot read the Parquet file back")
                      : sink_flush(sink, info);
    }
    io_close(fd);
    return err;
}

enum err parquet_run(struct cli *cli, struct slice statement, struct errinfo *info)
{
    if (cli->options.output != NULL) {
        return copy_to(cli, statement, cli->options.output, info);
    }
    if (cli->out.is_terminal) {
        enum err err =
            errinfo_set(info, ERR_UNSUPPORTED, NULL, "format \"parquet\" is not for a terminal");
        errinfo_hint(info, "write it to a file with -o FILE, or to another program");
        return err;
    }
    const char *base = getenv("TMPDIR");
    char folder[512];
    (void)snprintf(folder, sizeof(folder), "%s/moat-XXXXXX", base == NULL ? "/tmp" : base);
    if (mkdtemp(folder) == NULL) {
        return errinfo_set(info, ERR_IO, NULL, "cannot make a temporary folder: %m");
    }
    char path[540];
    (void)snprintf(path, sizeof(path), "%s/rows.parquet", folder);
    enum err err = copy_to(cli, statement, path, info);
    err = err == ERR_OK ? send_file(&cli->out, path, info) : err;
    (void)unlink(path);
    (void)rmdir(folder);
    return err;
}
