/* Rows of a client as parameters of a statement: each cell as the text that the engine converts. */
#include "arrow/value.h"
#include "wire/flight/put.h"

#define BOUND_BYTES_MAX (64u << 20) /* of one statement */

enum err flight__binding_init(struct flight_binding *binding)
{
    binding->arena = arena_new(NULL, "flight parameters", BOUND_BYTES_MAX);
    return binding->arena == NULL ? errinfo_nomem(&binding->call->info) : ERR_OK;
}

void flight__binding_fini(struct flight_binding *binding)
{
    arena_free(binding->arena);
    buf_fini(&binding->cell);
}

static enum err too_many(struct flight_binding *binding)
{
    return errinfo_set(&binding->call->info, ERR_LIMIT, "54000",
                       "more than %u MiB of parameters are bound", BOUND_BYTES_MAX >> 20);
}

static bool grow(struct flight_binding *binding)
{
    if (binding->count < binding->capacity) {
        return true;
    }
    size_t capacity = binding->capacity == 0 ? 64 : 2 * binding->capacity;
    struct query_parameter *parameters =
        arena_calloc(binding->arena, capacity, sizeof(*parameters));
    if (parameters == NULL) {
        return false;
    }
    if (binding->count > 0) {
        memcpy(parameters, binding->parameters, binding->count * sizeof(*parameters));
    }
    binding->parameters = parameters;
    binding->capacity = capacity;
    return true;
}

/* Where the statement does not say: by the column's own type. */
static enum query_parameter_kind kind_of(const struct ArrowSchema *schema)
{
    const struct ArrowSchema *values = schema->dictionary == NULL ? schema : schema->dictionary;
    if (values->format[1] != '\0') {
        return QUERY_PARAMETER_TEXT; /* decimals too: REAL would round them */
    }
    switch (values->format[0]) {
    case 'b':
        return QUERY_PARAMETER_BOOLEAN;
    case 'e':
    case 'f':
    case 'g':
        return QUERY_PARAMETER_REAL;
    case 'u':
    case 'U':
    case 'z':
    case 'Z':
    case 'n':
        return QUERY_PARAMETER_TEXT;
    default:
        return QUERY_PARAMETER_INTEGER;
    }
}

bool flight__is_binary(const struct ArrowSchema *schema)
{
    return schema->dictionary == NULL &&
           (schema->format[0] == 'z' || schema->format[0] == 'Z' || schema->format[0] == 'w');
}

bool flight__print_bytes(struct buf *text, size_t start)
{
    struct buf out CLEANUP(buf_fini) = {0};
    for (size_t i = start + 2; i + 1 < text->len; i += 2) {
        buf_append_str(&out, "\\x");
        buf_append(&out, text->ptr + i, 2);
    }
    text->len = start < text->len ? start : text->len;
    buf_append_slice(text, buf_slice(&out));
    return !buf_failed(&out) && !buf_failed(text);
}

static enum err add_cell(struct flight_binding *binding, const struct ArrowSchema *schema,
                         const struct ArrowArray *array, int64_t row)
{
    struct errinfo *info = &binding->call->info;
    if (!grow(binding)) {
        return too_many(binding);
    }
    struct query_parameter *to = &binding->parameters[binding->count];
    *to = (struct query_parameter){
        .is_null = !arrow_is_valid(schema, array, row), .text = SLICE(""), .kind = kind_of(schema)};
    if (!to->is_null) {
        buf_reset(&binding->cell);
        TRY(arrow_print(schema, array, row, &binding->cell, info));
        if (flight__is_binary(schema) && !flight__print_bytes(&binding->cell, 0)) {
            return errinfo_nomem(info);
        }
        if (buf_failed(&binding->cell)) {
            return errinfo_nomem(info);
        }
        if (!arena_slice(binding->arena, buf_slice(&binding->cell), &to->text)) {
            return too_many(binding);
        }
    }
    binding->count++;
    return ERR_OK;
}

enum err flight__bind_batch(struct flight_binding *binding, const struct ArrowSchema *schema,
                            const struct ArrowArray *batch)
{
    for (int64_t row = 0; row < batch->length; row++) {
        for (int64_t c = 0; c < schema->n_children; c++) {
            TRY(add_cell(binding, schema->children[c], batch->children[c], row));
        }
        binding->row_count++;
    }
    return ERR_OK;
}

enum err flight__bind(struct flight_binding *binding, struct slice handle, size_t parameter_count)
{
    struct flight_session *session = binding->call->session;
    struct flight_prepared *prepared = flight__prepared_find(session, handle);
    if (prepared == NULL) {
        return errinfo_set(&binding->call->info, ERR_NOT_FOUND, "26000",
                           "there is no such prepared statement");
    }
    pthread_mutex_lock(&session->lock);
    bool is_used = prepared->refs > 2; /* the list's, and this one */
    struct arena *old = prepared->arena;
    if (!is_used) {
        prepared->arena = TAKE(binding->arena);
        prepared->parameters = binding->parameters;
        prepared->parameter_count = parameter_count;
        prepared->row_count = binding->row_count;
    }
    pthread_mutex_unlock(&session->lock);
    arena_free(is_used ? NULL : old);
    flight__prepared_unref(session, prepared);
    return is_used ? errinfo_set(&binding->call->info, ERR_BUSY, "55006",
                                 "the statement is running: nothing can be bound to it now")
                   : ERR_OK;
}
