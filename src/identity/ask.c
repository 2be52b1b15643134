/* What a client is asked for before it has shown anything. It says what it holds, or the
 * configuration knows by the form of its name; nobody looks whether there is such a person, or what
 * they have, since what was asked for would then tell. */
#include "identity/chain_int.h"
#include "identity/pattern_int.h"
#include "identity/provider.h"

enum method {
    METHOD_AUTO,
    METHOD_SCRAM,
    METHOD_TOKEN,
    METHOD_OAUTH
};

static const char *const words[] = {
    [METHOD_AUTO] = "auto",
    [METHOD_SCRAM] = "scram",
    [METHOD_TOKEN] = "token",
    [METHOD_OAUTH] = "oauth",
};

static bool find_word(struct slice text, enum method *ret_method)
{
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (slice_equal_fold(text, slice_of(words[i]))) {
            *ret_method = (enum method)i;
            return true;
        }
    }
    return false;
}

/* "pattern => word", or a word alone, which is for all. */
static bool split(struct slice item, struct slice *ret_pattern, enum method *ret_method)
{
    size_t arrow = slice_find(item, SLICE("=>"));
    *ret_pattern = (struct slice){"", 0};
    if (arrow == SIZE_MAX) {
        return find_word(item, ret_method);
    }
    *ret_pattern = slice_trim((struct slice){item.ptr, arrow});
    struct slice word = slice_trim((struct slice){item.ptr + arrow + 2, item.len - arrow - 2});
    return ret_pattern->len > 0 && find_word(word, ret_method);
}

enum err login_ask_check(struct slice rules, struct errinfo *info)
{
    struct slice item, pattern;
    enum method ignored;
    while (list_next(&rules, ';', &item)) {
        if (!split(item, &pattern, &ignored)) {
            (void)errinfo_set(info, ERR_INVALID, "22023", "\"%.*s\" is not a rule of \"login.ask\"",
                              SLICE_ARGS(item));
            errinfo_hint(info, "Write \"pattern => scram\", token, oauth or auto; a word alone is "
                               "for all others.");
            return ERR_INVALID;
        }
    }
    return ERR_OK;
}

static enum method rule_for(struct slice rules, struct slice user)
{
    struct slice item, pattern;
    enum method method = METHOD_AUTO;
    while (list_next(&rules, ';', &item)) {
        if (split(item, &pattern, &method) &&
            (pattern.len == 0 || pattern_matches(pattern, user))) {
            return method;
        }
    }
    return METHOD_AUTO;
}

/* ---- what there is to offer ---- */

static enum err not_here(enum method method, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_DENIED, "28000", "nobody signs in by \"%s\" at this server",
                      words[method]);
    errinfo_hint(info, "Its administrator says how, by \"login.providers\".");
    return ERR_DENIED;
}

static enum err not_private(struct errinfo *info)
{
    (void)errinfo_set(info, ERR_DENIED, "28000", "tokens and keys are asked for over TLS only");
    errinfo_hint(info, "Connect with sslmode=require or, to know the server, verify-full.");
    return ERR_DENIED;
}

static enum err offer_of(const struct identity_chain *chain, const struct login_hello *hello,
                         enum method method, struct login_offer *offer, struct errinfo *info)
{
    bool has_issuer = chain__has(chain, "oidc");
    bool knows_tokens = identity_chain_takes_tokens(chain);
    if (!knows_tokens && !chain__has(chain, "password")) {
        return errinfo_set(info, ERR_DENIED, "28000", "this server wants a client's certificate");
    }
    if (method == METHOD_AUTO) {
        method = chain__has(chain, "password") ? METHOD_SCRAM : METHOD_TOKEN;
    }
    if ((method == METHOD_SCRAM && !chain__has(chain, "password")) ||
        (method == METHOD_TOKEN && !knows_tokens) || (method == METHOD_OAUTH && !has_issuer)) {
        return not_here(method, info);
    }
    if (method != METHOD_SCRAM && !hello->is_private) {
        return not_private(info);
    }
    offer->scram = method == METHOD_SCRAM;
    offer->secret = method == METHOD_TOKEN;
    offer->oauthbearer = method != METHOD_TOKEN && has_issuer && hello->is_private;
    return ERR_OK;
}

enum err identity_chain_offer(const struct identity_chain *chain, const struct login_hello *hello,
                              struct login_offer *ret_offer, struct errinfo *info)
{
    struct login_offer offer = {0};
    enum method method = METHOD_AUTO;
    if (hello->wish.len > 0 && !find_word(hello->wish, &method)) {
        (void)errinfo_set(info, ERR_INVALID, "22023", "\"%.*s\" is not a way to sign in",
                          SLICE_ARGS(hello->wish));
        errinfo_hint(info, "\"moat.login\" is scram, token or oauth.");
        return ERR_INVALID;
    }
    if (method == METHOD_AUTO) { /* it has not said what it holds */
        offer.certificate = hello->has_certificate && chain__has(chain, "certificate");
        method = rule_for(chain__ask_rules(chain), hello->user);
    }
    if (!offer.certificate) {
        TRY(offer_of(chain, hello, method, &offer, info));
    }
    *ret_offer = offer;
    return ERR_OK;
}
