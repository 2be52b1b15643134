/* Errors of the engine as `enum err`, SQLSTATE, message and hint.
 *
 * DuckDB throws C++ exceptions whose text holds everything: the kind, the sentence, candidates and
 * an excerpt of the statement. The kind becomes the SQLSTATE, candidates become the hint, and the
 * excerpt goes: it shows the physical SQL, which is not what the person wrote. What the engine
 * advises to SET or LOAD goes too, since nobody may, and so do functions of Moat's own. */
#include "engine/duckdb/module.hpp"

#include <duckdb/common/string_util.hpp>

#include <exception>
#include <new>

namespace moat
{

using duckdb::ErrorData;
using duckdb::ExceptionType;
using std::string;

static const char KEY_CODE[] = "moat_code";
static const char KEY_STATE[] = "moat_sqlstate";
static const char KEY_HINT[] = "moat_hint";
static const char KEY_DETAIL[] = "moat_detail";

static ExceptionType type_of(enum err code)
{
    switch (code) {
    case ERR_CANCELLED:
    case ERR_TIMEOUT:
        return ExceptionType::INTERRUPT;
    case ERR_DENIED:
        return ExceptionType::PERMISSION;
    case ERR_NOMEM:
        return ExceptionType::OUT_OF_MEMORY;
    case ERR_SYNTAX:
        return ExceptionType::PARSER;
    case ERR_UNSUPPORTED:
        return ExceptionType::NOT_IMPLEMENTED;
    case ERR_INVALID:
    case ERR_LIMIT:
    case ERR_EXISTS:
        return ExceptionType::INVALID_INPUT;
    case ERR_OK:
    case ERR_NOT_FOUND:
    case ERR_IO:
    case ERR_CORRUPT:
    case ERR_BUSY:
    case ERR_ENGINE:
    case ERR_INTERNAL: /* never as INTERNAL: that would invalidate the whole database */
        return ExceptionType::IO;
    }
    return ExceptionType::IO;
}

void throw_err(enum err code, const char *sqlstate, const string &message, const string &hint)
{
    duckdb::unordered_map<string, string> extra;
    extra[KEY_CODE] = std::to_string(static_cast<int>(code));
    extra[KEY_STATE] = sqlstate != nullptr ? sqlstate : err_sqlstate(code);
    if (!hint.empty()) {
        extra[KEY_HINT] = hint;
    }
    throw duckdb::Exception(extra, type_of(code), message);
}

void throw_errinfo(enum err code, const struct errinfo &info)
{
    duckdb::unordered_map<string, string> extra;
    extra[KEY_CODE] = std::to_string(static_cast<int>(code));
    extra[KEY_STATE] = info.code == code ? info.sqlstate : err_sqlstate(code);
    if (info.hint[0] != '\0') {
        extra[KEY_HINT] = info.hint;
    }
    if (info.detail[0] != '\0') {
        extra[KEY_DETAIL] = info.detail;
    }
    const char *message = info.message[0] != '\0' ? info.message : "the object cannot be read";
    throw duckdb::Exception(extra, type_of(code), message);
}

/* "file <n>" for moat://<grant>/<n> and what may follow: who opened the grant knows its name. */
static string object_name(const string &address, size_t grant)
{
    size_t slash = address.find('/', grant);
    size_t end = slash == string::npos ? slash : address.find_first_not_of("0123456789", slash + 1);
    bool is_number = slash != string::npos && slash + 1 < address.size() && end != slash + 1 &&
                     (end == string::npos || address[end] == '.' || address[end] == '/');
    return is_number ? "file " + address.substr(slash + 1, end - slash - 1) : "file";
}

/* What an address is called in messages. A file of a scan has a number that its owner knows. */
static string name_of(const string &address, size_t grant)
{
    size_t slash = address.rfind('/');
    size_t scan = slash == 0 || slash == string::npos ? slash : address.rfind("/s", slash - 1);
    if (scan == string::npos || scan == 0 || scan + 2 >= slash || slash + 1 == address.size() ||
        address.find_first_not_of("0123456789", scan + 2) != slash ||
        address.find_first_not_of("0123456789", slash + 1) != string::npos) {
        return object_name(address, grant);
    }
    return "file " + address.substr(slash + 1) + " of the table";
}

string without_addresses(const string &text)
{
    static const string scheme = "moat://";
    string out;
    size_t at = 0;
    while (true) {
        size_t found = text.find(scheme, at);
        if (found == string::npos) {
            return out + text.substr(at);
        }
        out += text.substr(at, found - at);
        at = text.find_first_of(" \t\r\n\"'`,;:()[]{}<>\\", found + scheme.size());
        at = at == string::npos ? text.size() : at;
        out += name_of(text.substr(found, at - found), scheme.size());
    }
}

static bool contains(const string &text, const char *part)
{
    return text.find(part) != string::npos;
}

static string extra_of(const ErrorData &error, const char *key)
{
    auto found = error.ExtraInfo().find(key);
    return found == error.ExtraInfo().end() ? string() : found->second;
}

static const char *binder_state(const ErrorData &error, const string &text)
{
    string subtype = extra_of(error, "error_subtype");
    if (subtype == "COLUMN_NOT_FOUND") {
        return "42703";
    }
    if (subtype == "NO_MATCHING_FUNCTION") {
        return "42883";
    }
    if (subtype == "UNSUPPORTED") {
        return "0A000";
    }
    static const struct {
        const char *part;
        const char *state;
    } table[] = {
        {"Ambiguous reference to table", "42P09"},
        {"Ambiguous reference", "42702"},
        {"Referenced table", "42P01"},
        {"does not have a column named", "42703"},
        {"not found in FROM clause", "42703"},
        {"Could not choose a best candidate function", "42725"},
        {"GROUP BY", "42803"},
        {"aggregate", "42803"},
        {"WHERE clause cannot contain window", "42P20"},
        {"Cannot compare values of type", "42804"},
        {"Cannot mix values of type", "42804"},
        {"Cannot combine types", "42804"},
        {"Duplicate alias", "42712"},
        {"parameter", "42P02"},
    };
    for (const auto &row : table) {
        if (contains(text, row.part)) {
            return row.state;
        }
    }
    return "42000";
}

static const char *catalog_state(const ErrorData &error, const string &text)
{
    string subtype = extra_of(error, "error_subtype");
    string type = duckdb::StringUtil::Lower(extra_of(error, "type"));
    if (subtype == "ENTRY_ALREADY_EXISTS") {
        return contains(type, "table") || contains(type, "view") ? "42P07" : "42710";
    }
    if (contains(type, "function") || contains(type, "macro") || contains(text, "Function")) {
        return "42883";
    }
    if (contains(text, "Table with name") || contains(text, "View with name")) {
        return "42P01";
    }
    if (contains(type, "schema")) {
        return "3F000";
    }
    if (contains(type, "table") || contains(type, "view")) {
        return "42P01";
    }
    return "42704";
}

/* A number that a DECIMAL has no place for: it stands in quotes before the type. */
static bool is_decimal_overflow(const string &text)
{
    size_t end = text.find("\" to DECIMAL(");
    size_t begin = end == string::npos || end == 0 ? end : text.rfind('"', end - 1);
    if (begin == string::npos) {
        return false;
    }
    string value = text.substr(begin + 1, end - begin - 1);
    return value.find_first_of("0123456789") != string::npos &&
           value.find_first_not_of("0123456789+-.eE_") == string::npos;
}

static const char *conversion_state(const string &text)
{
    if (contains(text, "field value out of range")) {
        return "22008";
    }
    if (contains(text, "out of range") || is_decimal_overflow(text)) {
        return "22003";
    }
    if (contains(text, "Unknown TimeZone") || contains(text, "date field") ||
        contains(text, "timestamp field") || contains(text, "time field") ||
        contains(text, "invalid date") || contains(text, "invalid timestamp") ||
        contains(text, "to INTERVAL") || contains(text, "extract specifier") ||
        contains(text, "syntax for type date") || contains(text, "syntax for type time")) {
        return "22007";
    }
    if (contains(text, "Unimplemented type for cast")) {
        return "42846";
    }
    bool is_text = contains(text, "Could not convert string") ||
                   contains(text, "invalid input syntax") || contains(text, "Malformed JSON") ||
                   contains(text, "string -> ") || contains(text, "Type VARCHAR with value");
    return is_text ? "22P02" : "22018";
}

static const char *constraint_state(const string &text)
{
    if (contains(text, "NOT NULL")) {
        return "23502";
    }
    if (contains(text, "uplicate key") || contains(text, "nique")) {
        return "23505";
    }
    if (contains(text, "oreign key")) {
        return "23503";
    }
    return contains(text, "CHECK") ? "23514" : "23000";
}

struct outcome {
    enum err code;
    const char *sqlstate;
};

static struct outcome outcome_of(const ErrorData &error, const string &text)
{
    switch (error.Type()) {
    case ExceptionType::PARSER:
    case ExceptionType::SYNTAX:
        return {ERR_SYNTAX, "42601"};
    case ExceptionType::BINDER:
        return {ERR_ENGINE, binder_state(error, text)};
    case ExceptionType::CATALOG:
        return {ERR_ENGINE, catalog_state(error, text)};
    case ExceptionType::CONVERSION:
        return {ERR_ENGINE, conversion_state(text)};
    case ExceptionType::CONSTRAINT:
        return {ERR_ENGINE, constraint_state(text)};
    case ExceptionType::OUT_OF_RANGE:
    case ExceptionType::DECIMAL:
        return {ERR_ENGINE, "22003"};
    case ExceptionType::DIVIDE_BY_ZERO:
        return {ERR_ENGINE, "22012"};
    case ExceptionType::MISMATCH_TYPE:
    case ExceptionType::INVALID_TYPE:
    case ExceptionType::UNKNOWN_TYPE:
        return {ERR_ENGINE, "42804"};
    case ExceptionType::INVALID_INPUT:
    case ExceptionType::EXPRESSION:
    case ExceptionType::SETTINGS:
    case ExceptionType::INVALID_CONFIGURATION:
        return {ERR_ENGINE, "22023"};
    case ExceptionType::PARAMETER_NOT_RESOLVED:
    case ExceptionType::PARAMETER_NOT_ALLOWED:
        return {ERR_ENGINE, "42P18"};
    case ExceptionType::OBJECT_SIZE:
        return {ERR_LIMIT, "54000"};
    case ExceptionType::OUT_OF_MEMORY:
        return {ERR_NOMEM, "53200"};
    case ExceptionType::IO:
    case ExceptionType::NETWORK:
    case ExceptionType::HTTP:
        return {ERR_IO, "58030"};
    case ExceptionType::SERIALIZATION:
        return {ERR_CORRUPT, "XX001"};
    case ExceptionType::PERMISSION:
        return {ERR_DENIED, "42501"};
    case ExceptionType::INTERRUPT:
        return {ERR_CANCELLED, "57014"};
    case ExceptionType::NOT_IMPLEMENTED:
    case ExceptionType::MISSING_EXTENSION:
    case ExceptionType::AUTOLOAD:
        return {ERR_UNSUPPORTED, "0A000"};
    case ExceptionType::TRANSACTION:
        return {ERR_ENGINE, "25000"};
    case ExceptionType::DEPENDENCY:
        return {ERR_ENGINE, "2BP01"};
    case ExceptionType::SEQUENCE:
        return {ERR_ENGINE, "55000"};
    case ExceptionType::CONNECTION:
        return {ERR_ENGINE, "08000"};
    default: /* a foreign enum: everything else means that the engine is at fault */
        return {ERR_INTERNAL, "XX000"};
    }
}

static void cut_before(string &text, const char *mark)
{
    size_t at = text.find(mark);
    if (at != string::npos) {
        text.resize(at);
    }
}

/* "Binder Error: ", also when a wrapper has put a second one in front. */
static void drop_prefixes(string &text)
{
    while (true) {
        size_t at = text.find(" Error: ");
        if (at == string::npos || at > 24 || text.find_first_of("\"':\n(") < at) {
            return;
        }
        text.erase(0, at + sizeof(" Error: ") - 1);
    }
}

/* Moves the engine's suggestions from `text` to the returned hint. */
static string take_hint(string &text)
{
    static const char *const marks[] = {"You might need to add explicit",
                                        "Candidate ",
                                        "Did you mean",
                                        "Possible solution",
                                        "* Try ",
                                        "Try "};
    size_t first = string::npos;
    for (const char *mark : marks) {
        size_t at = text.find(mark);
        /* Only at the start of a sentence or line: a name may hold these words. */
        if (at != string::npos && at > 0 &&
            (text[at - 1] == '\n' || text[at - 1] == '\t' ||
             (at > 1 && text[at - 1] == ' ' && (text[at - 2] == '.' || text[at - 2] == '!')))) {
            first = std::min(first, at);
        }
    }
    if (first == string::npos) {
        return string();
    }
    string hint = text.substr(first);
    text.resize(first);
    return hint;
}

/* One line: runs of white space become one space, none at the ends. */
static string one_line(const string &text)
{
    string out;
    for (char c : text) {
        bool is_space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
        if (!is_space) {
            out += c;
        } else if (!out.empty() && out.back() != ' ') {
            out += ' ';
        }
    }
    while (!out.empty() && out.back() == ' ') {
        out.pop_back();
    }
    return out;
}

/* ---- the engine's advice ---- */

static bool is_word(char c)
{
    bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return is_letter || (c >= '0' && c <= '9') || c == '_';
}

/* Where `text` tells somebody to SET, LOAD and the like, outside of quotes; npos if never. */
static size_t find_advice(const string &text)
{
    static const char *const verbs[] = {"SET ", "RESET ", "PRAGMA ", "INSTALL ", "LOAD "};
    char quote = '\0'; /* that is open: names and values are in either kind */
    for (size_t at = 0; at < text.size(); at++) {
        bool is_inside_word = at > 0 && is_word(text[at - 1]);
        bool is_apostrophe =
            text[at] == '\'' && is_inside_word && at + 1 < text.size() && is_word(text[at + 1]);
        if ((text[at] == '\'' || text[at] == '"') && !is_apostrophe) {
            quote = quote == '\0' ? text[at] : quote == text[at] ? '\0' : quote;
        }
        for (const char *verb : verbs) {
            size_t end = at + strlen(verb);
            if (quote == '\0' && !is_inside_word && text.compare(at, strlen(verb), verb) == 0 &&
                end < text.size() && text[end] >= 'a' && text[end] <= 'z') {
                return at;
            }
        }
    }
    return string::npos;
}

/* From the sentence on that holds the advice. The first sentence is what happened, and stays. */
static void cut_advice(string &text)
{
    size_t at = find_advice(text);
    while (at != string::npos && at > 0) {
        at--;
        if (text[at] == '\n' || (text[at] == ' ' && at > 0 && text[at - 1] == '.')) {
            text.resize(at);
            return;
        }
    }
}

static const char damaged_parquet[] = "a Parquet file is damaged";
static const char damaged_parquet_hint[] =
    "Restore the file; `moat iceberg validate` finds which one of an Iceberg table it is.";

/* Conditions for which the engine's words would not help here. */
static const struct {
    const char *start;
    enum err code;
    const char *sqlstate;
    const char *message;
    const char *hint;
} own_words[] = {
    {"More than one row returned by a subquery", ERR_ENGINE, "21000",
     "a subquery used as a value gave more than one row",
     "Use an aggregate such as max(), or LIMIT 1; to test for any of the rows, use IN."},
    {"Max expression depth limit", ERR_LIMIT, "54001", "an expression is nested too deeply",
     "Write it flatter: IN for a chain of OR, a subquery for a part of it."},
    {"Pivot column limit", ERR_LIMIT, "54000", "PIVOT would make too many columns",
     "Filter the values that become columns, or name them with IN."},
    {"failed to offload data block", ERR_LIMIT, "53100",
     "the query needs more temporary disk than it may use",
     "Ask for less at a time, or raise engine.temp_disk."},
    {"Could not retrieve required statistics", ERR_ENGINE, "42000",
     "bitstring_agg needs the range of its values here",
     "Write bitstring_agg(column, smallest, largest)."},
    {"ORDER BY non-integer literal", ERR_ENGINE, "42601", "ORDER BY a constant has no effect",
     "Order by an expression, or by the number of a column."},
    /* Decoders of Parquet throw what the engine does not know. */
    {"TProtocolException", ERR_CORRUPT, "XX001", damaged_parquet, damaged_parquet_hint},
    {"don't know what type", ERR_CORRUPT, "XX001", damaged_parquet, damaged_parquet_hint},
    {"invalid TType", ERR_CORRUPT, "XX001", damaged_parquet, damaged_parquet_hint},
    {"Prefetch registered", ERR_CORRUPT, "XX001", damaged_parquet, damaged_parquet_hint},
    {"Parquet file is likely corrupted", ERR_CORRUPT, "XX001", damaged_parquet,
     damaged_parquet_hint},
    {"Page size mismatch", ERR_CORRUPT, "XX001", damaged_parquet, damaged_parquet_hint},
    {"Payload value bigger than allowed", ERR_CORRUPT, "XX001", damaged_parquet,
     damaged_parquet_hint},
    {"Out of buffer", ERR_CORRUPT, "XX001", damaged_parquet, damaged_parquet_hint},
    {"Decode bit width too large", ERR_CORRUPT, "XX001", damaged_parquet, damaged_parquet_hint},
    {"Varint-decoding found", ERR_CORRUPT, "XX001", damaged_parquet, damaged_parquet_hint},
    {"DBP decode", ERR_CORRUPT, "XX001", damaged_parquet, damaged_parquet_hint},
    {"DELTA_B", ERR_CORRUPT, "XX001", damaged_parquet, damaged_parquet_hint},
    {"Delta Length Byte Array", ERR_CORRUPT, "XX001", damaged_parquet, damaged_parquet_hint},
    {"BYTE_STREAM_SPLIT", ERR_CORRUPT, "XX001", damaged_parquet, damaged_parquet_hint},
    {"RLE encoding is only", ERR_CORRUPT, "XX001", damaged_parquet, damaged_parquet_hint},
    {"Information loss on integer cast", ERR_CORRUPT, "XX001", damaged_parquet,
     damaged_parquet_hint}, /* a negative length or count */
    {"Struct child row count mismatch", ERR_CORRUPT, "XX001", damaged_parquet,
     damaged_parquet_hint},
};

/* ---- functions that do not fit ---- */

/* The text between the parenthesis at `open` and the one that closes it; empty if none does. */
static string between_parentheses(const string &text, size_t open)
{
    unsigned depth = 0;
    for (size_t at = open; at < text.size(); at++) {
        depth += text[at] == '(' ? 1 : 0;
        depth -= text[at] == ')' ? 1 : 0;
        if (depth == 0) {
            return text.substr(open + 1, at - open - 1);
        }
    }
    return string();
}

static void replace_all(string &text, const string &what, const string &by)
{
    for (size_t at = 0; (at = text.find(what, at)) != string::npos; at += by.size()) {
        text.replace(at, what.size(), by);
    }
}

/* What the function takes, out of the engine's list of all its forms. */
static string forms_hint(const string &hint, const string &name)
{
    static const size_t forms_max = 4;
    string out;
    size_t count = 0;
    size_t at = hint.find(":\n");
    while (at != string::npos && count <= forms_max) {
        size_t start = hint.find_first_not_of(" \t\n", at + 1);
        if (start == string::npos || hint.compare(start, name.size() + 1, name + "(") != 0) {
            break;
        }
        if (count < forms_max) {
            out += (count == 0 ? "" : ", ");
            out += "(" + between_parentheses(hint, start + name.size()) + ")";
        }
        count++;
        at = hint.find('\n', start);
    }
    if (count == 0) {
        return "Cast the arguments to the types that it takes.";
    }
    return "It takes " + out + (count > forms_max ? " and others" : "") +
           "; CAST(... AS type) converts.";
}

/* "No function matches ... 'name(types)'." and its like in our words; false if it is not that. */
static bool report_misfit(const string &text, const string &hint, struct errinfo *info)
{
    static const struct {
        const char *start; /* ends where the call begins */
        const char *sqlstate;
        const char *what;
    } kinds[] = {
        {"No function matches the given name and argument types '", "42883", "no form of"},
        {"Could not choose a best candidate function for the function call \"", "42725",
         "more than one form of"},
    };
    for (const auto &kind : kinds) {
        size_t start = strlen(kind.start);
        size_t open = text.find('(', start);
        if (text.compare(0, start, kind.start) != 0 || open == string::npos) {
            continue;
        }
        string name = text.substr(start, open - start);
        string types = between_parentheses(text, open);
        replace_all(types, "INTEGER_LITERAL", "INTEGER");
        replace_all(types, "STRING_LITERAL", "VARCHAR");
        if (name == "__moat_cap") {
            errinfo_set(info, ERR_ENGINE, kind.sqlstate,
                        "the number of elements asked of a function must be a whole number");
            return true;
        }
        errinfo_set(info, ERR_ENGINE, kind.sqlstate, "%s \"%s\" takes (%s)", kind.what,
                    name.c_str(), types.c_str());
        errinfo_hint(info, "%s", forms_hint(hint, name).c_str());
        return true;
    }
    return false;
}

/* ---- shapes ---- */

/* "Failed to parse geometry: Expected number at offset 6" in our words; false if it is not that. */
static bool report_shape(const string &text, struct errinfo *info)
{
    static const char start[] = "Failed to parse geometry: ";
    if (text.compare(0, strlen(start), start) != 0 || text.size() == strlen(start)) {
        return false;
    }
    string what = text.substr(strlen(start));
    what[0] = static_cast<char>(tolower(static_cast<unsigned char>(what[0])));
    errinfo_set(info, ERR_ENGINE, "22P02", "no well-known text of a shape: %s",
                one_line(what).c_str());
    errinfo_hint(info, "Write POINT (1 2), LINESTRING (1 2, 3 4) or POLYGON ((0 0, 1 0, 1 1, 0 "
                       "0)); offsets count from 0.");
    return true;
}

/* ---- reporting ---- */

/* Names of columns may help; names of functions and types may be of those that nobody may use. */
static string usable_hint(const ErrorData &error, const string &hint)
{
    if (error.Type() == ExceptionType::OUT_OF_MEMORY) {
        return "Ask for less at a time, or give the engine more memory or room on disk.";
    }
    bool is_usable = error.Type() != ExceptionType::CATALOG && find_advice(hint) == string::npos &&
                     !contains(hint, "Candidate functions") && !contains(hint, "__moat_");
    return is_usable ? one_line(hint) : string();
}

static enum err report_engine(const ErrorData &error, string text, struct errinfo *info)
{
    for (const auto &own : own_words) {
        if (text.compare(0, strlen(own.start), own.start) == 0) {
            errinfo_set(info, own.code, own.sqlstate, "%s", own.message);
            errinfo_hint(info, "%s", own.hint);
            return own.code;
        }
    }
    if (report_shape(text, info)) {
        return ERR_ENGINE;
    }
    string hint = take_hint(text);
    if (error.Type() == ExceptionType::BINDER && report_misfit(text, hint, info)) {
        return ERR_ENGINE;
    }
    cut_advice(text);
    text = one_line(text);
    struct outcome out = outcome_of(error, text);
    if (out.code == ERR_CANCELLED) {
        return errinfo_set(info, out.code, out.sqlstate, "the query was cancelled");
    }
    errinfo_set(info, out.code, out.sqlstate, "%s", text.c_str());
    errinfo_hint(info, "%s", usable_hint(error, hint).c_str());
    if (out.code == ERR_INTERNAL) {
        errinfo_detail(info, "The engine has failed inside. Sessions that are open will refuse "
                             "further queries; new ones get a fresh engine.");
    }
    return out.code;
}

enum err report(const ErrorData &error, struct errinfo *info)
{
    string text = error.RawMessage();
    cut_before(text, "\n\nLINE ");
    cut_before(text, "\nLINE ");
    cut_before(text, "\n\nStack Trace");
    drop_prefixes(text);
    text = without_addresses(text);

    string own_code = extra_of(error, KEY_CODE);
    if (!own_code.empty()) {
        enum err code = static_cast<enum err>(std::stoi(own_code));
        errinfo_set(info, code, extra_of(error, KEY_STATE).c_str(), "%s", one_line(text).c_str());
        errinfo_hint(info, "%s", extra_of(error, KEY_HINT).c_str());
        errinfo_detail(info, "%s", extra_of(error, KEY_DETAIL).c_str());
        return code;
    }
    return report_engine(error, text, info);
}

enum err report_current(struct errinfo *info) noexcept
{
    try {
        try {
            throw;
        } catch (const std::bad_alloc &) {
            return errinfo_nomem(info);
        } catch (const std::exception &exception) {
            return report(ErrorData(exception), info);
        }
    } catch (...) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "the engine failed in an unknown way");
    }
}

} // namespace moat
