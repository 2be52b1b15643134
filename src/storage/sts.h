/* Session credentials of S3 for a person, by the token that stands for them: the action
 * AssumeRoleWithWebIdentity of AWS's Security Token Service, which MinIO, SeaweedFS and Ceph have
 * too. For catalogs that lend nothing themselves. */
#pragma once

#include "base/base.h"
#include "base/err.h"
#include "base/secret.h"

struct fetch_pool;

struct storage_sts_request {
    struct slice url;
    struct slice role;         /* an ARN; empty = the service knows by the token */
    struct slice session_name; /* as the store's log calls the person: other letters become '-' */
    struct slice token;        /* a JSON Web Token, as the identity provider gave it */
    struct slice policy;       /* JSON: narrows what the role may; empty = all of it */
    int64_t timeout_ms;
    bool (*is_cancelled)(void *context); /* NULL = never */
    void *cancel_context;
};

struct storage_sts_answer {
    struct secret access_key;
    struct secret secret_key;
    struct secret session_token;
    int64_t expires_wall_us; /* 0 = not said */
};
void storage_sts_fini(struct storage_sts_answer *answer);

/* ERR_DENIED 42501: the service takes no token of this person, or not for this role; ERR_BUSY
 * 08006: it does not answer; ERR_CORRUPT 08P01: not as the action has it. No message repeats what
 * it says. Any thread. */
MUST_USE enum err storage_sts_ask(struct fetch_pool *pool,
                                  const struct storage_sts_request *request,
                                  struct storage_sts_answer *ret_answer, struct errinfo *info);

/* Of an answer's text. ERR_CORRUPT. */
MUST_USE enum err storage_sts_parse(struct slice text, struct storage_sts_answer *ret_answer,
                                    struct errinfo *info);

/* What lets somebody read, write and list below one location of S3 ("s3://bucket/key"), and nothing
 * else, as a session policy; ERR_INVALID for a location that a policy cannot name as it is. */
struct buf;
MUST_USE enum err storage_sts_policy(struct slice location, struct buf *out, struct errinfo *info);
