/* Answers: bytes of a server that is asked with people's tokens, and trusted with nothing else. */
#include "catalog/rest/rest_answer_int.h"
#include "catalog/rest/glue/glue_int.h"
#include "catalog/rest/rest_plan_int.h"

#include <ctype.h>

#define NODES_MAX 4000000u
#define DEPTH_MAX 64u
#define TYPE_BYTES_MAX 64
#define TOLD_BYTES_MAX 200

static const char *specification(const struct rest_catalog *catalog)
{
    return catalog->protocol == REST_PROTOCOL_GLUE ? "AWS Glue" : "the REST specification";
}

enum err(rest_answer__wrong)(const struct rest_call *call, const char *what)
{
    return errinfo_set(call->info, ERR_CORRUPT, "08P01",
                       "catalog \"%.*s\" answers what %s does not know: %s",
                       SLICE_ARGS(call->catalog->name), specification(call->catalog), what);
}

enum err rest_answer__json(const struct rest_call *call, struct slice text, struct arena *arena,
                           struct json **ret_root)
{
    static const struct json_limits limits = {.depth_max = DEPTH_MAX, .nodes_max = NODES_MAX};
    struct json *root = NULL;
    enum err err = json_parse(arena, text, &limits, &root, NULL);
    if (err == ERR_NOMEM) {
        return errinfo_nomem(call->info);
    }
    if (err != ERR_OK || root->type != JSON_OBJECT) {
        return rest_answer__wrong(call, "no JSON object");
    }
    *ret_root = root;
    return ERR_OK;
}

/* ---- members without a tree: metadata can be large, and is read by who knows it ---- */

struct cursor {
    struct slice text;
    size_t at;
};

static void skip_space(struct cursor *c)
{
    while (c->at < c->text.len && strchr(" \t\r\n", c->text.ptr[c->at]) != NULL &&
           c->text.ptr[c->at] != '\0') {
        c->at++;
    }
}

static bool take(struct cursor *c, char wanted)
{
    skip_space(c);
    if (c->at < c->text.len && c->text.ptr[c->at] == wanted) {
        c->at++;
        return true;
    }
    return false;
}

/* Past the string that begins here. */
static bool skip_string(struct cursor *c)
{
    if (c->at >= c->text.len || c->text.ptr[c->at] != '"') {
        return false;
    }
    for (c->at++; c->at < c->text.len; c->at++) {
        if (c->text.ptr[c->at] == '"') {
            c->at++;
            return true;
        }
        c->at += c->text.ptr[c->at] == '\\' ? 1 : 0;
    }
    return false;
}

/* Past one value. Brackets are counted, not paired: who uses the value parses it. */
static bool skip_value(struct cursor *c)
{
    size_t depth = 0;
    skip_space(c);
    size_t start = c->at;
    while (c->at < c->text.len) {
        char byte = c->text.ptr[c->at];
        if (byte == '"') {
            if (!skip_string(c)) {
                return false;
            }
        } else if (byte == '{' || byte == '[') {
            depth++;
            c->at++;
        } else if (byte == '}' || byte == ']') {
            if (depth == 0) {
                return c->at > start;
            }
            depth--;
            c->at++;
        } else if (byte == ',' && depth == 0) {
            return c->at > start;
        } else {
            c->at++;
            continue;
        }
        if (depth == 0 && c->at > start) {
            return true;
        }
    }
    return false;
}

/* Escapes may spell a key that matters: it is decoded before it is compared. */
static enum err decode_key(struct slice written, struct arena *arena, struct slice *ret_key)
{
    struct json *key = NULL;
    TRY(json_parse(arena, written, NULL, &key, NULL));
    *ret_key = key->text;
    return ERR_OK;
}

static enum err broken(struct errinfo *info)
{
    return errinfo_set(info, ERR_CORRUPT, "08P01", "the catalog's answer is no JSON object");
}

static enum err read_member(struct cursor *c, struct arena *arena, const char *const *keys,
                            size_t key_count, bool is_strict, struct slice *values,
                            struct errinfo *info)
{
    struct slice key;
    skip_space(c);
    size_t start = c->at;
    if (!skip_string(c)) {
        return broken(info);
    }
    enum err err = decode_key((struct slice){c->text.ptr + start, c->at - start}, arena, &key);
    if (err != ERR_OK || !take(c, ':')) {
        return err == ERR_NOMEM ? errinfo_nomem(info) : broken(info);
    }
    skip_space(c);
    start = c->at;
    if (!skip_value(c)) {
        return broken(info);
    }
    for (size_t i = 0; i < key_count; i++) {
        if (!slice_equal(key, slice_of(keys[i]))) {
            continue;
        }
        if (values[i].len > 0) {
            return errinfo_set(info, ERR_CORRUPT, "08P01", "the catalog's answer has \"%s\" twice",
                               keys[i]);
        }
        values[i] = slice_trim((struct slice){c->text.ptr + start, c->at - start});
        return ERR_OK;
    }
    return is_strict ? errinfo_set(info, ERR_UNSUPPORTED, "08P01",
                                   "the catalog's answer has a member that is not known here")
                     : ERR_OK;
}

static enum err split(struct slice text, const char *const *keys, size_t key_count, bool is_strict,
                      struct slice *ret_values, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "members", 0);
    struct cursor c = {.text = text};
    bool is_first = true;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    memset(ret_values, 0, key_count * sizeof(*ret_values));
    if (!take(&c, '{')) {
        return broken(info);
    }
    while (!take(&c, '}')) {
        if (!is_first && !take(&c, ',')) {
            return broken(info);
        }
        is_first = false;
        TRY(read_member(&c, arena, keys, key_count, is_strict, ret_values, info));
    }
    skip_space(&c);
    if (c.at != text.len) {
        return broken(info);
    }
    for (size_t i = 0; i < key_count; i++) {
        if (slice_equal(ret_values[i], SLICE("null"))) {
            ret_values[i] = (struct slice){0};
        }
    }
    return ERR_OK;
}

enum err rest_members(struct slice text, const char *const *keys, size_t key_count,
                      struct slice *ret_values, struct errinfo *info)
{
    return split(text, keys, key_count, false, ret_values, info);
}

enum err rest_members_only(struct slice text, const char *const *keys, size_t key_count,
                           struct slice *ret_values, struct errinfo *info)
{
    return split(text, keys, key_count, true, ret_values, info);
}

/* ---- errors ---- */

struct told {
    char type[TYPE_BYTES_MAX];
    char message[TOLD_BYTES_MAX];
};

/* A word that may be a secret or an address: long, or with what addresses have in them. */
static bool is_telling(struct slice word)
{
    return word.len > 40 || slice_find(word, SLICE("://")) != SIZE_MAX ||
           slice_find(word, SLICE("=")) != SIZE_MAX || slice_find(word, SLICE("@")) != SIZE_MAX ||
           slice_find(word, SLICE(":/")) != SIZE_MAX || (word.len > 0 && word.ptr[0] == '/');
}

void rest_answer__tell(struct slice text, char *out, size_t out_size)
{
    size_t len = 0;
    for (size_t start = 0, i = 0; text.len > 0 && i <= text.len; i++) {
        bool is_end = i == text.len || isspace((unsigned char)text.ptr[i]) != 0;
        if (!is_end) {
            continue;
        }
        struct slice word = {text.ptr + start, i - start};
        start = i + 1;
        word = is_telling(word) ? SLICE("...") : word;
        if (word.len == 0 || len + word.len + 2 > out_size) {
            continue;
        }
        if (len > 0) {
            out[len++] = ' ';
        }
        for (size_t k = 0; k < word.len; k++) {
            unsigned char c = (unsigned char)word.ptr[k];
            out[len++] = c >= 0x20 && c < 0x7F ? (char)c : '?';
        }
    }
    out[len] = '\0';
}

/* {"error": {"message", "type", "code"}}, or the OAuth2 form {"error": "...", ...}, or that of AWS:
 * {"__type", "message" or "Message"}. */
static void read_told(struct slice body, struct told *out)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "error", 0);
    struct json *root = NULL;
    static const struct json_limits limits = {.depth_max = 16, .nodes_max = 1000};
    *out = (struct told){{0}, {0}};
    if (arena == NULL || body.len > 65536 ||
        json_parse(arena, body, &limits, &root, NULL) != ERR_OK) {
        return;
    }
    struct slice type = glue__type(json_get_text(root, "__type"));
    if (type.len > 0) {
        struct slice message = json_get_text(root, "message");
        message = message.len > 0 ? message : json_get_text(root, "Message");
        rest_answer__tell(type, out->type, sizeof(out->type));
        rest_answer__tell(message, out->message, sizeof(out->message));
        return;
    }
    const struct json *error = json_get(root, "error");
    bool is_word = error != NULL && error->type == JSON_STRING;
    rest_answer__tell(is_word ? error->text : json_get_text(error, "type"), out->type,
                      sizeof(out->type));
    rest_answer__tell(is_word ? json_get_text(root, "error_description")
                              : json_get_text(error, "message"),
                      out->message, sizeof(out->message));
}

static bool is_type(const struct told *told, const char *type)
{
    return slice_equal(slice_of(told->type), slice_of(type));
}

static enum err not_found(const struct rest_catalog *catalog, const struct rest_question *question,
                          const struct told *told, struct errinfo *info)
{
    const char *sqlstate = "42P01";
    if (is_type(told, "NoSuchNamespaceException")) {
        return errinfo_set(info, ERR_NOT_FOUND, "3F000",
                           "a namespace does not exist in catalog \"%.*s\"",
                           SLICE_ARGS(catalog->name));
    }
    if (is_type(told, "NoSuchWarehouseException") || strcmp(question->what, "catalog") == 0) {
        (void)errinfo_set(info, ERR_NOT_FOUND, "3D000",
                          "the server of catalog \"%.*s\" has no such warehouse",
                          SLICE_ARGS(catalog->name));
        errinfo_hint(info, "Check the address and the WAREHOUSE of its ATTACH.");
        return ERR_NOT_FOUND;
    }
    if (strcmp(question->what, "namespace") == 0) {
        sqlstate = "3F000";
    }
    return errinfo_set(info, ERR_NOT_FOUND, sqlstate,
                       "%s \"%.*s\" does not exist in catalog \"%.*s\"", question->what,
                       SLICE_ARGS(question->name), SLICE_ARGS(catalog->name));
}

static enum err refused(const struct rest_catalog *catalog, long status, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_DENIED, "28000",
                      status == 419 ? "the sign-in to catalog \"%.*s\" has expired"
                                    : "catalog \"%.*s\" does not accept this session's sign-in",
                      SLICE_ARGS(catalog->name));
    errinfo_hint(info, "Sign in again; if that does not help, the catalog wants other tokens than "
                       "this server's identity provider gives.");
    return ERR_DENIED;
}

static enum err busy(const struct rest_catalog *catalog, long status, int64_t retry_after_s,
                     struct errinfo *info)
{
    bool is_limit = status == 429;
    (void)errinfo_set(info, ERR_BUSY, is_limit ? "53400" : "08006",
                      is_limit ? "catalog \"%.*s\" takes no more requests now (status %ld)"
                               : "catalog \"%.*s\" fails (status %ld)",
                      SLICE_ARGS(catalog->name), status);
    if (retry_after_s > 0) {
        errinfo_hint(info, "It asks to be left alone for %lld s.", (long long)retry_after_s);
    }
    return ERR_BUSY;
}

static enum err conflict(const struct rest_catalog *catalog, const struct rest_question *question,
                         const struct told *told, struct errinfo *info)
{
    if (is_type(told, "AlreadyExistsException")) {
        bool is_namespace = strcmp(question->what, "namespace") == 0;
        return errinfo_set(info, ERR_EXISTS, is_namespace ? "42P06" : "42P07",
                           "%s \"%.*s\" exists in catalog \"%.*s\"", question->what,
                           SLICE_ARGS(question->name), SLICE_ARGS(catalog->name));
    }
    if (is_type(told, "NamespaceNotEmptyException")) {
        return errinfo_set(info, ERR_INVALID, "2BP01", "namespace \"%.*s\" is not empty",
                           SLICE_ARGS(question->name));
    }
    return errinfo_set(info, ERR_BUSY, "40001", "%s \"%.*s\" was changed by somebody else",
                       question->what, SLICE_ARGS(question->name));
}

/* Some catalogs (Nessie 0.99) tell with status 500 that somebody may not. */
static bool is_forbidden(long status, const struct told *told)
{
    return status == 403 || (status >= 500 && (is_type(told, "ForbiddenException") ||
                                               is_type(told, "AccessCheckException")));
}

bool rest_answer__is_said(struct slice body)
{
    struct told told;
    read_told(body, &told);
    return told.type[0] != '\0' && told.message[0] != '\0';
}

static enum err by_status(const struct rest_catalog *catalog, const struct rest_question *question,
                          long status, const struct told *told, int64_t retry_after_s,
                          struct errinfo *info)
{
    if (is_forbidden(status, told)) {
        return errinfo_set(info, ERR_DENIED, "42501",
                           "permission denied for %s \"%.*s\" by catalog \"%.*s\"", question->what,
                           SLICE_ARGS(question->name), SLICE_ARGS(catalog->name));
    }
    /* Where tables cannot be called so (SeaweedFS), none is. */
    if (status == 400 && slice_find(question->name, SLICE("$")) != SIZE_MAX) {
        return not_found(catalog, question, told, info);
    }
    switch (status) {
    case 401:
    case 419:
        return refused(catalog, status, info);
    case 404:
        return not_found(catalog, question, told, info);
    case 409:
        return conflict(catalog, question, told, info);
    case 405:
    case 406:
    case 501:
        return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                           "catalog \"%.*s\" does not support this request (status %ld)",
                           SLICE_ARGS(catalog->name), status);
    case 400:
    case 422:
        return errinfo_set(info, ERR_INVALID, "22023",
                           "catalog \"%.*s\" refuses the request (status %ld)",
                           SLICE_ARGS(catalog->name), status);
    case 429:
        return busy(catalog, status, retry_after_s, info);
    default:
        break;
    }
    if (status >= 500) {
        return busy(catalog, status, retry_after_s, info);
    }
    return errinfo_set(info, ERR_CORRUPT, "08P01",
                       "catalog \"%.*s\" answers with status %ld, which %s does not know",
                       SLICE_ARGS(catalog->name), status, specification(catalog));
}

enum err rest_answer__error(const struct rest_catalog *catalog,
                            const struct rest_question *question, long status, struct slice body,
                            int64_t retry_after_s, struct errinfo *info)
{
    struct told told;
    read_told(body, &told);
    enum err err = by_status(catalog, question, status, &told, retry_after_s, info);
    if (told.type[0] != '\0') {
        errinfo_detail(info, "The catalog says %s%s%s", told.type,
                       told.message[0] == '\0' ? "" : ": ", told.message);
    }
    return err;
}
