/* What the trail says of those who were not let in. */
#include "base/clock.h"
#include "identity/guard.h"
#include "query/login/login_int.h"

#define CLIENT_BYTES_MAX 256u

struct slice login_cut(struct slice text)
{
    size_t len = text.len < CLIENT_BYTES_MAX ? text.len : CLIENT_BYTES_MAX;
    while (len < text.len && len > 0 && ((unsigned char)text.ptr[len] & 0xC0) == 0x80) {
        len--;
    }
    return (struct slice){text.ptr, len};
}

enum err login_audit_refusal(struct warehouse *warehouse, const struct login_refusal *refusal,
                             struct errinfo *info)
{
    char id[UUID_TEXT_BYTES];
    TRY(uuid_new(id));
    bool is_printable = refusal->user.len == 0 || identity_name_is_valid(refusal->user);
    struct audit_record record = {.kind = AUDIT_LOGIN,
                                  .is_lazy = true,
                                  .query_id = slice_of(id),
                                  .claimed_user =
                                      is_printable ? refusal->user : SLICE("(not a name)"),
                                  .claimed_client = login_cut(refusal->client),
                                  .reason = refusal->reason,
                                  .refused_by = refusal->provider,
                                  .command = SLICE("LOGIN"),
                                  .state = SLICE("FAILED"),
                                  .sqlstate = slice_of(refusal->sqlstate)};
    return audit_write(warehouse->audit, &record, info);
}

static enum err refuse_try(struct warehouse *warehouse, const struct login_guard_refusal *refused,
                           const struct login_refusal *who, struct errinfo *info)
{
    if (refused->is_news) {
        struct login_refusal refusal = *who;
        refusal.reason = SLICE("too many tries");
        refusal.sqlstate = "53300";
        TRY(login_audit_refusal(warehouse, &refusal, info));
    }
    (void)errinfo_set(info, ERR_BUSY, "53300", "too many tries to sign in");
    errinfo_hint(info, "Try again in %lld seconds.",
                 (long long)((refused->wait_us + 999999) / 1000000));
    return ERR_BUSY;
}

enum err login_check_tries(struct warehouse *warehouse, struct slice address, struct slice account,
                           const struct login_refusal *who, struct errinfo *info)
{
    struct login_guard_refusal refused;
    return login_guard_look(warehouse->guard, address, account, clock_mono_us(), &refused)
               ? ERR_OK
               : refuse_try(warehouse, &refused, who, info);
}

enum err login_begin_try(struct warehouse *warehouse, struct slice address, struct slice account,
                         const struct login_refusal *who, struct errinfo *info)
{
    struct login_guard_refusal refused;
    return login_guard_enter(warehouse->guard, address, account, &refused)
               ? ERR_OK
               : refuse_try(warehouse, &refused, who, info);
}
