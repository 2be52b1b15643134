/* Functions of text as Trino has them.
 *
 *   trino_soundex(text)            American Soundex; letters beyond ASCII are an error
 *   trino_luhn_check(text)         whether the last digit is that of Luhn's formula
 *   trino_normalize(text, form)    NFC, NFD, NFKC or NFKD
 *   trino_format_number(number)    1.23K, 456M ...
 *   trino_parse_data_size(text)    bytes of "2.3MB", units are powers of 1024
 *   trino_from_base(text, radix), trino_to_base(number, radix)
 *   trino_from_utf8(bytes [, in place of what is no UTF-8])
 *   trino_levenshtein(a, b), trino_hamming(a, b)   in code points
 *   trino_split_to_map(text, between entries, between key and value), _multimap */
#include "engine/duckdb/trino.hpp"

#include <cmath>
#include <limits>
#include <memory>
#include <unordered_map>

#include <duckdb/common/types/decimal.hpp>
#include <duckdb/common/types/hugeint.hpp>
#include <duckdb/common/vector_operations/binary_executor.hpp>

/* Of the engine's own copy of utf8proc, which it exports and has no header for. */
namespace duckdb
{
enum utf8proc_option_t {
    MOAT_STABLE = 1 << 1,
    MOAT_COMPAT = 1 << 2,
    MOAT_COMPOSE = 1 << 3,
    MOAT_DECOMPOSE = 1 << 4
};
ptrdiff_t utf8proc_map(const unsigned char *text, ptrdiff_t len, unsigned char **ret,
                       utf8proc_option_t options);
ptrdiff_t utf8proc_iterate(const unsigned char *text, ptrdiff_t len, int *ret);
int utf8proc_category(int codepoint);
} // namespace duckdb

namespace moat
{

using duckdb::BinaryExecutor;
using duckdb::DataChunk;
using duckdb::ExpressionState;
using duckdb::hugeint_t;
using duckdb::LogicalType;
using duckdb::ScalarFunction;
using duckdb::string_t;
using duckdb::UnaryExecutor;
using duckdb::Value;
using duckdb::Vector;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ---- sounds and checks ---- */

/* ASCII letters in capitals; what is no letter is left out. */
static std::string letters_of(string_t value)
{
    std::string letters;
    auto text = reinterpret_cast<const unsigned char *>(value.GetData());
    auto len = static_cast<ptrdiff_t>(value.GetSize());
    for (ptrdiff_t at = 0; at < len;) {
        int codepoint = 0;
        ptrdiff_t step = duckdb::utf8proc_iterate(text + at, len - at, &codepoint);
        at += step > 0 ? step : 1;
        int category = step > 0 ? duckdb::utf8proc_category(codepoint) : 0;
        bool is_letter = category >= 1 && category <= 5;
        if (is_letter && codepoint >= 0x80) {
            throw_argument("the text has a letter that Soundex has no number for");
        }
        if (is_letter) {
            letters += static_cast<char>(codepoint & ~0x20);
        }
    }
    return letters;
}

/* H and W are passed over, vowels part what is the same; '-' and '0' say so. */
static std::string soundex(string_t value)
{
    static const char codes[] = "01230120022455012623010202";
    std::string letters = letters_of(value);
    if (letters.empty()) {
        return letters;
    }
    std::string code(1, letters[0]);
    char last = codes[letters[0] - 'A'];
    for (size_t i = 1; i < letters.size() && code.size() < 4; i++) {
        if (letters[i] == 'H' || letters[i] == 'W') {
            continue;
        }
        char digit = codes[letters[i] - 'A'];
        if (digit != '0' && digit != last) {
            code += digit;
        }
        last = digit;
    }
    code.resize(4, '0');
    return code;
}

static void run_soundex(DataChunk &args, ExpressionState &, Vector &result)
{
    put_texts<string_t>(args, result, soundex);
}

static bool luhn_check(string_t value)
{
    const char *text = value.GetData();
    size_t len = value.GetSize();
    unsigned sum = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[len - 1 - i];
        if (!is_digit(c)) {
            throw_argument("the text is not of digits only");
        }
        unsigned digit = static_cast<unsigned>(c - '0') << (i % 2);
        sum = (sum + digit / 10 + digit % 10) % 10;
    }
    return len > 0 && sum == 0;
}

static void run_luhn_check(DataChunk &args, ExpressionState &, Vector &result)
{
    UnaryExecutor::Execute<string_t, bool>(args.data[0], result, args.size(), luhn_check);
}

/* ---- normal forms ---- */

static std::string normalize(string_t value, string_t form)
{
    std::string name = text_of(form);
    bool composes = name == "NFC" || name == "NFKC";
    bool is_compatible = name == "NFKC" || name == "NFKD";
    if (!composes && !is_compatible && name != "NFD") {
        throw_argument("the normal form is none of NFC, NFD, NFKC, NFKD");
    }
    int options = duckdb::MOAT_STABLE | (composes ? duckdb::MOAT_COMPOSE : duckdb::MOAT_DECOMPOSE) |
                  (is_compatible ? duckdb::MOAT_COMPAT : 0);
    unsigned char *normal = nullptr;
    ptrdiff_t len = duckdb::utf8proc_map(reinterpret_cast<const unsigned char *>(value.GetData()),
                                         static_cast<ptrdiff_t>(value.GetSize()), &normal,
                                         static_cast<duckdb::utf8proc_option_t>(options));
    std::unique_ptr<unsigned char, decltype(&free)> owner(normal, free);
    if (len < 0 || normal == nullptr) {
        throw_err(ERR_NOMEM, nullptr, "out of memory", "");
    }
    return {reinterpret_cast<char *>(normal), static_cast<size_t>(len)};
}

static void run_normalize(DataChunk &args, ExpressionState &, Vector &result)
{
    BinaryExecutor::Execute<string_t, string_t, string_t>(
        args.data[0], args.data[1], result, args.size(),
        [&](string_t value, string_t form) { return put_text(result, normalize(value, form)); });
}

/* ---- numbers as people write them ---- */

/* At most so many digits behind the point, half up of what the number is to the last bit, without
 * zeros at the end. */
static std::string rounded(double value, int digits)
{
    double scaled = std::fabs(value) * std::pow(10, digits);
    double whole = std::floor(scaled);
    bool is_half =
        scaled - whole == 0.5 && std::fma(std::fabs(value), std::pow(10, digits), -scaled) == 0;
    if (is_half) { /* else printf rounds it to the even one */
        value = std::copysign((whole + 1) / std::pow(10, digits), value);
    }
    char buffer[64];
    snprintf(buffer, sizeof(buffer), "%.*f", digits, value);
    std::string text = buffer;
    if (digits > 0) {
        text.erase(text.find_last_not_of('0') + 1);
        text.erase(text.find_last_not_of('.') + 1);
    }
    return text;
}

static std::string format_number(int64_t number)
{
    static const char *const units[] = {"", "K", "M", "B", "T", "Q"};
    auto value = static_cast<double>(number);
    size_t unit = 0;
    while (std::fabs(value) >= 1000 && unit + 1 < 6) {
        value /= 1000;
        unit++;
    }
    return rounded(value, value < 10 ? 2 : value < 100 ? 1 : 0) + units[unit];
}

/* The whole part, as far as there is one. */
static int64_t whole_of(double value)
{
    return std::isnan(value)                 ? 0
           : value >= 9223372036854775807.0  ? std::numeric_limits<int64_t>::max()
           : value <= -9223372036854775808.0 ? std::numeric_limits<int64_t>::min()
                                             : static_cast<int64_t>(value);
}

static void run_format_number(DataChunk &args, ExpressionState &, Vector &result)
{
    put_texts<int64_t>(args, result, format_number);
}

static void run_format_double(DataChunk &args, ExpressionState &, Vector &result)
{
    put_texts<double>(args, result, [](double value) { return format_number(whole_of(value)); });
}

/* 2^bits of the digits behind a point, without what is left: doubled so often. */
static hugeint_t scaled_fraction(std::string digits, unsigned bits)
{
    hugeint_t whole(0);
    for (unsigned n = 0; n < bits; n++) {
        int carry = 0;
        for (size_t i = digits.size(); i > 0; i--) {
            int digit = 2 * (digits[i - 1] - '0') + carry;
            carry = digit / 10;
            digits[i - 1] = static_cast<char>('0' + digit % 10);
        }
        whole = whole * hugeint_t(2) + hugeint_t(carry);
    }
    return whole;
}

static constexpr size_t NUMBER_BYTES = 1000; /* a longer one is none that anybody means */

static hugeint_t parse_data_size(string_t value)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
    std::string text = text_of(value);
    size_t end = 0;
    while (end < text.size() && (is_digit(text[end]) || text[end] == '.')) {
        end++;
    }
    std::string number = text.substr(0, end);
    std::string unit = text.substr(end);
    size_t point = std::min(number.find('.'), number.size());
    std::string fraction = point < number.size() ? number.substr(point + 1) : "";
    unsigned power = 0;
    while (power < 9 && unit != units[power]) {
        power++;
    }
    bool is_number = point + fraction.size() > 0 && fraction.find('.') == std::string::npos;
    if (power == 9 || !is_number || number.size() > NUMBER_BYTES) {
        throw_argument("the text is no data size, such as 2.3MB");
    }
    hugeint_t factor(1);
    for (unsigned n = 0; n < 10 * power; n++) {
        factor = factor * hugeint_t(2);
    }
    hugeint_t limit = duckdb::Hugeint::POWERS_OF_TEN[38];
    hugeint_t whole(0);
    for (size_t i = 0; i < point; i++) {
        hugeint_t digit(number[i] - '0');
        if (whole > (limit / factor - digit) / hugeint_t(10)) {
            throw_err(ERR_INVALID, "22003", "the data size is too large", "");
        }
        whole = whole * hugeint_t(10) + digit;
    }
    hugeint_t bytes = whole * factor + scaled_fraction(fraction, 10 * power);
    if (bytes >= limit) {
        throw_err(ERR_INVALID, "22003", "the data size is too large", "");
    }
    return bytes;
}

static void run_parse_data_size(DataChunk &args, ExpressionState &, Vector &result)
{
    UnaryExecutor::Execute<string_t, hugeint_t>(args.data[0], result, args.size(), parse_data_size);
}

/* ---- other bases ---- */

static uint64_t checked_radix(int64_t radix)
{
    if (radix < 2 || radix > 36) {
        throw_argument("a radix is from 2 to 36");
    }
    return static_cast<uint64_t>(radix);
}

static int64_t from_base(string_t value, int64_t wanted)
{
    uint64_t radix = checked_radix(wanted);
    std::string text = text_of(value);
    bool is_negative = !text.empty() && text[0] == '-';
    size_t first = is_negative || (!text.empty() && text[0] == '+') ? 1 : 0;
    uint64_t limit = static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) + is_negative;
    uint64_t number = 0;
    bool is_wrong = first == text.size();
    for (size_t i = first; i < text.size() && !is_wrong; i++) {
        char c = text[i];
        uint64_t digit = is_digit(c)              ? static_cast<uint64_t>(c - '0')
                         : (c >= 'a' && c <= 'z') ? static_cast<uint64_t>(c - 'a') + 10
                         : (c >= 'A' && c <= 'Z') ? static_cast<uint64_t>(c - 'A') + 10
                                                  : 36;
        is_wrong = digit >= radix || number > (limit - digit) / radix;
        number = is_wrong ? 0 : number * radix + digit;
    }
    if (is_wrong) {
        throw_argument("the text is no whole number of this radix that a bigint holds");
    }
    return static_cast<int64_t>(is_negative ? 0 - number : number);
}

static void run_from_base(DataChunk &args, ExpressionState &, Vector &result)
{
    BinaryExecutor::Execute<string_t, int64_t, int64_t>(args.data[0], args.data[1], result,
                                                        args.size(), from_base);
}

static std::string to_base(int64_t value, int64_t wanted)
{
    uint64_t radix = checked_radix(wanted);
    auto rest = static_cast<uint64_t>(value);
    rest = value < 0 ? 0 - rest : rest;
    std::string text;
    do {
        text.insert(text.begin(), "0123456789abcdefghijklmnopqrstuvwxyz"[rest % radix]);
        rest /= radix;
    } while (rest > 0);
    return value < 0 ? "-" + text : text;
}

static void run_to_base(DataChunk &args, ExpressionState &, Vector &result)
{
    BinaryExecutor::Execute<int64_t, int64_t, string_t>(
        args.data[0], args.data[1], result, args.size(),
        [&](int64_t value, int64_t radix) { return put_text(result, to_base(value, radix)); });
}

/* ---- UTF-8 ---- */

/* How long the character at the front is, and whether it is one. What is none is as long as its
 * first byte says, or up to the byte that does not go on with it. */
static size_t character_at(const unsigned char *text, size_t len, bool *ret_is_one)
{
    unsigned char lead = text[0];
    size_t wanted = lead < 0x80   ? 1
                    : lead < 0xC0 ? 0
                    : lead < 0xE0 ? 2
                    : lead < 0xF0 ? 3
                    : lead < 0xF8 ? 4
                    : lead < 0xFC ? 5
                    : lead < 0xFE ? 6
                                  : 0;
    size_t seen = 1;
    uint32_t codepoint = wanted < 2 ? lead : lead & (0x7Fu >> wanted);
    while (seen < wanted && seen < len && (text[seen] & 0xC0) == 0x80) {
        codepoint = codepoint << 6 | (text[seen++] & 0x3F);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    *ret_is_one = wanted == seen && wanted > 0 && wanted <= 4 && codepoint >= least[wanted] &&
                  codepoint <= 0x10FFFF && (codepoint < 0xD800 || codepoint > 0xDFFF);
    return seen;
}

static std::string from_utf8(string_t value, const std::string &instead)
{
    auto text = reinterpret_cast<const unsigned char *>(value.GetData());
    size_t len = value.GetSize();
    std::string result;
    for (size_t at = 0; at < len;) {
        bool is_one;
        size_t step = character_at(text + at, len - at, &is_one);
        if (is_one) {
            result.append(value.GetData() + at, step);
        } else {
            result += instead;
        }
        at += step;
    }
    return result;
}

static std::string from_utf8_text(string_t value, string_t instead)
{
    auto text = reinterpret_cast<const unsigned char *>(instead.GetData());
    bool is_one = true;
    if (instead.GetSize() > 0 &&
        character_at(text, instead.GetSize(), &is_one) != instead.GetSize()) {
        throw_argument("what stands for bytes that are no UTF-8 is one character, or none");
    }
    return from_utf8(value, text_of(instead));
}

static std::string from_utf8_codepoint(string_t value, int64_t codepoint)
{
    if (codepoint < 0 || codepoint > 0x10FFFF || (codepoint >= 0xD800 && codepoint <= 0xDFFF)) {
        throw_argument("what stands for bytes that are no UTF-8 is no code point");
    }
    auto c = static_cast<uint32_t>(codepoint);
    auto byte = [&](unsigned shift) { return static_cast<char>(0x80 | (c >> shift & 0x3F)); };
    std::string text;
    if (c < 0x80) {
        text = {static_cast<char>(c)};
    } else if (c < 0x800) {
        text = {static_cast<char>(0xC0 | c >> 6), byte(0)};
    } else if (c < 0x10000) {
        text = {static_cast<char>(0xE0 | c >> 12), byte(6), byte(0)};
    } else {
        text = {static_cast<char>(0xF0 | c >> 18), byte(12), byte(6), byte(0)};
    }
    return from_utf8(value, text);
}

static void run_from_utf8(DataChunk &args, ExpressionState &, Vector &result)
{
    put_texts<string_t>(args, result,
                        [](string_t value) { return from_utf8(value, "\xEF\xBF\xBD"); });
}

template <class T, std::string (*FROM)(string_t, T)>
static void run_from_utf8_or(DataChunk &args, ExpressionState &, Vector &result)
{
    BinaryExecutor::Execute<string_t, T, string_t>(
        args.data[0], args.data[1], result, args.size(),
        [&](string_t value, T instead) { return put_text(result, FROM(value, instead)); });
}

/* ---- distances ---- */

static std::vector<int> codepoints_of(const string_t &value)
{
    std::vector<int> codepoints;
    auto text = reinterpret_cast<const unsigned char *>(value.GetData());
    auto len = static_cast<ptrdiff_t>(value.GetSize());
    for (ptrdiff_t at = 0; at < len;) {
        int codepoint = 0;
        ptrdiff_t step = duckdb::utf8proc_iterate(text + at, len - at, &codepoint);
        at += step > 0 ? step : 1;
        codepoints.push_back(codepoint);
    }
    return codepoints;
}

static constexpr size_t CELLS_MAX = 1000000; /* as many pairs of characters are compared */

static int64_t levenshtein(string_t left, string_t right)
{
    std::vector<int> a = codepoints_of(left);
    std::vector<int> b = codepoints_of(right);
    if (a.size() > 0 && b.size() > CELLS_MAX / a.size()) {
        throw_argument("the texts are too long to be compared");
    }
    std::vector<int64_t> row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); j++) {
        row[j] = static_cast<int64_t>(j);
    }
    for (size_t i = 0; i < a.size(); i++) {
        int64_t above_left = row[0]++;
        for (size_t j = 0; j < b.size(); j++) {
            int64_t above = row[j + 1];
            int64_t changed = above_left + (a[i] == b[j] ? 0 : 1);
            row[j + 1] = std::min(changed, std::min(above, row[j]) + 1);
            above_left = above;
        }
    }
    return row[b.size()];
}

static int64_t hamming(string_t left, string_t right)
{
    std::vector<int> a = codepoints_of(left);
    std::vector<int> b = codepoints_of(right);
    if (a.size() != b.size()) {
        throw_argument("the texts have not as many characters");
    }
    int64_t count = 0;
    for (size_t i = 0; i < a.size(); i++) {
        count += a[i] == b[i] ? 0 : 1;
    }
    return count;
}

template <int64_t (*DISTANCE)(string_t, string_t)>
static void run_distance(DataChunk &args, ExpressionState &, Vector &result)
{
    BinaryExecutor::Execute<string_t, string_t, int64_t>(args.data[0], args.data[1], result,
                                                         args.size(), DISTANCE);
}

/* ---- texts that are maps ---- */

struct entries {
    std::vector<std::string> keys;
    std::vector<duckdb::vector<Value>> values;
};

static entries split_entries(const std::string &text, const std::string &between,
                             const std::string &equals, bool is_multimap)
{
    if (between.empty() || equals.empty() || between == equals) {
        throw_argument("the separators of entries and of keys are two texts that are not empty");
    }
    entries found;
    std::unordered_map<std::string, size_t> places;
    for (size_t at = 0; at < text.size();) {
        size_t end = std::min(text.find(between, at), text.size());
        std::string entry = text.substr(at, end - at);
        size_t middle = entry.find(equals);
        if (middle == std::string::npos ||
            entry.find(equals, middle + equals.size()) != std::string::npos) {
            throw_argument("an entry is one key and one value");
        }
        std::string key = entry.substr(0, middle);
        auto place = places.emplace(key, found.keys.size());
        if (place.second) {
            found.keys.push_back(key);
            found.values.emplace_back();
        } else if (!is_multimap) {
            throw_argument("a key is there twice");
        }
        found.values[place.first->second].emplace_back(entry.substr(middle + equals.size()));
        at = end + (end < text.size() ? between.size() : 0);
    }
    return found;
}

template <bool IS_MULTIMAP>
static void run_split(DataChunk &args, ExpressionState &, Vector &result)
{
    const LogicalType text = LogicalType::VARCHAR;
    for (duckdb::idx_t i = 0; i < args.size(); i++) {
        Value whole = args.data[0].GetValue(i);
        Value between = args.data[1].GetValue(i);
        Value equals = args.data[2].GetValue(i);
        if (whole.IsNull() || between.IsNull() || equals.IsNull()) {
            result.SetValue(i, Value(result.GetType()));
            continue;
        }
        entries found =
            split_entries(duckdb::StringValue::Get(whole), duckdb::StringValue::Get(between),
                          duckdb::StringValue::Get(equals), IS_MULTIMAP);
        duckdb::vector<Value> keys;
        duckdb::vector<Value> values;
        for (size_t e = 0; e < found.keys.size(); e++) {
            keys.emplace_back(found.keys[e]);
            values.push_back(IS_MULTIMAP ? Value::LIST(text, std::move(found.values[e]))
                                         : found.values[e][0]);
        }
        result.SetValue(i, Value::MAP(text, IS_MULTIMAP ? LogicalType::LIST(text) : text,
                                      std::move(keys), std::move(values)));
    }
    if (args.AllConstant()) {
        result.SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
    }
}

void add_trino_text(trino_list &functions)
{
    const LogicalType text = LogicalType::VARCHAR;
    const LogicalType bytes = LogicalType::BLOB;
    const LogicalType number = LogicalType::BIGINT;
    functions.emplace_back("trino_soundex", duckdb::vector<LogicalType>{text}, text, run_soundex);
    functions.emplace_back("trino_luhn_check", duckdb::vector<LogicalType>{text},
                           LogicalType::BOOLEAN, run_luhn_check);
    functions.emplace_back("trino_normalize", duckdb::vector<LogicalType>{text, text}, text,
                           run_normalize);
    functions.emplace_back("trino_format_number", duckdb::vector<LogicalType>{number}, text,
                           run_format_number);
    functions.emplace_back("trino_format_number", duckdb::vector<LogicalType>{LogicalType::DOUBLE},
                           text, run_format_double);
    functions.emplace_back("trino_parse_data_size", duckdb::vector<LogicalType>{text},
                           LogicalType::DECIMAL(38, 0), run_parse_data_size);
    functions.emplace_back("trino_from_base", duckdb::vector<LogicalType>{text, number}, number,
                           run_from_base);
    functions.emplace_back("trino_to_base", duckdb::vector<LogicalType>{number, number}, text,
                           run_to_base);
    functions.emplace_back("trino_from_utf8", duckdb::vector<LogicalType>{bytes}, text,
                           run_from_utf8);
    functions.emplace_back("trino_from_utf8", duckdb::vector<LogicalType>{bytes, text}, text,
                           run_from_utf8_or<string_t, from_utf8_text>);
    functions.emplace_back("trino_from_utf8", duckdb::vector<LogicalType>{bytes, number}, text,
                           run_from_utf8_or<int64_t, from_utf8_codepoint>);
    functions.emplace_back("trino_levenshtein", duckdb::vector<LogicalType>{text, text}, number,
                           run_distance<levenshtein>);
    functions.emplace_back("trino_hamming", duckdb::vector<LogicalType>{text, text}, number,
                           run_distance<hamming>);
    functions.emplace_back("trino_split_to_map", duckdb::vector<LogicalType>{text, text, text},
                           LogicalType::MAP(text, text), run_split<false>);
    functions.emplace_back("trino_split_to_multimap", duckdb::vector<LogicalType>{text, text, text},
                           LogicalType::MAP(text, LogicalType::LIST(text)), run_split<true>);
}

} // namespace moat
