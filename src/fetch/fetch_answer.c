/* What an answer says beside its body, and how long to wait before asking again. */
#include "fetch/fetch_int.h"

#include <time.h>

#include "base/clock.h"
#include "base/hash.h"

bool fetch__find_header(struct slice head, struct slice name, struct slice *ret_value)
{
    for (size_t at = 0; at < head.len;) {
        struct slice rest = {head.ptr + at, head.len - at};
        size_t end = slice_find(rest, SLICE("\n"));
        size_t len = end == SIZE_MAX ? rest.len : end;
        struct slice line = {rest.ptr, len};
        at += len + 1;
        if (line.len > name.len && line.ptr[name.len] == ':' &&
            slice_starts_with_fold(line, name)) {
            *ret_value =
                slice_trim((struct slice){line.ptr + name.len + 1, line.len - name.len - 1});
            return true;
        }
    }
    return false;
}

bool fetch_answer_header(const struct fetch_answer *answer, struct slice name,
                         struct slice *ret_value)
{
    return fetch__find_header(secret_slice(&answer->head), name, ret_value);
}

bool fetch_date(struct slice text, int64_t *ret_wall_us)
{
    char copy[64];
    if (text.len == 0 || text.len >= sizeof(copy)) {
        return false;
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    time_t seconds = curl_getdate(copy, NULL);
    if (seconds < 0) {
        return false;
    }
    *ret_wall_us = (int64_t)seconds * 1000000;
    return true;
}

int64_t fetch_answer_retry_after_ms(const struct fetch_answer *answer)
{
    struct slice value;
    uint64_t seconds;
    int64_t when_us;
    if (!fetch_answer_header(answer, SLICE("retry-after"), &value)) {
        return -1;
    }
    if (slice_to_u64(value, &seconds)) {
        return seconds > INT64_MAX / 1000 ? INT64_MAX : (int64_t)seconds * 1000;
    }
    if (!fetch_date(value, &when_us)) {
        return -1;
    }
    int64_t wait_ms = (when_us - clock_wall_us()) / 1000;
    return wait_ms > 0 ? wait_ms : 0;
}

int64_t fetch_backoff_ms(unsigned attempt, int64_t base_ms, int64_t cap_ms, int64_t retry_after_ms,
                         int64_t patience_ms)
{
    ASSERT(attempt > 0 && base_ms > 0 && cap_ms >= base_ms);
    unsigned doublings = attempt - 1 < 30 ? attempt - 1 : 30;
    int64_t ceiling = base_ms > cap_ms >> doublings ? cap_ms : base_ms << doublings;
    uint64_t random = 0;
    if (random_bytes(&random, sizeof(random)) != ERR_OK) {
        random = (uint64_t)clock_mono_us();
    }
    int64_t wait_ms = (int64_t)(random % (uint64_t)(ceiling + 1));
    if (retry_after_ms > patience_ms) {
        return -1;
    }
    return wait_ms > retry_after_ms ? wait_ms : retry_after_ms;
}
