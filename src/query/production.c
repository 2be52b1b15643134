/* What a server of production must not have. There is no switch that turns policy or the trail
 * off, so none is looked for: what could go round them is, and whatever is asked for with a right
 * that is not the person's. */
#include "query/production.h"

#include <arpa/inet.h>
#include <stdarg.h>

#include "query/lake/lake_int.h"
#include "query/query_int.h"
#include "system/credentials.h"

#define REASONS_MAX 1000u

struct reasons {
    struct arena *arena;
    struct production_reason *list;
    size_t count;
    bool is_nomem;
};

__attribute__((format(printf, 3, 4))) static void add(struct reasons *reasons, const char *mend,
                                                      const char *format, ...)
{
    va_list args;
    char text[512];
    if (reasons->count == REASONS_MAX) {
        return; /* who mends a thousand sees the others then */
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    const char *what = arena_strdup(reasons->arena, text);
    reasons->is_nomem = reasons->is_nomem || what == NULL;
    if (what != NULL) {
        reasons->list[reasons->count++] = (struct production_reason){what, mend};
    }
}

/* ---- the configuration ---- */

static bool is_loopback(const char *address)
{
    struct in_addr in;
    struct in6_addr in6;
    if (inet_pton(AF_INET, address, &in) == 1) {
        return ntohl(in.s_addr) >> 24 == 127;
    }
    return inet_pton(AF_INET6, address, &in6) == 1 && IN6_IS_ADDR_LOOPBACK(&in6);
}

static bool is_word(const struct config *config, enum config_key key, const char *word)
{
    return strcmp(config_text(config, key), word) == 0;
}

static void check_wire(const struct config *config, struct reasons *reasons)
{
    const char *address = config_text(config, CONFIG_SERVER_ADDRESS);
    const char *http = config_text(config, CONFIG_SERVER_HTTP_ADDRESS);
    bool has_tls = !is_word(config, CONFIG_SERVER_TLS, "off") &&
                   config_text(config, CONFIG_SERVER_TLS_CERTIFICATE)[0] != '\0';
    if (!has_tls && !is_loopback(address)) {
        add(reasons,
            "Set server.tls_certificate and server.tls_key, and server.tls to auto or required.",
            "\"%.100s\" is served without TLS", address);
    }
    if (!is_loopback(http) && config_integer(config, CONFIG_SERVER_HTTP_PORT) >= 0) {
        add(reasons, "Set server.http_address to one of the loopback, or server.http_port to -1.",
            "/metrics is served without TLS at \"%.100s\"", http);
    }
    if (config_bool(config, CONFIG_STORAGE_ALLOW_PLAIN_HTTP)) {
        add(reasons, "Set storage.allow_plain_http to false.",
            "object stores may be asked without TLS (storage.allow_plain_http)");
    }
}

static void check_sign_in(const struct config *config, struct reasons *reasons)
{
    bool has_tokens = slice_find(slice_of(config_text(config, CONFIG_LOGIN_PROVIDERS)),
                                 SLICE("oidc")) != SIZE_MAX;
    struct slice audience = slice_trim(slice_of(config_text(config, CONFIG_OIDC_AUDIENCE)));
    if (has_tokens && audience.len == 0) {
        add(reasons, "Set oidc.audience to the name that tokens have for this service.",
            "tokens meant for other services would open this one (no oidc.audience)");
    }
    if (config_duration_ms(config, CONFIG_APIKEY_LIFETIME_MAX) == 0) {
        add(reasons, "Set apikey.lifetime_max to the longest life that a key may have.",
            "API keys may live for ever (apikey.lifetime_max=0)");
    }
}

static void check_engine(const struct config *config, struct reasons *reasons)
{
    if (is_word(config, CONFIG_ENGINE_ISOLATION, "none")) {
        add(reasons, "Set engine.isolation to auto or hosts.",
            "the engine runs in the process that holds people's tokens (engine.isolation=none)");
    }
    if (!config_bool(config, CONFIG_ENGINE_HOST_CONFINEMENT)) {
        add(reasons, "Set engine.host_confinement to true.",
            "engine hosts may run unconfined (engine.host_confinement=false)");
    }
    if (config_text(config, CONFIG_CATALOG_LOCAL_FOLDERS)[0] != '\0') {
        add(reasons,
            "Leave catalog.local_folders empty: tables lie where a catalog lends "
            "credentials for.",
            "tables of catalogs are read with this program's own rights (catalog.local_folders)");
    }
}

/* ---- the store ---- */

static void check_catalog(struct session *session, const struct system_catalog *kept,
                          struct reasons *reasons)
{
    struct attached attached;
    struct errinfo info;
    errinfo_init(&info);
    if (attached_read(session, kept, reasons->arena, &attached, &info) != ERR_OK) {
        add(reasons, "DETACH it, or attach it anew.", "catalog \"%.*s\" cannot be used: %.300s",
            SLICE_ARGS(kept->name), info.message);
        return;
    }
    if (!catalog_iceberg_is_remote(&attached.catalog)) {
        return; /* files of this machine, which the grants of this warehouse guard */
    }
    if (attached.catalog.remote.auth == REST_AUTH_CLIENT) {
        add(reasons, "ATTACH OR REPLACE it with AUTH session or AUTH exchange, or DETACH it.",
            "catalog \"%.*s\" is asked as this program, by a secret of its own (AUTH client)",
            SLICE_ARGS(kept->name));
    }
    if (attached.lends == REST_LENDS_NOTHING) {
        add(reasons,
            "Let the catalog vend credentials or sign requests, then ATTACH OR REPLACE it, or "
            "DETACH it.",
            "catalog \"%.*s\" lends no credentials for the files of its tables",
            SLICE_ARGS(kept->name));
    }
}

static enum err check_catalogs(struct session *session, struct reasons *reasons,
                               struct errinfo *info)
{
    struct system_catalog *catalogs;
    size_t count;
    TRY(system_catalogs(session->warehouse->system, session->who, reasons->arena, &catalogs, &count,
                        info));
    for (size_t i = 0; i < count; i++) {
        check_catalog(session, &catalogs[i], reasons);
    }
    return ERR_OK;
}

static enum err check_keys(struct session *session, struct reasons *reasons, struct errinfo *info)
{
    struct system_api_key *keys;
    size_t count;
    TRY(system_api_keys(session->warehouse->system, session->who, reasons->arena, &keys, &count,
                        info));
    for (size_t i = 0; i < count; i++) {
        if (keys[i].expires_wall_us == 0 && keys[i].revoked_wall_us == 0) {
            add(reasons, "REVOKE API KEY it, and make one that expires.",
                "API key \"%.*s\" of user \"%.*s\" lives for ever", SLICE_ARGS(keys[i].name),
                SLICE_ARGS(keys[i].user));
        }
    }
    return ERR_OK;
}

static enum err check_store(struct warehouse *warehouse, struct reasons *reasons,
                            struct errinfo *info)
{
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct session *session CLEANUP(session_cleanup) = NULL;
    TRY(warehouse_login_local(warehouse, SLICE(""), &who, info));
    TRY(session_open(warehouse, who, &session, info));
    TRY(check_catalogs(session, reasons, info));
    return check_keys(session, reasons, info);
}

enum err production_reasons(const struct config *config, struct warehouse *warehouse,
                            struct arena *arena, struct production_reason **ret_reasons,
                            size_t *ret_count, struct errinfo *info)
{
    struct reasons reasons = {.arena = arena};
    reasons.list = arena_calloc(arena, REASONS_MAX, sizeof(*reasons.list));
    if (reasons.list == NULL) {
        return errinfo_nomem(info);
    }
    check_wire(config, &reasons);
    check_sign_in(config, &reasons);
    check_engine(config, &reasons);
    if (warehouse != NULL) {
        TRY(check_store(warehouse, &reasons, info));
    }
    if (reasons.is_nomem) {
        return errinfo_nomem(info);
    }
    *ret_reasons = reasons.list;
    *ret_count = reasons.count;
    return ERR_OK;
}
