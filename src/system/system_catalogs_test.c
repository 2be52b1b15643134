/* Attached catalogs: who may, what is kept. */
#include "base/test.h"
#include "system/system_fixture_int.h"

static struct system_catalog lake(struct slice name)
{
    static const struct relation_option options[] = {{SLICE("warehouse"), SLICE("'/w'")},
                                                     {SLICE("x"), SLICE("1")}};
    return (struct system_catalog){.name = name,
                                   .type = SLICE("iceberg_local"),
                                   .location = SLICE("/lake/catalog.db"),
                                   .options = options,
                                   .option_count = 2};
}

static struct slice only_location(struct fixture *f)
{
    struct system_catalog *catalogs;
    size_t count;
    CHECK_OK(system_catalogs(f->system, f->owner, f->arena, &catalogs, &count, &f->info));
    assert_int_equal(1, (int)count);
    CHECK(slice_equal(catalogs[0].name, SLICE("Lake")));
    CHECK(slice_equal(catalogs[0].type, SLICE("iceberg_local")));
    CHECK(slice_equal(catalogs[0].owner, SLICE("olga")));
    assert_int_equal(2, (int)catalogs[0].option_count);
    CHECK(slice_equal(catalogs[0].options[1].name, SLICE("x")));
    CHECK(slice_equal(catalogs[0].options[0].value, SLICE("'/w'")));
    return catalogs[0].location;
}

TEST(system_catalogs, are_kept_replaced_and_forgotten_by_name)
{
    struct fixture f;
    fixture_open(&f);
    struct system_catalog catalog = lake(SLICE("Lake"));
    CHECK_OK(system_catalog_attach(f.system, f.owner, &catalog, SYSTEM_CREATE, &f.info));
    CHECK(slice_equal(only_location(&f), SLICE("/lake/catalog.db")));
    catalog = lake(SLICE("LAKE"));
    CHECK_ERR(ERR_EXISTS,
              system_catalog_attach(f.system, f.owner, &catalog, SYSTEM_CREATE, &f.info));
    CHECK_STR("42P04", f.info.sqlstate);
    catalog.location = SLICE("/other");
    CHECK_OK(
        system_catalog_attach(f.system, f.owner, &catalog, SYSTEM_CREATE_IF_NOT_EXISTS, &f.info));
    CHECK(slice_equal(only_location(&f), SLICE("/lake/catalog.db")));
    catalog.name = SLICE("Lake");
    CHECK_OK(system_catalog_attach(f.system, f.owner, &catalog, SYSTEM_CREATE_OR_REPLACE, &f.info));
    CHECK(slice_equal(only_location(&f), SLICE("/other")));
    CHECK_ERR(ERR_NOT_FOUND,
              system_catalog_detach(f.system, f.owner, SLICE("lakes"), false, &f.info));
    CHECK(strstr(f.info.hint, "Lake") != NULL);
    CHECK_OK(system_catalog_detach(f.system, f.owner, SLICE("lakes"), true, &f.info));
    CHECK_OK(system_catalog_detach(f.system, f.owner, SLICE("lake"), false, &f.info));
    CHECK_ERR(ERR_NOT_FOUND,
              system_catalog_detach(f.system, f.owner, SLICE("lake"), false, &f.info));
    fixture_close(&f);
}

TEST(system_catalogs, are_attached_by_the_owner_and_admins_only)
{
    struct fixture f;
    fixture_open(&f);
    fixture_user(&f, "bob");
    struct identity *bob CLEANUP(identity_cleanup) = fixture_login(&f, "bob");
    struct system_catalog catalog = lake(SLICE("lake"));
    CHECK_ERR(ERR_DENIED, system_catalog_attach(f.system, bob, &catalog, SYSTEM_CREATE, &f.info));
    CHECK_OK(system_catalog_attach(f.system, f.owner, &catalog, SYSTEM_CREATE, &f.info));
    CHECK_ERR(ERR_DENIED, system_catalog_detach(f.system, bob, SLICE("lake"), true, &f.info));
    fixture_member(&f, SYSTEM_ROLE_ADMIN, "bob");
    struct identity *admin CLEANUP(identity_cleanup) = fixture_login(&f, "bob");
    CHECK_OK(system_catalog_detach(f.system, admin, SLICE("lake"), false, &f.info));
    fixture_close(&f);
}

TEST(system_catalogs, do_not_take_names_of_moats_own)
{
    static const char *const names[] = {"moat", "Main", "moat_system", "information_schema", ""};
    struct fixture f;
    fixture_open(&f);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct system_catalog catalog = lake(slice_of(names[i]));
        CHECK_ERR(ERR_INVALID,
                  system_catalog_attach(f.system, f.owner, &catalog, SYSTEM_CREATE, &f.info));
    }
    fixture_close(&f);
}
