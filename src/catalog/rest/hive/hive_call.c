/* One call of a metastore: a POST whose body is the call, and whose answer is a message with the
 * result in field 0, or what it threw in a field of its own. */
#include "catalog/rest/rest_answer_int.h"
#include "catalog/rest/hive/hive_int.h"

void hive_reply__fini(struct hive_reply *reply)
{
    rest_answer__fini(&reply->answer);
    *reply = (struct hive_reply){0};
}

void hive_call__begin(struct hive_call *hive, const struct rest_call *call,
                      const struct hive_method *method, const char *what, struct slice name)
{
    *hive = (struct hive_call){.call = call, .method = method, .what = what, .name = name};
    thrift_call(&hive->body, method->name);
}

void hive_call__fini(struct hive_call *hive)
{
    buf_fini(&hive->body);
}

enum err(hive_call__wrong)(const struct rest_call *call, const char *what)
{
    (void)errinfo_set(call->info, ERR_CORRUPT, "08P01",
                      "catalog \"%.*s\" does not answer as a Hive metastore: %s",
                      SLICE_ARGS(call->catalog->name), what);
    errinfo_hint(call->info, "Its transport mode must be \"http\", with the binary protocol.");
    return ERR_CORRUPT;
}

/* Of an exception, whichever it is: its message is field 1. */
static struct slice read_message(struct slice exception)
{
    struct thrift_reader reader = {.left = exception};
    struct thrift_field field;
    while (thrift_read_field(&reader, &field)) {
        if (field.id == 1 && field.type == THRIFT_STRING) {
            return thrift_text_of(&reader, &field);
        }
    }
    return (struct slice){0};
}

enum err hive_reply__read(const struct hive_call *hive, struct hive_reply *reply)
{
    struct thrift_reader reader = {.left = secret_slice(&reply->answer.body)};
    struct thrift_field field;
    enum thrift_kind kind;
    thrift_read_message(&reader, &kind);
    if (kind == THRIFT_EXCEPTION && !reader.is_bad) {
        reply->fault = HIVE_FAILS;
        reply->message = read_message(reader.left);
        return ERR_OK;
    }
    while (thrift_read_field(&reader, &field)) {
        bool is_fault = field.id >= 1 && field.id <= (int)ARRAY_COUNT(hive->method->faults) &&
                        field.type == THRIFT_STRUCT;
        if (field.id == 0) {
            reply->result = field;
        } else if (is_fault) {
            enum hive_fault fault = hive->method->faults[field.id - 1];
            reply->fault = fault == HIVE_FINE ? HIVE_FAILS : fault;
            reply->message = read_message(field.value);
        } else {
            reader.is_bad = true;
        }
    }
    return reader.is_bad ? hive_call__wrong(hive->call, "a message that is none of Thrift's")
                         : ERR_OK;
}

static enum err unknown(const struct hive_call *hive)
{
    return rest_answer__unknown(hive->call, hive->what, hive->name);
}

enum err hive_call__send(struct hive_call *hive, struct hive_reply *ret_reply)
{
    thrift_stop(&hive->body);
    const struct rest_question question = {.method = SLICE("POST"),
                                           .url = hive->call->catalog->uri,
                                           .body = buf_slice(&hive->body),
                                           .content_type = "application/x-thrift",
                                           .changes = hive->method->changes,
                                           .what = hive->what,
                                           .name = hive->name};
    if (buf_failed(&hive->body)) {
        return errinfo_nomem(hive->call->info);
    }
    enum err err = rest_call__ask(hive->call, &question, &ret_reply->answer);
    if (err != ERR_OK) {
        return ret_reply->answer.is_unknown ? unknown(hive) : err;
    }
    err = hive_reply__read(hive, ret_reply);
    return err == ERR_CORRUPT && hive->method->changes ? unknown(hive) : err;
}

static bool has_word(struct slice text, const char *word)
{
    struct slice wanted = slice_of(word);
    for (size_t i = 0; i + wanted.len <= text.len; i++) {
        if (slice_equal_fold((struct slice){text.ptr + i, wanted.len}, wanted)) {
            return true;
        }
    }
    return false;
}

/* Authorizers have no class of their own for it. */
static bool is_denial(struct slice message)
{
    return has_word(message, "permission denied") || has_word(message, "no privilege") ||
           has_word(message, "AccessControlException");
}

static enum err by_fault(const struct hive_call *hive, const struct hive_reply *reply)
{
    const struct rest_catalog *catalog = hive->call->catalog;
    struct errinfo *info = hive->call->info;
    bool is_namespace = strcmp(hive->what, "namespace") == 0;
    if (reply->fault != HIVE_MISSING && is_denial(reply->message)) {
        return errinfo_set(info, ERR_DENIED, "42501",
                           "permission denied for %s \"%.*s\" by catalog \"%.*s\"", hive->what,
                           SLICE_ARGS(hive->name), SLICE_ARGS(catalog->name));
    }
    switch (reply->fault) {
    case HIVE_MISSING:
        return errinfo_set(info, ERR_NOT_FOUND, is_namespace ? "3F000" : "42P01",
                           "%s \"%.*s\" does not exist in catalog \"%.*s\"", hive->what,
                           SLICE_ARGS(hive->name), SLICE_ARGS(catalog->name));
    case HIVE_EXISTS:
        return errinfo_set(info, ERR_EXISTS, is_namespace ? "42P06" : "42P07",
                           "%s \"%.*s\" exists in catalog \"%.*s\"", hive->what,
                           SLICE_ARGS(hive->name), SLICE_ARGS(catalog->name));
    case HIVE_REFUSED:
        return errinfo_set(info, ERR_INVALID, "22023",
                           "catalog \"%.*s\" refuses this of %s \"%.*s\"",
                           SLICE_ARGS(catalog->name), hive->what, SLICE_ARGS(hive->name));
    case HIVE_FINE:
    case HIVE_FAILS:
        break;
    }
    return hive->method->changes ? unknown(hive)
                                 : errinfo_set(info, ERR_BUSY, "08006", "catalog \"%.*s\" fails",
                                               SLICE_ARGS(catalog->name));
}

enum err hive_call__fault(const struct hive_call *hive, const struct hive_reply *reply)
{
    char told[REST_TOLD_BYTES_MAX];
    enum err err = by_fault(hive, reply);
    rest_answer__tell(reply->message, told, sizeof(told));
    if (told[0] != '\0') {
        errinfo_detail(hive->call->info, "The metastore says: %s", told);
    }
    return err;
}

enum err hive_call__do(struct hive_call *hive, struct hive_reply *ret_reply)
{
    TRY(hive_call__send(hive, ret_reply));
    return ret_reply->fault == HIVE_FINE ? ERR_OK : hive_call__fault(hive, ret_reply);
}
