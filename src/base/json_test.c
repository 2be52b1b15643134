#include "base/json.h"

#include "base/sweep.h"
#include "base/test.h"

static enum err parse(struct arena *arena, const char *text, struct json **ret_root,
                      struct errinfo *info)
{
    return json_parse(arena, slice_of(text), NULL, ret_root, info);
}

TEST(json, writes_what_it_read)
{
    static const char *const documents[] = {
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-1.50e+10",
        "\"\"",
        "[]",
        "{}",
        "123456789012345678901234567890.0000000000000000000000001", /* to the digit */
        "[1,[2,[3]],{\"a\":{\"b\":[]}}]",
        "{\"a\":1,\"a\":2,\"\":3}",
        "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f\"",
        "\"gr\xC3\xBC\xC3\x9F\xF0\x9F\x98\x80\"",
    };
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    for (size_t i = 0; i < ARRAY_COUNT(documents); i++) {
        struct json *root;
        struct buf out CLEANUP(buf_fini) = {0};
        CHECK_OK(parse(arena, documents[i], &root, NULL));
        json_write(&out, root);
        CHECK_STR(documents[i], buf_cstr(&out));
    }
}

TEST(json, decodes_escapes)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct json *root;
    CHECK_OK(parse(arena, "{\"\\u0061\":\"\\/\\u00fc\\ud83d\\ude00\"}", &root, NULL));
    CHECK_SLICE("/\xC3\xBC\xF0\x9F\x98\x80", json_get_text(root, "a"));
}

TEST(json, refuses_what_rfc_8259_does)
{
    static const char *const bad[] = {
        "",
        " ",
        "nul",
        "True",
        "01",
        "1.",
        ".5",
        "1e",
        "+1",
        "- 1",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{\"a\":1,}",
        "[",
        "{",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud83d\"",
        "\"\\ud83d\\u0041\"",
        "\"\\ude00\"",
        "\"a\nb\"",
        "\"\\n\n\"",
        "1 2",
        "[1]]",
        "// x\n1",
        "'a'",
        "NaN",
    };
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct json *root = NULL;
        struct errinfo info;
        CHECK_ERR(ERR_INVALID, parse(arena, bad[i], &root, &info));
        CHECK_STR("22032", info.sqlstate);
        CHECK(root == NULL && strstr(info.message, "at byte ") != NULL);
    }
}

TEST(json, keeps_to_its_limits)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct json *root;
    struct json_limits limits = {.depth_max = 3, .nodes_max = 4};
    CHECK_OK(json_parse(arena, SLICE("[[[1]]]"), &limits, &root, NULL));
    CHECK_ERR(ERR_LIMIT, json_parse(arena, SLICE("[[[[]]]]"), &limits, &root, NULL));
    CHECK_OK(json_parse(arena, SLICE("[1,2,3]"), &limits, &root, NULL));
    CHECK_ERR(ERR_LIMIT, json_parse(arena, SLICE("[1,2,3,4]"), &limits, &root, NULL));
    char deep[600];
    memset(deep, '[', sizeof(deep));
    CHECK_ERR(ERR_LIMIT, json_parse(arena, (struct slice){deep, sizeof(deep)}, NULL, &root, NULL));
}

TEST(json, finds_and_reads_members)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct json *root;
    int64_t i = 0;
    uint64_t u = 0;
    CHECK_OK(parse(arena, "{\"a\":1,\"a\":2,\"t\":true,\"n\":null,\"l\":[5,-6],\"f\":1.0}", &root,
                   NULL));
    CHECK(json_to_i64(json_get(root, "a"), &i) && i == 1); /* the first of one name */
    CHECK(json_get_bool(root, "t", false) && json_get_bool(root, "x", true) &&
          !json_get_bool(root, "a", false));
    CHECK(json_is_null(json_get(root, "n")) && json_is_null(NULL) && !json_is_null(root));
    CHECK(json_to_i64(json_at(json_get(root, "l"), 1), &i) && i == -6);
    CHECK(!json_to_u64(json_at(json_get(root, "l"), 1), &u));
    CHECK(!json_to_i64(json_get(root, "f"), &i));
    CHECK(json_at(json_get(root, "l"), 2) == NULL && json_at(root, 0) == NULL &&
          json_get(NULL, "a") == NULL);
    CHECK(json_get_text(root, "a").len == 0);
}

TEST(json, changes_in_place)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct json *root;
    CHECK_OK(parse(arena, "{\"a\":[1,2,3],\"b\":4}", &root, NULL));
    struct json *copy = json_copy(arena, root);
    json_replace(json_at(json_get(root, "a"), 1), json_new_text(arena, SLICE("x\"")));
    json_set(root, "b", json_new_bool(arena, true));
    json_set(root, "c", json_new_i64(arena, INT64_MIN));
    json_append(json_get(root, "a"), json_new(arena, JSON_OBJECT));
    struct buf out CLEANUP(buf_fini) = {0};
    json_write(&out, root);
    CHECK_STR("{\"a\":[1,\"x\\\"\",3,{}],\"b\":true,\"c\":-9223372036854775808}", buf_cstr(&out));
    CHECK(root->count == 3 && json_get(root, "a")->count == 4);
    buf_reset(&out);
    json_write(&out, copy);
    CHECK_STR("{\"a\":[1,2,3],\"b\":4}", buf_cstr(&out));
}

TEST(json, written_strings_are_always_utf8)
{
    struct buf out CLEANUP(buf_fini) = {0};
    json_write_string(&out, SLICE("a\xFF\xC3\xBC\xE2\x82\"\x01"));
    CHECK_STR("\"a\xEF\xBF\xBD\xC3\xBC\xEF\xBF\xBD\xEF\xBF\xBD\\\"\\u0001\"", buf_cstr(&out));
    buf_reset(&out);
    json_write_string(&out, slice_of(NULL));
    CHECK_STR("\"\"", buf_cstr(&out));
}

TEST(json, survives_every_failed_allocation)
{
    SWEEP_ALLOC(fault)
    {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
        struct buf out CLEANUP(buf_fini) = {0};
        struct json *root = NULL;
        struct json *copy = NULL;
        enum err err =
            arena == NULL ? ERR_NOMEM : parse(arena, "{\"a\\n\":[1,\"b\\t\",{}]}", &root, NULL);
        CHECK(err == ERR_OK || (err == ERR_NOMEM && root == NULL));
        if (err == ERR_OK && (copy = json_copy(arena, root)) != NULL) {
            json_write(&out, copy);
            CHECK(buf_failed(&out) || strcmp(buf_cstr(&out), "{\"a\\n\":[1,\"b\\t\",{}]}") == 0);
        }
    }
}
