#include "base/err.h"

#include "base/test.h"

TEST(err, every_code_has_a_name_and_a_state)
{
    for (int code = ERR_OK; code <= ERR_INTERNAL; code++) {
        CHECK(err_name((enum err)code)[0] != '\0');
        CHECK(strlen(err_sqlstate((enum err)code)) == 5);
        for (int other = ERR_OK; other < code; other++) {
            CHECK(strcmp(err_name((enum err)code), err_name((enum err)other)) != 0);
        }
    }
}

TEST(err, setting_clears_what_an_older_failure_said)
{
    struct errinfo info;
    errinfo_init(&info);
    CHECK_ERR(ERR_SYNTAX, errinfo_set(&info, ERR_SYNTAX, NULL, "bad \"%s\"", "x"));
    errinfo_detail(&info, "d%d", 1);
    errinfo_hint(&info, "h");
    errinfo_position(&info, 7);
    CHECK_STR("bad \"x\"", info.message);
    CHECK_STR("42601", info.sqlstate);
    CHECK_STR("d1", info.detail);
    CHECK_ERR(ERR_NOT_FOUND, errinfo_set(&info, ERR_NOT_FOUND, "42P01", "no"));
    CHECK_STR("42P01", info.sqlstate);
    CHECK(info.detail[0] == '\0' && info.hint[0] == '\0' && info.position == 0);
    CHECK_ERR(ERR_NOMEM, errinfo_nomem(&info));
    CHECK_STR("53200", info.sqlstate);
}

TEST(err, nobody_needs_to_listen)
{
    CHECK_ERR(ERR_IO, errinfo_set(NULL, ERR_IO, NULL, "x"));
    CHECK_ERR(ERR_NOMEM, errinfo_nomem(NULL));
    errinfo_hint(NULL, "x");
    errinfo_detail(NULL, "x");
    errinfo_position(NULL, 1);
}

TEST(err, long_texts_are_cut_between_characters)
{
    /* Goal: never half of a sequence. Method: each alignment of a 3-byte character to the cut. */
    char text[2000];
    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 'a', shift);
        for (size_t i = shift; i + 3 < sizeof(text); i += 3) {
            memcpy(text + i, "\xE2\x82\xAC", 4);
        }
        struct errinfo info;
        (void)errinfo_set(&info, ERR_IO, NULL, "%s", text);
        size_t len = strlen(info.message);
        CHECK(len >= ERRINFO_MESSAGE_BYTES - 6 && len < ERRINFO_MESSAGE_BYTES);
        CHECK(strcmp(info.message + len - 3, "...") == 0);
        CHECK(slice_is_utf8(slice_of(info.message), NULL));
    }
    struct errinfo info;
    errinfo_init(&info);
    memset(text, 'b', ERRINFO_HINT_BYTES - 1);
    text[ERRINFO_HINT_BYTES - 1] = '\0';
    errinfo_hint(&info, "%s", text);
    CHECK_STR(text, info.hint); /* just fits: not cut */
}

static enum err passes_on(enum err err, int *reached)
{
    TRY(err);
    (*reached)++;
    return ERR_OK;
}

TEST(err, try_returns_the_error)
{
    int reached = 0;
    CHECK_ERR(ERR_BUSY, passes_on(ERR_BUSY, &reached));
    CHECK(reached == 0);
    CHECK_OK(passes_on(ERR_OK, &reached));
    CHECK(reached == 1);
}
