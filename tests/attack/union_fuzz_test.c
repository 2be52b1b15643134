/* Goal: whatever grants a person has, the engine shows exactly the union per cell.
 * Method: random ALLOW and DENY to a user and two roles over a small table with NULLs, also with
 * subqueries over a mapping table; random projections and conditions; an oracle computes each cell
 * of each row from the grants by the rules of docs/policy.md, slowly and without SQL. */
#include "doors.h"

#include "arrow/value.h"
#include "base/io.h"

#define ROWS 12
#define COLUMNS 4 /* id and b are numbers; a and c are texts; all but id may be NULL */
#define GRANTS_MAX 6

static const char *const column_names[COLUMNS] = {"id", "a", "b", "c"};

struct cell {
    bool is_null;
    char text[16];
};

static struct cell table[ROWS][COLUMNS];

/* One condition of a family that the oracle can decide: three-valued, as SQL is. */
struct condition {
    int column; /* -1: none, always true */
    enum comparison {
        EQUALS,
        GREATER,
        IS_NULL,
        DIFFERS,
        IS_CLAIM, /* that nobody has: never known */
        IN_MAP,   /* column IN (SELECT letter FROM map WHERE person = current_user AND kind = n) */
        NOT_IN_MAP, /* ... NOT IN ... */
        EXISTS_MAP  /* EXISTS (SELECT * FROM map WHERE letter = column AND ...) */
    } operator;
    char constant[16];
    bool uses_claim;
};

struct rule {
    bool is_deny;
    int grantee; /* 0 user, 1 role r1 (through two others), 2 role r2 (which the user does not
                  * have), 3 everybody */
    bool columns[COLUMNS];
    bool masked[COLUMNS]; /* to NULL, or for texts to a constant or to what b says */
    bool mask_constant[COLUMNS];
    bool mask_reads[COLUMNS];
    struct condition rows;
};

enum truth {
    FALSE_,
    TRUE_,
    UNKNOWN
};

/* The mapping: for kind 0 nobody's letters, 1 some, 2 some and NULL. Another person's are in it. */
static const char map_csv[] = "person,kind,letter\n"
                              "eve,1,p\neve,1,q\neve,2,q\neve,2,\n"
                              "bob,0,p\nbob,0,\nbob,1,r\nbob,2,p\n";

static enum truth decide_map(const struct condition *condition, const struct cell *cell)
{
    char kind = condition->constant[0];
    bool is_found = !cell->is_null && ((kind == '1' && strchr("pq", cell->text[0]) != NULL) ||
                                       (kind == '2' && cell->text[0] == 'q'));
    if (condition->operator== EXISTS_MAP) {
        return is_found ? TRUE_ : FALSE_;
    }
    enum truth truth = is_found ? TRUE_ : FALSE_;
    if (!is_found && (kind == '2' || (kind == '1' && cell->is_null))) {
        return UNKNOWN; /* compared with NULL */
    }
    if (condition->operator== NOT_IN_MAP) {
        truth = truth == TRUE_ ? FALSE_ : TRUE_;
    }
    return truth;
}

static enum truth decide(const struct condition *condition, int row)
{
    if (condition->column < 0) {
        return TRUE_;
    }
    const struct cell *cell = &table[row][condition->column];
    if (condition->operator>= IN_MAP) {
        return decide_map(condition, cell);
    }
    if (condition->operator== IS_NULL) {
        return cell->is_null ? TRUE_ : FALSE_;
    }
    if (cell->is_null || condition->operator== IS_CLAIM) {
        return UNKNOWN;
    }
    if (condition->operator== GREATER) {
        return strtol(cell->text, NULL, 10) > strtol(condition->constant, NULL, 10) ? TRUE_
                                                                                    : FALSE_;
    }
    bool is_equal = strcmp(cell->text, condition->constant) == 0;
    return is_equal == (condition->operator== EQUALS) ? TRUE_ : FALSE_;
}

static void make_table(const char *path)
{
    struct buf csv CLEANUP(buf_fini) = {0};
    buf_append_str(&csv, "id,a,b,c\n");
    for (int r = 0; r < ROWS; r++) {
        table[r][1].is_null = r % 5 == 4;
        table[r][2].is_null = r % 4 == 3;
        table[r][3].is_null = r % 6 == 5;
        (void)snprintf(table[r][0].text, sizeof(table[r][0].text), "%d", r);
        (void)snprintf(table[r][1].text, sizeof(table[r][1].text), "%c", 'p' + r % 3);
        (void)snprintf(table[r][2].text, sizeof(table[r][2].text), "%d", r % 4);
        (void)snprintf(table[r][3].text, sizeof(table[r][3].text), "c%d", r);
        for (int c = 0; c < COLUMNS; c++) {
            buf_append_str(&csv, table[r][c].is_null ? "" : table[r][c].text);
            buf_append_char(&csv, c + 1 == COLUMNS ? '\n' : ',');
        }
    }
    CHECK_OK(io_write_file_atomic(path, buf_slice(&csv), 0600, NULL));
}

static struct condition random_condition(uint64_t *seed)
{
    struct condition condition = {.column = (int)test_random_below(seed, COLUMNS + 2) - 2};
    if (condition.column < 0) {
        condition.column = -1;
        return condition;
    }
    bool is_number = condition.column == 0 || condition.column == 2;
    condition.operator=(enum comparison) test_random_below(seed, 5);
    if (!is_number && condition.operator== GREATER) {
        condition.operator= EQUALS;
    }
    if (is_number) {
        (void)snprintf(condition.constant, sizeof(condition.constant), "%d",
                       (int)test_random_below(seed, 5));
    } else {
        (void)snprintf(condition.constant, sizeof(condition.constant), "%c",
                       (int)('p' + test_random_below(seed, 3)));
        condition.uses_claim = condition.operator== EQUALS && strcmp(condition.constant, "q") == 0;
    }
    return condition;
}

/* For policies only: whoever asks does not see the mapping. */
static struct condition random_policy_condition(uint64_t *seed)
{
    struct condition condition = {.column = 1};
    if (test_random_below(seed, 3) != 0) {
        return random_condition(seed);
    }
    condition.operator=(enum comparison)(IN_MAP + test_random_below(seed, 3));
    condition.constant[0] = (char)('0' + test_random_below(seed, 3));
    return condition;
}

static struct rule random_rule(uint64_t *seed)
{
    struct rule rule = {.is_deny = test_random_below(seed, 5) == 0,
                        .grantee = (int)test_random_below(seed, 9) % 4,
                        .rows = random_policy_condition(seed)};
    for (int c = 0; c < COLUMNS; c++) {
        rule.columns[c] = test_random_below(seed, rule.is_deny ? 4 : 3) != 0;
        rule.masked[c] = rule.columns[c] && !rule.is_deny && test_random_below(seed, 3) == 0;
        rule.mask_constant[c] = (c == 1 || c == 3) && test_random_below(seed, 2) == 0;
        rule.mask_reads[c] = rule.mask_constant[c] && test_random_below(seed, 2) == 0;
    }
    return rule;
}

static bool has_columns(const struct rule *rule, bool all)
{
    size_t count = 0;
    for (int c = 0; c < COLUMNS; c++) {
        count += rule->columns[c];
    }
    return all ? count == COLUMNS : count > 0;
}

static void print_condition(const struct condition *condition, struct buf *out)
{
    const char *name = column_names[condition->column];
    bool is_number = condition->column == 0 || condition->column == 2;
    if (condition->operator== EXISTS_MAP) {
        buf_printf(out,
                   "EXISTS (SELECT * FROM map AS m WHERE m.letter = small.%s AND person = "
                   "current_user AND kind = %s)",
                   name, condition->constant);
    } else if (condition->operator>= IN_MAP) {
        buf_printf(out,
                   "%s %sIN (SELECT letter FROM map WHERE person = current_user AND kind = %s)",
                   name, condition->operator== IN_MAP ? "" : "NOT ", condition->constant);
    } else if (condition->operator== IS_NULL) {
        buf_printf(out, "%s IS NULL", name);
    } else if (condition->operator== IS_CLAIM) {
        buf_printf(out, "CAST(%s AS VARCHAR) <> claim('nothing')", name);
    } else if (condition->uses_claim) {
        buf_printf(out, "claim('letter') = %s", name);
    } else {
        buf_printf(out, is_number ? "%s %s %s" : "%s %s '%s'", name,
                   condition->operator== GREATER   ? ">"
                   : condition->operator== DIFFERS ? "<>"
                                                   : "=",
                   condition->constant);
    }
}

static void grant(struct fixture *fixture, const struct rule *rule)
{
    static const char *const grantees[] = {"USER eve", "ROLE r1", "ROLE r2", "ROLE public"};
    struct buf sql CLEANUP(buf_fini) = {0};
    bool is_first = true;
    buf_append_str(&sql, rule->is_deny ? "DENY SELECT" : "GRANT SELECT");
    for (int c = 0; c < COLUMNS && !has_columns(rule, true); c++) {
        if (rule->columns[c]) {
            buf_printf(&sql, "%s%s", is_first ? " (" : ", ", column_names[c]);
            is_first = false;
        }
    }
    buf_append_str(&sql, is_first ? "" : ")");
    buf_printf(&sql, " ON small TO %s", grantees[rule->grantee]);
    if (rule->rows.column >= 0) {
        buf_append_str(&sql, " ROWS WHERE ");
        print_condition(&rule->rows, &sql);
    }
    is_first = true;
    for (int c = 0; c < COLUMNS; c++) {
        if (rule->masked[c]) {
            buf_printf(&sql, "%s%s = %s", is_first ? " MASKED WITH (" : ", ", column_names[c],
                       rule->mask_reads[c]      ? "CASE WHEN b > 1 THEN 'hi' ELSE 'lo' END"
                       : rule->mask_constant[c] ? "'***'"
                                                : "null");
            is_first = false;
        }
    }
    buf_append_str(&sql, is_first ? "" : ")");
    fixture_must(fixture->owner, buf_cstr(&sql));
}

/* The oracle. */
static bool column_visible(const struct rule *rules, int count, int column)
{
    bool is_given = false;
    for (int i = 0; i < count; i++) {
        const struct rule *rule = &rules[i];
        if (rule->grantee == 2 || !rule->columns[column]) {
            continue;
        }
        if (rule->is_deny && rule->rows.column < 0) {
            return false;
        }
        is_given = is_given || !rule->is_deny;
    }
    return is_given;
}

static bool row_visible(const struct rule *rules, int count, int row)
{
    bool is_shown = false;
    for (int i = 0; i < count; i++) {
        const struct rule *rule = &rules[i];
        if (rule->grantee == 2) {
            continue;
        }
        enum truth truth = decide(&rule->rows, row);
        if (rule->is_deny && rule->rows.column >= 0 && has_columns(rule, true) && truth != FALSE_) {
            return false;
        }
        is_shown = is_shown || (!rule->is_deny && truth == TRUE_);
    }
    return is_shown;
}

static struct cell cell_shown(const struct rule *rules, int count, int row, int column)
{
    struct cell null = {.is_null = true};
    struct cell shown = null;
    bool is_decided = false;
    for (int i = 0; i < count; i++) {
        const struct rule *rule = &rules[i];
        if (rule->grantee == 2 || !rule->columns[column]) {
            continue;
        }
        enum truth truth = decide(&rule->rows, row);
        if (rule->is_deny) {
            if (truth != FALSE_) {
                return null;
            }
        } else if (truth == TRUE_ && !rule->masked[column]) {
            shown = table[row][column];
            is_decided = true;
            break;
        }
    }
    for (int i = 0; i < count && !is_decided; i++) {
        const struct rule *rule = &rules[i];
        if (rule->grantee != 2 && !rule->is_deny && rule->columns[column] &&
            decide(&rule->rows, row) == TRUE_) {
            shown = null;
            if (rule->mask_constant[column]) {
                const struct cell *b = &table[row][2];
                bool is_high = !b->is_null && strtol(b->text, NULL, 10) > 1;
                const char *text = rule->mask_reads[column] ? is_high ? "hi" : "lo" : "***";
                (void)snprintf(shown.text, sizeof(shown.text), "%s", text);
                shown.is_null = false;
            }
            is_decided = true;
        }
    }
    for (int i = 0; i < count; i++) { /* a DENY behind a raw grant still wins */
        const struct rule *rule = &rules[i];
        if (rule->is_deny && rule->grantee != 2 && rule->columns[column] &&
            decide(&rule->rows, row) != FALSE_) {
            return null;
        }
    }
    return shown;
}

/* The answer to "SELECT visible columns FROM small WHERE seen": seen is a condition over what is
 * shown, which the oracle decides over the shown cells by swapping them in. */
static uint64_t expect(const struct rule *rules, int count, const struct condition *where,
                       bool is_join, struct buf *out, bool *ret_exists)
{
    uint64_t rows = 0;
    *ret_exists = false;
    for (int c = 0; c < COLUMNS; c++) {
        if (column_visible(rules, count, c)) {
            buf_printf(out, "%s|", column_names[c]);
            *ret_exists = true;
        }
    }
    buf_append_char(out, '\n');
    for (int r = 0; r < ROWS; r++) {
        if (!row_visible(rules, count, r)) {
            continue;
        }
        struct cell shown[COLUMNS];
        struct cell kept[COLUMNS];
        for (int c = 0; c < COLUMNS; c++) {
            shown[c] = cell_shown(rules, count, r, c);
        }
        memcpy(kept, table[r], sizeof(kept));
        memcpy(table[r], shown, sizeof(shown));
        enum truth truth = decide(where, r);
        memcpy(table[r], kept, sizeof(kept));
        if (truth != TRUE_ || (is_join && shown[0].is_null)) {
            continue;
        }
        for (int c = 0; c < COLUMNS; c++) {
            if (column_visible(rules, count, c)) {
                buf_printf(out, "%s|", shown[c].is_null ? "" : shown[c].text);
            }
        }
        buf_append_char(out, '\n');
        rows++;
    }
    return rows;
}

static void ask(struct fixture *fixture, const struct rule *rules, int count, uint64_t *seed)
{
    struct condition where = random_condition(seed);
    if (where.column >= 0 && !column_visible(rules, count, where.column)) {
        where.column = -1;
    }
    where.uses_claim = false;
    where.operator= where.operator== IS_CLAIM ? IS_NULL : where.operator;
    struct buf sql CLEANUP(buf_fini) = {0};
    struct buf expected CLEANUP(buf_fini) = {0};
    bool exists;
    bool is_join = test_random_below(seed, 3) == 0 && column_visible(rules, count, 0);
    uint64_t rows = expect(rules, count, &where, is_join, &expected, &exists);
    buf_append_str(&sql, is_join ? "SELECT x.* FROM (SELECT * FROM small" : "SELECT * FROM small");
    if (where.column >= 0) {
        buf_append_str(&sql, " WHERE ");
        print_condition(&where, &sql);
    }
    if (test_random_below(seed, 3) == 0) { /* through the barrier */
        buf_append_str(&sql, where.column >= 0 ? " AND " : " WHERE ");
        buf_append_str(&sql, "regexp_replace('x', 'y' || hash(1), '') = 'x'");
    }
    if (is_join) { /* with itself: an id that is shown is shown once */
        buf_append_str(&sql, ") x JOIN small y ON x.id = y.id ORDER BY x.id");
    }
    struct outcome outcome = fixture_run(fixture->eve, buf_slice(&sql));
    if (doors_translate(fixture->doors) && strcmp(outcome.sqlstate, "42883") == 0) {
        outcome_fini(&outcome); /* a function that it has not */
        return;
    }
    bool is_right = exists ? outcome.err == ERR_OK && outcome.rows == rows &&
                                 strcmp(buf_cstr(&outcome.text), buf_cstr(&expected)) == 0
                           : strcmp(outcome.sqlstate, "42P01") == 0;
    if (!is_right) {
        struct outcome grants = fixture_run(fixture->owner, SLICE("SHOW GRANTS ON small"));
        fail_msg("%s\nexpected:\n%s\ngot %s:\n%s\ngrants:\n%s", buf_cstr(&sql),
                 exists ? buf_cstr(&expected) : "42P01", outcome.sqlstate, buf_cstr(&outcome.text),
                 buf_cstr(&grants.text));
    }
    outcome_fini(&outcome);
}

TEST(attack, random_grants_show_the_union_per_cell)
{
    struct fixture f;
    uint64_t seed = test_seed();
    fixture_open(&f);
    char path[256];
    char sql[512];
    (void)snprintf(path, sizeof(path), "%s/small.csv", f.folder);
    make_table(path);
    char map[256];
    (void)snprintf(map, sizeof(map), "%s/map.csv", f.folder);
    CHECK_OK(io_write_file_atomic(map, slice_of(map_csv), 0600, NULL));
    (void)snprintf(sql, sizeof(sql), "CREATE EXTERNAL TABLE map LOCATION '%s'", map);
    fixture_must(f.owner, sql);
    fixture_must(f.owner, "CREATE ROLE r1");
    fixture_must(f.owner, "CREATE ROLE r2");
    fixture_must(f.owner, "CREATE ROLE r3");
    fixture_must(f.owner, "CREATE ROLE r4");
    fixture_must(f.owner, "GRANT ROLE r1 TO r3");
    fixture_must(f.owner, "GRANT ROLE r3 TO r4");
    fixture_must(f.owner, "GRANT ROLE r4 TO eve");
    fixture_must(f.owner, "ALTER USER eve SET ATTRIBUTE letter = 'q'");
    (void)snprintf(sql, sizeof(sql), "CREATE OR REPLACE EXTERNAL TABLE small LOCATION '%s'", path);
    int rounds = f.doors == NULL ? 60 : 10;
    for (int round = 0; round < rounds; round++) {
        fixture_must(f.owner, "DROP TABLE IF EXISTS small");
        fixture_must(f.owner, sql);
        struct rule rules[GRANTS_MAX];
        int count = 0;
        int wanted = 1 + (int)test_random_below(&seed, GRANTS_MAX);
        while (count < wanted) {
            rules[count] = random_rule(&seed);
            if (has_columns(&rules[count], false)) {
                grant(&f, &rules[count]);
                count++;
            }
        }
        for (int question = 0; question < 6; question++) {
            ask(&f, rules, count, &seed);
        }
    }
    fixture_close(&f);
}
