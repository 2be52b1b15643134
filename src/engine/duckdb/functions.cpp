/* Functions that policies and caps need inside the engine.
 *
 *   __moat_hash(VARCHAR)              HMAC-SHA-256 under the warehouse's key, as hex
 *   __moat_redact(VARCHAR, BIGINT)    every character but the last n as '*'
 *   __moat_show_first(VARCHAR, BIGINT)  the first n characters, the rest as '*'
 *   __moat_show_last(VARCHAR, BIGINT)   the last n characters, the rest as '*'
 *   __moat_barrier(ANY)               the value, flat and volatile
 *   __moat_cap(BIGINT, BIGINT)        the first argument, or an error if it exceeds the second
 *   __moat_numeric(ANY)               PostgreSQL's numeric without digits (numeric.cpp)
 *   trino_*                           what Trino has (trino.cpp)
 *   __moat_murmur_long(BIGINT), _text(VARCHAR), _blob(BLOB), _uuid(UUID), _decimal(HUGEINT)
 *                                     Iceberg's 32-bit hash of a value (its appendix B)
 *   __moat_unreadable(VARCHAR)        an error of this text: in the place of values without a type
 *
 * A character is a code point. The masks cannot fail, so that the engine may run them over a
 * dictionary; __moat_cap and __moat_unreadable can, and say so. */
#include "engine/duckdb/module.hpp"

#include <map>

#include <duckdb/common/vector_operations/binary_executor.hpp>
#include <duckdb/common/vector_operations/unary_executor.hpp>
#include <duckdb/common/vector_operations/vector_operations.hpp>
#include <duckdb/function/function_set.hpp>
#include <duckdb/function/scalar_function.hpp>
#include <duckdb/parser/parsed_data/create_scalar_function_info.hpp>

extern "C" {
#include "base/hash.h"
#include "base/mem.h"
}

namespace moat
{

using duckdb::DataChunk;
using duckdb::ExpressionState;
using duckdb::idx_t;
using duckdb::LogicalType;
using duckdb::ScalarFunction;
using duckdb::string_t;
using duckdb::StringVector;
using duckdb::Vector;

/* HMAC (RFC 2104) hashes a block of key before the data: both such states are kept, so that a value
 * costs two compressions. OpenSSL's one-call form was measured at 2.5 us a value, this at 0.3. */
mask_key::mask_key(struct slice key, const struct engine_mask *other_)
{
    if (other_ != nullptr) {
        other = *other_;
    }
    uint8_t block[SHA256_CBLOCK] = {0};
    if (key.len > sizeof(block)) {
        SHA256(reinterpret_cast<const uint8_t *>(key.ptr), key.len, block);
    } else if (key.len > 0) {
        memcpy(block, key.ptr, key.len);
    }
    for (uint8_t &byte : block) {
        byte ^= 0x36;
    }
    SHA256_Init(&inner);
    SHA256_Update(&inner, block, sizeof(block));
    for (uint8_t &byte : block) {
        byte ^= 0x36 ^ 0x5C;
    }
    SHA256_Init(&outer);
    SHA256_Update(&outer, block, sizeof(block));
    mem_wipe(block, sizeof(block));
}

mask_key::~mask_key()
{
    mem_wipe(&inner, sizeof(inner));
    mem_wipe(&outer, sizeof(outer));
}

static bool starts_character(char byte)
{
    return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
}

static size_t count_characters(const char *text, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++) {
        count += starts_character(text[i]) ? 1 : 0;
    }
    return count;
}

/* Offset of character `index`, or `len`. */
static size_t offset_of(const char *text, size_t len, size_t index)
{
    size_t at = 0;
    for (size_t seen = 0; at < len; at++) {
        if (starts_character(text[at]) && seen++ == index) {
            break;
        }
    }
    return at;
}

/* Characters [first, end) stay, the others become '*'. */
static string_t starred(Vector &result, string_t input, size_t count, size_t first, size_t end)
{
    const char *text = input.GetData();
    size_t len = input.GetSize();
    size_t from = offset_of(text, len, first);
    size_t to = from + offset_of(text + from, len - from, end - first);
    size_t stars_before = first;
    size_t stars_after = count - end;
    string_t out = StringVector::EmptyString(result, stars_before + (to - from) + stars_after);
    char *bytes = out.GetDataWriteable();
    memset(bytes, '*', stars_before);
    memcpy(bytes + stars_before, text + from, to - from);
    memset(bytes + stars_before + (to - from), '*', stars_after);
    out.Finalize();
    return out;
}

/* A value no longer than what may show would show whole: then nothing of it does. */
static size_t kept(size_t count, int64_t shown)
{
    return shown <= 0 || static_cast<size_t>(shown) >= count ? 0 : static_cast<size_t>(shown);
}

static string_t keep_last(Vector &result, string_t input, int64_t shown)
{
    size_t count = count_characters(input.GetData(), input.GetSize());
    size_t keep = kept(count, shown);
    return starred(result, input, count, count - keep, count);
}

static string_t keep_first(Vector &result, string_t input, int64_t shown)
{
    size_t count = count_characters(input.GetData(), input.GetSize());
    return starred(result, input, count, 0, kept(count, shown));
}

template <string_t (*MASK)(Vector &, string_t, int64_t)>
static void run_mask(DataChunk &args, ExpressionState &, Vector &result)
{
    Vector &shown = args.data[1];
    if (shown.GetVectorType() == duckdb::VectorType::CONSTANT_VECTOR &&
        !duckdb::ConstantVector::IsNull(shown)) {
        int64_t count = *duckdb::ConstantVector::GetData<int64_t>(shown);
        duckdb::UnaryExecutor::Execute<string_t, string_t>(
            args.data[0], result, args.size(),
            [&](string_t input) { return MASK(result, input, count); },
            duckdb::FunctionErrors::CANNOT_ERROR);
        return;
    }
    duckdb::BinaryExecutor::Execute<string_t, int64_t, string_t>(
        args.data[0], shown, result, args.size(),
        [&](string_t input, int64_t count) { return MASK(result, input, count); });
}

static string_t hash_one(Vector &result, string_t input, const mask_key &key)
{
    uint8_t digest[SHA256_BYTES];
    SHA256_CTX state = key.inner;
    SHA256_Update(&state, input.GetData(), input.GetSize());
    SHA256_Final(digest, &state);
    state = key.outer;
    SHA256_Update(&state, digest, sizeof(digest));
    SHA256_Final(digest, &state);
    char hex[SHA256_HEX_BYTES];
    hash_hex(digest, sizeof(digest), hex);
    return StringVector::AddString(result, hex, sizeof(hex) - 1);
}

/* Flat, so that what is computed on it later sees these rows and not a dictionary that holds
 * values of rows which a policy hides. Of any type: a dictionary of numbers tells as much. */
static void run_barrier(DataChunk &args, ExpressionState &, Vector &result)
{
    result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
    duckdb::VectorOperations::Copy(args.data[0], result, args.size(), 0, 0);
}

static duckdb::unique_ptr<duckdb::FunctionData>
bind_barrier(duckdb::ClientContext &, ScalarFunction &function,
             duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> &arguments)
{
    function.arguments[0] = arguments[0]->return_type;
    function.SetReturnType(arguments[0]->return_type);
    return nullptr;
}

static int64_t cap_one(int64_t value, int64_t limit)
{
    if (value > limit) {
        throw_err(ERR_LIMIT, nullptr,
                  "a function was asked for more than " + std::to_string(limit) + " elements",
                  "Ask for less at a time.");
    }
    return value;
}

static void run_cap(DataChunk &args, ExpressionState &, Vector &result)
{
    duckdb::BinaryExecutor::Execute<int64_t, int64_t, int64_t>(args.data[0], args.data[1], result,
                                                               args.size(), cap_one);
}

/* All values of a vector at once: whoever has the key may be far away. */
static void hash_elsewhere(DataChunk &args, Vector &result, const struct engine_mask &other)
{
    Vector &input = args.data[0];
    bool is_constant = input.GetVectorType() == duckdb::VectorType::CONSTANT_VECTOR;
    idx_t count = is_constant ? 1 : args.size();
    duckdb::UnifiedVectorFormat format;
    input.ToUnifiedFormat(count, format);
    auto texts = duckdb::UnifiedVectorFormat::GetData<string_t>(format);
    std::vector<struct slice> values;
    for (idx_t i = 0; i < count; i++) {
        idx_t at = format.sel->get_index(i);
        if (format.validity.RowIsValid(at)) {
            values.push_back({texts[at].GetData(), texts[at].GetSize()});
        }
    }
    std::vector<char[SHA256_HEX_BYTES]> hex(values.size());
    struct errinfo info;
    errinfo_init(&info);
    enum err err = values.empty()
                       ? ERR_OK
                       : other.hash(other.context, values.data(), values.size(), hex.data(), &info);
    if (err != ERR_OK) {
        throw_errinfo(err, info);
    }
    result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
    auto hashed = duckdb::FlatVector::GetData<string_t>(result);
    size_t next = 0;
    for (idx_t i = 0; i < count; i++) {
        if (format.validity.RowIsValid(format.sel->get_index(i))) {
            hashed[i] = StringVector::AddString(result, hex[next++], SHA256_HEX_BYTES - 1);
        } else {
            duckdb::FlatVector::SetNull(result, i, true);
        }
    }
    if (is_constant) {
        result.SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
    }
}

static void run_unreadable(DataChunk &args, ExpressionState &, Vector &)
{
    throw_err(ERR_UNSUPPORTED, nullptr, args.data[0].GetValue(0).ToString(),
              "The other columns can be read: name them, or leave this one out with "
              "SELECT * EXCLUDE (...).");
}

/* Murmur3, 32 bits, x86, seed 0: what buckets of Iceberg tables are made of. */
static int32_t murmur(const uint8_t *bytes, size_t len)
{
    const uint32_t c1 = 0xcc9e2d51, c2 = 0x1b873593;
    uint32_t hash = 0;
    auto mix = [&](uint32_t block) {
        block *= c1;
        block = (block << 15) | (block >> 17);
        return block * c2;
    };
    size_t at = 0;
    for (; at + 4 <= len; at += 4) {
        uint32_t block;
        memcpy(&block, bytes + at, sizeof(block));
        hash ^= mix(block);
        hash = (hash << 13) | (hash >> 19);
        hash = hash * 5 + 0xe6546b64;
    }
    uint32_t tail = 0;
    for (size_t i = len; i > at; i--) {
        tail = (tail << 8) | bytes[i - 1];
    }
    hash ^= len > at ? mix(tail) : 0;
    hash ^= static_cast<uint32_t>(len);
    hash = (hash ^ (hash >> 16)) * 0x85ebca6b;
    hash = (hash ^ (hash >> 13)) * 0xc2b2ae35;
    return static_cast<int32_t>(hash ^ (hash >> 16));
}

static int32_t murmur_long(int64_t value)
{
    uint8_t bytes[sizeof(value)];
    memcpy(bytes, &value, sizeof(value));
    return murmur(bytes, sizeof(bytes));
}

static int32_t murmur_text(string_t value)
{
    return murmur(reinterpret_cast<const uint8_t *>(value.GetData()), value.GetSize());
}

static void put_big_endian(duckdb::hugeint_t value, uint8_t bytes[16])
{
    auto upper = static_cast<uint64_t>(value.upper);
    for (int i = 0; i < 8; i++) {
        bytes[i] = static_cast<uint8_t>(upper >> (56 - 8 * i));
        bytes[8 + i] = static_cast<uint8_t>(value.lower >> (56 - 8 * i));
    }
}

/* The engine keeps them with the highest bit turned, so that they compare as signed numbers. */
static int32_t murmur_uuid(duckdb::hugeint_t value)
{
    uint8_t bytes[16];
    put_big_endian(value, bytes);
    bytes[0] ^= 0x80;
    return murmur(bytes, sizeof(bytes));
}

/* The fewest bytes of two's complement that hold the unscaled value. */
static int32_t murmur_decimal(duckdb::hugeint_t value)
{
    uint8_t bytes[16];
    put_big_endian(value, bytes);
    uint8_t sign = value.upper < 0 ? 0xff : 0;
    size_t first = 0;
    while (first < 15 && bytes[first] == sign && ((bytes[first + 1] ^ sign) & 0x80) == 0) {
        first++;
    }
    return murmur(bytes + first, sizeof(bytes) - first);
}

template <class T, int32_t (*HASH)(T)>
static void run_murmur(DataChunk &args, ExpressionState &, Vector &result)
{
    duckdb::UnaryExecutor::Execute<T, int32_t>(args.data[0], result, args.size(), HASH);
}

static void add(duckdb::Connection &connection, const ScalarFunction &function)
{
    duckdb::CreateScalarFunctionInfo info(function);
    info.schema = DEFAULT_SCHEMA;
    connection.context->RegisterFunction(info);
}

/* Forms of one name are one function. */
static void add_forms(duckdb::Connection &connection, const std::vector<ScalarFunction> &forms)
{
    std::map<std::string, duckdb::ScalarFunctionSet> functions;
    for (const ScalarFunction &form : forms) {
        functions.emplace(form.name, form.name).first->second.AddFunction(form);
    }
    for (const auto &function : functions) {
        duckdb::CreateScalarFunctionInfo info(function.second);
        info.schema = DEFAULT_SCHEMA;
        connection.context->RegisterFunction(info);
    }
}

void register_functions(duckdb::Connection &connection, const std::shared_ptr<mask_key> &key)
{
    const LogicalType text = LogicalType::VARCHAR;
    const LogicalType number = LogicalType::BIGINT;

    add(connection, ScalarFunction("__moat_redact", {text, number}, text, run_mask<keep_last>));
    add(connection, ScalarFunction("__moat_show_last", {text, number}, text, run_mask<keep_last>));
    add(connection,
        ScalarFunction("__moat_show_first", {text, number}, text, run_mask<keep_first>));
    add(connection,
        ScalarFunction("__moat_hash", {text}, text,
                       [key](DataChunk &args, ExpressionState &, Vector &result) {
                           if (key->other.hash != nullptr) {
                               hash_elsewhere(args, result, key->other);
                               return;
                           }
                           duckdb::UnaryExecutor::Execute<string_t, string_t>(
                               args.data[0], result, args.size(),
                               [&](string_t input) { return hash_one(result, input, *key); },
                               duckdb::FunctionErrors::CANNOT_ERROR);
                       }));

    const LogicalType hash = LogicalType::INTEGER;
    add(connection,
        ScalarFunction("__moat_murmur_long", {number}, hash, run_murmur<int64_t, murmur_long>));
    add(connection,
        ScalarFunction("__moat_murmur_text", {text}, hash, run_murmur<string_t, murmur_text>));
    add(connection, ScalarFunction("__moat_murmur_blob", {LogicalType::BLOB}, hash,
                                   run_murmur<string_t, murmur_text>));
    add(connection, ScalarFunction("__moat_murmur_uuid", {LogicalType::UUID}, hash,
                                   run_murmur<duckdb::hugeint_t, murmur_uuid>));
    add(connection, ScalarFunction("__moat_murmur_decimal", {LogicalType::HUGEINT}, hash,
                                   run_murmur<duckdb::hugeint_t, murmur_decimal>));

    ScalarFunction barrier("__moat_barrier", {LogicalType::ANY}, LogicalType::ANY, run_barrier,
                           bind_barrier);
    barrier.SetVolatile();
    barrier.SetNullHandling(duckdb::FunctionNullHandling::SPECIAL_HANDLING);
    add(connection, barrier);

    ScalarFunction cap("__moat_cap", {number, number}, number, run_cap);
    cap.SetFallible();
    add(connection, cap);
    add(connection, numeric_function());
    add_forms(connection, trino_functions());

    /* Volatile, so that it is not folded while the statement is planned: who does not ask for the
     * column must not meet its error. */
    ScalarFunction unreadable("__moat_unreadable", {text}, text, run_unreadable);
    unreadable.SetVolatile();
    unreadable.SetFallible();
    add(connection, unreadable);
}

} // namespace moat
