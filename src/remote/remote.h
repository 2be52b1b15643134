/* A server of Moat from outside, by any of its doors: statements in, Arrow batches out.
 *
 * One connection, one statement at a time, from one thread; remote_cancel from any. Nothing is
 * taken from the environment (PGPASSWORD, .pgpass, proxies): who asks is said, and what proves it.
 * Secrets travel over TLS whose certificate names the host, or to this machine. */
#pragma once

#include "arrow/arrow.h"
#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"

struct remote;
struct remote_answer;

enum remote_door {
    REMOTE_POSTGRES,
    REMOTE_HTTP,
    REMOTE_FLIGHT,
};

/* postgres://person@host:5433/catalog?ca=FILE, https://person@host:5435/catalog/schema?ca=FILE,
 * grpc+tls://person@host:5436/catalog/schema?ca=FILE&timeout=SECONDS. Texts are decoded and in the
 * arena. */
struct remote_address {
    enum remote_door door;
    bool is_tls; /* a certificate that names the host is asked for */
    bool is_loopback;
    char *user; /* NULL: not named */
    char *host;
    uint16_t port;
    char *catalog; /* NULL: the default */
    char *schema;
    char *ca_file;      /* NULL: the system's */
    uint32_t timeout_s; /* of a statement, where the door has deadlines; 0: none */
};

/* ERR_INVALID (22023): it is none, or holds a password; ERR_UNSUPPORTED: a door that this program
 * has no client of; ERR_DENIED: in the clear, and not to this machine. */
MUST_USE enum err remote_address_parse(const char *url, struct arena *arena,
                                       struct remote_address *ret_address, struct errinfo *info);

struct remote_options {
    const struct remote_address *address; /* as long as the remote */
    struct slice user;
    struct slice secret;
    bool is_token;   /* the secret is a token or an API key */
    bool is_session; /* a token that this server gave: it is not shown to Handshake. Internal */
    bool is_watched; /* remote_progress will be asked: the secret is kept for a second sign-in */
};

/* Signs in. ERR_DENIED (28...): refused; ERR_IO (08...): it does not answer. */
MUST_USE enum err remote_open(const struct remote_options *options, struct remote **ret_remote,
                              struct errinfo *info);
void remote_close(struct remote *remote); /* NULL is allowed */
DEFINE_CLEANUP(struct remote, remote_cleanup, remote_close)

/* Up to where it is known what its rows are. The error is the server's, with its position in bytes
 * of `statement`, or ERR_IO: what the statement did is then not known. */
MUST_USE enum err remote_run(struct remote *remote, struct slice statement,
                             struct remote_answer **ret_answer, struct errinfo *info);
/* NULL: it has no rows. As long as the answer. */
const struct ArrowSchema *remote_answer_schema(const struct remote_answer *answer);
/* At the end ret_batch->release is NULL. Batches are released before their answer is closed. */
MUST_USE enum err remote_answer_next(struct remote_answer *answer, struct ArrowArray *ret_batch,
                                     struct errinfo *info);
const char *remote_answer_tag(const struct remote_answer *answer);    /* "SELECT", "" if unknown */
const char *remote_answer_notice(const struct remote_answer *answer); /* or "" */
/* Before its end this cancels. NULL is allowed. */
void remote_answer_close(struct remote_answer *answer);
DEFINE_CLEANUP(struct remote_answer, remote_answer_cleanup, remote_answer_close)

/* How far what runs now is: percent, or below 0 where that is not known (yet). Never waits. One
 * thread, as long as the remote; without `is_watched` it is never known. */
double remote_progress(struct remote *remote);

/* What runs now fails with ERR_CANCELLED (57014). Any thread, as long as the remote. */
void remote_cancel(struct remote *remote);
