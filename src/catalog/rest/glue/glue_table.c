/* Tables of Glue: where their metadata lies, and turning them to another. Each change of a table
 * has a version, by which Glue compares. */
#include "catalog/rest/glue/glue_int.h"

/* As Glue has it, Iceberg's or not; `reply` holds it. */
static enum err find_any(const struct rest_call *call, const struct rest_namespace *ns,
                         struct slice name, struct glue_reply *reply, struct glue_found *ret_found)
{
    struct glue_call glue CLEANUP(glue_call__fini) = {0};
    struct slice database;
    if (!metastore_name__of(ns, &database) || !metastore_name__is(name)) {
        return metastore__no_table(call, name);
    }
    glue_call__begin(&glue, call, "GetTable", false, "table", name);
    glue__write_text(&glue.body, true, "DatabaseName", database);
    glue__write_text(&glue.body, false, "Name", name);
    TRY(glue_call__do(&glue, reply));
    return glue_table__read(json_get(reply->root, "Table"), ret_found)
               ? ERR_OK
               : rest_answer__wrong(call, "a table that is none");
}

static enum err find(const struct rest_call *call, const struct rest_namespace *ns,
                     struct slice name, struct glue_reply *reply, struct glue_found *ret_found)
{
    TRY(find_any(call, ns, name, reply, ret_found));
    return ret_found->is_iceberg ? ERR_OK : metastore__not_iceberg(call, name);
}

static enum err find_place(const struct rest_call *call, const struct rest_namespace *ns,
                           struct slice name, struct arena *arena,
                           struct metastore_place *ret_place)
{
    struct glue_reply reply CLEANUP(glue_reply__fini) = {0};
    struct glue_found found;
    TRY(find(call, ns, name, &reply, &found));
    return metastore__place(call, found.location, found.metadata_location, arena, ret_place);
}

/* ---- changes ---- */

static enum err create(const struct rest_call *call, const struct rest_namespace *ns,
                       struct slice name, const struct json *old, const struct glue_change *change)
{
    struct glue_call glue CLEANUP(glue_call__fini) = {0};
    struct glue_reply reply CLEANUP(glue_reply__fini) = {0};
    glue_call__begin(&glue, call, "CreateTable", true, "table", name);
    glue__write_text(&glue.body, true, "DatabaseName", ns->levels[0]);
    buf_append_str(&glue.body, ",\"TableInput\":");
    glue_table__write(old, change, &glue.body);
    enum err err = glue_call__do(&glue, &reply);
    /* What is not there is the namespace: the table is to be made. */
    return err == ERR_NOT_FOUND ? metastore__no_namespace(call, ns) : err;
}

static enum err create_table(const struct rest_call *call, const struct rest_namespace *ns,
                             struct slice name, const struct metastore_table *table)
{
    const struct glue_change change = {.name = name, .table = table};
    return create(call, ns, name, NULL, &change);
}

/* If it still has the version that was found. Versions are not archived: the metadata has a
 * history of its own. */
static enum err update(const struct rest_call *call, const struct rest_namespace *ns,
                       const struct glue_found *found, const struct glue_change *change)
{
    struct glue_call glue CLEANUP(glue_call__fini) = {0};
    struct glue_reply reply CLEANUP(glue_reply__fini) = {0};
    if (found->version.len == 0) {
        return rest_answer__wrong(call, "a table without a version, by which changes are compared");
    }
    glue_call__begin(&glue, call, "UpdateTable", true, "table", found->name);
    glue__write_text(&glue.body, true, "DatabaseName", ns->levels[0]);
    glue__write_text(&glue.body, false, "VersionId", found->version);
    buf_append_str(&glue.body, ",\"SkipArchive\":true,\"TableInput\":");
    glue_table__write(found->table, change, &glue.body);
    return glue_call__do(&glue, &reply);
}

static enum err swap_table(const struct rest_call *call, const struct rest_namespace *ns,
                           struct slice name, const struct metastore_table *table,
                           struct slice before)
{
    struct glue_reply now CLEANUP(glue_reply__fini) = {0};
    struct glue_found found;
    const struct glue_change change = {.table = table, .before = before};
    TRY(find(call, ns, name, &now, &found));
    return slice_equal(found.metadata_location, before) ? update(call, ns, &found, &change)
                                                        : metastore__moved(call, name);
}

static enum err delete_table(const struct rest_call *call, const struct rest_namespace *ns,
                             struct slice name)
{
    struct glue_call glue CLEANUP(glue_call__fini) = {0};
    struct glue_reply reply CLEANUP(glue_reply__fini) = {0};
    glue_call__begin(&glue, call, "DeleteTable", true, "table", name);
    glue__write_text(&glue.body, true, "DatabaseName", ns->levels[0]);
    glue__write_text(&glue.body, false, "Name", name);
    return glue_call__do(&glue, &reply);
}

static enum err drop_table(const struct rest_call *call, const struct rest_namespace *ns,
                           struct slice name)
{
    struct glue_reply before CLEANUP(glue_reply__fini) = {0};
    struct glue_found found;
    TRY(find(call, ns, name, &before, &found));
    return delete_table(call, ns, name);
}

/* ---- names: Glue has no request for another, and a table cannot be in two places ----
 *
 *   made under the new name --> the old is no Iceberg table any more, if nobody has changed it
 *                           --> the old is deleted
 *
 * So whoever commits by the old name meanwhile is told of a conflict, and is not lost with it. */

/* Back to what it was, after something was certainly not done; whatever comes of it. */
static void take_back(const struct rest_call *call, const struct rest_namespace *ns,
                      const struct glue_found *old, struct slice new_name, bool is_marked)
{
    struct glue_reply reply CLEANUP(glue_reply__fini) = {0};
    struct glue_found found;
    struct rest_call quiet = *call;
    struct errinfo ignored;
    const struct glue_change none = {0};
    quiet.info = &ignored;
    enum err err = ERR_OK;
    if (is_marked) {
        err = find_any(&quiet, ns, old->name, &reply, &found);
        if (err == ERR_OK) {
            found.table = old->table;
            err = update(&quiet, ns, &found, &none);
        }
    }
    if (err == ERR_OK) {
        err = delete_table(&quiet, ns, new_name);
    }
    (void)err;
}

static enum err half_done(const struct rest_call *call, enum err err, struct slice new_name)
{
    if (rest_is_unknown(call->info)) {
        errinfo_hint(call->info,
                     "Look whether it is called \"%.*s\" by now. What is left under the old name "
                     "and is no Iceberg table any more may be deleted.",
                     SLICE_ARGS(new_name));
    }
    return err;
}

static enum err rename_as(const struct rest_call *call, const struct rest_namespace *ns,
                          const struct glue_found *old, struct slice new_name)
{
    const struct glue_change named = {.name = new_name};
    const struct glue_change marked = {.moved = new_name};
    enum err err = create(call, ns, new_name, old->table, &named);
    if (err != ERR_OK) {
        return half_done(call, err, new_name);
    }
    err = update(call, ns, old, &marked);
    bool is_marked = err == ERR_OK;
    if (is_marked) {
        err = delete_table(call, ns, old->name);
    }
    if (err != ERR_OK && !rest_is_unknown(call->info)) {
        take_back(call, ns, old, new_name, is_marked);
    }
    return err == ERR_OK ? ERR_OK : half_done(call, err, new_name);
}

static enum err rename_table(const struct rest_call *call, const struct rest_namespace *ns,
                             struct slice name, struct slice new_name)
{
    struct glue_reply before CLEANUP(glue_reply__fini) = {0};
    struct glue_found found;
    struct errinfo told = {0};
    struct rest_call asked = *call;
    asked.info = &told; /* what it says is looked at */
    TRY(find(call, ns, name, &before, &found));
    if (!metastore_name__is(new_name)) {
        return metastore__wrong_name(call);
    }
    if (slice_equal(name, new_name)) {
        return metastore__table_exists(call, new_name);
    }
    enum err err = rename_as(&asked, ns, &found, new_name);
    if (err != ERR_OK && call->info != NULL) {
        *call->info = told;
    }
    return err;
}

const struct metastore_calls glue_calls = {
    .check = glue__check,
    .namespaces = glue__namespaces,
    .properties = glue__properties,
    .names = glue__names,
    .find = find_place,
    .create_namespace = glue__create_namespace,
    .drop_namespace = glue__drop_namespace,
    .set_properties = glue__set_properties,
    .create_table = create_table,
    .swap_table = swap_table,
    .drop_table = drop_table,
    .rename_table = rename_table,
};
