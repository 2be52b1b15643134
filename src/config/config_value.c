/* Values: from text under the bounds of their key, and back to the shortest exact text.
 *
 * A bare number is accepted where it can mean one thing only: counts and bytes. A duration needs a
 * unit (0 apart), because "30" has meant seconds to some programs and milliseconds to others. */
#include "config/config_int.h"

#include <pwd.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/mem.h"

struct unit {
    const char *name;
    int64_t factor;
};

/* Largest first within a family, so that printing finds the largest exact one. */
static const struct unit byte_units[] = {
    {"TiB", INT64_C(1) << 40},
    {"GiB", INT64_C(1) << 30},
    {"MiB", INT64_C(1) << 20},
    {"KiB", INT64_C(1) << 10},
    {"TB", INT64_C(1000000000000)},
    {"GB", 1000000000},
    {"MB", 1000000},
    {"KB", 1000},
    {"B", 1},
};
static const struct unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

static void units_of(enum config_type type, const struct unit **ret_units, size_t *ret_count)
{
    *ret_units = type == CONFIG_BYTES ? byte_units : duration_units;
    *ret_count = type == CONFIG_BYTES ? ARRAY_COUNT(byte_units) : ARRAY_COUNT(duration_units);
}

/* "1.5GiB", "300 ms", "0": digits, up to three decimals, white space, unit. */
static bool parse_quantity(enum config_type type, struct slice text, int64_t *ret_value)
{
    size_t at = 0;
    int64_t whole = 0;
    int64_t thousandths = 0;
    int64_t scale = 100;
    for (; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++) {
        if (!checked_mul(whole, 10, &whole) || !checked_add(whole, text.ptr[at] - '0', &whole)) {
            return false;
        }
    }
    bool has_digits = at > 0;
    bool has_decimals = has_digits && at < text.len && text.ptr[at] == '.';
    if (has_decimals) {
        size_t start = ++at;
        for (; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++, scale /= 10) {
            thousandths += (text.ptr[at] - '0') * scale;
        }
        has_digits = at > start && at - start <= 3;
    }
    struct slice unit = slice_trim((struct slice){text.ptr + at, text.len - at});
    int64_t factor = 0;
    const struct unit *units;
    size_t count;
    units_of(type, &units, &count);
    for (size_t i = 0; i < count; i++) {
        factor = slice_equal_fold(unit, slice_of(units[i].name)) ? units[i].factor : factor;
    }
    if (unit.len == 0 && (type == CONFIG_BYTES || whole == 0) && !has_decimals) {
        factor = 1;
    }
    int64_t value;
    int64_t fraction;
    if (!has_digits || factor == 0 || !checked_mul(whole, factor, &value) ||
        !checked_mul(thousandths, factor, &fraction) || fraction % 1000 != 0 ||
        !checked_add(value, fraction / 1000, &value)) {
        return false;
    }
    *ret_value = value;
    return true;
}

static bool parse_bool(struct slice text, int64_t *ret_value)
{
    static const char *const words[] = {"false", "true", "off", "on", "no", "yes"};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (slice_equal_fold(text, slice_of(words[i]))) {
            *ret_value = (int64_t)(i & 1);
            return true;
        }
    }
    return false;
}

static bool parse_number(enum config_type type, struct slice text, int64_t *ret_value)
{
    switch (type) {
    case CONFIG_BOOL:
        return parse_bool(text, ret_value);
    case CONFIG_INTEGER:
        return slice_to_i64(text, ret_value);
    case CONFIG_BYTES:
    case CONFIG_DURATION:
        return parse_quantity(type, text, ret_value);
    case CONFIG_TEXT:
    case CONFIG_CHOICE:
    case CONFIG_PATH:
        break;
    }
    ASSERT(false);
    return false;
}

static bool is_within(const struct config_entry *entry, int64_t value)
{
    int64_t bound;
    if (entry->minimum[0] != '\0') {
        ASSERT(parse_number(entry->type, slice_of(entry->minimum), &bound));
        if (value < bound) {
            return false;
        }
    }
    if (entry->maximum[0] != '\0') {
        ASSERT(parse_number(entry->type, slice_of(entry->maximum), &bound));
        return value <= bound;
    }
    return true;
}

static bool find_choice(const char *choices, struct slice text, struct slice *ret_choice)
{
    struct slice rest = slice_of(choices);
    while (rest.len > 0) {
        size_t bar = slice_find(rest, SLICE("|"));
        struct slice choice = {rest.ptr, bar == SIZE_MAX ? rest.len : bar};
        if (slice_equal_fold(choice, text)) {
            *ret_choice = choice;
            return true;
        }
        size_t skip = bar == SIZE_MAX ? rest.len : bar + 1;
        rest = (struct slice){rest.ptr + skip, rest.len - skip};
    }
    return false;
}

/* The home folder of the process's user: HOME as a shell sees it, else the user database's. */
static const char *home_folder(void)
{
    const char *home = getenv("HOME");
    if (home != NULL && home[0] == '/') {
        return home;
    }
    const struct passwd *entry = getpwuid(getuid());
    return entry == NULL || entry->pw_dir == NULL || entry->pw_dir[0] != '/' ? NULL : entry->pw_dir;
}

/* False: not a path that can be used. `ret_text` NULL with true: out of memory. */
static bool expand_path(struct slice text, char **ret_text)
{
    bool is_home = text.len > 0 && text.ptr[0] == '~';
    const char *home = is_home ? home_folder() : "";
    bool is_other_user = is_home && text.len > 1 && text.ptr[1] != '/';
    if (text.len == 0 || home == NULL || is_other_user) {
        return false;
    }
    struct buf path CLEANUP(buf_fini) = {0};
    buf_append_str(&path, home);
    buf_append(&path, text.ptr + is_home, text.len - is_home);
    *ret_text = buf_take(&path);
    return true;
}

static enum err refuse(const struct config_entry *entry, struct slice text, const char *where,
                       struct errinfo *info)
{
    struct buf allowed CLEANUP(buf_fini) = {0};
    config__allowed(entry, &allowed);
    struct slice shown = {text.ptr, text.len > 80 ? 80 : text.len};
    enum err err = errinfo_set(info, ERR_INVALID, "22023", "%s\"%s\" cannot be \"%.*s\"%s", where,
                               entry->name, SLICE_ARGS(shown), text.len > 80 ? "..." : "");
    errinfo_detail(info, "allowed: %s", buf_cstr(&allowed));
    errinfo_hint(info, "`moat config --explain` shows every key with what it means");
    return err;
}

enum err config__parse(const struct config_entry *entry, struct slice text, const char *where,
                       struct config_value *ret_value, struct errinfo *info)
{
    text = slice_trim(text);
    if (!slice_is_utf8(text, NULL) || memchr(text.ptr == NULL ? "" : text.ptr, 0, text.len)) {
        return errinfo_set(info, ERR_INVALID, "22021",
                           "%sthe value of \"%s\" is not valid UTF-8 text", where, entry->name);
    }
    struct config_value value = {0};
    struct slice kept = text;
    bool is_text = true;
    bool is_right = true;
    switch (entry->type) {
    case CONFIG_BOOL:
    case CONFIG_INTEGER:
    case CONFIG_BYTES:
    case CONFIG_DURATION:
        is_text = false;
        is_right = parse_number(entry->type, text, &value.number) && is_within(entry, value.number);
        break;
    case CONFIG_CHOICE:
        is_right = find_choice(entry->choices, text, &kept);
        break;
    case CONFIG_PATH:
        is_right = expand_path(text, &value.text);
        is_text = false;
        if (is_right && value.text == NULL) {
            return errinfo_nomem(info);
        }
        break;
    case CONFIG_TEXT:
        break;
    }
    if (!is_right) {
        return refuse(entry, text, where, info);
    }
    if (is_text && (value.text = mem_slicedup(kept)) == NULL) {
        return errinfo_nomem(info);
    }
    *ret_value = value;
    return ERR_OK;
}

void config__print_value(const struct config_entry *entry, const struct config_value *value,
                         struct buf *out)
{
    switch (entry->type) {
    case CONFIG_BOOL:
        buf_append_str(out, value->number != 0 ? "true" : "false");
        return;
    case CONFIG_INTEGER:
        buf_printf(out, "%lld", (long long)value->number);
        return;
    case CONFIG_TEXT:
    case CONFIG_CHOICE:
    case CONFIG_PATH:
        buf_append_str(out, value->text);
        return;
    case CONFIG_BYTES:
    case CONFIG_DURATION:
        break;
    }
    const struct unit *units;
    size_t count;
    units_of(entry->type, &units, &count);
    const struct unit *unit = &units[count - 1];
    for (size_t i = 0; i + 1 < count && value->number != 0; i++) {
        if (value->number % units[i].factor == 0) {
            unit = &units[i];
            break;
        }
    }
    if (value->number == 0) {
        buf_append_str(out, "0");
        return;
    }
    buf_printf(out, "%lld%s", (long long)(value->number / unit->factor), unit->name);
}

static void print_bounds(const struct config_entry *entry, struct buf *out)
{
    const char *low = entry->minimum;
    const char *high = entry->maximum;
    if (low[0] != '\0' && high[0] != '\0') {
        buf_printf(out, ", from %s to %s", low, high);
    } else if (low[0] != '\0' && strcmp(low, "0") != 0) {
        buf_printf(out, ", at least %s", low);
    } else if (high[0] != '\0') {
        buf_printf(out, ", at most %s", high);
    }
}

void config__allowed(const struct config_entry *entry, struct buf *out)
{
    switch (entry->type) {
    case CONFIG_BOOL:
        buf_append_str(out, "true or false");
        return;
    case CONFIG_INTEGER:
        buf_append_str(out, "a whole number");
        break;
    case CONFIG_BYTES:
        buf_append_str(out, "a size such as 65536, 512KiB, 1.5GiB or 2GB");
        break;
    case CONFIG_DURATION:
        buf_append_str(out, "a duration with its unit: 500ms, 30s, 5m, 2h or 1d");
        break;
    case CONFIG_TEXT:
        buf_append_str(out, "text");
        return;
    case CONFIG_CHOICE:
        for (const char *at = entry->choices; *at != '\0'; at++) {
            if (*at == '|') {
                buf_append_str(out, strchr(at + 1, '|') == NULL ? " or " : ", ");
            } else {
                buf_append_char(out, *at);
            }
        }
        return;
    case CONFIG_PATH:
        buf_append_str(out, "a path; ~ at its start is the home folder");
        return;
    }
    print_bounds(entry, out);
}

void config__variable(const struct config_entry *entry, struct buf *out)
{
    buf_append_str(out, "MOAT_");
    for (const char *at = entry->name; *at != '\0'; at++) {
        buf_append_char(out, *at == '.' ? '_' : (char)(*at >= 'a' && *at <= 'z' ? *at - 32 : *at));
    }
}
