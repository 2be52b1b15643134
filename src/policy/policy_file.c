/* The YAML file store: text to rules.
 *
 *     version: 1
 *     grants:
 *       - effect: allow              # or deny; omitted: allow
 *         on: main.orders            # [[catalog.]schema.]table; omitted schema: main
 *         to_role: analyst           # or to_user
 *         columns: [id, region]      # omitted: all
 *         rows: region = claim('region')
 *         masks: {email: sha256(email)}
 *
 * What is empty is never "all": a list, condition or mask that somebody left blank is refused,
 * because the wider meaning is the dangerous one. */
#include "policy/policy_int.h"
#include "policy/policy_yaml.h"
#include "sql/scan.h"

#define FILE_BYTES_MAX ((size_t)1 << 20)
#define RULES_MAX ((size_t)10000)

enum rule_key {
    KEY_EFFECT,
    KEY_ON,
    KEY_TO_ROLE,
    KEY_TO_USER,
    KEY_COLUMNS,
    KEY_ROWS,
    KEY_MASKS,
    KEY_PRIVILEGES
};

static const char *const rule_keys[] = {[KEY_EFFECT] = "effect",   [KEY_ON] = "on",
                                        [KEY_TO_ROLE] = "to_role", [KEY_TO_USER] = "to_user",
                                        [KEY_COLUMNS] = "columns", [KEY_ROWS] = "rows",
                                        [KEY_MASKS] = "masks",     [KEY_PRIVILEGES] = "privileges"};

static const char *const file_keys[] = {"version", "grants"};

/* A growing array of names and values, each with its line. */
struct item {
    struct slice name;
    struct slice value;
    unsigned line;
};

struct item_list {
    struct item *items;
    size_t count;
    size_t capacity;
};

static enum err push_item(struct policy_yaml *yaml, struct item_list *list, struct item item)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        struct item *grown = arena_calloc(yaml->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(yaml->info);
        }
        if (list->count > 0) {
            memcpy(grown, list->items, list->count * sizeof(*grown));
        }
        list->items = grown;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
    return ERR_OK;
}

static int compare_items(const void *left, const void *right)
{
    const struct item *a = left;
    const struct item *b = right;
    int order = slice_compare_fold(a->name, b->name);
    return order != 0 ? order : (a->line > b->line) - (a->line < b->line);
}

static enum err check_unique(struct policy_yaml *yaml, const struct item_list *list)
{
    struct item *sorted = arena_calloc(yaml->arena, list->count + 1, sizeof(*sorted));
    if (sorted == NULL) {
        return errinfo_nomem(yaml->info);
    }
    if (list->count > 0) {
        memcpy(sorted, list->items, list->count * sizeof(*sorted));
        qsort(sorted, list->count, sizeof(*sorted), compare_items);
    }
    for (size_t i = 1; i < list->count; i++) {
        if (slice_equal_fold(sorted[i - 1].name, sorted[i].name)) {
            return policy__yaml_error(yaml, sorted[i].line, "column \"%.*s\" is named twice",
                                      SLICE_ARGS(sorted[i].name));
        }
    }
    return ERR_OK;
}

/* ---- scalars ---- */

static enum err expect_scalar(struct policy_yaml *yaml, const char *what)
{
    if (yaml->event.type != YAML_SCALAR_EVENT) {
        return policy__yaml_error(yaml, yaml->line, "expected %s", what);
    }
    return ERR_OK;
}

/* What YAML would read as no text: null, a boolean or a number. */
static bool is_typed(struct slice text)
{
    static const char *const words[] = {"null", "~", "true", "false"};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (slice_equal_fold(slice_of(words[i]), text)) {
            return true;
        }
    }
    size_t digits = 0;
    for (size_t i = 0; i < text.len; i++) {
        char ch = text.ptr[i];
        digits += ch >= '0' && ch <= '9';
        if (!(ch >= '0' && ch <= '9') && strchr("+-._eExXoO", ch) == NULL) {
            return false;
        }
    }
    return digits > 0 && strchr("+-.0123456789", text.ptr[0]) != NULL;
}

static enum err read_name(struct policy_yaml *yaml, const char *what, struct slice *ret_name)
{
    TRY(expect_scalar(yaml, what));
    bool is_plain = policy__yaml_is_plain(yaml);
    struct slice name;
    TRY(policy__yaml_text(yaml, &name));
    if (name.len == 0) {
        return policy__yaml_error(yaml, yaml->line, "expected %s, found nothing", what);
    }
    if (is_plain && is_typed(name)) {
        enum err err =
            policy__yaml_error(yaml, yaml->line, "expected %s, found %.*s", what, SLICE_ARGS(name));
        errinfo_hint(yaml->info, "If it is a name, put it in quotes: \"%.*s\".", SLICE_ARGS(name));
        return err;
    }
    for (size_t i = 0; i < name.len; i++) {
        if ((unsigned char)name.ptr[i] < 0x20 || name.ptr[i] == 0x7f) {
            return policy__yaml_error(yaml, yaml->line, "a name holds a control character");
        }
    }
    *ret_name = name;
    return ERR_OK;
}

/* SQL text: `null`, `0` and `true` are SQL too, but nothing is not. */
static enum err read_sql(struct policy_yaml *yaml, const char *what, struct slice *ret_sql)
{
    TRY(expect_scalar(yaml, what));
    bool is_tilde = policy__yaml_is_plain(yaml) && yaml->event.data.scalar.length == 1 &&
                    yaml->event.data.scalar.value[0] == '~';
    struct slice text;
    TRY(policy__yaml_text(yaml, &text));
    text = slice_trim(text);
    if (text.len == 0 || is_tilde) {
        return policy__yaml_error(yaml, yaml->line, "expected %s, found nothing", what);
    }
    *ret_sql = text;
    return ERR_OK;
}

/* ---- keys ---- */

/* The present scalar as a key: its index, refusing what is unknown or repeated. */
static enum err read_key(struct policy_yaml *yaml, const char *const *keys, size_t key_count,
                         unsigned *seen, size_t *ret_key)
{
    struct slice text;
    TRY(expect_scalar(yaml, "a key"));
    TRY(policy__yaml_text(yaml, &text));
    unsigned nearest_distance = 3;
    const char *nearest = NULL;
    for (size_t i = 0; i < key_count; i++) {
        if (slice_equal(slice_of(keys[i]), text)) {
            if ((*seen >> i & 1u) != 0) {
                return policy__yaml_error(yaml, yaml->line, "key \"%s\" is given twice", keys[i]);
            }
            *seen |= 1u << i;
            *ret_key = i;
            return ERR_OK;
        }
        unsigned distance = slice_edit_distance(slice_of(keys[i]), text, nearest_distance);
        if (distance < nearest_distance) {
            nearest_distance = distance;
            nearest = keys[i];
        }
    }
    char allowed[128] = "";
    for (size_t i = 0, len = 0; i < key_count; i++) {
        len += (size_t)snprintf(allowed + len, sizeof(allowed) - len, "%s%s", i == 0 ? "" : ", ",
                                keys[i]);
    }
    (void)policy__yaml_error(yaml, yaml->line, "key \"%.*s\" is not known", SLICE_ARGS(text));
    if (nearest != NULL) {
        errinfo_hint(yaml->info, "Did you mean \"%s\"? Allowed: %s.", nearest, allowed);
    } else {
        errinfo_hint(yaml->info, "Allowed: %s.", allowed);
    }
    return ERR_INVALID;
}

/* ---- values of a rule ---- */

static enum err read_effect(struct policy_yaml *yaml, enum grant_effect *ret_effect)
{
    struct slice text;
    TRY(read_name(yaml, "allow or deny", &text));
    bool is_allow = slice_equal(text, SLICE("allow"));
    if (!is_allow && !slice_equal(text, SLICE("deny"))) {
        enum err err =
            policy__yaml_error(yaml, yaml->line, "effect \"%.*s\" is not known", SLICE_ARGS(text));
        errinfo_hint(yaml->info, "Allowed: allow, deny.");
        return err;
    }
    *ret_effect = is_allow ? GRANT_ALLOW : GRANT_DENY;
    return ERR_OK;
}

static enum err wrong_object(struct policy_yaml *yaml, struct slice text)
{
    enum err err =
        policy__yaml_error(yaml, yaml->line, "\"%.*s\" does not name a table", SLICE_ARGS(text));
    errinfo_hint(yaml->info, "Write schema.table, such as main.orders; quote parts as in SQL.");
    return err;
}

static enum err read_object(struct policy_yaml *yaml, struct sql_name *ret_name)
{
    struct slice text;
    struct token *tokens;
    size_t count;
    TRY(read_name(yaml, "the name of a table", &text));
    enum err err = policy__tokens(text, yaml->arena, &tokens, &count, yaml->info);
    if (err != ERR_OK) {
        return err == ERR_NOMEM ? err : wrong_object(yaml, text);
    }
    if (count != 1 && count != 3 && count != 5) {
        return wrong_object(yaml, text);
    }
    /* Never the session's schema: a file means the same whoever applies it. */
    struct slice parts[3] = {{"", 0}, SLICE(SQL_SCHEMA_DEFAULT), {"", 0}};
    size_t first = (5 - count) / 2;
    for (size_t i = 0; i < count; i++) {
        bool is_word = tokens[i].kind == TOKEN_WORD || tokens[i].kind == TOKEN_QUOTED;
        if (i % 2 == 0 ? !is_word : !token_is_operator(&tokens[i], ".")) {
            return wrong_object(yaml, text);
        }
        if (i % 2 == 0 && !token_identifier(&tokens[i], yaml->arena, &parts[first + i / 2])) {
            return errinfo_nomem(yaml->info);
        }
        if (i % 2 == 0 && parts[first + i / 2].len == 0) {
            return wrong_object(yaml, text);
        }
    }
    *ret_name = (struct sql_name){parts[0], parts[1], parts[2]};
    return ERR_OK;
}

static enum err read_columns(struct policy_yaml *yaml, struct policy_rule *rule)
{
    struct item_list list = {0};
    unsigned line = yaml->line;
    if (yaml->event.type != YAML_SEQUENCE_START_EVENT) {
        return policy__yaml_error(yaml, line, "expected a list of columns, such as [id, region]");
    }
    for (;;) {
        TRY(policy__yaml_next(yaml));
        if (yaml->event.type == YAML_SEQUENCE_END_EVENT) {
            break;
        }
        struct item item = {.line = yaml->line};
        TRY(read_name(yaml, "the name of a column", &item.name));
        TRY(push_item(yaml, &list, item));
    }
    if (list.count == 0) {
        enum err err = policy__yaml_error(yaml, line, "the list of columns is empty");
        errinfo_hint(yaml->info, "Leave out \"columns\" to mean all of them.");
        return err;
    }
    TRY(check_unique(yaml, &list));
    struct slice *columns = arena_calloc(yaml->arena, list.count, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(yaml->info);
    }
    for (size_t i = 0; i < list.count; i++) {
        columns[i] = list.items[i].name;
    }
    rule->columns = columns;
    rule->column_count = list.count;
    return ERR_OK;
}

static enum err read_masks(struct policy_yaml *yaml, struct policy_rule *rule)
{
    struct item_list list = {0};
    unsigned line = yaml->line;
    if (yaml->event.type != YAML_MAPPING_START_EVENT) {
        return policy__yaml_error(yaml, line, "expected masks by column, such as {email: null}");
    }
    for (;;) {
        TRY(policy__yaml_next(yaml));
        if (yaml->event.type == YAML_MAPPING_END_EVENT) {
            break;
        }
        struct item item = {.line = yaml->line};
        TRY(read_name(yaml, "the name of a column", &item.name));
        TRY(policy__yaml_next(yaml));
        TRY(read_sql(yaml, "a mask", &item.value));
        TRY(push_item(yaml, &list, item));
    }
    if (list.count == 0) {
        return policy__yaml_error(yaml, line, "\"masks\" is empty");
    }
    TRY(check_unique(yaml, &list));
    struct relation_option *masks = arena_calloc(yaml->arena, list.count, sizeof(*masks));
    if (masks == NULL) {
        return errinfo_nomem(yaml->info);
    }
    for (size_t i = 0; i < list.count; i++) {
        masks[i] = (struct relation_option){list.items[i].name, list.items[i].value};
    }
    rule->masks = masks;
    rule->mask_count = list.count;
    return ERR_OK;
}

static enum err read_privileges(struct policy_yaml *yaml, struct policy_rule *rule)
{
    static const struct {
        const char *word;
        unsigned bits;
    } words[] = {{"select", PRIVILEGE_SELECT},
                 {"insert", PRIVILEGE_INSERT},
                 {"update", PRIVILEGE_UPDATE},
                 {"delete", PRIVILEGE_DELETE},
                 {"modify", PRIVILEGE_WRITE}};
    if (yaml->event.type != YAML_SEQUENCE_START_EVENT) {
        return policy__yaml_error(yaml, yaml->line,
                                  "expected a list of privileges, such as [select, insert]");
    }
    for (rule->privileges = 0;;) {
        struct slice text;
        unsigned bits = 0;
        TRY(policy__yaml_next(yaml));
        if (yaml->event.type == YAML_SEQUENCE_END_EVENT) {
            return rule->privileges != 0
                       ? ERR_OK
                       : policy__yaml_error(yaml, yaml->line, "the list of privileges is empty");
        }
        TRY(read_name(yaml, "a privilege", &text));
        for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
            bits = slice_equal(text, slice_of(words[i].word)) ? words[i].bits : bits;
        }
        if (bits == 0 || (bits & rule->privileges) != 0) {
            enum err err =
                policy__yaml_error(yaml, yaml->line, "privilege \"%.*s\" is %s", SLICE_ARGS(text),
                                   bits == 0 ? "not known" : "given twice");
            errinfo_hint(yaml->info, "Allowed: select, insert, update, delete, modify.");
            return err;
        }
        rule->privileges |= bits;
    }
}

/* ---- rules ---- */

static enum err check_rule(const struct policy_yaml *yaml, const struct policy_rule *rule,
                           unsigned seen)
{
    if ((seen >> KEY_ON & 1u) == 0) {
        return policy__yaml_error(yaml, rule->line, "the grant lacks \"%s\"", rule_keys[KEY_ON]);
    }
    bool has_role = (seen >> KEY_TO_ROLE & 1u) != 0;
    bool has_user = (seen >> KEY_TO_USER & 1u) != 0;
    if (has_role == has_user) {
        return policy__yaml_error(yaml, rule->line,
                                  "the grant needs either \"to_role\" or \"to_user\"");
    }
    bool has_parts = rule->column_count > 0 || rule->rows.len > 0 || rule->mask_count > 0;
    bool may_have = (rule->privileges & PRIVILEGE_SELECT) != 0 &&
                    (rule->effect == GRANT_ALLOW || rule->privileges == PRIVILEGE_SELECT);
    if (has_parts && !may_have) {
        enum err err =
            policy__yaml_error(yaml, rule->line, "columns, rows and masks belong to select%s",
                               rule->effect == GRANT_DENY ? " alone" : "");
        errinfo_hint(yaml->info, "Write rights to write as a grant of their own.");
        return err;
    }
    if (rule->effect == GRANT_DENY && rule->mask_count > 0) {
        enum err err = policy__yaml_error(yaml, rule->line, "deny takes no masks");
        errinfo_hint(yaml->info, "A denied column is absent; to mask it, allow it with a mask.");
        return err;
    }
    return ERR_OK;
}

static enum err read_value(struct policy_yaml *yaml, enum rule_key key, struct policy_rule *rule)
{
    switch (key) {
    case KEY_EFFECT:
        return read_effect(yaml, &rule->effect);
    case KEY_ON:
        return read_object(yaml, &rule->object);
    case KEY_TO_ROLE:
    case KEY_TO_USER:
        rule->grantee_is_role = key == KEY_TO_ROLE;
        return read_name(yaml, key == KEY_TO_ROLE ? "the name of a role" : "the name of a user",
                         &rule->grantee);
    case KEY_COLUMNS:
        return read_columns(yaml, rule);
    case KEY_ROWS:
        return read_sql(yaml, "a condition", &rule->rows);
    case KEY_MASKS:
        return read_masks(yaml, rule);
    case KEY_PRIVILEGES:
        return read_privileges(yaml, rule);
    }
    return ERR_INTERNAL;
}

static enum err read_rule(struct policy_yaml *yaml, struct policy_rule *rule)
{
    unsigned seen = 0;
    *rule = (struct policy_rule){
        .effect = GRANT_ALLOW, .privileges = PRIVILEGE_SELECT, .line = yaml->line};
    if (yaml->event.type != YAML_MAPPING_START_EVENT) {
        return policy__yaml_error(yaml, yaml->line,
                                  "expected a grant, such as {effect: allow, "
                                  "on: main.orders, to_role: analyst}");
    }
    for (;;) {
        size_t key;
        TRY(policy__yaml_next(yaml));
        if (yaml->event.type == YAML_MAPPING_END_EVENT) {
            return check_rule(yaml, rule, seen);
        }
        TRY(read_key(yaml, rule_keys, ARRAY_COUNT(rule_keys), &seen, &key));
        TRY(policy__yaml_next(yaml));
        TRY(read_value(yaml, (enum rule_key)key, rule));
    }
}

static enum err read_rules(struct policy_yaml *yaml, struct policy_file *file)
{
    struct policy_rule *rules = NULL;
    size_t count = 0;
    size_t capacity = 0;
    if (yaml->event.type != YAML_SEQUENCE_START_EVENT) {
        enum err err = policy__yaml_error(yaml, yaml->line, "expected a list of grants");
        errinfo_hint(yaml->info, "Write [] if there are none.");
        return err;
    }
    for (;;) {
        TRY(policy__yaml_next(yaml));
        if (yaml->event.type == YAML_SEQUENCE_END_EVENT) {
            break;
        }
        if (count == RULES_MAX) {
            return errinfo_set(yaml->info, ERR_LIMIT, "54000", "%s:%u: more than %zu grants",
                               yaml->file, yaml->line, RULES_MAX);
        }
        if (count == capacity) {
            capacity = capacity == 0 ? 16 : capacity * 2;
            struct policy_rule *grown = arena_calloc(yaml->arena, capacity, sizeof(*grown));
            if (grown == NULL) {
                return errinfo_nomem(yaml->info);
            }
            if (count > 0) {
                memcpy(grown, rules, count * sizeof(*grown));
            }
            rules = grown;
        }
        TRY(read_rule(yaml, &rules[count]));
        count++;
    }
    file->rules = rules;
    file->rule_count = count;
    return ERR_OK;
}

/* ---- the file ---- */

static enum err read_version(struct policy_yaml *yaml)
{
    struct slice text;
    TRY(expect_scalar(yaml, "the version 1"));
    bool is_plain = policy__yaml_is_plain(yaml);
    TRY(policy__yaml_text(yaml, &text));
    if (!is_plain || !slice_equal(text, SLICE("1"))) {
        return policy__yaml_error(yaml, yaml->line, "version \"%.*s\" is not known; this is 1",
                                  SLICE_ARGS(text));
    }
    return ERR_OK;
}

static enum err read_file(struct policy_yaml *yaml, struct policy_file *file)
{
    unsigned seen = 0;
    TRY(policy__yaml_next(yaml)); /* start of the stream */
    TRY(policy__yaml_next(yaml)); /* start of the document, or the end of an empty one */
    if (yaml->event.type == YAML_DOCUMENT_START_EVENT) {
        TRY(policy__yaml_next(yaml));
    }
    if (yaml->event.type != YAML_MAPPING_START_EVENT) {
        return policy__yaml_error(yaml, yaml->line, "expected \"version: 1\" and \"grants:\"");
    }
    for (;;) {
        size_t key;
        TRY(policy__yaml_next(yaml));
        if (yaml->event.type == YAML_MAPPING_END_EVENT) {
            break;
        }
        TRY(read_key(yaml, file_keys, ARRAY_COUNT(file_keys), &seen, &key));
        TRY(policy__yaml_next(yaml));
        TRY(key == 0 ? read_version(yaml) : read_rules(yaml, file));
    }
    for (size_t i = 0; i < ARRAY_COUNT(file_keys); i++) {
        if ((seen >> i & 1u) == 0) {
            return policy__yaml_error(yaml, yaml->line, "the file lacks \"%s\"", file_keys[i]);
        }
    }
    while (yaml->event.type != YAML_STREAM_END_EVENT) { /* a second document is refused here */
        TRY(policy__yaml_next(yaml));
    }
    return ERR_OK;
}

enum err policy_file_parse(struct slice yaml, const char *file_name, struct arena *arena,
                           struct policy_file *ret_file, struct errinfo *info)
{
    struct policy_yaml reader CLEANUP(policy__yaml_close) = {0};
    struct policy_file file = {0};
    size_t bad;
    if (yaml.len > FILE_BYTES_MAX) {
        return errinfo_set(info, ERR_LIMIT, "54000", "a policy file is longer than %zu bytes",
                           FILE_BYTES_MAX);
    }
    policy__yaml_open(&reader, yaml, file_name, arena, info);
    if (!slice_is_utf8(yaml, &bad)) {
        unsigned line = 1;
        for (size_t i = 0; i < bad; i++) {
            line += yaml.ptr[i] == '\n';
        }
        return policy__yaml_error(&reader, line, "the text is not UTF-8");
    }
    TRY(read_file(&reader, &file));
    *ret_file = file;
    return ERR_OK;
}
