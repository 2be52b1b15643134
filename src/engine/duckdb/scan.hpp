/* What the files of moat_scan share: a scan as it was bound, the list of its files, and how the
 * columns of a file become the scan's.
 *
 *   scan.cpp            the table function: binding, virtual columns, exact counts
 *   scan_source.cpp     the description of a scan in the engine's terms
 *   scan_list.cpp       which files: asks the program with what the engine filters by
 *   scan_predicate.cpp  the engine's conditions as engine_predicate
 *   scan_mapping.cpp    a file's columns to the scan's, by field id, and the values themselves
 *   scan_filter.cpp     conditions on the scan's columns as conditions on a file's
 *   scan_range.cpp      what the program says of a column's values: to plan by, and held against
 *   scan_reader.cpp     one file: mapping, filters, deleted rows, virtual columns */
#pragma once

#include "engine/duckdb/module.hpp"

#include <duckdb/common/multi_file/multi_file_reader.hpp>
#include <duckdb/common/multi_file/multi_file_states.hpp>

#include <map>

namespace moat
{

/* ---- the description (scan_source.cpp) ---- */

struct scan_column {
    int32_t field_id = -1;
    std::string name;
    duckdb::LogicalType type;
    duckdb::Value value; /* of files that lack it; of `type` */
    std::vector<scan_column> children;
};

struct scan_name {
    std::string name;
    int32_t field_id = -1;
    std::vector<scan_name> children;
};

struct scan_source {
    std::shared_ptr<grant_state> grant;
    size_t index = 0; /* of the scan in the grant */
    std::vector<scan_column> columns;
    std::vector<scan_name> names;
    duckdb::LogicalType partition_type; /* SQLNULL if there is none */
    int32_t field_id_max = 0;
    int64_t row_count_estimate = -1;
    bool has_hidden = true;
    std::mutex files_lock; /* one call of files() at a time */
};

std::shared_ptr<scan_source> open_source(duckdb::ClientContext &context,
                                         std::shared_ptr<grant_state> grant, size_t index);

/* The value of a SQL literal as `type`; an empty text is NULL. */
duckdb::Value evaluate_literal(duckdb::ClientContext &context, struct slice text,
                               const duckdb::LogicalType &type);

/* ---- predicates (scan_predicate.cpp) ---- */

struct predicate {
    enum engine_predicate_kind kind = PREDICATE_AND;
    int32_t field_id = -1;
    std::vector<std::string> values;
    std::vector<predicate> children;

    std::string key() const; /* equal texts for equal predicates */
};

/* A necessary condition of the expression; false if there is none that can be said. */
bool predicate_of(const scan_source &source, const duckdb::MultiFilePushdownInfo &info,
                  const duckdb::Expression &expression, predicate *ret_predicate);
bool predicate_of(const scan_column &column, const duckdb::TableFilter &filter,
                  predicate *ret_predicate);

/* ---- files (scan_list.cpp) ---- */

class scan_list : public duckdb::MultiFileList
{
  public:
    scan_list(std::shared_ptr<scan_source> source, std::vector<predicate> predicates,
              bool is_dynamic);

    /* Only under a use of the grant. */
    const struct engine_scan_file &file(duckdb::idx_t index) const;

    /* Rows, if every file says how many and none has deletes or was left out; else -1. */
    int64_t exact_row_count() const;

    /* What the program says of the column's values in these files; has_bounds is false if nothing.
     * From then on it is `promised`, by this list and those made of it. */
    struct engine_scan_range promise(duckdb::idx_t column) const;
    struct engine_scan_range promised(duckdb::idx_t column) const;

    duckdb::unique_ptr<duckdb::MultiFileList>
    with_conditions(const duckdb::MultiFilePushdownInfo &info,
                    const duckdb::vector<duckdb::unique_ptr<duckdb::Expression>> &filters) const;
    duckdb::unique_ptr<duckdb::MultiFileList>
    with_filters(const duckdb::vector<duckdb::column_t> &column_ids,
                 const duckdb::TableFilterSet &filters) const;

    duckdb::vector<duckdb::OpenFileInfo> GetAllFiles() const override;
    duckdb::FileExpandResult GetExpandResult() const override;
    duckdb::idx_t GetTotalFileCount() const override;
    duckdb::vector<duckdb::OpenFileInfo>
    GetDisplayFileList(duckdb::optional_idx max_files) const override;
    duckdb::unique_ptr<duckdb::NodeStatistics>
    GetCardinality(duckdb::ClientContext &context) const override;
    duckdb::unique_ptr<duckdb::MultiFileList> Copy() const override;

    const std::shared_ptr<scan_source> source;

  protected:
    duckdb::OpenFileInfo GetFile(duckdb::idx_t i) const override;

  private:
    void resolve() const;
    void ask_ranges() const;
    duckdb::unique_ptr<duckdb::MultiFileList> narrowed(std::vector<predicate> more,
                                                       bool is_dynamic) const;

    const std::vector<predicate> predicates;
    const bool is_dynamic;
    mutable std::mutex lock;
    mutable bool is_resolved = false;                       /* under lock; once true, what */
    mutable const struct engine_scan_file *files = nullptr; /* follows never changes */
    mutable size_t file_count = 0;
    mutable bool is_ranged = false;
    mutable std::map<duckdb::idx_t, struct engine_scan_range> ranges; /* of columns with bounds */
    mutable std::map<duckdb::idx_t, struct engine_scan_range> promises;
};

/* ---- mapping (scan_mapping.cpp) ---- */

/* How a value of the scan is made of a value of the file. */
struct mapping {
    enum kind {
        SAME,        /* as it is */
        CONSTANT,    /* the file has none */
        CAST,        /* a wider type: exact and in the same order */
        CONVERT,     /* another type: exact */
        REINTERPRET, /* the same bytes under another type */
        TEXT,        /* bytes that must be UTF-8 */
        UUID,        /* bytes that must be sixteen */
        STRUCT,
        LIST, /* and maps: one child, for a map a struct of key and value */
    };
    kind kind = SAME;
    duckdb::LogicalType type;      /* of the scan */
    duckdb::Value value;           /* CONSTANT */
    duckdb::idx_t local_index = 0; /* in the file's struct */
    std::vector<mapping> children;
};

/* Gives ids to a file's columns that have none, by names. `file` is how messages name it. */
void apply_names(const std::vector<scan_name> &names,
                 duckdb::vector<duckdb::MultiFileColumnDefinition> &columns,
                 const std::string &file);
bool has_field_ids(const duckdb::vector<duckdb::MultiFileColumnDefinition> &columns);

/* Index of the column with the id; -1 if there is none. Throws if there are two. */
int64_t find_field(const duckdb::vector<duckdb::MultiFileColumnDefinition> &columns,
                   int32_t field_id, const std::string &file);

/* Throws if a field of the scan's column is missing in a struct of the file that has one which no
 * table wrote so: without id, or with one beyond `field_id_max`. Then an id was damaged, and NULL
 * would be another value. */
void check_missing(const scan_column &column,
                   const duckdb::vector<duckdb::MultiFileColumnDefinition> &columns,
                   int32_t field_id_max, const std::string &file);
/* The same for what is inside of a column that both have. */
void check_fields(const scan_column &column, const duckdb::MultiFileColumnDefinition &local,
                  int32_t field_id_max, const std::string &file);

/* Throws naming the column and the types if the file's cannot be read as the scan's. */
mapping map_column(const scan_column &column, const duckdb::MultiFileColumnDefinition &local,
                   const std::string &path, const std::string &file);

/* What of a file's struct must be read for the wanted part of the scan's. */
duckdb::ColumnIndex map_index(const scan_column &column,
                              const duckdb::MultiFileColumnDefinition &local,
                              const duckdb::ColumnIndex &wanted, duckdb::idx_t local_id,
                              const std::string &file);

duckdb::unique_ptr<duckdb::Expression>
mapping_expression(mapping how, const duckdb::LogicalType &local_type, duckdb::idx_t local_index);

/* ---- filters (scan_filter.cpp) ---- */

/* The filter for the file's column, true of exactly the same rows; null if none can be said. */
duckdb::unique_ptr<duckdb::TableFilter> convert_filter(const duckdb::TableFilter &filter,
                                                       const mapping &how,
                                                       const duckdb::LogicalType &local_type);
/* False if a column that holds `value` in all of a file rules the file out. */
bool filter_allows(duckdb::ClientContext &context, const duckdb::TableFilter &filter,
                   const duckdb::Value &value);
/* The filter as an expression; null where it is only there to save work. */
duckdb::unique_ptr<duckdb::Expression> filter_expression(const duckdb::TableFilter &filter,
                                                         const duckdb::Expression &column);

/* ---- ranges (scan_range.cpp) ---- */

/* As the engine plans by; null if it can make nothing of it. */
duckdb::unique_ptr<duckdb::BaseStatistics> range_statistics(const struct engine_scan_range &range,
                                                            const duckdb::LogicalType &type);
bool range_has(const struct engine_scan_range &range, const duckdb::Value &value);
/* Whether a file's own statistics leave no value outside. */
bool range_holds(const struct engine_scan_range &range, const duckdb::BaseStatistics &own);
/* The values as they are; one that is not in the range is ERR_CORRUPT. */
duckdb::unique_ptr<duckdb::Expression> range_check(const struct engine_scan_range &range,
                                                   duckdb::unique_ptr<duckdb::Expression> values,
                                                   const std::string &column);

/* ---- files being read (scan_reader.cpp) ---- */

enum : duckdb::column_t {
    COLUMN_SPEC_ID = UINT64_C(0x8000000000010000),
    COLUMN_PARTITION,
    COLUMN_ROW_ID,
    COLUMN_LAST_UPDATED,
    COLUMN_SEQUENCE_NUMBER,
    COLUMN_GROUP,
};

duckdb::unique_ptr<duckdb::MultiFileReader> make_scan_reader(const duckdb::TableFunction &);

} // namespace moat
