#include "kernel/ssi.h"

#include "kernel/kernel_int.h"

#define READ_HEADER_BYTES 5u
#define BYTES_PER_RECORD 128u /* of memory for reads, for each record */
#define READS_SHARE 4u        /* reads that need more of the memory than this part are not kept */
#define VERSIONS_MAX 32u      /* of a key, looked at for the one that was next */
#define LOOKUPS_MAX 4096u     /* of keys that others have read, by one commit */

/* ---- What a transaction reads */

void ssi_note_read(struct read_set *reads, struct slice from, struct slice to, bool is_range)
{
    ASSERT(from.len <= KERNEL_KEY_BYTES_MAX && to.len <= KERNEL_KEY_BYTES_MAX);
    ASSERT(reads->used <= reads->max);
    uint32_t size = READ_HEADER_BYTES + (uint32_t)from.len + (uint32_t)to.len;
    if (reads->is_everything || size > reads->max - reads->used) {
        reads->is_everything = true;
        return;
    }
    uint8_t *at = reads->bytes + reads->used;
    store_u16(at, (uint16_t)from.len);
    store_u16(at + 2, (uint16_t)to.len);
    at[4] = is_range;
    copy_bytes(at + READ_HEADER_BYTES, from.ptr, from.len);
    copy_bytes(at + READ_HEADER_BYTES + from.len, to.ptr, to.len);
    reads->used += size;
}

struct read {
    struct slice from, to;
    bool is_range;
};

/* The read at `at`, and how long it is. */
static uint32_t load_read(const uint8_t *at, struct read *ret_read)
{
    ASSERT(at != NULL);
    ASSERT(at[4] <= 1);
    ret_read->from = (struct slice){(const char *)at + READ_HEADER_BYTES, load_u16(at)};
    ret_read->to = (struct slice){ret_read->from.ptr + ret_read->from.len, load_u16(at + 2)};
    ret_read->is_range = at[4] != 0;
    return READ_HEADER_BYTES + (uint32_t)(ret_read->from.len + ret_read->to.len);
}

/* ---- Those that are over */

uint64_t ssi_record_count(uint64_t reads_bytes)
{
    ASSERT(reads_bytes >= BYTES_PER_RECORD);
    ASSERT(reads_bytes / BYTES_PER_RECORD <= UINT32_MAX);
    return reads_bytes / BYTES_PER_RECORD;
}

void ssi_init(struct ssi *ssi, struct ssi_record *records, uint8_t *bytes, uint64_t reads_bytes)
{
    ASSERT(records != NULL && bytes != NULL);
    ASSERT(ssi->oldest == NULL);
    *ssi = (struct ssi){.records = records,
                        .record_max = (uint32_t)ssi_record_count(reads_bytes),
                        .bytes = bytes,
                        .bytes_max = reads_bytes};
}

static struct ssi_record *record_at(const struct ssi *ssi, uint32_t index)
{
    ASSERT(index < ssi->record_max);
    ASSERT(ssi->record_first < ssi->record_max);
    uint64_t slot = (uint64_t)ssi->record_first + index;
    return &ssi->records[slot < ssi->record_max ? slot : slot - ssi->record_max];
}

static void drop_first(struct ssi *ssi)
{
    ASSERT(ssi->record_count > 0);
    ASSERT(ssi->record_first < ssi->record_max);
    ssi->record_first = ssi->record_first + 1 == ssi->record_max ? 0 : ssi->record_first + 1;
    ssi->record_count--;
}

/* Lets those go that no open transaction can depend on. */
static void prune(struct ssi *ssi)
{
    ASSERT((ssi->oldest == NULL) == (ssi->newest == NULL));
    ASSERT(ssi->record_count <= ssi->record_max);
    while (ssi->record_count > 0 &&
           (ssi->oldest == NULL || record_at(ssi, 0)->until <= ssi->oldest->snapshot)) {
        drop_first(ssi);
    }
}

/* The first record with this position or a later one. */
static uint32_t lower_bound(const struct ssi *ssi, uint64_t position)
{
    uint32_t low = 0, high = ssi->record_count;
    ASSERT(high <= ssi->record_max);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (record_at(ssi, middle)->position < position) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    ASSERT(low <= ssi->record_count);
    return low;
}

void ssi_enter(struct ssi *ssi, struct kernel_txn *txn)
{
    ASSERT(txn->isolation == KERNEL_SERIALIZABLE);
    ASSERT(ssi->newest == NULL || ssi->newest->snapshot <= txn->snapshot);
    txn->ssi_before = ssi->newest;
    txn->ssi_behind = NULL;
    *(ssi->newest == NULL ? &ssi->oldest : &ssi->newest->ssi_behind) = txn;
    ssi->newest = txn;
}

void ssi_leave(struct ssi *ssi, struct kernel_txn *txn)
{
    ASSERT(txn->isolation == KERNEL_SERIALIZABLE);
    ASSERT(ssi->oldest != NULL && ssi->newest != NULL);
    *(txn->ssi_before == NULL ? &ssi->oldest : &txn->ssi_before->ssi_behind) = txn->ssi_behind;
    *(txn->ssi_behind == NULL ? &ssi->newest : &txn->ssi_behind->ssi_before) = txn->ssi_before;
    prune(ssi);
}

/* Room for so many bytes in one piece and a record; the oldest ones make it. */
static uint64_t make_room(struct ssi *ssi, uint64_t len)
{
    ASSERT(len <= ssi->bytes_max / READS_SHARE);
    uint64_t at = ssi->bytes_end;
    uint64_t in_ring = at % ssi->bytes_max;
    at += in_ring + len > ssi->bytes_max ? ssi->bytes_max - in_ring : 0;
    while (ssi->record_count > 0 && (ssi->record_count == ssi->record_max ||
                                     at + len - record_at(ssi, 0)->at > ssi->bytes_max)) {
        uint64_t until = record_at(ssi, 0)->until;
        ssi->forgotten = until > ssi->forgotten ? until : ssi->forgotten;
        ssi->stat_forgotten++;
        drop_first(ssi);
    }
    ASSERT(ssi->record_count < ssi->record_max);
    return at;
}

void ssi_keep(struct kernel_txn *txn, uint64_t commit, uint64_t out_first)
{
    struct ssi *ssi = &txn->kernel->ssi;
    const struct read_set *reads = &txn->reads;
    ASSERT(txn->isolation == KERNEL_SERIALIZABLE);
    ASSERT(commit == 0 || commit == txn->kernel->committed);
    ssi->stat_stale += commit > 0 && out_first > 0;
    uint64_t until = commit > 0 ? commit : txn->snapshot;
    const struct kernel_txn *oldest = ssi->oldest == txn ? txn->ssi_behind : ssi->oldest;
    if (oldest == NULL || oldest->snapshot >= until ||
        (reads->used == 0 && !reads->is_everything)) {
        return;
    }
    bool is_everything = reads->is_everything || reads->used > ssi->bytes_max / READS_SHARE;
    uint32_t len = is_everything ? 0 : reads->used;
    uint64_t at = make_room(ssi, len);
    copy_bytes(ssi->bytes + at % ssi->bytes_max, reads->bytes, len);
    ssi->bytes_end = at + len;
    ssi->record_count++;
    *record_at(ssi, ssi->record_count - 1) = (struct ssi_record){.position = txn->kernel->committed,
                                                                 .until = until,
                                                                 .snapshot = txn->snapshot,
                                                                 .out_first = out_first,
                                                                 .at = at,
                                                                 .len = len,
                                                                 .is_writer = commit > 0,
                                                                 .is_everything = is_everything};
    if (commit > 0 && out_first > 0) {
        ssi->pivot_last = commit;
    }
}

/* ---- A commit */

struct check {
    struct kernel_txn *txn;
    const struct view *view;
    uint64_t out_first;
    uint32_t lookups;
};

static bool is_writer(const struct kernel_txn *txn)
{
    ASSERT(txn->is_open);
    ASSERT(txn->isolation == KERNEL_SERIALIZABLE);
    return txn->overlay.entry_count > 0;
}

/* The transaction read what `commit` wrote over. Refused if that one is a pivot. */
static enum err add_edge(struct check *check, uint64_t commit)
{
    const struct kernel_txn *txn = check->txn;
    const struct ssi *ssi = &txn->kernel->ssi;
    ASSERT(commit > txn->snapshot);
    ASSERT(commit <= txn->kernel->committed);
    check->out_first =
        check->out_first == 0 || commit < check->out_first ? commit : check->out_first;
    if (commit <= ssi->forgotten) {
        return ERR_BUSY;
    }
    uint32_t index = lower_bound(ssi, commit);
    const struct ssi_record *pivot = index < ssi->record_count ? record_at(ssi, index) : NULL;
    if (pivot == NULL || pivot->position != commit || !pivot->is_writer || pivot->out_first == 0) {
        return ERR_OK;
    }
    return is_writer(txn) || pivot->out_first <= txn->snapshot ? ERR_BUSY : ERR_OK;
}

/* The transaction may have read what any commit since its snapshot wrote over. */
static enum err add_all_edges(struct check *check)
{
    const struct kernel *kernel = check->txn->kernel;
    uint64_t snapshot = check->txn->snapshot;
    ASSERT(kernel->committed > snapshot);
    ASSERT(check->out_first == 0 || check->out_first > snapshot);
    check->out_first = snapshot + 1;
    return kernel->ssi.pivot_last > snapshot || kernel->ssi.forgotten > snapshot ? ERR_BUSY
                                                                                 : ERR_OK;
}

/* The version behind the one that was read is the oldest since the snapshot. */
static enum err check_key(struct check *check, struct slice key)
{
    uint64_t snapshot = check->txn->snapshot, bound = COMMIT_MAX, next = 0;
    ASSERT(key.len <= KERNEL_KEY_BYTES_MAX);
    for (uint32_t i = 0; i <= VERSIONS_MAX; i++) {
        uint64_t found = 0;
        enum err result = kernel__read(check->txn, check->view, key, bound, snapshot, NULL, &found);
        if (result != ERR_OK && result != ERR_NOT_FOUND) {
            return result;
        }
        if (found <= snapshot) {
            return next == 0 ? ERR_OK : add_edge(check, next);
        }
        ASSERT(found <= bound);
        next = found;
        bound = found - 1;
    }
    return add_all_edges(check);
}

/* Likewise for each key of a range. */
static enum err check_range(struct check *check, struct slice from, struct slice to)
{
    struct kernel_txn *txn = check->txn;
    struct merge merge = {0};
    ASSERT(!txn->scan.is_open); /* whose sources and buffer serve here */
    struct slice key = {txn->scan.last, 0};
    uint64_t next = 0;
    merge.source_count =
        kernel__merge_view(txn, check->view, txn->snapshot, &merge, txn->scan.sources);
    enum err result = merge_seek(&merge, from, COMMIT_MAX, false);
    while (result == ERR_OK && merge.current != NULL) {
        const struct entry *entry = &merge.current->entry;
        if (to.len > 0 && key_compare(entry->key, to) >= 0) {
            break;
        }
        bool is_newer = entry->commit > txn->snapshot;
        if (next != 0 && (!is_newer || !slice_equal(entry->key, key))) {
            result = add_edge(check, next);
            next = 0;
        }
        if (is_newer && next == 0) {
            ASSERT(entry->key.len <= KERNEL_KEY_BYTES_MAX);
            copy_bytes(txn->scan.last, entry->key.ptr, entry->key.len);
            key.len = entry->key.len;
        }
        next = is_newer ? entry->commit : next;
        result = result == ERR_OK ? merge_next(&merge) : result;
    }
    merge_release(&merge);
    return result == ERR_OK && next != 0 ? add_edge(check, next) : result;
}

/* Anti-dependencies out of the transaction. */
static enum err check_out(struct check *check)
{
    const struct read_set *reads = &check->txn->reads;
    ASSERT(reads->used <= reads->max);
    if (reads->is_everything) {
        return add_all_edges(check);
    }
    uint32_t at = 0;
    while (at < reads->used) {
        struct read read;
        at += load_read(reads->bytes + at, &read);
        TRY(read.is_range ? check_range(check, read.from, read.to) : check_key(check, read.from));
    }
    ASSERT(at == reads->used);
    return ERR_OK;
}

/* `record` read the version of `key` that the transaction writes over, unless somebody did between
 * them. */
static enum err is_next_version(struct check *check, const struct ssi_record *record,
                                struct slice key, bool *ret_is_next)
{
    ASSERT(check->txn->overlay.entry_count > 0);
    ASSERT(record->snapshot <= check->txn->kernel->committed);
    *ret_is_next = true;
    if (record->snapshot >= check->txn->snapshot || check->lookups == LOOKUPS_MAX) {
        return ERR_OK;
    }
    check->lookups++;
    uint64_t newest = 0;
    enum err result =
        kernel__read(check->txn, check->view, key, COMMIT_MAX, record->snapshot, NULL, &newest);
    *ret_is_next = newest <= record->snapshot;
    return result == ERR_NOT_FOUND ? ERR_OK : result;
}

/* The transaction writes over something that `record` has read. */
static enum err is_read_by(struct check *check, const struct ssi_record *record, bool *ret_is_read)
{
    const struct memtable *overlay = &check->txn->overlay;
    const struct ssi *ssi = &check->txn->kernel->ssi;
    const uint8_t *bytes = ssi->bytes + record->at % ssi->bytes_max;
    ASSERT(record->len <= ssi->bytes_max);
    *ret_is_read = record->is_everything;
    uint32_t at = 0;
    while (at < record->len && !*ret_is_read) {
        struct read read;
        struct entry entry;
        at += load_read(bytes + at, &read);
        memtable_node node = memtable_seek(overlay, read.from, COMMIT_MAX);
        for (; node != 0 && !*ret_is_read; node = memtable_next(overlay, node)) {
            memtable_at(overlay, node, &entry);
            bool is_in = read.is_range ? read.to.len == 0 || key_compare(entry.key, read.to) < 0
                                       : slice_equal(entry.key, read.from);
            if (!is_in) {
                break;
            }
            TRY(is_next_version(check, record, entry.key, ret_is_read));
        }
    }
    ASSERT(at <= record->len);
    return ERR_OK;
}

/* Anti-dependencies into a transaction that has one out of it: it is a pivot. */
static enum err check_in(struct check *check)
{
    const struct ssi *ssi = &check->txn->kernel->ssi;
    ASSERT(check->out_first > check->txn->snapshot);
    ASSERT(is_writer(check->txn));
    for (uint32_t i = 0; i < ssi->record_count; i++) {
        const struct ssi_record *record = record_at(ssi, i);
        bool is_read = false;
        if (record->until >= check->out_first) {
            TRY(is_read_by(check, record, &is_read));
        }
        if (is_read) {
            return ERR_BUSY;
        }
    }
    return ERR_OK;
}

enum err ssi_check(struct kernel_txn *txn, const struct view *view, uint64_t *ret_out_first)
{
    struct ssi *ssi = &txn->kernel->ssi;
    ASSERT(txn->isolation == KERNEL_SERIALIZABLE && !txn->scan.is_open);
    ASSERT(txn->snapshot <= txn->kernel->committed);
    struct check check = {.txn = txn, .view = view};
    bool is_alone = txn->kernel->committed == txn->snapshot;
    /* One that wrote nothing only minds pivots. */
    if (is_alone ||
        (!is_writer(txn) && ssi->pivot_last <= txn->snapshot && ssi->forgotten <= txn->snapshot)) {
        *ret_out_first = 0;
        return ERR_OK;
    }
    enum err result = check_out(&check);
    if (result == ERR_OK && check.out_first != 0 && is_writer(txn)) {
        result = check_in(&check);
    }
    ssi->stat_refused += result == ERR_BUSY;
    *ret_out_first = check.out_first;
    return result;
}
