/* Attached catalogs: from what the store keeps to what the catalog module reads. */
#include "base/buf.h"
#include "query/lake/lake_int.h"
#include "query/lake/stores_int.h"
#include "sql/scan.h"

enum err attached_text(const struct relation_option *option, struct arena *arena,
                       struct slice *ret_text, struct errinfo *info)
{
    struct scanner scanner;
    struct token token;
    scanner_init(&scanner, option->value);
    TRY(scanner_next(&scanner, &token, info));
    if (token.kind != TOKEN_STRING) {
        return errinfo_set(info, ERR_INVALID, "22023", "the option \"%.*s\" wants a text in quotes",
                           SLICE_ARGS(option->name));
    }
    TRY(token_string(&token, arena, ret_text, info));
    return ret_text->len > 0
               ? ERR_OK
               : errinfo_set(info, ERR_INVALID, "22023", "the option \"%.*s\" is empty",
                             SLICE_ARGS(option->name));
}

static enum err unknown(const char *what, struct slice given, const char *const *known,
                        size_t known_count, struct errinfo *info)
{
    unsigned best = 4;
    const char *nearest = NULL;
    struct buf all CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < known_count; i++) {
        buf_printf(&all, "%s%s", i == 0 ? "" : ", ", known[i]);
        unsigned distance = slice_edit_distance(slice_of(known[i]), given, best);
        if (distance < best) {
            best = distance;
            nearest = known[i];
        }
    }
    (void)errinfo_set(info, ERR_INVALID, "22023", "ATTACH has no %s \"%.*s\"", what,
                      SLICE_ARGS(given));
    if (nearest != NULL) {
        errinfo_hint(info, "Did you mean %s?", nearest);
    } else {
        errinfo_hint(info, "There are %s.", buf_cstr(&all));
    }
    return ERR_INVALID;
}

static struct slice parent_of(struct slice path)
{
    while (path.len > 1 && path.ptr[path.len - 1] != '/') {
        path.len--;
    }
    path.len -= path.len > 1 ? 1 : 0;
    return path;
}

/* The folder that a catalog of this kind lives in. */
static struct slice home_of(const struct catalog_iceberg *catalog)
{
    struct slice folder = catalog->location;
    switch (catalog->kind) {
    case CATALOG_ICEBERG_LOCAL:
        return catalog->warehouse.len > 0 ? catalog->warehouse : parent_of(folder);
    case CATALOG_ICEBERG_HADOOP:
    case CATALOG_ICEBERG_REST:
    case CATALOG_ICEBERG_HIVE:
    case CATALOG_ICEBERG_GLUE:
        break;
    case CATALOG_ICEBERG_STATIC:
        if (slice_ends_with(folder, SLICE(".json")) || slice_ends_with(folder, SLICE(".gz"))) {
            folder = parent_of(folder);
            folder = slice_ends_with(folder, SLICE("/metadata")) ? parent_of(folder) : folder;
        }
        break;
    }
    return folder;
}

/* The catalog's own, then those of ALLOW 'folder,folder'. A catalog elsewhere has none of its own:
 * what the server's configuration allows. */
static enum err list_folders(struct catalog_iceberg *catalog, struct slice allow,
                             struct arena *arena, struct errinfo *info)
{
    size_t capacity = 2;
    for (size_t i = 0; i < allow.len; i++) {
        capacity += allow.ptr[i] == ',' ? 1 : 0;
    }
    struct slice *folders = arena_calloc(arena, capacity, sizeof(*folders));
    if (folders == NULL) {
        return errinfo_nomem(info);
    }
    if (!catalog_iceberg_is_remote(catalog)) {
        folders[catalog->folder_count++] = home_of(catalog);
    }
    for (size_t start = 0, i = 0; allow.len > 0 && i <= allow.len; i++) {
        if (i < allow.len && allow.ptr[i] != ',') {
            continue;
        }
        struct slice folder = slice_trim((struct slice){allow.ptr + start, i - start});
        if (folder.len == 0) {
            return errinfo_set(info, ERR_INVALID, "22023", "%s has an empty folder",
                               catalog_iceberg_is_remote(catalog) ? "\"catalog.local_folders\""
                                                                  : "the option \"ALLOW\"");
        }
        folders[catalog->folder_count++] = folder;
        start = i + 1;
    }
    catalog->folders = folders;
    return ERR_OK;
}

enum option {
    OPTION_TYPE,
    OPTION_WAREHOUSE,
    OPTION_CATALOG,
    OPTION_ALLOW,
    OPTION_CREATE,
    OPTION_AUTH,
    OPTION_TOKEN_URI,
    OPTION_AUDIENCE,
    OPTION_SCOPE,
    OPTION_CLIENT_ID,
    OPTION_CLIENT_SECRET_FILE,
    OPTION_ETAG,
    OPTION_PLANNING,
    OPTION_STS,
    OPTION_ROLE,
    OPTION_STORE,
    OPTION_REGION,
    OPTION_LENDS, /* written by ATTACH itself */
    OPTION_COUNT
};

static const char *const option_names[OPTION_COUNT] = {
    [OPTION_TYPE] = "TYPE",
    [OPTION_WAREHOUSE] = "WAREHOUSE",
    [OPTION_CATALOG] = "CATALOG_NAME",
    [OPTION_ALLOW] = "ALLOW",
    [OPTION_CREATE] = "CREATE",
    [OPTION_AUTH] = "AUTH",
    [OPTION_TOKEN_URI] = "TOKEN_URI",
    [OPTION_AUDIENCE] = "AUDIENCE",
    [OPTION_SCOPE] = "SCOPE",
    [OPTION_CLIENT_ID] = "CLIENT_ID",
    [OPTION_CLIENT_SECRET_FILE] = "CLIENT_SECRET_FILE",
    [OPTION_ETAG] = "ETAG",
    [OPTION_PLANNING] = "PLANNING",
    [OPTION_STS] = "STS",
    [OPTION_ROLE] = "ROLE",
    [OPTION_STORE] = "STORE",
    [OPTION_REGION] = "REGION",
    [OPTION_LENDS] = ATTACHED_LENDS,
};

static enum err read_switch(const struct relation_option *option, struct slice *ret_value,
                            struct errinfo *info)
{
    if (!slice_equal_fold(option->value, SLICE("true")) &&
        !slice_equal_fold(option->value, SLICE("false"))) {
        return errinfo_set(info, ERR_INVALID, "22023", "the option %.*s is true or false",
                           SLICE_ARGS(option->name));
    }
    *ret_value = option->value;
    return ERR_OK;
}

static enum err read_options(const struct system_catalog *kept, struct arena *arena,
                             struct slice *ret_values, struct errinfo *info)
{
    for (size_t i = 0; i < kept->option_count; i++) {
        const struct relation_option *option = &kept->options[i];
        size_t at = 0;
        while (at < OPTION_COUNT && !slice_equal_fold(option->name, slice_of(option_names[at]))) {
            at++;
        }
        bool is_kept = kept->type.len > 0; /* and so not what a person writes */
        if (at == OPTION_COUNT || (at == OPTION_LENDS && !is_kept)) {
            return unknown("option", option->name, option_names, OPTION_LENDS, info);
        }
        if (ret_values[at].len > 0) {
            return errinfo_set(info, ERR_INVALID, "22023", "the option %s is given twice",
                               option_names[at]);
        }
        /* AUTH session and AUTH 'session' are the same. */
        bool is_word = at == OPTION_AUTH && option->value.len > 0 && option->value.ptr[0] != '\'';
        if (is_word) {
            ret_values[at] = option->value;
            continue;
        }
        TRY(at == OPTION_CREATE || at == OPTION_ETAG || at == OPTION_LENDS
                ? read_switch(option, &ret_values[at], info)
                : attached_text(option, arena, &ret_values[at], info));
    }
    return ERR_OK;
}

/* ---- REST ---- */

static bool is_query_cancelled(void *context)
{
    return query_check_cancelled(context, NULL) != ERR_OK;
}

static enum err read_planning(struct slice word, enum rest_planning *ret_planning,
                              struct errinfo *info)
{
    static const char *const words[] = {"auto", "client", "server"};
    static const enum rest_planning meant[] = {REST_PLANNING_UNSAID, REST_PLANNING_CLIENT,
                                               REST_PLANNING_SERVER};
    word = word.len == 0 ? SLICE("auto") : word;
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (slice_equal_fold(word, slice_of(words[i]))) {
            *ret_planning = meant[i];
            return ERR_OK;
        }
    }
    return unknown("PLANNING", word, words, ARRAY_COUNT(words), info);
}

static enum err read_auth(const struct slice *values, struct rest_catalog *remote,
                          struct errinfo *info)
{
    static const char *const auths[] = {"session", "exchange", "client"};
    struct slice auth = values[OPTION_AUTH].len == 0 ? SLICE("session") : values[OPTION_AUTH];
    if (!rest_auth_parse(auth, &remote->auth)) {
        return unknown("AUTH", auth, auths, ARRAY_COUNT(auths), info);
    }
    bool has_client = remote->client_id.len > 0 || remote->client_secret_file.len > 0;
    switch (remote->auth) {
    case REST_AUTH_SESSION:
        if (has_client || remote->token_uri.len + remote->audience.len + remote->scope.len > 0) {
            return errinfo_set(info, ERR_INVALID, "22023",
                               "AUTH session passes the session's token on as it is: TOKEN_URI, "
                               "AUDIENCE, SCOPE and CLIENT_... belong to the others");
        }
        return ERR_OK;
    case REST_AUTH_EXCHANGE:
        if (has_client && remote->token_uri.len == 0) {
            (void)errinfo_set(info, ERR_INVALID, "22023", "CLIENT_ID belongs to a TOKEN_URI");
            errinfo_hint(info, "Without one, the identity provider exchanges tokens for "
                               "oidc.client_id.");
            return ERR_INVALID;
        }
        return ERR_OK;
    case REST_AUTH_CLIENT:
        return remote->client_id.len > 0 && remote->client_secret_file.len > 0
                   ? ERR_OK
                   : errinfo_set(info, ERR_INVALID, "22023",
                                 "AUTH client wants a CLIENT_ID and a CLIENT_SECRET_FILE");
    }
    return ERR_OK;
}

/* Of what is written between quotes as it is: a role, a region. */
static bool is_word(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_letter && strchr(":/._@=+,-", c) == NULL) {
            return false;
        }
    }
    return true;
}

/* Requests are signed for a host and a region, by keys that somebody must lend. */
static enum err check_glue(const struct slice *values, const struct catalog_iceberg *catalog,
                           struct errinfo *info)
{
    struct slice uri = catalog->location;
    size_t mark = slice_find(uri, SLICE("://"));
    if (values[OPTION_STS].len == 0 || values[OPTION_REGION].len == 0) {
        (void)errinfo_set(info, ERR_INVALID, "22023", "TYPE iceberg_glue wants %s",
                          values[OPTION_STS].len == 0 ? "an STS" : "a REGION");
        errinfo_hint(info, "Requests are signed for the REGION with keys that the STS lends for "
                           "people's own tokens: STS 'https://sts.eu-west-1.amazonaws.com', REGION "
                           "'eu-west-1'.");
        return ERR_INVALID;
    }
    if (mark != SIZE_MAX && memchr(uri.ptr + mark + 3, '/', uri.len - mark - 3) != NULL) {
        (void)errinfo_set(info, ERR_INVALID, "22023", "the address of AWS Glue has no path");
        errinfo_hint(info, "Write 'https://glue.eu-west-1.amazonaws.com'.");
        return ERR_INVALID;
    }
    return ERR_OK;
}

/* What people's tokens are given for: credentials of the object store. */
static enum err read_store(const struct slice *values, struct arena *arena,
                           struct catalog_iceberg *catalog, struct errinfo *info)
{
    struct rest_catalog *remote = &catalog->remote;
    bool is_metastore = catalog_iceberg_is_metastore(catalog);
    for (size_t i = OPTION_STS; i <= OPTION_REGION; i++) {
        if (values[i].len > 0 && (!is_metastore || values[OPTION_STS].len == 0)) {
            return errinfo_set(info, ERR_INVALID, "22023", "%s belongs to %s", option_names[i],
                               is_metastore ? "an STS" : "TYPE iceberg_hive and iceberg_glue");
        }
    }
    if (catalog->kind == CATALOG_ICEBERG_GLUE) {
        TRY(check_glue(values, catalog, info));
    }
    if (values[OPTION_STS].len == 0) {
        return ERR_OK;
    }
    if (!is_word(values[OPTION_ROLE]) || !is_word(values[OPTION_REGION]) ||
        !is_word(values[OPTION_STORE])) {
        return errinfo_set(info, ERR_INVALID, "22023",
                           "ROLE is the name of a role (an ARN), REGION one of a region, STORE an "
                           "address");
    }
    remote->role = values[OPTION_ROLE];
    remote->region = values[OPTION_REGION].len > 0 ? values[OPTION_REGION] : SLICE("us-east-1");
    if (values[OPTION_STORE].len > 0) {
        TRY(rest_uri_check(catalog->rest, values[OPTION_STORE], arena, &remote->store_uri, info));
    }
    return rest_uri_check(catalog->rest, values[OPTION_STS], arena, &remote->sts_uri, info);
}

/* Those that this kind does not have. */
static enum err check_remote_options(const struct slice *values,
                                     const struct catalog_iceberg *catalog, struct errinfo *info)
{
    static const enum option options[] = {OPTION_ALLOW,     OPTION_CREATE, OPTION_CATALOG,
                                          OPTION_WAREHOUSE, OPTION_ETAG,   OPTION_PLANNING};
    bool is_rest = catalog->kind == CATALOG_ICEBERG_REST;
    bool is_glue = catalog->kind == CATALOG_ICEBERG_GLUE;
    const bool has[] = {false, false, is_glue, is_rest || is_glue, is_rest, is_rest};
    for (size_t i = 0; i < ARRAY_COUNT(options); i++) {
        if (values[options[i]].len > 0 && !has[i]) {
            return errinfo_set(info, ERR_INVALID, "22023", "%s does not belong to TYPE %s",
                               option_names[options[i]], catalog_iceberg_kind_name(catalog->kind));
        }
    }
    return ERR_OK;
}

static enum err read_remote(struct session *session, const struct system_catalog *kept,
                            const struct slice *values, struct arena *arena,
                            struct catalog_iceberg *catalog, struct errinfo *info)
{
    struct rest_catalog *remote = &catalog->remote;
    bool is_glue = catalog->kind == CATALOG_ICEBERG_GLUE;
    TRY(check_remote_options(values, catalog, info));
    TRY(warehouse_rest(session->warehouse, &catalog->rest, info));
    catalog->warehouse = is_glue ? values[OPTION_WAREHOUSE] : (struct slice){0};
    *remote = (struct rest_catalog){
        .protocol = is_glue                                 ? REST_PROTOCOL_GLUE
                    : catalog->kind == CATALOG_ICEBERG_HIVE ? REST_PROTOCOL_HIVE
                                                            : REST_PROTOCOL_ICEBERG,
        .name = kept->name,
        .uri = kept->location,
        .warehouse = values[is_glue ? OPTION_CATALOG : OPTION_WAREHOUSE],
        .token_uri = values[OPTION_TOKEN_URI],
        .audience = values[OPTION_AUDIENCE],
        .scope = values[OPTION_SCOPE],
        .client_id = values[OPTION_CLIENT_ID],
        .client_secret_file = values[OPTION_CLIENT_SECRET_FILE],
        .has_etags = slice_equal_fold(values[OPTION_ETAG], SLICE("true")),
    };
    TRY(read_planning(values[OPTION_PLANNING], &remote->planning, info));
    TRY(read_store(values, arena, catalog, info));
    if (remote->token_uri.len > 0) {
        TRY(rest_uri_check(catalog->rest, remote->token_uri, arena, &remote->token_uri, info));
    }
    if (remote->client_secret_file.len > 0 && remote->client_secret_file.ptr[0] != '/') {
        return errinfo_set(info, ERR_INVALID, "22023", "CLIENT_SECRET_FILE is an absolute path");
    }
    if (session->query != NULL) {
        if (!arena_slice(arena, slice_of(session->query->id), &remote->request_id)) {
            return errinfo_nomem(info);
        }
        remote->is_cancelled = is_query_cancelled;
        remote->cancel_context = session->query;
    }
    const char *folders = config_text(session->warehouse->config, CONFIG_CATALOG_LOCAL_FOLDERS);
    TRY(list_folders(catalog, slice_of(folders), arena, info));
    return read_auth(values, remote, info);
}

static enum err check_local(const struct catalog_iceberg *catalog, const struct slice *values,
                            struct errinfo *info)
{
    bool is_local = catalog->kind == CATALOG_ICEBERG_LOCAL;
    if (!is_local && (values[OPTION_WAREHOUSE].len > 0 || values[OPTION_CATALOG].len > 0 ||
                      values[OPTION_CREATE].len > 0)) {
        return errinfo_set(info, ERR_INVALID, "22023",
                           "WAREHOUSE, CATALOG_NAME and CREATE belong to TYPE iceberg_local");
    }
    for (size_t i = OPTION_AUTH; i < OPTION_COUNT; i++) {
        if (values[i].len > 0) {
            return errinfo_set(info, ERR_INVALID, "22023", "%s belongs to TYPE %s", option_names[i],
                               i < OPTION_STS ? "iceberg_rest" : "iceberg_hive and iceberg_glue");
        }
    }
    return ERR_OK;
}

enum err attached_read(struct session *session, const struct system_catalog *kept,
                       struct arena *arena, struct attached *ret_attached, struct errinfo *info)
{
    static const char *const types[] = {
        "iceberg_local", "iceberg_hadoop", "hadoop",       "hive",         "iceberg_static",
        "static",        "iceberg_rest",   "iceberg_hive", "iceberg_glue", "glue"};
    struct slice values[OPTION_COUNT] = {{0}};
    struct attached out = {.owner = kept->owner};
    TRY(read_options(kept, arena, values, info));
    struct slice type = kept->type.len > 0 ? kept->type : values[OPTION_TYPE];
    if (type.len == 0) {
        (void)errinfo_set(info, ERR_INVALID, "22023", "ATTACH wants the TYPE of the catalog");
        errinfo_hint(info, "Write (TYPE iceberg_local), (TYPE hadoop), (TYPE static), (TYPE "
                           "iceberg_rest), (TYPE iceberg_hive) or (TYPE iceberg_glue).");
        return ERR_INVALID;
    }
    if (!catalog_iceberg_kind_parse(type, &out.catalog.kind)) {
        return unknown("TYPE", type, types, ARRAY_COUNT(types), info);
    }
    out.creates = slice_equal_fold(values[OPTION_CREATE], SLICE("true"));
    out.catalog.name = kept->name;
    out.catalog.location = kept->location;
    if (catalog_iceberg_is_remote(&out.catalog)) {
        TRY(read_remote(session, kept, values, arena, &out.catalog, info));
        struct slice lends = values[OPTION_LENDS];
        out.lends = lends.len == 0                           ? REST_LENDS_UNKNOWN
                    : slice_equal_fold(lends, SLICE("true")) ? REST_LENDS
                                                             : REST_LENDS_NOTHING;
    } else {
        TRY(check_local(&out.catalog, values, info));
        out.catalog.catalog_name = values[OPTION_CATALOG];
        out.catalog.warehouse = values[OPTION_WAREHOUSE];
        TRY(list_folders(&out.catalog, values[OPTION_ALLOW], arena, info));
    }
    *ret_attached = out;
    return ERR_OK;
}

enum err attached_all(struct session *session, const struct identity *who, struct arena *arena,
                      struct attached **ret_attached, size_t *ret_count, struct errinfo *info)
{
    struct system_catalog *kept;
    size_t count;
    TRY(system_catalogs(session_store(session), who, arena, &kept, &count, info));
    struct attached *all = arena_calloc(arena, count + 1, sizeof(*all));
    if (all == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        TRY(attached_read(session, &kept[i], arena, &all[i], info));
        all[i].catalog.block = session_lake(session);
    }
    *ret_attached = all;
    *ret_count = count;
    return ERR_OK;
}

enum err attached_find(struct session *session, const struct identity *who, struct slice name,
                       struct arena *arena, const struct attached **ret_attached,
                       struct errinfo *info)
{
    struct attached *all;
    size_t count;
    TRY(attached_all(session, who, arena, &all, &count, info));
    *ret_attached = NULL;
    for (size_t i = 0; i < count; i++) {
        if (slice_equal_fold(all[i].catalog.name, name)) {
            *ret_attached = &all[i];
        }
    }
    return ERR_OK;
}
