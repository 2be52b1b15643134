/* One table of all keys (config.def): type, default, unit, doc line, validation. File, environment
 * and --set overlays, `moat config --explain` and docs/configuration.md are generated from it; a
 * new key is one line.
 *
 * Order, later wins: default, file (YAML), environment MOAT_SECTION_KEY, --set section.key=value.
 * A bad key or value stops the start with file, line, key, what is allowed and the nearest name. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

enum config_type {
    CONFIG_BOOL,
    CONFIG_INTEGER,
    CONFIG_BYTES,
    CONFIG_DURATION,
    CONFIG_TEXT,
    CONFIG_CHOICE,
    CONFIG_PATH
};

/* Keys by identifier: CONFIG_ENGINE_MEMORY for engine.memory. Generated from config.def. */
enum config_key {
#define CONFIG_KEY(id, name, type, unit, fallback, minimum, maximum, choices, doc) CONFIG_##id,
#include "config/config.def"
#undef CONFIG_KEY
    CONFIG_KEY_COUNT
};

struct config;

struct config_sources {
    const char *file;        /* NULL = none; must exist when given */
    bool file_is_optional;   /* the default file of a warehouse may be absent */
    char **environment;      /* environ, or NULL */
    const char *const *sets; /* "section.key=value" */
    size_t set_count;
};

MUST_USE enum err config_load(const struct config_sources *sources, struct config **ret_config,
                              struct errinfo *info);
/* Likewise, of a warehouse: without a file it is the moat.yaml of its folder, if there is one. */
MUST_USE enum err config_load_warehouse(const struct config_sources *sources,
                                        struct config **ret_config, struct errinfo *info);
void config_free(struct config *config);
DEFINE_CLEANUP(struct config, config_cleanup, config_free)

bool config_bool(const struct config *config, enum config_key key);
int64_t config_integer(const struct config *config, enum config_key key);
uint64_t config_bytes(const struct config *config, enum config_key key);
int64_t config_duration_ms(const struct config *config, enum config_key key);
const char *config_text(const struct config *config, enum config_key key); /* also PATH, CHOICE */

/* Where the value came from: "default", "file moat.yaml:12", "environment", "--set". */
const char *config_source(const struct config *config, enum config_key key);
const char *config_name(enum config_key key);

/* Values a session may change with SET, under the same validation (a copy is changed). */
bool config_is_session(enum config_key key);
MUST_USE enum err config_find(struct slice name, enum config_key *ret_key, struct errinfo *info);
MUST_USE enum err config_set(struct config *config, enum config_key key, struct slice value,
                             const char *source, struct errinfo *info);
MUST_USE enum err config_copy(const struct config *config, struct config **ret_config,
                              struct errinfo *info);

/* Every key: value, default, unit, source, doc, as an aligned table. */
void config_explain(const struct config *config, struct buf *out);
/* docs/configuration.md. */
void config_reference(struct buf *out);
/* Value as text, for SHOW. */
void config_print(const struct config *config, enum config_key key, struct buf *out);
