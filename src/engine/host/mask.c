/* The sha256 mask, computed for hosts: its key stays here. The same as the engine's own form
 * (duckdb/functions.cpp): HMAC-SHA-256 from two states of the hash that already hold the key. */
#define OPENSSL_SUPPRESS_DEPRECATED /* whose states can be copied for nothing */
#include <openssl/sha.h>

#include "base/mem.h"
#include "engine/host/broker_int.h"

struct mask {
    SHA256_CTX inner;
    SHA256_CTX outer;
};

enum err mask__new(struct slice key, struct mask **ret_mask, struct errinfo *info)
{
    uint8_t block[SHA256_CBLOCK] = {0};
    struct mask *mask = mem_calloc(1, sizeof(*mask));
    if (mask == NULL) {
        return errinfo_nomem(info);
    }
    if (key.len > sizeof(block)) {
        SHA256((const uint8_t *)key.ptr, key.len, block);
    } else if (key.len > 0) {
        memcpy(block, key.ptr, key.len);
    }
    for (size_t i = 0; i < sizeof(block); i++) {
        block[i] ^= 0x36;
    }
    SHA256_Init(&mask->inner);
    SHA256_Update(&mask->inner, block, sizeof(block));
    for (size_t i = 0; i < sizeof(block); i++) {
        block[i] ^= 0x36 ^ 0x5C;
    }
    SHA256_Init(&mask->outer);
    SHA256_Update(&mask->outer, block, sizeof(block));
    mem_wipe(block, sizeof(block));
    *ret_mask = mask;
    return ERR_OK;
}

void mask__free(struct mask *mask)
{
    if (mask != NULL) {
        mem_wipe(mask, sizeof(*mask));
        mem_free(mask);
    }
}

void mask__hash(const struct mask *mask, struct slice value, char ret_hex[64])
{
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];
    SHA256_CTX state = mask->inner;
    SHA256_Update(&state, value.ptr, value.len);
    SHA256_Final(digest, &state);
    state = mask->outer;
    SHA256_Update(&state, digest, sizeof(digest));
    SHA256_Final(digest, &state);
    hash_hex(digest, sizeof(digest), hex);
    memcpy(ret_hex, hex, 64);
}
