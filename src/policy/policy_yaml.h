/* A strict reader of YAML for policy_file.c: one event at a time, with its line. */
#pragma once

#include <stdarg.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"

struct policy_yaml {
    yaml_parser_t parser;
    yaml_event_t event; /* the present one */
    bool is_open;
    bool has_event;
    unsigned document_count;
    unsigned line; /* of the present event, from 1 */
    struct arena *arena;
    const char *file; /* its base name */
    struct errinfo *info;
};

/* `text` and `file_name` must outlive it. */
void policy__yaml_open(struct policy_yaml *yaml, struct slice text, const char *file_name,
                       struct arena *arena, struct errinfo *info);
void policy__yaml_close(struct policy_yaml *yaml); /* accepts a zeroed struct */

/* Moves to the next event. */
MUST_USE enum err policy__yaml_next(struct policy_yaml *yaml);

/* Copies the present scalar into the arena; refuses NUL. */
MUST_USE enum err policy__yaml_text(struct policy_yaml *yaml, struct slice *ret_text);
bool policy__yaml_is_plain(const struct policy_yaml *yaml); /* of the present scalar: not quoted */

/* "file:line: ..." */
PRINTF_LIKE(3, 4)
enum err policy__yaml_error(const struct policy_yaml *yaml, unsigned line, const char *format, ...);
