/* Whose a client's certificate is: its names against the rules of the configuration. The chain has
 * been verified by who hands it in; here nothing is.
 *
 *     rules: "uri:spiffe://corp/moat-* => {1}; email:*@example.com => {1}; cn:etl => etl" */
#pragma once

#include "identity/pattern_int.h"
#include "identity/provider.h"

#define CERTIFICATE_BYTES_MAX (64u * 1024)
#define CERTIFICATE_NAMES_MAX 64u

enum certificate_field {
    CERTIFICATE_SUBJECT, /* the whole name in the form of RFC 2253 */
    CERTIFICATE_CN,      /* only if there is one */
    CERTIFICATE_DNS,
    CERTIFICATE_EMAIL,
    CERTIFICATE_URI,
};

struct certificate_name {
    enum certificate_field field;
    struct slice text; /* UTF-8 without controls */
};

struct certificate_names {
    struct certificate_name names[CERTIFICATE_NAMES_MAX];
    size_t count;
    int64_t expires_wall_us;
};

/* ERR_INVALID for what is no certificate or has a name that could be read in two ways. */
MUST_USE enum err certificate_read(struct slice der, struct arena *arena,
                                   struct certificate_names *ret_names, struct errinfo *info);

/* ERR_INVALID (22023) repeats the first rule that is none. */
MUST_USE enum err certificate_check_rules(struct slice rules, struct errinfo *info);

/* The first rule that one of the names fits. `ret_is_exact`: it names one name, no pattern. */
MUST_USE enum err certificate_map(const struct certificate_names *names, struct slice rules,
                                  struct arena *arena, bool *ret_found, struct slice *ret_user,
                                  bool *ret_is_exact, struct errinfo *info);
