#include "base/buf.h"
#include "base/sweep.h"
#include "base/test.h"
#include "policy/policy.h"

struct reading {
    struct arena *arena;
    struct policy_file file;
    struct errinfo info;
};

static enum err parse(struct reading *r, struct slice text)
{
    if (r->arena == NULL) {
        r->arena = arena_new(NULL, "test", 0);
    }
    errinfo_init(&r->info);
    r->file = (struct policy_file){.rule_count = 4711};
    return policy_file_parse(text, "/somewhere/private/policy.yaml", r->arena, &r->file, &r->info);
}

#define GRANT_ "version: 1\ngrants:\n  - {effect: allow, on: main.t, to_role: r"
#define DENY_ "version: 1\ngrants:\n  - {effect: deny, on: main.t, to_role: r"

TEST(policy_file, reads_every_key)
{
    struct reading r = {0};
    CHECK_OK(parse(&r, SLICE("# comment\n"
                             "version: 1\n"
                             "grants:\n"
                             "  - effect: allow\n"
                             "    on: Lake.main.\"My \"\"Orders\"\".x\"\n"
                             "    to_role: analyst\n"
                             "    columns: [id, 'No', \"12\"]\n"
                             "    rows: |\n"
                             "      region = claim('region')\n"
                             "      AND id > 0\n"
                             "    masks:\n"
                             "      email: sha256(email)\n"
                             "      card: null\n"
                             "\n"
                             "  - on: main.t\n"
                             "    to_user: \"a b\"\n"
                             "    effect: deny\n"
                             "    rows: true\n")));
    CHECK(r.file.rule_count == 2);
    const struct policy_rule *rule = &r.file.rules[0];
    CHECK(rule->effect == GRANT_ALLOW && rule->grantee_is_role && rule->line == 4);
    CHECK_SLICE("Lake", rule->object.catalog);
    CHECK_SLICE("main", rule->object.schema);
    CHECK_SLICE("My \"Orders\".x", rule->object.name);
    CHECK_SLICE("analyst", rule->grantee);
    CHECK(rule->column_count == 3 && rule->mask_count == 2);
    CHECK_SLICE("No", rule->columns[1]);
    CHECK_SLICE("12", rule->columns[2]);
    CHECK_SLICE("region = claim('region')\nAND id > 0", rule->rows);
    CHECK_SLICE("email", rule->masks[0].name);
    CHECK_SLICE("sha256(email)", rule->masks[0].value);
    CHECK_SLICE("null", rule->masks[1].value);
    rule = &r.file.rules[1];
    CHECK(rule->effect == GRANT_DENY && !rule->grantee_is_role && rule->line == 15);
    CHECK(rule->column_count == 0 && rule->object.catalog.len == 0);
    CHECK_SLICE("a b", rule->grantee);
    CHECK_SLICE("true", rule->rows);
    CHECK_OK(parse(&r, SLICE("grants: []\nversion: 1")));
    CHECK(r.file.rule_count == 0);
    arena_free(r.arena);
}

TEST(policy_file, reads_rights_to_write_and_refuses_parts_of_them)
{
    static const char *const bad[] = {
        GRANT_ ", privileges: []}",
        GRANT_ ", privileges: insert}",
        GRANT_ ", privileges: [INSERT]}",
        GRANT_ ", privileges: [create]}",
        GRANT_ ", privileges: [insert, insert]}",
        GRANT_ ", privileges: [modify, delete]}",
        GRANT_ ", privileges: [insert], rows: a}",
        GRANT_ ", privileges: [insert], columns: [a]}",
        DENY_ ", privileges: [select, insert], rows: a}",
    };
    struct reading r = {0};
    CHECK_OK(parse(&r, SLICE(GRANT_ ", privileges: [select, modify], rows: a}")));
    CHECK(r.file.rules[0].privileges == (PRIVILEGE_SELECT | PRIVILEGE_WRITE));
    CHECK_OK(parse(&r, SLICE(DENY_ ", privileges: [insert, delete]}")));
    CHECK(r.file.rules[0].privileges == (PRIVILEGE_INSERT | PRIVILEGE_DELETE));
    CHECK_OK(parse(&r, SLICE(GRANT_ "}")));
    CHECK(r.file.rules[0].privileges == PRIVILEGE_SELECT);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        CHECK_ERR(ERR_INVALID, parse(&r, slice_of(bad[i])));
    }
    arena_free(r.arena);
}

TEST(policy_file, a_rule_allows_and_a_table_is_in_main_unless_said_otherwise)
{
    struct reading r = {0};
    CHECK_OK(parse(&r, SLICE("version: 1\ngrants:\n"
                             "  - {on: orders, to_role: r}\n"
                             "  - {on: '\"My.t\"', to_role: r, effect: deny}\n")));
    CHECK(r.file.rule_count == 2);
    CHECK(r.file.rules[0].effect == GRANT_ALLOW && r.file.rules[1].effect == GRANT_DENY);
    CHECK_SLICE("main", r.file.rules[0].object.schema);
    CHECK_SLICE("orders", r.file.rules[0].object.name);
    CHECK(r.file.rules[0].object.catalog.len == 0);
    CHECK_SLICE("main", r.file.rules[1].object.schema);
    CHECK_SLICE("My.t", r.file.rules[1].object.name);
    arena_free(r.arena);
}

static const struct {
    const char *text, *message, *hint;
} refused[] = {
    {"", "policy.yaml:1: expected \"version: 1\" and \"grants:\"", ""},
    {"[]", "policy.yaml:1: expected \"version: 1\"", ""},
    {"version: 1", "the file lacks \"grants\"", ""},
    {"grants: []", "the file lacks \"version\"", ""},
    {"version: 2\ngrants: []", "policy.yaml:1: version \"2\" is not known; this is 1", ""},
    {"version: \"1\"\ngrants: []", "version \"1\" is not known", ""},
    {"version: [1]\ngrants: []", "policy.yaml:1: expected the version 1", ""},
    {"version: 1\ngrants:", "policy.yaml:2: expected a list of grants", "Write []"},
    {"version: 1\ngrants: {}", "expected a list of grants", ""},
    {"version: 1\ngrant: []", "policy.yaml:2: key \"grant\" is not known",
     "Did you mean \"grants\"? Allowed: version, grants."},
    {"version: 1\nversion: 1\ngrants: []", "policy.yaml:2: key \"version\" is given twice", ""},
    {"version: 1\ngrants: []\n---\nversion: 1", "policy.yaml:3: expected one document", ""},
    {"%YAML 1.1\n---\nversion: 1\ngrants: []", "expected one document without directives", ""},
    {"version: &a 1\ngrants: []", "policy.yaml:1: anchors and aliases are not allowed", ""},
    {"version: 1\ngrants: *a", "policy.yaml:2: anchors and aliases are not allowed", ""},
    {"version: !!int 1\ngrants: []", "policy.yaml:1: tags are not allowed", ""},
    {"version: 1\ngrants:\n  - x\n", "policy.yaml:3: expected a grant", ""},
    {GRANT_ ", colums: [a]}]", "policy.yaml:3: key \"colums\" is not known",
     "Did you mean \"columns\"? Allowed: effect, on, to_role"},
    {GRANT_ ", Rows: x}]", "key \"Rows\" is not known", "Did you mean \"rows\"?"},
    {GRANT_ ", to_user: u}]", "needs either \"to_role\" or \"to_user\"", ""},
    {GRANT_ ", to_role: r}]", "key \"to_role\" is given twice", ""},
    {GRANT_ ", columns: []}]", "the list of columns is empty", "Leave out \"columns\""},
    {GRANT_ ", columns: a}]", "expected a list of columns", ""},
    {GRANT_ ", columns: }]", "expected a list of columns", ""},
    {GRANT_ ", columns: [[a]]}]", "expected the name of a column", ""},
    {GRANT_ ", columns: [a, A]}]", "column \"A\" is named twice", ""},
    {GRANT_ ", columns: [12]}]", "expected the name of a column, found 12", "\"12\""},
    {GRANT_ ", columns: [true]}]", "expected the name of a column, found true", ""},
    {GRANT_ ", columns: [~]}]", "expected the name of a column, found ~", ""},
    {GRANT_ ", columns: ['']}]", "expected the name of a column, found nothing", ""},
    {GRANT_ ", columns: [\"a\\tb\"]}]", "a name holds a control character", ""},
    {GRANT_ ", columns: [\"a\\0b\"]}]", "a NUL character is not allowed", ""},
    {GRANT_ ", rows: ''}]", "expected a condition, found nothing", ""},
    {GRANT_ ", rows: }]", "expected a condition, found nothing", ""},
    {GRANT_ ", rows: ~}]", "expected a condition, found nothing", ""},
    {GRANT_ ", rows: [a]}]", "expected a condition", ""},
    {GRANT_ ", rows: \"a = '\\0'\"}]", "a NUL character is not allowed", ""},
    {GRANT_ ", masks: {}}]", "\"masks\" is empty", ""},
    {GRANT_ ", masks: [a]}]", "expected masks by column", ""},
    {GRANT_ ", masks: {a: }}]", "expected a mask, found nothing", ""},
    {GRANT_ ", masks: {a: null, A: 1}}]", "column \"A\" is named twice", ""},
    {DENY_ ", masks: {a: null}}]", "policy.yaml:3: deny takes no masks", ""},
    {"version: 1\ngrants: [{effect: , on: main.t, to_role: r}]", "expected allow or deny", ""},
    {"version: 1\ngrants: [{effect: allow, to_role: r}]", "lacks \"on\"", ""},
    {"version: 1\ngrants: [{effect: allow, on: main.t}]", "needs either \"to_role\"", ""},
    {"version: 1\ngrants: [{effect: Allow}]", "effect \"Allow\" is not known", "allow, deny"},
    {"version: 1\ngrants: [{on: t u}]", "\"t u\" does not name a table", "Write schema.table"},
    {"version: 1\ngrants: [{on: t.}]", "\"t.\" does not name a table", ""},
    {"version: 1\ngrants: [{on: '\"\"'}]", "does not name a table", ""},
    {"version: 1\ngrants: [{on: a.b.c.d}]", "does not name a table", ""},
    {"version: 1\ngrants: [{on: 'main.\"'}]", "does not name a table", ""},
    {"version: 1\ngrants: [{on: 'main.\"\"'}]", "does not name a table", ""},
    {"version: 1\ngrants: [{on: 'main t x'}]", "does not name a table", ""},
    {"version: 1\ngrants: [{\"a\": b", "policy.yaml:2: key \"a\" is not known", ""},
    {"version: 1\ngrants: [", "policy.yaml:", ""},
    {"a: b: c", "policy.yaml:1: ", ""},
    {"version: 1\n\xff", "policy.yaml:2: the text is not UTF-8", ""},
    {"version: 1\n\x01", "policy.yaml:", ""},
};

TEST(policy_file, refuses_what_is_not_understood_with_file_and_line)
{
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
        struct reading r = {0};
        enum err err = parse(&r, slice_of(refused[i].text));
        if (err != ERR_INVALID || strstr(r.info.message, refused[i].message) == NULL ||
            strstr(r.info.hint, refused[i].hint) == NULL) {
            print_message("case %zu: %s\n  %s\n  %s\n", i, refused[i].text, r.info.message,
                          r.info.hint);
        }
        CHECK_ERR(ERR_INVALID, err);
        CHECK(strstr(r.info.message, refused[i].message) != NULL);
        CHECK(strstr(r.info.hint, refused[i].hint) != NULL);
        CHECK(slice_starts_with(slice_of(r.info.message), SLICE("policy.yaml:")));
        CHECK(strstr(r.info.message, "private") == NULL);
        CHECK(r.file.rule_count == 4711);
        arena_free(r.arena);
    }
}

TEST(policy_file, limits_hold)
{
    /* Goal: a long file, many rules and deep nesting end quickly and cleanly. */
    struct reading r = {0};
    struct buf text = {0};
    buf_append_str(&text, "version: 1\ngrants:\n");
    for (int i = 0; i < 10000; i++) {
        buf_append_str(&text, "- {effect: allow, on: main.t, to_role: r}\n");
    }
    CHECK_OK(parse(&r, buf_slice(&text)));
    CHECK(r.file.rule_count == 10000);
    buf_append_str(&text, "- {effect: allow, on: main.t, to_role: r}\n");
    CHECK_ERR(ERR_LIMIT, parse(&r, buf_slice(&text)));
    CHECK_STR("54000", r.info.sqlstate);
    buf_reset(&text);
    buf_append_str(&text, GRANT_ ", columns: [a");
    for (int i = 0; i < 100000; i++) {
        buf_printf(&text, ",c%d", i);
    }
    buf_append_str(&text, "]}");
    CHECK_OK(parse(&r, buf_slice(&text)));
    CHECK(r.file.rules[0].column_count == 100001);
    for (size_t n = 0; n < 3; n++) {
        buf_reset(&text);
        buf_append_str(&text, n == 2 ? GRANT_ ", rows: \"" : GRANT_ ", columns: ");
        while (text.len < ((size_t)1 << 20)) {
            buf_append_str(&text, n == 0 ? "[" : n == 1 ? "- " : "((((((((");
        }
        CHECK_ERR(ERR_INVALID, parse(&r, (struct slice){text.ptr, (size_t)1 << 20}));
        CHECK_ERR(ERR_LIMIT, parse(&r, (struct slice){text.ptr, ((size_t)1 << 20) + 1}));
    }
    buf_fini(&text);
    arena_free(r.arena);
}

TEST(policy_file, running_out_of_memory_is_a_clean_error)
{
    SWEEP_ALLOC(fault)
    {
        struct errinfo info;
        struct policy_file file = {.rule_count = 4711};
        struct arena *arena = arena_new(NULL, "test", 0);
        enum err err =
            arena == NULL ? ERR_NOMEM
                          : policy_file_parse(SLICE(GRANT_ ", columns: [a, b], masks: {a: null}}]"),
                                              "f", arena, &file, &info);
        CHECK(err == ERR_NOMEM || (err == ERR_INVALID && file.rule_count == 4711));
        arena_free(arena);
    }
    SWEEP_ALLOC(fault)
    {
        struct errinfo info;
        struct policy_file file = {.rule_count = 4711};
        struct arena *arena = arena_new(NULL, "test", 0);
        enum err err = arena == NULL
                           ? ERR_NOMEM
                           : policy_file_parse(SLICE(GRANT_ ", columns: [a, b], masks: {a: null}}"),
                                               "f", arena, &file, &info);
        CHECK(err == ERR_OK ? file.rule_count == 1 : err == ERR_NOMEM && file.rule_count == 4711);
        arena_free(arena);
    }
}
