/* Who asks. Nothing that touches data can be called without one of these; there is no NULL and no
 * "system" identity on a data path.
 *
 * An identity is immutable once built and reference-counted; any thread may read it. Roles are
 * the full, resolved set (nested membership included), sorted, without duplicates. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"

struct identity_attribute {
    struct slice name;
    struct slice value;
};

struct identity;

/* Tokens that systems are asked with on behalf of a person: identity/provider.h. Counted; wiped
 * with the last reference. */
struct identity_credential;
struct identity_credential *identity_credential_ref(struct identity_credential *credential);
void identity_credential_unref(struct identity_credential *credential);

/* What a sign-in brings along beside what the store knows of the person. */
struct identity_sign_in {
    const struct slice *roles;
    size_t role_count;
    const struct identity_attribute *attributes; /* where the store has one of the name, it wins */
    size_t attribute_count;
    struct identity_credential *credential; /* referred to; may be NULL */
    struct slice api_key;                   /* prefix of the key it was made with; empty = none */
    bool is_separate;                       /* nobody in the store may have this name */
};

/* What a provider knows about a person; copied by identity_new. */
struct identity_spec {
    struct slice subject;      /* stable name of the person: a user of the warehouse */
    struct slice display_name; /* for people; may be empty */
    struct slice provider;     /* "local", "password", "oidc", ... */
    struct slice actor;        /* the person who acts as `subject` (moat --as), or empty */
    struct slice client;       /* "embedded", or address and program of a remote client */
    bool is_owner;             /* owns the warehouse: sees raw data, may administer */
    const struct slice *roles;
    size_t role_count;
    const struct identity_attribute *attributes;
    size_t attribute_count;
    int64_t expires_wall_us; /* 0 = does not expire */
    int64_t principal; /* the store's number of the person, never given again; 0 = not of it */
    struct slice session_id;                /* of the session that goes on; empty = a new one */
    const struct identity_sign_in *sign_in; /* NULL = nothing */
};

/* What a user, role or attribute may be called: 1-128 bytes of UTF-8 without control characters
 * (C0, DEL, C1, line and paragraph separators) and without marks that reorder or hide text. */
#define IDENTITY_NAME_BYTES_MAX 128
bool identity_name_is_valid(struct slice name);

/* ERR_INVALID for names that are not valid (above), two attributes of one name, and values that
 * are not UTF-8 or hold NUL. Generates a session id. */
MUST_USE enum err identity_new(const struct identity_spec *spec, struct identity **ret_identity,
                               struct errinfo *info);
struct identity *identity_ref(struct identity *identity);
void identity_unref(struct identity *identity);

struct slice identity_subject(const struct identity *who);
struct slice identity_display_name(const struct identity *who);
struct slice identity_provider(const struct identity *who);
struct slice identity_actor(const struct identity *who); /* empty: acts for themself */
struct slice identity_client(const struct identity *who);
struct slice identity_session_id(const struct identity *who);
int64_t identity_principal(const struct identity *who);
int64_t identity_expiry(const struct identity *who); /* wall clock, us; 0 = does not expire */
bool identity_is_owner(const struct identity *who);
bool identity_has_role(const struct identity *who, struct slice role); /* folds case */
size_t identity_role_count(const struct identity *who);
struct slice identity_role(const struct identity *who, size_t index);

/* False if the person has no such attribute. Names fold case. */
bool identity_attribute(const struct identity *who, struct slice name, struct slice *ret_value);
size_t identity_attribute_count(const struct identity *who);
struct identity_attribute identity_attribute_at(const struct identity *who, size_t index);

/* What the sign-in brought along, for who makes the identity anew. Lives as long as `who`. */
const struct identity_sign_in *identity_sign_in(const struct identity *who);

bool identity_is_expired(const struct identity *who, int64_t now_wall_us);

/* Hash over all that policy can depend on (subject, roles, attributes, ownership): the identity's
 * part of every cache key. Equal identities hash equal in one process. */
uint64_t identity_fingerprint(const struct identity *who);

DEFINE_CLEANUP(struct identity, identity_cleanup, identity_unref)

/* The name of the OS user that runs this process, in `arena`. ERR_NOT_FOUND if it has none. */
MUST_USE enum err identity_os_user(struct arena *arena, struct slice *ret_name,
                                   struct errinfo *info);

/* SCRAM-SHA-256 verifier of RFC 5803 as PostgreSQL stores it:
 * "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>". The password is not kept. */
#define SCRAM_ITERATIONS_DEFAULT 4096u /* RFC 7677: at least; fewer are refused */
#define SCRAM_ITERATIONS_MAX 1000000u  /* also of stored ones: a check must end */
#define SCRAM_VERIFIER_BYTES 192
MUST_USE enum err scram_verifier_new(struct slice password, uint32_t iterations,
                                     char ret_verifier[SCRAM_VERIFIER_BYTES], struct errinfo *info);

/* True if `password` belongs to `verifier`; constant time in the key comparison. */
MUST_USE bool scram_verifier_check(struct slice verifier, struct slice password);

/* True if the text has the form above: what the store accepts as a verifier. */
MUST_USE bool scram_verifier_is_valid(struct slice verifier);
