/* Signing in with a password: SCRAM over the store's verifiers, limits on tries, the audit trail.
 *
 * A user who does not exist, and one who has no password, get the verifier of nobody: the same
 * messages in the same time, and the same refusal at the end. */
#include "query/login.h"

#include "base/clock.h"
#include "base/mem.h"
#include "identity/guard.h"
#include "identity/scram.h"
#include "query/login/login_int.h"

struct password_login {
    struct warehouse *warehouse;
    struct arena *arena;
    struct slice user;
    struct slice address;
    struct slice client;
    struct scram_server *scram;
    bool is_mock; /* nobody's password */
    bool is_over; /* audited */
};

static enum err start_scram(struct password_login *login, const struct password_request *request,
                            struct errinfo *info)
{
    struct slice verifier;
    char mock[SCRAM_VERIFIER_BYTES];
    TRY(system_password_verifier(login->warehouse->system, login->user, login->arena, &verifier,
                                 info));
    /* Made for everybody: how long it takes must not tell. */
    TRY(scram_verifier_mock(system_mask_key(login->warehouse->system), login->user, mock, info));
    login->is_mock = verifier.len == 0;
    struct scram_server_spec spec = {.verifier = login->is_mock ? slice_of(mock) : verifier,
                                     .is_mock = login->is_mock,
                                     .is_plus = request->is_plus,
                                     .endpoint = request->endpoint};
    enum err err = scram_server_new(&spec, &login->scram, info);
    mem_wipe((void *)(uintptr_t)verifier.ptr, verifier.len);
    return err;
}

enum err password_login_open(struct warehouse *warehouse, const struct password_request *request,
                             struct password_login **ret_login, struct errinfo *info)
{
    struct login_refusal early = {.user = request->user, .client = request->client};
    TRY(login_check_tries(warehouse, request->address, request->user, &early, info));
    struct password_login *login CLEANUP(password_login_cleanup) = mem_calloc(1, sizeof(*login));
    if (login == NULL) {
        return errinfo_nomem(info);
    }
    login->warehouse = warehouse;
    login->is_over = true; /* until there is something to refuse */
    login->arena = arena_new(NULL, "login", 0);
    if (login->arena == NULL ||
        !arena_slice(login->arena, login_cut(request->user), &login->user) ||
        !arena_slice(login->arena, request->address, &login->address) ||
        !arena_slice(login->arena, login_cut(request->client), &login->client)) {
        return errinfo_nomem(info);
    }
    TRY(start_scram(login, request, info));
    login->is_over = false;
    *ret_login = TAKE(login);
    return ERR_OK;
}

static enum err audit_refusal(const struct password_login *login, const char *why,
                              struct errinfo *info)
{
    struct login_refusal refusal = {.user = login->user,
                                    .client = login->client,
                                    .provider = SLICE("password"),
                                    .reason = slice_of(why),
                                    .sqlstate = "28P01"};
    return login_audit_refusal(login->warehouse, &refusal, info);
}

void password_login_close(struct password_login *login)
{
    if (login == NULL) {
        return;
    }
    if (!login->is_over) {
        login_guard_blame(login->warehouse->guard, login->address, login->user, clock_mono_us());
        enum err ignored = audit_refusal(login, "the client gave up, or broke the exchange", NULL);
        (void)ignored; /* nobody got in, and the trail reports its own trouble */
    }
    scram_server_free(login->scram);
    arena_free(login->arena);
    mem_free(login);
}

static enum err refuse(struct password_login *login, const char *why, struct errinfo *info)
{
    TRY(audit_refusal(login, why, info));
    struct login_setup *setup CLEANUP(login_setup_cleanup) = NULL;
    TRY(login_setup_take(login->warehouse, &setup, info));
    (void)errinfo_set(info, ERR_DENIED, "28P01", "password authentication failed for user \"%.*s\"",
                      SLICE_ARGS(login->user));
    if (identity_chain_takes_tokens(login_setup_chain(setup))) { /* whoever they are */
        errinfo_hint(info, "A token or an API key is asked for with options=-c moat.login=token, "
                           "over TLS.");
    }
    return ERR_DENIED;
}

enum err password_login_first(struct password_login *login, struct slice message,
                              struct buf *ret_challenge, struct errinfo *info)
{
    return scram_server_first(login->scram, message, ret_challenge, info);
}

/* `*ret_who` stays NULL if it is wrong, and `why` says in what. */
static enum err evaluate(struct password_login *login, struct slice message, struct buf *ret_proof,
                         struct identity **ret_who, const char **ret_why, struct errinfo *info)
{
    bool is_right = false;
    TRY(scram_server_final(login->scram, message, ret_proof, &is_right, info));
    if (!is_right) {
        *ret_why = login->is_mock ? "there is no such user, or none with a password"
                                  : "the password is wrong";
        return ERR_OK;
    }
    enum err err = system_login(login->warehouse->system, login->user, SLICE(""), SLICE("password"),
                                login->client, ret_who, info);
    *ret_why = "the user was dropped meanwhile";
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* The proof is the try, not the exchange: that takes as long as the client likes. */
enum err password_login_final(struct password_login *login, struct slice message,
                              struct buf *ret_proof, struct identity **ret_identity,
                              struct errinfo *info)
{
    struct warehouse *warehouse = login->warehouse;
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct login_refusal early = {.user = login->user, .client = login->client};
    const char *why = "";
    login->is_over = true; /* counted and audited here */
    TRY(login_begin_try(warehouse, login->address, login->user, &early, info));
    enum err err = evaluate(login, message, ret_proof, &who, &why, info);
    login_guard_leave(warehouse->guard, login->address, login->user, who != NULL, clock_mono_us());
    if (err != ERR_OK) {
        struct errinfo trail;
        enum err audited =
            audit_refusal(login, "the client gave up, or broke the exchange", &trail);
        return audited == ERR_OK ? err : (*info = trail, audited);
    }
    if (who == NULL) {
        return refuse(login, why, info);
    }
    TRY(warehouse_audit_login(warehouse, who, info));
    *ret_identity = TAKE(who);
    return ERR_OK;
}
