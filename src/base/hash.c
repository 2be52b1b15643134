#include "base/hash.h"

#include <pthread.h>
#include <stdatomic.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/digits.h"
#include "base/mem.h"

static EVP_MD *sha256_md;
static pthread_key_t sha256_key;
static bool has_sha256_key;

static void free_context(void *context)
{
    EVP_MD_CTX_free(context);
}

/* EVP_sha256() is looked up anew, under locks, in each digest. */
static void fetch_sha256(void)
{
    sha256_md = EVP_MD_fetch(NULL, "SHA256", NULL);
    has_sha256_key = pthread_key_create(&sha256_key, free_context) == 0;
}

/* The calling thread's, used again and again: making one costs as much as hashing a short text. */
static EVP_MD_CTX *sha256_context(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, fetch_sha256);
    if (sha256_md == NULL || !has_sha256_key) {
        return NULL;
    }
    EVP_MD_CTX *ctx = pthread_getspecific(sha256_key);
    if (ctx == NULL) {
        ctx = EVP_MD_CTX_new();
        if (ctx != NULL && pthread_setspecific(sha256_key, ctx) != 0) {
            EVP_MD_CTX_free(ctx);
            ctx = NULL;
        }
    }
    return ctx;
}

enum err hash_sha256_parts(const struct slice *parts, size_t part_count,
                           uint8_t ret_digest[SHA256_BYTES])
{
    EVP_MD_CTX *ctx = sha256_context();
    if (ctx == NULL) {
        return ERR_NOMEM;
    }
    int good = EVP_DigestInit_ex(ctx, sha256_md, NULL);
    for (size_t i = 0; good == 1 && i < part_count; i++) {
        good = EVP_DigestUpdate(ctx, parts[i].ptr, parts[i].len);
    }
    unsigned len = 0;
    good = good == 1 && EVP_DigestFinal_ex(ctx, ret_digest, &len) == 1 && len == SHA256_BYTES;
    return good ? ERR_OK : ERR_INTERNAL;
}

enum err hash_sha256(struct slice data, uint8_t ret_digest[SHA256_BYTES])
{
    return hash_sha256_parts(&data, 1, ret_digest);
}

enum err hash_hmac_sha256(struct slice key, struct slice data, uint8_t ret_digest[SHA256_BYTES])
{
    unsigned len = 0;
    if (key.len > INT32_MAX || HMAC(EVP_sha256(), key.len == 0 ? "" : key.ptr, (int)key.len,
                                    (const unsigned char *)(data.len == 0 ? "" : data.ptr),
                                    data.len, ret_digest, &len) == NULL) {
        return ERR_INTERNAL;
    }
    return len == SHA256_BYTES ? ERR_OK : ERR_INTERNAL;
}

enum err hash_pbkdf2_sha256(struct slice password, struct slice salt, uint32_t iterations,
                            uint8_t ret_key[SHA256_BYTES])
{
    if (password.len > INT32_MAX || salt.len > INT32_MAX || iterations > INT32_MAX) {
        return ERR_INVALID;
    }
    int good = PKCS5_PBKDF2_HMAC(password.len == 0 ? "" : password.ptr, (int)password.len,
                                 (const unsigned char *)salt.ptr, (int)salt.len, (int)iterations,
                                 EVP_sha256(), SHA256_BYTES, ret_key);
    return good == 1 ? ERR_OK : ERR_INTERNAL;
}

uint64_t hash_xx64(struct slice data, uint64_t seed)
{
    return XXH3_64bits_withSeed(data.len == 0 ? "" : data.ptr, data.len, seed);
}

void hash_hex(const uint8_t *bytes, size_t len, char *ret_text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        ret_text[2 * i] = digits[bytes[i] >> 4];
        ret_text[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret_text[2 * len] = '\0';
}

bool hash_unhex(struct slice text, uint8_t *ret_bytes)
{
    if (text.len % 2 != 0) {
        return false;
    }
    for (size_t i = 0; i < text.len; i += 2) {
        int high = digits_hex(text.ptr[i]);
        int low = digits_hex(text.ptr[i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        ret_bytes[i / 2] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool hash_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

enum err random_bytes(void *ret_bytes, size_t len)
{
    if (len > INT32_MAX || RAND_bytes(ret_bytes, (int)len) != 1) {
        return ERR_INTERNAL;
    }
    return ERR_OK;
}

static atomic_uint fork_count; /* that led to this process */
static pthread_once_t forks_once = PTHREAD_ONCE_INIT;

static void count_fork(void)
{
    atomic_fetch_add(&fork_count, 1);
}

static void watch_forks(void)
{
    int failed = pthread_atfork(NULL, NULL, count_fork);
    ASSERT(failed == 0);
}

/* Each statement has an id, and asking for 16 random bytes costs as much as for 512. Used once each
 * and wiped; a child of fork has a copy, which it must not use. */
static enum err take_random(uint8_t ret_bytes[16])
{
    static _Thread_local struct {
        uint8_t bytes[2048];
        size_t left;
        unsigned forks;
    } pool;
    (void)pthread_once(&forks_once, watch_forks);
    unsigned forks = atomic_load_explicit(&fork_count, memory_order_relaxed);
    if (pool.left < 16 || pool.forks != forks) {
        pool.left = 0;
        TRY(random_bytes(pool.bytes, sizeof(pool.bytes)));
        pool.left = sizeof(pool.bytes);
        pool.forks = forks;
    }
    pool.left -= 16;
    memcpy(ret_bytes, pool.bytes + pool.left, 16);
    mem_wipe(pool.bytes + pool.left, 16);
    return ERR_OK;
}

enum err uuid_new(char ret_text[UUID_TEXT_BYTES])
{
    uint8_t bytes[16];
    TRY(take_random(bytes));
    uint64_t millis = (uint64_t)(clock_wall_us() / 1000);
    for (int i = 0; i < 6; i++) {
        bytes[i] = (uint8_t)(millis >> (40 - 8 * i));
    }
    bytes[6] = (uint8_t)((bytes[6] & 0x0F) | 0x70);
    bytes[8] = (uint8_t)((bytes[8] & 0x3F) | 0x80);
    char hex[33];
    hash_hex(bytes, sizeof(bytes), hex);
    size_t at = 0;
    for (size_t i = 0; i < 32; i++) { /* 8-4-4-4-12 */
        if (i == 8 || i == 12 || i == 16 || i == 20) {
            ret_text[at++] = '-';
        }
        ret_text[at++] = hex[i];
    }
    ret_text[at] = '\0';
    return ERR_OK;
}
