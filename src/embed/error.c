#include "embed/embed_int.h"

_Static_assert((int)MOAT_OK == (int)ERR_OK && (int)MOAT_NO_MEMORY == (int)ERR_NOMEM &&
                   (int)MOAT_INVALID == (int)ERR_INVALID && (int)MOAT_SYNTAX == (int)ERR_SYNTAX &&
                   (int)MOAT_NOT_FOUND == (int)ERR_NOT_FOUND &&
                   (int)MOAT_EXISTS == (int)ERR_EXISTS && (int)MOAT_DENIED == (int)ERR_DENIED &&
                   (int)MOAT_IO == (int)ERR_IO && (int)MOAT_CORRUPT == (int)ERR_CORRUPT,
               "moat_status is enum err");
_Static_assert((int)MOAT_LIMIT == (int)ERR_LIMIT && (int)MOAT_CANCELLED == (int)ERR_CANCELLED &&
                   (int)MOAT_TIMEOUT == (int)ERR_TIMEOUT &&
                   (int)MOAT_UNSUPPORTED == (int)ERR_UNSUPPORTED &&
                   (int)MOAT_BUSY == (int)ERR_BUSY && (int)MOAT_ENGINE == (int)ERR_ENGINE &&
                   (int)MOAT_INTERNAL == (int)ERR_INTERNAL,
               "moat_status is enum err");

void embed__error(const struct errinfo *info, struct moat_error *error)
{
    if (error == NULL) {
        return;
    }
    _Static_assert(sizeof(error->message) == sizeof(info->message), "texts fit");
    _Static_assert(sizeof(error->detail) == sizeof(info->detail), "texts fit");
    _Static_assert(sizeof(error->hint) == sizeof(info->hint), "texts fit");
    *error = (struct moat_error){.status = (enum moat_status)info->code,
                                 .position = (int64_t)info->position};
    memcpy(error->sqlstate, info->sqlstate, sizeof(error->sqlstate));
    memcpy(error->message, info->message, sizeof(error->message));
    memcpy(error->detail, info->detail, sizeof(error->detail));
    memcpy(error->hint, info->hint, sizeof(error->hint));
}

enum moat_status embed__status(enum err err, const struct errinfo *info, struct moat_error *error)
{
    if (err != ERR_OK) {
        embed__error(info, error);
    }
    return (enum moat_status)err;
}

const char *moat_version(void)
{
    return MOAT_VERSION;
}
