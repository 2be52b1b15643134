/* What the files of this module share: the table of keys, values and their texts. */
#pragma once

#include "config/config.h"

struct config_entry {
    const char *name;
    enum config_type type;
    const char *unit;
    const char *fallback;
    const char *minimum;
    const char *maximum;
    const char *choices;
    const char *doc;
    bool is_session;
};

const struct config_entry *config__entry(enum config_key key);

/* `number` holds BOOL, INTEGER, BYTES (below INT64_MAX) and DURATION in ms; `text` (heap) the
 * others. */
struct config_value {
    int64_t number;
    char *text;
};

struct config_setting {
    struct config_value value;
    char *source;
};

struct config {
    struct config_setting settings[CONFIG_KEY_COUNT];
};

/* Checks `text` against the entry. `where` goes before the message ("moat.yaml:12: ", or "").
 * ERR_INVALID (22023) naming the key, the value and what is allowed; ERR_NOMEM. */
MUST_USE enum err config__parse(const struct config_entry *entry, struct slice text,
                                const char *where, struct config_value *ret_value,
                                struct errinfo *info);
void config__print_value(const struct config_entry *entry, const struct config_value *value,
                         struct buf *out);
/* One phrase: "a size such as 512MiB, at least 1KiB". */
void config__allowed(const struct config_entry *entry, struct buf *out);

/* Name of the environment variable of a key: MOAT_ENGINE_MEMORY. */
void config__variable(const struct config_entry *entry, struct buf *out);

/* Nearest key of a misspelt name, or CONFIG_KEY_COUNT. */
enum config_key config__nearest(struct slice name);
bool config__find(struct slice name, enum config_key *ret_key);

/* As config_set, with `where` as in config__parse. */
MUST_USE enum err config__set(struct config *config, enum config_key key, struct slice value,
                              const char *where, const char *source, struct errinfo *info);
