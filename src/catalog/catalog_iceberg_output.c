/* New objects of an attached catalog: in its folders, or elsewhere with what it lent. */
#include "catalog/catalog_iceberg_int.h"
#include "catalog/iceberg_commit.h"

#include "base/mem.h"
#include "storage/output.h"
#include "storage/remote.h"

struct catalog_iceberg_file {
    const struct catalog_iceberg *catalog;
    char *location;
    struct storage_output *local; /* or */
    struct storage_upload *upload;
};

static enum err check_lent(const struct catalog_iceberg *catalog, struct errinfo *info)
{
    if (catalog->lent != NULL) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_DENIED, NULL,
                      "catalog \"%.*s\" lends nothing to write files of its tables with",
                      SLICE_ARGS(catalog->name));
    errinfo_hint(info, "Moat has no credentials of its own: the catalog must vend them to who may "
                       "write the table.");
    return ERR_DENIED;
}

static enum err check_place(const struct catalog_iceberg *catalog, struct slice location,
                            struct slice *ret_path, struct errinfo *info)
{
    TRY(catalog_iceberg_path(location, ret_path, info));
    return catalog_iceberg_check_local(catalog, info);
}

static enum err outside(const struct catalog_iceberg *catalog, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_DENIED, NULL,
                      "a table of catalog \"%.*s\" would write outside of the catalog's folders",
                      SLICE_ARGS(catalog->name));
    errinfo_hint(info, "If the table is to reach there, ATTACH OR REPLACE ... (ALLOW 'folder').");
    return ERR_DENIED;
}

enum err catalog_iceberg_file_open(const struct catalog_iceberg *catalog,
                                   const struct identity *who, struct slice location,
                                   struct catalog_iceberg_file **ret_file, struct errinfo *info)
{
    struct slice path;
    bool is_outside = false;
    struct catalog_iceberg_file *file CLEANUP(catalog_iceberg_file_cleanup) =
        mem_calloc(1, sizeof(*file));
    if (file == NULL || (file->location = mem_slicedup(location)) == NULL) {
        return errinfo_nomem(info);
    }
    file->catalog = catalog;
    if (storage_is_remote(location)) {
        TRY(check_lent(catalog, info));
        TRY(storage_upload_open(catalog->lent, catalog->lent_to, location, &file->upload, info));
        *ret_file = TAKE(file);
        return ERR_OK;
    }
    TRY(check_place(catalog, location, &path, info));
    enum err err = storage_output_open(who, path, catalog->folders, catalog->folder_count,
                                       &file->local, &is_outside, info);
    if (err != ERR_OK) {
        return is_outside ? outside(catalog, info) : err;
    }
    *ret_file = TAKE(file);
    return ERR_OK;
}

enum err catalog_iceberg_file_append(struct catalog_iceberg_file *file, struct slice bytes,
                                     struct errinfo *info)
{
    return file->upload != NULL ? storage_upload_append(file->upload, bytes, info)
                                : storage_output_append(file->local, bytes, info);
}

enum err catalog_iceberg_file_finish(struct catalog_iceberg_file *file, struct errinfo *info)
{
    /* First, so that whatever comes of it is known. */
    TRY(iceberg_block__made(file->catalog, slice_of(file->location), info));
    if (file->upload == NULL) {
        return storage_output_finish(file->local, false, info);
    }
    struct storage_entry entry;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "upload", 0);
    return arena == NULL ? errinfo_nomem(info)
                         : storage_upload_finish(file->upload, arena, &entry, info);
}

void catalog_iceberg_file_close(struct catalog_iceberg_file *file)
{
    if (file != NULL) {
        storage_output_close(file->local);
        storage_upload_close(file->upload);
        mem_free(file->location);
        mem_free(file);
    }
}

/* ---- for the Iceberg library ---- */

struct writer {
    const struct catalog_iceberg *catalog;
    const struct identity *who;
};

static enum err create(void *context, struct slice location, struct slice bytes,
                       struct errinfo *info)
{
    const struct writer *writer = context;
    struct catalog_iceberg_file *file CLEANUP(catalog_iceberg_file_cleanup) = NULL;
    TRY(catalog_iceberg_file_open(writer->catalog, writer->who, location, &file, info));
    TRY(catalog_iceberg_file_append(file, bytes, info));
    return catalog_iceberg_file_finish(file, info);
}

static enum err remove_object(void *context, struct slice location, struct errinfo *info)
{
    const struct writer *writer = context;
    const struct catalog_iceberg *catalog = writer->catalog;
    struct slice path;
    bool is_outside = false;
    if (storage_is_remote(location)) {
        TRY(check_lent(catalog, info));
        return storage_grant_delete(catalog->lent, catalog->lent_to, location, info);
    }
    TRY(check_place(catalog, location, &path, info));
    enum err err = storage_remove_within(writer->who, path, catalog->folders, catalog->folder_count,
                                         &is_outside, info);
    return is_outside ? outside(catalog, info) : err;
}

enum err catalog_iceberg_output(const struct catalog_iceberg *catalog, const struct identity *who,
                                struct arena *arena, struct iceberg_output *ret_output,
                                struct errinfo *info)
{
    ASSERT(who != NULL);
    struct writer *writer = arena_alloc(arena, sizeof(*writer));
    if (writer == NULL) {
        return errinfo_nomem(info);
    }
    *writer = (struct writer){catalog, who};
    *ret_output =
        (struct iceberg_output){.context = writer, .create = create, .remove = remove_object};
    return ERR_OK;
}
