/* SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the server's side of one exchange (RFC 5802, 5929, 7677).
 *
 * A verifier that nobody knows the password of stands in for a user who does not exist, made from
 * a secret of the server so that it is the same each time: what a client sees, and how long it
 * takes, does not depend on whether there is such a user. */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"
#include "identity/identity.h"

/* The verifier of a user who is not: a pure function of secret and name. */
MUST_USE enum err scram_verifier_mock(struct slice secret, struct slice user,
                                      char ret_verifier[SCRAM_VERIFIER_BYTES],
                                      struct errinfo *info);

struct scram_server_spec {
    struct slice verifier;
    bool is_mock;          /* never right */
    bool is_plus;          /* the client chose -PLUS */
    struct slice endpoint; /* tls-server-end-point of this connection; empty without TLS */
};

struct scram_server;

MUST_USE enum err scram_server_new(const struct scram_server_spec *spec,
                                   struct scram_server **ret_server, struct errinfo *info);
void scram_server_free(struct scram_server *server); /* wipes it */
DEFINE_CLEANUP(struct scram_server, scram_server_cleanup, scram_server_free)

/* Appends the challenge. ERR_INVALID (08P01) for a message that is not client-first or asks for
 * what was not offered, ERR_DENIED (28000) for one that was talked out of channel binding. */
MUST_USE enum err scram_server_first(struct scram_server *server, struct slice client_first,
                                     struct buf *ret_challenge, struct errinfo *info);

/* `ret_is_right`: the client knows the password; then the server's own proof is appended.
 * ERR_INVALID (08P01) for a message that is not client-final. */
MUST_USE enum err scram_server_final(struct scram_server *server, struct slice client_final,
                                     struct buf *ret_proof, bool *ret_is_right,
                                     struct errinfo *info);
