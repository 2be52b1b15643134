#include "base/hash.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/test.h"

static const char *hex(const uint8_t digest[SHA256_BYTES])
{
    static char text[SHA256_HEX_BYTES];
    hash_hex(digest, SHA256_BYTES, text);
    return text;
}

TEST(hash, sha256_gives_the_published_digests)
{
    /* FIPS 180-4 examples. */
    uint8_t digest[SHA256_BYTES];
    CHECK_OK(hash_sha256(SLICE(""), digest));
    CHECK_STR("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", hex(digest));
    CHECK_OK(hash_sha256(SLICE("abc"), digest));
    CHECK_STR("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", hex(digest));
    struct slice parts[] = {SLICE("a"), slice_of(NULL), SLICE("bc")};
    uint8_t joined[SHA256_BYTES];
    CHECK_OK(hash_sha256_parts(parts, ARRAY_COUNT(parts), joined));
    CHECK(hash_equal(digest, joined, sizeof(digest)));
    joined[31] ^= 1;
    CHECK(!hash_equal(digest, joined, sizeof(digest)));
}

TEST(hash, hmac_gives_the_published_codes)
{
    /* RFC 4231, cases 2 and 6. */
    uint8_t digest[SHA256_BYTES];
    CHECK_OK(hash_hmac_sha256(SLICE("Jefe"), SLICE("what do ya want for nothing?"), digest));
    CHECK_STR("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843", hex(digest));
    char key[131];
    memset(key, 0xaa, sizeof(key));
    CHECK_OK(hash_hmac_sha256((struct slice){key, sizeof(key)},
                              SLICE("Test Using Larger Than Block-Size Key - Hash Key First"),
                              digest));
    CHECK_STR("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54", hex(digest));
    CHECK_OK(hash_hmac_sha256(SLICE(""), SLICE(""), digest));
    CHECK_STR("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad", hex(digest));
}

TEST(hash, pbkdf2_gives_the_published_keys)
{
    /* RFC 7914, section 11: the first 32 bytes of PBKDF2-HMAC-SHA-256 ("passwd", "salt", 1). */
    uint8_t key[SHA256_BYTES];
    CHECK_OK(hash_pbkdf2_sha256(SLICE("passwd"), SLICE("salt"), 1, key));
    CHECK_STR("55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc", hex(key));
    CHECK_OK(hash_pbkdf2_sha256(SLICE("Password"), SLICE("NaCl"), 80000, key));
    CHECK_STR("4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56", hex(key));
    CHECK_ERR(ERR_INVALID, hash_pbkdf2_sha256(SLICE("x"), SLICE("y"), UINT32_MAX, key));
}

TEST(hash, hex_goes_both_ways)
{
    uint8_t bytes[4] = {0, 0x0F, 0xA5, 0xFF};
    uint8_t back[4];
    char text[9];
    hash_hex(bytes, 4, text);
    CHECK_STR("000fa5ff", text);
    CHECK(hash_unhex(SLICE("000FA5ff"), back));
    CHECK(memcmp(bytes, back, 4) == 0);
    CHECK(!hash_unhex(SLICE("000"), back) && !hash_unhex(SLICE("0g"), back) &&
          !hash_unhex(SLICE("-1"), back));
    CHECK(hash_unhex(SLICE(""), back));
}

TEST(hash, xx64_depends_on_text_and_seed)
{
    CHECK(hash_xx64(SLICE("a"), 0) == hash_xx64(SLICE("a"), 0));
    CHECK(hash_xx64(SLICE("a"), 0) != hash_xx64(SLICE("b"), 0));
    CHECK(hash_xx64(SLICE("a"), 0) != hash_xx64(SLICE("a"), 1));
    CHECK(hash_xx64(slice_of(NULL), 3) == hash_xx64(SLICE(""), 3));
}

TEST(hash, a_child_makes_other_uuids)
{
    char first[UUID_TEXT_BYTES];
    char ours[UUID_TEXT_BYTES];
    char theirs[UUID_TEXT_BYTES] = "";
    int ends[2];
    CHECK_OK(uuid_new(first)); /* from here on random bytes are in store */
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        bool is_told = uuid_new(theirs) == ERR_OK && write(ends[1], theirs, sizeof(theirs)) > 0;
        _exit(is_told ? 0 : 1);
    }
    int status;
    CHECK_OK(uuid_new(ours));
    CHECK(read(ends[0], theirs, sizeof(theirs)) == (ssize_t)sizeof(theirs));
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(strcmp(ours + 19, theirs + 19) != 0); /* the random part */
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

TEST(hash, uuids_are_version_7_and_ordered_by_time)
{
    char last[UUID_TEXT_BYTES] = "";
    for (int i = 0; i < 200; i++) {
        char text[UUID_TEXT_BYTES];
        CHECK_OK(uuid_new(text));
        CHECK(strlen(text) == 36 && text[8] == '-' && text[13] == '-' && text[18] == '-' &&
              text[23] == '-');
        CHECK(text[14] == '7' && strchr("89ab", text[19]) != NULL);
        CHECK(strncmp(last, text, 13) <= 0); /* the milliseconds; what follows is random */
        CHECK(strcmp(last, text) != 0);
        memcpy(last, text, sizeof(text));
    }
    int64_t until = clock_mono_us() + 2000;
    while (clock_mono_us() < until) {
    }
    char later[UUID_TEXT_BYTES];
    CHECK_OK(uuid_new(later));
    CHECK(strcmp(last, later) < 0);
}

TEST(hash, random_bytes_differ)
{
    uint8_t a[32] = {0};
    uint8_t b[32] = {0};
    CHECK_OK(random_bytes(a, sizeof(a)));
    CHECK_OK(random_bytes(b, sizeof(b)));
    CHECK(memcmp(a, b, sizeof(a)) != 0);
}

TEST(clock, formats_utc)
{
    static const struct {
        int64_t us;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000000Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {951782400000001, "2000-02-29T00:00:00.000001Z"},
        {253402300799999999, "9999-12-31T23:59:59.999999Z"},
        {253402300800000000, "out-of-range"},
        {INT64_MAX, "out-of-range"},
        {INT64_MIN, "out-of-range"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char text[CLOCK_TEXT_BYTES];
        CHECK_STR(cases[i].text, clock_format_utc(cases[i].us, text));
    }
    int64_t before = clock_mono_us();
    CHECK(clock_mono_us() >= before);
    CHECK(clock_wall_us() > 1700000000000000);
}
