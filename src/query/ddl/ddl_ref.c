/* Branches and tags. */
#include "query/ddl/ddl_int.h"

#include "base/json.h"

void ddl_print_uuid(const struct ddl *ddl, struct buf *out)
{
    buf_append_str(out, "[{\"type\":\"assert-table-uuid\",\"uuid\":");
    json_write_string(out, ddl->uuid);
    buf_append_char(out, '}');
}

void ddl_print_ref_requirement(struct slice name, int64_t id, struct buf *out)
{
    buf_append_str(out, ",{\"type\":\"assert-ref-snapshot-id\",\"ref\":");
    json_write_string(out, name);
    buf_append_str(out, ",\"snapshot-id\":");
    if (id == ICEBERG_NO_ID) {
        buf_append_str(out, "null}");
    } else {
        buf_printf(out, "%lld}", (long long)id);
    }
}

static void print_number(const char *key, int64_t value, struct buf *out)
{
    if (value != ICEBERG_NO_ID) {
        buf_printf(out, ",\"%s\":%lld", key, (long long)value);
    }
}

void ddl_print_set_ref(struct slice name, int64_t snapshot_id, const struct iceberg_ref *kept,
                       struct buf *out)
{
    buf_append_str(out, "{\"action\":\"set-snapshot-ref\",\"ref-name\":");
    json_write_string(out, name);
    buf_printf(out, ",\"type\":\"%s\",\"snapshot-id\":%lld",
               kept != NULL && kept->is_tag ? "tag" : "branch", (long long)snapshot_id);
    if (kept != NULL) {
        print_number("min-snapshots-to-keep", kept->min_snapshots_to_keep, out);
        print_number("max-snapshot-age-ms", kept->max_snapshot_age_ms, out);
        print_number("max-ref-age-ms", kept->max_ref_age_ms, out);
    }
    buf_append_char(out, '}');
}

static const char *kind_of(bool is_tag)
{
    return is_tag ? "tag" : "branch";
}

static enum err find_snapshot(const struct ddl *ddl, const struct statement_ref *ref,
                              int64_t *ret_id, struct errinfo *info)
{
    const struct iceberg_snapshot *snapshot;
    if (ref->has_version) {
        TRY(iceberg_travel_to_id(ddl->metadata, ref->version, &snapshot, info));
        *ret_id = snapshot->id;
        return ERR_OK;
    }
    *ret_id = ddl->metadata->current_snapshot_id;
    return *ret_id != ICEBERG_NO_ID
               ? ERR_OK
               : errinfo_set(info, ERR_INVALID, "22023",
                             "table \"%.*s\" has no snapshot yet that a %s could name",
                             SLICE_ARGS(ddl->name), kind_of(ref->is_tag));
}

/* `now`: what has the name, or NULL. */
static enum err check_ref(const struct statement_alter *alter, const struct iceberg_ref *now,
                          bool *ret_is_done, struct errinfo *info)
{
    const struct statement_ref *ref = &alter->ref;
    *ret_is_done = false;
    if (now == NULL) {
        return ref->may_create
                   ? ERR_OK
                   : errinfo_set(info, ERR_NOT_FOUND, "42704", "%s \"%.*s\" does not exist",
                                 kind_of(ref->is_tag), SLICE_ARGS(ref->name));
    }
    if (alter->if_not_exists) {
        *ret_is_done = true;
        return ERR_OK;
    }
    if (!ref->may_replace) {
        return errinfo_set(info, ERR_EXISTS, "42710", "%s \"%.*s\" already exists",
                           kind_of(now->is_tag), SLICE_ARGS(ref->name));
    }
    bool is_main = slice_equal(ref->name, SLICE("main"));
    return now->is_tag == ref->is_tag && !is_main
               ? ERR_OK
               : errinfo_set(info, ERR_INVALID, "42809", "\"%.*s\" is %s and cannot be replaced so",
                             SLICE_ARGS(ref->name),
                             is_main       ? "the table itself"
                             : now->is_tag ? "a tag"
                                           : "a branch");
}

static enum err set_ref(const struct ddl *ddl, const struct statement_alter *alter,
                        struct buf *requirements, struct buf *updates, struct errinfo *info)
{
    const struct statement_ref *ref = &alter->ref;
    const struct iceberg_ref *now = iceberg_metadata_ref(ddl->metadata, ref->name);
    struct iceberg_ref made = {.is_tag = ref->is_tag,
                               .min_snapshots_to_keep = ref->keep_snapshots,
                               .max_snapshot_age_ms = ref->keep_ms,
                               .max_ref_age_ms = ref->retain_ms};
    int64_t id = ICEBERG_NO_ID;
    bool is_done;
    if (slice_equal(ref->name, SLICE("main")) && now == NULL) {
        return errinfo_set(info, ERR_INVALID, "22023", "\"main\" is the name of the table itself");
    }
    TRY(check_ref(alter, now, &is_done, info));
    if (is_done) {
        return ERR_OK;
    }
    TRY(find_snapshot(ddl, ref, &id, info));
    ddl_print_ref_requirement(ref->name, now == NULL ? ICEBERG_NO_ID : now->snapshot_id,
                              requirements);
    buf_append_char(updates, updates->len == 0 ? '[' : ',');
    ddl_print_set_ref(ref->name, id, &made, updates);
    return ERR_OK;
}

static enum err drop_ref(const struct ddl *ddl, const struct statement_alter *alter,
                         struct buf *requirements, struct buf *updates, struct errinfo *info)
{
    const struct statement_ref *ref = &alter->ref;
    const struct iceberg_ref *now = iceberg_metadata_ref(ddl->metadata, ref->name);
    if (slice_equal(ref->name, SLICE("main"))) {
        return errinfo_set(info, ERR_INVALID, "2BP01",
                           "branch \"main\" is the table itself, and stays");
    }
    if (now == NULL || now->is_tag != ref->is_tag) {
        return alter->if_exists && now == NULL
                   ? ERR_OK
                   : errinfo_set(info, ERR_NOT_FOUND, "42704", "%s \"%.*s\" does not exist",
                                 kind_of(ref->is_tag), SLICE_ARGS(ref->name));
    }
    ddl_print_ref_requirement(ref->name, now->snapshot_id, requirements);
    buf_append_str(updates, updates->len == 0 ? "[" : ",");
    buf_append_str(updates, "{\"action\":\"remove-snapshot-ref\",\"ref-name\":");
    json_write_string(updates, ref->name);
    buf_append_char(updates, '}');
    return ERR_OK;
}

enum err ddl_print_ref(const struct ddl *ddl, const struct statement_alter *alter,
                       struct buf *requirements, struct buf *updates, struct errinfo *info)
{
    return alter->kind == ALTER_SET_REF ? set_ref(ddl, alter, requirements, updates, info)
                                        : drop_ref(ddl, alter, requirements, updates, info);
}
