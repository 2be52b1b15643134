#include "identity/identity_fixture_int.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/rsa.h>

#include "base/mem.h"

/* ---- keys and signatures ---- */

EVP_PKEY *fixture_key(const char *algorithm)
{
    const struct jose_algorithm *found = jose_algorithm(slice_of(algorithm));
    ASSERT(found != NULL);
    switch (found->family) {
    case JOSE_RSA:
    case JOSE_PSS:
        return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    case JOSE_EC:
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", found->curve);
    case JOSE_ED:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    }
    return NULL;
}

void fixture_base64(struct slice bytes, struct buf *out)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        bits = (bits << 8 | (unsigned char)bytes.ptr[i]) & 0xFFFFFFu;
        for (count += 8; count >= 6;) {
            count -= 6;
            buf_append_char(out, alphabet[bits >> count & 63u]);
        }
    }
    if (count > 0) {
        buf_append_char(out, alphabet[bits << (6 - count) & 63u]);
    }
}

static void append_number(EVP_PKEY *key, const char *parameter, const char *name, size_t bytes,
                          struct buf *out)
{
    BIGNUM *number = NULL;
    unsigned char text[1024];
    CHECK(EVP_PKEY_get_bn_param(key, parameter, &number) == 1);
    size_t len = bytes != 0 ? bytes : (size_t)BN_num_bytes(number);
    CHECK(BN_bn2binpad(number, text, (int)len) == (int)len);
    buf_printf(out, ",\"%s\":\"", name);
    fixture_base64((struct slice){(const char *)text, len}, out);
    buf_append_char(out, '"');
    BN_free(number);
}

void fixture_jwk(EVP_PKEY *key, const char *kid, const char *declared, struct buf *out)
{
    bool is_ec = EVP_PKEY_is_a(key, "EC") == 1;
    bool is_rsa = EVP_PKEY_is_a(key, "RSA") == 1;
    buf_printf(out, "{\"kty\":\"%s\",\"use\":\"sig\"", is_rsa ? "RSA" : is_ec ? "EC" : "OKP");
    if (kid != NULL) {
        buf_printf(out, ",\"kid\":\"%s\"", kid);
    }
    if (declared != NULL) {
        buf_printf(out, ",\"alg\":\"%s\"", declared);
    }
    if (is_rsa) {
        append_number(key, OSSL_PKEY_PARAM_RSA_N, "n", 0, out);
        append_number(key, OSSL_PKEY_PARAM_RSA_E, "e", 0, out);
    } else if (is_ec) {
        int bits = EVP_PKEY_get_bits(key);
        size_t bytes = (size_t)(bits + 7) / 8;
        buf_printf(out, ",\"crv\":\"P-%d\"", bits);
        append_number(key, OSSL_PKEY_PARAM_EC_PUB_X, "x", bytes, out);
        append_number(key, OSSL_PKEY_PARAM_EC_PUB_Y, "y", bytes, out);
    } else {
        unsigned char raw[64];
        size_t len = sizeof(raw);
        CHECK(EVP_PKEY_get_raw_public_key(key, raw, &len) == 1);
        buf_append_str(out, ",\"crv\":\"Ed25519\",\"x\":\"");
        fixture_base64((struct slice){(const char *)raw, len}, out);
        buf_append_char(out, '"');
    }
    buf_append_char(out, '}');
}

static size_t ecdsa_pair(const unsigned char *der, size_t der_len, size_t half, unsigned char *out)
{
    const unsigned char *at = der;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)der_len);
    CHECK(pair != NULL);
    CHECK(BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, (int)half) == (int)half);
    CHECK(BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + half, (int)half) == (int)half);
    ECDSA_SIG_free(pair);
    return 2 * half;
}

void fixture_sign(EVP_PKEY *key, const char *algorithm, const char *header, const char *claims,
                  struct buf *out)
{
    const struct jose_algorithm *found = jose_algorithm(slice_of(algorithm));
    EVP_PKEY_CTX *context = NULL;
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    unsigned char signature[1024], pair[256];
    size_t len = sizeof(signature);
    size_t start = out->len;
    fixture_base64(slice_of(header), out);
    buf_append_char(out, '.');
    fixture_base64(slice_of(claims), out);
    CHECK(EVP_DigestSignInit_ex(digest, &context, found->digest, NULL, NULL, key, NULL) == 1);
    if (found->family == JOSE_PSS) {
        CHECK(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1);
        CHECK(EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1);
    }
    CHECK(EVP_DigestSign(digest, signature, &len, (unsigned char *)out->ptr + start,
                         out->len - start) == 1);
    EVP_MD_CTX_free(digest);
    struct slice bytes = {(const char *)signature, len};
    if (found->family == JOSE_EC) {
        size_t half = (size_t)(EVP_PKEY_get_bits(key) + 7) / 8;
        bytes = (struct slice){(const char *)pair, ecdsa_pair(signature, len, half, pair)};
    }
    buf_append_char(out, '.');
    fixture_base64(bytes, out);
}

/* ---- the server ---- */

#define ANSWERS_MAX 16

struct web_server {
    int listener;
    pthread_t thread;
    pthread_mutex_t lock;
    atomic_bool is_closing;
    struct web_answer answers[ANSWERS_MAX];
    size_t count;
};

struct web_answer *web_answer(struct web_server *web, const char *path)
{
    for (size_t i = 0; i < web->count; i++) {
        if (strcmp(web->answers[i].path, path) == 0) {
            return &web->answers[i];
        }
    }
    ASSERT(web->count < ANSWERS_MAX);
    web->answers[web->count].path = path;
    return &web->answers[web->count++];
}

void web_set(struct web_server *web, const char *path, int status, const char *body)
{
    pthread_mutex_lock(&web->lock);
    struct web_answer *answer = web_answer(web, path);
    mem_free(answer->body);
    answer->status = status;
    answer->body = mem_strdup(body);
    pthread_mutex_unlock(&web->lock);
}

unsigned web_count(struct web_server *web, const char *path)
{
    pthread_mutex_lock(&web->lock);
    unsigned count = web_answer(web, path)->count;
    pthread_mutex_unlock(&web->lock);
    return count;
}

static bool is_whole(const char *request, size_t len)
{
    const char *end = strstr(request, "\r\n\r\n");
    const char *length = strcasestr(request, "content-length:");
    if (end == NULL) {
        return false;
    }
    long body = length == NULL || length > end ? 0 : strtol(length + 15, NULL, 10);
    return len >= (size_t)(end + 4 - request) + (size_t)body;
}

static void make_response(struct web_server *web, const char *request, struct buf *out,
                          int64_t *ret_delay_ms)
{
    struct web_answer *found = NULL;
    const char *path = strchr(request, ' ');
    pthread_mutex_lock(&web->lock);
    for (size_t i = 0; i < web->count && path != NULL; i++) {
        if (strncmp(path + 1, web->answers[i].path, strlen(web->answers[i].path)) == 0) {
            found = &web->answers[i];
        }
    }
    const char *body = found == NULL || found->body == NULL ? "" : found->body;
    size_t pad = found == NULL ? 0 : found->pad_bytes;
    buf_printf(out, "HTTP/1.1 %d x\r\nContent-Type: application/json\r\nConnection: close\r\n",
               found == NULL ? 404 : found->status);
    if (found != NULL && found->location != NULL) {
        buf_printf(out, "Location: %s\r\n", found->location);
    }
    buf_printf(out, "Content-Length: %zu\r\n\r\n%s", strlen(body) + pad, body);
    for (size_t i = 0; i < pad; i++) {
        buf_append_char(out, ' ');
    }
    if (found != NULL) {
        found->count++;
        *ret_delay_ms = found->delay_ms;
        (void)snprintf(found->request, sizeof(found->request), "%s", request);
    }
    pthread_mutex_unlock(&web->lock);
}

static void serve(struct web_server *web, int fd)
{
    char request[8192];
    size_t len = 0;
    struct buf out CLEANUP(buf_fini) = {0};
    int64_t delay_ms = 0;
    request[0] = '\0';
    while (len + 1 < sizeof(request) && !is_whole(request, len)) {
        ssize_t got = read(fd, request + len, sizeof(request) - 1 - len);
        if (got <= 0) {
            return;
        }
        len += (size_t)got;
        request[len] = '\0';
    }
    make_response(web, request, &out, &delay_ms);
    struct timespec pause = {delay_ms / 1000, delay_ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
    for (size_t at = 0; at < out.len;) {
        ssize_t sent = send(fd, out.ptr + at, out.len - at, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        at += (size_t)sent;
    }
}

static void *run_server(void *context)
{
    struct web_server *web = context;
    while (!atomic_load(&web->is_closing)) {
        int fd = accept(web->listener, NULL, NULL);
        if (fd >= 0) {
            if (!atomic_load(&web->is_closing)) {
                serve(web, fd);
            }
            close(fd);
        }
    }
    return NULL;
}

struct web_server *web_open(char ret_url[64])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    struct web_server *web = mem_calloc(1, sizeof(*web));
    web->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(bind(web->listener, (struct sockaddr *)&address, sizeof(address)) == 0);
    CHECK(listen(web->listener, 64) == 0);
    CHECK(getsockname(web->listener, (struct sockaddr *)&address, &len) == 0);
    pthread_mutex_init(&web->lock, NULL);
    (void)snprintf(ret_url, 64, "http://127.0.0.1:%u", ntohs(address.sin_port));
    CHECK(pthread_create(&web->thread, NULL, run_server, web) == 0);
    return web;
}

void web_close(struct web_server *web)
{
    atomic_store(&web->is_closing, true);
    shutdown(web->listener, SHUT_RDWR);
    CHECK(pthread_join(web->thread, NULL) == 0);
    close(web->listener);
    for (size_t i = 0; i < web->count; i++) {
        mem_free(web->answers[i].body);
    }
    pthread_mutex_destroy(&web->lock);
    mem_free(web);
}
