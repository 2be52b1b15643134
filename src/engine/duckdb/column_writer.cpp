/* A text is looked at once, to be copied; the sum of their lengths is known before, so that no
 * buffer grows meanwhile. */
#include "engine/duckdb/column_writer.hpp"

#include <duckdb/common/exception.hpp>
#include <duckdb/common/types/hugeint.hpp>
#include <duckdb/common/types/string_type.hpp>

#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>

namespace moat
{

using duckdb::idx_t;
using duckdb::LogicalTypeId;
using duckdb::PhysicalType;

namespace
{

/* Bytes that a batch will own. */
class buffer
{
  public:
    buffer() = default;
    buffer(const buffer &) = delete;
    buffer &operator=(const buffer &) = delete;
    ~buffer()
    {
        std::free(bytes);
    }

    /* Room for `wanted` bytes in all; what is there stays. */
    uint8_t *reserve(idx_t wanted)
    {
        if (wanted > capacity) {
            idx_t grown = wanted > capacity * 2 ? wanted : capacity * 2;
            void *moved = std::realloc(bytes, grown);
            if (moved == nullptr) {
                throw std::bad_alloc();
            }
            bytes = static_cast<uint8_t *>(moved);
            capacity = grown;
        }
        return bytes;
    }

    uint8_t *release()
    {
        uint8_t *given = bytes;
        bytes = nullptr;
        capacity = 0;
        return given;
    }

  private:
    uint8_t *bytes = nullptr;
    idx_t capacity = 0;
};

struct column_owner {
    const void *buffers[3] = {nullptr, nullptr, nullptr};
};

void release_column(struct ArrowArray *array)
{
    auto owner = static_cast<column_owner *>(array->private_data);
    for (const void *bytes : owner->buffers) {
        std::free(const_cast<void *>(bytes));
    }
    array->release = nullptr;
    delete owner;
}

/* What columns have in common: which of their rows are NULL. */
class writer : public column_writer
{
  public:
    void append(const column_rows &given) override
    {
        column_rows added = given;
        idx_t total = rows + (added.end - added.first);
        duckdb::UnifiedVectorFormat format;
        added.expected = total > added.expected ? total : added.expected;
        if (!takes_selections()) {
            added.vector.Flatten(added.count);
        }
        added.vector.ToUnifiedFormat(added.count, format);
        append_values(added, format);
        append_validity(added, format);
        rows = total;
    }

    void finish(struct ArrowArray *ret_column) override
    {
        auto owner = std::make_unique<column_owner>();
        ret_column->length = static_cast<int64_t>(rows);
        ret_column->null_count = static_cast<int64_t>(null_count);
        ret_column->offset = 0;
        ret_column->n_buffers = 2;
        ret_column->n_children = 0;
        ret_column->children = nullptr;
        ret_column->dictionary = nullptr;
        if (null_count > 0) {
            owner->buffers[0] = valid.release();
        }
        ret_column->n_buffers = give_values(owner->buffers);
        ret_column->buffers = owner->buffers;
        ret_column->private_data = owner.release();
        ret_column->release = release_column;
        rows = null_count = valid_rows = 0;
    }

  protected:
    /* Else the values of row i are at i. */
    virtual bool takes_selections() const
    {
        return false;
    }
    virtual void append_values(const column_rows &added,
                               const duckdb::UnifiedVectorFormat &format) = 0;
    virtual int64_t give_values(const void *(&buffers)[3]) = 0;

    idx_t rows = 0;

  private:
    /* Bits are there from the first NULL of a batch on. */
    void append_validity(const column_rows &added, const duckdb::UnifiedVectorFormat &format)
    {
        auto &mask = format.validity;
        if (mask.AllValid() && null_count == 0) {
            return;
        }
        idx_t total = rows + (added.end - added.first);
        uint8_t *bits = valid.reserve((added.expected + 7) / 8);
        idx_t from = (valid_rows + 7) / 8, to = (total + 7) / 8;
        if (to > from) {
            std::memset(bits + from, 0xFF, to - from);
        }
        valid_rows = total;
        for (idx_t i = added.first; i < added.end; i++) {
            if (!mask.RowIsValid(format.sel->get_index(i))) {
                idx_t at = rows + i - added.first;
                bits[at / 8] = static_cast<uint8_t>(bits[at / 8] & ~(1u << (at % 8)));
                null_count++;
            }
        }
    }

    buffer valid;
    idx_t valid_rows = 0;
    idx_t null_count = 0;
};

/* Values that Arrow has as the engine has them. */
class plain_writer final : public writer
{
  public:
    explicit plain_writer(idx_t width_) : width(width_)
    {
    }

  protected:
    void append_values(const column_rows &added, const duckdb::UnifiedVectorFormat &format) override
    {
        uint8_t *to = values.reserve(added.expected * width) + rows * width;
        std::memcpy(to, format.data + added.first * width,
                    (added.end - added.first) * width);
    }

    int64_t give_values(const void *(&buffers)[3]) override
    {
        buffers[1] = values.release();
        return 2;
    }

  private:
    const idx_t width;
    buffer values;
};

/* Decimals, which the engine keeps in as few bytes as they need, as of 128 bits. */
template <class T> class decimal_writer final : public writer
{
  protected:
    void append_values(const column_rows &added, const duckdb::UnifiedVectorFormat &format) override
    {
        auto to = reinterpret_cast<int64_t *>(values.reserve(added.expected * 16) + rows * 16);
        auto from = duckdb::UnifiedVectorFormat::GetData<T>(format);
        for (idx_t i = added.first; i < added.end; i++) {
            to[0] = from[i];
            to[1] = from[i] < 0 ? -1 : 0;
            to += 2;
        }
    }

    int64_t give_values(const void *(&buffers)[3]) override
    {
        buffers[1] = values.release();
        return 2;
    }

  private:
    buffer values;
};

class text_writer final : public writer
{
  protected:
    bool takes_selections() const override
    {
        return true; /* flattening a dictionary copies its texts, row by row */
    }

    void append_values(const column_rows &added, const duckdb::UnifiedVectorFormat &format) override
    {
        idx_t bytes = len + added.text_bytes;
        if (bytes > static_cast<idx_t>(std::numeric_limits<int32_t>::max())) {
            throw duckdb::OutOfRangeException("a text of the result is longer than 2 GiB");
        }
        auto strings = duckdb::UnifiedVectorFormat::GetData<duckdb::string_t>(format);
        auto offset = reinterpret_cast<int32_t *>(offsets.reserve((added.expected + 1) * 4)) + rows;
        uint8_t *to = texts.reserve(bytes + duckdb::string_t::INLINE_LENGTH) + len;
        *offset = static_cast<int32_t>(len); /* which it is already, but for the first */
        for (idx_t i = added.first; i < added.end; i++) {
            idx_t at = format.sel->get_index(i);
            if (format.validity.RowIsValid(at)) {
                const duckdb::string_t &text = strings[at];
                idx_t size = text.GetSize();
                if (size <= duckdb::string_t::INLINE_LENGTH) { /* of one length, so inline */
                    std::memcpy(to, text.GetPrefix(), duckdb::string_t::INLINE_LENGTH);
                } else {
                    std::memcpy(to, text.GetData(), size);
                }
                to += size;
                len += size;
            }
            *++offset = static_cast<int32_t>(len);
        }
        ASSERT(len == bytes);
    }

    int64_t give_values(const void *(&buffers)[3]) override
    {
        buffers[1] = offsets.release();
        buffers[2] = texts.release();
        len = 0;
        return 3;
    }

  private:
    buffer offsets; /* 32 bits each */
    buffer texts;
    idx_t len = 0;
};

std::unique_ptr<column_writer> decimal(PhysicalType type)
{
    switch (type) {
    case PhysicalType::INT16:
        return std::make_unique<decimal_writer<int16_t>>();
    case PhysicalType::INT32:
        return std::make_unique<decimal_writer<int32_t>>();
    case PhysicalType::INT64:
        return std::make_unique<decimal_writer<int64_t>>();
    default: /* of 128 bits: the low half first, as Arrow has it */
        return std::make_unique<plain_writer>(16);
    }
}

} // namespace

std::unique_ptr<column_writer> column_writer::make(const duckdb::LogicalType &type)
{
    switch (type.id()) {
    case LogicalTypeId::TINYINT:
    case LogicalTypeId::SMALLINT:
    case LogicalTypeId::INTEGER:
    case LogicalTypeId::BIGINT:
    case LogicalTypeId::UTINYINT:
    case LogicalTypeId::USMALLINT:
    case LogicalTypeId::UINTEGER:
    case LogicalTypeId::UBIGINT:
    case LogicalTypeId::FLOAT:
    case LogicalTypeId::DOUBLE:
    case LogicalTypeId::DATE:
    case LogicalTypeId::TIMESTAMP:
    case LogicalTypeId::TIMESTAMP_TZ:
        return std::make_unique<plain_writer>(duckdb::GetTypeIdSize(type.InternalType()));
    case LogicalTypeId::DECIMAL:
        return decimal(type.InternalType());
    case LogicalTypeId::VARCHAR:
    case LogicalTypeId::BLOB:
        return std::make_unique<text_writer>();
    default: /* a foreign enum */
        return nullptr;
    }
}

} // namespace moat
