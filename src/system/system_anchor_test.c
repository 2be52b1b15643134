/* Goal: the anchor only moves forward, but for the owner; it changes nothing that others depend on,
 * and survives. Method: through the interface, two connections where another process matters. */
#include "base/test.h"
#include "system/system_fixture_int.h"
#include "system/system_int.h"

static struct system_anchor anchor_at(uint64_t seq, const char *trail)
{
    struct system_anchor anchor = {.seq = seq};
    (void)snprintf(anchor.trail, sizeof(anchor.trail), "%s", trail);
    (void)snprintf(anchor.hash, sizeof(anchor.hash), "hash of %llu", (unsigned long long)seq);
    return anchor;
}

static void check_at(struct fixture *f, uint64_t seq, const char *hash)
{
    struct system_anchor found;
    CHECK_OK(system_anchor(f->system, &found, &f->info));
    assert_int_equal((long long)seq, (long long)found.seq);
    CHECK_STR(hash, found.hash);
}

TEST(system_anchor, moves_forward_only_and_along_one_trail)
{
    struct fixture f;
    fixture_open(&f);
    check_at(&f, 0, "");
    struct system_anchor anchor = anchor_at(3, "a");
    CHECK_OK(system_anchor_advance(f.system, &anchor, &f.info));
    check_at(&f, 3, "hash of 3");
    anchor = anchor_at(2, "a");
    CHECK_OK(system_anchor_advance(f.system, &anchor, &f.info));
    check_at(&f, 3, "hash of 3");
    anchor = anchor_at(9, "b");
    CHECK_ERR(ERR_CORRUPT, system_anchor_advance(f.system, &anchor, &f.info));
    check_at(&f, 3, "hash of 3");
    anchor = anchor_at(4, "a");
    CHECK_OK(system_anchor_advance(f.system, &anchor, &f.info));
    check_at(&f, 4, "hash of 4");
    fixture_close(&f);
}

TEST(system_anchor, outlives_the_close_and_raises_no_version)
{
    // Method: the log of an unsynced anchor stays beside the file; open, look, close, many times.
    struct fixture f;
    fixture_open(&f);
    uint64_t before, after;
    CHECK_OK(system_version(f.system, &before, &f.info));
    for (uint64_t seq = 1; seq < 3 * SYSTEM_LOG_PAGES_MAX; seq++) {
        struct system_anchor anchor = anchor_at(seq, "a");
        CHECK_OK(system_anchor_advance(f.system, &anchor, &f.info));
        if (seq % 16 == 0) {
            system_close(f.system);
            CHECK_OK(system_open(f.folder, SLICE("olga"), false, &f.system, &f.info));
        }
        check_at(&f, seq, anchor.hash);
    }
    CHECK_OK(system_version(f.system, &after, &f.info));
    assert_int_equal((long long)before, (long long)after);
    fixture_close(&f);
}

/* Not through the cache of statements: a pragma's answer is part of the prepared statement. */
static int synchronous(struct system *system)
{
    sqlite3_stmt *stmt;
    CHECK(sqlite3_prepare_v2(system->db, "PRAGMA synchronous", -1, &stmt, NULL) == SQLITE_OK);
    CHECK(sqlite3_step(stmt) == SQLITE_ROW);
    int level = sqlite3_column_int(stmt, 0);
    CHECK(sqlite3_finalize(stmt) == SQLITE_OK);
    return level;
}

TEST(system_anchor, is_synced_every_so_often)
{
    struct fixture f;
    fixture_open(&f);
    bool found;
    int64_t synced;
    for (uint64_t seq = 1; seq < 3 * (uint64_t)SYSTEM_ANCHOR_SYNC_RECORDS; seq += 50) {
        struct system_anchor anchor = anchor_at(seq, "a");
        CHECK_OK(system_anchor_advance(f.system, &anchor, &f.info));
        CHECK_OK(system__number(f.system, "SELECT synced_seq FROM audit_anchor", NO_VALUES, &found,
                                &synced, &f.info));
        assert_in_range(seq - (uint64_t)synced, 0, SYSTEM_ANCHOR_SYNC_RECORDS - 1);
        bool is_waiting = (uint64_t)synced == seq;
        assert_int_equal(is_waiting ? 2 : 1, synchronous(f.system));
        struct actor actor;
        CHECK_OK(system__write_begin(f.system, f.owner, &actor, &f.info));
        assert_int_equal(2, synchronous(f.system)); /* FULL for all others */
        CHECK_OK(system__write_end(f.system, ERR_OK, &f.info));
    }
    fixture_close(&f);
}

TEST(system_anchor, waits_for_no_writer)
{
    struct fixture f;
    struct system *other;
    struct actor actor;
    fixture_open(&f);
    CHECK_OK(system_open(f.folder, SLICE("olga"), false, &other, &f.info));
    CHECK_OK(system__write_begin(other, f.owner, &actor, &f.info));
    struct system_anchor anchor = anchor_at(1, "a");
    CHECK_ERR(ERR_BUSY, system_anchor_advance(f.system, &anchor, &f.info));
    CHECK_OK(system__write_end(other, ERR_OK, &f.info));
    CHECK_OK(system_anchor_advance(f.system, &anchor, &f.info));
    system_close(other);
    check_at(&f, 1, "hash of 1");
    fixture_close(&f);
}

TEST(system_anchor, is_replaced_by_the_owner_only)
{
    struct fixture f;
    fixture_open(&f);
    fixture_user(&f, "bob");
    fixture_member(&f, SYSTEM_ROLE_ADMIN, "bob");
    struct identity *bob CLEANUP(identity_cleanup) = fixture_login(&f, "bob");
    struct system_anchor anchor = anchor_at(30, "a");
    CHECK_OK(system_anchor_advance(f.system, &anchor, &f.info));
    anchor = anchor_at(1, "b");
    CHECK_ERR(ERR_DENIED, system_anchor_replace(f.system, bob, &anchor, &f.info));
    check_at(&f, 30, "hash of 30");
    CHECK_OK(system_anchor_replace(f.system, f.owner, &anchor, &f.info));
    check_at(&f, 1, "hash of 1");
    fixture_close(&f);
}
