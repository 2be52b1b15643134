/* One row of a system relation, as a line of JSON. */
#include "base/json.h"
#include "catalog/catalog_int.h"

void catalog__row_begin(struct buf *out)
{
    buf_append_str(out, "{\"moat\":0"); /* no column: so that every member can begin with a comma */
}

void catalog__row_end(struct buf *out)
{
    buf_append_str(out, "}\n");
}

/* Thousands of rows are made for one query: no formats are read here. */
void catalog__row_key(struct buf *out, const char *name)
{
    buf_append_str(out, ",\"");
    buf_append_str(out, name);
    buf_append_str(out, "\":");
}

void catalog__row_text(struct buf *out, const char *name, struct slice text)
{
    catalog__row_key(out, name);
    json_write_string(out, text);
}

void catalog__row_text_or_null(struct buf *out, const char *name, struct slice text)
{
    if (text.len > 0) {
        catalog__row_text(out, name, text);
    }
}

void catalog__row_bool(struct buf *out, const char *name, bool value)
{
    catalog__row_key(out, name);
    buf_append_str(out, value ? "true" : "false");
}

void catalog__row_number(struct buf *out, const char *name, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    catalog__row_key(out, name);
    buf_append(out, digits + at, sizeof(digits) - at);
}

void catalog__row_percent(struct buf *out, const char *name, double value)
{
    if (value >= 0 && value <= 100) { /* neither is a NaN */
        catalog__row_key(out, name);
        buf_printf(out, "%.2f", value);
    }
}

void catalog__row_integer(struct buf *out, const char *name, int64_t value)
{
    if (value >= 0) {
        catalog__row_number(out, name, (uint64_t)value);
        return;
    }
    catalog__row_key(out, name);
    buf_printf(out, "%lld", (long long)value);
}
