/* New objects on this machine: written under no name, there under theirs only when finished, and
 * never over another. The counterpart of storage_upload (storage/remote.h). */
#pragma once

#include "storage/storage.h"

struct storage_output;

/* The object will be at `location`, which may come from somebody who is not trusted: its folder,
 * made when it is not there, must really be one of `folders` or inside one (none: anywhere).
 * ERR_DENIED with `ret_is_outside` set (never cleared) when it is not. */
MUST_USE enum err storage_output_open(const struct identity *who, struct slice location,
                                      const struct slice *folders, size_t folder_count,
                                      struct storage_output **ret_output, bool *ret_is_outside,
                                      struct errinfo *info);
MUST_USE enum err storage_output_append(struct storage_output *output, struct slice bytes,
                                        struct errinfo *info);
/* On disk, and under its name. ERR_EXISTS when something has the name; with `replaces`, takes its
 * place instead. After ERR_IO it may be there or not. */
MUST_USE enum err storage_output_finish(struct storage_output *output, bool replaces,
                                        struct errinfo *info);
uint64_t storage_output_size(const struct storage_output *output);
/* What was not finished is gone. NULL is allowed. */
void storage_output_close(struct storage_output *output);
DEFINE_CLEANUP(struct storage_output, storage_output_cleanup, storage_output_close)

/* Removes the object at `location`, judged as above; that there is none is no error. */
MUST_USE enum err storage_remove_within(const struct identity *who, struct slice location,
                                        const struct slice *folders, size_t folder_count,
                                        bool *ret_is_outside, struct errinfo *info);
