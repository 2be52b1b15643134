#include "engine/duckdb/shredding.hpp"

#include <duckdb/function/scalar/variant_utils.hpp>

#include <algorithm>

namespace moat
{

using duckdb::idx_t;
using duckdb::LogicalType;
using duckdb::UnifiedVariantVectorData;
using duckdb::VariantLogicalType;
using duckdb::VariantUtils;

static constexpr double FREQUENCY_MIN = 0.10; /* of all values */
static constexpr size_t FIELDS_MAX = 300;     /* of an object */
static constexpr size_t FIELDS_SEEN_MAX = 1000;
static constexpr unsigned DEPTH_MAX = 50;
static constexpr size_t NAME_BYTES_MAX = 256;

static size_t number_of(VariantLogicalType type)
{
    return static_cast<size_t>(type);
}

/* ---- values ---- */

/* Digits that the storage of a decimal of this width takes: the engine tells decimals by that. */
static uint32_t stored_width(uint32_t width)
{
    return width <= 4 ? 4 : width <= 9 ? 9 : width <= 18 ? 18 : 38;
}

static bool can_be_named(const duckdb::string_t &name)
{
    return name.GetSize() > 0 && name.GetSize() <= NAME_BYTES_MAX &&
           memchr(name.GetData(), '\0', name.GetSize()) == nullptr;
}

void variant_layout::add(node &at, const UnifiedVariantVectorData &values, idx_t row,
                         uint32_t value, unsigned depth)
{
    VariantLogicalType type = values.GetTypeId(row, value);
    if (type == VariantLogicalType::VARIANT_NULL) {
        return;
    }
    if (type == VariantLogicalType::BOOL_FALSE) {
        type = VariantLogicalType::BOOL_TRUE;
    }
    at.count++;
    at.counts[number_of(type)]++;
    if (type == VariantLogicalType::DECIMAL) {
        auto decimal = VariantUtils::DecodeDecimalData(values, row, value);
        uint32_t width = stored_width(decimal.width);
        at.is_spoilt =
            at.is_spoilt || (at.width != 0 && (at.width != width || at.scale != decimal.scale));
        at.width = width;
        at.scale = decimal.scale;
    }
    bool is_object = type == VariantLogicalType::OBJECT;
    if ((!is_object && type != VariantLogicalType::ARRAY) || depth >= DEPTH_MAX) {
        return;
    }
    auto nested = VariantUtils::DecodeNestedData(values, row, value);
    for (idx_t i = 0; i < nested.child_count; i++) {
        uint32_t child = values.GetValuesIndex(row, nested.children_idx + i);
        if (!is_object) {
            at.element = at.element ? std::move(at.element) : std::make_unique<node>();
            add(*at.element, values, row, child, depth + 1);
            continue;
        }
        const auto &key = values.GetKey(row, values.GetKeysIndex(row, nested.children_idx + i));
        if (!can_be_named(key)) {
            continue;
        }
        std::string name = key.GetString();
        auto found = at.fields.find(name);
        if (found == at.fields.end() && at.fields.size() >= FIELDS_SEEN_MAX) {
            continue;
        }
        if (found == at.fields.end()) {
            found = at.fields.emplace(name, std::make_unique<node>()).first;
            found->second->name = name;
        }
        found->second->is_spoilt = found->second->is_spoilt || found->second->name != name;
        add(*found->second, values, row, child, depth + 1);
    }
}

void variant_layout::see(const UnifiedVariantVectorData &values, idx_t row)
{
    if (values.RowIsValid(row)) {
        add(root, values, row, 0, 0);
    }
}

/* ---- the layout ---- */

/* The types that the engine's writer shreds; INVALID for others. */
static LogicalType plain_type(VariantLogicalType type)
{
    switch (type) {
    case VariantLogicalType::BOOL_TRUE:
        return LogicalType::BOOLEAN;
    case VariantLogicalType::INT8:
        return LogicalType::TINYINT;
    case VariantLogicalType::INT16:
        return LogicalType::SMALLINT;
    case VariantLogicalType::INT32:
        return LogicalType::INTEGER;
    case VariantLogicalType::INT64:
        return LogicalType::BIGINT;
    case VariantLogicalType::FLOAT:
        return LogicalType::FLOAT;
    case VariantLogicalType::DOUBLE:
        return LogicalType::DOUBLE;
    case VariantLogicalType::DATE:
        return LogicalType::DATE;
    case VariantLogicalType::TIME_MICROS:
        return LogicalType::TIME;
    case VariantLogicalType::TIMESTAMP_MICROS:
        return LogicalType::TIMESTAMP;
    case VariantLogicalType::TIMESTAMP_MICROS_TZ:
        return LogicalType::TIMESTAMP_TZ;
    case VariantLogicalType::TIMESTAMP_NANOS:
        return LogicalType::TIMESTAMP_NS;
    case VariantLogicalType::BLOB:
        return LogicalType::BLOB;
    case VariantLogicalType::VARCHAR:
        return LogicalType::VARCHAR;
    case VariantLogicalType::UUID:
        return LogicalType::UUID;
    default: /* types of the engine that have no column */
        return LogicalType::INVALID;
    }
}

/* The one type of all values, of whole numbers the most frequent. */
static VariantLogicalType one_type(const uint64_t *counts)
{
    static const VariantLogicalType whole[] = {VariantLogicalType::INT64, VariantLogicalType::INT32,
                                               VariantLogicalType::INT16, VariantLogicalType::INT8};
    VariantLogicalType found = VariantLogicalType::VARIANT_NULL;
    size_t other_count = 0;
    for (VariantLogicalType type : whole) {
        bool is_first = found == VariantLogicalType::VARIANT_NULL;
        if (counts[number_of(type)] > (is_first ? 0 : counts[number_of(found)])) {
            found = type;
        }
    }
    other_count += found != VariantLogicalType::VARIANT_NULL ? 1 : 0;
    for (size_t i = 0; i < number_of(VariantLogicalType::ENUM_SIZE); i++) {
        auto type = static_cast<VariantLogicalType>(i);
        if (counts[i] > 0 &&
            std::find(std::begin(whole), std::end(whole), type) == std::end(whole)) {
            found = type;
            other_count++;
        }
    }
    return other_count == 1 ? found : VariantLogicalType::VARIANT_NULL;
}

LogicalType variant_layout::choose_object(node &at, uint64_t total)
{
    std::vector<node *> chosen;
    for (auto &entry : at.fields) {
        node &field = *entry.second;
        if (static_cast<double>(field.count) >= FREQUENCY_MIN * static_cast<double>(total)) {
            choose(field, total);
        } else {
            field.type = LogicalType::INVALID;
        }
        if (field.type.id() != duckdb::LogicalTypeId::INVALID) {
            chosen.push_back(&field);
        }
    }
    std::sort(chosen.begin(), chosen.end(), [](const node *a, const node *b) {
        return a->count != b->count ? a->count > b->count : a->name < b->name;
    });
    for (size_t i = FIELDS_MAX; i < chosen.size(); i++) {
        chosen[i]->type = LogicalType::INVALID;
    }
    chosen.resize(std::min(chosen.size(), FIELDS_MAX));
    std::sort(chosen.begin(), chosen.end(),
              [](const node *a, const node *b) { return a->name < b->name; });
    duckdb::child_list_t<LogicalType> types;
    for (const node *field : chosen) {
        types.emplace_back(field->name, field->type);
    }
    return types.empty() ? LogicalType(LogicalType::INVALID)
                         : LogicalType::STRUCT(std::move(types));
}

void variant_layout::choose(node &at, uint64_t total)
{
    VariantLogicalType type = one_type(at.counts);
    at.type = LogicalType::INVALID;
    if (at.is_spoilt) {
        return;
    }
    if (type == VariantLogicalType::OBJECT) {
        at.type = choose_object(at, total);
    } else if (type == VariantLogicalType::ARRAY && at.element != nullptr) {
        choose(*at.element, total);
        bool is_any = at.element->type.id() != duckdb::LogicalTypeId::INVALID;
        at.type = is_any ? LogicalType::LIST(at.element->type) : LogicalType(LogicalType::INVALID);
    } else if (type == VariantLogicalType::DECIMAL) {
        at.type =
            LogicalType::DECIMAL(static_cast<uint8_t>(at.width), static_cast<uint8_t>(at.scale));
    } else {
        at.type = plain_type(type);
    }
}

void variant_layout::settle()
{
    choose(root, root.count);
}

/* ---- other values ---- */

template <class Node, class Found>
bool variant_layout::check(Node &at, const UnifiedVariantVectorData &values, idx_t row,
                           uint32_t value, Found found)
{
    VariantLogicalType type = values.GetTypeId(row, value);
    bool does_fit = true;
    if (type == VariantLogicalType::DECIMAL && at.type.id() == duckdb::LogicalTypeId::DECIMAL) {
        auto decimal = VariantUtils::DecodeDecimalData(values, row, value);
        if (stored_width(decimal.width) == at.width && decimal.scale != at.scale) {
            found(at);
            return false;
        }
    }
    bool is_object =
        type == VariantLogicalType::OBJECT && at.type.id() == duckdb::LogicalTypeId::STRUCT;
    bool is_array =
        type == VariantLogicalType::ARRAY && at.type.id() == duckdb::LogicalTypeId::LIST;
    if (!is_object && !is_array) {
        return true;
    }
    auto nested = VariantUtils::DecodeNestedData(values, row, value);
    for (idx_t i = 0; i < nested.child_count; i++) {
        uint32_t child = values.GetValuesIndex(row, nested.children_idx + i);
        if (is_array) {
            does_fit = check<Node>(*at.element, values, row, child, found) && does_fit;
            continue;
        }
        std::string name =
            values.GetKey(row, values.GetKeysIndex(row, nested.children_idx + i)).GetString();
        auto entry = at.fields.find(name);
        if (entry == at.fields.end() ||
            entry->second->type.id() == duckdb::LogicalTypeId::INVALID) {
            continue;
        }
        if (entry->second->name != name) {
            found(*entry->second);
            does_fit = false;
            continue;
        }
        does_fit = check<Node>(*entry->second, values, row, child, found) && does_fit;
    }
    return does_fit;
}

bool variant_layout::fits(const UnifiedVariantVectorData &values, idx_t row) const
{
    return !values.RowIsValid(row) || check(root, values, row, 0, [](const node &) {});
}

void variant_layout::make_fit(const UnifiedVariantVectorData &values, idx_t row)
{
    if (values.RowIsValid(row)) {
        (void)check(root, values, row, 0, [](node &spoilt) { spoilt.is_spoilt = true; });
    }
}

} // namespace moat
