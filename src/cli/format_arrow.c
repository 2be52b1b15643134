/* The Arrow IPC stream (arrow/ipc.h). */
#include "arrow/ipc.h"
#include "cli/format.h"

static enum err begin(struct format *format, struct errinfo *info)
{
    return ipc_write_schema(format->schema, &format->sink->buf, info);
}

static enum err batch(struct format *format, const struct ArrowArray *rows, struct errinfo *info)
{
    TRY(ipc_write_batch(format->schema, rows, &format->sink->buf, info));
    return sink_flush_some(format->sink, info);
}

static enum err end(struct format *format, UNUSED int64_t us, UNUSED struct errinfo *info)
{
    ipc_write_end(&format->sink->buf);
    return ERR_OK;
}

const struct format_ops format_arrow = {1, begin, batch, end, NULL};
