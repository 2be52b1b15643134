/* Goal: signatures are those of the references. Method: the vectors that they publish. */
#include "base/test.h"
#include "fetch/sigv4.h"

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct vector {
    const char *method, *path, *query, *hash, *signature;
    struct fetch_header headers[6];
};

struct suite {
    const char *service, *time, *access_key, *secret_key;
};

static void check_vector(const struct suite *suite, const struct vector *vector)
{
    struct secret authorization CLEANUP(secret_fini) = {0};
    struct sigv4_request signing = {
        .method = slice_of(vector->method),
        .path = slice_of(vector->path),
        .query = slice_of(vector->query),
        .headers = vector->headers,
        .payload_hash = vector->hash,
        .time = suite->time,
        .region = SLICE("us-east-1"),
        .service = slice_of(suite->service),
        .access_key = slice_of(suite->access_key),
        .secret_key = slice_of(suite->secret_key),
    };
    while (signing.header_count < 6 && vector->headers[signing.header_count].name.len > 0) {
        signing.header_count++;
    }
    CHECK_OK(sigv4_sign(&signing, &authorization, NULL));
    size_t at = slice_find(secret_slice(&authorization), SLICE("Signature="));
    CHECK(at != SIZE_MAX);
    CHECK_STR(vector->signature, authorization.ptr + at + strlen("Signature="));
}

/* The examples of "Authenticating Requests: Using the Authorization Header" (S3 API reference). */
TEST(sigv4, signs_as_the_reference_of_s3_does)
{
    static const struct suite suite = {"s3", "20130524T000000Z", "AKIAIOSFODNN7EXAMPLE",
                                       "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
    static const char put_hash[] =
        "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
    const struct fetch_header host = {SLICE("host"), SLICE("examplebucket.s3.amazonaws.com")};
    const struct fetch_header empty = {SLICE("x-amz-content-sha256"), SLICE(EMPTY_HASH)};
    const struct fetch_header date = {SLICE("x-amz-date"), SLICE("20130524T000000Z")};
    const struct vector vectors[] = {
        {"GET",
         "/test.txt",
         "",
         EMPTY_HASH,
         "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
         {host, {SLICE("range"), SLICE("bytes=0-9")}, empty, date}},
        {"PUT",
         "/test%24file.text",
         "",
         put_hash,
         "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
         {{SLICE("date"), SLICE("Fri, 24 May 2013 00:00:00 GMT")},
          host,
          {SLICE("x-amz-content-sha256"), slice_of(put_hash)},
          date,
          {SLICE("x-amz-storage-class"), SLICE("REDUCED_REDUNDANCY")}}},
        {"GET",
         "/",
         "lifecycle=",
         EMPTY_HASH,
         "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
         {host, empty, date}},
        {"GET",
         "/",
         "max-keys=2&prefix=J",
         EMPTY_HASH,
         "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
         {host, empty, date}},
    };
    for (size_t i = 0; i < ARRAY_COUNT(vectors); i++) {
        check_vector(&suite, &vectors[i]);
    }
}

/* Cases of aws-sig-v4-test-suite, as far as they are not of rules that S3 does not have. */
TEST(sigv4, signs_as_the_published_suite_does)
{
    static const struct suite suite = {"service", "20150830T123600Z", "AKIDEXAMPLE",
                                       "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};
    const struct fetch_header host = {SLICE("host"), SLICE("example.amazonaws.com")};
    const struct fetch_header date = {SLICE("x-amz-date"), SLICE("20150830T123600Z")};
    const struct vector vectors[] = {
        {"GET",
         "/",
         "",
         EMPTY_HASH,
         "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
         {host, date}},
        {"GET",
         "/",
         "Param1=value1&Param2=value2",
         EMPTY_HASH,
         "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
         {host, date}},
        {"GET",
         "/%E1%88%B4",
         "",
         EMPTY_HASH,
         "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
         {host, date}},
        {"GET",
         "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
         "",
         EMPTY_HASH,
         "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
         {host, date}},
        {"POST",
         "/",
         "",
         EMPTY_HASH,
         "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
         {host, date}},
        {"GET",
         "/",
         "",
         EMPTY_HASH,
         "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
         {host,
          {SLICE("my-header1"), SLICE(" value1")},
          {SLICE("my-header2"), SLICE(" \"a   b   c\"")},
          date}},
    };
    for (size_t i = 0; i < ARRAY_COUNT(vectors); i++) {
        check_vector(&suite, &vectors[i]);
    }
    char text[SIGV4_TIME_BYTES];
    sigv4_format_time(1440938160000000, text);
    CHECK_STR(suite.time, text);
}

TEST(sigv4, a_host_is_named_as_the_header_has_it)
{
    static const char *const cases[][2] = {
        {"https://glue.eu-central-1.amazonaws.com", "glue.eu-central-1.amazonaws.com"},
        {"https://glue.example:443/x", "glue.example"},
        {"http://127.0.0.1:80", "127.0.0.1"},
        {"http://127.0.0.1:443?x", "127.0.0.1:443"},
        {"http://[::1]:9000/", "[::1]:9000"},
        {"glue.example", ""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CHECK(slice_equal(slice_of(cases[i][1]), sigv4_host(slice_of(cases[i][0]))));
    }
}
