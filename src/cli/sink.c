#include "cli/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/options.h"

enum {
    FLUSH_BYTES = 64 * 1024
};

static bool locale_is_utf8(void)
{
    const char *value = getenv("LC_ALL");
    value = value == NULL || value[0] == '\0' ? getenv("LC_CTYPE") : value;
    value = value == NULL || value[0] == '\0' ? getenv("LANG") : value;
    return value != NULL &&
           (strcasestr(value, "utf-8") != NULL || strcasestr(value, "utf8") != NULL);
}

void sink_init(struct sink *sink, int fd, int color)
{
    *sink = (struct sink){.fd = fd, .is_unicode = locale_is_utf8()};
    sink->is_terminal = isatty(fd) == 1;
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    bool is_plain =
        (no_color != NULL && no_color[0] != '\0') || (term != NULL && strcmp(term, "dumb") == 0);
    sink->is_color =
        color == COLOR_ALWAYS || (color == COLOR_AUTO && sink->is_terminal && !is_plain);
    sink_measure(sink);
}

void sink_measure(struct sink *sink)
{
    struct winsize size = {0};
    if (sink->is_terminal && ioctl(sink->fd, TIOCGWINSZ, &size) == 0) {
        sink->width = size.ws_col;
        sink->height = size.ws_row;
    }
}

enum err sink_open_file(struct sink *sink, const char *path, struct errinfo *info)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        return errinfo_set(info, ERR_IO, NULL, "cannot write to \"%.300s\": %m", path);
    }
    *sink = (struct sink){.fd = fd, .is_owned = true, .is_unicode = true};
    sink->is_terminal = isatty(fd) == 1;
    return ERR_OK;
}

static enum err write_all(struct sink *sink, struct slice bytes, struct errinfo *info)
{
    while (bytes.len > 0 && !sink->is_closed) {
        ssize_t wrote = write(sink->fd, bytes.ptr, bytes.len);
        if (wrote < 0 && errno == EPIPE) {
            sink->is_closed = true;
        } else if (wrote < 0 && errno != EINTR) {
            return errinfo_set(info, ERR_IO, NULL, "cannot write the result: %m");
        } else if (wrote > 0) {
            bytes.ptr += wrote;
            bytes.len -= (size_t)wrote;
        }
    }
    return ERR_OK;
}

enum err sink_flush(struct sink *sink, struct errinfo *info)
{
    enum err err =
        buf_failed(&sink->buf) ? errinfo_nomem(info) : write_all(sink, buf_slice(&sink->buf), info);
    buf_reset(&sink->buf);
    return err;
}

enum err sink_flush_some(struct sink *sink, struct errinfo *info)
{
    return sink->buf.len < FLUSH_BYTES && !buf_failed(&sink->buf) ? ERR_OK : sink_flush(sink, info);
}

const char *sink_style(const struct sink *sink, const char *style)
{
    return sink->is_color ? style : "";
}

void sink_close(struct sink *sink)
{
    sink_end_pager(sink);
    if (sink->is_owned) {
        io_close(sink->fd);
    }
    buf_fini(&sink->buf);
}
