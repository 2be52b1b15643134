/* Shared by the files of this module only. */
#pragma once

#include "identity/identity.h"

/* The character at `*offset` of well-formed UTF-8; moves the offset behind it. */
uint32_t identity__character(struct slice text, size_t *offset);

/* What the chain tells the holder of a genuine token. */
#define IDENTITY_TOKEN_EXPIRED "the token has expired"

/* NULL: none. Not counted. */
struct identity_credential *identity__credential(const struct identity *who);
