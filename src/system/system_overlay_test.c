/* Overlays: what others see and do not, conflicts, rights that go while a transaction is open, and
 * every allocation failing. Two people write to one store; `f.system` is the store itself. */
#include "base/sweep.h"
#include "system/system_fixture_int.h"

static struct system *overlay_of(struct fixture *f)
{
    struct system *overlay = NULL;
    CHECK_OK(system_overlay_open(f->system, &overlay, &f->info));
    return overlay;
}

static bool has(struct system *system, struct fixture *f, const char *name)
{
    struct system_relation found;
    struct sql_name wanted = fixture_name(name);
    return system_relation_load(system, f->owner, &wanted, f->arena, &found, &f->info) == ERR_OK;
}

static enum err create(struct system *system, struct fixture *f, const struct identity *who,
                       const char *name)
{
    struct system_relation table = fixture_table_spec(name);
    bool created;
    return system_relation_create(system, who, &table, SYSTEM_CREATE, &created, &f->info);
}

static enum err rename_to(struct system *system, struct fixture *f, const char *from,
                          const char *to)
{
    struct sql_name name = fixture_name(from);
    return system_relation_rename(system, f->owner, &name, slice_of(to), &f->info);
}

TEST(system_overlay, is_seen_by_nobody_before_it_is_committed_whole)
{
    struct fixture f;
    fixture_open(&f);
    fixture_table(&f, f.owner, "old");
    uint64_t before, after;
    CHECK_OK(system_version(f.system, &before, &f.info));
    struct system *overlay CLEANUP(system_cleanup) = overlay_of(&f);
    CHECK_OK(create(overlay, &f, f.owner, "old__tmp"));
    CHECK_OK(rename_to(overlay, &f, "old", "old__backup"));
    CHECK_OK(rename_to(overlay, &f, "old__tmp", "old"));
    CHECK(has(overlay, &f, "old") && has(overlay, &f, "old__backup"));
    CHECK(has(f.system, &f, "old") && !has(f.system, &f, "old__backup"));
    CHECK_OK(system_version(f.system, &after, &f.info));
    assert_int_equal(before, after);
    CHECK_OK(system_overlay_commit(overlay, f.owner, &f.info));
    CHECK(has(f.system, &f, "old") && has(f.system, &f, "old__backup"));
    CHECK(!has(f.system, &f, "old__tmp"));
    CHECK_OK(system_version(f.system, &after, &f.info));
    assert_int_equal(before + 1, after); /* one transaction of the store */
    fixture_close(&f);
}

TEST(system_overlay, gives_what_it_makes_one_identity_however_often_it_is_made)
{
    struct fixture f;
    fixture_open(&f);
    struct system *overlay CLEANUP(system_cleanup) = overlay_of(&f);
    CHECK_OK(create(overlay, &f, f.owner, "t"));
    struct sql_name name = fixture_name("t");
    struct system_relation mine, committed;
    CHECK_OK(system_relation_load(overlay, f.owner, &name, f.arena, &mine, &f.info));
    fixture_user(&f, "bob"); /* the store changes: everything is made again */
    struct grant grant = {.privileges = PRIVILEGE_SELECT,
                          .grantee = SLICE("bob"),
                          .object_uuid = mine.relation.uuid,
                          .all_columns = true};
    uint64_t id;
    CHECK_OK(system_overlay_refresh(overlay, f.owner, &f.info));
    CHECK_OK(system_grant_add(overlay, f.owner, &grant, &id, &f.info));
    CHECK_OK(system_overlay_commit(overlay, f.owner, &f.info));
    CHECK_OK(system_relation_load(f.system, f.owner, &name, f.arena, &committed, &f.info));
    CHECK(slice_equal(mine.relation.uuid, committed.relation.uuid));
    struct grant *grants;
    size_t count;
    CHECK_OK(
        system_grants(f.system, f.owner, mine.relation.uuid, f.arena, &grants, &count, &f.info));
    assert_int_equal(count, 1);
    fixture_close(&f);
}

TEST(system_overlay, goes_back_to_a_mark)
{
    struct fixture f;
    fixture_open(&f);
    struct system *overlay CLEANUP(system_cleanup) = overlay_of(&f);
    CHECK_OK(create(overlay, &f, f.owner, "kept"));
    size_t mark = system_overlay_changes(overlay);
    CHECK_OK(create(overlay, &f, f.owner, "gone"));
    CHECK_OK(rename_to(overlay, &f, "kept", "renamed"));
    CHECK_OK(system_overlay_rollback(overlay, f.owner, mark, &f.info));
    CHECK(has(overlay, &f, "kept") && !has(overlay, &f, "gone") && !has(overlay, &f, "renamed"));
    CHECK_OK(create(overlay, &f, f.owner, "renamed"));
    CHECK_OK(system_overlay_commit(overlay, f.owner, &f.info));
    CHECK(has(f.system, &f, "kept") && has(f.system, &f, "renamed") && !has(f.system, &f, "gone"));
    fixture_close(&f);
}

TEST(system_overlay, whoever_commits_first_wins)
{
    struct fixture f;
    fixture_open(&f);
    fixture_table(&f, f.owner, "shared");
    fixture_table(&f, f.owner, "other");
    struct system *first CLEANUP(system_cleanup) = overlay_of(&f);
    struct system *second CLEANUP(system_cleanup) = overlay_of(&f);
    struct system *apart CLEANUP(system_cleanup) = overlay_of(&f);
    CHECK_OK(rename_to(first, &f, "shared", "a"));
    CHECK_OK(create(second, &f, f.owner, "mine"));
    CHECK_OK(rename_to(second, &f, "shared", "b"));
    CHECK_OK(rename_to(apart, &f, "other", "c"));
    CHECK_OK(system_overlay_commit(first, f.owner, &f.info));
    assert_int_equal(ERR_BUSY, system_overlay_commit(second, f.owner, &f.info));
    assert_string_equal("40001", f.info.sqlstate);
    CHECK(!has(f.system, &f, "mine") && !has(f.system, &f, "b"));
    CHECK_OK(system_overlay_commit(apart, f.owner, &f.info)); /* what nobody else touched */
    CHECK(has(f.system, &f, "a") && has(f.system, &f, "c"));
    fixture_close(&f);
}

TEST(system_overlay, does_not_touch_another_of_the_same_name)
{
    struct fixture f;
    fixture_open(&f);
    fixture_table(&f, f.owner, "t");
    struct sql_name name = fixture_name("t");
    struct system *overlay CLEANUP(system_cleanup) = overlay_of(&f);
    CHECK_OK(system_relation_drop(overlay, f.owner, &name, RELATION_TABLE, false, false, &f.info));
    CHECK_OK(system_relation_drop(f.system, f.owner, &name, RELATION_TABLE, false, false, &f.info));
    fixture_table(&f, f.owner, "t");
    assert_int_equal(ERR_BUSY, system_overlay_commit(overlay, f.owner, &f.info));
    assert_string_equal("40001", f.info.sqlstate);
    CHECK(has(f.system, &f, "t"));
    fixture_close(&f);
}

TEST(system_overlay, has_the_rights_that_the_person_has_when_it_is_committed)
{
    struct fixture f;
    fixture_open(&f);
    fixture_user(&f, "bob");
    struct grant grant = {.privileges = PRIVILEGE_CREATE,
                          .grantee = SLICE("bob"),
                          .object_uuid = SLICE("main"),
                          .all_columns = true};
    uint64_t id;
    size_t count;
    CHECK_OK(system_grant_add(f.system, f.owner, &grant, &id, &f.info));
    struct identity *bob = fixture_login(&f, "bob");
    struct system *overlay CLEANUP(system_cleanup) = overlay_of(&f);
    CHECK_OK(create(overlay, &f, bob, "t"));
    CHECK_OK(system_grant_revoke(f.system, f.owner, GRANT_ALLOW, PRIVILEGE_CREATE, GRANTEE_USER,
                                 SLICE("bob"), SLICE("main"), true, NULL, 0, &count, &f.info));
    assert_int_equal(ERR_DENIED, system_overlay_commit(overlay, bob, &f.info));
    CHECK(!has(f.system, &f, "t"));
    assert_int_equal(ERR_DENIED, system_overlay_refresh(overlay, bob, &f.info));
    identity_unref(bob);
    fixture_close(&f);
}

TEST(system_overlay, holds_no_change_of_people)
{
    struct fixture f;
    fixture_open(&f);
    struct system *overlay CLEANUP(system_cleanup) = overlay_of(&f);
    assert_int_equal(ERR_UNSUPPORTED,
                     system_user_create(overlay, f.owner, SLICE("eve"), SLICE(""), false, &f.info));
    assert_string_equal("25001", f.info.sqlstate);
    assert_int_equal(ERR_UNSUPPORTED,
                     system_role_create(overlay, f.owner, SLICE("eve"), false, &f.info));
    fixture_close(&f);
}

TEST(system_overlay, an_open_one_holds_up_nobody)
{
    struct fixture f;
    fixture_open(&f);
    struct system *overlay CLEANUP(system_cleanup) = overlay_of(&f);
    CHECK_OK(create(overlay, &f, f.owner, "t"));
    fixture_user(&f, "bob"); /* writes, logs in and reads */
    identity_unref(fixture_login(&f, "bob"));
    fixture_table(&f, f.owner, "u");
    CHECK_OK(system_overlay_commit(overlay, f.owner, &f.info));
    CHECK(has(f.system, &f, "t") && has(f.system, &f, "u"));
    fixture_close(&f);
}

TEST(system_overlay, is_whole_or_nothing_with_every_allocation_failing)
{
    struct fixture f;
    char made[32], renamed[32];
    fixture_open(&f);
    SWEEP_ALLOC(fault)
    {
        struct system *overlay = NULL;
        fault_disarm();
        (void)snprintf(made, sizeof(made), "made_%llu", (unsigned long long)fault.step);
        (void)snprintf(renamed, sizeof(renamed), "renamed_%llu", (unsigned long long)fault.step);
        fault_arm(&fault);
        enum err err = system_overlay_open(f.system, &overlay, &f.info);
        if (err == ERR_OK) {
            err = create(overlay, &f, f.owner, made);
        }
        if (err == ERR_OK) {
            err = rename_to(overlay, &f, made, renamed);
        }
        if (err == ERR_OK) {
            err = system_overlay_rollback(overlay, f.owner, 2, &f.info);
        }
        if (err == ERR_OK) {
            err = system_overlay_commit(overlay, f.owner, &f.info);
        }
        fault_disarm();
        system_close(overlay);
        CHECK(err == ERR_OK || (fault.fired && err == ERR_NOMEM));
        CHECK(!has(f.system, &f, made));
        CHECK(has(f.system, &f, renamed) == (err == ERR_OK));
    }
    fixture_close(&f);
}
