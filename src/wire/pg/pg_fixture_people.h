/* People at the door of pg_fixture.h: who comes in, and the list of those who are. Internal. */
#pragma once

#include "base/mem.h"
#include "query/login.h"
#include "wire/pg/pg_int.h"

/* ---- query: who may come in ---- */

/* "token" and "oauth" are asked for as they are wished, so that the fuzzer gets there. */
enum err warehouse_login_offer(UNUSED struct warehouse *warehouse, const struct login_hello *hello,
                               UNUSED struct slice address, UNUSED struct slice client,
                               struct login_offer *ret_offer, UNUSED struct errinfo *info)
{
    bool is_token = slice_equal(hello->wish, SLICE("token"));
    *ret_offer =
        (struct login_offer){.secret = is_token, .scram = !is_token, .oauthbearer = !is_token};
    return ERR_OK;
}

enum err warehouse_login_discovery(UNUSED struct warehouse *warehouse, struct buf *ret_answer,
                                   struct errinfo *info)
{
    oauthbearer_failure(SLICE("https://id.example"), SLICE("openid"), ret_answer);
    return buf_failed(ret_answer) ? errinfo_nomem(info) : ERR_OK;
}

enum err warehouse_login_credential(UNUSED struct warehouse *warehouse,
                                    const struct credential *credential, UNUSED struct slice client,
                                    struct identity **ret_identity, struct errinfo *info)
{
    if (slice_find(credential->secret, SLICE("right")) == SIZE_MAX) {
        return errinfo_set(info, ERR_DENIED, "28000", "authentication failed");
    }
    struct identity_spec spec = {.subject = SLICE("amelia"), .provider = SLICE("oidc")};
    return identity_new(&spec, ret_identity, info);
}

/* ---- query: passwords ---- */

struct password_login {
    int steps;
};

enum err password_login_open(UNUSED struct warehouse *warehouse,
                             UNUSED const struct password_request *request,
                             struct password_login **ret_login, struct errinfo *info)
{
    *ret_login = mem_calloc(1, sizeof(**ret_login));
    return *ret_login == NULL ? errinfo_nomem(info) : ERR_OK;
}

enum err password_login_first(UNUSED struct password_login *login, UNUSED struct slice message,
                              struct buf *ret_challenge, UNUSED struct errinfo *info)
{
    buf_append_str(ret_challenge, "r=n,s=c2FsdA==,i=4096");
    return ERR_OK;
}

enum err password_login_final(UNUSED struct password_login *login, struct slice message,
                              struct buf *ret_proof, struct identity **ret_identity,
                              struct errinfo *info)
{
    if (slice_equal(message, SLICE("wrong"))) {
        return errinfo_set(info, ERR_DENIED, "28P01", "password authentication failed");
    }
    struct identity_spec spec = {.subject = SLICE("amelia"), .provider = SLICE("password")};
    buf_append_str(ret_proof, "v=cHJvb2Y=");
    return identity_new(&spec, ret_identity, info);
}

void password_login_close(struct password_login *login)
{
    mem_free(login);
}

/* ---- query: the list of clients ---- */

struct client {
    uint32_t id;
};

enum err client_open(UNUSED struct warehouse *warehouse, UNUSED const struct client_spec *spec,
                     struct client **ret_client, struct errinfo *info)
{
    static uint32_t last;
    struct client *client = mem_calloc(1, sizeof(*client));
    if (client == NULL) {
        return errinfo_nomem(info);
    }
    client->id = ++last;
    *ret_client = client;
    return ERR_OK;
}

void client_close(struct client *client)
{
    mem_free(client);
}

uint32_t client_id(const struct client *client)
{
    return client->id;
}

void client_set_application(UNUSED struct client *client, UNUSED struct slice application)
{
}

void client_set_state(UNUSED struct client *client, UNUSED enum client_state state)
{
}

void session_stop(UNUSED struct session *session)
{
}
