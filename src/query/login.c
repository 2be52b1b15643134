/* Signing in with a password: SCRAM over the store's verifiers, limits on tries, the audit trail.
 *
 * A user who does not exist, and one who has no password, get the verifier of nobody: the same
 * messages in the same time, and the same refusal at the end. */
#include "base/clock.h"
#include "base/mem.h"
#include "identity/guard.h"
#include "identity/scram.h"
#include "query/query_int.h"

#define CLAIMED_BYTES_MAX 256u

struct password_login {
    struct warehouse *warehouse;
    struct arena *arena;
    struct slice user;
    struct slice address;
    struct slice client;
    struct scram_server *scram;
    bool is_over; /* audited */
};

static enum err audit_refusal(struct warehouse *warehouse, struct slice user, struct slice client,
                              const char *sqlstate, struct errinfo *info)
{
    char id[UUID_TEXT_BYTES];
    TRY(uuid_new(id));
    bool is_printable = identity_name_is_valid(user);
    struct audit_record record = {.kind = AUDIT_LOGIN,
                                  .is_lazy = true,
                                  .query_id = slice_of(id),
                                  .claimed_user = is_printable ? user : SLICE("(not a name)"),
                                  .claimed_client = client,
                                  .command = SLICE("LOGIN"),
                                  .state = SLICE("FAILED"),
                                  .sqlstate = slice_of(sqlstate)};
    return audit_write(warehouse->audit, &record, info);
}

static enum err check_tries(struct warehouse *warehouse, const struct password_request *request,
                            struct errinfo *info)
{
    int64_t wait_us;
    if (login_guard_enter(warehouse->guard, request->address, request->user, clock_mono_us(),
                          &wait_us)) {
        return ERR_OK;
    }
    TRY(audit_refusal(warehouse, request->user, request->client, "53300", info));
    (void)errinfo_set(info, ERR_BUSY, "53300", "too many wrong passwords");
    errinfo_hint(info, "Try again in %lld seconds.", (long long)((wait_us + 999999) / 1000000));
    return ERR_BUSY;
}

static struct slice cut(struct slice text)
{
    return (struct slice){text.ptr, text.len < CLAIMED_BYTES_MAX ? text.len : CLAIMED_BYTES_MAX};
}

static enum err start_scram(struct password_login *login, const struct password_request *request,
                            struct errinfo *info)
{
    struct slice verifier;
    char mock[SCRAM_VERIFIER_BYTES];
    TRY(system_password_verifier(login->warehouse->system, login->user, login->arena, &verifier,
                                 info));
    /* Made for everybody: how long it takes must not tell. */
    TRY(scram_verifier_mock(system_mask_key(login->warehouse->system), login->user, mock, info));
    bool is_mock = verifier.len == 0;
    struct scram_server_spec spec = {.verifier = is_mock ? slice_of(mock) : verifier,
                                     .is_mock = is_mock,
                                     .is_plus = request->is_plus,
                                     .endpoint = request->endpoint};
    enum err err = scram_server_new(&spec, &login->scram, info);
    mem_wipe((void *)(uintptr_t)verifier.ptr, verifier.len);
    return err;
}

enum err password_login_open(struct warehouse *warehouse, const struct password_request *request,
                             struct password_login **ret_login, struct errinfo *info)
{
    TRY(check_tries(warehouse, request, info));
    struct password_login *login CLEANUP(password_login_cleanup) = mem_calloc(1, sizeof(*login));
    if (login == NULL) {
        return errinfo_nomem(info);
    }
    login->warehouse = warehouse;
    login->is_over = true; /* until there is something to refuse */
    login->arena = arena_new(NULL, "login", 0);
    if (login->arena == NULL || !arena_slice(login->arena, cut(request->user), &login->user) ||
        !arena_slice(login->arena, request->address, &login->address) ||
        !arena_slice(login->arena, cut(request->client), &login->client)) {
        return errinfo_nomem(info);
    }
    TRY(start_scram(login, request, info));
    login->is_over = false;
    *ret_login = TAKE(login);
    return ERR_OK;
}

void password_login_close(struct password_login *login)
{
    if (login == NULL) {
        return;
    }
    if (!login->is_over) {
        enum err ignored =
            audit_refusal(login->warehouse, login->user, login->client, "28P01", NULL);
        (void)ignored; /* nobody got in, and the trail reports its own trouble */
    }
    scram_server_free(login->scram);
    arena_free(login->arena);
    mem_free(login);
}

static enum err refuse(struct password_login *login, struct errinfo *info)
{
    login->is_over = true;
    TRY(audit_refusal(login->warehouse, login->user, login->client, "28P01", info));
    return errinfo_set(info, ERR_DENIED, "28P01",
                       "password authentication failed for user \"%.*s\"", SLICE_ARGS(login->user));
}

enum err password_login_first(struct password_login *login, struct slice message,
                              struct buf *ret_challenge, struct errinfo *info)
{
    return scram_server_first(login->scram, message, ret_challenge, info);
}

enum err password_login_final(struct password_login *login, struct slice message,
                              struct buf *ret_proof, struct identity **ret_identity,
                              struct errinfo *info)
{
    struct warehouse *warehouse = login->warehouse;
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    bool is_right = false;
    TRY(scram_server_final(login->scram, message, ret_proof, &is_right, info));
    if (!is_right) {
        return refuse(login, info);
    }
    enum err err = system_login(warehouse->system, login->user, SLICE(""), SLICE("password"),
                                login->client, &who, info);
    if (err == ERR_NOT_FOUND) { /* dropped meanwhile */
        return refuse(login, info);
    }
    TRY(err);
    login_guard_succeeded(warehouse->guard, login->address, login->user, clock_mono_us());
    login->is_over = true;
    TRY(warehouse_audit_login(warehouse, who, info));
    *ret_identity = TAKE(who);
    return ERR_OK;
}
