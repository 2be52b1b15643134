/* Answers that are errors: what they mean, and what of them is told. */
#pragma once

#include "catalog/rest/rest_int.h"

/* What an answer that is an error means. `retry_after_s` 0: not said. */
MUST_USE enum err rest_answer__error(const struct rest_catalog *catalog,
                                     const struct rest_question *question, long status,
                                     struct slice body, int64_t retry_after_s,
                                     struct errinfo *info);
bool rest_answer__is_said(struct slice body); /* an error in the form of the specification */
#define REST_TOLD_BYTES_MAX 300
/* What a catalog says, fit for a detail: printable, without what may be a secret or an address. */
void rest_answer__tell(struct slice text, char *out, size_t out_size);
/* The error after which nobody knows whether something was changed (08007). */
MUST_USE enum err rest_answer__unknown(const struct rest_call *call, const char *what,
                                       struct slice name);
