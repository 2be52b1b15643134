/* Requests to the issuer: small answers, no redirection. Each has a connection of its own, because
 * most carry one person's token. */
#include "identity/oidc_int.h"

#define CONNECT_MS_MAX 5000

enum fetch_plain oidc__plain(const struct oidc_options *options)
{
    return options->insecure_loopback ? FETCH_PLAIN_LOOPBACK : FETCH_TLS_ONLY;
}

/* Whatever it was: sign-in is not possible now. */
static enum err not_now(enum err err, struct errinfo *info)
{
    if (err == ERR_OK || err == ERR_NOMEM) {
        return err;
    }
    if (info != NULL) {
        info->code = ERR_BUSY;
        memcpy(info->sqlstate, "57P03", sizeof("57P03"));
    }
    return ERR_BUSY;
}

enum err oidc__ask_as(const struct oidc_asker *asker, const struct oidc_question *question,
                      long *ret_status, struct secret *ret_body, struct errinfo *info)
{
    struct fetch_pool *pool CLEANUP(fetch_pool_cleanup) = NULL;
    struct fetch_answer answer CLEANUP(fetch_answer_fini) = {0};
    struct fetch_options options = {.peer = SLICE("the identity provider"),
                                    .ca_file = slice_of(asker->ca_file),
                                    .plain = asker->plain,
                                    .connections_max = 1};
    struct fetch_header headers[3] = {{SLICE("Accept"), SLICE("application/json")}};
    size_t header_count = 1;
    struct fetch_request request = {.url = slice_of(question->url),
                                    .headers = headers,
                                    .timeout_ms = asker->timeout_ms,
                                    .connect_ms = CONNECT_MS_MAX,
                                    .body_bytes_max = question->bytes_max,
                                    .is_once = true};
    if (question->authorization != NULL) {
        headers[header_count++] =
            (struct fetch_header){SLICE("Authorization"), secret_slice(question->authorization)};
    }
    if (question->form != NULL) {
        request.method = SLICE("POST");
        request.body = secret_slice(question->form);
        headers[header_count++] = (struct fetch_header){SLICE("Content-Type"),
                                                        SLICE("application/x-www-form-urlencoded")};
    }
    request.header_count = header_count;
    TRY(fetch_pool_new(&options, &pool, info));
    TRY(not_now(fetch_send(pool, &request, &answer, info), info));
    *ret_status = answer.status;
    secret_replace(ret_body, &answer.body);
    return ERR_OK;
}

struct oidc_asker oidc__asker(const struct oidc *oidc)
{
    return (struct oidc_asker){.timeout_ms = oidc->options.timeout_ms,
                               .ca_file = oidc->options.ca_file,
                               .plain = oidc__plain(&oidc->options)};
}

enum err oidc_ask(const struct oidc *oidc, const struct oidc_question *question, long *ret_status,
                  struct secret *ret_body, struct errinfo *info)
{
    const struct oidc_asker asker = oidc__asker(oidc);
    return oidc__ask_as(&asker, question, ret_status, ret_body, info);
}
