/* Who calls: what a call carries goes to the providers as it is, but for the tokens that Handshake
 * gave out, which name a session here. A sign-in with a credential of the person's own is kept with
 * the connection, for calls that carry the same. */
#include <openssl/evp.h>

#include "base/hash.h"
#include "base/mem.h"
#include "identity/provider.h"
#include "query/login.h"
#include "wire/flight/flight_int.h"

#define SECRET_BYTES_MAX 40960u
#define VISITORS_MAX 16u /* of one connection: a proxy's may carry several people */
#define TOKEN_MARK "moat_session_"
#define TOKEN_RANDOM_BYTES 32u

struct visitor {
    struct secret shown; /* the credential as it came */
    struct flight_session *session;
};

struct visitors {
    struct visitor list[VISITORS_MAX];
    size_t next; /* the one that gives way */
};

static void visitor_fini(struct visitor *visitor)
{
    secret_fini(&visitor->shown);
    if (visitor->session != NULL) {
        flight__session_end(visitor->session);
        flight__session_unref(visitor->session);
    }
    *visitor = (struct visitor){0};
}

void flight__visitor_close(void *state)
{
    struct visitors *visitors = state;
    for (size_t i = 0; i < VISITORS_MAX; i++) {
        visitor_fini(&visitors->list[i]);
    }
    mem_free(visitors);
}

static bool is_private(const struct flight_server *server, const struct connection *connection)
{
    struct slice address = connection_address(connection);
    bool is_loopback =
        slice_starts_with(address, SLICE("127.")) || slice_equal(address, SLICE("::1"));
    return connection_is_tls(connection) ||
           (is_loopback && config_bool(server->config, CONFIG_LOGIN_INSECURE_LOOPBACK));
}

/* "user:password" of RFC 7617 into `ret_plain`, which is the caller's to wipe. */
static bool read_basic(struct slice text, struct secret *ret_plain, struct credential *credential)
{
    struct secret padded CLEANUP(secret_fini) = {0};
    size_t len = (text.len + 3) / 4 * 4; /* some clients leave the padding out */
    if (text.len == 0 || !secret_new(len, &padded) || !secret_new(len, ret_plain)) {
        return false;
    }
    memset(padded.ptr, '=', len);
    memcpy(padded.ptr, text.ptr, text.len);
    int decoded = EVP_DecodeBlock((unsigned char *)ret_plain->ptr,
                                  (const unsigned char *)padded.ptr, (int)len);
    size_t padding = (size_t)(padded.ptr[len - 1] == '=') + (padded.ptr[len - 2] == '=');
    struct slice plain = {ret_plain->ptr, decoded < (int)padding ? 0 : (size_t)decoded - padding};
    const char *colon = plain.len == 0 ? NULL : memchr(plain.ptr, ':', plain.len);
    if (colon == NULL || memchr(plain.ptr, '\0', plain.len) != NULL) {
        return false;
    }
    credential->kind = CREDENTIAL_PASSWORD;
    credential->user = (struct slice){plain.ptr, (size_t)(colon - plain.ptr)};
    credential->secret = (struct slice){colon + 1, plain.len - credential->user.len - 1};
    return true;
}

static bool split_scheme(struct slice shown, struct slice *ret_scheme, struct slice *ret_rest)
{
    const char *space = shown.len == 0 ? NULL : memchr(shown.ptr, ' ', shown.len);
    if (space == NULL || shown.len > SECRET_BYTES_MAX) {
        return false;
    }
    *ret_scheme = (struct slice){shown.ptr, (size_t)(space - shown.ptr)};
    *ret_rest = slice_trim((struct slice){space, shown.len - ret_scheme->len});
    return ret_rest->len > 0;
}

static enum err no_credential(struct errinfo *info)
{
    (void)errinfo_set(info, ERR_DENIED, "28000", "this needs a sign-in");
    errinfo_hint(info, "Call Handshake with a password, or send authorization: Bearer with a "
                       "token or an API key.");
    return ERR_DENIED;
}

static struct slice application_of(const struct grpc_call *grpc)
{
    struct slice agent = {"", 0};
    (void)grpc_field(grpc, SLICE("user-agent"), &agent);
    return (struct slice){agent.ptr, agent.len < 128 ? agent.len : 128};
}

static enum err log_in(struct flight_call *call, struct credential *credential,
                       struct identity **ret_who)
{
    struct connection *wire = grpc_connection(call->grpc);
    char *client = arena_printf(call->arena, "%s flight %.*s", connection_peer(wire),
                                SLICE_ARGS(application_of(call->grpc)));
    if (client == NULL) {
        return errinfo_nomem(&call->info);
    }
    credential->address = connection_address(wire);
    return warehouse_login_credential(call->server->warehouse, credential,
                                      slice_trim(slice_of(client)), ret_who, &call->info);
}

static enum err check_private(struct flight_call *call)
{
    if (is_private(call->server, grpc_connection(call->grpc))) {
        return ERR_OK;
    }
    (void)errinfo_set(&call->info, ERR_DENIED, "28000",
                      "passwords and tokens are not taken in the clear");
    errinfo_hint(&call->info, "Ask grpc+tls://, or on one machine set login.insecure_loopback.");
    return ERR_DENIED;
}

/* ---- tokens that Handshake gave out ---- */

static enum err hash_token(struct slice token, uint8_t ret_hash[SHA256_BYTES], struct errinfo *info)
{
    return hash_sha256(token, ret_hash) == ERR_OK
               ? ERR_OK
               : errinfo_set(info, ERR_INTERNAL, NULL, "a token cannot be hashed");
}

static enum err find_session(struct flight_call *call, struct slice token)
{
    uint8_t hash[SHA256_BYTES];
    TRY(hash_token(token, hash, &call->info));
    call->session = flight__session_by_token(call->server, hash);
    if (call->session != NULL) {
        return ERR_OK;
    }
    (void)errinfo_set(&call->info, ERR_DENIED, "28000", "the session is over");
    errinfo_hint(&call->info, "Call Handshake for another one.");
    return ERR_DENIED;
}

static enum err new_session(struct flight_call *call, struct identity *who,
                            const uint8_t *token_hash, struct flight_session **ret_session)
{
    struct connection *wire = grpc_connection(call->grpc);
    return flight__session_new(call->server, who, slice_of(connection_peer(wire)),
                               application_of(call->grpc), token_hash, ret_session, &call->info);
}

/* ---- sign-ins that a connection keeps ---- */

static struct visitors *visitors_of(struct grpc_call *grpc)
{
    struct visitors *visitors = grpc_state(grpc);
    if (visitors == NULL) {
        visitors = mem_calloc(1, sizeof(*visitors));
        if (visitors != NULL) {
            grpc_set_state(grpc, visitors);
        }
    }
    return visitors;
}

static struct flight_session *find_visitor(struct grpc_call *grpc, struct slice shown)
{
    struct flight_session *found = NULL;
    grpc_state_lock(grpc);
    struct visitors *visitors = visitors_of(grpc);
    for (size_t i = 0; visitors != NULL && i < VISITORS_MAX && found == NULL; i++) {
        struct visitor *visitor = &visitors->list[i];
        struct slice kept = secret_slice(&visitor->shown);
        if (visitor->session != NULL && kept.len == shown.len &&
            hash_equal(kept.ptr, shown.ptr, shown.len)) {
            pthread_mutex_lock(&visitor->session->lock);
            bool is_over = visitor->session->is_over;
            pthread_mutex_unlock(&visitor->session->lock);
            if (is_over) {
                visitor_fini(visitor);
            } else {
                found = visitor->session;
                flight__session_ref(found);
            }
        }
    }
    grpc_state_unlock(grpc);
    return found;
}

static enum err keep_visitor(struct flight_call *call, struct slice shown,
                             struct flight_session *session)
{
    struct secret copy = {0};
    if (!secret_copy(shown, &copy)) {
        return errinfo_nomem(&call->info);
    }
    struct visitor old = {0};
    grpc_state_lock(call->grpc);
    struct visitors *visitors = visitors_of(call->grpc);
    if (visitors != NULL) {
        struct visitor *visitor = &visitors->list[visitors->next++ % VISITORS_MAX];
        old = *visitor;
        *visitor = (struct visitor){copy, session};
        flight__session_ref(session);
    }
    grpc_state_unlock(call->grpc);
    visitor_fini(&old);
    if (visitors == NULL) {
        secret_fini(&copy);
        return errinfo_nomem(&call->info);
    }
    return ERR_OK;
}

static enum err sign_in_shown(struct flight_call *call, struct slice shown,
                              struct credential *credential)
{
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    TRY(log_in(call, credential, &who));
    struct flight_session *session;
    TRY(new_session(call, who, NULL, &session));
    enum err err = keep_visitor(call, shown, session);
    if (err != ERR_OK) {
        flight__session_end(session);
        flight__session_unref(session);
        return err;
    }
    call->session = session;
    return ERR_OK;
}

/* The token that clients of a Handshake with a payload send with each call, as a header of bytes;
 * as if it had come as Bearer. */
static bool read_token_field(const struct grpc_call *grpc, struct secret *ret_header)
{
    struct slice text;
    struct secret padded CLEANUP(secret_fini) = {0};
    struct secret plain CLEANUP(secret_fini) = {0};
    if (!grpc_field(grpc, SLICE("auth-token-bin"), &text)) {
        return false;
    }
    while (text.len > 0 && text.ptr[text.len - 1] == '=') {
        text.len--;
    }
    size_t len = (text.len + 3) / 4 * 4;
    if (text.len == 0 || text.len > SECRET_BYTES_MAX || !secret_new(len, &padded) ||
        !secret_new(len, &plain)) {
        return false;
    }
    memset(padded.ptr, '=', len);
    memcpy(padded.ptr, text.ptr, text.len);
    int decoded =
        EVP_DecodeBlock((unsigned char *)plain.ptr, (const unsigned char *)padded.ptr, (int)len);
    if (decoded < (int)(len - text.len)) {
        return false;
    }
    struct slice parts[] = {SLICE("Bearer "), {plain.ptr, (size_t)decoded - (len - text.len)}};
    return secret_join(parts, ARRAY_COUNT(parts), ret_header);
}

static bool find_shown(const struct grpc_call *grpc, struct secret *header, struct slice *ret_shown)
{
    if (grpc_field(grpc, SLICE("authorization"), ret_shown)) {
        return true;
    }
    bool has = read_token_field(grpc, header);
    *ret_shown = has ? secret_slice(header) : SLICE("");
    return has;
}

static enum err sign_in(struct flight_call *call)
{
    struct slice shown = {"", 0}, scheme, rest;
    struct secret plain CLEANUP(secret_fini) = {0};
    struct secret header CLEANUP(secret_fini) = {0};
    struct credential credential = {0};
    if (!find_shown(call->grpc, &header, &shown)) {
        TRY(connection_certificate(grpc_connection(call->grpc), &credential.certificate,
                                   &call->info));
        if (credential.certificate.len == 0) {
            return no_credential(&call->info);
        }
        credential.kind = CREDENTIAL_CERTIFICATE;
    } else {
        TRY(check_private(call));
        if (!split_scheme(shown, &scheme, &rest)) {
            return no_credential(&call->info);
        }
        bool is_bearer = slice_equal_fold(scheme, SLICE("bearer"));
        if (is_bearer && slice_starts_with(rest, SLICE(TOKEN_MARK))) {
            return find_session(call, rest);
        }
        if (!is_bearer &&
            !(slice_equal_fold(scheme, SLICE("basic")) && read_basic(rest, &plain, &credential))) {
            return no_credential(&call->info);
        }
        if (is_bearer) {
            credential.kind = CREDENTIAL_TOKEN;
            credential.secret = rest;
        }
    }
    call->session = find_visitor(call->grpc, shown);
    return call->session != NULL ? ERR_OK : sign_in_shown(call, shown, &credential);
}

enum err flight__sign_in(struct flight_call *call)
{
    TRY(sign_in(call));
    grpc_signed_in(call->grpc);
    return ERR_OK;
}

/* ---- Handshake ---- */

/* A new session's token into the answer's head, and as the payload of its one message. */
static enum err give_token(struct flight_call *call, struct identity *who)
{
    uint8_t random[TOKEN_RANDOM_BYTES], hash[SHA256_BYTES];
    char hex[2 * TOKEN_RANDOM_BYTES + 1];
    if (random_bytes(random, sizeof(random)) != ERR_OK) {
        return errinfo_set(&call->info, ERR_INTERNAL, NULL, "there is no randomness");
    }
    hash_hex(random, sizeof(random), hex);
    struct slice parts[] = {SLICE("Bearer "), SLICE(TOKEN_MARK), slice_of(hex)};
    struct secret header CLEANUP(secret_fini) = {0};
    struct buf message CLEANUP(buf_fini) = {0};
    enum err err =
        secret_join(parts, ARRAY_COUNT(parts), &header) ? ERR_OK : errinfo_nomem(&call->info);
    struct slice token = {header.ptr + parts[0].len, header.len - parts[0].len};
    err = err != ERR_OK ? err : hash_token(token, hash, &call->info);
    err = err != ERR_OK ? err : new_session(call, who, hash, &call->session);
    if (err == ERR_OK) {
        grpc_header(call->grpc, "authorization", secret_slice(&header));
        grpc_begin_message(&message);
        proto_put_bytes(&message, 2, token);
        err = grpc_write(call->grpc, &message, &call->info);
    }
    mem_wipe(random, sizeof(random));
    mem_wipe(hex, sizeof(hex));
    return err;
}

/* The first message of clients that send a password there: BasicAuth in a HandshakeRequest. */
static enum err read_payload(struct flight_call *call, struct buf *message,
                             struct credential *credential)
{
    struct slice payload = {"", 0};
    bool is_end;
    TRY(grpc_read(call->grpc, message, &is_end, &call->info));
    struct proto_want outer[] = {{2, &payload, NULL, NULL}};
    struct proto_want inner[] = {{2, &credential->user, NULL, NULL},
                                 {3, &credential->secret, NULL, NULL}};
    credential->kind = CREDENTIAL_PASSWORD;
    if (is_end || !proto_read(buf_slice(message), outer, ARRAY_COUNT(outer)) ||
        !proto_read(payload, inner, ARRAY_COUNT(inner)) || credential->user.len == 0) {
        return no_credential(&call->info);
    }
    return ERR_OK;
}

static enum err shake_hands(struct flight_call *call)
{
    struct slice shown, scheme, rest;
    struct secret plain CLEANUP(secret_fini) = {0};
    struct buf message CLEANUP(buf_fini) = {0};
    struct credential credential = {0};
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    TRY(check_private(call));
    enum err err = ERR_OK;
    if (!grpc_field(call->grpc, SLICE("authorization"), &shown)) {
        err = read_payload(call, &message, &credential);
    } else if (!split_scheme(shown, &scheme, &rest)) {
        err = no_credential(&call->info);
    } else if (slice_equal_fold(scheme, SLICE("bearer"))) {
        credential.kind = CREDENTIAL_TOKEN;
        credential.secret = rest;
    } else if (!slice_equal_fold(scheme, SLICE("basic")) ||
               !read_basic(rest, &plain, &credential)) {
        err = no_credential(&call->info);
    }
    err = err != ERR_OK ? err : log_in(call, &credential, &who);
    if (message.ptr != NULL) {
        mem_wipe(message.ptr, message.len);
    }
    TRY(err);
    TRY(give_token(call, who));
    grpc_signed_in(call->grpc);
    return ERR_OK;
}

void flight__handshake(void *context, struct grpc_call *grpc)
{
    struct flight_call call = {.server = context, .grpc = grpc};
    errinfo_init(&call.info);
    call.arena = arena_new(NULL, "flight handshake", 0);
    enum err err = call.arena == NULL ? errinfo_nomem(&call.info) : shake_hands(&call);
    flight__finish(&call, err);
    flight__end(&call);
}
