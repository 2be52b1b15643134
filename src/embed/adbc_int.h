/* What the files of the ADBC driver share: it is made of the calls of moat.h. */
#pragma once

#include "embed/adbc.h"
#include "embed/embed_int.h"

/* What a driver manager looks for; the latter by the library's name. */
MOAT_API AdbcStatusCode AdbcDriverInit(int version, void *driver, struct AdbcError *error);
MOAT_API AdbcStatusCode AdbcMoatInit(int version, void *driver, struct AdbcError *error);

struct adbc_option {
    char *name;
    char *value;
};

/* As they were set, the later for the earlier. */
struct adbc_options {
    struct adbc_option *items;
    size_t count;
};

void adbc__options_fini(struct adbc_options *options);
MUST_USE bool adbc__options_set(struct adbc_options *options, const char *name, const char *value);
const char *adbc__options_get(const struct adbc_options *options, const char *name); /* or NULL */
/* As the calls of ADBC want it: `length` is in and out. */
AdbcStatusCode adbc__give_text(const char *name, const char *text, char *value, size_t *length,
                               struct AdbcError *error);

struct adbc_connection {
    struct adbc_options options; /* set before it was opened */
    struct moat_session *session;
    bool is_manual; /* no autocommit: a block is always open */
    unsigned ingest_count;
};

/* ---- errors ---- */

AdbcStatusCode adbc__fail(const struct moat_error *error, struct AdbcError *ret_error);
PRINTF_LIKE(4, 5)
AdbcStatusCode adbc__error(AdbcStatusCode code, const char *sqlstate, struct AdbcError *ret_error,
                           const char *format, ...);
int adbc__detail_count(const struct AdbcError *error);
struct AdbcErrorDetail adbc__detail(const struct AdbcError *error, int index);
const struct AdbcError *adbc__stream_error(struct ArrowArrayStream *stream, AdbcStatusCode *status);

/* As the database says, or the OS user. */
MUST_USE enum moat_status adbc__sign_in(struct AdbcDatabase *database,
                                        struct moat_session **ret_session,
                                        struct moat_error *error);
/* To its end; a text that could not be made is an error too. */
AdbcStatusCode adbc__run(struct adbc_connection *own, struct buf *sql, struct AdbcError *error);

/* ---- functions of the driver, a file each ---- */

void adbc__fill_database(struct AdbcDriver *driver);
void adbc__fill_connection(struct AdbcDriver *driver);
void adbc__fill_objects(struct AdbcDriver *driver);
void adbc__fill_statement(struct AdbcDriver *driver);

AdbcStatusCode adbc__get_info(struct AdbcConnection *connection, const uint32_t *codes,
                              size_t code_count, struct ArrowArrayStream *out,
                              struct AdbcError *error);

/* Rows into a table, as the options adbc.ingest.* of a statement say. The stream is released. */
AdbcStatusCode adbc__ingest(struct adbc_connection *connection, const struct adbc_options *options,
                            struct ArrowArrayStream *rows, int64_t *ret_count,
                            struct AdbcError *error);
/* One array as a stream, which it is from then on. NULL memory: false, and both are released. */
MUST_USE bool adbc__stream_of(struct ArrowSchema *schema, struct ArrowArray *array,
                              struct ArrowArrayStream *ret_stream);
