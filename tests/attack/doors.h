/* People who come in by a door of the server instead of a session of the process: the same
 * attacks, over real sockets and by clients of the protocol. */
#pragma once

#include "fixture.h"

struct doors;
struct visitor; /* one person, signed in */

/* The door that MOAT_TEST_DOOR names (postgres, http, flight, trino), or NULL: none is named.
 * Fails the test where it cannot be opened. */
struct doors *doors_open(struct warehouse *warehouse, const struct config *config);
void doors_close(struct doors *doors); /* after its visitors; NULL is allowed */

/* Trino's protocol translates what is asked: what somebody may not do is refused there too, but in
 * which words, and what it can say at all, is its own. */
bool doors_translate(const struct doors *doors);
/* Transactions, prepared statements and temporary tables outlive a statement. True without doors. */
bool doors_have_sessions(const struct doors *doors);
/* A text may be of several statements. */
bool doors_take_scripts(const struct doors *doors);
/* Skips the rest of a test that needs a session where the door has none. */
#define DOORS_NEED_SESSION(f)                                                                      \
    do {                                                                                           \
        if (!doors_have_sessions((f)->doors)) {                                                    \
            fixture_close(f);                                                                      \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

#define DOORS_PASSWORD "correct horse"
struct visitor *visitor_open(struct doors *doors, const char *name);
void visitor_close(struct visitor *visitor); /* NULL is allowed */
struct outcome visitor_run(struct visitor *visitor, struct slice sql);
