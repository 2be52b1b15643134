/* Grants as people write them. What is printed can be given back to GRANT: masks by the name of
 * the built-in, columns and masks in the relation's order so that equal grants print alike. Grants
 * that differ print differently: stores are compared by what is printed. */
#include "policy/policy_int.h"
#include "sql/ast.h"
#include "sql/scan.h"

static void print_word(struct slice name, struct buf *out)
{
    struct sql_name shown = {.name = name};
    sql_print_name(out, &shown);
}

static bool lists(const struct grant *grant, uint32_t id)
{
    for (size_t i = 0; i < grant->column_count; i++) {
        if (grant->column_ids[i] == id) {
            return true;
        }
    }
    return false;
}

static void print_columns(const struct grant *grant, const struct relation *relation,
                          struct buf *out)
{
    const char *before = " (";
    for (size_t i = 0; i < relation->column_count; i++) {
        if (lists(grant, relation->columns[i].id)) {
            buf_append_str(out, before);
            print_word(relation->columns[i].name, out);
            before = ", ";
        }
    }
    for (size_t i = 0; i < grant->column_count; i++) {
        if (policy__column(relation, grant->column_ids[i]) == NULL) {
            buf_append_str(out, before);
            buf_append_char(out, '?');
            before = ", ";
        }
    }
    buf_append_char(out, ')');
}

/* ---- masks, back to what was written ---- */

static bool is_name(const struct token *token)
{
    return token->kind == TOKEN_WORD || token->kind == TOKEN_QUOTED;
}

/* Equal but for how names are quoted and spaced. */
static bool is_same(const struct token *a, size_t a_count, const struct token *b, size_t b_count,
                    struct arena *arena)
{
    for (size_t i = 0; a_count == b_count && i < a_count; i++) {
        struct slice left = a[i].text;
        struct slice right = b[i].text;
        bool are_names = is_name(&a[i]) && is_name(&b[i]);
        if (are_names &&
            (!token_identifier(&a[i], arena, &left) || !token_identifier(&b[i], arena, &right))) {
            return false;
        }
        if (are_names ? !slice_equal_fold(left, right) : !slice_equal(left, right)) {
            return false;
        }
    }
    return a_count == b_count;
}

/* `null`, `year(c)` and their kin; false if the mask is none of them. */
static bool print_plain(const struct token *tokens, size_t count,
                        const struct relation_column *column, struct arena *arena, struct buf *out)
{
    static const char *const calls[] = {
        [MASK_NULL] = "null", [MASK_YEAR] = "year", [MASK_MONTH] = "month", [MASK_DAY] = "day"};
    for (enum mask_part part = MASK_NULL; part <= MASK_DAY; part++) {
        struct buf text CLEANUP(buf_fini) = {0};
        struct token *expanded;
        size_t expanded_count;
        if (!policy__mask_plain(part, column, &text) || buf_failed(&text) ||
            policy__tokens(buf_slice(&text), arena, &expanded, &expanded_count, NULL) != ERR_OK ||
            !is_same(tokens, count, expanded, expanded_count, arena)) {
            continue;
        }
        buf_append_str(out, calls[part]);
        if (part != MASK_NULL) {
            buf_append_char(out, '(');
            print_word(column->name, out);
            buf_append_char(out, ')');
        }
        return true;
    }
    return false;
}

/* Index of the token that closes the parenthesis at `open`, or `count`. */
static size_t find_close(const struct token *tokens, size_t count, size_t open)
{
    size_t depth = 0;
    for (size_t i = open; i < count; i++) {
        if (token_is_operator(&tokens[i], "(")) {
            depth++;
        } else if (token_is_operator(&tokens[i], ")") && --depth == 0) {
            return i;
        }
    }
    return count;
}

/* At `__moat_hash ( CAST ( x AS VARCHAR ) )`: the bounds of x. */
static bool find_hashed(const struct token *tokens, size_t count, size_t at, size_t *ret_first,
                        size_t *ret_end)
{
    if (at + 4 >= count || !token_is_operator(&tokens[at + 1], "(") ||
        !token_is(&tokens[at + 2], "cast") || !token_is_operator(&tokens[at + 3], "(")) {
        return false;
    }
    size_t close = find_close(tokens, count, at + 3);
    if (close + 1 >= count || close < at + 7 || !token_is_operator(&tokens[close + 1], ")") ||
        !token_is(&tokens[close - 1], "varchar") || !token_is(&tokens[close - 2], "as")) {
        return false;
    }
    *ret_first = at + 4;
    *ret_end = close - 2;
    return true;
}

/* Copies `text`, giving Moat's own functions the names under which people know them. The engine's
 * sha256, which has no key, is quoted: so it never reads as ours, and GRANT takes it as the
 * engine's again. */
static void print_renamed(struct slice text, const struct token *tokens, size_t count,
                          struct buf *out)
{
    static const char *const names[][2] = {{"__moat_redact", "redact"},
                                           {"__moat_show_first", "show_first"},
                                           {"__moat_show_last", "show_last"}};
    size_t written = 0;
    for (size_t i = 0; i < count; i++) {
        size_t first;
        size_t end;
        bool is_plain_hash = tokens[i].kind == TOKEN_WORD && token_is(&tokens[i], "sha256") &&
                             i + 1 < count && token_is_operator(&tokens[i + 1], "(");
        const char *name = is_plain_hash ? "\"sha256\"" : NULL;
        for (size_t n = 0; n < ARRAY_COUNT(names); n++) {
            name = token_is(&tokens[i], names[n][0]) ? names[n][1] : name;
        }
        if (name != NULL) {
            buf_append(out, text.ptr + written, tokens[i].offset - written);
            buf_append_str(out, name);
            written = tokens[i].offset + tokens[i].text.len;
        } else if (token_is(&tokens[i], "__moat_hash") &&
                   find_hashed(tokens, count, i, &first, &end)) {
            const struct token *last = &tokens[end - 1];
            buf_append(out, text.ptr + written, tokens[i].offset - written);
            buf_append_str(out, "sha256(");
            buf_append(out, text.ptr + tokens[first].offset,
                       last->offset + last->text.len - tokens[first].offset);
            buf_append_char(out, ')');
            written = tokens[end + 3].offset + 1;
            i = end + 3;
        }
    }
    buf_append(out, text.ptr + written, text.len - written);
}

static enum err print_mask(const struct grant_mask *mask, const struct relation *relation,
                           const struct sql_namer *namer, struct arena *arena, struct buf *out,
                           struct errinfo *info)
{
    const struct relation_column *column = policy__column(relation, mask->column_id);
    struct slice text;
    struct token *tokens;
    size_t count;
    TRY(sql_expression_display(mask->expression, relation, namer, arena, &text, info));
    TRY(policy__tokens(text, arena, &tokens, &count, info));
    if (column == NULL) {
        buf_append_char(out, '?');
    } else {
        print_word(column->name, out);
    }
    buf_append_str(out, " = ");
    if (column == NULL || !print_plain(tokens, count, column, arena, out)) {
        print_renamed(text, tokens, count, out);
    }
    return ERR_OK;
}

static enum err print_masks(const struct grant *grant, const struct relation *relation,
                            const struct sql_namer *namer, struct arena *arena, struct buf *out,
                            struct errinfo *info)
{
    const char *before = " MASKED WITH (";
    for (size_t c = 0; c <= relation->column_count; c++) {
        for (size_t i = 0; i < grant->mask_count; i++) {
            const struct grant_mask *mask = &grant->masks[i];
            bool is_next = c < relation->column_count
                               ? mask->column_id == relation->columns[c].id
                               : policy__column(relation, mask->column_id) == NULL;
            if (is_next) {
                buf_append_str(out, before);
                TRY(print_mask(mask, relation, namer, arena, out, info));
                before = ", ";
            }
        }
    }
    buf_append_str(out, grant->mask_count > 0 ? ")" : "");
    return ERR_OK;
}

void policy_print_privileges(unsigned privileges, struct buf *out)
{
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {{PRIVILEGE_SELECT, "SELECT"},
                 {PRIVILEGE_CREATE, "CREATE"},
                 {PRIVILEGE_INSERT, "INSERT"},
                 {PRIVILEGE_UPDATE, "UPDATE"},
                 {PRIVILEGE_DELETE, "DELETE"}};
    const char *before = "";
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        if ((privileges & names[i].bit) != 0) {
            buf_printf(out, "%s%s", before, names[i].name);
            before = ", ";
        }
    }
}

enum err policy_print_grant(const struct grant *grant, const struct relation *relation,
                            const struct sql_namer *namer, struct arena *arena,
                            struct slice *ret_text, struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct sql_name object = relation->name;
    if (slice_equal_fold(object.catalog, SLICE(SQL_CATALOG_DEFAULT))) {
        object.catalog = (struct slice){"", 0};
    }
    policy_print_privileges(grant->privileges, &text);
    if (!grant->all_columns) {
        print_columns(grant, relation, &text);
    }
    buf_append_str(&text, " ON ");
    sql_print_name(&text, &object);
    buf_append_str(&text, grant->grantee_kind == GRANTEE_ROLE ? " TO ROLE " : " TO USER ");
    print_word(grant->grantee, &text);
    if (grant->rows.len > 0) {
        struct slice rows;
        TRY(sql_expression_display(grant->rows, relation, namer, arena, &rows, info));
        buf_append_str(&text, " ROWS WHERE ");
        buf_append_slice(&text, rows);
    }
    TRY(print_masks(grant, relation, namer, arena, &text, info));
    if (buf_failed(&text) || !arena_slice(arena, buf_slice(&text), ret_text)) {
        return errinfo_nomem(info);
    }
    return ERR_OK;
}

/* Without the outermost parentheses, if they are one pair. */
static struct slice without_outer(struct slice text, const struct token *tokens, size_t count)
{
    size_t depth = 0;
    if (count < 3 || !token_is_operator(&tokens[0], "(")) {
        return text;
    }
    for (size_t i = 0; i < count; i++) {
        depth += token_is_operator(&tokens[i], "(");
        depth -= token_is_operator(&tokens[i], ")");
        if (depth == 0 && i + 1 < count) {
            return text;
        }
    }
    return (struct slice){text.ptr + 1, text.len - 2};
}

enum err policy_print_expression(struct slice expression, const struct relation *relation,
                                 const struct sql_namer *namer, struct arena *arena,
                                 struct slice *ret_text, struct errinfo *info)
{
    struct slice text;
    struct token *tokens;
    size_t count;
    TRY(sql_expression_display(expression, relation, namer, arena, &text, info));
    TRY(policy__tokens(text, arena, &tokens, &count, info));
    text = without_outer(slice_trim(text), tokens, count);
    TRY(policy__tokens(text, arena, &tokens, &count, info));
    struct buf out CLEANUP(buf_fini) = {0};
    print_renamed(text, tokens, count, &out);
    return !buf_failed(&out) && arena_slice(arena, buf_slice(&out), ret_text) ? ERR_OK
                                                                              : errinfo_nomem(info);
}
