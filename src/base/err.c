#include "base/err.h"

#include <stdarg.h>

static const struct {
    const char *name;
    const char *sqlstate;
} err_table[] = {
    [ERR_OK] = {"ok", "00000"},
    [ERR_NOMEM] = {"nomem", "53200"},
    [ERR_INVALID] = {"invalid", "22023"},
    [ERR_SYNTAX] = {"syntax", "42601"},
    [ERR_NOT_FOUND] = {"not_found", "42704"},
    [ERR_EXISTS] = {"exists", "42710"},
    [ERR_DENIED] = {"denied", "42501"},
    [ERR_IO] = {"io", "58030"},
    [ERR_CORRUPT] = {"corrupt", "XX001"},
    [ERR_LIMIT] = {"limit", "54000"},
    [ERR_CANCELLED] = {"cancelled", "57014"},
    [ERR_TIMEOUT] = {"timeout", "57014"},
    [ERR_UNSUPPORTED] = {"unsupported", "0A000"},
    [ERR_BUSY] = {"busy", "53300"},
    [ERR_ENGINE] = {"engine", "XX000"},
    [ERR_INTERNAL] = {"internal", "XX000"},
};

const char *err_name(enum err code)
{
    ASSERT((size_t)code < ARRAY_COUNT(err_table));
    return err_table[code].name;
}

const char *err_sqlstate(enum err code)
{
    ASSERT((size_t)code < ARRAY_COUNT(err_table));
    return err_table[code].sqlstate;
}

void errinfo_init(struct errinfo *info)
{
    info->code = ERR_OK;
    memcpy(info->sqlstate, "00000", sizeof(info->sqlstate));
    info->position = 0;
    info->message[0] = '\0';
    info->detail[0] = '\0';
    info->hint[0] = '\0';
}

/* vsnprintf that never cuts inside a UTF-8 sequence and shows that it cut. */
static void format_text(char *out, size_t size, const char *format, va_list args)
{
    int len = vsnprintf(out, size, format, args);
    if (len < 0) {
        out[0] = '\0';
        return;
    }
    if ((size_t)len < size) {
        return;
    }
    size_t end = size - sizeof("...");
    while (end > 0 && ((unsigned char)out[end] & 0xC0) == 0x80) {
        end--;
    }
    memcpy(out + end, "...", sizeof("..."));
}

enum err(errinfo_set)(struct errinfo *info, enum err code, const char *sqlstate, const char *format,
                      ...)
{
    if (info == NULL) {
        return code;
    }
    errinfo_init(info);
    info->code = code;
    const char *state = sqlstate != NULL ? sqlstate : err_sqlstate(code);
    ASSERT(strlen(state) == 5);
    memcpy(info->sqlstate, state, sizeof(info->sqlstate));
    va_list args;
    va_start(args, format);
    format_text(info->message, sizeof(info->message), format, args);
    va_end(args);
    return code;
}

void errinfo_detail(struct errinfo *info, const char *format, ...)
{
    if (info != NULL) {
        va_list args;
        va_start(args, format);
        format_text(info->detail, sizeof(info->detail), format, args);
        va_end(args);
    }
}

void errinfo_hint(struct errinfo *info, const char *format, ...)
{
    if (info != NULL) {
        va_list args;
        va_start(args, format);
        format_text(info->hint, sizeof(info->hint), format, args);
        va_end(args);
    }
}

void errinfo_position(struct errinfo *info, size_t position_one_based)
{
    if (info != NULL) {
        info->position = position_one_based;
    }
}

enum err(errinfo_nomem)(struct errinfo *info)
{
    return errinfo_set(info, ERR_NOMEM, NULL, "out of memory");
}
