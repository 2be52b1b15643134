/* Metrics reports of the Iceberg REST specification (ReportMetricsRequest): what a statement read
 * of a table, and what it committed to one, told to the catalog as the person whose statement it
 * was.
 *
 * Told after the statement has ended, by a thread of the hub: nobody waits for it, and nothing that
 * becomes of it reaches the statement. Only where the catalog lists the endpoint, and says
 * "rest-metrics-reporting-enabled": "true" or nothing while rest_options.sends_reports is set.
 * Conditions are not told (a report's filter is TRUE): their constants are the person's.
 *
 * A report for which there is no room is dropped. After one that failed none goes for a minute. */
#pragma once

#include "catalog/rest/rest.h"

struct rest_scan_report {
    int64_t snapshot_id;
    int32_t schema_id;
    const int32_t *field_ids; /* that were read, with their names */
    const struct slice *field_names;
    size_t field_count;
    uint64_t data_files, data_bytes; /* of the result */
    uint64_t delete_files, equality_delete_files, position_delete_files, vectors;
    uint64_t manifests, manifests_skipped;
    uint64_t delete_manifests, delete_manifests_skipped;
    uint64_t files_skipped;
};

struct rest_commit_report {
    int64_t snapshot_id, sequence_number;
    struct slice operation;
    uint64_t attempts;
    int64_t duration_us;
    uint64_t added_data_files, removed_data_files, added_delete_files;
    uint64_t added_rows, added_bytes;
};

void rest_report_scan(struct rest *rest, const struct rest_catalog *catalog,
                      const struct identity *who, const struct rest_namespace *ns,
                      struct slice name, const struct rest_scan_report *report);
void rest_report_commit(struct rest *rest, const struct rest_catalog *catalog,
                        const struct identity *who, const struct rest_namespace *ns,
                        struct slice name, const struct rest_commit_report *report);
