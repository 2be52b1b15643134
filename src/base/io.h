/* Files of this program's own (stores, trails, configuration), with a seam for faults.
 *
 * Every function counts as one I/O step for base/sweep.h: a sweep can make the n-th step fail
 * (EIO, ENOSPC) or kill the process there with SIGKILL. All retry on EINTR, write everything or
 * fail, and report errno's text with the file's base name only. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"

/* Whole file into `arena`, at most `bytes_max`. ERR_NOT_FOUND, ERR_IO, ERR_LIMIT, ERR_NOMEM. */
MUST_USE enum err io_read_file(struct arena *arena, const char *path, size_t bytes_max,
                               struct slice *ret_bytes, struct errinfo *info);

/* Atomic replacement: temporary file beside, write, fsync, rename, fsync of the folder.
 * On any failure the old content stands and the temporary file is gone or harmless. */
MUST_USE enum err io_write_file_atomic(const char *path, struct slice bytes, unsigned mode,
                                       struct errinfo *info);

/* Opens for appending, creating with `mode`. The caller closes with io_close. */
MUST_USE enum err io_open_append(const char *path, unsigned mode, int *ret_fd,
                                 struct errinfo *info);
MUST_USE enum err io_write_all(int fd, struct slice bytes, struct errinfo *info);
MUST_USE enum err io_sync(int fd, struct errinfo *info); /* fdatasync */
MUST_USE enum err io_sync_folder(const char *path, struct errinfo *info);
MUST_USE enum err io_truncate(int fd, uint64_t size_bytes, struct errinfo *info);
void io_close(int fd);

/* `mkdir -p` with `mode` for the folders it makes. */
MUST_USE enum err io_make_folders(const char *path, unsigned mode, struct errinfo *info);
bool io_exists(const char *path);

/* "a/b" from two parts, one slash between; NULL when the arena is exhausted. */
MUST_USE char *io_join(struct arena *arena, const char *folder, const char *name);
