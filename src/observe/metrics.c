#include "observe/metrics.h"

#include <stdatomic.h>

#include "base/mem.h"

enum type {
    COUNTER,
    GAUGE,
    HISTOGRAM
};

static const struct {
    enum type type;
    const char *name;
    const char *help;
    const char *labels;
} table[METRIC_COUNT] = {
#define METRIC(id, type, name, help, labels) [METRIC_##id] = {type, name, help, labels},
#include "observe/metrics.def"
#undef METRIC
};

/* A millisecond to a minute: from a point query to what somebody will ask about. In microseconds,
 * and as the text of "le". */
static const struct {
    int64_t us;
    const char *seconds;
} bounds[] = {
    {500, "0.0005"},  {1000, "0.001"},    {2500, "0.0025"}, {5000, "0.005"},  {10000, "0.01"},
    {25000, "0.025"}, {50000, "0.05"},    {100000, "0.1"},  {250000, "0.25"}, {500000, "0.5"},
    {1000000, "1"},   {2500000, "2.5"},   {5000000, "5"},   {10000000, "10"}, {30000000, "30"},
    {60000000, "60"}, {300000000, "300"},
};
#define BOUND_COUNT ARRAY_COUNT(bounds)

/* Buckets, what is past the last, and the sum. */
#define HISTOGRAM_CELLS (BOUND_COUNT + 2)

struct metrics {
    unsigned first[METRIC_COUNT]; /* cells of each */
    unsigned series[METRIC_COUNT];
    unsigned cell_count;
    _Atomic uint64_t cells[];
};

#define LABELS_MAX 2

/* "name=a|b|c name=..." */
struct label {
    struct slice name;
    struct slice values; /* "a|b|c" */
    unsigned count;
};

static size_t split_labels(const char *text, struct label labels[LABELS_MAX])
{
    size_t count = 0;
    while (*text != '\0') {
        ASSERT(count < LABELS_MAX);
        struct label *label = &labels[count++];
        size_t name_len = strcspn(text, "=");
        label->name = (struct slice){text, name_len};
        text += name_len + 1;
        label->values = (struct slice){text, strcspn(text, " ")};
        label->count = 1;
        for (size_t i = 0; i < label->values.len; i++) {
            label->count += label->values.ptr[i] == '|';
        }
        text += label->values.len;
        text += *text == ' ';
    }
    return count;
}

static struct slice value_at(const struct label *label, unsigned index)
{
    const char *value = label->values.ptr;
    const char *end = value + label->values.len;
    for (;;) {
        const char *bar = memchr(value, '|', (size_t)(end - value));
        if (index == 0 || bar == NULL) {
            return (struct slice){value, (size_t)((bar == NULL ? end : bar) - value)};
        }
        value = bar + 1;
        index--;
    }
}

enum err metrics_new(struct metrics **ret_metrics, struct errinfo *info)
{
    unsigned first[METRIC_COUNT];
    unsigned series[METRIC_COUNT];
    unsigned cells = 0;
    for (int i = 0; i < METRIC_COUNT; i++) {
        struct label labels[LABELS_MAX];
        size_t label_count = split_labels(table[i].labels, labels);
        series[i] = 1;
        for (size_t j = 0; j < label_count; j++) {
            series[i] *= labels[j].count;
        }
        ASSERT(table[i].type != HISTOGRAM || label_count == 0);
        first[i] = cells;
        cells += table[i].type == HISTOGRAM ? (unsigned)HISTOGRAM_CELLS : series[i];
    }
    struct metrics *metrics = mem_calloc(1, sizeof(*metrics) + cells * sizeof(metrics->cells[0]));
    if (metrics == NULL) {
        return errinfo_nomem(info);
    }
    memcpy(metrics->first, first, sizeof(first));
    memcpy(metrics->series, series, sizeof(series));
    metrics->cell_count = cells;
    *ret_metrics = metrics;
    return ERR_OK;
}

void metrics_free(struct metrics *metrics)
{
    mem_free(metrics);
}

/* ---- counting ---- */

void metrics_add(struct metrics *metrics, enum metric metric, unsigned series, uint64_t count)
{
    if (metrics != NULL && count != 0) { /* whose cells all threads share */
        ASSERT(series < metrics->series[metric] && table[metric].type != HISTOGRAM);
        atomic_fetch_add_explicit(&metrics->cells[metrics->first[metric] + series], count,
                                  memory_order_relaxed);
    }
}

void metrics_set(struct metrics *metrics, enum metric metric, unsigned series, uint64_t value)
{
    if (metrics != NULL) {
        ASSERT(series < metrics->series[metric] && table[metric].type != HISTOGRAM);
        atomic_store_explicit(&metrics->cells[metrics->first[metric] + series], value,
                              memory_order_relaxed);
    }
}

void metrics_observe(struct metrics *metrics, enum metric metric, int64_t us)
{
    if (metrics == NULL) {
        return;
    }
    ASSERT(table[metric].type == HISTOGRAM);
    _Atomic uint64_t *cells = &metrics->cells[metrics->first[metric]];
    size_t bucket = 0;
    us = us < 0 ? 0 : us;
    while (bucket < BOUND_COUNT && us > bounds[bucket].us) {
        bucket++;
    }
    atomic_fetch_add_explicit(&cells[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&cells[BOUND_COUNT + 1], (uint64_t)us, memory_order_relaxed);
}

static uint64_t cell(const struct metrics *metrics, unsigned index)
{
    return atomic_load_explicit(&metrics->cells[index], memory_order_relaxed);
}

uint64_t metrics_value(const struct metrics *metrics, enum metric metric, unsigned series)
{
    return cell(metrics, metrics->first[metric] + series);
}

uint64_t metrics_observations(const struct metrics *metrics, enum metric metric)
{
    uint64_t count = 0;
    for (unsigned i = 0; i <= BOUND_COUNT; i++) {
        count += cell(metrics, metrics->first[metric] + i);
    }
    return count;
}

/* ---- printing ---- */

static void print_histogram(const struct metrics *metrics, enum metric metric, struct buf *out)
{
    unsigned first = metrics->first[metric];
    const char *name = table[metric].name;
    uint64_t count = 0;
    for (unsigned i = 0; i < BOUND_COUNT; i++) {
        count += cell(metrics, first + i);
        buf_printf(out, "%s_bucket{le=\"%s\"} %llu\n", name, bounds[i].seconds,
                   (unsigned long long)count);
    }
    count += cell(metrics, first + BOUND_COUNT);
    uint64_t sum_us = cell(metrics, first + BOUND_COUNT + 1);
    buf_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)count);
    buf_printf(out, "%s_sum %llu.%06llu\n%s_count %llu\n", name,
               (unsigned long long)(sum_us / 1000000), (unsigned long long)(sum_us % 1000000), name,
               (unsigned long long)count);
}

static void print_series(const struct metrics *metrics, enum metric metric, struct buf *out)
{
    struct label labels[LABELS_MAX];
    size_t label_count = split_labels(table[metric].labels, labels);
    for (unsigned series = 0; series < metrics->series[metric]; series++) {
        buf_append_str(out, table[metric].name);
        unsigned step = metrics->series[metric];
        unsigned rest = series;
        for (size_t i = 0; i < label_count; i++) {
            step /= labels[i].count;
            struct slice value = value_at(&labels[i], rest / step);
            rest %= step;
            buf_printf(out, "%s%.*s=\"%.*s\"", i == 0 ? "{" : ",", SLICE_ARGS(labels[i].name),
                       SLICE_ARGS(value));
        }
        buf_printf(out, "%s %llu\n", label_count > 0 ? "}" : "",
                   (unsigned long long)metrics_value(metrics, metric, series));
    }
}

void metrics_print(const struct metrics *metrics, struct buf *out)
{
    static const char *const types[] = {
        [COUNTER] = "counter", [GAUGE] = "gauge", [HISTOGRAM] = "histogram"};
    for (int i = 0; i < METRIC_COUNT; i++) {
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", table[i].name, table[i].help, table[i].name,
                   types[table[i].type]);
        if (table[i].type == HISTOGRAM) {
            print_histogram(metrics, (enum metric)i, out);
        } else {
            print_series(metrics, (enum metric)i, out);
        }
    }
}
