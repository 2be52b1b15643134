#include "base/buf.h"

#include "base/mem.h"
#include "base/sweep.h"
#include "base/test.h"

TEST(buf, grows_and_stays_nul_terminated)
{
    struct buf buf CLEANUP(buf_fini) = {0};
    CHECK_STR("", buf_cstr(&buf));
    for (int i = 0; i < 1000; i++) {
        buf_append_char(&buf, (char)('a' + i % 26));
        CHECK(buf.ptr[buf.len] == '\0');
    }
    CHECK(buf.len == 1000 && memcmp(buf.ptr + 26, "abc", 3) == 0);
    buf_reset(&buf);
    buf_append_str(&buf, "x");
    buf_append_slice(&buf, SLICE("\0y"));
    buf_printf(&buf, "%d%s", 7, "z");
    CHECK(buf.len == 5 && memcmp(buf.ptr, "x\0y7z", 6) == 0);
}

TEST(buf, a_limit_fails_for_good_until_reset)
{
    struct buf buf CLEANUP(buf_fini) = {.bytes_max = 4};
    buf_append_str(&buf, "abcd");
    CHECK(!buf_failed(&buf));
    buf_append_char(&buf, 'e');
    CHECK(buf_failed(&buf));
    CHECK_STR("abcd", buf_cstr(&buf));
    CHECK(buf_reserve(&buf, 0) == NULL);
    buf_reset(&buf);
    CHECK(!buf_failed(&buf) && buf.len == 0);
    CHECK(buf_reserve(&buf, SIZE_MAX) == NULL);
    CHECK(buf_take(&buf) == NULL);
}

TEST(buf, take_hands_over_and_empties)
{
    struct buf buf;
    buf_init(&buf);
    char *empty CLEANUP(mem_free_cleanup) = buf_take(&buf);
    CHECK_STR("", empty);
    buf_append_str(&buf, "abc");
    char *text CLEANUP(mem_free_cleanup) = buf_take(&buf);
    CHECK_STR("abc", text);
    CHECK(buf.len == 0 && buf.ptr == NULL);
}

TEST(buf, a_failed_allocation_keeps_what_was_there)
{
    SWEEP_ALLOC(fault)
    {
        struct buf buf CLEANUP(buf_fini) = {0};
        for (int i = 0; i < 400; i++) {
            buf_append_str(&buf, "0123456789");
        }
        CHECK(buf_failed(&buf) == fault.fired);
        CHECK(buf.len % 10 == 0 && (fault.fired || buf.len == 4000));
        CHECK(buf.len == 0 || memcmp(buf.ptr + buf.len - 10, "0123456789", 11) == 0);
    }
}
