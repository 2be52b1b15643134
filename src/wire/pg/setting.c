/* Settings that clients of PostgreSQL send. Those with one possible meaning here are checked and
 * told; those that name what Moat does not have are kept as told and change nothing. */
#include "base/arena.h"
#include "base/json.h"
#include "base/mem.h"
#include "config/config.h"
#include "sql/scan.h"
#include "wire/pg/pg_int.h"

typedef enum err (*check_fn)(struct pg_connection *connection, struct slice value,
                             struct buf *ret_value, struct errinfo *info);

static enum err check_any(struct pg_connection *connection, struct slice value,
                          struct buf *ret_value, struct errinfo *info);
static enum err check_bool(struct pg_connection *connection, struct slice value,
                           struct buf *ret_value, struct errinfo *info);
static enum err check_encoding(struct pg_connection *connection, struct slice value,
                               struct buf *ret_value, struct errinfo *info);
static enum err check_date_style(struct pg_connection *connection, struct slice value,
                                 struct buf *ret_value, struct errinfo *info);
static enum err check_time_zone(struct pg_connection *connection, struct slice value,
                                struct buf *ret_value, struct errinfo *info);
static enum err check_on(struct pg_connection *connection, struct slice value,
                         struct buf *ret_value, struct errinfo *info);
static enum err check_hex(struct pg_connection *connection, struct slice value,
                          struct buf *ret_value, struct errinfo *info);
static enum err check_postgres(struct pg_connection *connection, struct slice value,
                               struct buf *ret_value, struct errinfo *info);
static enum err check_fixed(struct pg_connection *connection, struct slice value,
                            struct buf *ret_value, struct errinfo *info);
static enum err check_timeout(struct pg_connection *connection, struct slice value,
                              struct buf *ret_value, struct errinfo *info);
static enum err check_search_path(struct pg_connection *connection, struct slice value,
                                  struct buf *ret_value, struct errinfo *info);
static enum err check_isolation(struct pg_connection *connection, struct slice value,
                                struct buf *ret_value, struct errinfo *info);

#define APPLICATION_NAME 0 /* in the table */

static const struct setting {
    const char *name;
    const char *fallback; /* "=name": what that setting has */
    check_fn check;
    bool is_reported; /* ParameterStatus */
} settings[] = {
    {"application_name", "", check_any, true},
    {"client_encoding", "UTF8", check_encoding, true},
    {"DateStyle", "ISO, MDY", check_date_style, true},
    {"IntervalStyle", "postgres", check_postgres, true},
    {"TimeZone", "UTC", check_time_zone, true},
    {"standard_conforming_strings", "on", check_on, true},
    {"default_transaction_read_only", "off", check_bool, true},
    {"search_path", "main", check_search_path, true},
    {"server_version", "15.0 (Moat " MOAT_VERSION ")", check_fixed, true},
    {"server_encoding", "UTF8", check_fixed, true},
    {"integer_datetimes", "on", check_fixed, true},
    {"in_hot_standby", "off", check_fixed, true},
    {"is_superuser", "off", check_fixed, true},
    {"session_authorization", NULL, check_fixed, true}, /* the user */
    {"server_version_num", "150000", check_fixed, false},
    {"max_identifier_length", "128", check_fixed, false},
    {"bytea_output", "hex", check_hex, false},
    {"extra_float_digits", "1", check_any, false},
    {"statement_timeout", "0", check_timeout, false},
    {"lock_timeout", "0", check_any, false},
    {"idle_in_transaction_session_timeout", "0", check_any, false},
    {"client_min_messages", "notice", check_any, false},
    {"transaction_isolation", "read committed", check_isolation, false},
    {"default_transaction_isolation", "read committed", check_isolation, false},
    {"transaction_read_only", "=default_transaction_read_only", check_bool, false},
    {"transaction_deferrable", "=default_transaction_deferrable", check_bool, false},
    {"default_transaction_deferrable", "off", check_bool, false},
    {"synchronous_commit", "on", check_any, false},
    {"row_security", "on", check_on, false},
    {"jit", "off", check_any, false},
    {"geqo", "on", check_any, false},
    {"transaction_timeout", "0", check_any, false},
};

_Static_assert(ARRAY_COUNT(settings) == SETTING_COUNT, "pg_int.h has the number of settings");

int pg__setting_find(struct slice name)
{
    for (int i = 0; i < SETTING_COUNT; i++) {
        if (slice_equal_fold(name, slice_of(settings[i].name))) {
            return i;
        }
    }
    return -1;
}

const char *pg__setting_name(int setting)
{
    return settings[setting].name;
}

static const char *fallback_of(const struct pg_connection *connection, int setting)
{
    const char *fallback = settings[setting].fallback;
    if (fallback != NULL && fallback[0] == '=') {
        return pg__setting_value(connection, pg__setting_find(slice_of(fallback + 1)));
    }
    return fallback != NULL              ? fallback
           : connection->subject.len > 0 ? connection->subject.ptr
                                         : connection->user.ptr;
}

const char *pg__setting_value(const struct pg_connection *connection, int setting)
{
    const char *value = connection->settings[setting];
    return value != NULL ? value : fallback_of(connection, setting);
}

static void report(struct pg_connection *connection, int setting)
{
    if (setting == APPLICATION_NAME && connection->client != NULL) {
        client_set_application(connection->client,
                               slice_of(pg__setting_value(connection, setting)));
    }
    if (settings[setting].is_reported && connection->phase == PHASE_READY) {
        pg__write_parameter(&connection->out, settings[setting].name,
                            pg__setting_value(connection, setting));
    }
}

void pg__setting_report_all(struct pg_connection *connection)
{
    for (int i = 0; i < SETTING_COUNT; i++) {
        report(connection, i);
    }
}

/* ---- checks ---- */

static enum err no_such_value(struct slice value, struct errinfo *info)
{
    return errinfo_set(info, ERR_INVALID, "22023", "\"%.*s\" is not a value that it can have here",
                       SLICE_ARGS(value));
}

static enum err check_any(UNUSED struct pg_connection *connection, struct slice value,
                          struct buf *ret_value, UNUSED struct errinfo *info)
{
    for (size_t i = 0; i < value.len && i < 1024; i++) { /* as PostgreSQL: printable ASCII */
        buf_append_char(ret_value, value.ptr[i] >= 32 && value.ptr[i] < 127 ? value.ptr[i] : '?');
    }
    return ERR_OK;
}

static enum err check_bool(UNUSED struct pg_connection *connection, struct slice value,
                           struct buf *ret_value, struct errinfo *info)
{
    static const char *const on[] = {"on", "true", "yes", "1"};
    static const char *const off[] = {"off", "false", "no", "0"};
    for (size_t i = 0; i < ARRAY_COUNT(on); i++) {
        if (slice_equal_fold(value, slice_of(on[i])) || slice_equal_fold(value, slice_of(off[i]))) {
            buf_append_str(ret_value, slice_equal_fold(value, slice_of(on[i])) ? "on" : "off");
            return ERR_OK;
        }
    }
    return no_such_value(value, info);
}

static enum err check_encoding(UNUSED struct pg_connection *connection, struct slice value,
                               struct buf *ret_value, struct errinfo *info)
{
    static const char *const names[] = {"utf8", "unicode", "sqlascii"}; /* the last: as it is */
    char plain[32] = "";
    size_t len = 0;
    for (size_t i = 0; i < value.len; i++) { /* letters and digits count, as in PostgreSQL */
        bool counts = (value.ptr[i] >= '0' && value.ptr[i] <= '9') ||
                      ((value.ptr[i] | 32) >= 'a' && (value.ptr[i] | 32) <= 'z');
        if (counts && len < sizeof(plain)) {
            plain[len++] = value.ptr[i];
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if (slice_equal_fold((struct slice){plain, len}, slice_of(names[i]))) {
            buf_append_str(ret_value, i == 2 ? "SQL_ASCII" : "UTF8");
            return ERR_OK;
        }
    }
    (void)errinfo_set(info, ERR_UNSUPPORTED, "22023",
                      "invalid value for parameter \"client_encoding\": \"%.*s\"",
                      SLICE_ARGS(value));
    errinfo_hint(info, "Moat speaks UTF8: set client_encoding (PGCLIENTENCODING) to it.");
    return ERR_UNSUPPORTED;
}

static enum err check_date_style(UNUSED struct pg_connection *connection, struct slice value,
                                 struct buf *ret_value, struct errinfo *info)
{
    const char *comma = value.len == 0 ? NULL : memchr(value.ptr, ',', value.len);
    struct slice style = {value.ptr, comma == NULL ? value.len : (size_t)(comma - value.ptr)};
    if (!slice_equal_fold(slice_trim(style), SLICE("ISO"))) {
        enum err err = no_such_value(value, info);
        errinfo_hint(info, "Dates are shown in the style ISO.");
        return err;
    }
    buf_append_str(ret_value, "ISO, MDY");
    return ERR_OK;
}

/* Instants are exact in any zone, and shown in this one. A client that asks for another must not
 * fail for it, and must know. */
static enum err check_time_zone(struct pg_connection *connection, struct slice value,
                                struct buf *ret_value, UNUSED struct errinfo *info)
{
    static const char *const names[] = {"UTC",  "GMT", "Etc/UTC", "Etc/GMT", "Z",
                                        "Zulu", "0",   "default", "local",   "UCT"};
    bool is_utc = false;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        is_utc = is_utc || slice_equal_fold(value, slice_of(names[i]));
    }
    if (!is_utc && connection->phase == PHASE_READY) {
        pg__write_notice(&connection->out, "WARNING", "01000",
                         "times with a zone are shown in UTC, whatever TimeZone says");
    }
    buf_append_str(ret_value, "UTC");
    return ERR_OK;
}

/* What can be nothing else than what it is. */
static enum err check_same_as(const char *only, struct slice value, struct buf *ret_value,
                              struct errinfo *info)
{
    bool is_on = strcmp(only, "on") == 0 &&
                 (slice_equal_fold(value, SLICE("true")) || slice_equal(value, SLICE("1")));
    if (!is_on && !slice_equal_fold(value, slice_of(only))) {
        enum err err = no_such_value(value, info);
        errinfo_hint(info, "It is always %s.", only);
        return err;
    }
    buf_append_str(ret_value, only);
    return ERR_OK;
}

static enum err check_on(UNUSED struct pg_connection *connection, struct slice value,
                         struct buf *ret_value, struct errinfo *info)
{
    return check_same_as("on", value, ret_value, info);
}

static enum err check_hex(UNUSED struct pg_connection *connection, struct slice value,
                          struct buf *ret_value, struct errinfo *info)
{
    return check_same_as("hex", value, ret_value, info);
}

static enum err check_postgres(UNUSED struct pg_connection *connection, struct slice value,
                               struct buf *ret_value, struct errinfo *info)
{
    return check_same_as("postgres", value, ret_value, info);
}

static enum err check_fixed(UNUSED struct pg_connection *connection, UNUSED struct slice value,
                            UNUSED struct buf *ret_value, struct errinfo *info)
{
    return errinfo_set(info, ERR_DENIED, "55P02", "the parameter cannot be changed");
}

static enum err check_isolation(UNUSED struct pg_connection *connection, struct slice value,
                                struct buf *ret_value, struct errinfo *info)
{
    if (slice_equal_fold(value, SLICE("repeatable read")) ||
        slice_equal_fold(value, SLICE("serializable"))) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          "transactions are \"read committed\": each statement sees its own "
                          "snapshot");
        return ERR_UNSUPPORTED;
    }
    if (!slice_equal_fold(value, SLICE("read committed")) &&
        !slice_equal_fold(value, SLICE("read uncommitted"))) {
        return no_such_value(value, info);
    }
    buf_append_str(ret_value, "read committed");
    return ERR_OK;
}

/* Milliseconds, or a number with one of PostgreSQL's units. */
static enum err check_timeout(struct pg_connection *connection, struct slice value,
                              struct buf *ret_value, struct errinfo *info)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"", 1}, {"ms", 1}, {"s", 1000}, {"min", 60000}, {"h", 3600000}, {"d", 86400000}};
    struct slice text = slice_trim(value);
    size_t digits = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9') {
        digits++;
    }
    struct slice unit = slice_trim((struct slice){text.ptr + digits, text.len - digits});
    uint64_t ms = 0;
    bool is_known = false;
    bool is_number =
        digits > 0 && digits < 12 && slice_to_u64((struct slice){text.ptr, digits}, &ms);
    for (size_t i = 0; is_number && !is_known && i < ARRAY_COUNT(units); i++) {
        is_known = slice_equal(unit, slice_of(units[i].name));
        ms *= is_known ? units[i].ms : 1;
    }
    if (!is_known || ms > INT32_MAX) {
        return no_such_value(value, info);
    }
    if (connection->phase == PHASE_READY) {
        char statement[64];
        (void)snprintf(statement, sizeof(statement), "SET query.timeout = '%llums'",
                       (unsigned long long)ms);
        TRY(pg__session_run(connection, slice_of(statement), info));
    }
    buf_printf(ret_value, "%llu%s", (unsigned long long)ms, ms == 0 ? "" : "ms");
    return ERR_OK;
}

/* The first schema that is one of ours becomes the default; of several, the rest would be passed
 * over in silence, so more than one is refused. */
static enum err check_search_path(struct pg_connection *connection, struct slice value,
                                  struct buf *ret_value, struct errinfo *info)
{
    struct scanner scanner;
    struct token token;
    struct slice chosen = {NULL, 0};
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "search_path", 1 << 16);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    scanner_init(&scanner, value);
    for (;;) {
        struct slice name;
        TRY(scanner_next(&scanner, &token, info));
        if (token.kind == TOKEN_END) {
            break;
        }
        if (token.kind != TOKEN_WORD && token.kind != TOKEN_QUOTED) {
            continue; /* commas */
        }
        if (!token_identifier(&token, arena, &name)) {
            return errinfo_nomem(info);
        }
        if (slice_equal(name, SLICE("$user")) || slice_equal_fold(name, SLICE("public")) ||
            slice_equal_fold(name, SLICE("pg_catalog"))) {
            continue;
        }
        if (chosen.ptr != NULL) {
            (void)errinfo_set(info, ERR_UNSUPPORTED, NULL, "search_path with more than one schema");
            errinfo_hint(info, "Name one, and others with their schema.");
            return ERR_UNSUPPORTED;
        }
        chosen = name;
    }
    chosen = chosen.ptr == NULL ? SLICE("main") : chosen;
    if (connection->phase == PHASE_READY) {
        struct buf use CLEANUP(buf_fini) = {0};
        buf_append_str(&use, "USE ");
        sql_quote_name(&use, chosen);
        TRY(pg__session_run(connection, buf_slice(&use), info));
    }
    buf_append_slice(ret_value, chosen);
    return ERR_OK;
}

/* ---- changing ---- */

/* Remembers what a rollback must bring back. */
static enum err save(struct pg_connection *connection, int setting, bool is_local,
                     struct errinfo *info)
{
    if (connection->status == 'I') {
        return ERR_OK;
    }
    struct pg_saved_setting *saved = mem_calloc(1, sizeof(*saved));
    if (saved == NULL) {
        return errinfo_nomem(info);
    }
    const char *value = connection->settings[setting];
    saved->setting = setting;
    saved->is_local = is_local;
    saved->value = value == NULL ? NULL : mem_strdup(value);
    if (value != NULL && saved->value == NULL) {
        mem_free(saved);
        return errinfo_nomem(info);
    }
    saved->next = connection->saved;
    connection->saved = saved;
    return ERR_OK;
}

enum err pg__setting_set(struct pg_connection *connection, int setting, const struct slice *value,
                         bool is_local, struct errinfo *info)
{
    struct buf kept CLEANUP(buf_fini) = {0};
    const struct slice fallback = slice_of(fallback_of(connection, setting));
    enum err err =
        settings[setting].check(connection, value != NULL ? *value : fallback, &kept, info);
    if (err != ERR_OK) {
        char reason[ERRINFO_MESSAGE_BYTES];
        (void)snprintf(reason, sizeof(reason), "%s", info->message);
        bool is_about_value = strcmp(info->sqlstate, "22023") == 0 && setting != 1;
        if (is_about_value) {
            char hint[ERRINFO_HINT_BYTES];
            (void)snprintf(hint, sizeof(hint), "%s", info->hint);
            (void)errinfo_set(info, err, "22023", "invalid value for parameter \"%s\": %s",
                              settings[setting].name, reason);
            errinfo_hint(info, "%s", hint);
        }
        return err;
    }
    char *copy = mem_slicedup(buf_slice(&kept));
    if (copy == NULL || buf_failed(&kept)) {
        mem_free(copy);
        return errinfo_nomem(info);
    }
    err = save(connection, setting, is_local, info);
    if (err != ERR_OK) {
        mem_free(copy);
        return err;
    }
    bool is_changed = strcmp(copy, pg__setting_value(connection, setting)) != 0;
    mem_free(connection->settings[setting]);
    connection->settings[setting] =
        value == NULL ? NULL : copy; /* NULL: its default, as it may be */
    if (value == NULL) {
        mem_free(copy);
    }
    if (is_changed) {
        report(connection, setting);
    }
    return ERR_OK;
}

/* A setting of Moat's own that the client began with. */
struct pg_start_setting {
    const char *name;
    struct slice value;
    struct pg_start_setting *next;
};

/* Of Moat's own: said as SET to the session once there is one. PostgreSQL takes any other name with
 * a dot. */
static enum err keep_own(struct pg_connection *connection, struct slice name, struct slice value,
                         struct errinfo *info)
{
    enum config_key key;
    struct errinfo ignored;
    if (config_find(name, &key, &ignored) != ERR_OK) {
        return ERR_OK;
    }
    struct pg_start_setting *own = arena_calloc(connection->arena, 1, sizeof(*own));
    if (own == NULL || !arena_slice(connection->arena, value, &own->value)) {
        return errinfo_nomem(info);
    }
    own->name = config_name(key);
    own->next = connection->start;
    connection->start = own;
    return ERR_OK;
}

enum err pg__setting_start(struct pg_connection *connection, struct slice name, struct slice value,
                           struct errinfo *info)
{
    int setting = pg__setting_find(name);
    if (setting < 0) {
        return keep_own(connection, name, value, info);
    }
    return settings[setting].check == check_fixed
               ? ERR_OK
               : pg__setting_set(connection, setting, &value, false, info);
}

/* In the order they were said in. */
static enum err apply_own(struct pg_connection *connection, const struct pg_start_setting *own,
                          struct errinfo *info)
{
    struct buf set CLEANUP(buf_fini) = {0};
    if (own == NULL) {
        return ERR_OK;
    }
    TRY(apply_own(connection, own->next, info));
    buf_printf(&set, "SET %s = ", own->name);
    sql_quote_string(&set, own->value);
    return buf_failed(&set) ? errinfo_nomem(info)
                            : pg__session_run(connection, buf_slice(&set), info);
}

void pg__settings_print(void *context, struct buf *out)
{
    const struct pg_connection *connection = context;
    for (int i = 0; i < SETTING_COUNT; i++) {
        const char *source = connection->settings[i] == NULL ? "default" : "session";
        buf_append_str(out, "{\"name\":");
        json_write_string(out, slice_of(settings[i].name));
        buf_append_str(out, ",\"value\":");
        json_write_string(out, slice_of(pg__setting_value(connection, i)));
        buf_printf(out, ",\"source\":\"%s\"}\n", source);
    }
}

enum err pg__setting_apply(struct pg_connection *connection, struct errinfo *info)
{
    for (int i = 0; i < SETTING_COUNT; i++) {
        bool is_session =
            settings[i].check == check_timeout || settings[i].check == check_search_path;
        if (is_session && connection->settings[i] != NULL) {
            const struct slice value = slice_of(connection->settings[i]);
            TRY(pg__setting_set(connection, i, &value, false, info));
        }
    }
    const struct pg_start_setting *own = connection->start;
    connection->start = NULL;
    return apply_own(connection, own, info);
}

enum err pg__setting_reset_all(struct pg_connection *connection, struct errinfo *info)
{
    for (int i = 0; i < SETTING_COUNT; i++) {
        if (connection->settings[i] != NULL && settings[i].check != check_fixed) {
            TRY(pg__setting_set(connection, i, NULL, false, info));
        }
    }
    return ERR_OK;
}

void pg__setting_end(struct pg_connection *connection, bool is_commit)
{
    while (connection->saved != NULL) { /* latest first: the oldest value is the one that stays */
        struct pg_saved_setting *saved = connection->saved;
        connection->saved = saved->next;
        if (!is_commit || saved->is_local) {
            struct errinfo ignored;
            int setting = saved->setting;
            const struct slice value = slice_of(saved->value != NULL ? saved->value : "");
            /* What was once accepted is so again; if memory is short, the new value stays. */
            enum err err = pg__setting_set(connection, setting,
                                           saved->value == NULL ? NULL : &value, false, &ignored);
            (void)err;
        }
        mem_free(saved->value);
        mem_free(saved);
    }
}

void pg__setting_free(struct pg_connection *connection)
{
    while (connection->saved != NULL) {
        struct pg_saved_setting *saved = connection->saved;
        connection->saved = saved->next;
        mem_free(saved->value);
        mem_free(saved);
    }
    for (int i = 0; i < SETTING_COUNT; i++) {
        mem_free(connection->settings[i]);
    }
}
