/* Inside the protocol: a server, a connection, statements, portals. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "identity/provider.h"
#include "query/clients.h"
#include "wire/pg/command.h"
#include "wire/pg/message.h"
#include "wire/pg/pg.h"
#include "wire/pgvalue/pgvalue.h"

#define PROTOCOL_MAJOR 3u
#define PROTOCOL_MINOR_MAX 2u
#define STARTUP_BYTES_MAX 10000u /* as PostgreSQL */
#define LOGIN_BYTES_MAX 8192u    /* of a message before the login is done */
#define SECRET_BYTES_MAX 40960u  /* of one that may hold a token */
#define FLUSH_BYTES 65536u       /* sent once there is that much */
#define KEY_BYTES 32u            /* of a cancel key in 3.2; 3.0 has the first 4 */
#define SESSIONS_MAX 33          /* of a connection: its own, and one for each open cursor */
#define STATEMENTS_MAX 1000
#define PORTALS_MAX 1000

struct pg_connection;
struct pg_copy_in; /* copy_in.c */
struct pg_script;  /* simple.c */

/* ---- cancel.c: who may be cancelled with which key ---- */

struct pg_key {
    struct pg_key *next;
    struct pg_connection *connection;
    uint32_t process_id;
    uint8_t secret[KEY_BYTES];
    size_t secret_len;
};

#define KEY_SLOTS 1024

struct pg_server {
    struct warehouse *warehouse;
    const struct config *config;
    bool is_tls_required;
    size_t message_bytes_max;
    pthread_mutex_t lock;
    struct pg_key *keys[KEY_SLOTS]; /* by process id: that of the client */
};

MUST_USE enum err pg__key_add(struct pg_connection *connection, struct errinfo *info);
void pg__key_remove(struct pg_connection *connection);
void pg__key_cancel(struct pg_server *server, uint32_t process_id, struct slice secret);

/* ---- setting.c ---- */

#define SETTING_COUNT 32

struct pg_saved_setting {
    struct pg_saved_setting *next;
    int setting;
    bool is_local;
    char *value; /* before; NULL: default */
};

/* -1: none of the protocol's. */
int pg__setting_find(struct slice name);
const char *pg__setting_name(int setting);
const char *pg__setting_value(const struct pg_connection *connection, int setting);
/* Checks, keeps, tells the client where it wants to know. `value` NULL: the default. */
MUST_USE enum err pg__setting_set(struct pg_connection *connection, int setting,
                                  const struct slice *value, bool is_local, struct errinfo *info);
/* Of the start packet: what is not known or not possible is passed over. */
MUST_USE enum err pg__setting_start(struct pg_connection *connection, struct slice name,
                                    struct slice value, struct errinfo *info);
/* After the login: those that the session must know. */
MUST_USE enum err pg__setting_apply(struct pg_connection *connection, struct errinfo *info);
MUST_USE enum err pg__setting_reset_all(struct pg_connection *connection, struct errinfo *info);
void pg__setting_report_all(struct pg_connection *connection);
/* At the end of a transaction. */
void pg__setting_end(struct pg_connection *connection, bool is_commit);
void pg__setting_free(struct pg_connection *connection);

/* ---- portal.c ---- */

/* Parse made it: text, and what is known of its parameters and columns. */
struct pg_statement {
    struct pg_statement *next;
    struct arena *arena;
    struct slice name;
    struct slice text;         /* as sent */
    struct slice run_text;     /* with casts of parameters that nothing else gives a type */
    struct pg_command command; /* of run_text */
    uint32_t *declared;        /* OIDs of Parse */
    size_t declared_count;
    uint32_t *parameters; /* OIDs; NULL: not described yet */
    size_t parameter_count;
    bool has_arithmetic; /* a parameter that may be a number, whatever it looks like */
    bool is_described;
    bool has_columns;
    struct pg_column *columns;
    size_t column_count;
    unsigned references; /* portals, and the list */
};

struct pg_column {
    struct slice name;
    struct pg_type type;
};

struct pg_portal {
    struct pg_portal *next;
    struct arena *arena;
    struct slice name;
    struct pg_statement *statement;
    struct pg_command command;
    struct query_parameter *values;
    size_t value_count;
    uint16_t *formats; /* of the results: one each */
    uint16_t all_format;
    size_t format_count;
    bool is_cursor; /* DECLARE */
    bool is_held;
    bool is_running;
    bool has_run;   /* up to some row; now it goes on */
    bool is_opened; /* what follows is filled */
    bool is_done;
    int64_t created_wall_us;
    int session; /* that it runs in; -1: none */
    struct query *query;
    struct pg_column *columns;
    size_t column_count;
    bool has_rows;
    struct ArrowSchema schema;
    struct pg_encoder *encoders;
    struct pg_row_column *row_columns; /* of `batch`, while it is sent */
    struct ArrowArray batch;
    int64_t batch_row;
    uint64_t row_count;   /* sent with this Execute */
    const char *constant; /* the one cell of a constant or SHOW; NULL: none */
};

/* ---- a connection ---- */

enum pg_phase {
    PHASE_STARTUP,
    PHASE_SASL_INITIAL,
    PHASE_SASL_RESPONSE,
    PHASE_OAUTH,        /* OAUTHBEARER was chosen, its first message is to come */
    PHASE_OAUTH_FAILED, /* it was told where tokens are, and will say that it has heard */
    PHASE_SECRET,       /* a password, a token or a key */
    PHASE_READY,
    PHASE_ENDED
};

struct pg_session_slot {
    struct session *session;
    bool is_busy;
    unsigned generation; /* of the settings it was made with */
};

struct pg_connection {
    struct pg_server *server;
    struct connection *wire;
    enum pg_phase phase;
    uint32_t minor; /* of the protocol */
    struct buf out;
    bool is_broken; /* the other end is gone */
    bool has_asked_encryption;
    struct arena *arena; /* of the login */
    struct slice user, database;
    struct slice subject; /* who they turned out to be */
    struct slice wish;    /* what they say they hold */
    struct login_offer offer;
    struct errinfo *refusal; /* of OAUTHBEARER, until they have heard; in the arena */
    struct password_login *login;
    struct identity *who;
    struct client *client; /* of the warehouse's list; NULL until the login is done */
    struct pg_key key;
    bool has_key;

    struct pg_session_slot *sessions; /* SESSIONS_MAX, from the first statement on */
    unsigned generation;              /* raised with each change of the main session */
    char *settings[SETTING_COUNT];    /* NULL: default */
    struct pg_start_setting *start;   /* the last first; until the login is done; in the arena */
    struct pg_saved_setting *saved;
    char status; /* 'I', 'T', 'E' */
    bool skips_to_sync;
    struct pg_copy_in *copy_in; /* data of a COPY are awaited; in the arena of its portal */
    struct pg_script *script;   /* of a message whose statements wait for that; in its own arena */
    struct buf error_context;   /* of the next error: where in the data it is */
    struct slice error_text;    /* what the position of an error counts in; of this message only */
    struct pg_statement *statements;
    size_t statement_count;
    struct pg_statement *parsed; /* of these: its Parse has not been answered yet */
    struct pg_portal *portals;
    size_t portal_count;

    pthread_mutex_t cancel_lock;
    struct session *active; /* under cancel_lock: what a cancel is for */
    bool is_stopped;        /* under cancel_lock: every statement is cancelled */
};

/* connection.c */
void pg__stop(void *state); /* every statement from now on; any thread */
void pg__flush(struct pg_connection *connection);
void pg__send_if_full(struct pg_connection *connection);
/* ERROR, and what that means for a transaction; FATAL where the person may not ask on. */
void pg__error(struct pg_connection *connection, const struct errinfo *info, struct slice statement,
               size_t offset);
/* FATAL, and the end. */
void pg__fatal(struct pg_connection *connection, const struct errinfo *info);
enum err pg__protocol_violation(struct errinfo *info, const char *what); /* 08P01 */

/* startup.c: the message up to the start packet; gives the bytes consumed, 0: more are needed. */
size_t pg__startup(struct pg_connection *connection, struct slice input);
/* login.c */
MUST_USE enum err pg__login_begin(struct pg_connection *connection, struct errinfo *info);
void pg__login_message(struct pg_connection *connection, struct slice body);

/* session.c */
/* A free session: the main one, or if `is_extra` another. */
MUST_USE enum err pg__session_take(struct pg_connection *connection, bool is_extra, int *ret_slot,
                                   struct errinfo *info);
void pg__session_give(struct pg_connection *connection, int slot);
void pg__session_close_all(struct pg_connection *connection);
/* The person may still ask: for what the query module is not asked, or goes on. */
MUST_USE enum err pg__session_check(struct pg_connection *connection, struct errinfo *info);
bool pg__session_is_over(const struct pg_connection *connection); /* never again */
/* Around every call that may take long: what a cancel is for. ERR_CANCELLED: it is stopped. */
MUST_USE enum err pg__active(struct pg_connection *connection, struct session *session,
                             struct errinfo *info);
void pg__inactive(struct pg_connection *connection);
/* The main session, opened if need be. */
MUST_USE enum err pg__session_main(struct pg_connection *connection, struct session **ret_session,
                                   struct errinfo *info);
/* Runs a statement without rows in the main session. */
MUST_USE enum err pg__session_run(struct pg_connection *connection, struct slice text,
                                  struct errinfo *info);

/* portal.c */
/* Runs the portal's command up to its first row; done again does nothing. */
MUST_USE enum err pg__portal_open(struct pg_connection *connection, struct pg_portal *portal,
                                  struct errinfo *info);
void pg__portal_describe(struct pg_connection *connection, const struct pg_portal *portal);
/* Sends up to `rows_max` rows (0: all); `ret_is_done`: there are no more. */
MUST_USE enum err pg__portal_send(struct pg_connection *connection, struct pg_portal *portal,
                                  uint64_t rows_max, bool *ret_is_done, struct errinfo *info);
/* Rows of the batch that is there as such messages, until row_count is `rows_max` (0: all). */
MUST_USE enum err pg__portal_send_batch(struct pg_connection *connection, struct pg_portal *portal,
                                        char type, uint64_t rows_max, struct errinfo *info);
/* The next batch into the portal; batch.release NULL at the end. */
MUST_USE enum err pg__portal_pull(struct pg_connection *connection, struct pg_portal *portal,
                                  struct errinfo *info);
void pg__portal_stop(struct pg_connection *connection, struct pg_portal *portal); /* it stays */
struct pg_portal *pg__portal_find(struct pg_connection *connection, struct slice name);
MUST_USE enum err pg__portal_new(struct pg_connection *connection, struct slice name,
                                 struct pg_portal **ret_portal, struct errinfo *info);
void pg__portal_close(struct pg_connection *connection, struct pg_portal *portal);
/* All that a transaction's end takes with it. */
void pg__portal_end_transaction(struct pg_connection *connection, bool is_commit);
void pg__write_columns(struct pg_connection *connection, const struct pg_column *columns,
                       size_t column_count, const struct pg_portal *formats);

/* run.c: executes an opened or new portal and writes its rows and tag. `rows_max` 0: all. */
MUST_USE enum err pg__run(struct pg_connection *connection, struct pg_portal *portal,
                          uint64_t rows_max, struct errinfo *info);
/* 25P02 where the transaction has failed and the command does not end it. */
MUST_USE enum err pg__check_transaction(const struct pg_connection *connection,
                                        const struct pg_command *command, struct errinfo *info);
void pg__fail_transaction(struct pg_connection *connection);
/* Commits or rolls back what the sessions' block has changed. After ERR nothing was committed. */
MUST_USE enum err pg__end_block(struct pg_connection *connection, bool is_commit,
                                struct errinfo *info);

/* own_types.c: the text, or a copy with PostgreSQL's bytea and oid[] in our words. */
MUST_USE enum err pg__own_types(struct slice text, struct arena *arena, struct slice *ret_text,
                                struct errinfo *info);

/* copy.c */
MUST_USE enum err pg__copy_out(struct pg_connection *connection, struct pg_portal *portal,
                               struct errinfo *info);

/* setting.c, cursor.c: a client's print_settings and list_cursors. */
void pg__settings_print(void *context, struct buf *out);
MUST_USE enum err pg__cursors_list(void *context, struct arena *arena,
                                   struct client_cursor **ret_cursors, size_t *ret_count,
                                   struct errinfo *info);

/* simple.c, extended.c */
void pg__simple_query(struct pg_connection *connection, struct slice body);
MUST_USE enum err pg__parse_answer(struct pg_connection *connection, bool is_awaited,
                                   struct errinfo *info);
MUST_USE enum err pg__extended(struct pg_connection *connection, char type, struct slice body,
                               struct errinfo *info);
void pg__statement_unref(struct pg_statement *statement);
struct pg_statement *pg__statement_find(struct pg_connection *connection, struct slice name);
void pg__statement_drop(struct pg_connection *connection, struct pg_statement *statement);
