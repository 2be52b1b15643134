/* Numbers for who watches the server, in Prometheus' text format.
 *
 * A metric is one line of metrics.def. Counting is one atomic addition: it never waits, never
 * allocates and never fails. Labels have a fixed set of values; nothing that a person wrote can
 * become one. */
#pragma once

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

enum metric {
#define METRIC(id, type, name, help, labels) METRIC_##id,
#include "observe/metrics.def"
#undef METRIC
    METRIC_COUNT
};

struct metrics;

MUST_USE enum err metrics_new(struct metrics **ret_metrics, struct errinfo *info);
void metrics_free(struct metrics *metrics);
DEFINE_CLEANUP(struct metrics, metrics_cleanup, metrics_free)

/* `series` counts through the values of the labels, the last one fastest; 0 without labels. With
 * `metrics` NULL all of these do nothing. Any thread. */
void metrics_add(struct metrics *metrics, enum metric metric, unsigned series, uint64_t count);
void metrics_set(struct metrics *metrics, enum metric metric, unsigned series, uint64_t value);
void metrics_observe(struct metrics *metrics, enum metric metric, int64_t us);

uint64_t metrics_value(const struct metrics *metrics, enum metric metric, unsigned series);
/* Values of histograms: how many there were. */
uint64_t metrics_observations(const struct metrics *metrics, enum metric metric);

/* Appends all of them. */
void metrics_print(const struct metrics *metrics, struct buf *out);

/* Series of the metrics with labels, in the order of metrics.def. */
enum metric_protocol {
    METRIC_EMBEDDED,
    METRIC_POSTGRES,
    METRIC_HTTP,
    METRIC_TRINO,
    METRIC_FLIGHT,
};
#define METRIC_PROTOCOLS 5u
