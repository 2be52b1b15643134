/* Errors and options, as ADBC has them. */
#include <stdarg.h>

#include "base/buf.h"
#include "base/mem.h"
#include "embed/adbc_int.h"

/* ---- errors ---- */

#define DETAILS 3

/* What goes with an error of 1.1: the texts by themselves. */
struct details {
    struct moat_error error;
    char position[24];
};

static struct AdbcErrorDetail detail_of(const struct details *details, int index)
{
    const char *const keys[DETAILS] = {"moat.detail", "moat.hint", "moat.position"};
    const char *const values[DETAILS] = {details->error.detail, details->error.hint,
                                         details->position};
    for (int i = 0; i < DETAILS; i++) {
        if (values[i][0] != '\0' && index-- == 0) {
            return (struct AdbcErrorDetail){keys[i], (const uint8_t *)values[i], strlen(values[i])};
        }
    }
    return (struct AdbcErrorDetail){0};
}

static void release(struct AdbcError *error)
{
    mem_free(error->message);
    error->message = NULL;
    if (error->vendor_code == ADBC_ERROR_VENDOR_CODE_PRIVATE_DATA) {
        mem_free(error->private_data);
        error->private_data = NULL;
    }
    error->release = NULL;
}

static const struct details *details_of(const struct AdbcError *error)
{
    bool has = error->release == release && error->private_data != NULL &&
               error->vendor_code == ADBC_ERROR_VENDOR_CODE_PRIVATE_DATA;
    return has ? error->private_data : NULL;
}

int adbc__detail_count(const struct AdbcError *error)
{
    const struct details *details = details_of(error);
    int count = 0;
    while (details != NULL && detail_of(details, count).key != NULL) {
        count++;
    }
    return count;
}

struct AdbcErrorDetail adbc__detail(const struct AdbcError *error, int index)
{
    const struct details *details = details_of(error);
    return details == NULL || index < 0 ? (struct AdbcErrorDetail){0} : detail_of(details, index);
}

static AdbcStatusCode code_of(const struct moat_error *error)
{
    static const AdbcStatusCode codes[] = {
        [MOAT_OK] = ADBC_STATUS_OK,
        [MOAT_NO_MEMORY] = ADBC_STATUS_INTERNAL,
        [MOAT_INVALID] = ADBC_STATUS_INVALID_ARGUMENT,
        [MOAT_SYNTAX] = ADBC_STATUS_INVALID_ARGUMENT,
        [MOAT_NOT_FOUND] = ADBC_STATUS_NOT_FOUND,
        [MOAT_EXISTS] = ADBC_STATUS_ALREADY_EXISTS,
        [MOAT_DENIED] = ADBC_STATUS_UNAUTHORIZED,
        [MOAT_IO] = ADBC_STATUS_IO,
        [MOAT_CORRUPT] = ADBC_STATUS_INVALID_DATA,
        [MOAT_LIMIT] = ADBC_STATUS_INVALID_STATE,
        [MOAT_CANCELLED] = ADBC_STATUS_CANCELLED,
        [MOAT_TIMEOUT] = ADBC_STATUS_TIMEOUT,
        [MOAT_UNSUPPORTED] = ADBC_STATUS_NOT_IMPLEMENTED,
        [MOAT_BUSY] = ADBC_STATUS_INVALID_STATE,
        [MOAT_ENGINE] = ADBC_STATUS_INVALID_DATA,
        [MOAT_INTERNAL] = ADBC_STATUS_INTERNAL,
    };
    bool is_sign_in = strncmp(error->sqlstate, "28", 2) == 0;
    bool is_rule = strncmp(error->sqlstate, "23", 2) == 0;
    bool is_parse = strcmp(error->sqlstate, "42601") == 0;
    return is_sign_in ? ADBC_STATUS_UNAUTHENTICATED
           : is_rule  ? ADBC_STATUS_INTEGRITY
           : is_parse ? ADBC_STATUS_INVALID_ARGUMENT
                      : codes[error->status];
}

static char *whole_text(const struct moat_error *error)
{
    struct buf text = {0};
    buf_append_str(&text, error->message);
    if (error->detail[0] != '\0') {
        buf_printf(&text, "\nDETAIL: %s", error->detail);
    }
    if (error->hint[0] != '\0') {
        buf_printf(&text, "\nHINT: %s", error->hint);
    }
    return buf_take(&text);
}

AdbcStatusCode adbc__fail(const struct moat_error *error, struct AdbcError *ret_error)
{
    AdbcStatusCode code = code_of(error);
    if (ret_error == NULL || code == ADBC_STATUS_OK) {
        return code;
    }
    if (ret_error->release != NULL) {
        ret_error->release(ret_error);
    }
    ret_error->message = whole_text(error); /* NULL: the code has to do */
    ret_error->release = release;
    memcpy(ret_error->sqlstate, error->sqlstate, sizeof(ret_error->sqlstate));
    if (ret_error->vendor_code == ADBC_ERROR_VENDOR_CODE_PRIVATE_DATA) {
        struct details *details = mem_calloc(1, sizeof(*details));
        if (details != NULL) {
            details->error = *error;
            if (error->position > 0) {
                (void)snprintf(details->position, sizeof(details->position), "%lld",
                               (long long)error->position);
            }
        }
        ret_error->private_data = details;
    }
    return code;
}

AdbcStatusCode adbc__error(AdbcStatusCode code, const char *sqlstate, struct AdbcError *ret_error,
                           const char *format, ...)
{
    struct moat_error error = {.status = MOAT_INTERNAL};
    va_list args;
    (void)snprintf(error.sqlstate, sizeof(error.sqlstate), "%s", sqlstate);
    va_start(args, format);
    (void)vsnprintf(error.message, sizeof(error.message), format, args);
    va_end(args);
    (void)adbc__fail(&error, ret_error);
    return code;
}

/* Lives with the stream. */
const struct AdbcError *adbc__stream_error(struct ArrowArrayStream *stream, AdbcStatusCode *status)
{
    struct moat_error error;
    if (!moat_stream_error(stream, &error)) {
        return NULL;
    }
    struct AdbcError **kept = embed__run_error(stream);
    if (*kept == NULL) {
        *kept = mem_calloc(1, sizeof(**kept));
    }
    if (*kept == NULL) {
        return NULL;
    }
    (*kept)->vendor_code = ADBC_ERROR_VENDOR_CODE_PRIVATE_DATA;
    AdbcStatusCode code = adbc__fail(&error, *kept);
    if (status != NULL) {
        *status = code;
    }
    return *kept;
}

void adbc__stream_error_free(struct AdbcError *error)
{
    if (error != NULL && error->release != NULL) {
        error->release(error);
    }
    mem_free(error);
}

/* ---- options ---- */

static void wipe(char *text)
{
    if (text != NULL) {
        mem_wipe(text, strlen(text)); /* it may be a password */
    }
    mem_free(text);
}

void adbc__options_fini(struct adbc_options *options)
{
    for (size_t i = 0; i < options->count; i++) {
        mem_free(options->items[i].name);
        wipe(options->items[i].value);
    }
    mem_free(options->items);
    *options = (struct adbc_options){0};
}

static struct adbc_option *find(const struct adbc_options *options, const char *name)
{
    for (size_t i = 0; i < options->count; i++) {
        if (strcmp(options->items[i].name, name) == 0) {
            return &options->items[i];
        }
    }
    return NULL;
}

bool adbc__options_set(struct adbc_options *options, const char *name, const char *value)
{
    char *copy = mem_strdup(value == NULL ? "" : value);
    struct adbc_option *option = find(options, name);
    if (copy != NULL && option != NULL) {
        wipe(option->value);
        option->value = copy;
        return true;
    }
    struct adbc_option *items =
        copy == NULL ? NULL : mem_realloc(options->items, (options->count + 1) * sizeof(*items));
    char *name_copy = items == NULL ? NULL : mem_strdup(name);
    options->items = items == NULL ? options->items : items;
    if (name_copy == NULL) {
        wipe(copy);
        return false;
    }
    options->items[options->count++] = (struct adbc_option){name_copy, copy};
    return true;
}

const char *adbc__options_get(const struct adbc_options *options, const char *name)
{
    const struct adbc_option *option = find(options, name);
    return option == NULL ? NULL : option->value;
}

AdbcStatusCode adbc__give_text(const char *name, const char *text, char *value, size_t *length,
                               struct AdbcError *error)
{
    if (text == NULL) {
        return adbc__error(ADBC_STATUS_NOT_FOUND, "42704", error, "option \"%s\" is not set", name);
    }
    size_t wanted = strlen(text) + 1;
    if (value != NULL && *length >= wanted) {
        memcpy(value, text, wanted);
    }
    *length = wanted;
    return ADBC_STATUS_OK;
}
