/* migrate_format: a table to a newer version of the format, with all that it has: ALTER TABLE ...
 * SET ('format-version' = ...), and for version 3 its deletes by position as vectors. */
#include "query/maintain/maintain_int.h"

enum {
    TABLE,
    VERSION
};

struct migration {
    struct maintain *call;
    int64_t version;
    int64_t before;
};

static enum err build(void *context, struct ddl *ddl, struct arena *arena,
                      struct slice *ret_requirements, struct slice *ret_updates,
                      struct errinfo *info)
{
    struct migration *m = context;
    struct iceberg_evolution *evolution;
    m->before = ddl->metadata->format_version;
    TRY(iceberg_evolve_open(ddl->metadata, arena, &evolution, info));
    TRY(iceberg_evolve_upgrade(evolution, (uint32_t)m->version, info));
    return iceberg_evolve_print(evolution, ret_requirements, ret_updates, info);
}

enum err maintain_migrate_format(struct maintain *call, struct errinfo *info)
{
    const struct maintain_value *wanted = &call->values[VERSION];
    struct migration m = {.call = call, .version = wanted->is_given ? wanted->number : 3};
    struct ddl_change change = {.operation = "migrate-format", .build = build, .context = &m};
    struct maintain_deletes deletes = {0};
    if (m.version < 1 || m.version > 3) {
        return errinfo_set(info, ERR_INVALID, "22023",
                           "there is no format version %lld that is written", (long long)m.version);
    }
    TRY(maintain_commit(call, &change, info));
    TRY(call->is_dry_run ? ERR_OK : ddl_reload(&call->ddl, info));
    TRY(m.version > 2 ? maintain_move_deletes(call, false, true, &deletes, info) : ERR_OK);
    maintain_number(call, "previous_version", m.before);
    maintain_number(call, "format_version", m.version);
    maintain_number(call, "rewritten_delete_files", deletes.rewritten);
    maintain_number(call, "added_delete_files", deletes.added);
    maintain_end_line(call);
    return ERR_OK;
}
