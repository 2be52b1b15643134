/* In which order rewrite_data_files writes rows: the table's, one that is said, or that of a curve
 * which keeps near what is near in each of several columns. */
#include "query/maintain/maintain_int.h"

#include "query/dml/dml_int.h"
#include "sql/alter.h"
#include "sql/scan.h"

/* "zorder(a, b.c)": the names; false if the text is something else. */
static bool read_curve(struct slice text, struct arena *arena, struct slice *names, size_t most,
                       size_t *ret_count)
{
    struct scanner scanner;
    struct token token;
    size_t count = 0;
    scanner_init(&scanner, text);
    bool is_curve = scanner_next(&scanner, &token, NULL) == ERR_OK && token_is(&token, "zorder") &&
                    scanner_next(&scanner, &token, NULL) == ERR_OK &&
                    token_is_operator(&token, "(");
    for (bool has_more = is_curve; has_more && is_curve;) {
        struct slice name = {"", 0};
        is_curve = scanner_next(&scanner, &token, NULL) == ERR_OK &&
                   (token.kind == TOKEN_WORD || token.kind == TOKEN_QUOTED) &&
                   token_identifier(&token, arena, &name) &&
                   scanner_next(&scanner, &token, NULL) == ERR_OK;
        while (is_curve && token_is_operator(&token, ".")) {
            struct slice part = {"", 0};
            is_curve = scanner_next(&scanner, &token, NULL) == ERR_OK &&
                       token_identifier(&token, arena, &part) &&
                       scanner_next(&scanner, &token, NULL) == ERR_OK;
            char *both = arena_printf(arena, "%.*s.%.*s", SLICE_ARGS(name), SLICE_ARGS(part));
            is_curve = is_curve && both != NULL;
            name = both == NULL ? name : slice_of(both);
        }
        if (count < most) {
            names[count] = name;
        }
        count++;
        has_more = is_curve && token_is_operator(&token, ",");
        is_curve = is_curve && (has_more || token_is_operator(&token, ")"));
    }
    *ret_count = count;
    return is_curve && scanner_next(&scanner, &token, NULL) == ERR_OK && token.kind == TOKEN_END;
}

static enum err use_curve(struct maintain *call, struct dml *dml, const struct slice *names,
                          size_t count, struct errinfo *info)
{
    struct arena *arena = call->query->arena;
    struct iceberg_evolution *evolution;
    int32_t *ids = arena_calloc(arena, LAKE_WRITE_CURVE_MAX, sizeof(*ids));
    if (count < 2 || count > LAKE_WRITE_CURVE_MAX) {
        return errinfo_set(info, ERR_INVALID, "22023", "zorder(...) takes 2 to %u columns",
                           LAKE_WRITE_CURVE_MAX);
    }
    TRY(ids == NULL ? errinfo_nomem(info)
                    : iceberg_evolve_open(dml->metadata, arena, &evolution, info));
    for (size_t i = 0; i < count; i++) {
        struct iceberg_path path;
        TRY(ddl_path(dml->write.schema, names[i], arena, &path, info));
        const struct iceberg_field *field = iceberg_evolve_find(evolution, path);
        if (field == NULL || field->type.field_count > 0) {
            return errinfo_set(info, ERR_NOT_FOUND, "42703",
                               "table \"%.*s\" has no column \"%.*s\" to sort by",
                               SLICE_ARGS(dml->name), SLICE_ARGS(names[i]));
        }
        ids[i] = field->id;
    }
    dml->write.curve_ids = ids;
    dml->write.curve_count = count;
    return ERR_OK;
}

/* By the words of ALTER TABLE ... SET SORTED BY (...). */
static enum err use_order(struct maintain *call, struct dml *dml, struct slice text,
                          struct errinfo *info)
{
    struct arena *arena = call->query->arena;
    struct statement parsed;
    struct iceberg_sort_want *wants;
    struct iceberg_evolution *evolution;
    struct iceberg_sort_order *order = arena_calloc(arena, 1, sizeof(*order));
    char *whole = arena_printf(arena, "ALTER TABLE t SET SORTED BY (%.*s\n)", SLICE_ARGS(text));
    if (order == NULL || whole == NULL) {
        return errinfo_nomem(info);
    }
    if (statement_parse(slice_of(whole), arena, &parsed, NULL) != ERR_OK ||
        parsed.alter_count != 1 || parsed.alters[0].sort_count == 0) {
        (void)errinfo_set(info, ERR_SYNTAX, NULL, "\"%.*s\" is no order of rows", SLICE_ARGS(text));
        errinfo_hint(info, "Such as 'a DESC NULLS LAST, bucket(4, b)' or 'zorder(a, b)'.");
        return ERR_SYNTAX;
    }
    const struct statement_alter *action = &parsed.alters[0];
    TRY(iceberg_evolve_open(dml->metadata, arena, &evolution, info));
    TRY(ddl_sorts(dml->write.schema, action->sorts, action->sort_count, arena, &wants, info));
    TRY(iceberg_evolve_order(evolution, wants, action->sort_count, info));
    iceberg_evolve_sorts(evolution, &order->fields, &order->field_count);
    dml->write.order = order;
    return ERR_OK;
}

enum err maintain_read_order(struct maintain *call, struct dml *dml,
                             const struct maintain_value *strategy,
                             const struct maintain_value *order, struct errinfo *info)
{
    struct slice names[LAKE_WRITE_CURVE_MAX];
    size_t count;
    bool is_sort = strategy->is_given && slice_equal_fold(strategy->text, SLICE("sort"));
    if (strategy->is_given && !is_sort && !slice_equal_fold(strategy->text, SLICE("binpack"))) {
        (void)errinfo_set(info, ERR_INVALID, "22023",
                          "\"strategy\" is \"binpack\" or \"sort\", not \"%.*s\"",
                          SLICE_ARGS(strategy->text));
        errinfo_hint(info, "Along a z-order curve: sort_order => 'zorder(a, b)'.");
        return ERR_INVALID;
    }
    if (!order->is_given) {
        if (is_sort && lake_write_order(&dml->write) == NULL) {
            (void)errinfo_set(info, ERR_INVALID, "22023", "table \"%.*s\" has no order",
                              SLICE_ARGS(dml->name));
            errinfo_hint(info, "Say one with sort_order => 'column, ...'.");
            return ERR_INVALID;
        }
        return ERR_OK;
    }
    if (strategy->is_given && !is_sort) {
        return errinfo_set(info, ERR_INVALID, "22023", "\"sort_order\" is for the strategy sort");
    }
    return read_curve(order->text, call->query->arena, names, ARRAY_COUNT(names), &count)
               ? use_curve(call, dml, names, count, info)
               : use_order(call, dml, order->text, info);
}
