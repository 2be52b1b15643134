/* The audit trail and the store, which remembers how far the trail has come: held against each
 * other, and brought together again where the owner accepts that records are gone. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/io.h"
#include "query/trail_int.h"

/* ---- the anchor, as each of the two modules knows it ---- */

static enum err load_anchor(void *context, struct audit_anchor *ret_anchor, struct errinfo *info)
{
    struct system_anchor stored;
    TRY(system_anchor(context, &stored, info));
    struct audit_anchor anchor = {.seq = stored.seq, .wall_us = stored.wall_us};
    static_assert(sizeof(anchor.trail) == sizeof(stored.trail) &&
                      sizeof(anchor.hash) == sizeof(stored.hash),
                  "the same texts");
    memcpy(anchor.trail, stored.trail, sizeof(anchor.trail));
    memcpy(anchor.hash, stored.hash, sizeof(anchor.hash));
    *ret_anchor = anchor;
    return ERR_OK;
}

static struct system_anchor stored_form(const struct audit_anchor *anchor)
{
    struct system_anchor stored = {.seq = anchor->seq};
    memcpy(stored.trail, anchor->trail, sizeof(stored.trail));
    memcpy(stored.hash, anchor->hash, sizeof(stored.hash));
    return stored;
}

static enum err save_anchor(void *context, const struct audit_anchor *anchor, struct errinfo *info)
{
    struct system_anchor stored = stored_form(anchor);
    return system_anchor_advance(context, &stored, info);
}

struct audit_anchor_store trail_anchors(struct system *system)
{
    return (struct audit_anchor_store){load_anchor, save_anchor, system};
}

/* ---- looking ---- */

struct parts {
    struct arena *arena;
    const char *trail; /* its folder */
    struct system *system;
    struct slice os_user;
    struct audit_anchor anchor;
};

static void close_parts(struct parts *parts)
{
    system_close(parts->system);
    arena_free(parts->arena);
}

static enum err open_parts(const struct config *config, struct parts *parts, struct errinfo *info)
{
    const char *folder = config_text(config, CONFIG_WAREHOUSE_PATH);
    parts->arena = arena_new(NULL, "trail", 0);
    parts->trail = parts->arena == NULL ? NULL : io_join(parts->arena, folder, "audit");
    if (parts->trail == NULL) {
        return errinfo_nomem(info);
    }
    TRY(identity_os_user(parts->arena, &parts->os_user, info));
    TRY(system_open(folder, parts->os_user, false, &parts->system, info));
    return load_anchor(parts->system, &parts->anchor, info);
}

enum err warehouse_verify_trail(const struct config *config, struct audit_report *ret_report,
                                struct audit_anchor *ret_anchor, struct errinfo *info)
{
    struct parts parts CLEANUP(close_parts) = {0};
    enum err err = open_parts(config, &parts, info);
    if (err == ERR_NOT_FOUND && parts.system == NULL && io_exists(parts.trail)) {
        err = ERR_OK; /* a trail that was put away without its store */
    }
    TRY(err);
    TRY(audit_verify(parts.trail, &parts.anchor, ret_report, info));
    *ret_anchor = parts.anchor;
    return ERR_OK;
}

/* ---- accepting a loss ---- */

/* A trail that is whole in itself goes on, so that what is left of it stays in sight of SQL. Any
 * other is evidence: it is put aside, and a new one begun. */
static enum err put_aside(const struct parts *parts, struct trail_loss *loss, struct errinfo *info)
{
    struct audit_report alone = {0};
    if (!io_exists(parts->trail)) {
        return ERR_OK;
    }
    enum err err = audit_verify(parts->trail, NULL, &alone, info);
    if (err == ERR_OK && alone.is_intact &&
        (alone.records == 0 || strcmp(alone.trail, parts->anchor.trail) == 0)) {
        loss->kept = alone.records;
        return ERR_OK;
    }
    char time[CLOCK_TEXT_BYTES];
    clock_format_utc(clock_wall_us(), time);
    int len = snprintf(loss->aside, sizeof(loss->aside), "%s.lost-%s", parts->trail, time);
    if (len < 0 || (size_t)len >= sizeof(loss->aside) || rename(parts->trail, loss->aside) != 0) {
        loss->aside[0] = '\0';
        char text[128];
        return errinfo_set(info, ERR_IO, NULL, "cannot put the damaged audit trail aside: %s",
                           strerror_r(errno, text, sizeof(text)));
    }
    return ERR_OK;
}

static enum err write_loss(const struct parts *parts, const struct identity *who,
                           const struct trail_loss *loss, struct errinfo *info)
{
    struct audit *audit CLEANUP(audit_cleanup) = NULL;
    char id[UUID_TEXT_BYTES];
    TRY(uuid_new(id));
    /* Not anchored yet: the store still names what is lost. */
    TRY(audit_open(parts->trail, NULL, &audit, info));
    const struct audit_anchor *anchor = &parts->anchor;
    const char *aside = strrchr(loss->aside, '/');
    char *printed = arena_printf(
        parts->arena,
        "accepted the loss of audit records %llu to %llu of the trail %s; the last had the hash "
        "%s%s%s",
        (unsigned long long)loss->kept + 1, (unsigned long long)anchor->seq, anchor->trail,
        anchor->hash, aside == NULL ? "" : "; what was left of it is in ",
        aside == NULL ? "" : aside + 1);
    if (printed == NULL) {
        return errinfo_nomem(info);
    }
    struct audit_record record = {.kind = AUDIT_LOSS,
                                  .query_id = slice_of(id),
                                  .who = who,
                                  .statement = slice_of(printed),
                                  .command = SLICE("AUDIT ACCEPT-LOSS"),
                                  .state = SLICE("DONE"),
                                  .sqlstate = SLICE("00000")};
    return audit_write(audit, &record, info);
}

static enum err anchor_anew(const struct parts *parts, const struct identity *who,
                            struct errinfo *info)
{
    struct audit_report report;
    TRY(audit_verify(parts->trail, NULL, &report, info));
    if (!report.is_intact) {
        return errinfo_set(info, ERR_CORRUPT, NULL, "the audit trail is damaged: %.180s",
                           report.problem);
    }
    struct system_anchor anchor = {.seq = report.records};
    memcpy(anchor.trail, report.trail, sizeof(anchor.trail));
    memcpy(anchor.hash, report.last_hash, sizeof(anchor.hash));
    return system_anchor_replace(parts->system, who, &anchor, info);
}

enum err warehouse_accept_trail_loss(const struct config *config, struct trail_loss *ret_loss,
                                     struct errinfo *info)
{
    struct parts parts CLEANUP(close_parts) = {0};
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct audit_report report;
    TRY(open_parts(config, &parts, info));
    if (!slice_equal(parts.os_user, system_owner(parts.system))) {
        return errinfo_set(info, ERR_DENIED, "28000", "\"%.*s\" does not own this warehouse",
                           SLICE_ARGS(parts.os_user));
    }
    struct trail_loss loss = {.anchored = parts.anchor.seq};
    bool is_there = parts.anchor.seq > 0 || io_exists(parts.trail);
    if (is_there) {
        TRY(audit_verify(parts.trail, &parts.anchor, &report, info));
    }
    if (!is_there || report.is_intact) {
        *ret_loss = loss; /* nothing is missing */
        return ERR_OK;
    }
    TRY(system_login(parts.system, parts.os_user, SLICE(""), SLICE("local"), SLICE("embedded"),
                     &who, info));
    /* A crash after any of these leaves a trail that the store does not know: the start is refused
     * as before, and this can be done again. */
    TRY(put_aside(&parts, &loss, info));
    TRY(write_loss(&parts, who, &loss, info));
    TRY(anchor_anew(&parts, who, info));
    loss.is_accepted = true;
    *ret_loss = loss;
    return ERR_OK;
}
