/* Tickets: what they name, and a signature over that, the person and the kind, by a key of this
 * process. Nobody can make one, and one is worth nothing in other hands. */
#include "base/hash.h"
#include "wire/flight/flight_int.h"

bool flight__id_new(struct flight_id *ret_id)
{
    return random_bytes(ret_id->bytes, sizeof(ret_id->bytes)) == ERR_OK;
}

static void put_text(struct buf *out, struct slice text)
{
    uint64_t len = text.len;
    buf_append(out, &len, sizeof(len));
    buf_append_slice(out, text);
}

static enum err sign(const struct flight_session *session, enum flight_ticket_kind kind,
                     struct slice what, uint8_t ret_signature[SHA256_BYTES], struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct slice key = {(const char *)session->server->key, sizeof(session->server->key)};
    buf_append_char(&text, (char)kind);
    put_text(&text, identity_provider(session->who));
    put_text(&text, identity_subject(session->who));
    put_text(&text, identity_actor(session->who));
    put_text(&text, what);
    if (buf_failed(&text)) {
        return errinfo_nomem(info);
    }
    return hash_hmac_sha256(key, buf_slice(&text), ret_signature) == ERR_OK
               ? ERR_OK
               : errinfo_set(info, ERR_INTERNAL, NULL, "a ticket cannot be signed");
}

enum err flight__ticket_put(const struct flight_session *session, enum flight_ticket_kind kind,
                            struct slice what, struct buf *out, struct errinfo *info)
{
    uint8_t signature[SHA256_BYTES];
    TRY(sign(session, kind, what, signature, info));
    buf_append_char(out, (char)kind);
    buf_append(out, signature, sizeof(signature));
    buf_append_slice(out, what);
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

enum err flight__ticket_read(const struct flight_session *session, struct slice ticket,
                             enum flight_ticket_kind *ret_kind, struct slice *ret_what,
                             struct errinfo *info)
{
    uint8_t signature[SHA256_BYTES];
    if (ticket.len > SHA256_BYTES &&
        (ticket.ptr[0] == FLIGHT_TICKET_RUN || ticket.ptr[0] == FLIGHT_TICKET_COMMAND)) {
        enum flight_ticket_kind kind = (enum flight_ticket_kind)ticket.ptr[0];
        struct slice what = {ticket.ptr + 1 + SHA256_BYTES, ticket.len - 1 - SHA256_BYTES};
        TRY(sign(session, kind, what, signature, info));
        if (hash_equal(signature, ticket.ptr + 1, SHA256_BYTES)) {
            *ret_kind = kind;
            *ret_what = what;
            return ERR_OK;
        }
    }
    return errinfo_set(info, ERR_NOT_FOUND, "02000", "there is no such ticket");
}
