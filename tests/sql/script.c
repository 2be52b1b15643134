#include "script.h"

void lines_add(struct lines *lines, struct arena *arena, struct slice text)
{
    if (lines->count == lines->capacity) {
        size_t capacity = lines->capacity == 0 ? 16 : lines->capacity * 2;
        struct slice *grown = arena_calloc(arena, capacity, sizeof(*grown));
        ASSERT(grown != NULL);
        if (lines->count > 0) {
            memcpy(grown, lines->items, lines->count * sizeof(*grown));
        }
        lines->items = grown;
        lines->capacity = capacity;
    }
    lines->items[lines->count++] = text;
}

static int compare_lines(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

void lines_sort(struct lines *lines)
{
    if (lines->count > 1) {
        qsort(lines->items, lines->count, sizeof(*lines->items), compare_lines);
    }
}

static bool next_line(struct script *script, struct slice *ret_line)
{
    if (script->rest.len == 0) {
        return false;
    }
    const char *newline = memchr(script->rest.ptr, '\n', script->rest.len);
    size_t len = newline == NULL ? script->rest.len : (size_t)(newline - script->rest.ptr);
    *ret_line = (struct slice){script->rest.ptr, len};
    size_t skip = newline == NULL ? len : len + 1;
    script->rest.ptr += skip;
    script->rest.len -= skip;
    script->line++;
    return true;
}

/* The word at the front of `text`, which loses it and the spaces behind. */
static struct slice take_word(struct slice *text)
{
    size_t len = 0;
    while (len < text->len && text->ptr[len] != ' ') {
        len++;
    }
    struct slice word = {text->ptr, len};
    *text = slice_trim((struct slice){text->ptr + len, text->len - len});
    return word;
}

static enum err bad_line(const struct script *script, const char *what, struct errinfo *info)
{
    return errinfo_set(info, ERR_SYNTAX, NULL, "line %u: %s", script->line - 1, what);
}

/* Options stand between the head and the SQL; true if this line is one. */
static bool take_option(struct step *step, struct slice line)
{
    const struct {
        const char *word;
        struct slice *value;
    } texts[] = {
        {"hint", &step->hint}, {"detail", &step->detail}, {"never", &step->never},
        {"tag", &step->tag},   {"notice", &step->notice}, {"columns", &step->columns},
    };
    struct slice rest = line;
    struct slice word = take_word(&rest);
    if (slice_equal(word, SLICE("position")) && slice_to_u64(rest, &step->position)) {
        step->has_position = true;
        return true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (slice_equal(word, slice_of(texts[i].word))) {
            *texts[i].value = rest;
            return true;
        }
    }
    return false;
}

/* The statement, up to an empty line or `----`, and the rows behind that. */
static enum err read_statement(struct script *script, struct step *step, struct errinfo *info)
{
    struct slice line;
    const char *start = NULL;
    const char *end = NULL;
    bool is_answer = false;
    while (next_line(script, &line) && line.len > 0) {
        if (!is_answer && start == NULL && take_option(step, line)) {
            continue;
        }
        if (slice_equal(line, SLICE("----"))) {
            is_answer = true;
        } else if (is_answer) {
            lines_add(&step->rows, script->arena, line);
        } else {
            start = start == NULL ? line.ptr : start;
            end = line.ptr + line.len;
        }
    }
    if (start == NULL) {
        return bad_line(script, "a statement is missing", info);
    }
    if (is_answer != (step->kind == STEP_ROWS)) {
        return bad_line(script, "`----` belongs to `query`, and only there", info);
    }
    step->sql = (struct slice){start, (size_t)(end - start)};
    return ERR_OK;
}

static enum err read_file(struct script *script, struct step *step, struct errinfo *info)
{
    struct slice line;
    const char *start = script->rest.ptr;
    while (next_line(script, &line)) {
        if (slice_equal(line, SLICE("endfile"))) {
            step->body = (struct slice){start, (size_t)(line.ptr - start)};
            return ERR_OK;
        }
    }
    return bad_line(script, "`file` without `endfile`", info);
}

static enum err read_head(struct script *script, struct slice rest, struct step *step,
                          struct errinfo *info)
{
    if (step->kind == STEP_ROWS) {
        step->types = take_word(&rest);
        step->order = slice_equal(rest, SLICE("rowsort"))     ? ROWS_SORTED
                      : slice_equal(rest, SLICE("valuesort")) ? VALUES_SORTED
                                                              : ROWS_AS_GIVEN;
        bool is_known =
            rest.len == 0 || step->order != ROWS_AS_GIVEN || slice_equal(rest, SLICE("nosort"));
        return is_known ? read_statement(script, step, info)
                        : bad_line(script, "the order is nosort, rowsort or valuesort", info);
    }
    struct slice outcome = take_word(&rest);
    if (slice_equal(outcome, SLICE("error"))) {
        step->kind = STEP_ERROR;
        step->sqlstate = take_word(&rest);
        step->message = rest;
        if (step->sqlstate.len != 5) {
            return bad_line(script, "`statement error` needs an SQLSTATE", info);
        }
    } else if (!slice_equal(outcome, SLICE("ok"))) {
        return bad_line(script, "`statement` is ok or error", info);
    }
    return read_statement(script, step, info);
}

enum err script_next(struct script *script, struct step *ret_step, struct errinfo *info)
{
    static const struct {
        const char *word;
        enum step_kind kind;
    } words[] = {
        {"file", STEP_FILE},           {"owner", STEP_OWNER},   {"user", STEP_USER},
        {"reconnect", STEP_RECONNECT}, {"reopen", STEP_REOPEN}, {"config", STEP_CONFIG},
        {"parameter", STEP_PARAMETER}, {"statement", STEP_OK},  {"query", STEP_ROWS},
    };
    struct slice line;
    *ret_step = (struct step){0};
    do {
        if (!next_line(script, &line)) {
            return ERR_OK;
        }
        line = slice_trim(line);
    } while (line.len == 0 || line.ptr[0] == '#');
    struct slice word = take_word(&line);
    ret_step->line = script->line - 1;
    ret_step->argument = line;
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (slice_equal(word, slice_of(words[i].word))) {
            ret_step->kind = words[i].kind;
        }
    }
    if (ret_step->kind == STEP_END) {
        return bad_line(script, "neither a directive, `statement` nor `query`", info);
    }
    if (ret_step->kind == STEP_FILE) {
        return read_file(script, ret_step, info);
    }
    return ret_step->kind < STEP_OK ? ERR_OK : read_head(script, line, ret_step, info);
}
