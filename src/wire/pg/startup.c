/* Before the login: requests for encryption, for a cancel, and the start packet. */
#include "wire/pg/pg_int.h"

#define CODE_CANCEL 80877102u
#define CODE_SSL 80877103u
#define CODE_GSS 80877104u
#define PROTOCOL_EXTENSION SLICE("_pq_.")

static size_t fail(struct pg_connection *connection, struct slice input, const struct errinfo *info)
{
    pg__fatal(connection, info);
    return input.len;
}

static size_t ask_encryption(struct pg_connection *connection, struct slice input, bool is_ssl)
{
    struct errinfo info;
    errinfo_init(&info);
    struct slice rest = {input.ptr + 8, input.len - 8};
    if (!is_ssl || !connection_can_tls(connection->wire) || connection_is_tls(connection->wire)) {
        buf_append_char(&connection->out, 'N'); /* outside of any message */
        pg__flush(connection);
        return 8;
    }
    if (connection_start_tls(connection->wire, rest, SLICE("S"), &info) != ERR_OK) {
        return fail(connection, input, &info);
    }
    return 8;
}

/* ---- the start packet ---- */

struct start {
    struct slice extensions[16]; /* _pq_.* that we do not know */
    size_t extension_count;
    uint32_t minor_wanted;
};

static enum err keep(struct pg_connection *connection, struct slice text, struct slice *ret_copy,
                     struct errinfo *info)
{
    return arena_slice(connection->arena, text, ret_copy) ? ERR_OK : errinfo_nomem(info);
}

/* What the client holds, or a setting. */
static enum err take_setting(struct pg_connection *connection, struct slice name,
                             struct slice value, struct errinfo *info)
{
    return slice_equal(name, SLICE("moat.login"))
               ? keep(connection, value, &connection->wish, info)
               : pg__setting_start(connection, name, value, info);
}

static enum err take_parameter(struct pg_connection *connection, struct start *start,
                               struct slice name, struct slice value, struct errinfo *info)
{
    if (slice_equal(name, SLICE("user"))) {
        return keep(connection, value, &connection->user, info);
    }
    if (slice_equal(name, SLICE("database"))) {
        return keep(connection, value, &connection->database, info);
    }
    if (slice_equal(name, SLICE("replication"))) {
        bool is_off = slice_equal_fold(value, SLICE("false")) ||
                      slice_equal_fold(value, SLICE("off")) || slice_equal(value, SLICE("0"));
        return is_off ? ERR_OK
                      : errinfo_set(info, ERR_UNSUPPORTED, NULL, "replication is not supported");
    }
    if (slice_starts_with(name, PROTOCOL_EXTENSION)) {
        if (start->extension_count < ARRAY_COUNT(start->extensions)) {
            start->extensions[start->extension_count++] = name;
        }
        return ERR_OK;
    }
    return take_setting(connection, name, value, info);
}

/* "-c name=value --name=value", with \ before a space that is none between words. */
static enum err take_options(struct pg_connection *connection, struct slice options,
                             struct errinfo *info)
{
    struct buf word CLEANUP(buf_fini) = {0};
    bool is_after_c = false;
    for (size_t i = 0; i <= options.len; i++) {
        bool is_end = i == options.len || options.ptr[i] == ' ';
        if (!is_end) {
            i += options.ptr[i] == '\\' && i + 1 < options.len;
            buf_append_char(&word, options.ptr[i]);
            continue;
        }
        struct slice text = buf_slice(&word);
        if (text.len == 0) {
            continue;
        }
        if (slice_equal(text, SLICE("-c"))) {
            is_after_c = true;
        } else {
            size_t skip = is_after_c ? 0 : 2; /* "-c" or "--" */
            const char *equals = memchr(text.ptr, '=', text.len);
            if ((!is_after_c && !slice_starts_with(text, SLICE("-c")) &&
                 !slice_starts_with(text, SLICE("--"))) ||
                equals == NULL || (size_t)(equals - text.ptr) < skip) {
                return errinfo_set(info, ERR_INVALID, "42601",
                                   "invalid command-line argument for server process");
            }
            size_t at = (size_t)(equals - text.ptr);
            TRY(take_setting(connection, (struct slice){text.ptr + skip, at - skip},
                             (struct slice){equals + 1, text.len - at - 1}, info));
            is_after_c = false;
        }
        buf_reset(&word);
    }
    return buf_failed(&word) ? errinfo_nomem(info) : ERR_OK;
}

static enum err take_parameters(struct pg_connection *connection, struct start *start,
                                struct slice body, struct errinfo *info)
{
    struct pg_reader reader = {.rest = body};
    struct slice options = {"", 0};
    for (;;) {
        struct slice name = pg__read_text(&reader);
        if (reader.failed || name.len == 0) {
            break;
        }
        struct slice value = pg__read_text(&reader);
        if (slice_equal(name, SLICE("options"))) {
            options = value;
        } else if (!reader.failed) {
            TRY(take_parameter(connection, start, name, value, info));
        }
    }
    if (reader.failed || reader.rest.len > 0) {
        return pg__protocol_violation(info, "invalid startup packet layout: expected terminator "
                                            "as last byte");
    }
    TRY(take_options(connection, options, info));
    if (connection->user.len == 0) {
        return errinfo_set(info, ERR_DENIED, "28000",
                           "no PostgreSQL user name specified in startup packet");
    }
    return ERR_OK;
}

/* What of the wishes we do not know. */
static void negotiate(struct pg_connection *connection, const struct start *start)
{
    if (start->minor_wanted <= PROTOCOL_MINOR_MAX && start->extension_count == 0) {
        return;
    }
    size_t begun = pg__begin(&connection->out, 'v');
    pg_put32(&connection->out, PROTOCOL_MAJOR << 16 | connection->minor);
    pg_put32(&connection->out, (uint32_t)start->extension_count);
    for (size_t i = 0; i < start->extension_count; i++) {
        pg__write_text(&connection->out, start->extensions[i]);
    }
    pg__end(&connection->out, begun);
}

static enum err start_up(struct pg_connection *connection, uint32_t version, struct slice body,
                         struct errinfo *info)
{
    struct start start = {.minor_wanted = version & 0xFFFF};
    if (version >> 16 != PROTOCOL_MAJOR) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "unsupported frontend protocol %u.%u: server supports 3.0 to 3.%u",
                           version >> 16, version & 0xFFFF, PROTOCOL_MINOR_MAX);
    }
    if (connection->server->is_tls_required && !connection_is_tls(connection->wire)) {
        (void)errinfo_set(info, ERR_DENIED, "28000", "this server wants TLS");
        errinfo_hint(info, "Connect with sslmode=require or, to know the server, verify-full.");
        return ERR_DENIED;
    }
    connection->minor =
        start.minor_wanted < PROTOCOL_MINOR_MAX ? start.minor_wanted : PROTOCOL_MINOR_MAX;
    connection->arena = arena_new(NULL, "login", 4 * STARTUP_BYTES_MAX);
    if (connection->arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(take_parameters(connection, &start, body, info));
    negotiate(connection, &start);
    return pg__login_begin(connection, info);
}

static size_t cancel_request(struct pg_connection *connection, struct slice packet)
{
    if (packet.len >= 16) {
        pg__key_cancel(connection->server, pg__peek32(packet.ptr + 8),
                       (struct slice){packet.ptr + 12, packet.len - 12});
    }
    connection->phase = PHASE_ENDED; /* without a word: the answer is none of their business */
    connection_finish(connection->wire);
    return packet.len;
}

size_t pg__startup(struct pg_connection *connection, struct slice input)
{
    struct errinfo info;
    errinfo_init(&info);
    size_t len = input.len < 4 ? 0 : pg__peek32(input.ptr);
    if (input.len >= 4 && (len < 8 || len > STARTUP_BYTES_MAX)) {
        (void)pg__protocol_violation(&info, "invalid length of startup packet");
        return fail(connection, input, &info);
    }
    if (len == 0 || input.len < len) {
        return 0;
    }
    uint32_t code = pg__peek32(input.ptr + 4);
    if (code == CODE_CANCEL) {
        return cancel_request(connection, (struct slice){input.ptr, len});
    }
    if ((code == CODE_SSL || code == CODE_GSS) && len == 8) {
        return ask_encryption(connection, input, code == CODE_SSL);
    }
    if (start_up(connection, code, (struct slice){input.ptr + 8, len - 8}, &info) != ERR_OK) {
        return fail(connection, input, &info);
    }
    return len;
}
