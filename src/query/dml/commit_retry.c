#include "query/dml/commit_retry.h"

#include "base/hash.h"
#include "iceberg/metadata.h"
#include "query/query_int.h"

#define RETRIES_DEFAULT 20
#define RETRIES_MAX 1000
#define WAIT_MS_FIRST 20
#define WAIT_MS_MAX 2000
#define LOOKS_MAX 6 /* over 3 s */
#define LOOK_MS_FIRST 100

int commit_retries(const struct iceberg_metadata *metadata)
{
    int64_t count;
    bool is_said =
        slice_to_i64(iceberg_metadata_property(metadata, "commit.retry.num-retries"), &count);
    return !is_said              ? RETRIES_DEFAULT
           : count < 0           ? 0
           : count > RETRIES_MAX ? RETRIES_MAX
                                 : (int)count;
}

enum err commit_wait(struct query *query, int retry, struct errinfo *info)
{
    uint32_t random = 0;
    int64_t most = WAIT_MS_FIRST << (retry < 8 ? retry : 8);
    most = most > WAIT_MS_MAX ? WAIT_MS_MAX : most;
    if (random_bytes(&random, sizeof(random)) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "there are no random numbers");
    }
    (void)cancellation_sleep_ms(&query->cancellation, 1 + random % most);
    return query_check_cancelled(query, info);
}

bool commit_was_made(struct query *query, commit_find_fn find, void *context)
{
    for (int look = 0; look < LOOKS_MAX; look++) {
        bool is_last = look + 1 == LOOKS_MAX;
        if (find(context)) {
            return true;
        }
        if (!is_last && !cancellation_sleep_ms(&query->cancellation, LOOK_MS_FIRST << look)) {
            return false;
        }
    }
    return false;
}

enum err commit_is_unknown(struct slice name, const char *hint, struct errinfo *info)
{
    char reason[ERRINFO_DETAIL_BYTES];
    (void)snprintf(reason, sizeof(reason), "%.900s", info == NULL ? "" : info->message);
    (void)errinfo_set(info, ERR_IO, "40003",
                      "it is not known whether the change of table \"%.*s\" was committed",
                      SLICE_ARGS(name));
    errinfo_detail(info, "%s", reason);
    errinfo_hint(info, "%s", hint);
    return ERR_IO;
}
