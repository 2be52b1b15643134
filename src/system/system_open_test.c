#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "system/system_fixture_int.h"

static unsigned mode_of(const char *path)
{
    struct stat found;
    CHECK(lstat(path, &found) == 0);
    return found.st_mode & 07777;
}

static char *path_in(struct fixture *f, const char *name)
{
    char *path = io_join(f->arena, f->folder, name);
    CHECK(path != NULL);
    return path;
}

static enum err try_open(const char *folder, bool create, struct errinfo *info)
{
    struct system *system CLEANUP(system_cleanup) = NULL;
    return system_open(folder, SLICE("olga"), create, &system, info);
}

/* Changes the file behind our back, with plain SQLite. */
static void alter_file(const char *path, const char *sql)
{
    sqlite3 *db;
    CHECK(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) ==
          SQLITE_OK);
    CHECK(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
    CHECK(sqlite3_close(db) == SQLITE_OK);
}

TEST(system_open, makes_a_private_store_with_owner_schema_and_keys)
{
    struct fixture f;
    fixture_open(&f);
    assert_int_equal(mode_of(f.folder), 0700);
    assert_int_equal(mode_of(path_in(&f, "system.db")), 0600);
    assert_int_equal(mode_of(path_in(&f, "system.db-wal")), 0600);
    CHECK_SLICE("olga", system_owner(f.system));
    assert_int_equal(system_warehouse_uuid(f.system).len, 36);
    assert_int_equal(system_mask_key(f.system).len, 32);
    CHECK(identity_is_owner(f.owner));
    struct system_schema *schemas;
    size_t count;
    CHECK_OK(system_schemas(f.system, f.owner, f.arena, &schemas, &count, &f.info));
    assert_int_equal(count, 1);
    CHECK_SLICE("main", schemas[0].name);
    CHECK_SLICE("olga", schemas[0].owner);
    fixture_close(&f);
}

TEST(system_open, keeps_uuid_and_key_and_gives_each_warehouse_its_own)
{
    struct fixture f, other;
    uint8_t key[32];
    char uuid[36];
    fixture_open(&f);
    fixture_open(&other);
    memcpy(key, system_mask_key(f.system).ptr, sizeof(key));
    memcpy(uuid, system_warehouse_uuid(f.system).ptr, sizeof(uuid));
    CHECK(memcmp(key, system_mask_key(other.system).ptr, sizeof(key)) != 0);
    CHECK(memcmp(uuid, system_warehouse_uuid(other.system).ptr, sizeof(uuid)) != 0);
    system_close(f.system);
    /* Another person's name does not change whose it is. */
    CHECK_OK(system_open(f.folder, SLICE("mallory"), true, &f.system, &f.info));
    CHECK_SLICE("olga", system_owner(f.system));
    assert_memory_equal(system_mask_key(f.system).ptr, key, sizeof(key));
    assert_memory_equal(system_warehouse_uuid(f.system).ptr, uuid, sizeof(uuid));
    fixture_close(&f);
    fixture_close(&other);
}

TEST(system_open, does_not_make_what_it_was_not_asked_to_make)
{
    struct errinfo info;
    const char *folder = test_folder();
    char path[256];
    CHECK_ERR(ERR_NOT_FOUND, try_open(folder, false, &info));
    CHECK(strlen(info.hint) > 0);
    (void)snprintf(path, sizeof(path), "%s/system.db", folder);
    CHECK(!io_exists(path));
    (void)snprintf(path, sizeof(path), "%s/a/b", folder);
    CHECK_ERR(ERR_NOT_FOUND, try_open(path, false, &info));
    CHECK(!io_exists(path));
    CHECK_OK(try_open(path, true, &info));
    assert_int_equal(mode_of(path), 0700);
    CHECK_OK(try_open(path, false, &info));
}

TEST(system_open, an_empty_file_is_no_store_until_one_is_asked_for)
{
    /* What a crash between making the file and the first commit leaves. */
    struct errinfo info;
    struct fixture f = {.folder = test_folder(), .arena = arena_new(NULL, "test", 0)};
    CHECK_OK(io_write_file_atomic(path_in(&f, "system.db"), SLICE(""), 0600, NULL));
    CHECK_ERR(ERR_NOT_FOUND, try_open(f.folder, false, &info));
    CHECK_OK(try_open(f.folder, true, &info));
    CHECK_OK(try_open(f.folder, false, &info));
    arena_free(f.arena);
}

TEST(system_open, refuses_files_that_are_not_a_store)
{
    struct errinfo info;
    struct fixture f = {.folder = test_folder(), .arena = arena_new(NULL, "test", 0)};
    char *path = path_in(&f, "system.db");
    CHECK_OK(io_write_file_atomic(path,
                                  SLICE("not a database, but longer than a header of one "
                                        "hundred bytes would be, so that it is looked at"),
                                  0600, NULL));
    CHECK_ERR(ERR_CORRUPT, try_open(f.folder, true, &info));
    CHECK(unlink(path) == 0);
    alter_file(path, "CREATE TABLE t (a)");
    CHECK(chmod(path, 0600) == 0);
    CHECK_ERR(ERR_CORRUPT, try_open(f.folder, true, &info));
    CHECK(strstr(info.message, "not the store") != NULL);
    arena_free(f.arena);
}

TEST(system_open, refuses_a_newer_layout_and_another_application)
{
    struct errinfo info;
    struct fixture f;
    fixture_open(&f);
    system_close(f.system);
    alter_file(path_in(&f, "system.db"), "PRAGMA user_version = 99");
    CHECK_ERR(ERR_UNSUPPORTED, try_open(f.folder, true, &info));
    alter_file(path_in(&f, "system.db"), "PRAGMA application_id = 7");
    CHECK_ERR(ERR_CORRUPT, try_open(f.folder, true, &info));
    alter_file(path_in(&f, "system.db"),
               "PRAGMA user_version = 7; PRAGMA application_id = 1299145076");
    CHECK_OK(system_open(f.folder, SLICE("olga"), false, &f.system, &f.info));
    fixture_close(&f);
}

/* As the sixth layout had them: SELECT and CREATE only. */
static const char sixth[] =
    "PRAGMA foreign_keys = OFF;"
    "CREATE TABLE old_grant ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " effect TEXT NOT NULL CHECK (effect IN ('allow', 'deny')),"
    " privileges INTEGER NOT NULL CHECK (privileges IN (1, 2)),"
    " grantee INTEGER NOT NULL REFERENCES principal ON DELETE CASCADE,"
    " object TEXT NOT NULL COLLATE NOCASE,"
    " all_columns INTEGER NOT NULL CHECK (all_columns IN (0, 1)),"
    " row_filter TEXT NOT NULL,"
    " grantor TEXT NOT NULL,"
    " created_wall_us INTEGER NOT NULL) STRICT;"
    "INSERT INTO old_grant SELECT * FROM access_grant;"
    "DELETE FROM sqlite_sequence WHERE name = 'old_grant';"
    "INSERT INTO sqlite_sequence SELECT 'old_grant', seq FROM sqlite_sequence"
    " WHERE name = 'access_grant';"
    "PRAGMA legacy_alter_table = ON;"
    "DROP TABLE access_grant;"
    "ALTER TABLE old_grant RENAME TO access_grant;"
    "CREATE INDEX access_grant_object ON access_grant (object);"
    "CREATE INDEX access_grant_grantee ON access_grant (grantee);"
    "PRAGMA user_version = 6";

/* Goal: grants of a store of the sixth layout are what they were, their ids and parts too, ids that
 * were given are not given again, and rights to write can be kept beside them. */
TEST(system_open, keeps_grants_of_a_layout_that_knew_no_rights_to_write)
{
    const uint32_t columns[] = {1, 2};
    const struct grant_mask masks[] = {{2, SLICE("NULL")}};
    const struct slice lake = SLICE("0c0c0c0c-1111-4222-8333-444444444444");
    struct errinfo info;
    struct fixture f;
    struct grant *grants;
    uint64_t first, gone, id;
    size_t count;
    fixture_open(&f);
    fixture_user(&f, "bob");
    struct grant grant = {.effect = GRANT_ALLOW,
                          .privileges = PRIVILEGE_SELECT,
                          .grantee = SLICE("bob"),
                          .object_uuid = fixture_table(&f, f.owner, "t"),
                          .column_ids = columns,
                          .column_count = 2,
                          .rows = SLICE("__moat_c1 > 1"),
                          .masks = masks,
                          .mask_count = 1};
    CHECK_OK(system_grant_add(f.system, f.owner, &grant, &first, &info));
    CHECK_OK(system_grant_add(f.system, f.owner, &grant, &gone, &info));
    CHECK_OK(system_grant_drop(f.system, f.owner, gone, &info));
    system_close(f.system);
    alter_file(path_in(&f, "system.db"), sixth);
    CHECK_OK(system_open(f.folder, SLICE("olga"), false, &f.system, &f.info));
    struct grant write = {.effect = GRANT_ALLOW,
                          .privileges = PRIVILEGE_SELECT | PRIVILEGE_INSERT | PRIVILEGE_DELETE,
                          .grantee = SLICE("bob"),
                          .object_uuid = lake,
                          .all_columns = true};
    CHECK_OK(system_grant_add(f.system, f.owner, &write, &id, &info));
    assert_int_equal(id, gone + 1);
    CHECK_OK(system_grants(f.system, f.owner, SLICE(""), f.arena, &grants, &count, &info));
    assert_int_equal(count, 3);
    assert_int_equal(grants[0].id, first);
    CHECK_SLICE("__moat_c1 > 1", grants[0].rows);
    assert_int_equal(grants[0].column_count, 2);
    assert_int_equal(grants[0].mask_count, 1);
    assert_int_equal(grants[1].privileges, PRIVILEGE_SELECT);
    assert_int_equal(grants[2].privileges, PRIVILEGE_INSERT | PRIVILEGE_DELETE);
    /* A person's grants go with them still. */
    CHECK_OK(system_user_drop(f.system, f.owner, SLICE("bob"), false, &info));
    CHECK_OK(system_grants(f.system, f.owner, SLICE(""), f.arena, &grants, &count, &info));
    assert_int_equal(count, 0);
    fixture_close(&f);
}

/* A store of the first layout had no attached catalogs, one of the second no anchor. */
TEST(system_open, brings_an_older_layout_up_to_date)
{
    struct errinfo info;
    struct fixture f;
    fixture_open(&f);
    fixture_user(&f, "bob");
    system_close(f.system);
    alter_file(path_in(&f, "system.db"), "DROP TABLE attached_option; DROP TABLE attached_catalog;"
                                         " DROP TABLE audit_anchor;"
                                         " DROP TABLE api_key;"
                                         " DROP TABLE view_source_column;"
                                         " DROP TABLE view_source; DROP TABLE column_comment;"
                                         " ALTER TABLE relation DROP COLUMN view_schema;"
                                         " DROP TABLE principal_limit;"
                                         " PRAGMA user_version = 1");
    CHECK_OK(try_open(f.folder, false, &info));
    CHECK_OK(system_open(f.folder, SLICE("olga"), false, &f.system, &f.info));
    struct system_catalog *catalogs;
    size_t count;
    CHECK_OK(system_catalogs(f.system, f.owner, f.arena, &catalogs, &count, &f.info));
    assert_int_equal(0, (int)count);
    struct system_anchor anchor;
    CHECK_OK(system_anchor(f.system, &anchor, &f.info));
    assert_int_equal(0, (int)anchor.seq);
    struct identity *bob CLEANUP(identity_cleanup) = fixture_login(&f, "bob");
    CHECK(bob != NULL);
    fixture_close(&f);
}

TEST(system_open, refuses_what_others_could_read_or_write)
{
    struct errinfo info;
    struct fixture f;
    fixture_open(&f);
    system_close(f.system);
    const struct {
        const char *name;
        unsigned mode, usual;
    } cases[] = {{"", 0750, 0700},
                 {"", 0701, 0700},
                 {"", 0777, 0700},
                 {"system.db", 0644, 0600},
                 {"system.db", 0606, 0600}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        char *path = path_in(&f, cases[i].name);
        CHECK(chmod(path, cases[i].mode) == 0);
        CHECK_ERR(ERR_DENIED, try_open(f.folder, true, &info));
        CHECK(strlen(info.hint) > 0);
        CHECK(chmod(path, cases[i].usual) == 0);
        CHECK_OK(try_open(f.folder, false, &info));
    }
    /* A planted write-ahead log would be replayed. */
    CHECK_OK(io_write_file_atomic(path_in(&f, "system.db-wal"), SLICE("x"), 0666, NULL));
    CHECK(chmod(path_in(&f, "system.db-wal"), 0666) == 0);
    CHECK_ERR(ERR_DENIED, try_open(f.folder, true, &info));
    CHECK(unlink(path_in(&f, "system.db-wal")) == 0);
    f.system = NULL;
    fixture_close(&f);
}

TEST(system_open, refuses_links_in_the_place_of_its_files)
{
    struct errinfo info;
    struct fixture f;
    fixture_open(&f);
    system_close(f.system);
    f.system = NULL;
    CHECK(rename(path_in(&f, "system.db"), path_in(&f, "elsewhere.db")) == 0);
    CHECK(symlink("elsewhere.db", path_in(&f, "system.db")) == 0);
    CHECK_ERR(ERR_DENIED, try_open(f.folder, true, &info));
    CHECK(unlink(path_in(&f, "system.db")) == 0);
    CHECK(symlink("nowhere.db", path_in(&f, "system.db")) == 0);
    CHECK_ERR(ERR_DENIED, try_open(f.folder, true, &info));
    CHECK(!io_exists(path_in(&f, "nowhere.db")));
    /* But the way to the folder may go over one. */
    CHECK(unlink(path_in(&f, "system.db")) == 0);
    CHECK(rename(path_in(&f, "elsewhere.db"), path_in(&f, "system.db")) == 0);
    char way[256];
    (void)snprintf(way, sizeof(way), "%s/way", test_folder());
    CHECK(symlink(f.folder, way) == 0);
    CHECK_OK(try_open(way, false, &info));
    fixture_close(&f);
}

TEST(system_open, tightens_an_empty_folder_only)
{
    struct errinfo info;
    struct fixture f = {.folder = test_folder(), .arena = arena_new(NULL, "test", 0)};
    CHECK(chmod(f.folder, 0755) == 0);
    CHECK_OK(try_open(f.folder, true, &info));
    assert_int_equal(mode_of(f.folder), 0700);
    const char *used = test_folder();
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/file", used);
    CHECK_OK(io_write_file_atomic(path, SLICE("x"), 0600, NULL));
    CHECK(chmod(used, 0755) == 0);
    CHECK_ERR(ERR_DENIED, try_open(used, true, &info));
    assert_int_equal(mode_of(used), 0755);
    arena_free(f.arena);
}

TEST(system_open, a_damaged_file_is_told_and_not_read)
{
    struct errinfo info;
    struct fixture f;
    fixture_open(&f);
    system_close(f.system);
    f.system = NULL;
    alter_file(path_in(&f, "system.db"), "DELETE FROM warehouse");
    CHECK_ERR(ERR_CORRUPT, try_open(f.folder, true, &info));
    alter_file(path_in(&f, "system.db"), "DROP TABLE warehouse");
    CHECK(try_open(f.folder, true, &info) != ERR_OK);
    fixture_close(&f);
}

TEST(system_open, triggers_and_views_in_the_file_do_nothing)
{
    /* Goal: code smuggled into the file is not run. Method: a trigger that makes whoever is
     * created an admin, put there with plain SQLite. */
    struct fixture f;
    fixture_open(&f);
    system_close(f.system);
    alter_file(path_in(&f, "system.db"), "CREATE TRIGGER t AFTER INSERT ON principal BEGIN"
                                         " INSERT INTO membership VALUES (new.id, 2); END");
    CHECK_OK(system_open(f.folder, SLICE("olga"), false, &f.system, &f.info));
    fixture_user(&f, "eve");
    struct identity *eve CLEANUP(identity_cleanup) = fixture_login(&f, "eve");
    CHECK(!identity_has_role(eve, SLICE(SYSTEM_ROLE_ADMIN)));
    fixture_close(&f);
}

TEST(system_open, version_changes_with_every_commit_of_anybody)
{
    struct fixture f;
    struct system *second CLEANUP(system_cleanup) = NULL;
    uint64_t before, after, there;
    fixture_open(&f);
    CHECK_OK(system_open(f.folder, SLICE("olga"), false, &second, &f.info));
    CHECK_OK(system_version(f.system, &before, &f.info));
    CHECK_OK(system_version(second, &there, &f.info));
    assert_int_equal(before, there);
    fixture_user(&f, "a");
    CHECK_OK(system_version(f.system, &after, &f.info));
    CHECK_OK(system_version(second, &there, &f.info));
    CHECK(after != before);
    assert_int_equal(after, there);
    /* The other way round, then with nothing to write, a refusal, and a no-op. */
    CHECK_OK(system_role_create(second, f.owner, SLICE("r"), false, &f.info));
    CHECK_OK(system_version(f.system, &there, &f.info));
    CHECK(there != after);
    CHECK_OK(system_role_create(f.system, f.owner, SLICE("r"), true, &f.info));
    CHECK_ERR(ERR_EXISTS, system_role_create(f.system, f.owner, SLICE("r"), false, &f.info));
    CHECK_OK(system_version(f.system, &after, &f.info));
    assert_int_equal(after, there);
    fixture_user(&f, "b");
    CHECK_OK(system_version(f.system, &after, &f.info));
    CHECK(after != there);
    fixture_close(&f);
}

static int make_and_write(const char *folder, int number)
{
    struct system *system CLEANUP(system_cleanup) = NULL;
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct errinfo info;
    if (system_open(folder, SLICE("olga"), true, &system, &info) != ERR_OK ||
        system_login(system, SLICE("olga"), SLICE(""), SLICE("local"), SLICE("t"), &who, &info) !=
            ERR_OK) {
        (void)fprintf(stderr, "%s\n", info.message);
        return 1;
    }
    for (int i = 0; i < 10; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "user_%d_%d", number, i);
        if (system_user_create(system, who, slice_of(name), SLICE(""), false, &info) != ERR_OK) {
            (void)fprintf(stderr, "%s\n", info.message);
            return 2;
        }
    }
    return 0;
}

TEST(system_open, processes_may_make_and_write_one_store_at_once)
{
    const char *folder = test_folder();
    pid_t children[6];
    for (int i = 0; i < (int)ARRAY_COUNT(children); i++) {
        children[i] = fork();
        CHECK(children[i] >= 0);
        if (children[i] == 0) {
            _exit(make_and_write(folder, i));
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(children); i++) {
        int status;
        CHECK(waitpid(children[i], &status, 0) == children[i]);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    struct fixture f = {.folder = folder, .arena = arena_new(NULL, "test", 0)};
    CHECK_OK(system_open(folder, SLICE("olga"), false, &f.system, &f.info));
    f.owner = fixture_login(&f, "olga");
    struct system_user *users;
    size_t count;
    uint64_t version;
    CHECK_OK(system_users(f.system, f.owner, f.arena, &users, &count, &f.info));
    assert_int_equal(count, 61);
    CHECK_OK(system_version(f.system, &version, &f.info));
    assert_int_equal(version, 61); /* one for making it, one a write: none was lost */
    fixture_close(&f);
}

static void *use(void *context)
{
    struct fixture *f = context;
    for (int i = 0; i < 30; i++) {
        struct identity *who CLEANUP(identity_cleanup) = NULL;
        uint64_t version;
        struct slice value = slice_of(i % 2 ? "1" : "2");
        ASSERT(system_login(f->system, SLICE("bob"), SLICE(""), SLICE("local"), SLICE("t"), &who,
                            NULL) == ERR_OK);
        ASSERT(system_version(f->system, &version, NULL) == ERR_OK);
        ASSERT(i % 10 != 0 || system_user_set_attribute(f->system, f->owner, SLICE("bob"),
                                                        SLICE("x"), &value, NULL) == ERR_OK);
    }
    return NULL;
}

TEST(system_open, threads_may_share_one_store)
{
    struct fixture f;
    pthread_t threads[4];
    fixture_open(&f);
    fixture_user(&f, "bob");
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, use, &f), 0);
    }
    for (size_t i = 0; i < ARRAY_COUNT(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    fixture_close(&f);
}
