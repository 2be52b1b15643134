/* Routes of Trino's protocol: a statement is posted, and its rows are got page by page. */
#include "wire/trino/trino.h"

#include <openssl/rand.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "wire/trino/trino_int.h"

#define WAIT_MS 1000 /* as Trino's: clients ask again */
#define PATH "/v1/statement/executing/"
#define QUERY_PATH "/v1/query/"
#define ID_BYTES 32u
#define JSON "application/json"

struct trino_server {
    struct web_server *web;
    int64_t since_us;
};

/* One statement and what is made of its rows; with the kept run, or only for one answer. */
struct result {
    struct arena *arena; /* of all of it */
    struct trino_request request;
    struct trino_plan plan;
    struct trino_column *cells;
    size_t column_count;
    struct buf columns;
    struct buf scratch;
    char count[24]; /* how many rows were changed, as a row */
};

static void result_close(void *context)
{
    struct result *result = context;
    if (result != NULL) {
        struct arena *arena = result->arena;
        buf_fini(&result->columns);
        buf_fini(&result->scratch);
        arena_free(arena);
    }
}
DEFINE_CLEANUP(struct result, result_cleanup, result_close)

static enum err result_new(struct result **ret_result, struct errinfo *info)
{
    struct arena *arena = arena_new(NULL, "trino result", 0);
    struct result *result = arena == NULL ? NULL : arena_calloc(arena, 1, sizeof(*result));
    if (result == NULL) {
        arena_free(arena);
        return errinfo_nomem(info);
    }
    result->arena = arena;
    *ret_result = result;
    return ERR_OK;
}

/* ---- rows ---- */

/* A person may call a column so, too: then they all stay. */
static bool has_own_names(const struct result *result)
{
    return slice_find(result->plan.origin, SLICE("_col")) != SIZE_MAX;
}

static enum err begin(void *context, struct query *query, const struct ArrowSchema *schema,
                      struct errinfo *info)
{
    struct result *result = context;
    size_t count = query_column_count(query);
    char number[32];
    struct trino_type *types = arena_calloc(result->arena, count + 1, sizeof(*types));
    result->cells = arena_calloc(result->arena, count + 1, sizeof(*result->cells));
    result->column_count = count;
    if (types == NULL || result->cells == NULL) {
        return errinfo_nomem(info);
    }
    buf_append_char(&result->columns, '[');
    for (size_t i = 0; i < count; i++) {
        struct query_column column = query_column(query, i);
        TRY(trino_type_parse(column.type, result->request.is_parametric, result->arena, &types[i],
                             info));
        buf_append_str(&result->columns, i == 0 ? "" : ",");
        column.name = result->plan.is_explain ? SLICE("Query Plan") : column.name;
        if (result->plan.is_values || (trino_is_column(column.name) && !has_own_names(result))) {
            (void)snprintf(number, sizeof(number), "_col%zu", i);
            column.name = slice_of(number);
        }
        trino_column_print(column.name, &types[i], &result->columns);
    }
    trino_columns_begin(result->cells, types, schema);
    buf_append_char(&result->columns, ']');
    return buf_failed(&result->columns) ? errinfo_nomem(info) : ERR_OK;
}

static void take_batch(void *context, const struct ArrowArray *batch)
{
    struct result *result = context;
    trino_columns_take(result->cells, batch);
}

static enum err print_row(void *context, const struct ArrowArray *batch, int64_t row,
                          struct buf *out, struct errinfo *info)
{
    struct result *result = context;
    return trino_row_print(result->cells, result->column_count, batch->offset + row,
                           &result->scratch, out, info);
}

/* ---- answers ---- */

struct ask {
    struct trino_server *server;
    struct http_exchange *exchange;
    struct identity *who;
    struct web_visitor visitor;
    struct buf base;
    char id[ID_BYTES + 1];
};

static void ask_fini(struct ask *ask)
{
    buf_fini(&ask->base);
}

static bool begin_ask(struct ask *ask, struct trino_server *server, struct http_exchange *exchange)
{
    struct slice host = SLICE("localhost");
    ask->server = server;
    ask->exchange = exchange;
    ask->visitor.protocol = "trino";
    ask->visitor.shows_browser = true;
    if (!http_field(exchange, SLICE("x-trino-source"), &ask->visitor.application) &&
        !http_field(exchange, SLICE("user-agent"), &ask->visitor.application)) {
        ask->visitor.application = SLICE("");
    }
    ask->who = web_sign_in(server->web, exchange, &ask->visitor);
    (void)http_field(exchange, SLICE("host"), &host);
    uint8_t bytes[ID_BYTES / 2];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        memset(bytes, 0, sizeof(bytes));
    }
    for (size_t i = 0; i < sizeof(bytes); i++) {
        (void)snprintf(ask->id + 2 * i, 3, "%02x", bytes[i]);
    }
    buf_append_str(&ask->base,
                   connection_is_tls(http_connection(exchange)) ? "https://" : "http://");
    for (size_t i = 0; i < host.len; i++) { /* what could not stand in an address is left out */
        char c = host.ptr[i];
        bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (is_plain || (c != '\0' && strchr(".-_:[]", c) != NULL)) {
            buf_append_char(&ask->base, c);
        }
    }
    return ask->who != NULL;
}

static void send_answer(struct ask *ask, struct trino_answer *answer)
{
    struct buf head CLEANUP(buf_fini) = {0};
    struct buf tail CLEANUP(buf_fini) = {0};
    answer->base = buf_slice(&ask->base);
    struct slice rows = trino_answer_print(answer, &head, &tail);
    if (buf_failed(&head) || buf_failed(&tail)) {
        http_reply(ask->exchange, 503, "text/plain", SLICE("out of memory\n"));
        return;
    }
    if (answer->encoding == NULL) { /* segments are compressed, or wanted as they are */
        http_compress(ask->exchange);
    }
    const struct slice parts[] = {buf_slice(&head), rows, buf_slice(&tail)};
    http_reply_parts(ask->exchange, 200, JSON, parts, ARRAY_COUNT(parts));
}

/* Of a statement that did not come to run: nothing else knows its id. */
static void send_error(struct ask *ask, const struct errinfo *info, struct slice statement)
{
    struct trino_answer answer = {.id = ask->id,
                                  .state = "FAILED",
                                  .progress = -1,
                                  .update_count = -1,
                                  .error = info,
                                  .statement = statement};
    send_answer(ask, &answer);
}

static void add_headers(struct ask *ask, const struct trino_plan *plan)
{
    for (size_t i = 0; i < plan->header_count; i++) {
        http_header(ask->exchange, plan->headers[i].name.ptr, plan->headers[i].value);
    }
}

/* What changes rows answers with how many; anything else without rows has a list of no
 * columns, which clients wait for. */
static const struct slice count_columns = {
    "[{\"name\":\"rows\",\"type\":\"bigint\",\"typeSignature\":{\"rawType\":\"bigint\","
    "\"arguments\":[]}}]",
    sizeof("[{\"name\":\"rows\",\"type\":\"bigint\",\"typeSignature\":{\"rawType\":\"bigint\","
           "\"arguments\":[]}}]") -
        1};

static void send_done(struct ask *ask, const struct trino_plan *plan)
{
    struct trino_answer answer = {.id = ask->id,
                                  .state = "FINISHED",
                                  .columns = SLICE("[]"),
                                  .update_type = slice_of(plan->update_type),
                                  .update_count = -1};
    add_headers(ask, plan);
    send_answer(ask, &answer);
}

/* "INSERT 0 5": what was done, and to how many rows. */
static void take_tag(const char *tag, struct trino_answer *answer)
{
    size_t len = strcspn(tag, "0123456789");
    const char *last = strrchr(tag, ' ');
    uint64_t count;
    answer->update_type = slice_trim((struct slice){tag, len});
    if (tag[len] != '\0' && last != NULL && slice_to_u64(slice_of(last + 1), &count)) {
        answer->update_count = (int64_t)count;
    }
}

static const char *state_of(const struct web_page *page)
{
    switch (page->state) {
    case WEB_KEPT_STARTING:
        return "QUEUED";
    case WEB_KEPT_RUNNING:
        return "RUNNING";
    case WEB_KEPT_DONE:
        return page->is_known && page->is_last ? "FINISHED" : "RUNNING";
    case WEB_KEPT_FAILED:
        return page->is_known && !page->is_last ? "RUNNING" : "FAILED";
    }
    return "";
}

static void fill_answer(const struct web_page *page, struct result *result,
                        struct trino_answer *answer)
{
    answer->state = state_of(page);
    answer->progress = -1;
    answer->queued_us = page->queued_us;
    answer->elapsed_us = page->elapsed_us;
    answer->row_count = page->rows_total;
    answer->rows_given = page->row_count;
    answer->warning = slice_of(page->notice);
    answer->update_count = -1;
    if (page->has_columns) {
        answer->columns = buf_slice(&result->columns);
        answer->rows = page->rows;
        return;
    }
    if (page->state != WEB_KEPT_DONE) {
        return;
    }
    take_tag(page->tag, answer);
    if (result->plan.update_type != NULL) {
        answer->update_type = slice_of(result->plan.update_type);
    }
    answer->columns = SLICE("[]");
    if (answer->update_count >= 0) {
        (void)snprintf(result->count, sizeof(result->count), "[%lld]",
                       (long long)answer->update_count);
        answer->columns = count_columns;
        answer->rows = slice_of(result->count);
        answer->row_count = 1;
    }
}

static void put_next(char *text, size_t bytes, struct web_kept *kept, uint64_t token)
{
    (void)snprintf(text, bytes, PATH "%s/%s/%llu", web_kept_id(kept), web_kept_secret(kept),
                   (unsigned long long)token);
}

/* To whom nothing but the way to the first page is said. */
static void send_begun(struct ask *ask, struct web_kept *kept)
{
    char next[sizeof(PATH) + 2 * ID_BYTES + 32];
    struct trino_answer answer = {
        .id = web_kept_id(kept), .state = "QUEUED", .progress = -1, .update_count = -1};
    put_next(next, sizeof(next), kept, 0);
    answer.next = slice_of(next);
    send_answer(ask, &answer);
}

/* `is_first`: it answers what was posted. */
static void send_page(struct ask *ask, struct web_kept *kept, uint64_t token, bool is_first)
{
    struct web_page page CLEANUP(web_page_fini) = {0};
    struct errinfo why;
    struct result *result = web_kept_printer(kept);
    struct trino_answer answer = {.id = web_kept_id(kept)};
    char next[sizeof(PATH) + 2 * ID_BYTES + 32];
    errinfo_init(&why);
    web_kept_page(kept, token, WAIT_MS, &page, &why);
    if (page.is_gone) {
        http_reply(ask->exchange, 410, "text/plain", SLICE("this page is no more\n"));
        return;
    }
    fill_answer(&page, result, &answer);
    if (page.has_columns && !is_first) { /* clients look for no segments in the first answer */
        answer.encoding = result->request.encoding;
    }
    if (why.code != ERR_OK) {
        trino_plan_error(&result->plan, &why);
        answer.error = &why;
        answer.statement = result->plan.origin;
    } else if (!page.is_last) {
        put_next(next, sizeof(next), kept, page.is_known ? token + 1 : token);
        answer.next = slice_of(next);
    } else {
        add_headers(ask, &result->plan);
    }
    send_answer(ask, &answer);
    if (is_first && page.is_last) { /* all in the first answer: nobody asks again */
        web_kept_stop(kept);
    }
}

/* ---- POST /v1/statement ---- */

static enum err check_user(const struct ask *ask, const struct trino_request *request,
                           struct errinfo *info)
{
    struct slice subject = identity_subject(ask->who);
    if (request->user.len == 0 || slice_equal_fold(request->user, subject)) {
        return ERR_OK;
    }
    return errinfo_set(info, ERR_DENIED, "42501",
                       "Access Denied: User %.*s cannot impersonate user %.*s", SLICE_ARGS(subject),
                       SLICE_ARGS(request->user));
}

static enum err open_run(struct ask *ask, const struct result *result, struct web_run **ret_run,
                         struct errinfo *info)
{
    const struct trino_request *request = &result->request;
    struct web_setting *settings =
        arena_calloc(result->arena, request->property_count + 1, sizeof(*settings));
    size_t count = 0;
    bool is_use = result->plan.update_type != NULL && strcmp(result->plan.update_type, "USE") == 0;
    if (settings == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < request->property_count; i++) {
        bool is_setting;
        TRY(trino_property(&request->properties[i], &is_setting, &settings[count], info));
        count += is_setting;
    }
    bool is_system = slice_equal_fold(request->catalog, SLICE("system"));
    struct web_run_spec spec = {
        .protocol = SESSION_TRINO,
        .visitor = ask->visitor,
        .who = ask->who,
        .address = slice_of(connection_peer(http_connection(ask->exchange))),
        .settings = settings,
        .setting_count = count,
    };
    if (!is_system && !is_use) { /* without a schema names have one: "schema"."table" */
        spec.catalog = request->catalog;
        spec.schema = request->schema;
    }
    return web_run_open(ask->server->web, &spec, ret_run, info);
}

static enum err start(struct ask *ask, struct result *result, struct web_kept **ret_kept,
                      struct errinfo *info)
{
    struct web_run *run;
    enum err err = open_run(ask, result, &run, info);
    if (err != ERR_OK) {
        errinfo_position(info, 0);
        result_close(result);
        return err;
    }
    struct web_kept_spec spec = {.statement = result->plan.text,
                                 .printer = {result, begin, take_batch, print_row, result_close}};
    return web_kept_open(ask->server->web, run, &spec, ret_kept, info);
}

static void put_described(struct buf *rows, const struct query_column *columns, size_t count,
                          struct arena *arena, bool is_parametric)
{
    for (size_t i = 0; i < count; i++) {
        struct trino_type type;
        struct buf text CLEANUP(buf_fini) = {0};
        if (trino_type_parse(columns[i].type, is_parametric, arena, &type, NULL) != ERR_OK) {
            rows->failed = true;
            return;
        }
        trino_type_print(&type, &text);
        buf_append_str(rows, i == 0 ? "[" : ",[");
        json_write_string(rows, columns[i].name);
        buf_append_str(rows, ",\"\",\"\",\"\",");
        json_write_string(rows, buf_slice(&text));
        buf_append_str(rows, ",0,true]");
    }
}

static void put_inputs(struct buf *rows, const struct slice *types, size_t count,
                       struct arena *arena, bool is_parametric)
{
    for (size_t i = 0; i < count; i++) {
        struct trino_type type;
        struct buf text CLEANUP(buf_fini) = {0};
        if (trino_type_parse(types[i], is_parametric, arena, &type, NULL) != ERR_OK) {
            rows->failed = true;
            return;
        }
        if (types[i].len == 0) {
            buf_append_str(&text, "unknown");
        } else {
            trino_type_print(&type, &text);
        }
        buf_printf(rows, "%s[%zu,", i == 0 ? "" : ",", i);
        json_write_string(rows, buf_slice(&text));
        buf_append_char(rows, ']');
    }
}

static void put_columns(const struct trino_plan *plan, struct buf *out)
{
    static const struct {
        const char *name;
        const char *type;
    } columns[] = {{"Position", "integer"}, {"Type", "varchar"},      {"Column Name", "varchar"},
                   {"Catalog", "varchar"},  {"Schema", "varchar"},    {"Table", "varchar"},
                   {"Type", "varchar"},     {"Type Size", "integer"}, {"Aliased", "boolean"}};
    size_t from = plan->is_input ? 0 : 2;
    size_t to = plan->is_input ? 2 : ARRAY_COUNT(columns);
    for (size_t i = from; i < to; i++) {
        struct trino_type type = {.name = columns[i].type};
        buf_append_char(out, i == from ? '[' : ',');
        trino_column_print(slice_of(columns[i].name), &type, out);
    }
    buf_append_char(out, ']');
}

/* DESCRIBE INPUT, DESCRIBE OUTPUT: planned, not run. */
static enum err describe(struct ask *ask, struct result *result, struct errinfo *info)
{
    struct web_run *run CLEANUP(web_run_cleanup) = NULL;
    struct buf rows CLEANUP(buf_fini) = {0};
    struct buf head CLEANUP(buf_fini) = {0};
    struct query_column *columns;
    struct slice *parameters;
    size_t column_count, parameter_count;
    const struct trino_plan *plan = &result->plan;
    bool is_parametric = result->request.is_parametric;
    TRY(open_run(ask, result, &run, info));
    TRY(session_describe(web_run_session(run), plan->describes, result->arena, &columns,
                         &column_count, &parameters, &parameter_count, info));
    if (plan->is_input) {
        put_inputs(&rows, parameters, parameter_count, result->arena, is_parametric);
    } else {
        put_described(&rows, columns, column_count, result->arena, is_parametric);
    }
    put_columns(plan, &head);
    if (buf_failed(&rows) || buf_failed(&head)) {
        return errinfo_nomem(info);
    }
    struct trino_answer answer = {.id = ask->id,
                                  .state = "FINISHED",
                                  .columns = buf_slice(&head),
                                  .rows = buf_slice(&rows),
                                  .row_count = plan->is_input ? parameter_count : column_count,
                                  .update_count = -1};
    send_answer(ask, &answer);
    return ERR_OK;
}

/* What it comes to, in memory that lives as long as the query does. */
static enum err read_statement(struct ask *ask, struct result *result, struct errinfo *info)
{
    struct slice text;
    struct arena *arena = result->arena;
    if (!arena_slice(arena, http_body(ask->exchange), &text)) {
        return errinfo_nomem(info);
    }
    TRY(trino_request_read(ask->exchange, arena, &result->request, info));
    return trino_plan(&result->request, text, arena, &result->plan, info);
}

static void run_statement(struct ask *ask, struct result *given)
{
    struct result *result CLEANUP(result_cleanup) = given;
    struct web_kept *kept CLEANUP(web_kept_cleanup) = NULL;
    struct errinfo info;
    errinfo_init(&info);
    enum err err = read_statement(ask, result, &info);
    struct trino_plan *plan = &result->plan;
    if (err == ERR_OK && check_user(ask, &result->request, &info) != ERR_OK) {
        web_reply_error(ask->exchange, &info, SLICE(""));
        return;
    }
    if (err == ERR_OK && plan->describes.len > 0) {
        err = describe(ask, result, &info);
        trino_plan_error(plan, &info);
    } else if (err == ERR_OK && plan->text.len == 0) {
        send_done(ask, plan);
    } else if (err == ERR_OK) {
        err = start(ask, TAKE(result), &kept, &info);
        if (err == ERR_OK) {
            const struct result *run = web_kept_printer(kept);
            if (run->request.reads_first) {
                send_page(ask, kept, 0, true);
            } else {
                send_begun(ask, kept);
            }
            return;
        }
        send_error(ask, &info, SLICE(""));
        return;
    }
    if (err != ERR_OK) {
        send_error(ask, &info, plan->origin);
    }
}

static void on_statement(void *context, struct http_exchange *exchange)
{
    struct ask ask CLEANUP(ask_fini) = {.server = context};
    struct errinfo info;
    struct result *result;
    errinfo_init(&info);
    if (!begin_ask(&ask, context, exchange)) {
        return;
    }
    if (result_new(&result, &info) != ERR_OK) {
        web_reply_error(exchange, &info, SLICE(""));
        return;
    }
    run_statement(&ask, result);
}

/* ---- GET and DELETE of what an answer names ---- */

static bool next_part(struct slice *rest, struct slice *ret_part)
{
    const char *slash = rest->len == 0 ? NULL : memchr(rest->ptr, '/', rest->len);
    size_t len = slash == NULL ? rest->len : (size_t)(slash - rest->ptr);
    *ret_part = (struct slice){rest->ptr, len};
    size_t used = slash == NULL ? len : len + 1;
    *rest = (struct slice){rest->ptr + used, rest->len - used};
    return len > 0;
}

static struct web_kept *find(struct ask *ask, uint64_t *ret_token)
{
    struct slice path = http_path(ask->exchange);
    struct slice rest = {path.ptr + sizeof(PATH) - 1, path.len - (sizeof(PATH) - 1)};
    struct slice id, secret, token;
    if (!next_part(&rest, &id) || !next_part(&rest, &secret) || !next_part(&rest, &token) ||
        rest.len > 0 || !slice_to_u64(token, ret_token)) {
        return NULL;
    }
    return web_kept_find(ask->server->web, ask->who, "trino", id, secret);
}

static void on_page(void *context, struct http_exchange *exchange)
{
    struct ask ask CLEANUP(ask_fini) = {.server = context};
    uint64_t token;
    if (!begin_ask(&ask, context, exchange)) {
        return;
    }
    struct web_kept *kept CLEANUP(web_kept_cleanup) = find(&ask, &token);
    if (kept == NULL) {
        http_reply(exchange, 404, "text/plain", SLICE("there is no such query\n"));
    } else if (http_is_head(exchange)) { /* a client that is still at the last page */
        struct web_page page CLEANUP(web_page_fini) = {0};
        struct errinfo ignored;
        web_kept_look(kept, &page, &ignored);
        http_reply(exchange, 200, JSON, SLICE(""));
    } else {
        send_page(&ask, kept, token, false);
    }
}

static void on_cancel(void *context, struct http_exchange *exchange)
{
    struct ask ask CLEANUP(ask_fini) = {.server = context};
    uint64_t token;
    if (!begin_ask(&ask, context, exchange)) {
        return;
    }
    struct web_kept *kept CLEANUP(web_kept_cleanup) = find(&ask, &token);
    if (kept != NULL) {
        web_kept_stop(kept);
    }
    http_reply(exchange, 204, NULL, SLICE(""));
}

/* ---- GET and DELETE of a query by its id ---- */

static struct web_kept *find_own(struct ask *ask)
{
    struct slice path = http_path(ask->exchange);
    struct slice id = {path.ptr + sizeof(QUERY_PATH) - 1, path.len - (sizeof(QUERY_PATH) - 1)};
    return web_kept_find_own(ask->server->web, ask->who, "trino", id);
}

/* The little of QueryInfo that clients read. */
static void on_query(void *context, struct http_exchange *exchange)
{
    struct ask ask CLEANUP(ask_fini) = {.server = context};
    struct buf out CLEANUP(buf_fini) = {0};
    struct web_page page CLEANUP(web_page_fini) = {0};
    struct errinfo why;
    errinfo_init(&why);
    if (!begin_ask(&ask, context, exchange)) {
        return;
    }
    struct web_kept *kept CLEANUP(web_kept_cleanup) = find_own(&ask);
    if (kept == NULL) {
        http_reply(exchange, 410, "text/plain", SLICE("there is no such query\n"));
        return;
    }
    web_kept_look(kept, &page, &why);
    buf_printf(&out,
               "{\"queryId\":\"%s\",\"state\":\"%s\",\"session\":{\"user\":", web_kept_id(kept),
               state_of(&page));
    json_write_string(&out, identity_subject(ask.who));
    buf_append_str(&out, "},\"query\":");
    const struct result *result = web_kept_printer(kept);
    json_write_string(&out, result->plan.origin);
    buf_append_str(&out, "}\n");
    http_reply(exchange, buf_failed(&out) ? 503 : 200, JSON, buf_slice(&out));
}

static void on_kill(void *context, struct http_exchange *exchange)
{
    struct ask ask CLEANUP(ask_fini) = {.server = context};
    if (!begin_ask(&ask, context, exchange)) {
        return;
    }
    struct web_kept *kept CLEANUP(web_kept_cleanup) = find_own(&ask);
    if (kept != NULL) {
        web_kept_stop(kept);
    }
    http_reply(exchange, 204, NULL, SLICE(""));
}

/* ---- who is this ---- */

static void on_info(void *context, struct http_exchange *exchange)
{
    const struct trino_server *server = context;
    struct buf out CLEANUP(buf_fini) = {0};
    buf_printf(&out,
               "{\"nodeVersion\":{\"version\":\"476-moat-" MOAT_VERSION "\"},\"environment\":"
               "\"moat\",\"coordinator\":true,\"starting\":false,\"uptime\":\"%.2fm\"}\n",
               (double)(clock_mono_us() - server->since_us) / 60e6);
    http_reply(exchange, 200, JSON, buf_slice(&out));
}

static void on_info_state(UNUSED void *context, struct http_exchange *exchange)
{
    http_reply(exchange, 200, JSON, SLICE("\"ACTIVE\"\n"));
}

enum err trino_open(struct web_server *web, struct trino_server **ret_server, struct errinfo *info)
{
    struct trino_server *server = mem_calloc(1, sizeof(*server));
    struct http_server *http = web_http(web);
    if (server == NULL) {
        return errinfo_nomem(info);
    }
    static const struct {
        const char *method;
        const char *path;
        http_route_fn fn;
    } routes[] = {{"POST", "/v1/statement", on_statement},
                  {"GET", PATH, on_page},
                  {"DELETE", PATH, on_cancel},
                  {"GET", QUERY_PATH, on_query},
                  {"DELETE", QUERY_PATH, on_kill},
                  {"GET", "/v1/info", on_info},
                  {"GET", "/v1/info/state", on_info_state}};
    server->web = web;
    server->since_us = clock_mono_us();
    for (size_t i = 0; i < ARRAY_COUNT(routes); i++) {
        enum err err =
            http_route(http, routes[i].method, routes[i].path, routes[i].fn, server, info);
        if (err != ERR_OK) { /* without all of them nothing is served */
            mem_free(server);
            return err;
        }
    }
    *ret_server = server;
    return ERR_OK;
}

void trino_close(struct trino_server *server)
{
    mem_free(server);
}
