/* API keys: 256 random bits, so that a plain hash keeps them; an id to find them by; a check, so
 * that a misspelt one, or a text that only looks like one, never reaches the store and a scanner
 * for leaked keys knows a real one when it sees it.
 *
 *     moat_ 10 characters _ 52 characters 6 characters      (base 32, lower case: RFC 4648's) */
#include "base/hash.h"
#include "base/mem.h"
#include "identity/provider.h"

#define ID_CHARACTERS 10u
#define SECRET_CHARACTERS 52u
#define CHECK_CHARACTERS 6u
#define MARK_BYTES (sizeof(API_KEY_MARK) - 1)
#define PREFIX_BYTES (MARK_BYTES + ID_CHARACTERS)
#define BODY_BYTES (PREFIX_BYTES + 1 + SECRET_CHARACTERS)
#define TEXT_BYTES (BODY_BYTES + CHECK_CHARACTERS)

_Static_assert(TEXT_BYTES < API_KEY_BYTES && PREFIX_BYTES < API_KEY_PREFIX_BYTES, "room for keys");

static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";

/* Five bits a character; `bytes` are enough for that. */
static void encode(const uint8_t *bytes, size_t characters, char *ret_text)
{
    uint32_t bits = 0;
    unsigned count = 0;
    for (size_t i = 0; i < characters; i++) {
        if (count < 5) {
            bits = (bits << 8 | *bytes++) & 0xFFFFu;
            count += 8;
        }
        count -= 5;
        ret_text[i] = alphabet[bits >> count & 31u];
    }
}

static enum err make_check(struct slice body, char ret_check[CHECK_CHARACTERS])
{
    uint8_t digest[SHA256_BYTES];
    TRY(hash_sha256(body, digest));
    encode(digest, CHECK_CHARACTERS, ret_check);
    return ERR_OK;
}

/* Hash and prefix of a text that is complete. */
static enum err finish(struct api_key *key)
{
    memcpy(key->prefix, key->text, PREFIX_BYTES);
    key->prefix[PREFIX_BYTES] = '\0';
    return hash_sha256((struct slice){key->text, TEXT_BYTES}, key->hash);
}

enum err api_key_new(struct api_key *ret_key, struct errinfo *info)
{
    uint8_t random[(ID_CHARACTERS + SECRET_CHARACTERS) * 5 / 8 + 3];
    struct api_key key = {0};
    memcpy(key.text, API_KEY_MARK, MARK_BYTES);
    enum err err = random_bytes(random, sizeof(random));
    if (err == ERR_OK) {
        encode(random, ID_CHARACTERS, key.text + MARK_BYTES);
        key.text[PREFIX_BYTES] = '_';
        encode(random + (ID_CHARACTERS * 5 + 7) / 8, SECRET_CHARACTERS,
               key.text + PREFIX_BYTES + 1);
        err = make_check((struct slice){key.text, BODY_BYTES}, key.text + BODY_BYTES);
    }
    if (err == ERR_OK) {
        err = finish(&key);
    }
    mem_wipe(random, sizeof(random));
    if (err == ERR_OK) {
        *ret_key = key;
    }
    mem_wipe(&key, sizeof(key));
    return err == ERR_OK ? ERR_OK : errinfo_set(info, ERR_INTERNAL, NULL, "a key cannot be made");
}

bool api_key_parse(struct slice text, struct api_key *ret_key)
{
    char check[CHECK_CHARACTERS];
    struct api_key key = {0};
    if (text.len != TEXT_BYTES || !slice_starts_with(text, SLICE(API_KEY_MARK)) ||
        text.ptr[PREFIX_BYTES] != '_') {
        return false;
    }
    for (size_t i = MARK_BYTES; i < TEXT_BYTES; i++) {
        char c = text.ptr[i];
        if (i != PREFIX_BYTES && !((c >= 'a' && c <= 'z') || (c >= '2' && c <= '7'))) {
            return false;
        }
    }
    memcpy(key.text, text.ptr, TEXT_BYTES);
    bool is_key = make_check((struct slice){key.text, BODY_BYTES}, check) == ERR_OK &&
                  hash_equal(check, key.text + BODY_BYTES, CHECK_CHARACTERS) &&
                  finish(&key) == ERR_OK;
    if (is_key) {
        *ret_key = key;
    }
    mem_wipe(&key, sizeof(key));
    return is_key;
}
