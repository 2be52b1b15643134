/* QueryResults: the one document of this protocol. */
#include "base/json.h"
#include "wire/trino/trino_int.h"

static void print_text(struct buf *out, const char *name, struct slice text)
{
    buf_printf(out, ",\"%s\":", name);
    json_write_string(out, text);
}

/* Line and column, both from 1, in characters. */
static void print_location(struct buf *out, struct slice statement, size_t position)
{
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i + 1 < position && i < statement.len; i++) {
        if (statement.ptr[i] == '\n') {
            line++;
            column = 1;
        } else {
            column += ((unsigned char)statement.ptr[i] & 0xC0) != 0x80;
        }
    }
    buf_printf(out, ",\"errorLocation\":{\"lineNumber\":%zu,\"columnNumber\":%zu}", line, column);
}

/* As one text: details end in a period, messages do not. */
static void print_message(struct buf *out, const struct errinfo *info)
{
    buf_append_str(out, info->message);
    if (info->detail[0] != '\0') {
        buf_printf(out, ". %s", info->detail);
    }
    if (info->hint[0] != '\0') {
        bool has_end = out->len > 0 && out->ptr[out->len - 1] == '.';
        buf_printf(out, "%s Hint: %s", has_end ? "" : ".", info->hint);
    }
}

static void print_error(struct buf *out, const struct errinfo *info, struct slice statement)
{
    struct trino_error error = trino_error_of(info);
    struct buf message CLEANUP(buf_fini) = {0};
    print_message(&message, info);
    buf_append_str(out, ",\"error\":{\"message\":");
    json_write_string(out, buf_slice(&message));
    print_text(out, "sqlState", slice_of(info->sqlstate));
    buf_printf(out, ",\"errorCode\":%d,\"errorName\":\"%s\",\"errorType\":\"%s\"", error.code,
               error.name, error.type);
    if (info->position > 0) {
        print_location(out, statement, info->position);
    }
    buf_append_str(out, ",\"failureInfo\":{\"type\":\"moat.QueryFailed\",\"message\":");
    json_write_string(out, buf_slice(&message));
    buf_printf(out,
               ",\"suppressed\":[],\"stack\":[],\"errorInfo\":{\"code\":%d,\"name\":\"%s\","
               "\"type\":\"%s\"}}}",
               error.code, error.name, error.type);
    out->failed = out->failed || buf_failed(&message);
}

/* One node does it all in one piece of work. */
static void print_stats(struct buf *out, const struct trino_answer *answer)
{
    bool is_queued = strcmp(answer->state, "QUEUED") == 0;
    bool is_over = strcmp(answer->state, "FINISHED") == 0 || strcmp(answer->state, "FAILED") == 0;
    long long queued_ms = (long long)(answer->queued_us / 1000);
    long long elapsed_ms = (long long)(answer->elapsed_us / 1000);
    buf_printf(out, ",\"stats\":{\"state\":\"%s\",\"queued\":%s,\"scheduled\":%s", answer->state,
               is_queued ? "true" : "false", is_queued ? "false" : "true");
    if (is_over || answer->progress >= 0) {
        buf_printf(out, ",\"progressPercentage\":%.1f,\"runningPercentage\":%.1f",
                   is_over ? 100.0 : answer->progress, is_over ? 0.0 : 100.0);
    }
    buf_printf(out,
               ",\"nodes\":1,\"totalSplits\":1,\"queuedSplits\":%d,\"runningSplits\":%d,"
               "\"completedSplits\":%d,\"planningTimeMillis\":0,\"analysisTimeMillis\":0,"
               "\"cpuTimeMillis\":0,\"wallTimeMillis\":%lld,\"queuedTimeMillis\":%lld,"
               "\"elapsedTimeMillis\":%lld,\"finishingTimeMillis\":0,"
               "\"physicalInputTimeMillis\":0,\"processedRows\":%llu,\"processedBytes\":0,"
               "\"physicalInputBytes\":0,\"physicalWrittenBytes\":0,"
               "\"internalNetworkInputBytes\":0,\"peakMemoryBytes\":0,\"spilledBytes\":0}",
               is_queued, !is_queued && !is_over, is_over, elapsed_ms - queued_ms, queued_ms,
               elapsed_ms, (unsigned long long)answer->row_count);
}

struct slice trino_answer_print(const struct trino_answer *answer, struct buf *head,
                                struct buf *tail)
{
    struct slice rows = SLICE("");
    struct buf *out = head;
    buf_printf(out, "{\"id\":\"%s\",\"infoUri\":\"%.*s/ui/query.html?%s\"", answer->id,
               SLICE_ARGS(answer->base), answer->id);
    if (answer->next.len > 0) {
        buf_printf(out, ",\"nextUri\":\"%.*s%.*s\"", SLICE_ARGS(answer->base),
                   SLICE_ARGS(answer->next));
    }
    if (answer->columns.len > 0) {
        buf_append_str(out, ",\"columns\":");
        buf_append_slice(out, answer->columns);
    }
    if (answer->rows.len > 0 && answer->encoding != NULL) {
        buf_append_str(out, ",\"data\":");
        trino_data_print(answer->encoding, answer->rows, answer->row_count - answer->rows_given,
                         answer->rows_given, out);
    } else if (answer->rows.len > 0) {
        buf_append_str(out, ",\"data\":[");
        rows = answer->rows;
        out = tail;
        buf_append_char(out, ']');
    }
    print_stats(out, answer);
    if (answer->error != NULL) {
        print_error(out, answer->error, answer->statement);
    }
    buf_append_str(out, ",\"warnings\":[");
    if (answer->warning.len > 0) {
        buf_append_str(out, "{\"warningCode\":{\"code\":1,\"name\":\"NOTICE\"},\"message\":");
        json_write_string(out, answer->warning);
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
    if (answer->update_type.len > 0) {
        print_text(out, "updateType", answer->update_type);
    }
    if (answer->update_count >= 0) {
        buf_printf(out, ",\"updateCount\":%lld", (long long)answer->update_count);
    }
    buf_append_str(out, "}\n");
    return rows;
}
