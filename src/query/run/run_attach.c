/* ATTACH and DETACH. */
#include "identity/provider.h"
#include "query/lake/lake_int.h"
#include "query/plan/policy_int.h"
#include "query/run/run_int.h"
#include "sql/scan.h"

/* Folders made absolute, as one literal with commas between. */
static enum err locate_folders(struct query *query, const struct slice *written, size_t count,
                               struct slice *ret_value, struct errinfo *info)
{
    struct buf all CLEANUP(buf_fini) = {0};
    struct buf quoted CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < count; i++) {
        struct slice path;
        TRY(catalog_iceberg_locate(query->session->who, written[i], query->arena, &path, info));
        buf_append_str(&all, i == 0 ? "" : ",");
        buf_append_slice(&all, path);
    }
    sql_quote_string(&quoted, buf_slice(&all));
    return !buf_failed(&all) && !buf_failed(&quoted) &&
                   arena_slice(query->arena, buf_slice(&quoted), ret_value)
               ? ERR_OK
               : errinfo_nomem(info);
}

/* What the person may read is what they may let a catalog's metadata name: that must be the one
 * whose rights the program has. */
static enum err check_allow(const struct query *query, struct errinfo *info)
{
    const struct identity *who = query->session->who;
    if (identity_is_owner(who) && identity_actor(who).len == 0) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_DENIED, NULL,
                      "only the warehouse's owner may ALLOW folders outside of a catalog's own");
    errinfo_hint(info, "Ask them to attach it.");
    return ERR_DENIED;
}

/* What is kept: the type by itself, folders absolute, but not that the file was made once. */
static enum err keep_options(struct query *query, const struct statement *statement,
                             const struct attached *attached, struct system_catalog *kept,
                             struct errinfo *info)
{
    struct relation_option *options =
        arena_calloc(query->arena, statement->option_count + 2, sizeof(*options));
    if (options == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < statement->option_count; i++) {
        const struct relation_option *option = &statement->options[i];
        if (slice_equal_fold(option->name, SLICE("type")) ||
            slice_equal_fold(option->name, SLICE("create"))) {
            continue;
        }
        struct relation_option *out = &options[kept->option_count++];
        *out = *option;
        if (catalog_iceberg_is_remote(&attached->catalog)) {
            continue; /* no option is a folder */
        }
        if (slice_equal_fold(option->name, SLICE("warehouse"))) {
            TRY(locate_folders(query, &attached->catalog.warehouse, 1, &out->value, info));
        } else if (slice_equal_fold(option->name, SLICE("allow"))) {
            TRY(check_allow(query, info));
            TRY(locate_folders(query, attached->catalog.folders + 1,
                               attached->catalog.folder_count - 1, &out->value, info));
        }
    }
    kept->options = options;
    kept->type = slice_of(catalog_iceberg_kind_name(attached->catalog.kind));
    return ERR_OK;
}

/* Who names a server is told the token of everybody who asks it. */
static enum err check_origin(const struct query *query, struct slice uri, struct errinfo *info)
{
    const struct session *session = query->session;
    const char *origins = config_text(session->warehouse->config, CONFIG_CATALOG_ORIGINS);
    if (uri.len == 0 || rest_origin_is_among(slice_of(origins), uri)) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_DENIED, NULL, "\"%.*s\" is at none of catalog.origins",
                      SLICE_ARGS(uri));
    errinfo_hint(info, "People's tokens would go there: let the owner attach it, or name its "
                       "address in the configuration.");
    return ERR_DENIED;
}

static bool is_production(const struct query *query)
{
    return config_bool(query->session->warehouse->config, CONFIG_SERVER_PRODUCTION);
}

static enum err check_production(const struct query *query, const struct catalog_iceberg *catalog,
                                 struct errinfo *info)
{
    if (!is_production(query) || catalog->remote.auth != REST_AUTH_CLIENT) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_DENIED, NULL,
                      "AUTH client is not for production: the catalog would be asked as this "
                      "program");
    errinfo_hint(info, "Attach it with AUTH session or AUTH exchange.");
    return ERR_DENIED;
}

/* What it lends for the files of tables is seen by a table only, and only a person can ask for one:
 * so now, and it is kept for a start in production, when nobody is there to ask as. */
static enum err probe(struct query *query, const struct catalog_iceberg *catalog,
                      struct system_catalog *kept, struct errinfo *info)
{
    enum rest_lends lends;
    TRY(rest_probe(catalog->rest, &catalog->remote, query->session->who, &lends, info));
    if (lends == REST_LENDS_NOTHING && is_production(query)) {
        (void)errinfo_set(info, ERR_DENIED, NULL,
                          "catalog \"%.*s\" lends no credentials for the files of its tables",
                          SLICE_ARGS(catalog->name));
        errinfo_hint(info, "Let it vend them, or sign requests (\"vended credentials\", \"remote "
                           "signing\"): in production nothing else reads them.");
        return ERR_DENIED;
    }
    if (lends == REST_LENDS_NOTHING) {
        (void)snprintf(query->notice, sizeof(query->notice),
                       "the catalog lends no credentials for the files of its tables");
    }
    if (lends != REST_LENDS_UNKNOWN) { /* keep_options left room */
        struct relation_option *options = (struct relation_option *)(uintptr_t)kept->options;
        options[kept->option_count++] =
            (struct relation_option){.name = SLICE(ATTACHED_LENDS),
                                     .value = lends == REST_LENDS ? SLICE("true") : SLICE("false")};
    }
    return ERR_OK;
}

/* A server is asked as whoever attaches it, if it can be. Who has no token may attach it for those
 * who have: nothing is read by that. */
static enum err check_remote(struct query *query, const struct attached *attached,
                             struct system_catalog *kept, struct errinfo *info)
{
    const struct identity *who = query->session->who;
    const struct catalog_iceberg *catalog = &attached->catalog;
    TRY(check_production(query, catalog, info));
    bool is_ours = catalog->remote.client_secret_file.len > 0;
    bool is_owner = identity_is_owner(who) && identity_actor(who).len == 0;
    if (!is_owner) {
        TRY(check_origin(query, catalog->remote.uri, info));
        TRY(check_origin(query, catalog->remote.token_uri, info));
        TRY(check_origin(query, catalog->remote.sts_uri, info));
    }
    if (is_ours && !is_owner) {
        (void)errinfo_set(info, ERR_DENIED, NULL,
                          "only the warehouse's owner may name a CLIENT_SECRET_FILE");
        errinfo_hint(info, "Ask them to attach it.");
        return ERR_DENIED;
    }
    if (catalog->remote.auth != REST_AUTH_CLIENT && identity_credential_number(who) == 0) {
        (void)snprintf(query->notice, sizeof(query->notice),
                       "the catalog was not asked: this session has no token");
        return ERR_OK;
    }
    TRY(catalog_iceberg_check(catalog, who, info));
    return probe(query, catalog, kept, info);
}

/* Opened once as the person, so that a mistake shows now. */
static enum err check(struct query *query, const struct statement *statement,
                      struct system_catalog *kept, struct errinfo *info)
{
    struct attached written;
    struct attached attached;
    struct system_catalog asked = {.name = statement->name.name,
                                   .options = statement->options,
                                   .option_count = statement->option_count};
    TRY(attached_read(query->session, &asked, query->arena, &written, info));
    kept->name = statement->name.name;
    TRY(catalog_iceberg_is_remote(&written.catalog)
            ? rest_uri_check(written.catalog.rest, statement->location, query->arena,
                             &kept->location, info)
            : catalog_iceberg_locate(query->session->who, statement->location, query->arena,
                                     &kept->location, info));
    TRY(keep_options(query, statement, &written, kept, info));
    TRY(attached_read(query->session, kept, query->arena, &attached, info));
    if (catalog_iceberg_is_remote(&written.catalog)) {
        return check_remote(query, &attached, kept, info);
    }
    enum err err = written.creates
                       ? catalog_iceberg_create(&attached.catalog, query->session->who, info)
                       : ERR_OK;
    if (err == ERR_OK || err == ERR_EXISTS) { /* what exists is opened */
        err = catalog_iceberg_check(&attached.catalog, query->session->who, info);
    }
    return err;
}

enum err run_attach(struct query *query, const struct statement *statement, struct errinfo *info)
{
    struct session *session = query->session;
    struct system_catalog kept = {0};
    if (!resolve_is_admin(session->who)) { /* others may not learn by it what is on the disk */
        (void)errinfo_set(info, ERR_DENIED, NULL,
                          "only the warehouse's owner and members of \"" SYSTEM_ROLE_ADMIN
                          "\" may attach catalogs");
        errinfo_hint(info, "Ask one of them.");
        return ERR_DENIED;
    }
    enum err err = check(query, statement, &kept, info);
    if (err != ERR_OK) {
        if (info != NULL && info->position == 0) {
            errinfo_position(info, statement_position(query->statement, statement->location));
        }
        return err;
    }
    enum system_create_mode mode = statement->or_replace      ? SYSTEM_CREATE_OR_REPLACE
                                   : statement->if_not_exists ? SYSTEM_CREATE_IF_NOT_EXISTS
                                                              : SYSTEM_CREATE;
    return system_catalog_attach(session->warehouse->system, session->who, &kept, mode, info);
}

enum err run_detach(struct query *query, const struct statement *statement, struct errinfo *info)
{
    return system_catalog_detach(query->session->warehouse->system, query->session->who,
                                 statement->name.name, statement->if_exists, info);
}
