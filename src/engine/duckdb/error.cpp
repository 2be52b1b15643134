/* Errors of the engine as `enum err`, SQLSTATE, message and hint.
 *
 * DuckDB throws C++ exceptions whose text holds everything: the kind, the sentence, candidates and
 * an excerpt of the statement. The kind becomes the SQLSTATE, candidates become the hint, and the
 * excerpt goes: it shows the physical SQL, which is not what the person wrote. */
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
        out += text.substr(at, found - at) + "file";
        at = text.find_first_of(" \t\r\n\"'`,;:()[]{}<>\\", found + scheme.size());
        if (at == string::npos) {
            return out;
        }
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

static const char *conversion_state(const string &text)
{
    if (contains(text, "field value out of range")) {
        return "22008";
    }
    if (contains(text, "out of range")) {
        return "22003";
    }
    if (contains(text, "date field") || contains(text, "timestamp field") ||
        contains(text, "time field") || contains(text, "invalid date") ||
        contains(text, "invalid timestamp")) {
        return "22007";
    }
    if (contains(text, "Unimplemented type for cast")) {
        return "42846";
    }
    return contains(text, "Could not convert string") ? "22P02" : "22018";
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

    string hint = take_hint(text);
    text = one_line(text);
    struct outcome out = outcome_of(error, text);
    if (out.code == ERR_CANCELLED) {
        return errinfo_set(info, out.code, out.sqlstate, "the query was cancelled");
    }
    errinfo_set(info, out.code, out.sqlstate, "%s", text.c_str());
    errinfo_hint(info, "%s", one_line(hint).c_str());
    if (out.code == ERR_INTERNAL) {
        errinfo_detail(info, "The engine has failed inside. Sessions that are open will refuse "
                             "further queries; new ones get a fresh engine.");
    }
    return out.code;
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
