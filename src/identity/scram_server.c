#include "identity/scram.h"

#include "base/hash.h"
#include "base/mem.h"
#include "identity/identity_int.h"

#define NONCE_BYTES 18u
#define MESSAGE_BYTES_MAX 2048u
#define BINDING_NAME "p=tls-server-end-point"

struct scram_server {
    struct scram_verifier verifier;
    bool is_mock;
    bool is_plus;
    bool has_failed; /* a message was wrong: nothing more can be right */
    struct buf endpoint;
    struct buf header; /* GS2 header of client-first: what channel binding repeats */
    struct buf nonce;
    struct buf messages; /* client-first-bare "," server-first: most of AuthMessage */
};

enum err scram_server_new(const struct scram_server_spec *spec, struct scram_server **ret_server,
                          struct errinfo *info)
{
    struct scram_server *server CLEANUP(scram_server_cleanup) = mem_calloc(1, sizeof(*server));
    if (server == NULL) {
        return errinfo_nomem(info);
    }
    server->is_mock = spec->is_mock;
    server->is_plus = spec->is_plus;
    buf_append_slice(&server->endpoint, spec->endpoint);
    if (buf_failed(&server->endpoint)) {
        return errinfo_nomem(info);
    }
    if (!scram__parse(spec->verifier, &server->verifier)) {
        return errinfo_set(info, ERR_CORRUPT, NULL, "a stored password cannot be read");
    }
    *ret_server = TAKE(server);
    return ERR_OK;
}

void scram_server_free(struct scram_server *server)
{
    if (server != NULL) {
        buf_fini(&server->endpoint);
        buf_fini(&server->header);
        buf_fini(&server->nonce);
        buf_fini(&server->messages);
        mem_wipe(server, sizeof(*server));
        mem_free(server);
    }
}

static enum err malformed(struct errinfo *info)
{
    return errinfo_set(info, ERR_INVALID, "08P01", "malformed SCRAM message");
}

/* "x=..." up to the next comma, or the end. */
static bool take_attribute(struct slice *rest, char name, struct slice *ret_value)
{
    if (rest->len < 2 || rest->ptr[0] != name || rest->ptr[1] != '=') {
        return false;
    }
    const char *comma = memchr(rest->ptr, ',', rest->len);
    size_t len = comma == NULL ? rest->len : (size_t)(comma - rest->ptr);
    *ret_value = (struct slice){rest->ptr + 2, len - 2};
    size_t skip = comma == NULL ? len : len + 1;
    *rest = (struct slice){rest->ptr + skip, rest->len - skip};
    return true;
}

static bool is_printable(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < 0x21 || text.ptr[i] > 0x7E || text.ptr[i] == ',') {
            return false;
        }
    }
    return text.len > 0;
}

/* Is the channel bound as the mechanism says? */
static enum err check_flag(const struct scram_server *server, struct slice flag,
                           struct errinfo *info)
{
    if (slice_equal(flag, SLICE(BINDING_NAME))) {
        return server->is_plus ? ERR_OK : malformed(info);
    }
    if (flag.len >= 2 && flag.ptr[0] == 'p') {
        return errinfo_set(info, ERR_INVALID, "08P01", "unsupported SCRAM channel-binding type");
    }
    if (server->is_plus || flag.len != 1 || (flag.ptr[0] != 'n' && flag.ptr[0] != 'y')) {
        return malformed(info);
    }
    if (flag.ptr[0] == 'y' && server->endpoint.len > 0) {
        /* It could, and was told that we cannot: somebody stands between. */
        return errinfo_set(info, ERR_DENIED, "28000", "SCRAM channel binding negotiation error");
    }
    return ERR_OK;
}

static enum err make_challenge(struct scram_server *server, struct slice client_nonce,
                               struct buf *challenge, struct errinfo *info)
{
    uint8_t random[NONCE_BYTES];
    char random_text[BASE64_BYTES(NONCE_BYTES) + 1];
    char salt[BASE64_BYTES(SCRAM_SALT_BYTES_MAX) + 1];
    if (random_bytes(random, sizeof(random)) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "there are no random numbers");
    }
    scram__encode(random, sizeof(random), random_text);
    scram__encode(server->verifier.salt, server->verifier.salt_bytes, salt);
    buf_append_slice(&server->nonce, client_nonce);
    buf_append_str(&server->nonce, random_text);
    size_t start = challenge->len;
    buf_append_str(challenge, "r=");
    buf_append_slice(challenge, buf_slice(&server->nonce));
    buf_printf(challenge, ",s=%s,i=%u", salt, server->verifier.iterations);
    if (buf_failed(challenge)) {
        return errinfo_nomem(info);
    }
    buf_append_char(&server->messages, ',');
    buf_append(&server->messages, challenge->ptr + start, challenge->len - start);
    bool failed =
        buf_failed(&server->nonce) || buf_failed(&server->messages) || buf_failed(&server->header);
    return failed ? errinfo_nomem(info) : ERR_OK;
}

enum err scram_server_first(struct scram_server *server, struct slice client_first,
                            struct buf *ret_challenge, struct errinfo *info)
{
    ASSERT(server->messages.len == 0);
    struct slice rest = client_first;
    struct slice flag, authzid, name, nonce;
    server->has_failed = true; /* until it has not */
    if (client_first.len > MESSAGE_BYTES_MAX || !scram__take_until(&rest, ',', &flag) ||
        !scram__take_until(&rest, ',', &authzid)) {
        return malformed(info);
    }
    TRY(check_flag(server, flag, info));
    if (authzid.len > 0) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "SCRAM with an authorization identity is not supported");
    }
    struct slice bare = rest;
    /* The name is the start packet's; what stands here is not looked at, as in PostgreSQL. */
    if (!take_attribute(&rest, 'n', &name) || !take_attribute(&rest, 'r', &nonce) ||
        !is_printable(nonce)) {
        return malformed(info);
    }
    buf_append(&server->header, client_first.ptr, client_first.len - bare.len);
    buf_append_slice(&server->messages, bare);
    TRY(make_challenge(server, nonce, ret_challenge, info));
    server->has_failed = false;
    return ERR_OK;
}

/* Does "c=" hold the header, and the certificate's hash where it must? */
static bool binds_channel(const struct scram_server *server, struct slice binding)
{
    uint8_t got[SCRAM_DECODED_BYTES_MAX];
    size_t len;
    size_t header = server->header.len;
    size_t endpoint = server->is_plus ? server->endpoint.len : 0;
    return header + endpoint <= sizeof(got) &&
           scram__decode(binding, header + endpoint, got, &len) && len == header + endpoint &&
           hash_equal(got, server->header.ptr, header) &&
           (endpoint == 0 || hash_equal(got + header, server->endpoint.ptr, endpoint));
}

static bool is_proof(const struct scram_server *server, struct slice auth_message,
                     const uint8_t proof[SHA256_BYTES])
{
    uint8_t signature[SHA256_BYTES];
    uint8_t client_key[SHA256_BYTES];
    uint8_t stored[SHA256_BYTES];
    struct slice key = {(const char *)server->verifier.stored_key, SHA256_BYTES};
    if (hash_hmac_sha256(key, auth_message, signature) != ERR_OK) {
        return false;
    }
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        client_key[i] = proof[i] ^ signature[i];
    }
    bool is_hashed =
        hash_sha256((struct slice){(const char *)client_key, SHA256_BYTES}, stored) == ERR_OK;
    bool is_equal = hash_equal(stored, server->verifier.stored_key, SHA256_BYTES);
    mem_wipe(client_key, sizeof(client_key));
    return is_hashed & is_equal & !server->is_mock;
}

enum err scram_server_final(struct scram_server *server, struct slice client_final,
                            struct buf *ret_proof, bool *ret_is_right, struct errinfo *info)
{
    struct slice rest = client_final;
    struct slice binding, nonce, proof_text;
    uint8_t proof[SHA256_BYTES];
    size_t proof_len = 0;
    if (server->has_failed || client_final.len > MESSAGE_BYTES_MAX ||
        !take_attribute(&rest, 'c', &binding) || !take_attribute(&rest, 'r', &nonce)) {
        return malformed(info);
    }
    server->has_failed = true; /* one try */
    for (struct slice ignored; rest.len > 1 && rest.ptr[0] != 'p';) {
        if (!take_attribute(&rest, rest.ptr[0], &ignored)) {
            return malformed(info);
        }
    }
    size_t without_proof = client_final.len - rest.len - 1;
    if (!take_attribute(&rest, 'p', &proof_text) || rest.len > 0 ||
        !scram__decode(proof_text, sizeof(proof), proof, &proof_len) ||
        proof_len != sizeof(proof) || !binds_channel(server, binding) ||
        !slice_equal(nonce, buf_slice(&server->nonce))) {
        return malformed(info);
    }
    buf_append_char(&server->messages, ',');
    buf_append(&server->messages, client_final.ptr, without_proof);
    if (buf_failed(&server->messages)) {
        return errinfo_nomem(info);
    }
    struct slice auth_message = buf_slice(&server->messages);
    struct slice server_key = {(const char *)server->verifier.server_key, SHA256_BYTES};
    uint8_t signature[SHA256_BYTES];
    char signature_text[BASE64_BYTES(SHA256_BYTES) + 1];
    bool is_right = is_proof(server, auth_message, proof);
    if (hash_hmac_sha256(server_key, auth_message, signature) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "the password cannot be checked");
    }
    scram__encode(signature, sizeof(signature), signature_text);
    if (is_right) {
        buf_printf(ret_proof, "v=%s", signature_text);
    }
    *ret_is_right = is_right;
    return buf_failed(ret_proof) ? errinfo_nomem(info) : ERR_OK;
}
