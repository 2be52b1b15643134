#include "engine/duckdb/geo.hpp"

#include "engine/duckdb/module.hpp"

#include <duckdb/parser/keyword_helper.hpp>

extern "C" {
#include "engine/wkb.h"
}

namespace moat
{

using duckdb::idx_t;
using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::Value;
using duckdb::Vector;

/* ---- which columns ---- */

static std::string quoted(const std::string &name)
{
    return duckdb::KeywordHelper::WriteQuoted(name, '"');
}

static geo_column below(const geo_column &at, const std::string &name)
{
    geo_column inner = at;
    inner.path += "." + name;
    inner.statistic += "." + quoted(name);
    return inner;
}

/* The leaves that are a GEOMETRY, in order, by their names. */
static void find_leaves(const geo_column &at, const LogicalType &type,
                        std::vector<geo_column> &found)
{
    switch (type.id()) {
    case LogicalTypeId::GEOMETRY:
        found.push_back(at);
        break;
    case LogicalTypeId::STRUCT:
        for (auto &child : duckdb::StructType::GetChildTypes(type)) {
            find_leaves(below(at, child.first), child.second, found);
        }
        break;
    case LogicalTypeId::LIST:
        find_leaves(below(at, "element"), duckdb::ListType::GetChildType(type), found);
        break;
    case LogicalTypeId::MAP:
        find_leaves(below(at, "key"), duckdb::MapType::KeyType(type), found);
        find_leaves(below(at, "value"), duckdb::MapType::ValueType(type), found);
        break;
    default: /* a foreign enum */
        break;
    }
}

static void read_column(const Value &said, geo_column &column)
{
    auto &names = duckdb::StructType::GetChildTypes(said.type());
    auto &values = duckdb::StructValue::GetChildren(said);
    for (idx_t i = 0; i < names.size(); i++) {
        if (names[i].first == "id") {
            column.field_id = values[i].GetValue<int32_t>();
        } else if (names[i].first == "crs") {
            column.crs = values[i].GetValue<duckdb::string>();
        } else {
            auto word = values[i].GetValue<duckdb::string>();
            ASSERT(parquet_edges_parse({word.data(), word.size()}, &column.edges));
        }
    }
}

void geo_columns::bind(duckdb::CopyInfo &info, const duckdb::vector<std::string> &names,
                       const duckdb::vector<LogicalType> &types)
{
    for (idx_t i = 0; i < types.size(); i++) {
        size_t before = columns.size();
        find_leaves({names[i], quoted(names[i]), -1, "", PARQUET_PLANAR}, types[i], columns);
        if (columns.size() > before) {
            top.push_back(i);
        }
    }
    auto found = info.options.find("geo_columns");
    bool is_said = found != info.options.end() && found->second.size() == 1;
    size_t count = is_said ? duckdb::StructType::GetChildCount(found->second[0].type()) : 0;
    if (count != columns.size()) {
        throw_err(ERR_INTERNAL, nullptr,
                  "a file's columns of geometry are not those it was told of", "");
    }
    for (size_t i = 0; i < count; i++) {
        read_column(duckdb::StructValue::GetChildren(found->second[0])[i], columns[i]);
    }
    if (is_said) {
        info.options.erase(found);
    }
}

/* ---- values ---- */

static const char *name_of(const geo_column &column)
{
    return column.edges == PARQUET_PLANAR ? "geometry" : "geography";
}

static struct wkb_facts check_value(const geo_column &column, const duckdb::string_t &value)
{
    struct wkb_facts facts;
    struct errinfo info;
    errinfo_init(&info);
    enum err err = wkb_check({value.GetData(), value.GetSize()}, &facts, &info);
    if (err != ERR_OK) {
        throw_err(err, info.sqlstate,
                  "column \"" + column.path + "\" of type " + name_of(column) +
                      " was given a value that is " + info.message,
                  "ST_GeomFromText('POINT (1 2)') makes one.");
    }
    if (facts.is_beyond_geographic && column.edges != PARQUET_PLANAR) {
        throw_err(ERR_INVALID, "22023",
                  "column \"" + column.path +
                      "\" of type geography was given a coordinate that is no longitude of -180 to "
                      "180 and latitude of -90 to 90",
                  "Longitude comes first. Coordinates of another kind are a geometry's.");
    }
    return facts;
}

static void check_vector(const std::vector<geo_column> &columns, Vector &vector, idx_t count,
                         size_t &leaf, std::vector<bool> &is_box_wrong)
{
    switch (vector.GetType().id()) {
    case LogicalTypeId::GEOMETRY: {
        auto values = duckdb::FlatVector::GetData<duckdb::string_t>(vector);
        auto &validity = duckdb::FlatVector::Validity(vector);
        for (idx_t row = 0; row < count; row++) {
            if (validity.RowIsValid(row) && check_value(columns[leaf], values[row]).has_nan) {
                is_box_wrong[leaf] = true;
            }
        }
        leaf++;
        break;
    }
    case LogicalTypeId::STRUCT:
        for (auto &child : duckdb::StructVector::GetEntries(vector)) {
            check_vector(columns, *child, count, leaf, is_box_wrong);
        }
        break;
    case LogicalTypeId::LIST:
    case LogicalTypeId::MAP: /* a list of keys and values */
        check_vector(columns, duckdb::ListVector::GetEntry(vector),
                     duckdb::ListVector::GetListSize(vector), leaf, is_box_wrong);
        break;
    default: /* a foreign enum */
        break;
    }
}

std::vector<bool> geo_columns::check(duckdb::ColumnDataCollection &rows) const
{
    std::vector<bool> is_box_wrong(columns.size(), false);
    if (columns.empty()) {
        return is_box_wrong;
    }
    for (auto &chunk : rows.Chunks(top)) {
        size_t leaf = 0;
        for (auto &vector : chunk.data) {
            vector.Flatten(chunk.size());
            check_vector(columns, vector, chunk.size(), leaf, is_box_wrong);
        }
    }
    return is_box_wrong;
}

/* ---- files ---- */

void geo_columns::forget_boxes(duckdb::CopyFunctionFileStatistics &said,
                               const std::vector<bool> &is_box_wrong) const
{
    for (size_t i = 0; i < columns.size(); i++) {
        bool is_wrong = columns[i].edges != PARQUET_PLANAR;
        for (size_t at = i; at < is_box_wrong.size(); at += columns.size()) {
            is_wrong = is_wrong || is_box_wrong[at];
        }
        auto statistics = said.column_statistics.find(columns[i].statistic);
        if (!is_wrong || statistics == said.column_statistics.end()) {
            continue;
        }
        for (const char *side : {"xmin", "xmax", "ymin", "ymax", "zmin", "zmax", "mmin", "mmax"}) {
            statistics->second.erase(std::string("bbox_") + side);
        }
    }
}

std::string geo_columns::mend(const std::string &end, const std::vector<bool> &is_box_wrong) const
{
    struct errinfo info;
    struct buf mended = {};
    std::vector<struct parquet_geo> geo;
    errinfo_init(&info);
    for (const geo_column &column : columns) {
        geo.push_back({column.field_id, {column.crs.data(), column.crs.size()}, column.edges});
    }
    auto boxes = std::make_unique<bool[]>(is_box_wrong.size() + 1);
    for (size_t i = 0; i < is_box_wrong.size(); i++) {
        boxes[i] = is_box_wrong[i];
    }
    struct parquet_mending mending = {geo.data(), geo.size(), boxes.get(),
                                      is_box_wrong.size() / geo.size()};
    enum err err = parquet_end_mend({end.data(), end.size()}, &mending, &mended, &info);
    std::string changed(buf_cstr(&mended), mended.len);
    buf_fini(&mended);
    if (err != ERR_OK) {
        throw_errinfo(err, info);
    }
    return changed;
}

} // namespace moat
