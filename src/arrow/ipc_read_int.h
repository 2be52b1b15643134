/* Shared by the files that read. */
#pragma once

#include "arrow/arrow_int.h"
#include "arrow/flat_view.h"
#include "arrow/ipc_read.h"
#include "base/arena.h"

enum {
    IPC_READ_DEPTH_MAX = 32,
    IPC_READ_FIELDS_MAX = 10000,
};

/* Of a column that is encoded by a dictionary: the number that batches of it have. */
struct ipc_dictionary {
    struct ipc_dictionary *next;
    int64_t id;
    const struct ArrowSchema *column; /* whose `dictionary` is the type of the values */
    struct arena *arena;              /* of the values; NULL: none have come */
    struct ArrowArray *values;
};

struct ipc_reader {
    struct arena *arena; /* of the schema */
    struct ArrowSchema *schema;
    struct ipc_dictionary *dictionaries;
    size_t field_count;
};

MUST_USE enum err ipc__read_schema(struct ipc_reader *reader, const struct flat_view *header,
                                   struct errinfo *info);
/* `dictionary` NULL: a record batch. The arena is the batch's. */
MUST_USE enum err ipc__read_batch(struct ipc_reader *reader, const struct flat_view *header,
                                  struct slice body, const struct ipc_dictionary *dictionary,
                                  struct arena *arena, struct ArrowArray **ret_array,
                                  struct errinfo *info);
MUST_USE enum err ipc__wrong(struct errinfo *info, const char *what);
