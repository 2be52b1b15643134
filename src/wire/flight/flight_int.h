/* Of this module's files: sessions, runs, and what calls share. */
#pragma once

#include <pthread.h>

#include "arrow/arrow.h"
#include "base/arena.h"
#include "base/secret.h"
#include "query/query.h"
#include "wire/flight/flight.h"
#include "base/proto.h"
#include "wire/grpc/grpc.h"

struct client;

enum {
    FLIGHT_ID_BYTES = 16,
    FLIGHT_SESSIONS_MAX = 10000,
    FLIGHT_SESSIONS_OF_ONE_MAX = 200, /* of one person */
    FLIGHT_RUNS_MAX = 64,             /* statements of a session that are open */
    FLIGHT_PREPARED_MAX = 1000,       /* of a session */
};

struct flight_id {
    uint8_t bytes[FLIGHT_ID_BYTES];
};

struct flight_server {
    struct warehouse *warehouse;
    const struct config *config;
    struct grpc_server *grpc;
    uint8_t key[32]; /* what tickets are signed with; of this process */
    int64_t session_us;
    pthread_mutex_t lock; /* for all that follows */
    pthread_cond_t tick;
    struct flight_session *sessions;
    unsigned session_count;
    pthread_t minder;
    bool has_minder;
    bool is_closing;
};

/* One person's, for as long as their token or connection: settings, prepared statements, a
 * transaction, temporary tables. */
struct flight_session {
    struct flight_session *next, *previous; /* the server's lock, as refs */
    struct flight_server *server;
    unsigned refs; /* the list's, a connection's, and of each call */
    bool is_listed;
    int64_t used_us;
    struct identity *who;
    struct client *client;
    bool has_token; /* made by Handshake */
    uint8_t token_hash[32];
    pthread_mutex_t lock; /* for all that follows */
    pthread_cond_t changed;
    bool is_over;
    bool is_turn_taken; /* a thread is in `main` or a fork of it */
    bool has_temps;     /* may have temporary tables: queries run beside `main` */
    bool has_transaction;
    bool has_failed; /* a statement of the transaction has */
    struct flight_id transaction;
    struct session *main;        /* what changes the session runs here; opened when first needed */
    struct session *template;    /* settings of queries that run apart; runs nothing */
    struct flight_run *main_run; /* rows of it are still to be read: main is taken */
    struct flight_run *runs;
    unsigned run_count;
    struct flight_prepared *prepared;
    unsigned prepared_count;
};

/* One statement, from GetFlightInfo to the end of its rows. */
struct flight_run {
    struct flight_run *next, *previous; /* the session's lock, as refs and what follows */
    struct flight_session *on;
    struct flight_id id;
    unsigned refs; /* the list's, and of each call */
    bool is_listed;
    bool is_taken;      /* DoGet has it */
    int64_t expires_us; /* from flight__run_hold until it is taken */
    bool is_apart;      /* a session of its own: needs no turn */
    bool is_main;
    struct session *session;
    struct arena *arena; /* of statement and parameters, which the query looks at to its end */
    struct query *query;
    struct ArrowSchema schema; /* without release: no rows */
    int64_t changed_rows;      /* -1: not known */
    pthread_mutex_t stop_lock; /* of the three below */
    bool is_stopped;
    bool is_opening; /* its query may not be there yet to be cancelled */
    struct session *active;
};

struct flight_prepared {
    struct flight_prepared *next;
    struct flight_id id;
    unsigned refs; /* the session's lock */
    char *statement;
    bool has_transaction;
    struct arena *arena; /* of what is bound; NULL: nothing is */
    struct query_parameter *parameters;
    size_t parameter_count;
    size_t row_count; /* sets of parameters */
};

/* What one call works with. */
struct flight_call {
    struct flight_server *server;
    struct grpc_call *grpc;
    struct flight_session *session;
    bool is_told;             /* what a statement has to say is on its way */
    struct flight_run *given; /* its ticket goes out with this call, or it ends; with a reference */
    struct arena *arena;
    struct errinfo info;
};

/* ---- sign_in.c ---- */

/* Whose call it is: `call->session` is set, with a reference. */
MUST_USE enum err flight__sign_in(struct flight_call *call);
/* Handshake: signs in, makes a session and says its token. */
void flight__handshake(void *context, struct grpc_call *grpc);
void flight__visitor_close(void *state);

/* ---- session.c ---- */

MUST_USE enum err flight__session_new(struct flight_server *server, struct identity *who,
                                      struct slice address, struct slice application,
                                      const uint8_t *token_hash,
                                      struct flight_session **ret_session, struct errinfo *info);
struct flight_session *flight__session_by_token(struct flight_server *server,
                                                const uint8_t token_hash[32]);
void flight__session_ref(struct flight_session *session);
void flight__session_unref(struct flight_session *session);
/* Stops all and forgets it; closed with the last reference. */
void flight__session_end(struct flight_session *session);
/* The turn to use `main` and its forks; `run` (may be NULL) is given up when it is stopped. */
MUST_USE enum err flight__turn_take(struct flight_session *session, struct flight_run *run,
                                    struct errinfo *info);
void flight__turn_give(struct flight_session *session);
/* With the turn: main, made if it is not there. */
MUST_USE enum err flight__main(struct flight_session *session, struct errinfo *info);
/* A statement that has no rows, or none that are read, in `main`. */
MUST_USE enum err flight__main_run(struct flight_session *session, struct slice statement,
                                   struct errinfo *info);
/* With the turn: settings have changed, queries that run apart are to see them. */
MUST_USE enum err flight__template_renew(struct flight_session *session, struct errinfo *info);
/* A session of its own with the person's settings. */
MUST_USE enum err flight__apart(struct flight_session *session, struct session **ret_session,
                                struct errinfo *info);
/* That the transaction of a request is the one that is open: empty = none. */
MUST_USE enum err flight__transaction_check(struct flight_session *session, struct slice id,
                                            struct errinfo *info);
void flight__sessions_mind(struct flight_server *server, int64_t now_us);

/* ---- run.c ---- */

struct flight_statement {
    struct slice text;
    struct slice transaction; /* its id; empty: none */
    const struct query_parameter *parameters;
    size_t parameter_count;
};
/* Up to where its first row can be pulled. On the session's list; with a reference. */
MUST_USE enum err flight__run_open(struct flight_call *call,
                                   const struct flight_statement *statement,
                                   struct flight_run **ret_run);
/* At the end ret_batch->release is NULL. */
MUST_USE enum err flight__run_next(struct flight_run *run, struct ArrowArray *ret_batch,
                                   struct errinfo *info);
/* That the person may still ask: between the call that began it and the one that reads. */
MUST_USE enum err flight__run_check(struct flight_run *run, struct errinfo *info);
void flight__run_touch(struct flight_run *run);
/* Its ticket goes out: from now on somebody must come for it within the time that it gives, wall
 * clock. Until then it lives as long as its call. */
int64_t flight__run_hold(struct flight_run *run);
void flight__run_stop(struct flight_run *run); /* any thread */
/* Off the list: closed with the last reference. */
void flight__run_forget(struct flight_run *run);
void flight__run_unref(struct flight_run *run);
DEFINE_CLEANUP(struct flight_run, flight_run_cleanup, flight__run_unref)
/* The run of that id, taken for reading or not; NULL: there is none. With a reference. */
struct flight_run *flight__run_find(struct flight_session *session, const struct flight_id *id,
                                    bool take);
/* Rows that a tag says were changed, or -1. */
int64_t flight__tag_rows(const char *tag);

/* ---- ticket.c ---- */

enum flight_ticket_kind {
    FLIGHT_TICKET_RUN = 1,     /* the id of a run */
    FLIGHT_TICKET_COMMAND = 2, /* a command about the catalog, whole */
};
/* Appended: what it names, and a signature over that and the person. */
MUST_USE enum err flight__ticket_put(const struct flight_session *session,
                                     enum flight_ticket_kind kind, struct slice what,
                                     struct buf *out, struct errinfo *info);
/* ERR_NOT_FOUND: of nobody, or of another. `ret_what` is a view. */
MUST_USE enum err flight__ticket_read(const struct flight_session *session, struct slice ticket,
                                      enum flight_ticket_kind *ret_kind, struct slice *ret_what,
                                      struct errinfo *info);
MUST_USE bool flight__id_new(struct flight_id *ret_id);

/* ---- answer.c ---- */

enum grpc_status flight__status(const struct errinfo *info);
/* Ends the call: OK, or what `call->info` says. */
void flight__finish(struct flight_call *call, enum err err);
/* One message. */
MUST_USE enum err flight__reply(struct flight_call *call, const struct buf *message);
/* FlightInfo of something with that schema: of a run (its ticket), or a ticket that is given. */
struct flight_info {
    const struct ArrowSchema *schema; /* NULL: no columns */
    struct slice descriptor;          /* as the client sent it */
    struct slice ticket;              /* empty: no endpoint */
    int64_t expires_wall_us;          /* 0: does not */
    int64_t rows;                     /* -1: not known */
};
MUST_USE enum err flight__info_put(const struct flight_info *given, struct buf *out,
                                   struct errinfo *info);
struct ipc_codec;
/* How the client will have bodies (x-moat-compression); NULL: as they are. ERR_INVALID (22023). */
MUST_USE enum err flight__codec(struct flight_call *call, const struct ipc_codec **ret_codec);
/* A schema as a message of FlightData, and a batch. */
MUST_USE enum err flight__send_schema(struct flight_call *call, const struct ArrowSchema *schema);
MUST_USE enum err flight__send_batch(struct flight_call *call, const struct ArrowSchema *schema,
                                     const struct ArrowArray *batch);

/* ---- methods ---- */

MUST_USE enum err flight__begin(struct flight_call *call, struct flight_server *server,
                                struct grpc_call *grpc);
void flight__end(struct flight_call *call);
/* The one message of a unary request. */
MUST_USE enum err flight__read_one(struct flight_call *call, struct buf *message);

/* A command: what google.protobuf.Any names. */
struct flight_command {
    struct slice name; /* "CommandStatementQuery" */
    struct slice body;
};
MUST_USE enum err flight__command_read(struct slice any, struct flight_command *ret_command,
                                       struct errinfo *info);
MUST_USE enum err flight__wrong(struct errinfo *info, const char *what);

/* statement.c */
MUST_USE enum err flight__query_info(struct flight_call *call, const struct flight_command *command,
                                     struct slice descriptor, struct buf *out);
MUST_USE enum err flight__query_schema(struct flight_call *call,
                                       const struct flight_command *command, struct buf *out);
MUST_USE enum err flight__get_run(struct flight_call *call, struct slice id);
bool flight__is_query(struct slice name);
MUST_USE enum err flight__update(struct flight_call *call, const struct flight_command *command,
                                 int64_t *ret_rows);

/* catalog.c: commands about the catalog */
bool flight__is_catalog(struct slice name);
MUST_USE enum err flight__catalog_schema(struct flight_call *call,
                                         const struct flight_command *command,
                                         struct ArrowSchema **ret_schema);
MUST_USE enum err flight__get_catalog(struct flight_call *call,
                                      const struct flight_command *command);

/* info.c: GetSqlInfo */
MUST_USE enum err flight__info_schema(struct flight_call *call, struct ArrowSchema **ret_schema);
MUST_USE enum err flight__get_info(struct flight_call *call, struct slice body);

/* put.c, action.c */
void flight__do_put(void *context, struct grpc_call *grpc);
void flight__do_action(void *context, struct grpc_call *grpc);
void flight__list_actions(void *context, struct grpc_call *grpc);

/* prepared.c */
/* Schemas as IPC has them, of what a statement would give and of its parameters (NULL: not asked
 * for); without columns where that cannot be known. */
MUST_USE enum err flight__describe(struct flight_call *call,
                                   const struct flight_statement *statement, struct buf *schema,
                                   struct buf *parameters);
MUST_USE enum err flight__number_parameters(struct arena *arena, struct slice *text,
                                            struct errinfo *info);
MUST_USE enum err flight__prepare(struct flight_call *call, struct slice request, struct buf *out);
MUST_USE enum err flight__unprepare(struct flight_call *call, struct slice request);
struct flight_prepared *flight__prepared_find(struct flight_session *session, struct slice handle);
void flight__prepared_unref(struct flight_session *session, struct flight_prepared *prepared);
void flight__prepared_close_all(struct flight_session *session);

/* type.c: the engine's names of types as Arrow has them, as its results do. In `arena`. */
MUST_USE enum err flight__schema_of(struct arena *arena, const struct query_column *columns,
                                    size_t count, struct ArrowSchema **ret_schema,
                                    struct errinfo *info);
