#include "cli/format.h"

#include "base/mem.h"

static const struct format_ops *const all_ops[OUTPUT_COUNT] = {
    [OUTPUT_TABLE] = &format_table,       [OUTPUT_CSV] = &format_csv,
    [OUTPUT_JSON] = &format_json,         [OUTPUT_JSONL] = &format_jsonl,
    [OUTPUT_MARKDOWN] = &format_markdown, [OUTPUT_ARROW] = &format_arrow,
};

enum err format_open(enum cli_format which, const struct format_options *options,
                     const struct ArrowSchema *schema, struct sink *sink,
                     struct format **ret_format, struct errinfo *info)
{
    ASSERT(which < OUTPUT_COUNT && all_ops[which] != NULL);
    if (which == OUTPUT_ARROW && sink->is_terminal) {
        enum err err =
            errinfo_set(info, ERR_UNSUPPORTED, NULL, "format \"arrow\" is not for a terminal");
        errinfo_hint(info, "write it to a file with -o FILE, or to another program");
        return err;
    }
    struct format *format CLEANUP(format_cleanup) = mem_calloc(1, sizeof(*format));
    if (format == NULL) {
        return errinfo_nomem(info);
    }
    *format =
        (struct format){.ops = all_ops[which], .schema = schema, .sink = sink, .options = *options};
    format->state = mem_calloc(1, format->ops->state_bytes);
    if (format->state == NULL) {
        return errinfo_nomem(info);
    }
    TRY(format->ops->begin(format, info));
    *ret_format = TAKE(format);
    return ERR_OK;
}

enum err format_batch(struct format *format, const struct ArrowArray *batch, struct errinfo *info)
{
    return format->ops->batch(format, batch, info);
}

enum err format_end(struct format *format, int64_t duration_us, struct errinfo *info)
{
    TRY(format->ops->end(format, duration_us, info));
    return sink_flush(format->sink, info);
}

void format_close(struct format *format)
{
    if (format == NULL) {
        return;
    }
    if (format->state != NULL && format->ops->fini != NULL) {
        format->ops->fini(format);
    }
    mem_free(format->state);
    mem_free(format);
}

void format_duration(struct buf *out, int64_t us)
{
    if (us < 10000) {
        buf_printf(out, "%.1f ms", (double)us / 1e3);
    } else if (us < 1000000) {
        buf_printf(out, "%.0f ms", (double)us / 1e3);
    } else if (us < 60000000) {
        buf_printf(out, "%.1f s", (double)us / 1e6);
    } else {
        buf_printf(out, "%lld min %lld s", (long long)(us / 60000000),
                   (long long)(us / 1000000 % 60));
    }
}
