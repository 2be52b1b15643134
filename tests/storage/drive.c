/* A program that does with storage what it is told, a line at a time, for suite.py. Not a test by
 * itself. Fields are separated by tabs; each command has one answer, "ok ..." or "err NAME ...";
 * while one runs, "renew GRANT" may come first, which wants credentials as its answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "storage/remote.h"

#include "fetch/fetch.h"

#define FIELDS_MAX 16
#define GRANTS_MAX 16
#define LINE_BYTES 65536

struct line {
    char text[LINE_BYTES];
    char *fields[FIELDS_MAX];
};

struct lent {
    struct storage_grant *grant;
    struct storage_object *object;
};

static struct {
    struct storage_remote *remote;
    struct fetch_pool *pools[2]; /* of two people */
    struct lent lent[GRANTS_MAX];
    struct arena *arena;
    char people[2];
} state;

static const struct identity *person(size_t number)
{
    ASSERT(number < 2);
    return (const struct identity *)(const void *)&state.people[number];
}

static bool read_line(struct line *line)
{
    memset(line, 0, sizeof(*line));
    if (fgets(line->text, sizeof(line->text), stdin) == NULL) {
        return false;
    }
    line->text[strcspn(line->text, "\n")] = '\0';
    char *at = line->text;
    for (size_t i = 0; i < FIELDS_MAX; i++) {
        line->fields[i] = at;
        char *tab = strchr(at, '\t');
        if (tab == NULL) {
            at += strlen(at);
            continue;
        }
        *tab = '\0';
        at = tab + 1;
    }
    return true;
}

static size_t number_of(const char *text)
{
    uint64_t number;
    bool is_number = slice_to_u64(slice_of(text), &number);
    ASSERT(is_number);
    return (size_t)number;
}

/* prefix, access key, secret, token, expiry in ms, region, endpoint, path style */
static struct storage_credential credential_of(char **fields)
{
    return (struct storage_credential){
        .prefix = slice_of(fields[0]),
        .access_key = slice_of(fields[1]),
        .secret_key = slice_of(fields[2]),
        .session_token = slice_of(fields[3]),
        .expires_wall_us = (int64_t)number_of(fields[4]) * 1000,
        .region = slice_of(fields[5]),
        .endpoint = slice_of(fields[6]),
        .is_path_style = strcmp(fields[7], "1") == 0,
    };
}

static enum err renew(void *context, struct storage_grant *grant, struct errinfo *info)
{
    struct line *line = mem_calloc(1, sizeof(*line));
    ASSERT(line != NULL);
    printf("renew\t%zu\n", (size_t)(uintptr_t)context);
    (void)fflush(stdout);
    enum err err = ERR_IO;
    if (!read_line(line) || strcmp(line->fields[0], "no") == 0) {
        (void)errinfo_set(info, ERR_DENIED, NULL, "the catalog says no");
        err = ERR_DENIED;
    } else {
        struct storage_credential credential = credential_of(line->fields);
        err = storage_grant_renew(grant, &credential, 1, info);
    }
    mem_free(line);
    return err;
}

/* ---- commands ---- */

/* remote CA_FILE PLAIN MEMORY DISK FOLDER PATIENCE_MS TIMEOUT_MS BLOCK */
static enum err do_remote(char **fields, struct errinfo *info)
{
    struct storage_remote_options options = {
        .ca_file = slice_of(fields[0]),
        .allow_plain_http = strcmp(fields[1], "1") == 0,
        .cache_memory_bytes = number_of(fields[2]),
        .cache_disk_bytes = number_of(fields[3]),
        .cache_folder = slice_of(fields[4]),
        .patience_ms = (int64_t)number_of(fields[5]),
        .timeout_ms = (int64_t)number_of(fields[6]),
        .cache_block_bytes = number_of(fields[7]),
    };
    TRY(storage_remote_open(&options, &state.remote, info));
    TRY(storage_remote_pool(state.remote, &state.pools[0], info));
    return storage_remote_pool(state.remote, &state.pools[1], info);
}

/* grant NUMBER PERSON RENEWS CREDENTIAL... */
static enum err do_grant(char **fields, struct errinfo *info)
{
    size_t number = number_of(fields[0]);
    size_t who = number_of(fields[1]);
    ASSERT(number < GRANTS_MAX);
    struct storage_credential credential = credential_of(fields + 3);
    struct storage_grant_spec spec = {
        .who = person(who),
        .remote = state.remote,
        .pool = state.pools[who],
        .credentials = &credential,
        .credential_count = 1,
        .renew = strcmp(fields[2], "1") == 0 ? renew : NULL,
        .context = (void *)(uintptr_t)number,
    };
    struct lent *lent = &state.lent[number];
    storage_close(lent->object);
    storage_grant_unref(lent->grant);
    *lent = (struct lent){0};
    return storage_grant_new(&spec, &lent->grant, info);
}

/* open GRANT PERSON LOCATION */
static enum err do_open(char **fields, struct errinfo *info)
{
    struct lent *lent = &state.lent[number_of(fields[0])];
    storage_close(lent->object);
    lent->object = NULL;
    struct slice any = {NULL, 0};
    TRY(storage_grant_open(lent->grant, person(number_of(fields[1])), slice_of(fields[2]), any,
                           &lent->object, info));
    printf("ok\t%llu\n", (unsigned long long)storage_size(lent->object));
    return ERR_OK;
}

static void print_hash(struct slice bytes)
{
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];
    enum err err = hash_sha256(bytes, digest);
    ASSERT(err == ERR_OK);
    hash_hex(digest, sizeof(digest), hex);
    printf("ok\t%s\n", hex);
}

/* read GRANT OFFSET LENGTH */
static enum err do_read(char **fields, struct errinfo *info)
{
    size_t len = number_of(fields[2]);
    char *bytes CLEANUP(mem_free_cleanup) = mem_calloc(1, len);
    ASSERT(bytes != NULL);
    TRY(storage_read(state.lent[number_of(fields[0])].object, number_of(fields[1]), bytes, len,
                     info));
    print_hash((struct slice){bytes, len});
    return ERR_OK;
}

/* list GRANT PERSON PREFIX MAXIMUM */
static enum err do_list(char **fields, struct errinfo *info)
{
    struct storage_entry *entries;
    size_t count;
    TRY(storage_grant_list(state.lent[number_of(fields[0])].grant, person(number_of(fields[1])),
                           slice_of(fields[2]), number_of(fields[3]), state.arena, &entries, &count,
                           info));
    printf("ok\t%zu", count);
    for (size_t i = 0; i < count && i < 100; i++) {
        printf("\t%.*s=%llu", SLICE_ARGS(entries[i].location),
               (unsigned long long)entries[i].size_bytes);
    }
    printf("\n");
    return ERR_OK;
}

/* put GRANT PERSON LOCATION TEXT IS_NEW */
static enum err do_put(char **fields, struct errinfo *info)
{
    struct storage_entry entry;
    TRY(storage_grant_put(state.lent[number_of(fields[0])].grant, person(number_of(fields[1])),
                          slice_of(fields[2]), slice_of(fields[3]), strcmp(fields[4], "1") == 0,
                          state.arena, &entry, info));
    printf("ok\t%.*s\n", SLICE_ARGS(entry.etag));
    return ERR_OK;
}

/* upload GRANT PERSON LOCATION LENGTH FINISHES: bytes are "i % 251" */
static enum err do_upload(char **fields, struct errinfo *info)
{
    struct storage_upload *upload CLEANUP(storage_upload_cleanup) = NULL;
    struct storage_entry entry;
    size_t len = number_of(fields[3]);
    TRY(storage_upload_open(state.lent[number_of(fields[0])].grant, person(number_of(fields[1])),
                            slice_of(fields[2]), &upload, info));
    char piece[100000];
    for (size_t at = 0; at < len;) {
        size_t part = len - at < sizeof(piece) ? len - at : sizeof(piece);
        for (size_t i = 0; i < part; i++) {
            piece[i] = (char)((at + i) % 251);
        }
        TRY(storage_upload_append(upload, (struct slice){piece, part}, info));
        at += part;
    }
    if (strcmp(fields[4], "1") != 0) {
        printf("ok\tleft\n");
        return ERR_OK;
    }
    TRY(storage_upload_finish(upload, state.arena, &entry, info));
    printf("ok\t%.*s\t%llu\n", SLICE_ARGS(entry.etag), (unsigned long long)entry.size_bytes);
    return ERR_OK;
}

/* delete GRANT PERSON LOCATION */
static enum err do_delete(char **fields, struct errinfo *info)
{
    TRY(storage_grant_delete(state.lent[number_of(fields[0])].grant, person(number_of(fields[1])),
                             slice_of(fields[2]), info));
    printf("ok\n");
    return ERR_OK;
}

static enum err do_revoke(char **fields, UNUSED struct errinfo *info)
{
    storage_grant_revoke(state.lent[number_of(fields[0])].grant);
    printf("ok\n");
    return ERR_OK;
}

static enum err do_counts(UNUSED char **fields, UNUSED struct errinfo *info)
{
    struct storage_counts counts;
    storage_remote_counts(state.remote, &counts);
    printf("ok\t%llu\t%llu\t%llu\t%llu\t%llu\n", (unsigned long long)counts.requests,
           (unsigned long long)counts.repeats, (unsigned long long)counts.renewals,
           (unsigned long long)(counts.memory_hits + counts.disk_hits),
           (unsigned long long)counts.misses);
    return ERR_OK;
}

static const struct {
    const char *name;
    enum err (*run)(char **fields, struct errinfo *info);
    bool is_silent; /* prints nothing itself */
} commands[] = {
    {"remote", do_remote, true},  {"grant", do_grant, true},    {"open", do_open, false},
    {"read", do_read, false},     {"list", do_list, false},     {"put", do_put, false},
    {"upload", do_upload, false}, {"delete", do_delete, false}, {"revoke", do_revoke, false},
    {"counts", do_counts, false},
};

static void run(struct line *line)
{
    struct errinfo info;
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++) {
        if (strcmp(commands[i].name, line->fields[0]) != 0) {
            continue;
        }
        enum err err = commands[i].run(line->fields + 1, &info);
        if (err != ERR_OK) {
            printf("err\t%s\t%s\t%s\n", err_name(err), info.message, info.detail);
        } else if (commands[i].is_silent) {
            printf("ok\n");
        }
        return;
    }
    printf("err\tno such command\n");
}

int main(void)
{
    struct line *line = mem_calloc(1, sizeof(*line));
    state.arena = arena_new(NULL, "drive", 0);
    ASSERT(line != NULL && state.arena != NULL);
    while (read_line(line)) {
        run(line);
        (void)fflush(stdout);
    }
    for (size_t i = 0; i < GRANTS_MAX; i++) {
        storage_close(state.lent[i].object);
        storage_grant_unref(state.lent[i].grant);
    }
    fetch_pool_unref(state.pools[0]);
    fetch_pool_unref(state.pools[1]);
    storage_remote_close(state.remote);
    arena_free(state.arena);
    mem_free(line);
    return 0;
}
