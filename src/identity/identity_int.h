/* Shared by the files of this module only. */
#pragma once

#include "identity/identity.h"

/* The character at `*offset` of well-formed UTF-8; moves the offset behind it. */
uint32_t identity__character(struct slice text, size_t *offset);

/* ---- scram.c ---- */

#define SCRAM_SALT_BYTES_MAX 64u
#define SCRAM_DECODED_BYTES_MAX 256u
#define BASE64_BYTES(n) (((n) + 2) / 3 * 4)

struct scram_verifier {
    uint32_t iterations;
    uint8_t salt[SCRAM_SALT_BYTES_MAX];
    size_t salt_bytes;
    uint8_t stored_key[SHA256_BYTES];
    uint8_t server_key[SHA256_BYTES];
};

MUST_USE bool scram__parse(struct slice text, struct scram_verifier *ret_verifier);
/* Base64, standard alphabet with padding, and only the one text that these bytes have. `bytes_max`
 * is at most SCRAM_DECODED_BYTES_MAX. */
MUST_USE bool scram__decode(struct slice text, size_t bytes_max, uint8_t *ret_bytes,
                            size_t *ret_len);
void scram__encode(const uint8_t *bytes, size_t len, char *ret_text);
/* The part before `separator`, which moves behind it; false if there is none. */
MUST_USE bool scram__take_until(struct slice *rest, char separator, struct slice *ret_part);
