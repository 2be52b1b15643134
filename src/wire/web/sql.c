/* POST /v1/sql: one statement, its rows streamed as they come; or kept, and read in pages. */
#include "base/arena.h"
#include "base/json.h"
#include "base/mem.h"
#include "wire/web/web_int.h"

#define PART_BYTES 65536u
#define WAIT_MS 1000
#define WAIT_MS_MAX 20000

struct ask {
    struct web_server *server;
    struct http_exchange *exchange;
    struct identity *who;
    struct web_visitor visitor;
    struct web_request request;
};

static enum err wrong(struct errinfo *info, const char *what)
{
    return errinfo_set(info, ERR_INVALID, "22023", "%s", what);
}

/* ---- the request ---- */

/* The first format that the client names and there is; what it does not name is JSON. */
static void read_accept(struct ask *ask)
{
    struct slice accept;
    size_t nearest = SIZE_MAX;
    if (!http_field(ask->exchange, SLICE("accept"), &accept)) {
        return;
    }
    static const struct slice types[] = {[WEB_JSON] = SLICE("application/json"),
                                         [WEB_JSON_LINES] = SLICE("application/x-ndjson"),
                                         [WEB_CSV] = SLICE("text/csv"),
                                         [WEB_ARROW] =
                                             SLICE("application/vnd.apache.arrow.stream")};
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        size_t at = slice_find(accept, types[i]);
        if (at < nearest) {
            nearest = at;
            ask->request.format = (enum web_format)i;
        }
    }
}

/* A text alone is a statement; a form or what a page may send unasked is not taken. */
static enum err read_request(struct ask *ask, struct errinfo *info)
{
    struct slice type = {"", 0};
    (void)http_field(ask->exchange, SLICE("content-type"), &type);
    read_accept(ask);
    if (slice_starts_with_fold(type, SLICE("application/sql"))) {
        ask->request.statement = http_body(ask->exchange);
    } else if (slice_starts_with_fold(type, SLICE("application/json"))) {
        TRY(web__request_json(&ask->request, http_body(ask->exchange), info));
    } else {
        return wrong(info, "the Content-Type must be application/json or application/sql");
    }
    return web__request_statement(&ask->request, info);
}

/* ---- the answer ---- */

static void on_gone(void *context)
{
    web_run_stop(context);
}

static enum err send_part(struct ask *ask, struct buf *out, size_t bytes_min, struct errinfo *info)
{
    if (buf_failed(out)) {
        return errinfo_nomem(info);
    }
    if (out->len < bytes_min || out->len == 0) {
        return ERR_OK;
    }
    enum err err = http_write(ask->exchange, buf_slice(out));
    buf_reset(out);
    return err == ERR_OK ? ERR_OK : errinfo_set(info, ERR_IO, "08006", "the connection was lost");
}

/* All rows, the first batch of which is there. */
static enum err stream(struct ask *ask, struct web_run *run, struct web_writer *writer,
                       struct ArrowArray *batch, struct buf *out, struct errinfo *info)
{
    while (batch->release != NULL) {
        int64_t row = 0;
        enum err err = ERR_OK;
        while (err == ERR_OK && row < batch->length) {
            err = web__write_rows(writer, batch, &row, PART_BYTES, out, info);
            err = err != ERR_OK ? err : send_part(ask, out, PART_BYTES, info);
            query_touch(web_run_query(run));
        }
        batch->release(batch);
        batch->release = NULL;
        TRY(err);
        TRY(web_run_next(run, batch, info));
    }
    return ERR_OK;
}

/* The status has been sent: formats that can hold an error behind their rows do. */
static void tell_late(struct ask *ask, const struct errinfo *info, struct buf *out)
{
    if (buf_failed(out)) {
        buf_reset(out);
    }
    bool is_json = ask->request.format == WEB_JSON;
    if (is_json || ask->request.format == WEB_JSON_LINES) {
        buf_append_str(out, is_json ? "],\"error\":" : "{\"error\":");
        web_print_error(out, info, ask->request.statement);
        buf_append_str(out, "}\n");
        if (http_write(ask->exchange, buf_slice(out)) == ERR_OK && is_json &&
            http_end(ask->exchange) == ERR_OK) {
            return;
        }
    }
    http_abort(ask->exchange);
}

static void add_id(struct ask *ask, struct web_run *run)
{
    struct query *query = web_run_query(run);
    http_header(ask->exchange, "X-Moat-Query-Id", query_id(query));
    http_header(ask->exchange, "X-Moat-Tag", slice_of(query_tag(query)));
    if (query_notice(query)[0] != '\0') {
        http_header(ask->exchange, "X-Moat-Notice", slice_of(query_notice(query)));
    }
    http_compress(ask->exchange);
}

/* What has no rows, or few, has a length. */
static enum err answer_rows(struct ask *ask, struct web_run *run, struct web_writer *writer,
                            bool *ret_is_begun, struct errinfo *info)
{
    struct buf out CLEANUP(buf_fini) = {0};
    struct ArrowArray batch = {.release = NULL};
    const char *type = web__content_type(writer->format);
    TRY(web__write_head(writer, &out, info));
    TRY(writer->schema == NULL ? ERR_OK : web_run_next(run, &batch, info));
    if (batch.release == NULL) {
        web__write_tail(writer, &out);
        add_id(ask, run);
        *ret_is_begun = true;
        http_reply(ask->exchange, 200, type, buf_slice(&out));
        return ERR_OK;
    }
    add_id(ask, run);
    *ret_is_begun = true;
    enum err err = http_begin(ask->exchange, 200, type);
    if (err == ERR_OK) {
        err = stream(ask, run, writer, &batch, &out, info);
    } else {
        err = errinfo_set(info, ERR_IO, "08006", "the connection was lost");
    }
    if (batch.release != NULL) {
        batch.release(&batch);
    }
    if (err == ERR_OK) {
        web__write_tail(writer, &out);
        err = send_part(ask, &out, 0, info);
    }
    if (err != ERR_OK) {
        tell_late(ask, info, &out);
    } else if (http_end(ask->exchange) != ERR_OK) {
        (void)errinfo_set(info, ERR_IO, "08006", "the connection was lost");
    }
    return err;
}

static struct web_run_spec run_spec(const struct ask *ask)
{
    return (struct web_run_spec){
        .protocol = SESSION_HTTP,
        .visitor = ask->visitor,
        .who = ask->who,
        .address = slice_of(connection_peer(http_connection(ask->exchange))),
        .catalog = ask->request.catalog,
        .schema = ask->request.schema,
        .settings = ask->request.settings,
        .setting_count = ask->request.setting_count,
        .login = web__login_of(ask->exchange),
    };
}

static enum err answer_now(struct ask *ask, bool *ret_is_begun, struct errinfo *info)
{
    struct web_run *run CLEANUP(web_run_cleanup) = NULL;
    struct web_writer writer CLEANUP(web__writer_fini) = {0};
    struct web_run_spec spec = run_spec(ask);
    TRY(web_run_open(ask->server, &spec, &run, info));
    http_on_cancel(ask->exchange, on_gone, run);
    enum err err = web_run_start(run, ask->request.statement, ask->request.parameters,
                                 ask->request.parameter_count, info);
    err = err != ERR_OK
              ? err
              : web__writer_init(&writer, ask->request.format, ask->request.numbers_as_text,
                                 web_run_query(run), web_run_schema(run), info);
    err = err != ERR_OK ? err : answer_rows(ask, run, &writer, ret_is_begun, info);
    http_on_cancel(ask->exchange, NULL, NULL);
    return err;
}

/* ---- kept ---- */

struct kept_writer {
    struct web_writer writer;
    bool numbers_as_text;
    struct buf columns;
};

static enum err kept_begin(void *context, struct query *query, const struct ArrowSchema *schema,
                           struct errinfo *info)
{
    struct kept_writer *kept = context;
    bool as_text = kept->numbers_as_text;
    web__print_columns(&kept->columns, query);
    return buf_failed(&kept->columns)
               ? errinfo_nomem(info)
               : web__writer_init(&kept->writer, WEB_JSON, as_text, query, schema, info);
}

static enum err kept_row(void *context, const struct ArrowArray *batch, int64_t row,
                         struct buf *out, struct errinfo *info)
{
    struct kept_writer *kept = context;
    return web__print_row(&kept->writer, batch, row, out, info);
}

static void kept_close(void *context)
{
    struct kept_writer *kept = context;
    web__writer_fini(&kept->writer);
    buf_fini(&kept->columns);
    mem_free(kept);
}

static const char *state_name(enum web_kept_state state)
{
    switch (state) {
    case WEB_KEPT_STARTING:
        return "starting";
    case WEB_KEPT_RUNNING:
        return "running";
    case WEB_KEPT_DONE:
        return "done";
    case WEB_KEPT_FAILED:
        return "failed";
    }
    return "";
}

/* The id of such a query is both of its parts: whoever has it and is the person may ask. */
static void print_kept(struct buf *out, const struct web_kept *kept, const struct web_page *page,
                       const struct errinfo *why)
{
    const struct kept_writer *writer = web_kept_printer(kept);
    buf_printf(out, "{\"id\":\"%s%s\",\"state\":\"%s\"", web_kept_id(kept), web_kept_secret(kept),
               state_name(page->state));
    if (page->has_columns) {
        buf_append_str(out, ",\"columns\":");
        buf_append_slice(out, buf_slice(&writer->columns));
    }
    if (page->tag[0] != '\0') {
        buf_append_str(out, ",\"tag\":");
        json_write_string(out, slice_of(page->tag));
    }
    if (page->notice[0] != '\0') {
        buf_append_str(out, ",\"notice\":");
        json_write_string(out, slice_of(page->notice));
    }
    if (why->code != ERR_OK) {
        buf_append_str(out, ",\"error\":");
        web_print_error(out, why, web_kept_statement(kept));
    }
    buf_printf(out, ",\"elapsed_ms\":%lld", (long long)(page->elapsed_us / 1000));
}

static void print_next(struct buf *out, const struct web_kept *kept, uint64_t token)
{
    buf_printf(out, ",\"next\":\"/v1/queries/%s%s/results/%llu\"", web_kept_id(kept),
               web_kept_secret(kept), (unsigned long long)token);
}

static enum err answer_later(struct ask *ask, struct errinfo *info)
{
    struct web_run *run;
    struct web_kept *kept CLEANUP(web_kept_cleanup) = NULL;
    struct web_run_spec spec = run_spec(ask);
    struct kept_writer *writer = mem_calloc(1, sizeof(*writer));
    if (writer == NULL) {
        return errinfo_nomem(info);
    }
    writer->numbers_as_text = ask->request.numbers_as_text;
    enum err err = web_run_open(ask->server, &spec, &run, info);
    if (err != ERR_OK) {
        kept_close(writer);
        return err;
    }
    struct web_kept_spec how = {
        .statement = ask->request.statement,
        .parameters = ask->request.parameters,
        .parameter_count = ask->request.parameter_count,
        .printer = {writer, kept_begin, NULL, kept_row, kept_close},
    };
    TRY(web_kept_open(ask->server, run, &how, &kept, info));
    struct buf out CLEANUP(buf_fini) = {0};
    buf_printf(&out, "{\"id\":\"%s%s\",\"state\":\"starting\"", web_kept_id(kept),
               web_kept_secret(kept));
    print_next(&out, kept, 0);
    buf_append_str(&out, "}\n");
    http_reply(ask->exchange, 202, "application/json", buf_slice(&out));
    return ERR_OK;
}

/* ---- routes ---- */

static void begin_ask(struct ask *ask, struct web_server *server, struct http_exchange *exchange)
{
    *ask = (struct ask){.server = server, .exchange = exchange};
    ask->visitor.protocol = "http";
    ask->visitor.application = SLICE("");
    (void)http_field(exchange, SLICE("user-agent"), &ask->visitor.application);
    ask->who = web_sign_in(server, exchange, &ask->visitor);
}

static void on_sql(void *context, struct http_exchange *exchange)
{
    struct ask ask;
    struct errinfo info;
    bool is_begun = false;
    errinfo_init(&info);
    begin_ask(&ask, context, exchange);
    if (ask.who == NULL) {
        return;
    }
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "request", 0);
    ask.request.arena = arena;
    enum err err = arena == NULL ? errinfo_nomem(&info) : read_request(&ask, &info);
    if (err == ERR_OK && ask.request.is_async && ask.request.format != WEB_JSON) {
        err = wrong(&info, "pages of results are JSON: leave out the format, or async");
    }
    if (err == ERR_OK) {
        err = ask.request.is_async ? answer_later(&ask, &info) : answer_now(&ask, &is_begun, &info);
    }
    if (err != ERR_OK && !is_begun) {
        web_reply_error(exchange, &info, ask.request.statement);
    }
}

/* "<id><secret>" and what stands behind it. */
static struct web_kept *find_kept(struct ask *ask, struct slice *ret_rest)
{
    struct slice path = http_path(ask->exchange);
    size_t prefix = sizeof("/v1/queries/") - 1;
    if (path.len < prefix + 64) {
        return NULL;
    }
    *ret_rest = (struct slice){path.ptr + prefix + 64, path.len - prefix - 64};
    return web_kept_find(ask->server, ask->who, "http", (struct slice){path.ptr + prefix, 32},
                         (struct slice){path.ptr + prefix + 32, 32});
}

static void no_such_query(struct http_exchange *exchange)
{
    static const struct slice body = SLICE(
        "{\"error\":{\"sqlstate\":\"02000\",\"message\":\"there is no such query or page\"}}\n");
    http_reply(exchange, 404, "application/json", body);
}

static void reply_state(struct http_exchange *exchange, struct web_kept *kept)
{
    struct buf out CLEANUP(buf_fini) = {0};
    struct web_page page CLEANUP(web_page_fini) = {0};
    struct errinfo why;
    errinfo_init(&why);
    web_kept_look(kept, &page, &why);
    print_kept(&out, kept, &page, &why);
    buf_printf(&out, ",\"row_count\":%llu", (unsigned long long)page.rows_total);
    if (page.progress >= 0) {
        buf_printf(&out, ",\"progress\":%.1f", page.progress);
    }
    buf_append_str(&out, "}\n");
    http_reply(exchange, 200, "application/json", buf_slice(&out));
}

/* Milliseconds of "wait=..."; what is no number is not looked at. */
static int64_t wait_of(const struct http_exchange *exchange)
{
    struct slice query = http_query(exchange);
    uint64_t wait_ms;
    if (!slice_starts_with(query, SLICE("wait=")) ||
        !slice_to_u64((struct slice){query.ptr + 5, query.len - 5}, &wait_ms)) {
        return WAIT_MS;
    }
    return wait_ms < WAIT_MS_MAX ? (int64_t)wait_ms : WAIT_MS_MAX;
}

static void reply_page(struct http_exchange *exchange, struct web_kept *kept, uint64_t token)
{
    struct buf out CLEANUP(buf_fini) = {0};
    struct web_page page CLEANUP(web_page_fini) = {0};
    struct errinfo why;
    errinfo_init(&why);
    web_kept_page(kept, token, wait_of(exchange), &page, &why);
    if (page.is_gone) {
        no_such_query(exchange);
        return;
    }
    print_kept(&out, kept, &page, &why);
    buf_append_str(&out, ",\"rows\":[");
    buf_append_slice(&out, page.rows);
    buf_printf(&out, "],\"row_count\":%llu", (unsigned long long)page.row_count);
    if (!page.is_last) {
        print_next(&out, kept, page.is_known ? token + 1 : token);
    }
    buf_append_str(&out, "}\n");
    http_compress(exchange);
    http_reply(exchange, 200, "application/json", buf_slice(&out));
}

static void on_query(void *context, struct http_exchange *exchange)
{
    struct ask ask;
    struct slice rest = {"", 0};
    uint64_t token;
    begin_ask(&ask, context, exchange);
    if (ask.who == NULL) {
        return;
    }
    struct web_kept *kept CLEANUP(web_kept_cleanup) = find_kept(&ask, &rest);
    bool is_page = slice_starts_with(rest, SLICE("/results/")) &&
                   slice_to_u64((struct slice){rest.ptr + 9, rest.len - 9}, &token);
    if (kept == NULL || (rest.len > 0 && !is_page) || (is_page && http_is_head(exchange))) {
        no_such_query(exchange);
    } else if (is_page) {
        reply_page(exchange, kept, token);
    } else {
        reply_state(exchange, kept);
    }
}

static void on_stop(void *context, struct http_exchange *exchange)
{
    struct ask ask;
    struct slice rest = {"", 0};
    begin_ask(&ask, context, exchange);
    if (ask.who == NULL) {
        return;
    }
    struct web_kept *kept CLEANUP(web_kept_cleanup) = find_kept(&ask, &rest);
    if (kept == NULL || rest.len > 0) {
        no_such_query(exchange);
        return;
    }
    web_kept_stop(kept);
    http_reply(exchange, 204, NULL, SLICE(""));
}

enum err web__sql_routes(struct web_server *server, struct errinfo *info)
{
    TRY(http_route(server->http, "POST", "/v1/sql", on_sql, server, info));
    TRY(http_route(server->http, "GET", "/v1/queries/", on_query, server, info));
    return http_route(server->http, "DELETE", "/v1/queries/", on_stop, server, info);
}
