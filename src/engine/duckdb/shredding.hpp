/* Which fields of a column of VARIANTs get a Parquet column of their own ("shredding"), decided by
 * values that are at hand, and whether other values may be written so.
 *
 * The rules are those of Iceberg's Java library: a field is shredded that at least a tenth of the
 * values have and that is of one type in all of them (of whole numbers: the type that most have),
 * at most 300 of an object, 50 deep. What a value has beside them stays in it.
 *
 * The engine's writer (1.5.6) shreds some values wrongly, and says nothing: of a field whose name
 * differs from a shredded one's in case only it loses the value, and a decimal it stores under the
 * column's scale, whatever its own. `fits` finds such values; they must not be written under this
 * layout. Not to be shared between threads while it is changed (`see`, `settle`). */
#pragma once

#include <duckdb/common/case_insensitive_map.hpp>
#include <duckdb/common/types.hpp>
#include <duckdb/common/types/variant.hpp>

namespace moat
{

class variant_layout
{
  public:
    /* A value of those that the layout is made by. */
    void see(const duckdb::UnifiedVariantVectorData &values, duckdb::idx_t row);
    /* Chooses; before `type` and `fits`. */
    void settle();
    /* Of the column "typed_value"; INVALID: the column is not shredded. */
    const duckdb::LogicalType &type() const
    {
        return root.type;
    }
    /* Whether the engine writes this value as it is. */
    bool fits(const duckdb::UnifiedVariantVectorData &values, duckdb::idx_t row) const;
    /* Takes out of the layout what the value does not fit, until the next settle(). */
    void make_fit(const duckdb::UnifiedVariantVectorData &values, duckdb::idx_t row);

  private:
    struct node {
        std::string name;
        uint64_t counts[static_cast<size_t>(duckdb::VariantLogicalType::ENUM_SIZE)] = {};
        uint64_t count = 0; /* that are not null */
        uint32_t width = 0; /* of decimals: as wide as their storage takes */
        uint32_t scale = 0;
        bool is_spoilt = false; /* by a value that the engine would write wrongly */
        duckdb::case_insensitive_map_t<std::unique_ptr<node>> fields;
        std::unique_ptr<node> element;
        duckdb::LogicalType type = duckdb::LogicalType::INVALID;
    };

    static void add(node &at, const duckdb::UnifiedVariantVectorData &values, duckdb::idx_t row,
                    uint32_t value, unsigned depth);
    static void choose(node &at, uint64_t total);
    static duckdb::LogicalType choose_object(node &at, uint64_t total);
    /* Calls `found` with each node that a value spoils. */
    template <class Node, class Found>
    static bool check(Node &at, const duckdb::UnifiedVariantVectorData &values, duckdb::idx_t row,
                      uint32_t value, Found found);

    node root;
};

} // namespace moat
