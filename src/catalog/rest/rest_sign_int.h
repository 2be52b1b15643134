/* Requests to a store that the catalog signs. */
#pragma once

#include "catalog/rest/rest_int.h"

/* Whom to ask again, and for what: lives as long as the grant. */
struct lender {
    struct rest *rest;
    struct arena *arena;
    struct identity *who; /* held */
    struct rest_catalog catalog;
    struct rest_namespace ns;
    struct slice name;
    struct slice sign_url;        /* empty: nothing is signed */
    struct slice plan_id;         /* what it was lent for; empty: for the table */
    struct slice staged;          /* as in the call */
    struct slice sign_properties; /* a JSON object, which the signer wants back; may be empty */
    bool names_provider;          /* it is the REST specification's own endpoint */
};

/* Where to: from the table's properties and `signing`, the "remote-signing-config" of
 * its answer (may be empty). ERR_DENIED for an address that people's tokens do not go to. */
MUST_USE enum err rest_sign__prepare(const struct rest_call *call, const struct rest_vended *vended,
                                     struct slice signing, struct lender *lender);
/* A storage_sign_cb; `context` is the lender. */
MUST_USE enum err rest_sign(void *context, const struct storage_to_sign *request,
                            struct storage_signed *ret_signed, struct errinfo *info);
