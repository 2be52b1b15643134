/* Views of attached catalogs, written: a document and a row of SQLite, or a request. */
#include "catalog/catalog_iceberg_int.h"
#include "catalog/iceberg_commit.h"

#include "base/hash.h"
#include "catalog/rest/write.h"
#include "iceberg/view_write.h"

/* ---- iceberg_local ---- */

static enum err print_document(const struct catalog_iceberg *catalog, const struct identity *who,
                               const struct catalog_iceberg_view_change *change,
                               struct arena *arena, struct slice *ret_folder, struct buf *out,
                               struct errinfo *info)
{
    struct iceberg_view_write view = *change->view;
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct iceberg_io io;
    struct slice text;
    if (change->before == NULL) {
        TRY(catalog_iceberg_new_location(catalog, who, change->ns, change->name, arena,
                                         &view.location, info));
        iceberg_view_print(&view, out);
        *ret_folder = view.location;
        return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
    }
    TRY(catalog_iceberg_io_of(catalog, who, NULL, arena, &io, info));
    TRY(io.read_all(io.context, change->metadata_location, 0, 0, &bytes, info));
    TRY(iceberg_document_text(buf_slice(&bytes), arena, &text, info));
    *ret_folder = change->before->location;
    return iceberg_view_change(&view, text, arena, out, info);
}

static enum err turn_row(const struct catalog_iceberg *catalog, struct iceberg_db *db,
                         const struct catalog_iceberg_view_change *change, struct slice location,
                         struct errinfo *info)
{
    struct slice texts[] = {db->catalog_name, change->ns, change->name, location,
                            change->metadata_location};
    struct catalog_iceberg_name row = {
        .ns = change->ns, .name = change->name, .is_view = true, .metadata_location = location};
    if (change->before == NULL) {
        return iceberg_local__insert(catalog, db, &row, info);
    }
    TRY(iceberg_db__run(catalog, db,
                        "UPDATE iceberg_tables SET metadata_location = ?4, "
                        "previous_metadata_location = ?5 WHERE catalog_name = ?1 AND "
                        "table_namespace = ?2 AND table_name = ?3 AND metadata_location = ?5 AND "
                        "iceberg_type = 'VIEW'",
                        texts, ARRAY_COUNT(texts), info));
    return sqlite3_changes(db->db) == 1
               ? ERR_OK
               : errinfo_set(info, ERR_BUSY, "40001",
                             "somebody else has changed view \"%.*s\" since it was read",
                             SLICE_ARGS(change->name));
}

static enum err put_local(const struct catalog_iceberg *catalog, const struct identity *who,
                          const struct catalog_iceberg_view_change *change, struct arena *arena,
                          struct errinfo *info)
{
    struct iceberg_db db CLEANUP(iceberg_db__close) = {0};
    struct buf text CLEANUP(buf_fini) = {0};
    struct iceberg_output output;
    struct slice folder;
    char uuid[UUID_TEXT_BYTES];
    TRY(catalog_iceberg_output(catalog, who, arena, &output, info));
    TRY(print_document(catalog, who, change, arena, &folder, &text, info));
    char *path =
        uuid_new(uuid) != ERR_OK
            ? NULL
            : arena_printf(arena, "%.*s/metadata/%05d-%s.metadata.json", (int)folder.len,
                           folder.ptr,
                           change->before == NULL ? 0 : change->before->current_version_id, uuid);
    if (path == NULL) {
        return errinfo_nomem(info);
    }
    struct slice location = slice_of(path);
    TRY(output.create(output.context, location, buf_slice(&text), info));
    enum err err = iceberg_db__open(catalog, true, &db, info);
    if (err == ERR_OK) {
        err = turn_row(catalog, &db, change, location, info);
    }
    if (err == ERR_OK) { /* what fails here may have been done: the document stays */
        return iceberg_db__run(catalog, &db, "COMMIT", NULL, 0, info);
    }
    struct errinfo ignored;
    (void)output.remove(output.context, location, &ignored);
    return err;
}

/* ---- iceberg_rest ---- */

static enum err put_rest(const struct catalog_iceberg *catalog, const struct identity *who,
                         const struct catalog_iceberg_view_change *change, struct errinfo *info)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace ns;
    struct buf request CLEANUP(buf_fini) = {0};
    if (!iceberg_rest__split(change->ns, levels, &ns)) {
        return iceberg_catalog__no_namespace(catalog, change->ns, info);
    }
    if (change->before == NULL) {
        iceberg_view_print_request(change->view, change->name, &request);
    } else {
        iceberg_view_print_updates(change->view, change->before->uuid, &request);
    }
    if (buf_failed(&request)) {
        return errinfo_nomem(info);
    }
    return change->before == NULL ? rest_create_view(catalog->rest, &catalog->remote, who, &ns,
                                                     change->name, buf_slice(&request), info)
                                  : rest_update_view(catalog->rest, &catalog->remote, who, &ns,
                                                     change->name, buf_slice(&request), info);
}

/* ---- transactions ---- */

/* The document that a view has: of the transaction, of its catalog, or of what a catalog elsewhere
 * told of it, which is sent what changes alone. */
static enum err document_of(const struct catalog_iceberg *catalog, const struct identity *who,
                            const struct catalog_iceberg_view_change *change, struct arena *arena,
                            struct slice *ret_document, struct errinfo *info)
{
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct iceberg_view_write now;
    struct iceberg_io io;
    if (iceberg_block__document(catalog, change->ns, change->name, ret_document)) {
        return ERR_OK;
    }
    if (catalog_iceberg_is_remote(catalog)) {
        TRY(iceberg_view_write_of(change->before, SLICE("moat"), arena, &now, info));
        iceberg_view_print(&now, &bytes);
        return !buf_failed(&bytes) && arena_slice(arena, buf_slice(&bytes), ret_document)
                   ? ERR_OK
                   : errinfo_nomem(info);
    }
    TRY(catalog_iceberg_io_of(catalog, who, NULL, arena, &io, info));
    TRY(io.read_all(io.context, change->metadata_location, 0, 0, &bytes, info));
    return iceberg_document_text(buf_slice(&bytes), arena, ret_document, info);
}

static enum err put_in_block(const struct catalog_iceberg *catalog, const struct identity *who,
                             const struct catalog_iceberg_view_change *change, struct arena *arena,
                             struct errinfo *info)
{
    struct iceberg_view_write view = *change->view;
    struct buf text CLEANUP(buf_fini) = {0};
    struct slice before;
    if (change->before == NULL) {
        TRY(catalog_iceberg_new_location(catalog, who, change->ns, change->name, arena,
                                         &view.location, info));
        iceberg_view_print(&view, &text);
    } else {
        TRY(document_of(catalog, who, change, arena, &before, info));
        TRY(iceberg_view_change(&view, before, arena, &text, info));
    }
    TRY(buf_failed(&text) ? errinfo_nomem(info) : ERR_OK);
    return iceberg_block__add_view(catalog, change->ns, change->name, change->before == NULL,
                                   change->before == NULL ? view.uuid : change->before->uuid,
                                   buf_slice(&text), view.now_ms, info);
}

enum err iceberg_view__put_document(const struct catalog_iceberg *catalog,
                                    const struct identity *who, struct slice ns, struct slice name,
                                    struct slice document, bool creates, struct arena *arena,
                                    struct errinfo *info)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace asked;
    struct iceberg_view view;
    struct iceberg_view_write write;
    struct buf request CLEANUP(buf_fini) = {0};
    TRY(iceberg_view_parse(document, arena, &view, info));
    TRY(iceberg_view_write_of(&view, SLICE("moat"), arena, &write, info));
    if (!iceberg_rest__split(ns, levels, &asked)) {
        return iceberg_catalog__no_namespace(catalog, ns, info);
    }
    if (creates) {
        iceberg_view_print_request(&write, name, &request);
    } else {
        iceberg_view_print_updates(&write, view.uuid, &request);
    }
    TRY(buf_failed(&request) ? errinfo_nomem(info) : ERR_OK);
    return creates ? rest_create_view(catalog->rest, &catalog->remote, who, &asked, name,
                                      buf_slice(&request), info)
                   : rest_update_view(catalog->rest, &catalog->remote, who, &asked, name,
                                      buf_slice(&request), info);
}

enum err catalog_iceberg_put_view(const struct catalog_iceberg *catalog, const struct identity *who,
                                  const struct catalog_iceberg_view_change *change,
                                  struct arena *arena, struct errinfo *info)
{
    TRY(iceberg_catalog__may_write(catalog, who, info));
    TRY(iceberg_catalog__check_name(change->name, false, info));
    if (catalog->block != NULL) {
        return put_in_block(catalog, who, change, arena, info);
    }
    return catalog_iceberg_is_remote(catalog) ? put_rest(catalog, who, change, info)
                                              : put_local(catalog, who, change, arena, info);
}
