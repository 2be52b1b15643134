/* Views, written: a new document, or another version in one that is there. Members that this
 * library does not know stay as they were. */
#pragma once

#include "base/buf.h"
#include "iceberg/metadata.h"

struct iceberg_view_write {
    struct slice uuid, location;         /* of a new view */
    const struct iceberg_schema *schema; /* with ids of fields; its own id is chosen here */
    struct slice dialect, sql;           /* sql empty: no new version, properties alone change */
    struct slice default_namespace;      /* dotted */
    const struct iceberg_property *properties; /* set beside those there are */
    size_t property_count;
    int64_t now_ms;
};

/* Appends the document of a new view. */
void iceberg_view_print(const struct iceberg_view_write *write, struct buf *out);
/* Appends `document` with the version added and current. As many versions are kept as the view's
 * property "version.history.num-entries" says (10). ERR_CORRUPT. */
MUST_USE enum err iceberg_view_change(const struct iceberg_view_write *write, struct slice document,
                                      struct arena *arena, struct buf *out, struct errinfo *info);
/* Appends a CreateViewRequest of the REST protocol. */
void iceberg_view_print_request(const struct iceberg_view_write *write, struct slice name,
                                struct buf *out);
/* Appends what the REST protocol changes a view with, if its uuid still is `uuid`. */
void iceberg_view_print_updates(const struct iceberg_view_write *write, struct slice uuid,
                                struct buf *out);

/* What makes the view's current version: of its text in `dialect`, or of its first. */
MUST_USE enum err iceberg_view_write_of(const struct iceberg_view *view, struct slice dialect,
                                        struct arena *arena, struct iceberg_view_write *ret_write,
                                        struct errinfo *info);
