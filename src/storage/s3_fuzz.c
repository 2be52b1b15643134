/* What a store, or whoever answers in its place, may send: documents, locations and codes in them,
 * endpoints that a catalog names. The first byte chooses. */
#include "base/fuzz.h"
#include "base/mem.h"
#include "storage/s3_int.h"
#include "storage/storage_int.h"
#include "storage/sts.h"

static bool see(void *context, struct slice path, struct slice text)
{
    uint64_t *seen = context;
    ASSERT(path.len > 0 && path.ptr[0] == '/');
    *seen += path.len + text.len;
    return true;
}

static void read_document(struct slice text)
{
    char code[S3_ERROR_BYTES];
    char region[S3_REGION_BYTES];
    uint64_t seen = 0;
    enum err err = s3__xml_read(text, see, &seen, NULL);
    ASSERT(err == ERR_OK || err == ERR_CORRUPT || err == ERR_NOMEM);
    s3__error_code(text, code, region);
    for (const char *c = code; *c != '\0'; c++) {
        ASSERT(*c >= '0' && *c <= 'z');
    }
    ASSERT(region[0] == '\0' || s3__region_is_valid(slice_of(region)));
}

/* What is decoded and encoded again is the same place. */
static void read_location(struct slice text)
{
    struct s3_place place;
    struct buf once CLEANUP(buf_fini) = {0};
    struct buf twice CLEANUP(buf_fini) = {0};
    if (s3__place_of(text, &place, NULL) != ERR_OK) {
        return;
    }
    s3__encode(place.key, true, &once);
    bool is_decoded = s3__decode(buf_slice(&once), &twice);
    ASSERT(is_decoded && slice_equal(buf_slice(&twice), place.key));
}

static void read_endpoint(struct slice text)
{
    struct s3_address address CLEANUP(s3__address_fini) = {0};
    struct s3_target target = {text, SLICE("eu-west-1"), false};
    struct s3_place place = {SLICE("bucket"), SLICE("a/b c")};
    if (s3__address_of(&target, &place, &address, NULL) != ERR_OK) {
        return;
    }
    struct slice path = buf_slice(&address.path);
    ASSERT(path.len > 0 && path.ptr[0] == '/' && slice_ends_with(path, SLICE("a/b%20c")));
    ASSERT(slice_find(buf_slice(&address.host), SLICE("/")) == SIZE_MAX);
    ASSERT(slice_ends_with(buf_slice(&address.base), buf_slice(&address.host)));
}

static void read_credentials(struct slice text)
{
    struct storage_sts_answer answer;
    struct buf policy CLEANUP(buf_fini) = {0};
    if (storage_sts_parse(text, &answer, NULL) == ERR_OK) {
        ASSERT(strpbrk(answer.secret_key.ptr, "<>&\"'\\ \n") == NULL);
        ASSERT(strlen(answer.session_token.ptr) == answer.session_token.len);
        storage_sts_fini(&answer);
    }
    if (storage_sts_policy(text, &policy, NULL) == ERR_OK) {
        ASSERT(memchr(text.ptr, '*', text.len) == NULL && memchr(text.ptr, '"', text.len) == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct slice text = {(const char *)data + 1, size - 1};
    struct buf decoded CLEANUP(buf_fini) = {0};
    switch (data[0] % 8) {
    case 0:
        read_document(text);
        break;
    case 1:
        read_location(text);
        break;
    case 2:
        read_endpoint(text);
        break;
    case 3:
        if (s3__decode(text, &decoded)) {
            ASSERT(decoded.len <= text.len);
        }
        break;
    default:
        read_credentials(text);
        break;
    }
    return 0;
}
