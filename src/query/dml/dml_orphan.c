/* New objects of writes that failed: removed, since nothing names them; told by name where they
 * cannot be, so that somebody else can. */
#include "query/dml/dml_int.h"

void dml_discard(struct dml *dml, struct slice location)
{
    struct errinfo ignored;
    if (dml->output.remove(dml->output.context, location, &ignored) == ERR_OK) {
        return;
    }
    /* What it lies in may go before the end does. */
    if (dml->orphan_count < DML_ORPHANS_NAMED &&
        !arena_slice(dml->query->arena, location, &dml->orphans[dml->orphan_count])) {
        dml->orphans[dml->orphan_count] = (struct slice){0};
    }
    dml->orphan_count++;
}

static struct slice base_name(struct slice location)
{
    size_t start = location.len;
    while (start > 0 && location.ptr[start - 1] != '/') {
        start--;
    }
    return (struct slice){location.ptr + start, location.len - start};
}

/* "3 new files of table "t" ... : a.parquet, b.avro ..." */
static void print_orphans(const struct dml *dml, struct buf *out)
{
    size_t named = dml->orphan_count < DML_ORPHANS_NAMED ? dml->orphan_count : DML_ORPHANS_NAMED;
    buf_printf(out, "%zu new file%s of table \"%.*s\" could not be removed from its folders: ",
               dml->orphan_count, dml->orphan_count == 1 ? "" : "s", SLICE_ARGS(dml->name));
    for (size_t i = 0; i < named; i++) {
        buf_append_str(out, i == 0 ? "" : ", ");
        buf_append_slice(out, base_name(dml->orphans[i]));
    }
    buf_append_str(out, named < dml->orphan_count ? " ..." : "");
}

void dml_tell_orphans(struct dml *dml)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct query *query = dml->query;
    if (dml->orphan_count == 0) {
        return;
    }
    print_orphans(dml, &text);
    if (buf_failed(&text)) {
        return;
    }
    if (dml->is_committed) { /* of an attempt that somebody else was faster than */
        (void)snprintf(query->notice, sizeof(query->notice), "%s", buf_cstr(&text));
    } else if (dml->info != NULL) {
        char before[ERRINFO_DETAIL_BYTES];
        (void)snprintf(before, sizeof(before), "%s", dml->info->detail);
        errinfo_detail(dml->info, "%s%s%s", before, before[0] == '\0' ? "" : " ", buf_cstr(&text));
    }
}
