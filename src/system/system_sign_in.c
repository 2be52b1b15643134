/* From somebody a provider vouches for to an identity: what accounts of the store have to do with
 * them. A name alone is nobody's account: who may have which is the configuration's to say. */
#include "system/credentials.h"
#include "system/system_int.h"

static enum err refuse(struct errinfo *info, const char *why)
{
    return errinfo_set(info, ERR_DENIED, "28000", "%s", why);
}

/* With their account, found by name, or by number where the provider knows that. */
static enum err load_account(struct system *system, const struct login *login, struct arena *arena,
                             struct identity_spec *spec, struct errinfo *info)
{
    enum err err = system__load_person(system, login->subject, arena, spec, info);
    if (err == ERR_NOT_FOUND) {
        return login->account == LOGIN_ACCOUNT_REQUIRED
                   ? refuse(info, "there is no such user in the warehouse")
                   : ERR_NOT_FOUND;
    }
    TRY(err);
    if (login->principal != 0 && login->principal != spec->principal) {
        return refuse(info, "the user is another one of the same name");
    }
    if (spec->is_owner && !login->may_be_owner) {
        return refuse(info, "no rule says in so many words that this is the warehouse's owner");
    }
    return ERR_OK;
}

static enum err is_taken(struct system *system, struct slice name, bool *ret_taken,
                         struct errinfo *info)
{
    int64_t ignored;
    return system__number(system, "SELECT id FROM principal WHERE name = ?1 AND is_role = 0",
                          VALUES(TEXT(name)), ret_taken, &ignored, info);
}

/* Without one: nobody else may be called so, for grants and tables belong to names. */
static enum err load_stranger(struct system *system, const struct login *login,
                              struct identity_spec *spec, struct errinfo *info)
{
    static const struct slice everybody[] = {{SYSTEM_PUBLIC, sizeof(SYSTEM_PUBLIC) - 1}};
    bool taken = false;
    TRY(is_taken(system, login->subject, &taken, info));
    if (taken) {
        return refuse(info, "a user of the warehouse has the same name");
    }
    spec->subject = login->subject;
    spec->roles = everybody;
    spec->role_count = ARRAY_COUNT(everybody);
    return ERR_OK;
}

static enum err load(struct system *system, const struct login *login, struct arena *arena,
                     struct identity_spec *spec, bool *ret_is_separate, struct errinfo *info)
{
    enum err err = ERR_NOT_FOUND;
    if (login->account != LOGIN_ACCOUNT_SEPARATE) {
        err = load_account(system, login, arena, spec, info);
    }
    *ret_is_separate = err == ERR_NOT_FOUND;
    return err == ERR_NOT_FOUND ? load_stranger(system, login, spec, info) : err;
}

enum err system_sign_in(struct system *system, const struct login *login, struct slice client,
                        struct slice session_id, struct identity **ret_identity,
                        struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "sign in", 0);
    struct identity_sign_in sign_in = {.roles = login->roles,
                                       .role_count = login->role_count,
                                       .attributes = login->attributes,
                                       .attribute_count = login->attribute_count,
                                       .credential = login->credential,
                                       .api_key = login->api_key};
    struct identity_spec spec = {.provider = login->provider,
                                 .client = client,
                                 .display_name = login->display_name,
                                 .expires_wall_us = login->expires_wall_us,
                                 .session_id = session_id,
                                 .sign_in = &sign_in};
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(system__read_begin(system, info));
    enum err err = load(system, login, arena, &spec, &sign_in.is_separate, info);
    system__read_end(system);
    TRY(err);
    return identity_new(&spec, ret_identity, info);
}

/* ---- later ---- */

static enum err signed_out(struct errinfo *info, const char *why)
{
    (void)errinfo_set(info, ERR_DENIED, "28000", "%s", why);
    errinfo_hint(info, "Connect anew, and sign in again.");
    return ERR_DENIED;
}

enum err system__check_sign_in(struct system *system, const struct identity *who,
                               struct errinfo *info)
{
    const struct identity_sign_in *sign_in = identity_sign_in(who);
    bool is_found = false;
    int64_t ignored;
    if (sign_in->is_separate) {
        TRY(is_taken(system, identity_subject(who), &is_found, info));
        return is_found ? signed_out(info, "the session's name now belongs to a user of the "
                                           "warehouse")
                        : ERR_OK;
    }
    if (sign_in->api_key.len == 0) {
        return ERR_OK;
    }
    TRY(system__number(system, "SELECT id FROM api_key WHERE prefix = ?1 AND revoked_wall_us = 0",
                       VALUES(TEXT(sign_in->api_key)), &is_found, &ignored, info));
    return is_found ? ERR_OK : signed_out(info, "the session's API key was taken back");
}
