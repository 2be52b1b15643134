#include "base/secret.h"

#include "base/checked.h"
#include "base/mem.h"

bool secret_new(size_t len, struct secret *ret_secret)
{
    size_t size;
    char *ptr = checked_add(len, (size_t)1, &size) ? mem_calloc(1, size) : NULL;
    if (ptr == NULL) {
        return false;
    }
    *ret_secret = (struct secret){ptr, len};
    return true;
}

bool secret_join(const struct slice *parts, size_t part_count, struct secret *ret_secret)
{
    size_t len = 0;
    for (size_t i = 0; i < part_count; i++) {
        if (!checked_add(len, parts[i].len, &len)) {
            return false;
        }
    }
    struct secret joined;
    if (!secret_new(len, &joined)) {
        return false;
    }
    size_t at = 0;
    for (size_t i = 0; i < part_count; i++) {
        if (parts[i].len > 0) {
            memcpy(joined.ptr + at, parts[i].ptr, parts[i].len);
            at += parts[i].len;
        }
    }
    *ret_secret = joined;
    return true;
}

bool secret_copy(struct slice bytes, struct secret *ret_secret)
{
    return secret_join(&bytes, 1, ret_secret);
}

void secret_fini(struct secret *secret)
{
    if (secret->ptr != NULL) {
        mem_wipe(secret->ptr, secret->len);
        mem_free(secret->ptr);
    }
    *secret = (struct secret){0};
}

void secret_replace(struct secret *secret, struct secret *replacement)
{
    secret_fini(secret);
    *secret = *replacement;
    *replacement = (struct secret){0};
}
