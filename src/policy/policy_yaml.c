/* libyaml's events as a strict stream: no anchors, aliases, tags or directives, one document.
 *
 * Events and not a document tree: nothing is built that a few bytes of aliases could blow up, and
 * every value still has its line. */
#include "policy/policy_yaml.h"

#include "base/io.h"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

void policy__yaml_open(struct policy_yaml *yaml, struct slice text, const char *file_name,
                       struct arena *arena, struct errinfo *info)
{
    *yaml =
        (struct policy_yaml){.arena = arena, .file = base_name(file_name), .info = info, .line = 1};
    yaml->is_open = yaml_parser_initialize(&yaml->parser) == 1;
    if (yaml->is_open) {
        /* UTF-8 only: left to itself, libyaml also reads UTF-16. */
        yaml_parser_set_encoding(&yaml->parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&yaml->parser, (const unsigned char *)text.ptr, text.len);
    }
}

void policy__yaml_close(struct policy_yaml *yaml)
{
    if (yaml->has_event) {
        yaml_event_delete(&yaml->event);
    }
    if (yaml->is_open) {
        yaml_parser_delete(&yaml->parser);
    }
    *yaml = (struct policy_yaml){0};
}

enum err policy__yaml_error(const struct policy_yaml *yaml, unsigned line, const char *format, ...)
{
    char text[ERRINFO_MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return errinfo_set(yaml->info, ERR_INVALID, NULL, "%s:%u: %s", yaml->file, line, text);
}

static enum err parser_failed(struct policy_yaml *yaml)
{
    if (yaml->parser.error == YAML_MEMORY_ERROR) {
        return errinfo_nomem(yaml->info);
    }
    bool is_reader = yaml->parser.error == YAML_READER_ERROR;
    const char *problem = yaml->parser.problem == NULL ? "not YAML" : yaml->parser.problem;
    unsigned line = is_reader ? yaml->line : (unsigned)yaml->parser.problem_mark.line + 1;
    enum err err = policy__yaml_error(yaml, line, "%s", problem);
    if (yaml->parser.context != NULL) {
        errinfo_detail(yaml->info, "It happened %s.", yaml->parser.context);
    }
    return err;
}

static enum err check_plain(struct policy_yaml *yaml)
{
    const yaml_event_t *event = &yaml->event;
    const unsigned char *anchor = NULL;
    const unsigned char *tag = NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (event->type == YAML_ALIAS_EVENT || anchor != NULL) {
        return policy__yaml_error(yaml, yaml->line, "anchors and aliases are not allowed");
    }
    if (tag != NULL) {
        return policy__yaml_error(yaml, yaml->line, "tags are not allowed");
    }
    if (event->type == YAML_DOCUMENT_START_EVENT &&
        (yaml->document_count++ > 0 || event->data.document_start.version_directive != NULL ||
         event->data.document_start.tag_directives.start !=
             event->data.document_start.tag_directives.end)) {
        return policy__yaml_error(yaml, yaml->line, "expected one document without directives");
    }
    return ERR_OK;
}

enum err policy__yaml_next(struct policy_yaml *yaml)
{
    if (!yaml->is_open) {
        return errinfo_nomem(yaml->info);
    }
    if (yaml->has_event) {
        yaml_event_delete(&yaml->event);
        yaml->has_event = false;
    }
    if (yaml_parser_parse(&yaml->parser, &yaml->event) != 1) {
        return parser_failed(yaml);
    }
    yaml->has_event = true;
    yaml->line = (unsigned)yaml->event.start_mark.line + 1;
    return check_plain(yaml);
}

enum err policy__yaml_text(struct policy_yaml *yaml, struct slice *ret_text)
{
    ASSERT(yaml->event.type == YAML_SCALAR_EVENT);
    struct slice text = {(const char *)yaml->event.data.scalar.value,
                         yaml->event.data.scalar.length};
    if (memchr(text.ptr, '\0', text.len) != NULL) {
        return policy__yaml_error(yaml, yaml->line, "a NUL character is not allowed");
    }
    return arena_slice(yaml->arena, text, ret_text) ? ERR_OK : errinfo_nomem(yaml->info);
}

bool policy__yaml_is_plain(const struct policy_yaml *yaml)
{
    return yaml->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}
