/* Identities: built once, never changed, shared by count.
 *
 * All text lives in one arena that dies with the last reference. Roles and attributes are sorted,
 * so that look-ups are binary searches and equal identities have one canonical form. Rejected: a
 * lock and mutable roles (a session would change under a running query). */
#include "identity/identity.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "identity/identity_int.h"

#define VALUE_BYTES_MAX (64u * 1024)
#define ROLES_MAX 65536u
#define ATTRIBUTES_MAX 4096u

struct identity {
    atomic_uint references;
    struct arena *arena;
    struct slice subject;
    struct slice display_name;
    struct slice provider;
    struct slice actor;
    struct slice client;
    bool is_owner;
    struct slice *roles;
    size_t role_count;
    struct identity_attribute *attributes;
    size_t attribute_count;
    int64_t expires_wall_us;
    int64_t principal;
    uint64_t fingerprint;
    char session_id[UUID_TEXT_BYTES];
    struct identity_sign_in sign_in; /* texts in the arena, the credential counted */
};

/* Keys the fingerprints of this process, so that nobody can prepare names that collide. */
static struct {
    pthread_once_t once;
    enum err err;
    uint64_t seed;
} fingerprint = {.once = PTHREAD_ONCE_INIT};

static void make_seed(void)
{
    fingerprint.err = random_bytes(&fingerprint.seed, sizeof(fingerprint.seed));
}

uint32_t identity__character(struct slice text, size_t *offset)
{
    const unsigned char *b = (const unsigned char *)text.ptr + *offset;
    size_t len = b[0] < 0x80 ? 1 : b[0] >= 0xF0 ? 4 : b[0] >= 0xE0 ? 3 : 2;
    ASSERT(len <= text.len - *offset);
    uint32_t c = len == 1 ? b[0] : b[0] & (0x7Fu >> len);
    for (size_t i = 1; i < len; i++) {
        c = c << 6 | (b[i] & 0x3Fu);
    }
    *offset += len;
    return c;
}

/* Characters that a reader of an audit trail would not see as what they are. */
static bool is_unseen(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || (c >= 0x200B && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x2069) || c == 0xFEFF;
}

static bool is_readable(struct slice text)
{
    if (!slice_is_utf8(text, NULL)) {
        return false;
    }
    for (size_t offset = 0; offset < text.len;) {
        if (is_unseen(identity__character(text, &offset))) {
            return false;
        }
    }
    return true;
}

bool identity_name_is_valid(struct slice name)
{
    return name.len > 0 && name.len <= IDENTITY_NAME_BYTES_MAX && is_readable(name);
}

/* The name itself is not repeated: it may be what would garble the reader's screen. */
static enum err bad_name(struct errinfo *info, const char *what)
{
    (void)errinfo_set(info, ERR_INVALID, "42602", "the name of %s is not valid", what);
    errinfo_hint(info, "Names have 1 to %d bytes of UTF-8 without control characters.",
                 IDENTITY_NAME_BYTES_MAX);
    return ERR_INVALID;
}

static enum err check_names(const struct identity_spec *spec, struct errinfo *info)
{
    if (!identity_name_is_valid(spec->subject)) {
        return bad_name(info, "a person");
    }
    if (!identity_name_is_valid(spec->provider)) {
        return bad_name(info, "an identity provider");
    }
    if (spec->actor.len > 0 && !identity_name_is_valid(spec->actor)) {
        return bad_name(info, "an acting person");
    }
    if (spec->display_name.len > VALUE_BYTES_MAX || !is_readable(spec->display_name)) {
        return bad_name(info, "a person, as displayed,");
    }
    if (spec->client.len > VALUE_BYTES_MAX || !is_readable(spec->client)) {
        return bad_name(info, "a client");
    }
    return ERR_OK;
}

static enum err check_roles(const struct slice *roles, size_t count, struct errinfo *info)
{
    for (size_t i = 0; i < count; i++) {
        if (!identity_name_is_valid(roles[i])) {
            return bad_name(info, "a role");
        }
    }
    return ERR_OK;
}

static enum err check_attributes(const struct identity_attribute *attributes, size_t count,
                                 struct errinfo *info)
{
    for (size_t i = 0; i < count; i++) {
        struct slice value = attributes[i].value;
        if (!identity_name_is_valid(attributes[i].name)) {
            return bad_name(info, "an attribute");
        }
        if (value.len > VALUE_BYTES_MAX || !slice_is_utf8(value, NULL) ||
            (value.len > 0 && memchr(value.ptr, '\0', value.len) != NULL)) {
            (void)errinfo_set(info, ERR_INVALID, "22023",
                              "the value of attribute \"%.*s\" is not valid",
                              SLICE_ARGS(attributes[i].name));
            errinfo_hint(info, "Values are UTF-8 without NUL, at most %u bytes.", VALUE_BYTES_MAX);
            return ERR_INVALID;
        }
    }
    return ERR_OK;
}

static int compare_roles(const void *a, const void *b)
{
    return slice_compare_fold(*(const struct slice *)a, *(const struct slice *)b);
}

static int compare_attributes(const void *a, const void *b)
{
    return slice_compare_fold(((const struct identity_attribute *)a)->name,
                              ((const struct identity_attribute *)b)->name);
}

static enum err copy_names(struct arena *arena, const struct slice *from, size_t count,
                           struct slice *to, struct errinfo *info)
{
    for (size_t i = 0; i < count; i++) {
        if (!arena_slice(arena, from[i], &to[i])) {
            return errinfo_nomem(info);
        }
    }
    return ERR_OK;
}

/* Of the store and of the sign-in. */
static enum err copy_roles(struct identity *who, const struct identity_spec *spec,
                           struct errinfo *info)
{
    const struct identity_sign_in *sign_in = &who->sign_in;
    size_t count = spec->role_count + sign_in->role_count;
    struct slice *roles = arena_calloc(who->arena, count, sizeof(*roles));
    if (roles == NULL) {
        return errinfo_nomem(info);
    }
    TRY(copy_names(who->arena, spec->roles, spec->role_count, roles, info));
    for (size_t i = 0; i < sign_in->role_count; i++) {
        roles[spec->role_count + i] = sign_in->roles[i];
    }
    qsort(roles, count, sizeof(*roles), compare_roles);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || !slice_equal_fold(roles[i], roles[who->role_count - 1])) {
            roles[who->role_count++] = roles[i];
        }
    }
    who->roles = roles;
    return ERR_OK;
}

static bool has_attribute(const struct identity_spec *spec, struct slice name)
{
    for (size_t i = 0; i < spec->attribute_count; i++) {
        if (slice_equal_fold(spec->attributes[i].name, name)) {
            return true;
        }
    }
    return false;
}

static bool copy_list(struct arena *arena, const struct identity_attribute *from, size_t count,
                      struct identity_attribute *to)
{
    for (size_t i = 0; i < count; i++) {
        if (!arena_slice(arena, from[i].name, &to[i].name) ||
            !arena_slice(arena, from[i].value, &to[i].value)) {
            return false;
        }
    }
    return true;
}

/* Of the store, and of the sign-in what the store has not. */
static enum err copy_attributes(struct identity *who, const struct identity_spec *spec,
                                struct errinfo *info)
{
    const struct identity_sign_in *sign_in = &who->sign_in;
    size_t count = spec->attribute_count;
    struct identity_attribute *attributes =
        arena_calloc(who->arena, count + sign_in->attribute_count, sizeof(*attributes));
    if (attributes == NULL || !copy_list(who->arena, spec->attributes, count, attributes)) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < sign_in->attribute_count; i++) {
        if (!has_attribute(spec, sign_in->attributes[i].name)) {
            attributes[count++] = sign_in->attributes[i];
        }
    }
    qsort(attributes, count, sizeof(*attributes), compare_attributes);
    for (size_t i = 1; i < count; i++) {
        if (slice_equal_fold(attributes[i].name, attributes[i - 1].name)) {
            return errinfo_set(info, ERR_INVALID, "22023",
                               "attribute \"%.*s\" is given more than once",
                               SLICE_ARGS(attributes[i].name));
        }
    }
    who->attributes = attributes;
    who->attribute_count = count;
    return ERR_OK;
}

static enum err copy_sign_in(struct identity *who, const struct identity_sign_in *from,
                             struct errinfo *info)
{
    struct identity_sign_in *to = &who->sign_in;
    if (from == NULL) {
        return ERR_OK;
    }
    struct slice *roles = arena_calloc(who->arena, from->role_count, sizeof(*roles));
    struct identity_attribute *attributes =
        arena_calloc(who->arena, from->attribute_count, sizeof(*attributes));
    if (roles == NULL || attributes == NULL ||
        !copy_list(who->arena, from->attributes, from->attribute_count, attributes)) {
        return errinfo_nomem(info);
    }
    TRY(copy_names(who->arena, from->roles, from->role_count, roles, info));
    struct slice api_key;
    if (!arena_slice(who->arena, from->api_key, &api_key)) {
        return errinfo_nomem(info);
    }
    *to = *from;
    to->api_key = api_key;
    to->roles = roles;
    to->attributes = attributes;
    to->credential = identity_credential_ref(from->credential);
    return ERR_OK;
}

static enum err copy_texts(struct identity *who, const struct identity_spec *spec,
                           struct errinfo *info)
{
    bool copied = arena_slice(who->arena, spec->subject, &who->subject) &&
                  arena_slice(who->arena, spec->display_name, &who->display_name) &&
                  arena_slice(who->arena, spec->provider, &who->provider) &&
                  arena_slice(who->arena, spec->actor, &who->actor) &&
                  arena_slice(who->arena, spec->client, &who->client);
    return copied ? ERR_OK : errinfo_nomem(info);
}

static void append_count(struct buf *out, uint64_t count)
{
    buf_append(out, &count, sizeof(count));
}

static void append_text(struct buf *out, struct slice text)
{
    append_count(out, text.len);
    buf_append_slice(out, text);
}

static void append_folded(struct buf *out, struct slice text)
{
    append_count(out, text.len);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        buf_append_char(out, c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
    }
}

/* Every text behind its length and every list behind its count: no two identities that policy
 * could tell apart have one encoding. */
static enum err make_fingerprint(struct identity *who, struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    append_text(&text, who->subject);
    append_count(&text, (who->is_owner ? 1u : 0) + (who->sign_in.is_separate ? 2u : 0));
    append_count(&text, who->role_count);
    for (size_t i = 0; i < who->role_count; i++) {
        append_folded(&text, who->roles[i]);
    }
    append_count(&text, who->attribute_count);
    for (size_t i = 0; i < who->attribute_count; i++) {
        append_folded(&text, who->attributes[i].name);
        append_text(&text, who->attributes[i].value);
    }
    if (buf_failed(&text)) {
        return errinfo_nomem(info);
    }
    who->fingerprint = hash_xx64(buf_slice(&text), fingerprint.seed);
    return ERR_OK;
}

static enum err check_spec(const struct identity_spec *spec, const struct identity_sign_in *sign_in,
                           struct errinfo *info)
{
    if (spec->role_count > ROLES_MAX || spec->attribute_count > ATTRIBUTES_MAX ||
        sign_in->role_count > ROLES_MAX - spec->role_count ||
        sign_in->attribute_count > ATTRIBUTES_MAX - spec->attribute_count) {
        return errinfo_set(info, ERR_LIMIT, NULL,
                           "an identity has at most %u roles and %u attributes", ROLES_MAX,
                           ATTRIBUTES_MAX);
    }
    TRY(check_names(spec, info));
    TRY(check_roles(spec->roles, spec->role_count, info));
    TRY(check_roles(sign_in->roles, sign_in->role_count, info));
    TRY(check_attributes(spec->attributes, spec->attribute_count, info));
    return check_attributes(sign_in->attributes, sign_in->attribute_count, info);
}

enum err identity_new(const struct identity_spec *spec, struct identity **ret_identity,
                      struct errinfo *info)
{
    (void)pthread_once(&fingerprint.once, make_seed);
    if (fingerprint.err != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "there are no random numbers");
    }
    static const struct identity_sign_in nothing;
    TRY(check_spec(spec, spec->sign_in != NULL ? spec->sign_in : &nothing, info));
    struct identity *who CLEANUP(identity_cleanup) = mem_calloc(1, sizeof(*who));
    if (who == NULL) {
        return errinfo_nomem(info);
    }
    atomic_init(&who->references, 1);
    who->is_owner = spec->is_owner;
    who->expires_wall_us = spec->expires_wall_us;
    who->principal = spec->principal;
    who->arena = arena_new(NULL, "identity", 0);
    if (who->arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(copy_texts(who, spec, info));
    TRY(copy_sign_in(who, spec->sign_in, info));
    TRY(copy_roles(who, spec, info));
    TRY(copy_attributes(who, spec, info));
    TRY(make_fingerprint(who, info));
    if (spec->session_id.len == UUID_TEXT_BYTES - 1) {
        memcpy(who->session_id, spec->session_id.ptr, spec->session_id.len);
    } else if (uuid_new(who->session_id) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "there are no random numbers");
    }
    *ret_identity = TAKE(who);
    return ERR_OK;
}

struct identity *identity_ref(struct identity *identity)
{
    unsigned before = atomic_fetch_add_explicit(&identity->references, 1, memory_order_relaxed);
    ASSERT(before > 0 && before < UINT32_MAX);
    return identity;
}

void identity_unref(struct identity *identity)
{
    if (identity == NULL) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&identity->references, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before == 1) {
        identity_credential_unref(identity->sign_in.credential);
        arena_free(identity->arena);
        mem_free(identity);
    }
}

struct slice identity_subject(const struct identity *who)
{
    return who->subject;
}

struct slice identity_display_name(const struct identity *who)
{
    return who->display_name;
}

struct slice identity_provider(const struct identity *who)
{
    return who->provider;
}

struct slice identity_actor(const struct identity *who)
{
    return who->actor;
}

struct slice identity_client(const struct identity *who)
{
    return who->client;
}

struct slice identity_session_id(const struct identity *who)
{
    return (struct slice){who->session_id, UUID_TEXT_BYTES - 1};
}

int64_t identity_principal(const struct identity *who)
{
    return who->principal;
}

int64_t identity_expiry(const struct identity *who)
{
    return who->expires_wall_us;
}

bool identity_is_owner(const struct identity *who)
{
    return who->is_owner;
}

bool identity_has_role(const struct identity *who, struct slice role)
{
    return who->role_count > 0 &&
           bsearch(&role, who->roles, who->role_count, sizeof(role), compare_roles) != NULL;
}

size_t identity_role_count(const struct identity *who)
{
    return who->role_count;
}

struct slice identity_role(const struct identity *who, size_t index)
{
    ASSERT(index < who->role_count);
    return who->roles[index];
}

bool identity_attribute(const struct identity *who, struct slice name, struct slice *ret_value)
{
    struct identity_attribute key = {.name = name};
    const struct identity_attribute *found =
        who->attribute_count == 0
            ? NULL
            : bsearch(&key, who->attributes, who->attribute_count, sizeof(key), compare_attributes);
    if (found == NULL) {
        return false;
    }
    *ret_value = found->value;
    return true;
}

size_t identity_attribute_count(const struct identity *who)
{
    return who->attribute_count;
}

struct identity_attribute identity_attribute_at(const struct identity *who, size_t index)
{
    ASSERT(index < who->attribute_count);
    return who->attributes[index];
}

const struct identity_sign_in *identity_sign_in(const struct identity *who)
{
    return &who->sign_in;
}

struct identity_credential *identity__credential(const struct identity *who)
{
    return who->sign_in.credential;
}

bool identity_is_expired(const struct identity *who, int64_t now_wall_us)
{
    return who->expires_wall_us != 0 && now_wall_us >= who->expires_wall_us;
}

uint64_t identity_fingerprint(const struct identity *who)
{
    return who->fingerprint;
}
