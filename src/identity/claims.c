#include "identity/claims_int.h"

#include "base/buf.h"

#define ROLES_MAX 1024u
#define ATTRIBUTES_MAX 64u
#define VALUE_BYTES_MAX 8192u

/* Roles that only the warehouse gives: claims cannot make an administrator. */
static bool is_reserved(struct slice role)
{
    return slice_equal_fold(role, SLICE("public")) || slice_starts_with_fold(role, SLICE("moat_"));
}

/* The next name of a path, which moves behind it; "\." and "\\" stand for themselves. */
static bool next_name(struct slice *path, char *buffer, size_t buffer_bytes, struct slice *ret_name)
{
    size_t len = 0;
    size_t at = 0;
    for (; at < path->len && path->ptr[at] != '.'; at++) {
        if (path->ptr[at] == '\\' && at + 1 < path->len) {
            at++;
        }
        if (len == buffer_bytes) {
            return false;
        }
        buffer[len++] = path->ptr[at];
    }
    size_t skip = at < path->len ? at + 1 : at;
    *path = (struct slice){path->ptr + skip, path->len - skip};
    *ret_name = (struct slice){buffer, len};
    return len > 0;
}

const struct json *claims_find(const struct json *claims, struct slice path)
{
    char buffer[256];
    const struct json *node = claims;
    while (path.len > 0) {
        struct slice name;
        if (node == NULL || node->type != JSON_OBJECT ||
            !next_name(&path, buffer, sizeof(buffer), &name)) {
            return NULL;
        }
        const struct json *child = node->first;
        while (child != NULL && !slice_equal(child->key, name)) {
            child = child->next;
        }
        node = child;
    }
    return node == claims ? NULL : node;
}

/* The one text of a scalar; false for others. */
static bool scalar_text(const struct json *node, struct slice *ret_text)
{
    switch (node->type) {
    case JSON_STRING:
    case JSON_NUMBER:
        *ret_text = node->text;
        return true;
    case JSON_BOOL:
        *ret_text = node->boolean ? SLICE("true") : SLICE("false");
        return true;
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return false;
}

static bool holds(const struct json *node, struct slice value)
{
    struct slice text;
    if (node == NULL) {
        return false;
    }
    if (node->type != JSON_ARRAY) {
        return scalar_text(node, &text) && slice_equal(text, value);
    }
    for (const struct json *item = node->first; item != NULL; item = item->next) {
        if (scalar_text(item, &text) && slice_equal(text, value)) {
            return true;
        }
    }
    return false;
}

enum err claims_require(struct slice required, const struct json *claims, struct errinfo *info)
{
    struct slice item, path, value;
    while (list_next(&required, ',', &item)) {
        ASSERT(pair_split(item, &path, &value));
        if (!holds(claims_find(claims, path), value)) {
            return errinfo_set(info, ERR_DENIED, "28000",
                               "the claim \"%.*s\" is not what it must be", SLICE_ARGS(path));
        }
    }
    return ERR_OK;
}

/* ---- the name ---- */

static enum err no_subject(struct errinfo *info, const char *why)
{
    return errinfo_set(info, ERR_DENIED, "28000", "the claims name nobody: %s", why);
}

static enum err apply_subject(const struct oidc_options *options, const struct json *claims,
                              struct arena *arena, struct login *login, struct errinfo *info)
{
    const struct json *node = claims_find(claims, options->subject_claim);
    if (node == NULL || node->type != JSON_STRING) {
        return no_subject(info, "the subject's claim is absent or no text");
    }
    /* Anybody may have told the issuer any address; only a verified one is theirs. */
    if (slice_equal(options->subject_claim, SLICE("email")) &&
        !holds(claims_find(claims, SLICE("email_verified")), SLICE("true"))) {
        return no_subject(info, "the address is not verified");
    }
    login->subject = node->text;
    if (options->subject_rule.len > 0) {
        struct name_rule rule;
        bool applies = false;
        TRY(name_rule_parse(options->subject_rule, &rule, info));
        TRY(name_rule_apply(&rule, node->text, arena, &applies, &login->subject, info));
        if (!applies) {
            return no_subject(info, "no rule is for the subject");
        }
        login->may_be_owner = rule.is_exact;
    }
    return identity_name_is_valid(login->subject) ? ERR_OK
                                                  : no_subject(info, "it could be no user's name");
}

static void apply_display_name(const struct oidc_options *options, const struct json *claims,
                               struct login *login)
{
    const struct json *node = claims_find(claims, options->name_claim);
    if (node != NULL && node->type == JSON_STRING && identity_name_is_valid(node->text)) {
        login->display_name = node->text;
    }
}

/* ---- roles ---- */

struct roles {
    const struct oidc_options *options;
    struct slice *list;
    size_t count;
};

static bool is_allowed(const struct oidc_options *options, struct slice role)
{
    struct slice list = options->roles_allowed;
    struct slice pattern;
    while (list_next(&list, ',', &pattern)) {
        if (slice_equal(pattern, SLICE("*")) || pattern_matches(pattern, role)) {
            return true;
        }
    }
    return false;
}

/* What a name of theirs is here: by the map, else without the prefix, if it is allowed. */
static bool map_role(const struct oidc_options *options, struct slice theirs,
                     struct slice *ret_ours)
{
    struct slice list = options->role_map;
    struct slice item, left, right;
    while (list_next(&list, ',', &item)) {
        if (pair_split(item, &left, &right) && slice_equal(left, theirs)) {
            *ret_ours = right;
            return true;
        }
    }
    if (!slice_starts_with(theirs, options->role_prefix)) {
        return false;
    }
    struct slice role = {theirs.ptr + options->role_prefix.len,
                         theirs.len - options->role_prefix.len};
    *ret_ours = role;
    return is_allowed(options, role);
}

static void add_role(struct roles *roles, struct slice theirs)
{
    struct slice ours;
    if (roles->count < ROLES_MAX && map_role(roles->options, theirs, &ours) &&
        identity_name_is_valid(ours) && !is_reserved(ours)) {
        roles->list[roles->count++] = ours;
    }
}

static enum err apply_roles(const struct oidc_options *options, const struct json *claims,
                            struct arena *arena, struct login *login, struct errinfo *info)
{
    struct roles roles = {options, arena_calloc(arena, ROLES_MAX, sizeof(struct slice)), 0};
    struct slice paths = options->roles_claims;
    struct slice path;
    if (roles.list == NULL) {
        return errinfo_nomem(info);
    }
    while (list_next(&paths, ',', &path)) {
        const struct json *node = claims_find(claims, path);
        struct slice words, word;
        if (node != NULL && node->type == JSON_STRING) { /* as of "scope": words */
            words = node->text;
            while (list_next(&words, ' ', &word)) {
                add_role(&roles, word);
            }
        }
        bool is_list = node != NULL && node->type == JSON_ARRAY;
        for (const struct json *item = is_list ? node->first : NULL; item != NULL;
             item = item->next) {
            if (item->type == JSON_STRING) {
                add_role(&roles, item->text);
            }
        }
    }
    login->roles = roles.list;
    login->role_count = roles.count;
    return ERR_OK;
}

/* ---- attributes ---- */

/* A scalar as it is, a list of scalars as JSON; nothing for the rest. */
static enum err attribute_value(const struct json *node, struct arena *arena, bool *ret_has,
                                struct slice *ret_value, struct errinfo *info)
{
    struct slice text;
    struct buf list CLEANUP(buf_fini) = {0};
    *ret_has = scalar_text(node, &text);
    if (*ret_has) {
        *ret_has = text.len <= VALUE_BYTES_MAX;
        *ret_value = text;
        return ERR_OK;
    }
    if (node->type != JSON_ARRAY) {
        return ERR_OK;
    }
    for (const struct json *item = node->first; item != NULL; item = item->next) {
        if (!scalar_text(item, &text)) {
            return ERR_OK;
        }
    }
    json_write(&list, node);
    *ret_has = list.len <= VALUE_BYTES_MAX;
    return !buf_failed(&list) && arena_slice(arena, buf_slice(&list), ret_value)
               ? ERR_OK
               : errinfo_nomem(info);
}

static enum err apply_attributes(const struct oidc_options *options, const struct json *claims,
                                 struct arena *arena, struct login *login, struct errinfo *info)
{
    struct identity_attribute *attributes =
        arena_calloc(arena, ATTRIBUTES_MAX, sizeof(*attributes));
    struct slice list = options->attributes;
    struct slice item, name, path;
    size_t count = 0;
    if (attributes == NULL) {
        return errinfo_nomem(info);
    }
    while (list_next(&list, ',', &item) && count < ATTRIBUTES_MAX) {
        ASSERT(pair_split(item, &name, &path));
        const struct json *node = claims_find(claims, path);
        bool has = false;
        if (node != NULL) {
            TRY(attribute_value(node, arena, &has, &attributes[count].value, info));
        }
        if (has) {
            attributes[count++].name = name;
        }
    }
    login->attributes = attributes;
    login->attribute_count = count;
    return ERR_OK;
}

enum err claims_apply(const struct oidc_options *options, const struct json *claims,
                      struct arena *arena, struct login *login, struct errinfo *info)
{
    TRY(apply_subject(options, claims, arena, login, info));
    apply_display_name(options, claims, login);
    TRY(apply_roles(options, claims, arena, login, info));
    return apply_attributes(options, claims, arena, login, info);
}

/* ---- the rules themselves ---- */

static enum err bad_option(struct errinfo *info, const char *key, struct slice item,
                           const char *form)
{
    (void)errinfo_set(info, ERR_INVALID, "22023", "\"%s\" cannot be \"%.*s\"", key,
                      SLICE_ARGS(item));
    errinfo_hint(info, "Write %s.", form);
    return ERR_INVALID;
}

static enum err check_pairs(const char *key, struct slice list, const char *form, bool is_name_left,
                            bool is_name_right, struct errinfo *info)
{
    struct slice item, left, right;
    size_t count = 0;
    while (list_next(&list, ',', &item)) {
        if (!pair_split(item, &left, &right) || ++count > ATTRIBUTES_MAX ||
            (is_name_left && !identity_name_is_valid(left)) ||
            (is_name_right && !identity_name_is_valid(right))) {
            return bad_option(info, key, item, form);
        }
    }
    return ERR_OK;
}

/* An attribute twice would refuse every login. */
static enum err check_attributes(struct slice list, struct errinfo *info)
{
    struct slice item, name, path, other, other_name;
    while (list_next(&list, ',', &item)) {
        struct slice rest = list;
        ASSERT(pair_split(item, &name, &path));
        while (list_next(&rest, ',', &other)) {
            ASSERT(pair_split(other, &other_name, &path));
            if (slice_equal_fold(name, other_name)) {
                return bad_option(info, "oidc.attributes", other, "each attribute once");
            }
        }
    }
    return ERR_OK;
}

enum err claims_check_options(const struct oidc_options *options, struct errinfo *info)
{
    struct slice list = options->role_map;
    struct slice item, left, right;
    struct name_rule rule;
    TRY(check_pairs("oidc.required_claims", options->required_claims, "\"path=value, ...\"", false,
                    false, info));
    TRY(check_pairs("oidc.role_map", options->role_map, "\"theirs=ours, ...\"", false, true, info));
    TRY(check_pairs("oidc.attributes", options->attributes, "\"attribute=path, ...\"", true, false,
                    info));
    TRY(check_attributes(options->attributes, info));
    while (list_next(&list, ',', &item)) {
        if (pair_split(item, &left, &right) && is_reserved(right)) {
            return bad_option(info, "oidc.role_map", item, "roles other than Moat's own");
        }
    }
    return options->subject_rule.len == 0 ? ERR_OK
                                          : name_rule_parse(options->subject_rule, &rule, info);
}
