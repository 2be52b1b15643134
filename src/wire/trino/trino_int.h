/* Of this module's files. */
#pragma once

#include "arrow/arrow.h"
#include "base/arena.h"
#include "base/buf.h"
#include "sql/scan.h"
#include "wire/trino/trino.h"

/* ---- types ---- */

enum trino_kind {
    TRINO_PLAIN,   /* as arrow_print_json has it */
    TRINO_QUOTED,  /* its text, as a string */
    TRINO_BINARY,  /* base64 */
    TRINO_TIME,    /* with a fraction of `precision` digits */
    TRINO_INSTANT, /* likewise, in UTC */
    TRINO_ARRAY,
    TRINO_MAP,
    TRINO_ROW,
    TRINO_WIDE, /* an integer of 128 bits, which must be one of 64 */
};

struct trino_type {
    enum trino_kind kind;
    const char *name; /* raw: "bigint", "timestamp", "array" */
    unsigned precision, scale;
    unsigned parameter_count; /* of precision and scale */
    const struct trino_type *children;
    const struct slice *names; /* of a row's fields */
    size_t child_count;
};

/* Of an engine's type name. What Trino has no type for is varchar. Without `is_parametric` times
 * have three digits and no parameter, as for clients that do not know better. */
MUST_USE enum err trino_type_parse(struct slice engine_type, bool is_parametric,
                                   struct arena *arena, struct trino_type *ret_type,
                                   struct errinfo *info);
/* "array(decimal(9,2))" */
void trino_type_print(const struct trino_type *type, struct buf *out);
/* {"name": ..., "type": ..., "typeSignature": ...} */
void trino_column_print(struct slice name, const struct trino_type *type, struct buf *out);
/* One cell as Trino's JSON. `scratch` is a buffer to use. */
MUST_USE enum err trino_cell_print(const struct trino_type *type, const struct ArrowSchema *schema,
                                   const struct ArrowArray *array, int64_t row, struct buf *scratch,
                                   struct buf *out, struct errinfo *info);

/* How the cells of one column are written (rows.c): found once a query, `array` and what is behind
 * it once a batch. */
struct trino_column {
    const struct trino_type *type;
    const struct ArrowSchema *schema;
    int way;
    const struct ArrowArray *array;
    const uint8_t *validity; /* NULL: nothing is NULL, or the slow way looks */
    const void *values;
    const void *offsets;
    int64_t plain_end; /* of the texts, if none needs an escape; else 0 */
};
/* One for each child of `schema`; types and schema outlive them. */
void trino_columns_begin(struct trino_column *columns, const struct trino_type *types,
                         const struct ArrowSchema *schema);
/* The rows that follow are of this batch. */
void trino_columns_take(struct trino_column *columns, const struct ArrowArray *batch);
/* A row of it as an array. */
MUST_USE enum err trino_row_print(const struct trino_column *columns, size_t count, int64_t row,
                                  struct buf *scratch, struct buf *out, struct errinfo *info);

/* ---- what a request brings along ---- */

struct trino_pair {
    struct slice name;
    struct slice value;
};

struct trino_request {
    struct slice user; /* empty: not said */
    struct slice source;
    struct slice catalog, schema;
    struct slice transaction; /* empty: none */
    const struct trino_pair *prepared;
    size_t prepared_count;
    const struct trino_pair *properties;
    size_t property_count;
    bool is_parametric;
    bool reads_first; /* Java's and Python's clients: rows of the first answer, which Trino's never
                       * has; those for Go and Node pass over it */
    const struct trino_encoding *encoding; /* of rows; NULL: they stand in the document */
};

/* From the fields of the request; all in `arena` or views of it. */
MUST_USE enum err trino_request_read(const struct http_exchange *exchange, struct arena *arena,
                                     struct trino_request *ret_request, struct errinfo *info);
/* "a=b%20c, d=e" of one field. ERR_INVALID. */
MUST_USE enum err trino_pairs_read(struct slice text, struct arena *arena, struct trino_pair *pairs,
                                   size_t pairs_max, size_t *count, struct errinfo *info);
void trino_encode(struct buf *out, struct slice text); /* as in a query string */
/* A session property as a setting of Moat; false: it is one that changes nothing here. */
MUST_USE enum err trino_property(const struct trino_pair *property, bool *ret_is_setting,
                                 struct web_setting *ret_setting, struct errinfo *info);

/* ---- statements ---- */

#define TRINO_HEADERS_MAX 4u

/* What a statement comes to. */
struct trino_plan {
    struct slice text;   /* what runs; empty: nothing, it is answered at once */
    struct slice origin; /* what positions of errors are of: the statement, or the prepared one */
    struct trino_move *moves;
    size_t move_count;
    const char *update_type;                      /* NULL: by the tag of what runs, or a query */
    struct trino_pair headers[TRINO_HEADERS_MAX]; /* of the answer, once it has succeeded */
    size_t header_count;
    struct slice describes; /* DESCRIBE INPUT and OUTPUT: of this */
    bool is_input;
    bool is_explain;
    bool is_values; /* columns have no names but their numbers */
};

/* The byte at `to` of what runs is the one at `from` of the origin, and so on up to the next; or
 * what is at `to` was put there instead of what is at `from`, or before it. */
struct trino_move {
    size_t to;
    size_t from;
    bool is_copy;
};

/* Reads what Trino alone has (SHOW, PREPARE, SET SESSION ...) and rewrites the rest. */
MUST_USE enum err trino_plan(const struct trino_request *request, struct slice statement,
                             struct arena *arena, struct trino_plan *ret_plan,
                             struct errinfo *info);
/* Byte position (1-based) in the origin for one in what ran: behind its end for what is missing
 * there; 0: not known. */
size_t trino_plan_position(const struct trino_plan *plan, size_t position);
/* An error of what ran as one of the origin: its position, and the word that it is near. */
void trino_plan_error(const struct trino_plan *plan, struct errinfo *info);

struct trino_tokens {
    const struct token *all;
    size_t count; /* without the end */
};
MUST_USE enum err trino_tokens_read(struct slice text, struct arena *arena,
                                    struct trino_tokens *ret_tokens, struct errinfo *info);

/* A query in Trino's dialect to one in ours, appended; `values` stand for "?" in order. */
struct trino_rewrite {
    struct slice text;
    struct trino_tokens tokens;
    struct slice catalog; /* of the session, for its information_schema */
    const struct slice *values;
    size_t value_count;
    size_t *ordinals;      /* of each token that is a "?" */
    bool keeps_parameters; /* "?" stays: it is described, not run */
    unsigned *names;       /* of each token before which a column's alias ends: its number + 1 */
    size_t properties;     /* the WITH of a CREATE TABLE, or SIZE_MAX */
    struct arena *arena;
    struct buf out;
    struct trino_move *moves;
    size_t move_count;
    size_t moved_bytes; /* by what was put into `out` */
};
MUST_USE enum err trino_rewrite(struct trino_rewrite *rewrite, struct errinfo *info);

struct trino_range { /* of tokens */
    size_t from, to;
};

/* Of its parts, each a file: what stands at a token, and what is behind a group. */
const struct token *trino__at(const struct trino_rewrite *rewrite, size_t i);
bool trino__is_op(const struct trino_rewrite *rewrite, size_t i, const char *text);
bool trino__is_word(const struct trino_rewrite *rewrite, size_t i, const char *word);
/* The token behind the ")" that belongs to the "(" at `open`, or `end`. */
size_t trino__behind(const struct trino_rewrite *rewrite, size_t open, size_t end);
/* The first comma from `from` on outside of all parentheses, or `end`. */
size_t trino__comma(const struct trino_rewrite *rewrite, size_t from, size_t end);
/* Tokens [from, to) in our dialect, appended to `out`. */
MUST_USE enum err trino__emit(struct trino_rewrite *rewrite, size_t from, size_t to, unsigned depth,
                              struct errinfo *info);

/* A space, where the last thing written needs one. */
void trino__space(struct trino_rewrite *rewrite);
/* What is written next stands for what the text has at `offset`. */
void trino__mark(struct trino_rewrite *rewrite, size_t offset);

/* A literal that is written differently, if one is at `*i`, which goes behind it (literals.c). */
MUST_USE enum err trino__put_literal(struct trino_rewrite *rewrite, size_t *i, bool *ret_done,
                                     struct errinfo *info);

/* Token `i` as it is, with the white space before it. */
void trino__copy(struct trino_rewrite *rewrite, size_t i);

/* Whether the word at `i` is a name that the engine takes in quotes only (words.c). */
bool trino__is_name(const struct trino_rewrite *rewrite, size_t i);

/* A call whose name is at `*i`, if it is one that is told differently (calls.c). */
MUST_USE enum err trino__put_call(struct trino_rewrite *rewrite, size_t *i, size_t to,
                                  unsigned depth, bool *ret_done, struct errinfo *info);
/* The head of a lambda: x ->, (x, y) -> */
bool trino__put_lambda(struct trino_rewrite *rewrite, size_t *i, size_t to);

/* Finds the columns without a name (names.c). */
MUST_USE enum err trino__name_columns(struct trino_rewrite *rewrite, struct errinfo *info);
/* "_col" and a number. */
bool trino_is_column(struct slice name);

/* Where in `out` the chain of * / % began that is being written, and the sum that it is of, at each
 * level of parentheses; SIZE_MAX: none (operators.c). */
#define TRINO_CHAIN_DEPTH 100u
struct trino_chain {
    size_t start[TRINO_CHAIN_DEPTH];
    size_t sum[TRINO_CHAIN_DEPTH];
    bool has_interval[TRINO_CHAIN_DEPTH]; /* the sum so far has a literal of one */
    unsigned depth;
};
/* Before token `i` is written. */
MUST_USE enum err trino__chain_note(struct trino_rewrite *rewrite, struct trino_chain *chain,
                                    size_t i, struct errinfo *info);
/* A sum with an interval at `*i`, which goes behind its right side. */
MUST_USE enum err trino__put_sum(struct trino_rewrite *rewrite, struct trino_chain *chain,
                                 size_t *i, size_t to, unsigned depth, bool *ret_done,
                                 struct errinfo *info);
/* What follows belongs to another chain. */
void trino__chain_cut(struct trino_chain *chain);
/* A division at `*i`, which goes behind its right side. */
MUST_USE enum err trino__put_division(struct trino_rewrite *rewrite,
                                      const struct trino_chain *chain, size_t *i, size_t to,
                                      unsigned depth, bool *ret_done, struct errinfo *info);

/* Of CREATE TABLE, whose name is behind `from`: where its WITH (...) begins, or SIZE_MAX
 * (properties.c). */
size_t trino__find_properties(const struct trino_rewrite *rewrite, size_t from);
/* It as our clauses; `*i` goes behind it. */
MUST_USE enum err trino__put_properties(struct trino_rewrite *rewrite, size_t *i,
                                        struct errinfo *info);

/* SHOW, DESCRIBE: as a query over what the person may see. False: it is none of these. */
MUST_USE enum err trino_show(const struct trino_request *request, const struct trino_tokens *tokens,
                             struct arena *arena, bool *ret_is_show, struct slice *ret_text,
                             struct errinfo *info);
/* The query that stands for a table of `system` or an information_schema, or NULL. */
const char *trino_table(struct slice schema, struct slice name, bool is_information);

/* ---- errors ---- */

struct trino_error {
    int code;
    const char *name;
    const char *type;
};
struct trino_error trino_error_of(const struct errinfo *info);

/* ---- rows in segments ---- */

struct trino_encoding;
/* The first that is known of a list in a field, or NULL. */
const struct trino_encoding *trino_encoding_of(struct slice wanted);
/* "data" as an object with one segment: rows `row_offset` and on. */
void trino_data_print(const struct trino_encoding *encoding, struct slice rows, uint64_t row_offset,
                      uint64_t row_count, struct buf *out);

/* ---- answers ---- */

/* What of an answer is known; the rest is said as of one that is over. */
struct trino_answer {
    const char *id;
    struct slice base;    /* "https://host:port" */
    struct slice next;    /* path of the next; empty: none */
    const char *state;    /* "QUEUED", "RUNNING", "FINISHED", "FAILED" */
    struct slice columns; /* as JSON; empty: none yet */
    struct slice rows;    /* likewise, without the outer brackets */
    uint64_t row_count;   /* so far */
    uint64_t rows_given;  /* in this answer */
    const struct trino_encoding *encoding;
    int64_t queued_us, elapsed_us;
    double progress; /* percent, or below 0 */
    struct slice update_type;
    int64_t update_count; /* below 0: none */
    struct slice warning;
    const struct errinfo *error; /* NULL: none */
    struct slice statement;      /* which its position is of */
};
/* The document: `head`, the rows that are returned, as they are, and `tail`. */
struct slice trino_answer_print(const struct trino_answer *answer, struct buf *head,
                                struct buf *tail);
