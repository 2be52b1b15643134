/* What a record says, as JSON, and what makes a line a link of the chain. */
#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "observe/audit_int.h"

static const char *const kind_names[] = {
    [AUDIT_QUERY_START] = "query_start",
    [AUDIT_QUERY_END] = "query_end",
    [AUDIT_DENIED] = "denied",
    [AUDIT_ADMIN] = "admin",
    [AUDIT_LOGIN] = "login",
    [AUDIT_POLICY] = "policy",
    [AUDIT_LOSS] = "loss",
};

/* What comes before the value of a field. Without printf and in one piece: putting a record
 * together was a tenth of answering a statement that reads nothing. */
#define RECORD_BYTES_USUAL 640 /* without its statement */
#define FIELD(name) SLICE(",\"" name "\":")

/* A field unless the text is empty: what is not known is absent, which reads as NULL. */
static void print_text(struct buf *out, struct slice field, struct slice text)
{
    if (text.len > 0) {
        buf_append_slice(out, field);
        json_write_string(out, text);
    }
}

/* Of one without any character that JSON writes otherwise: a word or a number of ours. */
static void print_word(struct buf *out, struct slice field, struct slice word)
{
    if (word.len > 0) {
        buf_append_slice(out, field);
        buf_append_char(out, '"');
        buf_append_slice(out, word);
        buf_append_char(out, '"');
    }
}

static void append_number(struct buf *out, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buf_append(out, digits + at, sizeof(digits) - at);
}

static void print_number(struct buf *out, struct slice field, uint64_t value)
{
    buf_append_slice(out, field);
    append_number(out, value);
}

static struct slice cut_statement(struct slice text)
{
    if (text.len <= AUDIT_STATEMENT_BYTES_MAX) {
        return text;
    }
    size_t len = AUDIT_STATEMENT_BYTES_MAX;
    while (len > AUDIT_STATEMENT_BYTES_MAX - 4 && ((unsigned char)text.ptr[len] & 0xC0) == 0x80) {
        len--; /* not inside a character */
    }
    return (struct slice){text.ptr, len};
}

static void print_table(struct buf *out, const struct audit_table *table)
{
    buf_append_str(out, "{\"name\":");
    json_write_string(out, table->name);
    print_text(out, FIELD("uuid"), table->uuid);
    buf_append_str(out, ",\"columns\":[");
    for (size_t i = 0; i < table->column_count; i++) {
        buf_append_str(out, i == 0 ? "" : ",");
        json_write_string(out, table->columns[i]);
    }
    buf_append_str(out, "],\"grants\":[");
    for (size_t i = 0; i < table->grant_count; i++) {
        buf_printf(out, "%s%llu", i == 0 ? "" : ",", (unsigned long long)table->grant_ids[i]);
    }
    buf_append_char(out, ']');
    print_number(out, FIELD("files"), table->files);
    print_number(out, FIELD("bytes_read"), table->bytes_read);
    print_text(out, FIELD("via_view"), table->via_view);
    print_text(out, FIELD("as_definer"), table->as_definer);
    print_text(out, FIELD("via_policy"), table->via_policy);
    if (table->has_snapshot) {
        buf_printf(out, ",\"snapshot_id\":%lld", (long long)table->snapshot_id);
    }
    print_text(out, FIELD("version"), table->version);
    buf_append_char(out, '}');
}

static void print_write(struct buf *out, const struct audit_write *write)
{
    buf_append_slice(out, FIELD("write"));
    buf_append_str(out, "{\"table\":");
    json_write_string(out, write->name);
    print_text(out, FIELD("uuid"), write->uuid);
    if (write->operation.len > 0) {
        print_text(out, FIELD("operation"), write->operation);
        if (write->snapshot_before != -1) {
            buf_printf(out, ",\"snapshot_before\":%lld", (long long)write->snapshot_before);
        }
        buf_printf(out, ",\"snapshot_after\":%lld", (long long)write->snapshot_after);
        print_number(out, FIELD("files"), write->files);
        print_number(out, FIELD("rows"), write->rows);
        print_text(out, FIELD("metadata_before"), write->metadata_before);
        print_text(out, FIELD("metadata_after"), write->metadata_after);
    }
    buf_append_char(out, '}');
}

static void print_end(const struct audit_record *record, struct buf *out)
{
    print_word(out, FIELD("state"), record->state);
    print_text(out, FIELD("sqlstate"), record->sqlstate);
    print_number(out, FIELD("rows_out"), record->rows_out);
    print_number(out, FIELD("bytes_out"), record->bytes_out);
    buf_append_str(out, ",\"durations_us\":{");
    for (size_t i = 0; i < record->duration_count; i++) {
        int64_t us = record->durations[i].us;
        buf_append_str(out, i == 0 ? "\"" : ",\"");
        buf_append_str(out, record->durations[i].state);
        buf_append(out, "\":", 2);
        append_number(out, us < 0 ? 0 : (uint64_t)us);
    }
    buf_append_char(out, '}');
    print_number(out, FIELD("duration_us"),
                 record->duration_us < 0 ? 0 : (uint64_t)record->duration_us);
}

void audit_print_who(const struct identity *who, struct buf *out)
{
    print_text(out, FIELD("user"), identity_subject(who));
    print_text(out, FIELD("actor"), identity_actor(who));
    print_text(out, FIELD("provider"), identity_provider(who));
    print_text(out, FIELD("client"), identity_client(who));
    print_text(out, FIELD("session"), identity_session_id(who));
    print_text(out, FIELD("api_key"), identity_sign_in(who)->api_key);
}

enum err audit__print_fields(const struct audit_record *record, struct buf *out,
                             struct errinfo *info)
{
    ASSERT((record->who != NULL || record->kind == AUDIT_LOGIN) &&
           (size_t)record->kind < ARRAY_COUNT(kind_names));
    if (buf_reserve(out, RECORD_BYTES_USUAL + cut_statement(record->statement).len) == NULL) {
        return errinfo_nomem(info);
    }
    buf_append_str(out, "\"kind\":\"");
    buf_append_str(out, kind_names[record->kind]);
    buf_append_char(out, '"');
    print_word(out, FIELD("query_id"), record->query_id);
    if (record->who != NULL && record->who_printed.len > 0) {
        buf_append_slice(out, record->who_printed);
    } else if (record->who != NULL) {
        audit_print_who(record->who, out);
    } else {
        print_text(out, FIELD("user"), record->claimed_user);
        print_text(out, FIELD("provider"), record->refused_by);
        print_text(out, FIELD("client"), record->claimed_client);
        print_text(out, FIELD("reason"), record->reason);
    }
    print_text(out, FIELD("command"), record->command);
    if (record->statement.len > 0) {
        print_text(out, FIELD("statement"), cut_statement(record->statement));
        print_number(out, FIELD("statement_bytes"), record->statement.len);
        uint8_t bytes[8];
        char hex[17];
        for (int i = 0; i < 8; i++) {
            bytes[i] = (uint8_t)(record->fingerprint >> (56 - 8 * i));
        }
        hash_hex(bytes, sizeof(bytes), hex);
        print_word(out, FIELD("fingerprint"), (struct slice){hex, 16});
    }
    buf_append_str(out, ",\"tables\":[");
    for (size_t i = 0; i < record->table_count; i++) {
        buf_append_str(out, i == 0 ? "" : ",");
        print_table(out, &record->tables[i]);
    }
    buf_append_char(out, ']');
    if (record->write != NULL) {
        print_write(out, record->write);
    }
    if (record->kind == AUDIT_QUERY_END || record->kind == AUDIT_DENIED || record->state.len > 0) {
        print_end(record, out);
    }
    if (buf_failed(out)) {
        return errinfo_nomem(info);
    }
    if (out->len > AUDIT_RECORD_BYTES_MAX) {
        (void)errinfo_set(info, ERR_LIMIT, NULL, "the audit record would be larger than %u bytes",
                          AUDIT_RECORD_BYTES_MAX);
        errinfo_hint(info, "Name fewer tables and columns in one statement.");
        return ERR_LIMIT;
    }
    return ERR_OK;
}

/* ---- the chain ---- */

#define PREV_MARK ",\"prev\":\""
#define HASH_START ",\"hash\":\""
#define HASH_MARK "\"" HASH_START
#define LINE_END "\"}"
#define SEQ_MARK "{\"seq\":"

enum err audit__append_line(struct buf *out, struct audit_head *head, int64_t wall_us,
                            struct slice fields, struct errinfo *info)
{
    char time[CLOCK_TEXT_BYTES];
    size_t start = out->len;
    buf_append_str(out, SEQ_MARK);
    append_number(out, head->seq + 1);
    buf_append_str(out, ",\"time\":\"");
    buf_append_str(out, clock_format_utc(wall_us, time));
    buf_append_str(out, "\",");
    buf_append_slice(out, fields);
    buf_append_str(out, PREV_MARK);
    buf_append_str(out, head->hash);
    buf_append_char(out, '"');
    if (buf_failed(out)) {
        return errinfo_nomem(info);
    }
    uint8_t digest[SHA256_BYTES];
    if (hash_sha256((struct slice){out->ptr + start, out->len - start}, digest) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "the audit record cannot be hashed");
    }
    hash_hex(digest, sizeof(digest), head->hash);
    head->seq++;
    buf_append_str(out, HASH_START);
    buf_append_str(out, head->hash);
    buf_append_str(out, LINE_END "\n");
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

static bool is_hex(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        bool is_digit = (text.ptr[i] >= '0' && text.ptr[i] <= '9') ||
                        (text.ptr[i] >= 'a' && text.ptr[i] <= 'f');
        if (!is_digit) {
            return false;
        }
    }
    return true;
}

/* Takes `literal` off the end of `text`. */
static bool take_end(struct slice *text, struct slice literal)
{
    if (!slice_ends_with(*text, literal)) {
        return false;
    }
    text->len -= literal.len;
    return true;
}

static bool take_hash(struct slice *text, struct slice *ret_hash)
{
    if (text->len < AUDIT_HASH_HEX) {
        return false;
    }
    text->len -= AUDIT_HASH_HEX;
    *ret_hash = (struct slice){text->ptr + text->len, AUDIT_HASH_HEX};
    return is_hex(*ret_hash);
}

enum audit_line_state audit__check_line(struct slice line, struct audit_line *ret_line)
{
    struct audit_line out = {0};
    struct slice rest = line;
    if (!take_end(&rest, SLICE(LINE_END)) || !take_hash(&rest, &out.hash) ||
        !take_end(&rest, SLICE(HASH_MARK))) {
        return AUDIT_LINE_FORM;
    }
    struct slice hashed = {line.ptr, rest.len + 1}; /* with the quote that ends prev */
    if (!take_hash(&rest, &out.prev) || !take_end(&rest, SLICE(PREV_MARK)) ||
        !slice_starts_with(rest, SLICE(SEQ_MARK))) {
        return AUDIT_LINE_FORM;
    }
    size_t start = sizeof(SEQ_MARK) - 1;
    const char *comma = memchr(rest.ptr + start, ',', rest.len - start);
    if (comma == NULL ||
        !slice_to_u64((struct slice){rest.ptr + start, (size_t)(comma - rest.ptr) - start},
                      &out.seq)) {
        return AUDIT_LINE_FORM;
    }
    uint8_t digest[SHA256_BYTES];
    char hex[AUDIT_HASH_HEX + 1];
    if (hash_sha256(hashed, digest) != ERR_OK) {
        return AUDIT_LINE_HASH;
    }
    hash_hex(digest, sizeof(digest), hex);
    if (!slice_equal(slice_of(hex), out.hash)) {
        return AUDIT_LINE_HASH;
    }
    *ret_line = out;
    return AUDIT_LINE_GOOD;
}

/* ---- names and the head file ---- */

void audit__file_name(uint64_t first_seq, char out[AUDIT_NAME_BYTES])
{
    (void)snprintf(out, AUDIT_NAME_BYTES, "audit-%020llu.jsonl", (unsigned long long)first_seq);
}

bool audit__parse_file_name(struct slice name, uint64_t *ret_first_seq)
{
    char canonical[AUDIT_NAME_BYTES];
    uint64_t seq;
    if (name.len != 32 || !slice_to_u64((struct slice){name.ptr + 6, 20}, &seq) || seq == 0) {
        return false;
    }
    audit__file_name(seq, canonical);
    if (!slice_equal(slice_of(canonical), name)) {
        return false;
    }
    *ret_first_seq = seq;
    return true;
}

void audit__print_head(const struct audit_head *head, char out[AUDIT_HEAD_BYTES])
{
    memset(out, ' ', AUDIT_HEAD_BYTES);
    int len = snprintf(out, AUDIT_HEAD_BYTES, "{\"seq\":%llu,\"file\":%llu,\"hash\":\"%s\"}",
                       (unsigned long long)head->seq, (unsigned long long)head->file_first_seq,
                       head->hash);
    ASSERT(len > 0 && len < AUDIT_HEAD_BYTES - 1);
    out[len] = ' ';
    out[AUDIT_HEAD_BYTES - 1] = '\n';
}

static bool take_start(struct slice *text, struct slice literal)
{
    if (!slice_starts_with(*text, literal)) {
        return false;
    }
    *text = (struct slice){text->ptr + literal.len, text->len - literal.len};
    return true;
}

static bool take_number(struct slice *text, uint64_t *ret_value)
{
    size_t len = 0;
    while (len < text->len && text->ptr[len] >= '0' && text->ptr[len] <= '9') {
        len++;
    }
    bool is_number = slice_to_u64((struct slice){text->ptr, len}, ret_value);
    *text = (struct slice){text->ptr + len, text->len - len};
    return is_number;
}

/* Only the exact bytes that print_head gives: any other byte was not written by us. */
bool audit__parse_head(struct slice bytes, struct audit_head *ret_head)
{
    struct audit_head head = {0};
    struct slice rest = bytes;
    if (bytes.len != AUDIT_HEAD_BYTES || !take_start(&rest, SLICE("{\"seq\":")) ||
        !take_number(&rest, &head.seq) || !take_start(&rest, SLICE(",\"file\":")) ||
        !take_number(&rest, &head.file_first_seq) || !take_start(&rest, SLICE(",\"hash\":\"")) ||
        rest.len < AUDIT_HASH_HEX || !is_hex((struct slice){rest.ptr, AUDIT_HASH_HEX})) {
        return false;
    }
    memcpy(head.hash, rest.ptr, AUDIT_HASH_HEX);
    char canonical[AUDIT_HEAD_BYTES];
    audit__print_head(&head, canonical);
    if (memcmp(canonical, bytes.ptr, AUDIT_HEAD_BYTES) != 0) {
        return false;
    }
    *ret_head = head;
    return true;
}
