/* The table of keys, and a loaded set of values over it. */
#include "config/config.h"

#include "base/mem.h"
#include "config/config_int.h"

#define DOC_TEXT_(doc) ((doc)[0] == '*' ? (doc) + 1 : (doc))

static const struct config_entry entries[CONFIG_KEY_COUNT] = {
#define CONFIG_KEY(id, name, type, unit, fallback, minimum, maximum, choices, doc)                 \
    [CONFIG_##id] = {name,    type,    unit,           fallback,       minimum,                    \
                     maximum, choices, DOC_TEXT_(doc), (doc)[0] == '*'},
#include "config/config.def"
#undef CONFIG_KEY
};

const struct config_entry *config__entry(enum config_key key)
{
    ASSERT(key < CONFIG_KEY_COUNT);
    return &entries[key];
}

void config_free(struct config *config)
{
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        mem_free(config->settings[i].value.text);
        mem_free(config->settings[i].source);
    }
    mem_free(config);
}

static const struct config_setting *setting(const struct config *config, enum config_key key)
{
    ASSERT(config != NULL && key < CONFIG_KEY_COUNT);
    return &config->settings[key];
}

bool config_bool(const struct config *config, enum config_key key)
{
    ASSERT(config__entry(key)->type == CONFIG_BOOL);
    return setting(config, key)->value.number != 0;
}

int64_t config_integer(const struct config *config, enum config_key key)
{
    ASSERT(config__entry(key)->type == CONFIG_INTEGER);
    return setting(config, key)->value.number;
}

uint64_t config_bytes(const struct config *config, enum config_key key)
{
    ASSERT(config__entry(key)->type == CONFIG_BYTES);
    return (uint64_t)setting(config, key)->value.number;
}

int64_t config_duration_ms(const struct config *config, enum config_key key)
{
    ASSERT(config__entry(key)->type == CONFIG_DURATION);
    return setting(config, key)->value.number;
}

const char *config_text(const struct config *config, enum config_key key)
{
    const char *text = setting(config, key)->value.text;
    ASSERT(text != NULL); /* TEXT, CHOICE or PATH */
    return text;
}

const char *config_source(const struct config *config, enum config_key key)
{
    return setting(config, key)->source;
}

const char *config_name(enum config_key key)
{
    return config__entry(key)->name;
}

bool config_is_session(enum config_key key)
{
    return config__entry(key)->is_session;
}

bool config__find(struct slice name, enum config_key *ret_key)
{
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        if (slice_equal_fold(name, slice_of(entries[i].name))) {
            *ret_key = (enum config_key)i;
            return true;
        }
    }
    return false;
}

static struct slice last_part(struct slice name)
{
    for (size_t i = name.len; i > 0; i--) {
        if (name.ptr[i - 1] == '.') {
            return (struct slice){name.ptr + i, name.len - i};
        }
    }
    return name;
}

enum config_key config__nearest(struct slice name)
{
    enum config_key nearest = CONFIG_KEY_COUNT;
    unsigned best = 4; /* more than three edits apart is another word */
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        struct slice full = slice_of(entries[i].name);
        unsigned distance = slice_edit_distance(name, full, 3);
        /* A forgotten or wrong section: "memory", "query.memory". */
        unsigned tail = slice_edit_distance(last_part(name), last_part(full), 1) + 1;
        distance = tail <= 2 && tail < distance ? tail : distance;
        if (distance < best) {
            best = distance;
            nearest = (enum config_key)i;
        }
    }
    return nearest;
}

enum err config_find(struct slice name, enum config_key *ret_key, struct errinfo *info)
{
    if (config__find(name, ret_key)) {
        return ERR_OK;
    }
    enum err err = errinfo_set(info, ERR_NOT_FOUND, "42704", "unknown configuration key \"%.*s\"",
                               SLICE_ARGS(name));
    enum config_key nearest = config__nearest(name);
    if (nearest != CONFIG_KEY_COUNT) {
        errinfo_hint(info, "did you mean \"%s\"?", entries[nearest].name);
    } else {
        errinfo_hint(info, "`moat config --explain` lists every key");
    }
    return err;
}

enum err config__set(struct config *config, enum config_key key, struct slice value,
                     const char *where, const char *source, struct errinfo *info)
{
    struct config_value parsed;
    TRY(config__parse(config__entry(key), value, where, &parsed, info));
    char *kept = mem_strdup(source);
    if (kept == NULL) {
        mem_free(parsed.text);
        return errinfo_nomem(info);
    }
    struct config_setting *target = &config->settings[key];
    mem_free(target->value.text);
    mem_free(target->source);
    *target = (struct config_setting){.value = parsed, .source = kept};
    return ERR_OK;
}

enum err config_set(struct config *config, enum config_key key, struct slice value,
                    const char *source, struct errinfo *info)
{
    return config__set(config, key, value, "", source, info);
}

enum err config_copy(const struct config *config, struct config **ret_config, struct errinfo *info)
{
    struct config *copy CLEANUP(config_cleanup) = mem_calloc(1, sizeof(*copy));
    if (copy == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < CONFIG_KEY_COUNT; i++) {
        const struct config_setting *from = &config->settings[i];
        struct config_setting *to = &copy->settings[i];
        to->value.number = from->value.number;
        to->source = mem_strdup(from->source);
        to->value.text = from->value.text == NULL ? NULL : mem_strdup(from->value.text);
        if (to->source == NULL || (from->value.text != NULL && to->value.text == NULL)) {
            return errinfo_nomem(info);
        }
    }
    *ret_config = TAKE(copy);
    return ERR_OK;
}

void config_print(const struct config *config, enum config_key key, struct buf *out)
{
    config__print_value(config__entry(key), &setting(config, key)->value, out);
}
