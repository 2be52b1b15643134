/* Declared types that only tables of a lake have: geometry and geography, at any depth.
 *
 * The engine says what it calls a type that was written, and has no such types, or others of the
 * name. So it is asked with a struct of its own in the place of each, and what was written is put
 * back into its answer. */
#include "query/dml/dml_int.h"

#include "query/run/run_int.h"
#include "sql/scan.h"

#define DEPTH_MAX 32 /* of parentheses in a type */
#define PLACEHOLDER "STRUCT(moat_shape_%zu BLOB)"

struct hider {
    struct scanner scanner;
    struct token token;
    struct buf hidden;
    struct slice *shapes; /* as written */
    size_t count;
    bool is_struct[DEPTH_MAX]; /* whose parentheses these are */
    unsigned depth;
    struct errinfo *info;
};

static enum err step(struct hider *h)
{
    return scanner_next(&h->scanner, &h->token, h->info);
}

static void keep(struct hider *h)
{
    buf_append_str(&h->hidden, h->hidden.len == 0 ? "" : " ");
    buf_append_slice(&h->hidden, h->token.text);
}

/* GEOGRAPHY ['(' anything ')'] */
static enum err hide(struct hider *h)
{
    struct slice shape = h->token.text;
    unsigned depth = 0;
    buf_append_str(&h->hidden, h->hidden.len == 0 ? "" : " ");
    buf_printf(&h->hidden, PLACEHOLDER, h->count);
    TRY(step(h));
    if (token_is_operator(&h->token, "(")) {
        do {
            depth += token_is_operator(&h->token, "(") ? 1 : 0;
            depth -= token_is_operator(&h->token, ")") ? 1 : 0;
            shape.len = (size_t)(h->token.text.ptr + h->token.text.len - shape.ptr);
            TRY(step(h));
        } while (depth > 0 && h->token.kind != TOKEN_END);
    }
    h->shapes[h->count++] = shape;
    return ERR_OK;
}

/* Names of fields are passed over: a field may be called geometry. */
static enum err hide_shapes(struct hider *h)
{
    bool is_name = false;
    bool is_after_struct = false;
    TRY(step(h));
    while (h->token.kind != TOKEN_END) {
        bool is_shape = token_is(&h->token, "geometry") || token_is(&h->token, "geography");
        if (is_shape && !is_name) {
            TRY(hide(h));
            continue;
        }
        if (token_is_operator(&h->token, "(")) {
            if (h->depth == DEPTH_MAX) {
                return errinfo_set(h->info, ERR_LIMIT, NULL,
                                   "a type is nested deeper than %d types", DEPTH_MAX);
            }
            h->is_struct[h->depth++] = is_after_struct;
        } else if (token_is_operator(&h->token, ")") && h->depth > 0) {
            h->depth--;
        }
        is_name = h->depth > 0 && h->is_struct[h->depth - 1] &&
                  (token_is_operator(&h->token, "(") || token_is_operator(&h->token, ","));
        is_after_struct = token_is(&h->token, "struct") || token_is(&h->token, "row");
        keep(h);
        TRY(step(h));
    }
    return ERR_OK;
}

/* What the engine calls the type, with what was written in the place of each placeholder. */
static enum err put_back(const struct hider *h, struct arena *arena, struct slice *type,
                         struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct slice rest = *type;
    for (size_t i = 0; i < h->count; i++) {
        char placeholder[64];
        (void)snprintf(placeholder, sizeof(placeholder), PLACEHOLDER, i);
        size_t at = slice_find(rest, slice_of(placeholder));
        if (at == SIZE_MAX) {
            return errinfo_set(info, ERR_INTERNAL, NULL, "the engine has lost a part of a type");
        }
        buf_append(&text, rest.ptr, at);
        buf_append_slice(&text, h->shapes[i]);
        at += strlen(placeholder);
        rest = (struct slice){rest.ptr + at, rest.len - at};
    }
    buf_append_slice(&text, rest);
    return !buf_failed(&text) && arena_slice(arena, buf_slice(&text), type) ? ERR_OK
                                                                            : errinfo_nomem(info);
}

static enum err hide_column(struct query *query, struct slice written, struct hider *ret_hider,
                            struct slice *ret_hidden, struct errinfo *info)
{
    struct hider h = {.info = info};
    h.shapes = arena_calloc(query->arena, written.len + 1, sizeof(*h.shapes));
    if (h.shapes == NULL) {
        return errinfo_nomem(info);
    }
    scanner_init(&h.scanner, written);
    enum err err = hide_shapes(&h);
    *ret_hidden = written;
    if (err == ERR_OK && h.count > 0 &&
        (buf_failed(&h.hidden) || !arena_slice(query->arena, buf_slice(&h.hidden), ret_hidden))) {
        err = errinfo_nomem(info);
    }
    buf_fini(&h.hidden);
    *ret_hider = h;
    return err;
}

enum err dml_declared_types(struct query *query, const struct statement *statement,
                            struct engine_column **ret_columns, size_t *ret_count,
                            struct errinfo *info)
{
    struct statement known = *statement;
    size_t count = statement->column_count;
    struct slice *types = arena_calloc(query->arena, count + 1, sizeof(*types));
    struct hider *hiders = arena_calloc(query->arena, count + 1, sizeof(*hiders));
    if (types == NULL || hiders == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        TRY(hide_column(query, statement->types[i], &hiders[i], &types[i], info));
    }
    known.types = types;
    TRY(run_declared_types(query, &known, ret_columns, ret_count, info));
    for (size_t i = 0; i < *ret_count; i++) {
        TRY(put_back(&hiders[i], query->arena, &(*ret_columns)[i].type, info));
    }
    return ERR_OK;
}
