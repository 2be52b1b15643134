/* What a broker and its hosts say to each other (README.md, "Formats"). */
#pragma once

#include "base/base.h"
#include "engine/engine.h"
#include "engine/host/arrow_wire.h"
#include "engine/host/wire.h"
#include "engine/scan.h"

enum {
    HOST_FD = 3,               /* where a host finds its control channel */
    HOST_LANES_MAX = 33,       /* callbacks at once */
    HOST_SLOTS = 2,            /* batches on their way */
    HOST_SLOT_BYTES = 8 << 20, /* a longer batch goes through the socket */
    HOST_LANE_BYTES = 2 << 20, /* two halves: one is filled while the other is read */
    HOST_HALF_BYTES = HOST_LANE_BYTES / 2,
    HOST_DEAD_MAX = 65536,    /* positions asked about at once */
    HOST_SPILL_NAME_MAX = 64, /* of a spill file */
    HOST_EXTENTS_MAX = 256,   /* told of at once */
};

#define HOST_ARGUMENT "--engine-host"

/* Most bytes of a message: what a host makes the broker hold is bounded by these. */
#define HOST_REQUEST_BYTES_MAX ((size_t)256 << 20) /* to a host, which only harms itself */
#define HOST_REPLY_BYTES_MAX ((size_t)16 << 20)    /* and 4 KiB for each byte of a statement */
#define HOST_TREE_BYTES_MAX ((size_t)256 << 20)    /* of replies that grow with the statement */
#define HOST_BATCH_BYTES_MAX ((size_t)512 << 20)
#define HOST_CALLBACK_BYTES_MAX ((size_t)16 << 20)

enum host_message {
    /* control channel, to the host; each is answered by MESSAGE_DONE or MESSAGE_FAILED */
    MESSAGE_HELLO = 1,
    MESSAGE_PARSE,
    MESSAGE_DEPARSE,
    MESSAGE_FUNCTIONS,
    MESSAGE_DESCRIBE,
    MESSAGE_PARAMETERS, /* answered as DESCRIBE, without names */
    MESSAGE_EXPLAIN,
    /* query channel, to the host: OPEN as above */
    MESSAGE_OPEN,
    MESSAGE_NEXT,  /* the next batch is wanted, all before it were taken */
    MESSAGE_CLOSE, /* answered by CLOSED */
    /* urgent channel, to the host: no answers */
    MESSAGE_CANCEL,       /* all requests up to an epoch */
    MESSAGE_CANCEL_QUERY, /* by number */
    MESSAGE_PROGRESS,     /* into the shared memory */
    /* from the host */
    MESSAGE_DONE,
    MESSAGE_FAILED,
    MESSAGE_BATCH,
    MESSAGE_END,
    MESSAGE_CLOSED,
    /* lanes, to the broker; each is answered by DONE or FAILED */
    MESSAGE_READ,
    MESSAGE_WRITE,
    MESSAGE_FILES,
    MESSAGE_RANGES,
    MESSAGE_DEAD,
    MESSAGE_HASH,
    MESSAGE_SPILL_OPEN,
    MESSAGE_SPILL_REMOVE,
    MESSAGE_ROWS,
    MESSAGE_ADVISE, /* the one that is not answered */
};

/* At the start of the shared memory. The host writes, the broker reads and believes nothing. */
struct host_shared {
    _Atomic uint64_t progress_millipercent; /* UINT64_MAX: unknown */
};
#define HOST_SHARED_BYTES 4096u

static inline size_t host_memory_bytes(unsigned lane_count)
{
    return HOST_SHARED_BYTES + (size_t)HOST_SLOTS * HOST_SLOT_BYTES +
           (size_t)lane_count * HOST_LANE_BYTES;
}

static inline char *host_slot(void *memory, size_t slot)
{
    return (char *)memory + HOST_SHARED_BYTES + slot * HOST_SLOT_BYTES;
}

static inline char *host_lane_buffer(void *memory, size_t lane)
{
    return host_slot(memory, HOST_SLOTS) + lane * HOST_LANE_BYTES;
}

/* MESSAGE_HELLO; with it come the query channel, the urgent one, the memory and the lanes. */
struct host_hello {
    uint32_t lane_count;
    uint32_t thread_count;
    uint64_t memory_bytes_max;  /* of the engine itself */
    uint64_t process_bytes_max; /* of the process: 0 = unlimited */
    uint64_t temp_bytes_max;    /* 0 = no spilling */
    uint32_t user_id;           /* UINT32_MAX: stay */
    uint32_t niceness;          /* 0 to 19 */
    bool is_confined;           /* false: go on without seccomp where there is none */
    bool is_slotless;           /* batches through the socket, to measure */
};
void host_put_hello(struct buf *out, const struct host_hello *hello);
MUST_USE bool host_take_hello(struct wire *in, struct host_hello *ret_hello);

/* ---- grants, to the host ---- */

/* One grant as it is attached to one request. */
struct host_grant {
    uint64_t number;  /* never used twice in a host */
    char address[33]; /* as in the statement */
    struct engine_grant_spec spec;
    struct engine_scan_spec *scans; /* what spec.scans points at */
    struct wire_schema *rows;       /* NULL: none */
};
MUST_USE enum err host_put_grant(struct buf *out, uint64_t number, const char *address,
                                 const struct engine_grant_spec *spec, struct errinfo *info);
/* Without functions and context: those are the host's own. */
void host_take_grant(struct wire *in, struct arena *arena, struct host_grant *ret_grant);

void host_put_files(struct buf *out, const struct engine_scan_file *files, size_t count);
void host_take_files(struct wire *in, struct arena *arena, struct engine_scan_file **ret_files,
                     size_t *ret_count);

void host_put_ranges(struct buf *out, const struct engine_scan_range *ranges, size_t count);
void host_take_ranges(struct wire *in, struct arena *arena, struct engine_scan_range **ret_ranges,
                      size_t *ret_count);

void host_put_parameters(struct buf *out, const struct engine_parameter *parameters, size_t count);
void host_take_parameters(struct wire *in, struct arena *arena,
                          struct engine_parameter **ret_parameters, size_t *ret_count);

/* ---- to the broker ---- */

void host_put_columns(struct buf *out, const struct engine_column *columns, size_t count);
void host_take_columns(struct wire *in, struct arena *arena, struct engine_column **ret_columns,
                       size_t *ret_count);

void host_put_predicates(struct buf *out, const struct engine_predicate *const *all, size_t count);
void host_take_predicates(struct wire *in, struct arena *arena,
                          const struct engine_predicate *const **ret_all, size_t *ret_count);

/* A read of `len` bytes into the lane's buffer at `buffer_at`. */
struct host_read {
    uint64_t grant;
    uint64_t scan; /* UINT64_MAX: an object of the grant itself */
    uint64_t object;
    uint64_t offset;
    uint64_t len;
    uint64_t buffer_at;
};
void host_put_read(struct buf *out, const struct host_read *read);
void host_take_read(struct wire *in, struct host_read *ret_read);

/* What will be read soon of a scan's file; HOST_EXTENTS_MAX at most. */
void host_put_advice(struct buf *out, const struct engine_scan_extent *extents, size_t count);
/* The extents are in `ret_extents`, which has room for HOST_EXTENTS_MAX. */
void host_take_advice(struct wire *in, struct engine_scan_extent *ret_extents, size_t *ret_count);

/* "a-Z09._-", not ".": the name of a spill file. */
bool host_name_is_valid(struct slice name);
