/* One request to Glue: a POST to its address, whose header names the action, and whose body is the
 * action's input as JSON. */
#include "catalog/rest/rest_answer_int.h"
#include "catalog/rest/glue/glue_int.h"

void glue_call__begin(struct glue_call *glue, const struct rest_call *call, const char *action,
                      bool changes, const char *what, struct slice name)
{
    *glue = (struct glue_call){
        .call = call, .action = action, .changes = changes, .what = what, .name = name};
    buf_append_char(&glue->body, '{');
    if (call->catalog->warehouse.len > 0) {
        glue__write_text(&glue->body, true, "CatalogId", call->catalog->warehouse);
        buf_append_char(&glue->body, ',');
    }
}

void glue_call__fini(struct glue_call *glue)
{
    buf_fini(&glue->body);
}

void glue__write_text(struct buf *out, bool is_first, const char *key, struct slice text)
{
    buf_append_str(out, is_first ? "\"" : ",\"");
    buf_append_str(out, key);
    buf_append_str(out, "\":");
    json_write_string(out, text);
}

void glue_reply__fini(struct glue_reply *reply)
{
    arena_free(reply->arena);
    rest_answer__fini(&reply->answer);
    *reply = (struct glue_reply){0};
}

enum err glue_reply__read(const struct rest_call *call, struct glue_reply *reply)
{
    struct slice body = secret_slice(&reply->answer.body);
    reply->arena = arena_new(NULL, "glue", 0);
    if (reply->arena == NULL) {
        return errinfo_nomem(call->info);
    }
    return rest_answer__json(call, body.len == 0 ? SLICE("{}") : body, reply->arena, &reply->root);
}

enum err glue_call__do(struct glue_call *glue, struct glue_reply *ret_reply)
{
    const struct rest_call *call = glue->call;
    buf_append_char(&glue->body, '}');
    const struct rest_question question = {.method = SLICE("POST"),
                                           .url = call->catalog->uri,
                                           .body = buf_slice(&glue->body),
                                           .content_type = "application/x-amz-json-1.1",
                                           .action = glue->action,
                                           .changes = glue->changes,
                                           .what = glue->what,
                                           .name = glue->name};
    if (buf_failed(&glue->body)) {
        return errinfo_nomem(call->info);
    }
    enum err err = rest_call__ask(call, &question, &ret_reply->answer);
    if (err == ERR_OK) {
        err = glue_reply__read(call, ret_reply);
        ret_reply->answer.is_unknown = err == ERR_CORRUPT && glue->changes;
    }
    return err != ERR_OK && ret_reply->answer.is_unknown
               ? rest_answer__unknown(call, glue->what, glue->name)
               : err;
}
