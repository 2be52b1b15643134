/* Hashes and randomness. Cryptography is OpenSSL's; xxHash for tables and fingerprints. */
#pragma once

#include "base/base.h"
#include "base/err.h"

#define SHA256_BYTES 32
#define SHA256_HEX_BYTES 65 /* with the NUL */

/* ERR_INTERNAL only if the crypto library refuses to work. */
MUST_USE enum err hash_sha256(struct slice data, uint8_t ret_digest[SHA256_BYTES]);
MUST_USE enum err hash_sha256_parts(const struct slice *parts, size_t part_count,
                                    uint8_t ret_digest[SHA256_BYTES]);
MUST_USE enum err hash_hmac_sha256(struct slice key, struct slice data,
                                   uint8_t ret_digest[SHA256_BYTES]);
MUST_USE enum err hash_pbkdf2_sha256(struct slice password, struct slice salt, uint32_t iterations,
                                     uint8_t ret_key[SHA256_BYTES]);

/* Not for secrets or against an attacker. */
uint64_t hash_xx64(struct slice data, uint64_t seed);

void hash_hex(const uint8_t *bytes, size_t len, char *ret_text /* 2 * len + 1 */);
MUST_USE bool hash_unhex(struct slice text, uint8_t *ret_bytes /* text.len / 2 */);

/* Constant-time comparison. */
bool hash_equal(const void *a, const void *b, size_t len);

/* Cryptographically strong bytes. */
MUST_USE enum err random_bytes(void *ret_bytes, size_t len);

#define UUID_TEXT_BYTES 37

/* RFC 9562 version 7 (time-ordered), lower-case text. */
MUST_USE enum err uuid_new(char ret_text[UUID_TEXT_BYTES]);
