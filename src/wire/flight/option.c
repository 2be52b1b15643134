/* Options of a session (SetSessionOptions, GetSessionOptions): "catalog" and "schema", which USE
 * sets, and Moat's settings, which SET does. */
#include "wire/flight/option.h"

#include "sql/scan.h"

enum option_error {
    OPTION_OK = 0,
    OPTION_INVALID_NAME = 1,
    OPTION_INVALID_VALUE = 2,
};

/* A SessionOptionValue as a text; no value: empty, and the option is reset. */
static bool print_value(struct slice message, struct buf *out, bool *ret_has)
{
    struct proto_field field;
    *ret_has = false;
    enum proto_step step;
    while ((step = proto_next(&message, &field)) == PROTO_FIELD) {
        buf_reset(out);
        *ret_has = true;
        if (field.number == 1 && field.type == PROTO_BYTES) {
            buf_append_slice(out, field.bytes);
        } else if (field.number == 2 && field.type == PROTO_VARINT) {
            buf_append_str(out, field.value != 0 ? "true" : "false");
        } else if (field.number == 3 && field.type == PROTO_FIXED64) {
            buf_printf(out, "%lld", (long long)field.value);
        } else if (field.number == 4 && field.type == PROTO_FIXED64) {
            double number;
            memcpy(&number, &field.value, sizeof(number));
            buf_printf(out, "%.17g", number);
        } else {
            return false; /* lists: there is no such option */
        }
    }
    return step == PROTO_END;
}

static bool is_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.')) {
            return false;
        }
    }
    return name.len > 0;
}

static enum option_error set_option(struct flight_call *call, struct slice name, struct slice value)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct buf statement CLEANUP(buf_fini) = {0};
    struct errinfo info;
    bool has_value;
    errinfo_init(&info);
    if (!is_name(name)) {
        return OPTION_INVALID_NAME;
    }
    if (!print_value(value, &text, &has_value)) {
        return OPTION_INVALID_VALUE;
    }
    bool is_place = slice_equal(name, SLICE("catalog")) || slice_equal(name, SLICE("schema"));
    if (is_place && !has_value) {
        return OPTION_INVALID_VALUE;
    }
    if (is_place) {
        buf_append_str(&statement, "USE ");
        sql_quote_name(&statement, buf_slice(&text));
    } else if (has_value) {
        buf_printf(&statement, "SET %.*s = ", SLICE_ARGS(name));
        sql_quote_string(&statement, buf_slice(&text));
    } else {
        buf_printf(&statement, "RESET %.*s", SLICE_ARGS(name));
    }
    enum err err = buf_failed(&statement)
                       ? ERR_NOMEM
                       : flight__main_run(call->session, buf_slice(&statement), &info);
    if (err == ERR_OK) {
        return OPTION_OK;
    }
    return err == ERR_NOT_FOUND && !is_place ? OPTION_INVALID_NAME : OPTION_INVALID_VALUE;
}

enum err flight__set_options(struct flight_call *call, struct slice request, struct buf *out)
{
    struct proto_field field;
    enum proto_step step;
    while ((step = proto_next(&request, &field)) == PROTO_FIELD) {
        struct slice name = {"", 0}, value = {"", 0};
        struct proto_want wants[] = {{1, &name, NULL, NULL}, {2, &value, NULL, NULL}};
        if (field.number != 1) {
            continue;
        }
        if (field.type != PROTO_BYTES || !proto_read(field.bytes, wants, ARRAY_COUNT(wants))) {
            return flight__wrong(&call->info, "the request is no message of Flight");
        }
        enum option_error error = set_option(call, name, value);
        if (error != OPTION_OK) {
            struct buf entry CLEANUP(buf_fini) = {0};
            struct buf what CLEANUP(buf_fini) = {0};
            proto_put_varint(&what, 1, error);
            proto_put_bytes(&entry, 1, name);
            proto_put_bytes(&entry, 2, buf_slice(&what));
            proto_put_bytes(out, 1, buf_slice(&entry));
        }
    }
    return step == PROTO_END ? ERR_OK
                             : flight__wrong(&call->info, "the request is no message of Flight");
}

static void put_option(struct buf *out, const char *name, struct slice value)
{
    struct buf entry CLEANUP(buf_fini) = {0};
    struct buf inner CLEANUP(buf_fini) = {0};
    proto_put_bytes(&inner, 1, value);
    proto_put_bytes(&entry, 1, slice_of(name));
    proto_put_bytes(&entry, 2, buf_slice(&inner));
    proto_put_bytes(out, 1, buf_slice(&entry));
}

enum err flight__get_options(struct flight_call *call, struct slice request, struct buf *out)
{
    struct session *own CLEANUP(session_cleanup) = NULL;
    struct buf value CLEANUP(buf_fini) = {0};
    (void)request;
    TRY(flight__apart(call->session, &own, &call->info));
    TRY(session_check(own, &call->info));
    put_option(out, "catalog", session_catalog(own));
    put_option(out, "schema", session_schema(own));
    const struct config *config = session_config(own);
    for (unsigned i = 0; i < CONFIG_KEY_COUNT; i++) {
        enum config_key key = (enum config_key)i;
        if (strcmp(config_source(config, key), "SET") == 0) {
            buf_reset(&value);
            config_print(config, key, &value);
            put_option(out, config_name(key), buf_slice(&value));
        }
    }
    return buf_failed(out) || buf_failed(&value) ? errinfo_nomem(&call->info) : ERR_OK;
}
