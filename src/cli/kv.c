/* `moat kv`: pairs of a kernel's store, as the OS user who may open its folder. For those who look
 * after a store; tables of the warehouse are not reached this way. */
#include "cli/kv.h"

#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "cli/kv_measure.h"
#include "cli/text.h"
#include "io/store.h"

#define LOAD_BATCH 500u
#define LOAD_BYTES (256u << 10)
#define LINE_BYTES_MAX (KERNEL_KEY_BYTES_MAX + KERNEL_VALUE_BYTES_MAX + 2)

static const char help[] =
    "moat kv: a store of key-value pairs by hand\n"
    "\n"
    "  moat kv put DIR KEY VALUE       one durable commit; the folder is made if it is not there\n"
    "  moat kv get DIR KEY [COMMIT]    the value, now or as of a commit\n"
    "  moat kv delete DIR KEY\n"
    "  moat kv scan DIR [FROM [TO]]    `key <tab> value` lines, from FROM up to before TO\n"
    "  moat kv rscan DIR [FROM [TO]]   the same backwards\n"
    "  moat kv load DIR                `key <tab> value` lines from standard input\n"
    "  moat kv stats DIR               what it is made of\n"
    "  moat kv verify DIR              read and check every byte\n"
    "  moat kv backup DIR TO           a copy in another folder; again into it copies what is new\n"
    "  moat kv trim DIR                forget old versions and merge\n"
    "  moat kv bench DIR [PAIRS]       fill an empty store with 1,000,000 pairs and measure it\n"
    "\n"
    "A commit is durable when its line is printed; its number names the moment for `get DIR KEY "
    "COMMIT`\n"
    "until `trim` forgets it. One process has a folder open at a time. Keys have up to 1,024\n"
    "bytes, values up to 1,048,576.\n"
    "\n"
    "  $ moat kv put /tmp/s greeting hello && moat kv get /tmp/s greeting\n"
    "  hello\n"
    "  $ seq 9 | sed 's/.*/k&\\tv&/' | moat kv load /tmp/s && moat kv scan /tmp/s k3 k5\n"
    "  k3\tv3\n"
    "  k4\tv4\n"
    "  $ moat kv bench /tmp/bench 100000        # on the disk that you want to know about\n";

struct kv {
    struct store *store;
    struct errinfo info;
    const char *words[3]; /* behind DIR */
    int word_count;
};

static enum cli_exit flush(struct buf *out)
{
    struct slice text = buf_slice(out);
    bool is_good = !buf_failed(out) && fwrite(text.ptr, 1, text.len, stdout) == text.len &&
                   fflush(stdout) == 0;
    buf_fini(out);
    return is_good ? EXIT_OK : EXIT_STATEMENT;
}

static enum err kv_put(struct kv *kv)
{
    struct kernel_txn *txn = NULL;
    uint64_t commit = 0;
    TRY(store_begin(kv->store, KERNEL_SNAPSHOT, &txn, &kv->info));
    enum err result = kv->word_count == 2
                          ? kernel_put(txn, slice_of(kv->words[0]), slice_of(kv->words[1]))
                          : kernel_delete(txn, slice_of(kv->words[0]));
    if (result != ERR_OK) {
        store_rollback(kv->store, txn);
        return store_report(kv->store, result, &kv->info);
    }
    return store_commit(kv->store, txn, true, &commit, &kv->info);
}

static enum err kv_get(struct kv *kv)
{
    struct kernel_txn *txn = NULL;
    uint64_t commit = 0;
    if (kv->word_count == 2) {
        if (!slice_to_u64(slice_of(kv->words[1]), &commit)) {
            return errinfo_set(&kv->info, ERR_INVALID, NULL, "\"%s\" is not a number of a commit",
                               kv->words[1]);
        }
        TRY(store_begin_at(kv->store, commit, &txn, &kv->info));
    } else {
        TRY(store_begin(kv->store, KERNEL_READ_ONLY, &txn, &kv->info));
    }
    struct slice value;
    enum err result = kernel_get(txn, slice_of(kv->words[0]), &value);
    if (result == ERR_OK) {
        struct buf out = {0};
        buf_append_slice(&out, value);
        buf_append_char(&out, '\n');
        result = flush(&out) == EXIT_OK ? ERR_OK : ERR_IO;
    }
    store_rollback(kv->store, txn);
    return store_report(kv->store, result, &kv->info);
}

static enum err kv_scan(struct kv *kv, bool is_backward)
{
    struct kernel_txn *txn = NULL;
    TRY(store_begin(kv->store, KERNEL_READ_ONLY, &txn, &kv->info));
    struct kernel_range range = {.is_backward = is_backward};
    range.from = kv->word_count > 0 ? slice_of(kv->words[0]) : SLICE("");
    range.to = kv->word_count > 1 ? slice_of(kv->words[1]) : SLICE("");
    struct kernel_scan *scan = NULL;
    enum err result = range.from.len > KERNEL_KEY_BYTES_MAX || range.to.len > KERNEL_KEY_BYTES_MAX
                          ? ERR_LIMIT
                          : kernel_scan_open(txn, &range, &scan);
    while (result == ERR_OK) {
        struct slice key, value;
        struct buf out = {0};
        result = kernel_scan_next(scan, &key, &value);
        if (result == ERR_OK) {
            text_escape(&out, key, KEEP_NOTHING); /* a terminal must not obey what is stored */
            buf_append_char(&out, '\t');
            text_escape(&out, value, KEEP_NOTHING);
            buf_append_char(&out, '\n');
            result = flush(&out) == EXIT_OK ? ERR_OK : ERR_IO;
        }
    }
    store_rollback(kv->store, txn);
    return result == ERR_NOT_FOUND ? ERR_OK : store_report(kv->store, result, &kv->info);
}

/* One transaction of up to LOAD_BATCH lines; `ret_count` 0 at the end of the input. */
static enum err load_batch(struct kv *kv, uint64_t *line, uint32_t *ret_count)
{
    struct kernel_txn *txn = NULL;
    TRY(store_begin(kv->store, KERNEL_SNAPSHOT, &txn, &kv->info));
    char text[LINE_BYTES_MAX + 2];
    uint32_t count = 0;
    size_t bytes = 0;
    while (count < LOAD_BATCH && bytes < LOAD_BYTES && fgets(text, sizeof(text), stdin) != NULL) {
        (*line)++;
        size_t len = strcspn(text, "\n"), key_len = strcspn(text, "\t");
        enum err result = text[len] == '\0' && feof(stdin) == 0 ? ERR_LIMIT
                          : key_len >= len
                              ? ERR_INVALID
                              : kernel_put(txn, (struct slice){text, key_len},
                                           (struct slice){text + key_len + 1, len - key_len - 1});
        if (result != ERR_OK) {
            store_rollback(kv->store, txn);
            (void)errinfo_set(&kv->info, result, NULL, "line %llu is %s", (unsigned long long)*line,
                              result == ERR_LIMIT ? "too long" : "not `key <tab> value`");
            errinfo_hint(&kv->info, "A key has 1 to %u bytes, a value up to %u.",
                         (unsigned)KERNEL_KEY_BYTES_MAX, (unsigned)KERNEL_VALUE_BYTES_MAX);
            return result;
        }
        count++;
        bytes += len;
    }
    *ret_count = count;
    uint64_t commit = 0;
    return store_commit(kv->store, txn, false, &commit, &kv->info);
}

static enum err kv_load(struct kv *kv)
{
    uint64_t line = 0;
    uint32_t count = 1;
    int64_t start = clock_mono_us();
    while (count > 0) {
        TRY(load_batch(kv, &line, &count));
    }
    TRY(store_sync(kv->store, &kv->info));
    double seconds = (double)(clock_mono_us() - start + 1) / 1e6;
    fprintf(stderr, "%llu pairs, %.0f a second\n", (unsigned long long)line,
            (double)line / seconds);
    return ERR_OK;
}

static enum err kv_stats(struct kv *kv)
{
    struct kernel_stats s;
    struct buf out = {0};
    store_get_stats(kv->store, &s);
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"commits", s.committed},
        {"watermark", s.watermark},
        {"entries in memory", s.memtable_entries},
        {"entries in runs", s.run_entries},
        {"runs", s.runs},
        {"bytes of blocks", s.run_blocks * 4096},
        {"the same, in files", s.block_bytes},
        {"bytes of long values", s.value_bytes},
        {"bytes of filters", s.filter_bytes},
        {"bytes of indexes", s.index_bytes},
        {"segments of indexes", s.index_segments},
        {"fences of indexes", s.index_fences},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        buf_printf(&out, "%-22s %llu\n", rows[i].name, (unsigned long long)rows[i].value);
    }
    for (uint32_t level = 0; level < KERNEL_LEVELS; level++) {
        if (s.level_runs[level] > 0) {
            buf_printf(&out, "level %u                %llu runs, %llu blocks\n", level,
                       (unsigned long long)s.level_runs[level],
                       (unsigned long long)s.level_blocks[level]);
        }
    }
    return flush(&out) == EXIT_OK ? ERR_OK : ERR_IO;
}

static enum err kv_verify(struct kv *kv)
{
    TRY(store_verify(kv->store, &kv->info));
    struct buf out = {0};
    buf_append_str(&out, "Every block, filter and index is as it was written.\n");
    return flush(&out) == EXIT_OK ? ERR_OK : ERR_IO;
}

static enum err kv_backup(struct kv *kv)
{
    return store_backup(kv->store, kv->words[0], &kv->info);
}

static enum err kv_trim(struct kv *kv)
{
    struct kernel_stats s;
    store_get_stats(kv->store, &s);
    store_set_watermark(kv->store, s.durable);
    return store_settle(kv->store, &kv->info);
}

static enum err bench(struct kv *kv)
{
    uint64_t pairs = 1000000;
    if (kv->word_count == 1 &&
        (!slice_to_u64(slice_of(kv->words[0]), &pairs) || pairs < 1000 || pairs > 1000000000)) {
        return errinfo_set(&kv->info, ERR_INVALID, NULL,
                           "\"%s\" is not a number of pairs from 1000 to 1000000000", kv->words[0]);
    }
    return kv_measure(kv->store, pairs, &kv->info);
}

static const struct verb {
    const char *name;
    int words_min, words_max;
    bool makes_store; /* where there is none yet */
    bool is_backward;
    enum err (*run)(struct kv *kv);
    enum err (*scan)(struct kv *kv, bool is_backward);
} verbs[] = {
    {"put", 2, 2, true, false, kv_put, NULL},      {"get", 1, 2, false, false, kv_get, NULL},
    {"delete", 1, 1, false, false, kv_put, NULL},  {"scan", 0, 2, false, false, NULL, kv_scan},
    {"rscan", 0, 2, false, true, NULL, kv_scan},   {"load", 0, 0, true, false, kv_load, NULL},
    {"stats", 0, 0, false, false, kv_stats, NULL}, {"verify", 0, 0, false, false, kv_verify, NULL},
    {"trim", 0, 0, false, false, kv_trim, NULL},   {"backup", 1, 1, false, false, kv_backup, NULL},
    {"bench", 0, 1, true, false, bench, NULL},
};

enum cli_exit kv_main(int argc, char **argv)
{
    const struct verb *verb = NULL;
    for (size_t i = 0; argc >= 3 && i < ARRAY_COUNT(verbs); i++) {
        if (strcmp(argv[1], verbs[i].name) == 0) {
            verb = &verbs[i];
        }
    }
    bool is_help = argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0);
    if (verb == NULL || argc - 3 < verb->words_min || argc - 3 > verb->words_max) {
        (void)fputs(help, is_help ? stdout : stderr);
        return is_help ? EXIT_OK : EXIT_USAGE;
    }
    struct kv kv = {.word_count = argc - 3};
    errinfo_init(&kv.info);
    for (int i = 3; i < argc; i++) {
        kv.words[i - 3] = argv[i];
    }
    enum err result = verb->makes_store || access(argv[2], F_OK) == 0 ? ERR_OK : ERR_NOT_FOUND;
    if (result == ERR_OK) {
        result = store_open(argv[2], NULL, &kv.store, &kv.info);
    } else {
        (void)errinfo_set(&kv.info, result, NULL, "there is no store \"%s\"", argv[2]);
        errinfo_hint(&kv.info, "\"moat kv put DIR KEY VALUE\" makes one.");
    }
    bool is_open = result == ERR_OK;
    if (is_open) {
        result = verb->run != NULL ? verb->run(&kv) : verb->scan(&kv, verb->is_backward);
    }
    store_close(is_open ? kv.store : NULL);
    if (result != ERR_OK) {
        fprintf(stderr, "moat: %s\n",
                kv.info.message[0] == '\0' ? err_name(result) : kv.info.message);
        if (kv.info.hint[0] != '\0') {
            fprintf(stderr, "hint: %s\n", kv.info.hint);
        }
    }
    return result == ERR_OK ? EXIT_OK : is_open ? EXIT_STATEMENT : EXIT_WAREHOUSE;
}
