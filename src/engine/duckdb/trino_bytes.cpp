/* Functions of bytes as Trino has them.
 *
 *   trino_sha512(bytes), trino_crc32, trino_xxhash64, trino_murmur3   (128 bits, x64; seeds are 0)
 *   trino_hmac(bytes, key, digest)     digest is md5, sha1, sha256 or sha512
 *   trino_to_big_endian(number)        4 bytes of an integer, 8 of a bigint or double, 4 of a real
 *   trino_from_big_endian(bytes, like) the number again, of the type of `like`
 *   trino_to_base32(bytes), trino_from_base32(text)   RFC 4648
 *   trino_hash(value)                  what checksum() adds up: XXH64 of a value, times its prime
 *   trino_checksum(sum of hashes)      their low 64 bits, the lowest byte first */
#include "engine/duckdb/trino.hpp"

#include <cmath>
#include <limits>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <xxhash.h>
#include <zlib.h>

#include <duckdb/common/types/decimal.hpp>
#include <duckdb/common/types/hugeint.hpp>
#include <duckdb/common/types/timestamp.hpp>
#include <duckdb/common/vector_operations/binary_executor.hpp>
#include <duckdb/common/vector_operations/ternary_executor.hpp>
#include <duckdb/planner/expression.hpp>

namespace moat
{

using duckdb::BinaryExecutor;
using duckdb::DataChunk;
using duckdb::ExpressionState;
using duckdb::hugeint_t;
using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::ScalarFunction;
using duckdb::string_t;
using duckdb::UnaryExecutor;
using duckdb::Vector;
using arguments = duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>;

static const unsigned char *bytes_of(const string_t &value)
{
    return reinterpret_cast<const unsigned char *>(value.GetData());
}

static std::string big_endian(uint64_t value, unsigned bytes)
{
    std::string text;
    for (unsigned i = bytes; i > 0; i--) {
        text += static_cast<char>(value >> (8 * (i - 1)) & 0xFF);
    }
    return text;
}

/* ---- digests ---- */

static std::string sha512(string_t value)
{
    unsigned char digest[SHA512_DIGEST_LENGTH];
    SHA512(bytes_of(value), value.GetSize(), digest);
    return {reinterpret_cast<char *>(digest), sizeof(digest)};
}

static std::string xxhash64(string_t value)
{
    return big_endian(XXH64(value.GetData(), value.GetSize(), 0), 8);
}

static uint64_t little_endian(const unsigned char *bytes, size_t len)
{
    uint64_t value = 0;
    for (size_t i = len; i > 0; i--) {
        value = value << 8 | bytes[i - 1];
    }
    return value;
}

static uint64_t rotated(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static uint64_t scattered(uint64_t value)
{
    value = (value ^ value >> 33) * 0xff51afd7ed558ccd;
    value = (value ^ value >> 33) * 0xc4ceb9fe1a85ec53;
    return value ^ value >> 33;
}

/* Of its two halves the low byte is the first. */
static std::string murmur3(string_t value)
{
    const uint64_t c1 = 0x87c37b91114253d5, c2 = 0x4cf5ad432745937f;
    const unsigned char *bytes = bytes_of(value);
    size_t len = value.GetSize();
    size_t at = 0;
    uint64_t a = 0, b = 0;
    auto mix_a = [&](uint64_t block) { a ^= rotated(block * c1, 31) * c2; };
    auto mix_b = [&](uint64_t block) { b ^= rotated(block * c2, 33) * c1; };
    for (; at + 16 <= len; at += 16) {
        mix_a(little_endian(bytes + at, 8));
        a = (rotated(a, 27) + b) * 5 + 0x52dce729;
        mix_b(little_endian(bytes + at + 8, 8));
        b = (rotated(b, 31) + a) * 5 + 0x38495ab5;
    }
    size_t left = len - at;
    if (left > 8) {
        mix_b(little_endian(bytes + at + 8, left - 8));
    }
    if (left > 0) {
        mix_a(little_endian(bytes + at, std::min<size_t>(left, 8)));
    }
    a ^= len;
    b ^= len;
    a += b;
    b += a;
    a = scattered(a);
    b = scattered(b);
    a += b;
    b += a;
    std::string text = big_endian(b, 8) + big_endian(a, 8);
    return {text.rbegin(), text.rend()};
}

template <std::string (*DIGEST)(string_t)>
static void run_digest(DataChunk &args, ExpressionState &, Vector &result)
{
    put_texts<string_t>(args, result, DIGEST);
}

static void run_crc32(DataChunk &args, ExpressionState &, Vector &result)
{
    UnaryExecutor::Execute<string_t, int64_t>(
        args.data[0], result, args.size(), [](string_t value) {
            return static_cast<int64_t>(crc32_z(0, bytes_of(value), value.GetSize()));
        });
}

static std::string hmac(string_t value, string_t key, string_t name)
{
    const EVP_MD *digest = EVP_get_digestbyname(text_of(name).c_str());
    unsigned char code[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (digest == nullptr || key.GetSize() == 0 || key.GetSize() > INT32_MAX) {
        throw_argument(digest == nullptr ? "there is no such digest" : "the key is empty");
    }
    if (HMAC(digest, key.GetData(), static_cast<int>(key.GetSize()), bytes_of(value),
             value.GetSize(), code, &len) == nullptr) {
        throw_err(ERR_NOMEM, nullptr, "out of memory", "");
    }
    return {reinterpret_cast<char *>(code), len};
}

static void run_hmac(DataChunk &args, ExpressionState &, Vector &result)
{
    duckdb::TernaryExecutor::Execute<string_t, string_t, string_t, string_t>(
        args.data[0], args.data[1], args.data[2], result, args.size(),
        [&](string_t value, string_t key, string_t name) {
            return put_text(result, hmac(value, key, name));
        });
}

/* ---- numbers as bytes ---- */

template <class T, class BITS>
static void run_to_big_endian(DataChunk &args, ExpressionState &, Vector &result)
{
    put_texts<T>(args, result, [](T value) {
        BITS bits;
        memcpy(&bits, &value, sizeof(bits));
        return big_endian(bits, sizeof(bits));
    });
}

template <class T, class BITS> static void run_from_big_endian(DataChunk &args, Vector &result)
{
    UnaryExecutor::Execute<string_t, T>(args.data[0], result, args.size(), [](string_t text) {
        if (text.GetSize() != sizeof(BITS)) {
            throw_argument("the number has not its " + std::to_string(sizeof(BITS)) + " bytes");
        }
        BITS bits = 0;
        for (size_t i = 0; i < sizeof(bits); i++) {
            bits = static_cast<BITS>(bits << 8 | bytes_of(text)[i]);
        }
        T value;
        memcpy(&value, &bits, sizeof(value));
        return value;
    });
}

static void run_from(DataChunk &args, ExpressionState &, Vector &result)
{
    switch (result.GetType().id()) {
    case LogicalTypeId::INTEGER:
        run_from_big_endian<int32_t, uint32_t>(args, result);
        break;
    case LogicalTypeId::BIGINT:
        run_from_big_endian<int64_t, uint64_t>(args, result);
        break;
    case LogicalTypeId::FLOAT:
        run_from_big_endian<float, uint32_t>(args, result);
        break;
    default:
        run_from_big_endian<double, uint64_t>(args, result);
        break;
    }
}

/* ---- base 32 ---- */

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

static std::string to_base32(string_t value)
{
    std::string text;
    const unsigned char *bytes = bytes_of(value);
    for (size_t at = 0; at < value.GetSize(); at += 5) {
        size_t count = std::min<size_t>(5, value.GetSize() - at);
        uint64_t group = 0;
        for (size_t i = 0; i < 5; i++) {
            group = group << 8 | (i < count ? bytes[at + i] : 0);
        }
        size_t letters = (count * 8 + 4) / 5;
        for (size_t i = 0; i < 8; i++) {
            text += i < letters ? ALPHABET[group >> (35 - 5 * i) & 31] : '=';
        }
    }
    return text;
}

static std::string from_base32(string_t value)
{
    std::string text = text_of(value);
    text.erase(text.find_last_not_of('=') + 1);
    size_t left = text.size() % 8;
    if (left == 1 || left == 3 || left == 6) {
        throw_argument("the text is no base 32: it ends within a byte");
    }
    std::string bytes;
    uint64_t bits = 0;
    unsigned count = 0;
    for (char c : text) {
        const char *place = c == '\0' ? nullptr : strchr(ALPHABET, c);
        if (place == nullptr) {
            throw_argument("the text is no base 32: it has other characters");
        }
        bits = bits << 5 | static_cast<uint64_t>(place - ALPHABET);
        count += 5;
        if (count >= 8) {
            count -= 8;
            bytes += static_cast<char>(bits >> count & 0xFF);
        }
    }
    return bytes;
}

/* ---- checksums ---- */

static const uint64_t PRIME = 0x9e3779b185ebca87; /* XXH64's first one */

static uint64_t hash_number(int64_t value)
{
    unsigned char bytes[8];
    for (unsigned i = 0; i < 8; i++) {
        bytes[i] = static_cast<unsigned char>(static_cast<uint64_t>(value) >> (8 * i));
    }
    return XXH64(bytes, sizeof(bytes), 0);
}

template <class T, class BITS> static uint64_t hash_float(T value)
{
    BITS bits = 0;
    value = value == 0 ? 0 : std::isnan(value) ? std::numeric_limits<T>::quiet_NaN() : value;
    memcpy(&bits, &value, sizeof(bits));
    return hash_number(bits);
}

static uint64_t hash_pair(int64_t a, int64_t b)
{
    return hash_number(a) ^ hash_number(b);
}

static uint64_t hash_huge(hugeint_t value)
{
    return hash_pair(value.upper, static_cast<int64_t>(value.lower));
}

/* The two halves in the order of their bytes; the engine has turned the highest bit. */
static uint64_t hash_uuid(hugeint_t value)
{
    auto upper = static_cast<uint64_t>(value.upper) ^ (1ull << 63);
    return hash_pair(static_cast<int64_t>(__builtin_bswap64(upper)),
                     static_cast<int64_t>(__builtin_bswap64(value.lower)));
}

static int64_t floored(int64_t value, int64_t by)
{
    return value / by - (value % by < 0 ? 1 : 0);
}

/* Milliseconds, and the picoseconds that are more. */
static uint64_t hash_moment(duckdb::timestamp_tz_t value)
{
    int64_t ms = floored(value.value, 1000);
    return hash_pair(ms, (value.value - ms * 1000) * 1000000);
}

static uint64_t hash_nanoseconds(duckdb::timestamp_ns_t value)
{
    int64_t us = floored(value.value, 1000);
    return hash_pair(us, (value.value - us * 1000) * 1000);
}

static uint64_t hash_text(string_t value)
{
    return XXH64(value.GetData(), value.GetSize(), 0);
}

/* Of NULL it is the prime itself. */
template <class T, class F> static void put_hashes(DataChunk &args, Vector &result, F hash)
{
    duckdb::UnifiedVectorFormat format;
    args.data[0].ToUnifiedFormat(args.size(), format);
    auto values = duckdb::UnifiedVectorFormat::GetData<T>(format);
    auto hashes = duckdb::FlatVector::GetData<uint64_t>(result);
    for (duckdb::idx_t i = 0; i < args.size(); i++) {
        duckdb::idx_t at = format.sel->get_index(i);
        hashes[i] = PRIME * (format.validity.RowIsValid(at) ? hash(values[at]) : 1);
    }
}

template <class T> static void put_number_hashes(DataChunk &args, Vector &result)
{
    put_hashes<T>(args, result, [](T value) { return hash_number(static_cast<int64_t>(value)); });
}

static void run_hash(DataChunk &args, ExpressionState &, Vector &result)
{
    const LogicalType &type = args.data[0].GetType();
    result.SetVectorType(duckdb::VectorType::FLAT_VECTOR);
    switch (type.id()) {
    case LogicalTypeId::UUID:
        put_hashes<hugeint_t>(args, result, hash_uuid);
        break;
    case LogicalTypeId::TIMESTAMP_SEC:
        put_hashes<int64_t>(args, result, [](int64_t s) { return hash_number(s * 1000000); });
        break;
    case LogicalTypeId::TIMESTAMP_MS:
        put_hashes<int64_t>(args, result, [](int64_t ms) { return hash_number(ms * 1000); });
        break;
    case LogicalTypeId::TIMESTAMP_NS:
        put_hashes<duckdb::timestamp_ns_t>(args, result, hash_nanoseconds);
        break;
    case LogicalTypeId::TIMESTAMP_TZ:
        put_hashes<duckdb::timestamp_tz_t>(args, result, hash_moment);
        break;
    case LogicalTypeId::DOUBLE:
        put_hashes<double>(args, result, hash_float<double, int64_t>);
        break;
    case LogicalTypeId::FLOAT:
        put_hashes<float>(args, result, hash_float<float, int32_t>);
        break;
    default:
        switch (type.InternalType()) {
        case duckdb::PhysicalType::VARCHAR:
            put_hashes<string_t>(args, result, hash_text);
            break;
        case duckdb::PhysicalType::INT128:
            put_hashes<hugeint_t>(args, result, hash_huge);
            break;
        case duckdb::PhysicalType::INT64:
            put_number_hashes<int64_t>(args, result);
            break;
        case duckdb::PhysicalType::INT32:
            put_number_hashes<int32_t>(args, result);
            break;
        case duckdb::PhysicalType::INT16:
            put_number_hashes<int16_t>(args, result);
            break;
        default: /* booleans are bytes */
            put_number_hashes<int8_t>(args, result);
            break;
        }
        break;
    }
    if (args.AllConstant()) {
        result.SetVectorType(duckdb::VectorType::CONSTANT_VECTOR);
    }
}

static duckdb::unique_ptr<duckdb::FunctionData>
bind_hash(duckdb::ClientContext &, ScalarFunction &function, arguments &values)
{
    LogicalType type = values[0]->return_type;
    if (type.id() == LogicalTypeId::SQLNULL || type.id() == LogicalTypeId::UNKNOWN) {
        type = LogicalType::BOOLEAN;
    }
    switch (type.id()) {
    case LogicalTypeId::BOOLEAN:
    case LogicalTypeId::TINYINT:
    case LogicalTypeId::SMALLINT:
    case LogicalTypeId::INTEGER:
    case LogicalTypeId::BIGINT:
    case LogicalTypeId::DECIMAL:
    case LogicalTypeId::FLOAT:
    case LogicalTypeId::DOUBLE:
    case LogicalTypeId::BLOB:
    case LogicalTypeId::VARCHAR:
    case LogicalTypeId::UUID:
    case LogicalTypeId::DATE:
    case LogicalTypeId::TIMESTAMP_SEC:
    case LogicalTypeId::TIMESTAMP_MS:
    case LogicalTypeId::TIMESTAMP:
    case LogicalTypeId::TIMESTAMP_NS:
    case LogicalTypeId::TIMESTAMP_TZ:
        break;
    default:
        throw_err(ERR_INVALID, "42883", "no form of \"checksum\" takes (" + type.ToString() + ")",
                  "");
    }
    if (type.IsJSONType()) {
        throw_err(ERR_INVALID, "42883", "no form of \"checksum\" takes (JSON)", "");
    }
    function.arguments[0] = type;
    return nullptr;
}

static std::string checksum(hugeint_t sum)
{
    std::string text = big_endian(sum.lower, 8);
    return {text.rbegin(), text.rend()};
}

static void run_checksum(DataChunk &args, ExpressionState &, Vector &result)
{
    put_texts<hugeint_t>(args, result, checksum);
}

void add_trino_bytes(trino_list &functions)
{
    const LogicalType text = LogicalType::VARCHAR;
    const LogicalType bytes = LogicalType::BLOB;
    auto add = [&](const char *name, duckdb::vector<LogicalType> takes, const LogicalType &gives,
                   duckdb::scalar_function_t run) {
        functions.emplace_back(name, std::move(takes), gives, std::move(run));
    };
    add("trino_sha512", {bytes}, bytes, run_digest<sha512>);
    add("trino_xxhash64", {bytes}, bytes, run_digest<xxhash64>);
    add("trino_murmur3", {bytes}, bytes, run_digest<murmur3>);
    add("trino_crc32", {bytes}, LogicalType::BIGINT, run_crc32);
    add("trino_hmac", {bytes, bytes, text}, bytes, run_hmac);
    add("trino_to_big_endian", {LogicalType::INTEGER}, bytes, run_to_big_endian<int32_t, uint32_t>);
    add("trino_to_big_endian", {LogicalType::BIGINT}, bytes, run_to_big_endian<int64_t, uint64_t>);
    add("trino_to_big_endian", {LogicalType::FLOAT}, bytes, run_to_big_endian<float, uint32_t>);
    add("trino_to_big_endian", {LogicalType::DOUBLE}, bytes, run_to_big_endian<double, uint64_t>);
    const LogicalType likes[] = {LogicalType::INTEGER, LogicalType::BIGINT, LogicalType::FLOAT,
                                 LogicalType::DOUBLE};
    for (const LogicalType &like : likes) {
        add("trino_from_big_endian", {bytes, like}, like, run_from);
    }
    add("trino_to_base32", {bytes}, text, run_digest<to_base32>);
    add("trino_from_base32", {text}, bytes, run_digest<from_base32>);
    add("trino_checksum", {LogicalType::HUGEINT}, bytes, run_checksum);
    functions.emplace_back("trino_hash", duckdb::vector<LogicalType>{LogicalType::ANY},
                           LogicalType::UBIGINT, run_hash, bind_hash);
}

} // namespace moat
