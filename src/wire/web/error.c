/* Errors as HTTP has them: a status, and JSON with what a person reads. */
#include "base/json.h"
#include "wire/web/web_int.h"

unsigned web_status(const struct errinfo *info)
{
    switch (info->code) {
    case ERR_DENIED:
        return strncmp(info->sqlstate, "28", 2) == 0 ? 401 : 403;
    case ERR_BUSY:
        return strcmp(info->sqlstate, "53300") == 0 ? 429 : 503;
    case ERR_NOMEM:
        return 503;
    case ERR_IO:
    case ERR_CORRUPT:
    case ERR_INTERNAL:
        return 500;
    case ERR_CANCELLED:
        return 409;
    case ERR_TIMEOUT:
        return 504;
    case ERR_LIMIT:
        return 422;
    case ERR_OK:
    case ERR_INVALID:
    case ERR_SYNTAX:
    case ERR_NOT_FOUND:
    case ERR_EXISTS:
    case ERR_UNSUPPORTED:
    case ERR_ENGINE:
        break;
    }
    return 400;
}

void web_error_headers(struct http_exchange *exchange, unsigned status)
{
    struct slice proof;
    if (status == 401 && http_field(exchange, SLICE("x-moat-csrf"), &proof)) {
        /* The console: of Basic a browser would ask its person by itself. */
        http_header(exchange, "WWW-Authenticate", SLICE("Bearer realm=\"Moat\""));
    } else if (status == 401) {
        http_header(exchange, "WWW-Authenticate",
                    SLICE("Basic realm=\"Moat\", charset=\"UTF-8\", Bearer realm=\"Moat\""));
    } else if (status == 429 || status == 503) {
        http_header(exchange, "Retry-After", SLICE("1"));
    }
}

/* Byte offsets, as the parts below count, are nothing that JSON's readers could use. */
static size_t character_of(struct slice statement, size_t position)
{
    size_t count = 0;
    for (size_t i = 0; i < position && i < statement.len; i++) {
        count += ((unsigned char)statement.ptr[i] & 0xC0) != 0x80;
    }
    return count;
}

void web_print_error(struct buf *out, const struct errinfo *info, struct slice statement)
{
    buf_append_str(out, "{\"sqlstate\":");
    json_write_string(out, slice_of(info->sqlstate));
    buf_append_str(out, ",\"message\":");
    json_write_string(out, slice_of(info->message));
    if (info->detail[0] != '\0') {
        buf_append_str(out, ",\"detail\":");
        json_write_string(out, slice_of(info->detail));
    }
    if (info->hint[0] != '\0') {
        buf_append_str(out, ",\"hint\":");
        json_write_string(out, slice_of(info->hint));
    }
    if (info->position != 0 && statement.len > 0) {
        buf_printf(out, ",\"position\":%zu", character_of(statement, info->position));
    }
    buf_append_char(out, '}');
}

void web_reply_error(struct http_exchange *exchange, const struct errinfo *info,
                     struct slice statement)
{
    struct buf out CLEANUP(buf_fini) = {0};
    unsigned status = web_status(info);
    if (status == 401) {
        web__sign_out(exchange);
    }
    buf_append_str(&out, "{\"error\":");
    web_print_error(&out, info, statement);
    buf_append_str(&out, "}\n");
    web_error_headers(exchange, status);
    http_reply(exchange, status, "application/json", buf_slice(&out));
}
