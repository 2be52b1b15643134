/* Shared by the files of this module only. */
#pragma once

#include "identity/identity.h"

/* The character at `*offset` of well-formed UTF-8; moves the offset behind it. */
uint32_t identity__character(struct slice text, size_t *offset);
