/* What a request for a statement says, as JSON: POST /v1/sql and the messages of a WebSocket. */
#include "base/json.h"
#include "sql/scan.h"
#include "wire/web/web_int.h"

#define SETTINGS_MAX 64u
#define PARAMETERS_MAX 10000u

static enum err wrong(struct errinfo *info, const char *what)
{
    return errinfo_set(info, ERR_INVALID, "22023", "%s", what);
}

static enum err read_parameters(struct web_request *request, const struct json *list,
                                struct errinfo *info)
{
    if (json_is_null(list)) {
        return ERR_OK;
    }
    if (list->type != JSON_ARRAY || list->count > PARAMETERS_MAX) {
        return wrong(info, "\"parameters\" must be a list of values, in the order of $1, $2 ...");
    }
    request->parameters =
        arena_calloc(request->arena, list->count + 1, sizeof(*request->parameters));
    if (request->parameters == NULL) {
        return errinfo_nomem(info);
    }
    for (const struct json *value = list->first; value != NULL; value = value->next) {
        struct query_parameter *to = &request->parameters[request->parameter_count++];
        to->text = value->text;
        switch (value->type) {
        case JSON_NULL:
            to->is_null = true;
            break;
        case JSON_BOOL:
            to->kind = QUERY_PARAMETER_BOOLEAN;
            to->text = value->boolean ? SLICE("true") : SLICE("false");
            break;
        case JSON_NUMBER: {
            bool is_whole = true;
            for (size_t i = 0; i < value->text.len; i++) {
                is_whole = is_whole && strchr(".eE", value->text.ptr[i]) == NULL;
            }
            to->kind = is_whole ? QUERY_PARAMETER_INTEGER : QUERY_PARAMETER_REAL;
            break;
        }
        case JSON_STRING:
            to->kind = QUERY_PARAMETER_TEXT;
            break;
        case JSON_ARRAY:
        case JSON_OBJECT:
            return wrong(info, "a parameter must be a text, a number, true, false or null: send "
                               "lists and structs as texts, with a cast");
        }
    }
    return ERR_OK;
}

static bool is_setting_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.')) {
            return false;
        }
    }
    return name.len > 0;
}

static enum err read_settings(struct web_request *request, const struct json *settings,
                              struct errinfo *info)
{
    if (json_is_null(settings)) {
        return ERR_OK;
    }
    if (settings->type != JSON_OBJECT || settings->count > SETTINGS_MAX) {
        return wrong(info, "\"settings\" must be an object of names and values");
    }
    request->settings =
        arena_calloc(request->arena, settings->count + 1, sizeof(*request->settings));
    if (request->settings == NULL) {
        return errinfo_nomem(info);
    }
    for (const struct json *value = settings->first; value != NULL; value = value->next) {
        bool is_plain =
            value->type == JSON_STRING || value->type == JSON_NUMBER || value->type == JSON_BOOL;
        if (!is_plain || !is_setting_name(value->key)) {
            return errinfo_set(info, ERR_INVALID, "22023", "\"%.*s\" is no setting, or no value",
                               SLICE_ARGS(value->key));
        }
        struct slice text = value->type != JSON_BOOL ? value->text
                            : value->boolean         ? SLICE("true")
                                                     : SLICE("false");
        request->settings[request->setting_count++] = (struct web_setting){value->key, text};
    }
    return ERR_OK;
}

static enum err read_session(struct web_request *request, const struct json *session,
                             struct errinfo *info)
{
    if (json_is_null(session)) {
        return ERR_OK;
    }
    if (session->type != JSON_OBJECT) {
        return wrong(info, "\"session\" must be an object");
    }
    for (const struct json *member = session->first; member != NULL; member = member->next) {
        if (slice_equal(member->key, SLICE("settings"))) {
            TRY(read_settings(request, member, info));
        } else if (slice_equal(member->key, SLICE("catalog")) && member->type == JSON_STRING) {
            request->catalog = member->text;
        } else if (slice_equal(member->key, SLICE("schema")) && member->type == JSON_STRING) {
            request->schema = member->text;
        } else {
            return errinfo_set(info, ERR_INVALID, "22023", "\"session\" has no \"%.*s\" like that",
                               SLICE_ARGS(member->key));
        }
    }
    return ERR_OK;
}

static enum err read_format(struct web_request *request, struct slice name, struct errinfo *info)
{
    if (web__format_find(name, &request->format)) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_INVALID, "22023", "\"%.*s\" is no format", SLICE_ARGS(name));
    errinfo_hint(info, "allowed: json, jsonl, csv or arrow");
    return ERR_INVALID;
}

static enum err read_member(struct web_request *request, const struct json *member,
                            struct errinfo *info)
{
    bool is_text = member->type == JSON_STRING;
    if (slice_equal(member->key, SLICE("sql")) && is_text) {
        request->statement = member->text;
    } else if (slice_equal(member->key, SLICE("parameters"))) {
        return read_parameters(request, member, info);
    } else if (slice_equal(member->key, SLICE("session"))) {
        return read_session(request, member, info);
    } else if (slice_equal(member->key, SLICE("format")) && is_text) {
        return read_format(request, member->text, info);
    } else if (slice_equal(member->key, SLICE("async")) && member->type == JSON_BOOL) {
        request->is_async = member->boolean;
    } else if (slice_equal(member->key, SLICE("numbers")) && is_text &&
               (slice_equal(member->text, SLICE("text")) ||
                slice_equal(member->text, SLICE("exact")))) {
        request->numbers_as_text = slice_equal(member->text, SLICE("text"));
    } else {
        return errinfo_set(info, ERR_INVALID, "22023", "the request has no \"%.*s\" like that",
                           SLICE_ARGS(member->key));
    }
    return ERR_OK;
}

enum err web__request_members(struct web_request *request, const struct json *root,
                              struct errinfo *info)
{
    if (root->type != JSON_OBJECT) {
        return wrong(info, "the body must be an object: {\"sql\": \"SELECT ...\"}");
    }
    for (const struct json *member = root->first; member != NULL; member = member->next) {
        TRY(read_member(request, member, info));
    }
    return ERR_OK;
}

enum err web__request_json(struct web_request *request, struct slice body, struct errinfo *info)
{
    const struct json_limits limits = {.depth_max = 16, .nodes_max = 100000};
    struct json *root;
    if (!slice_is_utf8(body, NULL)) {
        return wrong(info, "the body must be UTF-8");
    }
    TRY(json_parse(request->arena, body, &limits, &root, info));
    return web__request_members(request, root, info);
}

enum err web__request_statement(struct web_request *request, struct errinfo *info)
{
    struct slice rest = request->statement.ptr == NULL ? SLICE("") : request->statement;
    struct slice more;
    TRY(sql_check_text(rest, rest.len, info));
    TRY(sql_split(&rest, &request->statement, NULL, info));
    TRY(sql_split(&rest, &more, NULL, info));
    if (request->statement.len == 0 || more.len > 0) {
        return errinfo_set(info, ERR_SYNTAX, "42601", "a request is one statement, in \"sql\"");
    }
    return ERR_OK;
}
