/* What Trino's clients say in the fields of a request, beside who they are. */
#include "base/digits.h"
#include "base/mem.h"
#include "wire/trino/trino_int.h"

#define PAIRS_MAX 1000u

/* Of application/x-www-form-urlencoded. */
static enum err decode(struct slice text, struct arena *arena, struct slice *ret_text,
                       struct errinfo *info)
{
    char *plain = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    if (plain == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = i + 2 < text.len + 0 ? digits_hex(text.ptr[i + 1]) : -1;
            int low = i + 2 < text.len ? digits_hex(text.ptr[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return errinfo_set(info, ERR_INVALID, "22023",
                                   "a field of the request has a "
                                   "\"%%\" without two digits");
            }
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        plain[len++] = c;
    }
    *ret_text = (struct slice){plain, len};
    return slice_is_utf8(*ret_text, NULL) && memchr(plain, '\0', len) == NULL
               ? ERR_OK
               : errinfo_set(info, ERR_INVALID, "22021", "a field of the request is not UTF-8");
}

void trino_encode(struct buf *out, struct slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                        (c >= 'A' && c <= 'Z') || (c != '\0' && strchr("-_.*", (char)c) != NULL);
        if (is_plain) {
            buf_append_char(out, (char)c);
        } else {
            buf_append_char(out, '%');
            buf_append_char(out, digits[c >> 4]);
            buf_append_char(out, digits[c & 15]);
        }
    }
}

enum err trino_pairs_read(struct slice text, struct arena *arena, struct trino_pair *pairs,
                          size_t pairs_max, size_t *count, struct errinfo *info)
{
    while (text.len > 0) {
        const char *comma = memchr(text.ptr, ',', text.len);
        size_t len = comma == NULL ? text.len : (size_t)(comma - text.ptr);
        struct slice pair = slice_trim((struct slice){text.ptr, len});
        size_t used = comma == NULL ? len : len + 1;
        text = (struct slice){text.ptr + used, text.len - used};
        if (pair.len == 0) {
            continue;
        }
        const char *equal = memchr(pair.ptr, '=', pair.len);
        if (equal == NULL || *count == pairs_max) {
            return errinfo_set(info, ERR_INVALID, "22023",
                               "a field of the request is no list of name=value");
        }
        size_t name_len = (size_t)(equal - pair.ptr);
        struct trino_pair *to = &pairs[*count];
        TRY(decode(slice_trim((struct slice){pair.ptr, name_len}), arena, &to->name, info));
        TRY(decode(slice_trim((struct slice){equal + 1, pair.len - name_len - 1}), arena,
                   &to->value, info));
        (*count)++;
    }
    return ERR_OK;
}

static enum err read_pairs(const struct http_exchange *exchange, struct slice name,
                           struct arena *arena, const struct trino_pair **ret_pairs,
                           size_t *ret_count, struct errinfo *info)
{
    struct slice value;
    struct trino_pair *pairs = NULL;
    for (size_t i = 0; http_field_at(exchange, name, i, &value); i++) {
        pairs = pairs != NULL ? pairs : arena_calloc(arena, PAIRS_MAX, sizeof(*pairs));
        if (pairs == NULL) {
            return errinfo_nomem(info);
        }
        TRY(trino_pairs_read(value, arena, pairs, PAIRS_MAX, ret_count, info));
    }
    *ret_pairs = pairs;
    return ERR_OK;
}

static struct slice field(const struct http_exchange *exchange, struct slice name)
{
    struct slice value = {"", 0};
    (void)http_field(exchange, name, &value);
    return value;
}

enum err trino_request_read(const struct http_exchange *exchange, struct arena *arena,
                            struct trino_request *ret_request, struct errinfo *info)
{
    struct trino_request request = {
        .user = field(exchange, SLICE("x-trino-user")),
        .source = field(exchange, SLICE("x-trino-source")),
        .transaction = field(exchange, SLICE("x-trino-transaction-id")),
    };
    if (request.source.len == 0) {
        request.source = field(exchange, SLICE("user-agent"));
    }
    if (slice_equal_fold(request.transaction, SLICE("none"))) {
        request.transaction = SLICE("");
    }
    TRY(decode(field(exchange, SLICE("x-trino-catalog")), arena, &request.catalog, info));
    TRY(decode(field(exchange, SLICE("x-trino-schema")), arena, &request.schema, info));
    TRY(read_pairs(exchange, SLICE("x-trino-prepared-statement"), arena, &request.prepared,
                   &request.prepared_count, info));
    TRY(read_pairs(exchange, SLICE("x-trino-session"), arena, &request.properties,
                   &request.property_count, info));
    request.encoding = trino_encoding_of(field(exchange, SLICE("x-trino-query-data-encoding")));
    struct slice able = field(exchange, SLICE("x-trino-client-capabilities"));
    struct slice agent = field(exchange, SLICE("user-agent"));
    request.reads_first = slice_starts_with(agent, SLICE("StatementClientV1/")) ||
                          slice_starts_with(agent, SLICE("Trino Python Client/"));
    request.is_parametric = slice_find(able, SLICE("PARAMETRIC_DATETIME")) != SIZE_MAX;
    *ret_request = request;
    return ERR_OK;
}

/* ---- session properties ---- */

enum err trino_property(const struct trino_pair *property, bool *ret_is_setting,
                        struct web_setting *ret_setting, struct errinfo *info)
{
    static const struct {
        const char *name;
        const char *setting; /* NULL: how Trino's engine works; ours does without */
    } known[] = {
        {"query_max_run_time", "query.timeout"},
        {"query_max_execution_time", "query.timeout"},
        {"time_zone_id", NULL},
        {"join_distribution_type", NULL},
        {"join_reordering_strategy", NULL},
        {"task_concurrency", NULL},
        {"task_writer_count", NULL},
        {"query_priority", NULL},
        {"query_max_memory", NULL},
        {"query_max_cpu_time", NULL},
        {"query_max_planning_time", NULL},
        {"retry_policy", NULL},
        {"spill_enabled", NULL},
        {"enable_dynamic_filtering", NULL},
        {"redistribute_writes", NULL},
        {"scale_writers", NULL},
        {"hash_partition_count", NULL},
        {"prefer_partial_aggregation", NULL},
        {"distributed_sort", NULL},
        {"iterative_optimizer_enabled", NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        if (slice_equal_fold(property->name, slice_of(known[i].name))) {
            *ret_is_setting = known[i].setting != NULL;
            *ret_setting = (struct web_setting){slice_of(known[i].setting), property->value};
            return ERR_OK;
        }
    }
    /* Of a connector: catalog.property. */
    *ret_is_setting = false;
    if (memchr(property->name.ptr, '.', property->name.len) != NULL) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_INVALID, "55P02", "session property \"%.*s\" does not exist",
                      SLICE_ARGS(property->name));
    errinfo_hint(info, "SHOW SESSION lists those that are known.");
    return ERR_INVALID;
}
