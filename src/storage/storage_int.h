/* For the module's own files and tests. */
#pragma once

#include "storage/storage.h"

#include <sys/types.h>

/* Bounds of one listing: both are far past any table and stop a pattern such as "/ * * / x". */
#define STORAGE_DEPTH_MAX 128
#define STORAGE_NAMES_MAX 2000000

/* ---- locations (storage_location.c) ---- */

/* The pattern as an absolute local one, without "~" or "file://", in `arena`. Whatever did not
 * come from the pattern itself (home, working folder, percent-decoded bytes) is quoted, so that
 * it cannot act as a wildcard. ERR_UNSUPPORTED names a scheme that this build has not. */
MUST_USE enum err storage__local_pattern(struct slice pattern, struct arena *arena,
                                         struct slice *ret_pattern, struct errinfo *info);

/* "s3" of "s3://bucket/key"; empty if there is no scheme (RFC 3986, with "//" behind it). */
struct slice storage__scheme_of(struct slice location);

/* Why a scheme cannot be had here: ERR_UNSUPPORTED by name, or ERR_DENIED for one that only a
 * grant (storage/remote.h) opens. */
enum err storage__refuse_scheme(struct slice scheme, struct errinfo *info);

/* Last component, for messages: people see which file, never where it lies. */
struct slice storage__base_name(struct slice location);

/* ---- patterns (storage_glob.c) ---- */

/* True if one name matches one component (no "/" in either). `?` and a bracket match one UTF-8
 * character (or one byte that is no UTF-8). Time is at most len(pattern) * len(name). */
bool storage__glob_match(struct slice component, struct slice name);

/* False if a bracket is not closed. */
bool storage__glob_is_valid(struct slice component);

/* True if no byte of it is special. */
bool storage__glob_is_plain(struct slice component);

/* ---- local files (storage_local.c) ---- */

MUST_USE enum err storage__local_list(struct slice pattern, size_t entries_max, struct arena *arena,
                                      struct storage_entry **ret_entries, size_t *ret_count,
                                      struct errinfo *info);

MUST_USE enum err storage__local_stat(struct slice location, struct arena *arena,
                                      struct storage_entry *ret_entry, struct errinfo *info);

/* ERR_NOT_FOUND, ERR_DENIED, ERR_NOMEM or ERR_IO, by errno. */
enum err storage__local_report(struct errinfo *info, int error, const char *verb,
                               struct slice location);
enum err storage__local_refuse_kind(struct errinfo *info, mode_t mode, struct slice location);
/* Before each system call: true with errno EIO where a test wants it to fail. */
bool storage__step_fails(void);

/* A path pinned (O_PATH, and `flags`): -1 with errno. */
int storage__local_pin(struct slice path, int flags);
/* Whether what is pinned lies in one of `folders`, or `may_be_it` is one; ERR_OK with false when it
 * does not. A folder that is not there holds nothing. */
MUST_USE enum err storage__local_judge(int file, bool may_be_it, const struct slice *folders,
                                       size_t folder_count, bool *ret_is_inside, struct slice name,
                                       struct errinfo *info);

struct storage_local {
    int fd;
    bool is_prefix; /* opened without an etag: only growth is allowed */
    int64_t modified_ns;
    uint64_t file_bytes;
    struct slice name; /* for messages */
};

struct storage_s3;

struct storage_object {
    uint64_t size_bytes;
    int64_t modified_us;
    struct slice bytes; /* in memory if `local` and `s3` are NULL */
    struct storage_local *local;
    struct storage_s3 *s3;
};

MUST_USE enum err storage__local_open(const struct storage_entry *entry,
                                      struct storage_object *object, struct errinfo *info);
/* Whatever regular file `path` is now; `name` for messages. */
MUST_USE enum err storage__local_open_file(const char *path, struct slice name,
                                           struct storage_object *object, struct errinfo *info);
/* storage_within.c */
MUST_USE enum err storage__local_open_within(struct slice location, const struct slice *folders,
                                             size_t folder_count, struct storage_object *object,
                                             bool *ret_is_outside, struct errinfo *info);
MUST_USE enum err storage__local_read(const struct storage_object *object, uint64_t offset,
                                      void *ret_bytes, size_t len, struct errinfo *info);
void storage__local_close(struct storage_local *local);
