/* What Glue's errors mean. It says almost all of them with status 400, and by a name in the body:
 * told here as the statuses that the REST specification has for the same, so that what is tried
 * again, what is nobody's fault and what is unknown is decided in one place, for all catalogs. */
#include "catalog/rest/glue/glue_int.h"

#define ERROR_BYTES_MAX 65536u

static const struct {
    const char *type;
    long status;
} meanings[] = {
    {"EntityNotFoundException", 404},
    {"AlreadyExistsException", 409},
    {"ConcurrentModificationException", 409},
    {"VersionMismatchException", 409},
    {"AccessDeniedException", 403},
    {"AccessDenied", 403},
    /* keys that are no more, or never were: others are asked for, once */
    {"ExpiredTokenException", 401},
    {"UnrecognizedClientException", 401},
    {"InvalidClientTokenId", 401},
    {"InvalidSignatureException", 401},
    {"SignatureDoesNotMatch", 401},
    {"IncompleteSignatureException", 401},
    {"MissingAuthenticationTokenException", 401},
    {"RequestExpired", 401},
    /* certainly not done */
    {"ThrottlingException", 429},
    {"Throttling", 429},
    {"TooManyRequestsException", 429},
    {"ResourceNotReadyException", 429},
    {"ConcurrentRunsExceededException", 429},
    /* done or not */
    {"OperationTimeoutException", 504},
    {"InternalServiceException", 503},
    {"InternalFailure", 503},
    {"ServiceUnavailableException", 503},
    {"ServiceUnavailable", 503},
    {"UnknownOperationException", 501},
};

struct slice glue__type(struct slice written)
{
    size_t hash = slice_find(written, SLICE("#"));
    size_t past = hash == SIZE_MAX ? 0 : hash + 1;
    struct slice type = {written.ptr + past, written.len - past};
    size_t colon = slice_find(type, SLICE(":"));
    type.len = colon == SIZE_MAX ? type.len : colon;
    return type;
}

long glue__status(long status, struct slice body)
{
    static const struct json_limits limits = {.depth_max = 16, .nodes_max = 1000};
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "error", 0);
    struct json *root = NULL;
    if (status < 400 || body.len > ERROR_BYTES_MAX || arena == NULL ||
        json_parse(arena, body, &limits, &root, NULL) != ERR_OK) {
        return status;
    }
    struct slice type = glue__type(json_get_text(root, "__type"));
    for (size_t i = 0; i < ARRAY_COUNT(meanings); i++) {
        if (slice_equal(type, slice_of(meanings[i].type))) {
            return meanings[i].status;
        }
    }
    return status;
}
