/* TLS over memory buffers: OpenSSL never sees the socket, so the loop alone decides what is read
 * and written when. TLS 1.2 at least; its own list of ciphers is good as it is. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/mem.h"
#include "wire/loop/loop_int.h"

#define CHUNK_BYTES 16384 /* of one record */

struct tls_context {
    atomic_uint references;
    SSL_CTX *ssl;
};

struct tls {
    SSL *ssl;
    BIO *received; /* owned by ssl */
    BIO *to_send;  /* owned by ssl */
    struct tls_context *context;
    const char *alpn;
    bool must_agree;
    unsigned char *client_der; /* OpenSSL's memory; once somebody asked */
    size_t client_der_len;
};

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *offered, unsigned offered_len, UNUSED void *context)
{
    const struct tls *tls = SSL_get_app_data(ssl);
    size_t wanted = tls->alpn == NULL ? 0 : strlen(tls->alpn);
    for (unsigned at = 0; wanted > 0 && at < offered_len; at += 1u + offered[at]) {
        unsigned len = offered[at];
        if (len == wanted && at + 1 + len <= offered_len &&
            memcmp(offered + at + 1, tls->alpn, len) == 0) {
            *out = offered + at + 1;
            *out_len = (unsigned char)len;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static enum err tls_failed(const char *what, const char *path, struct errinfo *info)
{
    char reason[160];
    unsigned long code = ERR_get_error();
    ERR_error_string_n(code, reason, sizeof(reason));
    const char *text = ERR_reason_error_string(code);
    ERR_clear_error();
    return errinfo_set(info, ERR_INVALID, "F0000", "%s \"%s\" cannot be used: %s", what, path,
                       text == NULL ? reason : text);
}

static enum err load_files(SSL_CTX *ssl, const struct loop_tls_files *files, struct errinfo *info)
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ssl, files->certificate) != 1) {
        return tls_failed("the certificate", files->certificate, info);
    }
    if (SSL_CTX_use_PrivateKey_file(ssl, files->key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ssl) != 1) {
        return tls_failed("the key", files->key, info);
    }
    if (files->client_ca == NULL) {
        return ERR_OK;
    }
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(files->client_ca);
    if (names == NULL || SSL_CTX_load_verify_locations(ssl, files->client_ca, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return tls_failed("the certificate authority", files->client_ca, info);
    }
    SSL_CTX_set_client_CA_list(ssl, names);
    int without = files->client_is_optional ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | without, NULL);
    return ERR_OK;
}

enum err tls__context_new(const struct loop_tls_files *files, struct tls_context **ret_context,
                          struct errinfo *info)
{
    struct tls_context *context = mem_calloc(1, sizeof(*context));
    SSL_CTX *ssl = SSL_CTX_new(TLS_server_method());
    if (context == NULL || ssl == NULL) {
        mem_free(context);
        SSL_CTX_free(ssl);
        return errinfo_nomem(info);
    }
    atomic_init(&context->references, 1);
    context->ssl = ssl;
    (void)SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS); /* idle connections are many */
    (void)SSL_CTX_set_num_tickets(ssl, 0);
    SSL_CTX_set_alpn_select_cb(ssl, select_alpn, NULL);
    enum err err = load_files(ssl, files, info);
    if (err != ERR_OK) {
        tls__context_unref(context);
        return err;
    }
    *ret_context = context;
    return ERR_OK;
}

struct tls_context *tls__context_ref(struct tls_context *context)
{
    atomic_fetch_add(&context->references, 1);
    return context;
}

void tls__context_unref(struct tls_context *context)
{
    if (context != NULL && atomic_fetch_sub(&context->references, 1) == 1) {
        SSL_CTX_free(context->ssl);
        mem_free(context);
    }
}

enum err tls__new(struct tls_context *context, const char *alpn, bool must_agree,
                  struct tls **ret_tls, struct errinfo *info)
{
    struct tls *tls = mem_calloc(1, sizeof(*tls));
    SSL *ssl = SSL_new(context->ssl);
    BIO *received = BIO_new(BIO_s_mem());
    BIO *to_send = BIO_new(BIO_s_mem());
    if (tls == NULL || ssl == NULL || received == NULL || to_send == NULL) {
        mem_free(tls);
        SSL_free(ssl);
        BIO_free(received);
        BIO_free(to_send);
        return errinfo_nomem(info);
    }
    *tls = (struct tls){.ssl = ssl,
                        .received = received,
                        .to_send = to_send,
                        .context = tls__context_ref(context),
                        .alpn = alpn,
                        .must_agree = must_agree};
    (void)BIO_set_mem_eof_return(received, -1); /* empty is "later", not the end */
    (void)BIO_set_mem_eof_return(to_send, -1);
    SSL_set_bio(ssl, received, to_send);
    (void)SSL_set_app_data(ssl, tls);
    SSL_set_accept_state(ssl);
    *ret_tls = tls;
    return ERR_OK;
}

void tls__free(struct tls *tls)
{
    if (tls != NULL) {
        OPENSSL_free(tls->client_der);
        SSL_free(tls->ssl);
        tls__context_unref(tls->context);
        mem_free(tls);
    }
}

/* Wire bytes that OpenSSL has ready. The memory of an empty BIO is given back: it grows only. */
static void collect(struct tls *tls, struct buf *wire)
{
    char *bytes;
    long len = BIO_get_mem_data(tls->to_send, &bytes);
    if (len > 0) {
        buf_append(wire, bytes, (size_t)len);
        (void)BIO_reset(tls->to_send);
    }
}

/* True if OpenSSL only wants more bytes. */
static bool is_patient(struct tls *tls, int result)
{
    int why = SSL_get_error(tls->ssl, result);
    ERR_clear_error();
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
}

static bool shake_hands(struct tls *tls)
{
    int result = SSL_do_handshake(tls->ssl);
    if (result != 1) {
        return is_patient(tls, result);
    }
    const unsigned char *name;
    unsigned len = 0;
    SSL_get0_alpn_selected(tls->ssl, &name, &len);
    return len > 0 || !tls->must_agree; /* else a browser could be talked into it */
}

bool tls__feed(struct tls *tls, struct slice bytes, struct buf *plain, struct buf *wire)
{
    bool goes_on = true;
    ERR_clear_error();
    while (bytes.len > 0) {
        int len = bytes.len > CHUNK_BYTES ? CHUNK_BYTES : (int)bytes.len;
        if (BIO_write(tls->received, bytes.ptr, len) != len) {
            return false;
        }
        bytes.ptr += len;
        bytes.len -= (size_t)len;
    }
    if (!SSL_is_init_finished(tls->ssl)) {
        goes_on = shake_hands(tls);
    }
    while (goes_on && SSL_is_init_finished(tls->ssl)) {
        char *room = buf_reserve(plain, CHUNK_BYTES);
        if (room == NULL) {
            goes_on = false;
            break;
        }
        int got = SSL_read(tls->ssl, room, CHUNK_BYTES);
        if (got <= 0) {
            goes_on = is_patient(tls, got);
            break;
        }
        plain->len += (size_t)got;
    }
    if (plain->len == 0) {
        buf_fini(plain);
    }
    collect(tls, wire);
    return goes_on;
}

bool tls__write(struct tls *tls, struct slice plain, struct buf *wire)
{
    ERR_clear_error();
    while (plain.len > 0) {
        int len = plain.len > CHUNK_BYTES ? CHUNK_BYTES : (int)plain.len;
        if (SSL_write(tls->ssl, plain.ptr, len) != len) {
            ERR_clear_error();
            return false;
        }
        plain.ptr += len;
        plain.len -= (size_t)len;
    }
    collect(tls, wire);
    return true;
}

void tls__finish(struct tls *tls, struct buf *wire)
{
    if (SSL_is_init_finished(tls->ssl)) {
        (void)SSL_shutdown(tls->ssl);
        collect(tls, wire);
    }
    ERR_clear_error();
}

const char *tls__alpn(struct tls *tls)
{
    const unsigned char *name;
    unsigned len = 0;
    SSL_get0_alpn_selected(tls->ssl, &name, &len);
    return len > 0 ? tls->alpn : ""; /* the one that we agree to */
}

/* RFC 5929, section 4.1: the certificate's own hash function, SHA-256 in the place of the weak. */
size_t tls__endpoint(struct tls *tls, uint8_t ret_hash[CONNECTION_ENDPOINT_BYTES_MAX])
{
    X509 *certificate = SSL_get_certificate(tls->ssl);
    int digest_nid = NID_undef;
    if (certificate == NULL) {
        return 0;
    }
    (void)X509_get_signature_info(certificate, &digest_nid, NULL, NULL, NULL);
    bool is_weak = digest_nid == NID_undef || digest_nid == NID_md5 || digest_nid == NID_sha1;
    const EVP_MD *digest = is_weak ? EVP_sha256() : EVP_get_digestbynid(digest_nid);
    unsigned len = 0;
    if (digest == NULL || EVP_MD_get_size(digest) > CONNECTION_ENDPOINT_BYTES_MAX ||
        X509_digest(certificate, digest, ret_hash, &len) != 1) {
        return 0;
    }
    return len;
}

/* What has not been verified is none: a handshake without authorities asks for no certificate. */
enum err tls__certificate(struct tls *tls, struct slice *ret_der, struct errinfo *info)
{
    X509 *certificate = SSL_is_init_finished(tls->ssl) ? SSL_get0_peer_certificate(tls->ssl) : NULL;
    bool is_verified = (SSL_get_verify_mode(tls->ssl) & SSL_VERIFY_PEER) != 0 &&
                       SSL_get_verify_result(tls->ssl) == X509_V_OK;
    *ret_der = (struct slice){"", 0};
    if (certificate == NULL || !is_verified) {
        return ERR_OK;
    }
    if (tls->client_der == NULL) {
        int len = i2d_X509(certificate, &tls->client_der);
        if (len <= 0) {
            tls->client_der = NULL;
            return errinfo_nomem(info);
        }
        tls->client_der_len = (size_t)len;
    }
    *ret_der = (struct slice){(const char *)tls->client_der, tls->client_der_len};
    return ERR_OK;
}
