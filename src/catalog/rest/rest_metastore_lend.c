/* What reads and writes the files of a metastore's tables, and signs requests to one that wants
 * that. A metastore lends nothing itself: where ATTACH names a token service (STS), the person's
 * own token is given for a session's credentials there, narrowed to the one table's folder, or to
 * requests to the metastore. */
#include "base/mem.h"
#include "catalog/rest/rest_metastore_int.h"
#include "fetch/fetch.h"
#include "identity/identity.h"

/* The token out of "Bearer ...". */
static enum err read_token(const struct rest_call *call, struct secret *ret_header,
                           struct slice *ret_token)
{
    struct slice scheme = SLICE("Bearer ");
    TRY(rest_token__header(call, false, ret_header));
    struct slice header = secret_slice(ret_header);
    if (!slice_starts_with_fold(header, scheme)) {
        return errinfo_set(call->info, ERR_UNSUPPORTED, NULL,
                           "this session's sign-in is no token that a token service takes");
    }
    *ret_token = (struct slice){header.ptr + scheme.len, header.len - scheme.len};
    return ERR_OK;
}

enum err rest_metastore__keys(const struct rest_call *call, struct slice policy,
                              struct storage_sts_answer *ret_answer)
{
    const struct rest_catalog *catalog = call->catalog;
    struct fetch_pool *pool CLEANUP(fetch_pool_cleanup) = NULL;
    struct secret header CLEANUP(secret_fini) = {0};
    struct slice token;
    TRY(read_token(call, &header, &token));
    TRY(rest_http__store_pool(call, &pool));
    const struct storage_sts_request request = {.url = catalog->sts_uri,
                                                .role = catalog->role,
                                                .session_name = identity_subject(call->who),
                                                .token = token,
                                                .policy = policy,
                                                .timeout_ms = call->rest->options.timeout_ms,
                                                .is_cancelled = catalog->is_cancelled,
                                                .cancel_context = catalog->cancel_context};
    return storage_sts_ask(pool, &request, ret_answer, call->info);
}

/* Values that storage_sts_parse and ATTACH have looked at: none has what JSON would encode. */
static bool write_vended(const struct rest_catalog *catalog, struct slice location,
                         const struct storage_sts_answer *answer, struct secret *ret_text)
{
    char expires[32] = "";
    if (answer->expires_wall_us > 0) {
        (void)snprintf(expires, sizeof(expires), "%lld",
                       (long long)(answer->expires_wall_us / 1000));
    }
    const struct slice parts[] = {
        SLICE("[{\"prefix\":\""),
        location,
        SLICE("/\",\"config\":{\"s3.access-key-id\":\""),
        secret_slice(&answer->access_key),
        SLICE("\",\"s3.secret-access-key\":\""),
        secret_slice(&answer->secret_key),
        SLICE("\",\"s3.session-token\":\""),
        secret_slice(&answer->session_token),
        SLICE("\",\"s3.session-token-expires-at-ms\":\""),
        slice_of(expires),
        SLICE("\",\"client.region\":\""),
        catalog->region,
        SLICE("\",\"s3.endpoint\":\""),
        catalog->store_uri,
        SLICE("\",\"s3.path-style-access\":\""),
        catalog->store_uri.len > 0 ? SLICE("true") : SLICE("false"),
        SLICE("\"}}]"),
    };
    return secret_join(parts, ARRAY_COUNT(parts), ret_text);
}

enum err rest_metastore__vended(const struct rest_call *call, struct slice location,
                                struct rest_vended *ret_vended)
{
    struct storage_sts_answer answer CLEANUP(storage_sts_fini) = {0};
    struct secret text CLEANUP(secret_fini) = {0};
    struct buf policy CLEANUP(buf_fini) = {0};
    while (location.len > 0 && location.ptr[location.len - 1] == '/') {
        location.len--;
    }
    if (call->catalog->sts_uri.len == 0 || !storage_is_remote(location)) {
        *ret_vended = (struct rest_vended){0};
        return ERR_OK;
    }
    TRY(storage_sts_policy(location, &policy, call->info));
    TRY(rest_metastore__keys(call, buf_slice(&policy), &answer));
    if (!write_vended(call->catalog, location, &answer, &text)) {
        return errinfo_nomem(call->info);
    }
    return rest_vended__parse(call, secret_slice(&text), (struct slice){0}, ret_vended);
}

enum err metastore_lend(struct rest *rest, const struct rest_catalog *catalog,
                        const struct identity *who, const struct rest_namespace *ns,
                        struct slice name, struct slice location, struct rest_lent *ret_lent,
                        struct errinfo *info)
{
    struct rest_call call CLEANUP(rest_call__close) = {0};
    struct rest_vended vended CLEANUP(rest_vended__fini) = {0};
    struct rest_lent lent = {0};
    TRY(rest_call__open(rest, catalog, who, &call, info));
    TRY(rest_metastore__vended(&call, location, &vended));
    call.staged = location; /* where renewals find no table yet */
    TRY(rest_lend(&call, ns, name, (struct slice){0}, &vended, (struct slice){0}, &lent.grant,
                  &lent.who));
    *ret_lent = lent;
    return ERR_OK;
}
