/* Shapes by hand, in the words of Simple Feature Access. */
#include "base/buf.h"
#include "base/mem.h"
#include "base/test.h"
#include "engine/wkb.h"

#include <math.h>

static void put(struct buf *out, uint64_t value, unsigned len, bool is_big_endian)
{
    for (unsigned i = 0; i < len; i++) {
        unsigned shift = 8 * (is_big_endian ? len - 1 - i : i);
        buf_append_char(out, (char)(uint8_t)(value >> shift));
    }
}

/* "<" or ">" sets the byte order, "#n" is a number, "@n" a head of a type, others coordinates. */
static void build(const char *text, struct buf *out)
{
    bool is_big_endian = false;
    char copy[256];
    (void)snprintf(copy, sizeof(copy), "%s", text);
    char *rest = copy;
    for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        if (*word == '<' || *word == '>') {
            is_big_endian = *word == '>';
        } else if (*word == '@') {
            buf_append_char(out, is_big_endian ? 0 : 1);
            put(out, strtoul(word + 1, NULL, 0), 4, is_big_endian);
        } else if (*word == '#') {
            put(out, strtoul(word + 1, NULL, 0), 4, is_big_endian);
        } else {
            double value = strtod(word, NULL);
            uint64_t bits;
            memcpy(&bits, &value, sizeof(bits));
            put(out, bits, 8, is_big_endian);
        }
    }
}

TEST(wkb, tells_shapes_and_what_is_in_them)
{
    static const struct {
        const char *shape;
        bool has_nan, is_beyond;
    } rows[] = {
        {"@1 1 2", false, false},
        {"@1 -180 90", false, false},
        {"@1 180.0001 0", false, true},
        {"@1 0 -90.0001", false, true},
        {"@1 inf 0", false, true},
        {"> @1 1 2", false, false},
        {"@1 nan nan", false, false}, /* empty */
        {"@1001 nan nan nan", false, false},
        {"@1001 nan nan 1", true, true},
        {"@1 nan 2", true, true},
        {"@1001 1 2 nan", true, false},
        {"@2001 1 2 3", false, false},
        {"@3001 1 2 3 4", false, false},
        {"@0xA0000001 #4326 1 2 3", false, false},
        {"@0xC0000001 1 2 3 4", false, false},
        {"@2 #0", false, false},
        {"@2 #2 1 2 3 400", false, true},
        {"@2 #2 1 2 nan nan", true, true}, /* no empty point: a line of one */
        {"@3 #0", false, false},
        {"@3 #2 #0 #3 0 0 1 1 0 0", false, false},
        {"@4 #2 @1 1 2 > @1 nan nan", false, false},
        {"@1005 #1 @1002 #1 1 2 3", false, false},
        {"@6 #1 @3 #1 #1 1 2", false, false},
        {"@7 #0", false, false},
        {"@7 #3 @1 1 2 @7 #1 @4 #0 @2 #0", false, false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct buf bytes CLEANUP(buf_fini) = {0};
        struct wkb_facts facts;
        struct errinfo info;
        build(rows[i].shape, &bytes);
        CHECK_OK(wkb_check(buf_slice(&bytes), &facts, &info));
        CHECK(facts.has_nan == rows[i].has_nan);
        CHECK(facts.is_beyond_geographic == rows[i].is_beyond);
        for (size_t len = 0; len < bytes.len; len++) { /* whatever is cut */
            char *exact = mem_alloc(len + 1);
            memcpy(exact, bytes.ptr, len);
            CHECK_ERR(ERR_INVALID, wkb_check((struct slice){exact, len}, &facts, &info));
            mem_free(exact);
        }
        buf_append_char(&bytes, 1);
        CHECK_ERR(ERR_INVALID, wkb_check(buf_slice(&bytes), &facts, &info));
        CHECK(strstr(info.message, "behind its end") != NULL &&
              strcmp(info.sqlstate, "22023") == 0);
    }
}

TEST(wkb, says_what_is_wrong_and_where)
{
    static const struct {
        const char *shape;
        const char *message;
    } rows[] = {
        {"", "it ends at byte 0"},
        {"#2", "there is no byte order at byte 0"},
        {"@0 1 2", "there is no type of shape that is known at byte 1"},
        {"@8 #0", "there is no type of shape that is known at byte 1"},
        {"@4001 1 2", "there is no type of shape that is known at byte 1"},
        {"@0x10000001 1 2", "there is no type of shape that is known at byte 1"},
        {"@0x20000001", "it ends at byte 5"},
        {"@2 #4294967295 1 2", "it ends before its points do, of which there are more to come"},
        {"@3 #4294967295 #0", "it ends at byte 13"},
        {"@4 #1 @2 #0", "there is a part that its whole cannot have"},
        {"@5 #1 @5 #0", "there is a part that its whole cannot have"},
        {"@6 #1 @7 #0", "there is a part that its whole cannot have"},
        {"@4 #1 @1001 1 2 3", "there is a part with other dimensions than its whole"},
        {"@1007 #1 @1 1 2", "there is a part with other dimensions than its whole"},
        {"@2007 #1 @1001 1 2 3", "there is a part with other dimensions than its whole"},
        {"@7 #2 @1 1 2", "it ends at byte 30"},
        {"@7 #0 @1 1 2", "there are bytes behind its end at byte 9"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct buf bytes CLEANUP(buf_fini) = {0};
        struct wkb_facts facts = {true, true};
        struct errinfo info;
        build(rows[i].shape, &bytes);
        CHECK_ERR(ERR_INVALID, wkb_check(buf_slice(&bytes), &facts, &info));
        CHECK(strstr(info.message, rows[i].message) != NULL);
        CHECK(facts.has_nan && facts.is_beyond_geographic); /* not set */
    }
}

TEST(wkb, collections_are_as_deep_as_they_may_be)
{
    for (unsigned depth = 0; depth < 100; depth++) {
        struct buf bytes CLEANUP(buf_fini) = {0};
        struct wkb_facts facts;
        for (unsigned i = 0; i < depth; i++) {
            build("@7 #1", &bytes);
        }
        build("@4 #1 @1 1 2", &bytes); /* its parts count as deep as it is */
        enum err err = wkb_check(buf_slice(&bytes), &facts, NULL);
        CHECK(err == (depth < WKB_DEPTH_MAX ? ERR_OK : ERR_INVALID));
    }
}
