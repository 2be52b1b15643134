/* Requests to a store that the catalog signs. */
#pragma once

#include "catalog/rest/rest_int.h"

/* Where to: from the table's properties and `signing`, the "remote-signing-config" of
 * its answer (may be empty). ERR_DENIED for an address that people's tokens do not go to. */
MUST_USE enum err rest_sign__prepare(const struct rest_call *call, const struct rest_vended *vended,
                                     struct slice signing, struct lender *lender);
/* A storage_sign_cb; `context` is the lender. */
MUST_USE enum err rest_sign(void *context, const struct storage_to_sign *request,
                            struct storage_signed *ret_signed, struct errinfo *info);
