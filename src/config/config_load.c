/* Overlays: default < file < environment < --set.
 *
 * The file is read as YAML events (libyaml), not as a tree: the shape is small and fixed (nested
 * maps of scalars), every event carries its line, and what the shape has no place for (lists,
 * aliases, anchors, tags, a second document, a repeated key) is refused where it stands. libcyaml
 * was tried: its errors name no line for an unknown key. */
#include "config/config.h"

#include <yaml.h>

#include "base/io.h"
#include "base/mem.h"
#include "config/config_int.h"

enum {
    FILE_BYTES_MAX = 1 << 20,
    NAME_BYTES_MAX = 128,
    DEPTH_MAX = 8,
    WHERE_BYTES = 160
};

struct reader {
    yaml_parser_t parser;
    struct config *config;
    const char *file; /* base name, for messages */
    bool is_seen[CONFIG_KEY_COUNT];
    /* Names of the open maps, joined with dots, each with its length before it was entered. */
    char path[NAME_BYTES_MAX];
    size_t path_len;
    size_t depth_len[DEPTH_MAX];
    size_t depth;
    struct errinfo *info;
};

static enum err unknown_key(struct slice name, const char *where, const char *what,
                            struct errinfo *info)
{
    enum err err = errinfo_set(info, ERR_INVALID, "22023", "%sunknown %s \"%.*s\"", where, what,
                               SLICE_ARGS(name));
    enum config_key nearest = config__nearest(name);
    if (nearest != CONFIG_KEY_COUNT) {
        errinfo_hint(info, "did you mean \"%s\"?", config_name(nearest));
    } else {
        errinfo_hint(info, "`moat config --explain` lists every key");
    }
    return err;
}

static void where_of(const struct reader *reader, size_t line, char where[WHERE_BYTES])
{
    (void)snprintf(where, WHERE_BYTES, "%.100s:%zu: ", reader->file, line + 1);
}

static enum err refuse_at(const struct reader *reader, size_t line, const char *problem)
{
    char where[WHERE_BYTES];
    where_of(reader, line, where);
    enum err err = errinfo_set(reader->info, ERR_INVALID, "22023", "%s%s", where, problem);
    errinfo_hint(reader->info, "a configuration file is sections with keys: \"engine:\", then "
                               "\"  memory: 4GiB\"");
    return err;
}

static enum err next_event(struct reader *reader, yaml_event_t *ret_event)
{
    if (yaml_parser_parse(&reader->parser, ret_event) != 0) {
        return ERR_OK;
    }
    if (reader->parser.error == YAML_MEMORY_ERROR) {
        return errinfo_nomem(reader->info);
    }
    return refuse_at(reader, reader->parser.problem_mark.line,
                     reader->parser.problem == NULL ? "not valid YAML" : reader->parser.problem);
}

static bool is_section(struct slice name)
{
    for (size_t key = 0; key < CONFIG_KEY_COUNT; key++) {
        struct slice full = slice_of(config_name((enum config_key)key));
        if (slice_starts_with(full, name) && full.len > name.len && full.ptr[name.len] == '.') {
            return true;
        }
    }
    return false;
}

/* Nearest first part of any key, or NULL. */
static const char *nearest_section(struct slice name, size_t *ret_len)
{
    const char *nearest = NULL;
    unsigned best = 3;
    for (size_t key = 0; key < CONFIG_KEY_COUNT; key++) {
        struct slice full = slice_of(config_name((enum config_key)key));
        struct slice section = {full.ptr, slice_find(full, SLICE("."))};
        unsigned distance = slice_edit_distance(name, section, 2);
        if (distance < best) {
            best = distance;
            nearest = section.ptr;
            *ret_len = section.len;
        }
    }
    return nearest;
}

static enum err unknown_section(const struct reader *reader, struct slice name, size_t line)
{
    char where[WHERE_BYTES];
    where_of(reader, line, where);
    enum config_key key;
    if (config__find(name, &key)) {
        return errinfo_set(reader->info, ERR_INVALID, "22023",
                           "%s\"%s\" needs one value, not a map", where, config_name(key));
    }
    enum err err = errinfo_set(reader->info, ERR_INVALID, "22023", "%sunknown section \"%.*s\"",
                               where, SLICE_ARGS(name));
    size_t len;
    const char *nearest = nearest_section(name, &len);
    if (nearest != NULL) {
        errinfo_hint(reader->info, "did you mean \"%.*s\"?", (int)len, nearest);
    } else {
        errinfo_hint(reader->info, "`moat config --explain` lists every key");
    }
    return err;
}

static enum err push_name(struct reader *reader, const yaml_event_t *event, size_t *ret_before)
{
    struct slice name = {(const char *)event->data.scalar.value, event->data.scalar.length};
    size_t dot = reader->path_len > 0;
    if (name.len == 0 || reader->path_len + dot + name.len >= NAME_BYTES_MAX ||
        memchr(name.ptr, '\0', name.len) != NULL) {
        return refuse_at(reader, event->start_mark.line, "a key is empty or too long");
    }
    *ret_before = reader->path_len;
    if (dot) {
        reader->path[reader->path_len++] = '.';
    }
    memcpy(reader->path + reader->path_len, name.ptr, name.len);
    reader->path_len += name.len;
    reader->path[reader->path_len] = '\0';
    return ERR_OK;
}

static enum err set_scalar(struct reader *reader, const yaml_event_t *event)
{
    struct slice name = {reader->path, reader->path_len};
    struct slice value = {(const char *)event->data.scalar.value, event->data.scalar.length};
    size_t line = event->start_mark.line;
    char where[WHERE_BYTES];
    where_of(reader, line, where);
    enum config_key key;
    if (!config__find(name, &key)) {
        if (is_section(name)) {
            return refuse_at(reader, line, "a section needs keys below it, not a value");
        }
        return unknown_key(name, where, "key", reader->info);
    }
    bool is_plain_empty = value.len == 0 && event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (reader->is_seen[key] || is_plain_empty) {
        return errinfo_set(reader->info, ERR_INVALID, "22023", "%s\"%s\" %s", where,
                           config_name(key),
                           is_plain_empty ? "has no value" : "is given a second time");
    }
    reader->is_seen[key] = true;
    char source[WHERE_BYTES + 8];
    (void)snprintf(source, sizeof(source), "file %.100s:%zu", reader->file, line + 1);
    return config__set(reader->config, key, value, where, source, reader->info);
}

static enum err refuse_decoration(const struct reader *reader, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    return anchor == NULL && tag == NULL
               ? ERR_OK
               : refuse_at(reader, event->start_mark.line,
                           "anchors and tags are not part of a configuration file");
}

/* The value behind the key at the end of `path`: a scalar, or a map one level down. */
static enum err on_value(struct reader *reader, const yaml_event_t *event, size_t path_before,
                         bool *ret_is_map)
{
    TRY(refuse_decoration(reader, event));
    if (event->type == YAML_SCALAR_EVENT) {
        TRY(set_scalar(reader, event));
        reader->path_len = path_before;
        *ret_is_map = false;
        return ERR_OK;
    }
    if (event->type != YAML_MAPPING_START_EVENT) {
        return refuse_at(reader, event->start_mark.line,
                         "lists and aliases are not part of a configuration file");
    }
    struct slice name = {reader->path, reader->path_len};
    if (!is_section(name)) {
        return unknown_section(reader, name, event->start_mark.line);
    }
    ASSERT(reader->depth < DEPTH_MAX); /* no key has that many dots */
    reader->depth_len[reader->depth++] = path_before;
    *ret_is_map = true;
    return ERR_OK;
}

/* Keys and values of the root map until it ends. */
static enum err read_root(struct reader *reader)
{
    size_t path_before = 0;
    bool is_key = true;
    for (;;) {
        yaml_event_t event;
        TRY(next_event(reader, &event));
        enum err err = ERR_OK;
        bool is_end = false;
        if (!is_key) {
            bool is_map;
            err = on_value(reader, &event, path_before, &is_map);
            is_key = true;
        } else if (event.type == YAML_MAPPING_END_EVENT) {
            is_end = reader->depth == 0;
            if (!is_end) {
                reader->path_len = reader->depth_len[--reader->depth];
            }
        } else if (event.type == YAML_SCALAR_EVENT) {
            err = refuse_decoration(reader, &event);
            err = err == ERR_OK ? push_name(reader, &event, &path_before) : err;
            is_key = false;
        } else {
            err = refuse_at(reader, event.start_mark.line, "a key must be a word");
        }
        yaml_event_delete(&event);
        if (err != ERR_OK || is_end) {
            return err;
        }
    }
}

static bool is_empty_scalar(const yaml_event_t *event)
{
    return event->type == YAML_SCALAR_EVENT && event->data.scalar.length == 0 &&
           event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static enum err read_stream(struct reader *reader)
{
    bool had_root = false;
    for (;;) {
        yaml_event_t event;
        TRY(next_event(reader, &event));
        enum err err = ERR_OK;
        bool is_end = event.type == YAML_STREAM_END_EVENT;
        if (event.type == YAML_MAPPING_START_EVENT && !had_root) {
            had_root = true;
            err = refuse_decoration(reader, &event);
            err = err == ERR_OK ? read_root(reader) : err;
        } else if (event.type == YAML_DOCUMENT_START_EVENT && had_root) {
            err = refuse_at(reader, event.start_mark.line, "only one YAML document is allowed");
        } else if (is_empty_scalar(&event)) {
            had_root = true; /* a file of comments only */
        } else if (event.type == YAML_SCALAR_EVENT || event.type == YAML_SEQUENCE_START_EVENT ||
                   event.type == YAML_ALIAS_EVENT) {
            err = refuse_at(reader, event.start_mark.line, "expected sections with keys");
        }
        yaml_event_delete(&event);
        if (err != ERR_OK || is_end) {
            return err;
        }
    }
}

static enum err load_yaml(struct config *config, struct slice bytes, const char *file,
                          struct errinfo *info)
{
    struct reader reader = {.config = config, .file = file, .info = info};
    if (yaml_parser_initialize(&reader.parser) == 0) {
        return errinfo_nomem(info);
    }
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)bytes.ptr, bytes.len);
    enum err err = read_stream(&reader);
    yaml_parser_delete(&reader.parser);
    return err;
}

static enum err load_file(struct config *config, const char *path, bool is_optional,
                          struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "config file", 4 * FILE_BYTES_MAX);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    struct slice bytes;
    enum err err = io_read_file(arena, path, FILE_BYTES_MAX, &bytes, info);
    if (err == ERR_NOT_FOUND && is_optional) {
        return ERR_OK;
    }
    TRY(err);
    const char *slash = strrchr(path, '/');
    return load_yaml(config, bytes, slash == NULL ? path : slash + 1, info);
}

/* "MOAT_ENGINE_MEMROY" to "engine.memroy" if it begins with a section's name; false otherwise. */
static bool variable_to_name(struct slice variable, char name[NAME_BYTES_MAX], size_t *ret_len)
{
    struct slice prefix = SLICE("MOAT_");
    if (!slice_starts_with(variable, prefix) || variable.len - prefix.len >= NAME_BYTES_MAX) {
        return false;
    }
    size_t len = variable.len - prefix.len;
    for (size_t i = 0; i < len; i++) {
        char c = variable.ptr[prefix.len + i];
        name[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    struct slice whole = {name, len};
    size_t underscore = slice_find(whole, SLICE("_"));
    struct slice section = {name, underscore == SIZE_MAX ? len : underscore};
    if (!is_section(section)) {
        return false;
    }
    if (underscore != SIZE_MAX) {
        name[underscore] = '.';
    }
    *ret_len = len;
    return true;
}

static enum err load_variable(struct config *config, const char *text, struct errinfo *info)
{
    const char *equals = strchr(text, '=');
    char name[NAME_BYTES_MAX];
    size_t len;
    if (equals == NULL ||
        !variable_to_name((struct slice){text, (size_t)(equals - text)}, name, &len)) {
        return ERR_OK;
    }
    char where[WHERE_BYTES];
    (void)snprintf(where, sizeof(where), "environment %.*s: ", (int)(equals - text), text);
    enum config_key key;
    if (config__find((struct slice){name, len}, &key)) {
        return config__set(config, key, slice_of(equals + 1), where, "environment", info);
    }
    enum config_key nearest = config__nearest((struct slice){name, len});
    enum err err = errinfo_set(info, ERR_INVALID, "22023", "environment: unknown variable \"%.*s\"",
                               (int)(equals - text), text);
    struct buf variable CLEANUP(buf_fini) = {0};
    if (nearest != CONFIG_KEY_COUNT) {
        config__variable(config__entry(nearest), &variable);
        errinfo_hint(info, "did you mean \"%s\"?", buf_cstr(&variable));
    } else {
        errinfo_hint(info, "unset it; `moat config --explain` lists every key");
    }
    return err;
}

static enum err load_set(struct config *config, const char *text, struct errinfo *info)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL) {
        enum err err =
            errinfo_set(info, ERR_INVALID, "22023", "--set: \"%.200s\" has no \"=\"", text);
        errinfo_hint(info, "write --set section.key=value, such as --set engine.memory=4GiB");
        return err;
    }
    struct slice name = slice_trim((struct slice){text, (size_t)(equals - text)});
    enum config_key key;
    if (!config__find(name, &key)) {
        return unknown_key(name, "--set: ", "key", info);
    }
    return config__set(config, key, slice_of(equals + 1), "--set: ", "--set", info);
}

enum err config_load(const struct config_sources *sources, struct config **ret_config,
                     struct errinfo *info)
{
    struct config *config CLEANUP(config_cleanup) = mem_calloc(1, sizeof(*config));
    if (config == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t key = 0; key < CONFIG_KEY_COUNT; key++) {
        TRY(config__set(config, (enum config_key)key,
                        slice_of(config__entry((enum config_key)key)->fallback),
                        "default: ", "default", info));
    }
    if (sources->file != NULL) {
        TRY(load_file(config, sources->file, sources->file_is_optional, info));
    }
    for (char **variable = sources->environment; variable != NULL && *variable != NULL;
         variable++) {
        TRY(load_variable(config, *variable, info));
    }
    for (size_t i = 0; i < sources->set_count; i++) {
        TRY(load_set(config, sources->sets[i], info));
    }
    *ret_config = TAKE(config);
    return ERR_OK;
}
