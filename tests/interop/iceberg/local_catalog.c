/* Makes a local catalog as Moat does, for catalog_test.py, since no statement makes one yet.
 *
 *   local_catalog FILE NAME NAMESPACE=[METADATA]...    a table "t" where there is metadata */
#include <stdio.h>

#include "base/buf.h"
#include "catalog/iceberg.h"
#include "identity/identity.h"

static enum err add(const struct catalog_iceberg *catalog, const struct identity *who,
                    struct slice text, struct errinfo *info)
{
    size_t equals = slice_find(text, SLICE("="));
    ASSERT(equals != SIZE_MAX);
    struct slice ns = {text.ptr, equals};
    struct slice metadata = {text.ptr + equals + 1, text.len - equals - 1};
    TRY(catalog_iceberg_create_namespace(catalog, who, ns, NULL, 0, info));
    return metadata.len == 0
               ? ERR_OK
               : catalog_iceberg_register(catalog, who, ns, SLICE("t"), false, metadata, info);
}

int main(int argc, char **argv)
{
    struct errinfo info;
    struct identity *owner CLEANUP(identity_cleanup) = NULL;
    struct identity_spec spec = {.subject = SLICE("owner"),
                                 .provider = SLICE("local"),
                                 .client = SLICE("embedded"),
                                 .is_owner = true};
    if (argc < 3) {
        return 2;
    }
    struct catalog_iceberg catalog = {.name = slice_of(argv[2]),
                                      .kind = CATALOG_ICEBERG_LOCAL,
                                      .location = slice_of(argv[1]),
                                      .catalog_name = slice_of(argv[2])};
    errinfo_init(&info);
    enum err err = identity_new(&spec, &owner, &info);
    if (err == ERR_OK) {
        err = catalog_iceberg_create(&catalog, owner, &info);
    }
    for (int i = 3; i < argc && err == ERR_OK; i++) {
        err = add(&catalog, owner, slice_of(argv[i]), &info);
    }
    if (err != ERR_OK) {
        (void)fprintf(stderr, "%s\n", info.message);
    }
    return err == ERR_OK ? 0 : 1;
}
