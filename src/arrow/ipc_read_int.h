/* Shared by the files that read. */
#pragma once

#include <stdatomic.h>

#include "arrow/arrow_int.h"
#include "arrow/flat_view.h"
#include "arrow/ipc_read.h"
#include "base/arena.h"

enum {
    IPC_READ_DEPTH_MAX = 32,
    IPC_READ_FIELDS_MAX = 10000,
};

/* Arrays that came in one message, and those of the dictionaries that they point into: these stay
 * for as long as one does, whatever takes their place for what comes later. */
struct ipc_arrays {
    atomic_uint refs;
    struct arena *arena; /* of all of this */
    struct ArrowArray *array;
    struct ipc_arrays_link *used;
};
struct ipc_arrays_link {
    struct ipc_arrays_link *next;
    struct ipc_arrays *arrays;
};

/* Of a column that is encoded by a dictionary: the number that batches of it have. */
struct ipc_dictionary {
    struct ipc_dictionary *next;
    int64_t id;
    const struct ArrowSchema *column; /* whose `dictionary` is the type of the values */
    struct ipc_arrays *values;        /* NULL: none have come */
};

struct ipc_reader {
    struct arena *arena; /* of the schema */
    struct ArrowSchema *schema;
    struct ipc_dictionary *dictionaries;
    size_t field_count;
};

MUST_USE enum err ipc__read_schema(struct ipc_reader *reader, const struct flat_view *header,
                                   struct errinfo *info);
/* `dictionary` NULL: a record batch. One reference is the caller's. */
MUST_USE enum err ipc__read_batch(struct ipc_reader *reader, const struct flat_view *header,
                                  struct slice body, const struct ipc_dictionary *dictionary,
                                  struct ipc_arrays **ret_arrays, struct errinfo *info);
void ipc__arrays_unref(struct ipc_arrays *arrays); /* any thread; NULL is allowed */
MUST_USE enum err ipc__wrong(struct errinfo *info, const char *what);
