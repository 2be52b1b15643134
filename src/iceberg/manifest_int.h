/* Records of Avro files read by field id: the writer's schema is compiled once into steps, each of
 * which skips a value or puts it into a numbered slot. */
#pragma once

#include "iceberg/avro.h"
#include "iceberg/manifest.h"

enum slot_kind {
    SLOT_NUMBER,  /* boolean, int, long */
    SLOT_BYTES,   /* bytes, string, fixed */
    SLOT_NUMBERS, /* array of int or long */
    SLOT_METRICS, /* map of int to ..., in either form */
    SLOT_TUPLE,   /* a record; its cursor is kept and it is stepped over */
};

/* What is wanted: `slot_count` of these, the index is the slot. */
struct slot_want {
    int32_t field_id;
    enum slot_kind kind;
    bool is_required;
    const char *name; /* for messages */
};

struct record_step {
    const struct avro_schema *schema; /* without its union with null */
    int slot;                         /* -1: skip */
    enum slot_kind kind;              /* unless skipped */
    int null_branch;                  /* -1: no union */
};

struct record_program {
    const struct record_step *steps;
    size_t step_count;
    /* The last field is a wanted SLOT_TUPLE and is not stepped over: the record's cursor stays at
     * its start, for whoever reads on there. One walk less over nearly all of a manifest. */
    bool leaves_last;
};

/* A value that a step found. */
struct record_slot {
    bool is_set; /* false: null or not in the writer's schema */
    int64_t number;
    struct slice bytes;
    struct avro_cursor cursor; /* NUMBERS, TUPLE: where it starts */
    const struct avro_schema *schema;
};

/* Reads maps (SLOT_METRICS) while the record is walked; it must leave the cursor behind the map.
 * False ends the walk as damage does. */
struct record_sink {
    bool (*read_map)(void *context, int slot, const struct avro_schema *schema,
                     struct avro_cursor *cursor);
    void *context;
};

#define RECORD_SLOTS_MAX 24

/* ERR_CORRUPT if a wanted field has another type or a required one is missing. `record` must be
 * one. A nested record is compiled separately. */
MUST_USE enum err record__compile(const struct avro_schema *record, const struct slot_want *wants,
                                  size_t want_count, struct arena *arena,
                                  struct record_program *ret_program, struct errinfo *info);
/* Clears all slots, fills what the record at `cursor` holds. `sink` NULL: maps are stepped over.
 * False when it leaves the block. */
MUST_USE bool record__read(const struct record_program *program, struct avro_cursor *cursor,
                           const struct record_sink *sink, struct record_slot *slots,
                           size_t slot_count);
/* The name of a required field that is null, or NULL. */
const char *record__missing(const struct slot_want *wants, const struct record_slot *slots,
                            size_t slot_count);
/* The schema of a wanted field by id, its union with null removed; NULL when absent. */
const struct avro_schema *record__find(const struct avro_schema *record, int32_t field_id);

/* A schema without its union with null. */
const struct avro_schema *record__value(const struct avro_schema *schema);

/* Steps into a value that may be a union with null: false when the block ends. */
MUST_USE bool record__enter(const struct avro_schema *schema, struct avro_cursor *cursor,
                            const struct avro_schema **ret_schema, bool *ret_is_null);

/* A copy of an entry's schema in which fixed values of the partition tuple are bytes with a length:
 * so Iceberg's Java library (1.12) writes them, whatever its schema says. NULL without memory;
 * the schema itself when it has no such value. */
const struct avro_schema *record__with_loose_partition(const struct avro_schema *entry,
                                                       struct arena *arena);

/* ERR_UNSUPPORTED if the header tells of a version of the format that is not known. */
MUST_USE enum err manifest__check_version(const struct avro_reader *avro, const char *what,
                                          struct errinfo *info);

/* ---- items of arrays ---- */

struct item_iterator {
    struct avro_cursor cursor;
    int64_t left; /* in this run of items */
    bool is_done;
};

static inline struct item_iterator item_iterator(struct avro_cursor cursor)
{
    return (struct item_iterator){.cursor = cursor};
}
/* The number of items that follow at once; 0 ends the list. False when the block is damaged. */
MUST_USE bool item__run(struct avro_cursor *cursor, int64_t *ret_count);
/* `ret_more`: the cursor stands at an item. False when the block is damaged. */
MUST_USE bool item__next(struct item_iterator *items, bool *ret_more);

/* ---- statistics of columns ---- */

enum metric_map {
    METRIC_SIZES,
    METRIC_VALUES,
    METRIC_NULLS,
    METRIC_NANS,
    METRIC_LOWER,
    METRIC_UPPER,
};

struct metric_item {
    int32_t field_id;
    uint32_t place; /* in the map: of two with one id the later holds */
    int64_t number;
    struct slice bytes;
};

/* The statistics of one file, map by map; its room is kept for the next file. */
struct metrics_reader {
    struct iceberg_manifest_want want;
    struct iceberg_metrics *metrics; /* ascending by id */
    size_t count;
    size_t capacity;
    struct metric_item *items; /* of one map */
    size_t item_count;
    size_t item_capacity;
    enum err err; /* why a map was not read */
};

void metrics__fini(struct metrics_reader *reader);
/* Adds the wanted columns of a map in either form. False with `reader->err` ERR_CORRUPT, ERR_LIMIT
 * or ERR_NOMEM. */
MUST_USE bool metrics__read(struct metrics_reader *reader, enum metric_map map,
                            const struct avro_schema *schema, struct avro_cursor *cursor);

/* ---- partition tuples ---- */

/* The fields of a spec as a manifest writes them. */
struct partition_reader {
    size_t field_count;
    struct iceberg_type *types;
    int *places; /* in the tuple's record, for each of its fields: index in the spec, or -1 */
    const struct avro_schema *record;
};

/* ERR_CORRUPT for a tuple that lacks a field of the spec or has it as another type. */
MUST_USE enum err partition__open(const struct iceberg_metadata *metadata,
                                  const struct iceberg_spec *spec, const struct avro_schema *record,
                                  struct arena *arena, struct partition_reader *ret_reader,
                                  struct errinfo *info);
/* Texts view the block. */
MUST_USE enum err partition__read(const struct partition_reader *reader, struct avro_cursor *cursor,
                                  struct iceberg_value *ret_values, struct errinfo *info);
