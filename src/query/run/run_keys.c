/* CREATE API KEY, REVOKE API KEY, SHOW API KEYS. A key's text is in one answer, once. */
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "identity/provider.h"
#include "query/run/run_int.h"
#include "system/credentials.h"

#define US_PER_S INT64_C(1000000)

static enum err run_lines(struct query *query, const struct relation_column *columns, size_t count,
                          const struct buf *lines, struct errinfo *info)
{
    return buf_failed(lines) ? errinfo_nomem(info)
                             : query_run_rows(query, columns, count, buf_slice(lines), info);
}

static struct slice user_of(const struct query *query, const struct statement *statement)
{
    return statement->for_user.len > 0 ? statement->for_user
                                       : identity_subject(query->session->who);
}

/* ---- when it expires ---- */

static bool take_number(struct slice *text, size_t digits, char behind, int64_t *ret_number)
{
    if (text->len < digits || !slice_to_i64((struct slice){text->ptr, digits}, ret_number)) {
        return false;
    }
    bool has_mark = behind != '\0';
    if (has_mark && (text->len == digits || text->ptr[digits] != behind)) {
        return false;
    }
    size_t skip = digits + has_mark;
    *text = (struct slice){text->ptr + skip, text->len - skip};
    return true;
}

/* Days since 1970-01-01 of a date of the Gregorian calendar. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t shifted = month <= 2 ? month + 9 : month - 3; /* March first: leap days come last */
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * shifted + 2) / 5 + day - 1 - 719468;
}

static bool is_date(int64_t year, int64_t month, int64_t day)
{
    return year >= 1970 && year <= 9999 && month >= 1 && month <= 12 && day >= 1 &&
           days_of(year, month, day) <
               days_of(month == 12 ? year + 1 : year, month == 12 ? 1 : month + 1, 1);
}

/* "2027-01-31", the start of that day, or "2027-01-31T12:30:00Z"; UTC. */
static bool parse_time(struct slice text, int64_t *ret_wall_us)
{
    int64_t year, month, day;
    int64_t hour = 0, minute = 0, second = 0;
    if (!take_number(&text, 4, '-', &year) || !take_number(&text, 2, '-', &month) ||
        !take_number(&text, 2, '\0', &day) || !is_date(year, month, day)) {
        return false;
    }
    if (text.len > 0) {
        bool has_mark = text.ptr[0] == 'T' || text.ptr[0] == ' ';
        text = (struct slice){text.ptr + 1, text.len - 1};
        if (!has_mark || !take_number(&text, 2, ':', &hour) ||
            !take_number(&text, 2, ':', &minute) || !take_number(&text, 2, 'Z', &second) ||
            text.len > 0 || hour > 23 || minute > 59 || second > 59) {
            return false;
        }
    }
    *ret_wall_us =
        (days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second) * US_PER_S;
    return true;
}

static enum err check_lifetime(const struct query *query, int64_t expires_us, int64_t now_us,
                               struct errinfo *info)
{
    struct buf longest CLEANUP(buf_fini) = {0};
    const struct config *config = query->session->warehouse->config;
    int64_t longest_us = config_duration_ms(config, CONFIG_APIKEY_LIFETIME_MAX) * 1000;
    if (expires_us != 0 && expires_us <= now_us) {
        return errinfo_set(info, ERR_INVALID, "22023", "the key would have expired already");
    }
    if (longest_us != 0 && (expires_us == 0 || expires_us - now_us > longest_us)) {
        config_print(config, CONFIG_APIKEY_LIFETIME_MAX, &longest);
        return errinfo_set(info, ERR_INVALID, "22023",
                           "a key lives for %s at most (apikey.lifetime_max)", buf_cstr(&longest));
    }
    return ERR_OK;
}

static enum err expiry_of(const struct query *query, const struct statement *statement,
                          int64_t *ret_expires_us, struct errinfo *info)
{
    const struct config *config = query->session->warehouse->config;
    int64_t now_us = clock_wall_us();
    int64_t longest_ms = config_duration_ms(config, CONFIG_APIKEY_LIFETIME_MAX);
    int64_t usual_ms = config_duration_ms(config, CONFIG_APIKEY_LIFETIME);
    int64_t expires_us = 0;
    switch (statement->expiry) {
    case KEY_EXPIRES_BY_DEFAULT:
        usual_ms = longest_ms != 0 && longest_ms < usual_ms ? longest_ms : usual_ms;
        expires_us = now_us + usual_ms * 1000;
        break;
    case KEY_EXPIRES_IN:
        expires_us = now_us + statement->expires_in_s * US_PER_S;
        break;
    case KEY_EXPIRES_AT:
        if (!parse_time(statement->expires_at, &expires_us)) {
            (void)errinfo_set(info, ERR_INVALID, "22007", "\"%.*s\" is no time",
                              SLICE_ARGS(statement->expires_at));
            errinfo_hint(info, "Write '2027-01-31' or '2027-01-31T12:30:00Z'.");
            return ERR_INVALID;
        }
        break;
    case KEY_EXPIRES_NEVER:
        break;
    }
    TRY(check_lifetime(query, expires_us, now_us, info));
    *ret_expires_us = expires_us;
    return ERR_OK;
}

/* ---- make and take back ---- */

static void write_time(struct buf *lines, const char *name, int64_t wall_us)
{
    char text[CLOCK_TEXT_BYTES];
    buf_printf(lines, ",\"%s\":", name);
    if (wall_us == 0) {
        buf_append_str(lines, "null");
    } else {
        buf_printf(lines, "\"%s\"", clock_format_utc(wall_us, text));
    }
}

static void wipe_key(struct api_key *key)
{
    mem_wipe(key, sizeof(*key));
}

static void wipe_lines(struct buf *lines)
{
    if (lines->ptr != NULL) {
        mem_wipe(lines->ptr, lines->capacity);
    }
    buf_fini(lines);
}

enum err run_create_api_key(struct query *query, const struct statement *statement,
                            struct errinfo *info)
{
    struct system *system = query->session->warehouse->system;
    const struct identity *who = query->session->who;
    struct slice user = user_of(query, statement);
    struct api_key key CLEANUP(wipe_key) = {0};
    struct buf lines CLEANUP(wipe_lines) = {0};
    int64_t expires_us;
    TRY(expiry_of(query, statement, &expires_us, info));
    TRY(api_key_new(&key, info));
    TRY(system_api_key_create(system, who, user, statement->name.name, &key, expires_us, info));
    buf_append_str(&lines, "{\"name\":");
    json_write_string(&lines, statement->name.name);
    buf_append_str(&lines, ",\"user\":");
    json_write_string(&lines, user);
    buf_printf(&lines, ",\"key\":\"%s\"", key.text);
    write_time(&lines, "expires_at", expires_us);
    buf_append_str(&lines, "}\n");
    static const struct relation_column columns[] = {
        {1, {"name", 4}, {"name", 4}, {"VARCHAR", 7}},
        {2, {"user", 4}, {"user", 4}, {"VARCHAR", 7}},
        {3, {"key", 3}, {"key", 3}, {"VARCHAR", 7}},
        {4, {"expires_at", 10}, {"expires_at", 10}, {"TIMESTAMP WITH TIME ZONE", 24}},
    };
    enum err err = run_lines(query, columns, ARRAY_COUNT(columns), &lines, info);
    if (err != ERR_OK) { /* nobody will ever see it */
        enum err ignored = system_api_key_revoke(system, who, user, statement->name.name, NULL);
        (void)ignored;
        return err;
    }
    (void)snprintf(query->notice, sizeof(query->notice), "keep the key now: it is not shown again");
    return ERR_OK;
}

enum err run_revoke_api_key(struct query *query, const struct statement *statement,
                            struct errinfo *info)
{
    return system_api_key_revoke(query->session->warehouse->system, query->session->who,
                                 user_of(query, statement), statement->name.name, info);
}

/* ---- show ---- */

static const char *state_of(const struct system_api_key *key, int64_t now_us)
{
    bool has_expired = key->expires_wall_us != 0 && now_us >= key->expires_wall_us;
    if (key->revoked_wall_us != 0 && key->revoked_wall_us != key->expires_wall_us) {
        return "revoked";
    }
    return has_expired ? "expired" : "live";
}

static void write_key(const struct system_api_key *key, int64_t now_us, struct buf *lines)
{
    buf_append_str(lines, "{\"user\":");
    json_write_string(lines, key->user);
    buf_append_str(lines, ",\"name\":");
    json_write_string(lines, key->name);
    buf_append_str(lines, ",\"prefix\":");
    json_write_string(lines, key->prefix);
    buf_printf(lines, ",\"state\":\"%s\",\"created_by\":", state_of(key, now_us));
    json_write_string(lines, key->created_by);
    write_time(lines, "created_at", key->created_wall_us);
    write_time(lines, "expires_at", key->expires_wall_us);
    write_time(lines, "revoked_at", key->revoked_wall_us);
    buf_append_str(lines, "}\n");
}

enum err run_show_api_keys(struct query *query, const struct statement *statement,
                           struct errinfo *info)
{
    struct system_api_key *keys;
    size_t count;
    struct buf lines CLEANUP(buf_fini) = {0};
    TRY(system_api_keys(query->session->warehouse->system, query->session->who, query->arena, &keys,
                        &count, info));
    for (size_t i = 0; i < count; i++) {
        if (statement->for_user.len == 0 || slice_equal_fold(statement->for_user, keys[i].user)) {
            write_key(&keys[i], clock_wall_us(), &lines);
        }
    }
    static const struct relation_column columns[] = {
        {1, {"user", 4}, {"user", 4}, {"VARCHAR", 7}},
        {2, {"name", 4}, {"name", 4}, {"VARCHAR", 7}},
        {3, {"prefix", 6}, {"prefix", 6}, {"VARCHAR", 7}},
        {4, {"state", 5}, {"state", 5}, {"VARCHAR", 7}},
        {5, {"created_by", 10}, {"created_by", 10}, {"VARCHAR", 7}},
        {6, {"created_at", 10}, {"created_at", 10}, {"TIMESTAMP WITH TIME ZONE", 24}},
        {7, {"expires_at", 10}, {"expires_at", 10}, {"TIMESTAMP WITH TIME ZONE", 24}},
        {8, {"revoked_at", 10}, {"revoked_at", 10}, {"TIMESTAMP WITH TIME ZONE", 24}},
    };
    return run_lines(query, columns, ARRAY_COUNT(columns), &lines, info);
}
