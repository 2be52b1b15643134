/* A program that changes a REST catalog as it is told by its arguments, for write_test.py. Not a
 * test by itself.
 *
 *   rest_drive URI TOKEN_URI SECRET_FILE VERB NAMESPACE [ARGUMENT ...]
 *
 * It asks with the token of client "etl" and prints "ok TEXT" or "err SQLSTATE MESSAGE". */
#include <stdio.h>

#include "base/mem.h"
#include "catalog/rest/write.h"
#include "identity/identity.h"
#include "storage/remote.h"

#define LEVELS_MAX 16

struct drive {
    struct rest *rest;
    struct rest_catalog catalog;
    struct identity *who;
    struct arena *arena;
    struct errinfo info;
    struct rest_namespace ns;
    char **arguments; /* behind the namespace, NULL at the end */
};

static struct rest_namespace levels_of(struct drive *drive, const char *dotted)
{
    struct slice *levels = arena_calloc(drive->arena, LEVELS_MAX, sizeof(*levels));
    size_t count = 0;
    ASSERT(levels != NULL);
    for (const char *at = dotted; at != NULL && count < LEVELS_MAX;) {
        const char *dot = strchr(at, '.');
        levels[count++] = (struct slice){at, dot == NULL ? strlen(at) : (size_t)(dot - at)};
        at = dot == NULL ? NULL : dot + 1;
    }
    return (struct rest_namespace){levels, count};
}

static enum err print_loaded(const struct rest_loaded *loaded)
{
    printf("ok %.*s %.*s\n", SLICE_ARGS(loaded->metadata_location), SLICE_ARGS(loaded->metadata));
    return ERR_OK;
}

static enum err commit(struct drive *d)
{
    struct rest_loaded loaded;
    TRY(rest_commit(d->rest, &d->catalog, d->who, &d->ns, slice_of(d->arguments[0]),
                    slice_of(d->arguments[1]), slice_of(d->arguments[2]), d->arena, &loaded,
                    &d->info));
    return print_loaded(&loaded);
}

static enum err create(struct drive *d)
{
    struct rest_loaded loaded;
    struct rest_lent lent;
    TRY(rest_create_table(d->rest, &d->catalog, d->who, &d->ns, slice_of(d->arguments[0]),
                          slice_of(d->arguments[1]), d->arena, &loaded, &lent, &d->info));
    storage_grant_unref(lent.grant);
    return print_loaded(&loaded);
}

static enum err enlist(struct drive *d)
{
    return rest_register_table(d->rest, &d->catalog, d->who, &d->ns, slice_of(d->arguments[0]),
                               slice_of(d->arguments[1]), &d->info);
}

static enum err drop(struct drive *d)
{
    return rest_drop_table(d->rest, &d->catalog, d->who, &d->ns, slice_of(d->arguments[0]),
                           d->arguments[1] != NULL, &d->info);
}

static enum err move(struct drive *d)
{
    struct rest_namespace ns = levels_of(d, d->arguments[1]);
    return rest_rename_table(d->rest, &d->catalog, d->who, &d->ns, slice_of(d->arguments[0]), &ns,
                             slice_of(d->arguments[2]), &d->info);
}

static enum err make_namespace(struct drive *d)
{
    const struct rest_property note = {SLICE("note"), SLICE("a \"quoted\" text")};
    return rest_create_namespace(d->rest, &d->catalog, d->who, &d->ns, &note, 1, &d->info);
}

static enum err drop_namespace(struct drive *d)
{
    return rest_drop_namespace(d->rest, &d->catalog, d->who, &d->ns, &d->info);
}

static const struct {
    const char *name;
    enum err (*run)(struct drive *drive);
    bool prints;
} verbs[] = {
    {"commit", commit, true},
    {"create", create, true},
    {"register", enlist, false},
    {"drop", drop, false},
    {"rename", move, false},
    {"make-namespace", make_namespace, false},
    {"drop-namespace", drop_namespace, false},
};

static enum err run(struct drive *d, const char *verb)
{
    for (size_t i = 0; i < ARRAY_COUNT(verbs); i++) {
        if (strcmp(verbs[i].name, verb) == 0) {
            TRY(verbs[i].run(d));
            if (!verbs[i].prints) {
                printf("ok\n");
            }
            return ERR_OK;
        }
    }
    return errinfo_set(&d->info, ERR_INVALID, NULL, "there is no verb \"%s\"", verb);
}

int main(int argc, char **argv)
{
    struct drive d = {0};
    struct identity_spec spec = {.subject = SLICE("etl"), .provider = SLICE("test")};
    struct rest_options options = {.timeout_ms = 3000,
                                   .connect_timeout_ms = 1000,
                                   .config_age_ms = 60000,
                                   .breaker_failures = 3,
                                   .breaker_pause_ms = 1000,
                                   .response_bytes_max = 1 << 20,
                                   .cache_bytes_max = 1 << 20,
                                   .allow_loopback_http = true};
    ASSERT(argc >= 6);
    errinfo_init(&d.info);
    d.arena = arena_new(NULL, "drive", 0);
    d.catalog = (struct rest_catalog){.name = SLICE("lake"),
                                      .uri = slice_of(argv[1]),
                                      .auth = REST_AUTH_CLIENT,
                                      .token_uri = slice_of(argv[2]),
                                      .client_id = SLICE("etl"),
                                      .client_secret_file = slice_of(argv[3])};
    d.ns = levels_of(&d, argv[5]);
    d.arguments = argv + 6;
    enum err err = rest_open(&options, &d.rest, &d.info);
    err = err == ERR_OK ? identity_new(&spec, &d.who, &d.info) : err;
    err = err == ERR_OK ? run(&d, argv[4]) : err;
    if (err != ERR_OK) {
        printf("err %s%s %s\n", rest_is_unknown(&d.info) ? "unknown " : "", d.info.sqlstate,
               d.info.message);
    }
    identity_unref(d.who);
    rest_close(d.rest);
    arena_free(d.arena);
    return 0;
}
