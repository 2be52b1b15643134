/* The cursor that the skeleton parser's files share: one token of look-ahead, no look-back. */
#pragma once

#include "base/buf.h"
#include "sql/scan.h"
#include "sql/statement.h"

struct cursor {
    struct scanner scanner;
    struct token token; /* the current one */
    size_t end;         /* behind the token before it */
    bool is_secret;     /* a password was read: errors quote nothing from here on */
    struct arena *arena;
    struct errinfo *info;
};

MUST_USE enum err cursor_next(struct cursor *c);

/* "syntax error at or near "x": expected ..." at the current token. */
MUST_USE enum err cursor_expected(struct cursor *c, const char *what);

/* Steps over `word` if it is the current token; `ret_taken` says. */
MUST_USE enum err cursor_accept(struct cursor *c, const char *word, bool *ret_taken);
MUST_USE enum err cursor_accept_operator(struct cursor *c, const char *text, bool *ret_taken);
MUST_USE enum err cursor_expect(struct cursor *c, const char *word);
MUST_USE enum err cursor_expect_operator(struct cursor *c, const char *text);
MUST_USE enum err cursor_expect_end(struct cursor *c);

MUST_USE enum err cursor_identifier(struct cursor *c, const char *what, struct slice *ret_name);
MUST_USE enum err cursor_name(struct cursor *c, struct sql_name *ret_name);
/* table.column, with up to two parts more before it. */
MUST_USE enum err cursor_column(struct cursor *c, struct sql_name *ret_table,
                                struct slice *ret_column);
/* schema or catalog.schema: as `catalog` and `name`. */
MUST_USE enum err cursor_schema(struct cursor *c, struct sql_name *ret_name);
MUST_USE enum err cursor_string(struct cursor *c, const char *what, struct slice *ret_value);

/* A constant ready to print: string, number with sign, true, false, null. */
MUST_USE enum err cursor_literal(struct cursor *c, struct slice *ret_literal);

/* IF [NOT] EXISTS. */
MUST_USE enum err cursor_if_exists(struct cursor *c, bool with_not, bool *ret_given);

/* The rest of the statement, at least one token of it. */
MUST_USE enum err cursor_rest(struct cursor *c, const char *what, struct slice *ret_text);

/* Tokens up to one of `stops` (words), or to a comma or a bracket that was not opened here,
 * at depth 0; at least one. Stops at the end otherwise. */
MUST_USE enum err cursor_expression(struct cursor *c, const char *const *stops, size_t stop_count,
                                    bool until_comma, struct slice *ret_text);

/* API before KEY or KEYS; the current token is then that word. */
MUST_USE enum err cursor_accept_api(struct cursor *c, bool *ret_taken);

/* (a, b, c) of identifiers. */
MUST_USE enum err cursor_name_list(struct cursor *c, const struct slice **ret_names,
                                   size_t *ret_count);
/* (key = literal | key literal, ...) */
MUST_USE enum err cursor_options(struct cursor *c, const struct relation_option **ret_options,
                                 size_t *ret_count);

/* What was gathered, in the arena. */
MUST_USE enum err cursor_keep(struct cursor *c, const struct buf *items, const void **ret_items);
/* bucket(16, a), a.b ... */
MUST_USE enum err parse_transform(struct cursor *c, struct statement_transform *out);
/* a [ASC | DESC] [NULLS FIRST | LAST], ..., in brackets or not. */
MUST_USE enum err parse_sorts(struct cursor *c, const struct statement_sort **ret_sorts,
                              size_t *ret_count);
MUST_USE enum err parse_alter_table(struct cursor *c, struct statement *s);
/* a = expression, b.c = expression, (d, e) = (expression, expression), up to one of `ends`. */
MUST_USE enum err parse_assignments(struct cursor *c, const char *const *ends, size_t end_count,
                                    struct statement_assignments *ret_assignments);
/* [RETURNING columns], and the end. */
MUST_USE enum err parse_returning(struct cursor *c, struct statement *s);

/* One function a family; the current token is behind the first word. */
MUST_USE enum err parse_create(struct cursor *c, struct statement *s);
MUST_USE enum err parse_create_api_key(struct cursor *c, struct statement *s);
MUST_USE enum err parse_revoke_api_key(struct cursor *c, struct statement *s);
MUST_USE enum err parse_attach(struct cursor *c, struct statement *s);
MUST_USE enum err parse_detach(struct cursor *c, struct statement *s);
MUST_USE enum err parse_temp_table(struct cursor *c, struct statement *s);
MUST_USE enum err parse_managed_table(struct cursor *c, struct statement *s);
MUST_USE enum err parse_insert(struct cursor *c, struct statement *s);
MUST_USE enum err parse_update(struct cursor *c, struct statement *s);
MUST_USE enum err parse_delete(struct cursor *c, struct statement *s);
MUST_USE enum err parse_merge(struct cursor *c, struct statement *s);
MUST_USE enum err parse_truncate(struct cursor *c, struct statement *s);
MUST_USE enum err parse_comment(struct cursor *c, struct statement *s);
/* The current token is the first word itself. */
MUST_USE enum err parse_transaction(struct cursor *c, struct statement *s);
MUST_USE enum err parse_call(struct cursor *c, struct statement *s);
MUST_USE enum err parse_drop(struct cursor *c, struct statement *s);
MUST_USE enum err parse_alter(struct cursor *c, struct statement *s);
MUST_USE enum err parse_grant(struct cursor *c, struct statement *s);
MUST_USE enum err parse_deny(struct cursor *c, struct statement *s);
MUST_USE enum err parse_revoke(struct cursor *c, struct statement *s);
MUST_USE enum err parse_show(struct cursor *c, struct statement *s);
MUST_USE enum err parse_check(struct cursor *c, struct statement *s);
MUST_USE enum err parse_describe(struct cursor *c, struct statement *s);
