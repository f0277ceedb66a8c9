/* Stripes of counters. See metrics.h.
 *
 * A thread is given a stripe at its first report and keeps it. Two that share one are merely as
 * slow as one shared counter is. Stripes are whole cache lines, so neighbours don't disturb each
 * other. */
#include "panel/metrics/metrics.h"

#include <stdatomic.h>

#include "common/auto.h"

#define STRIPES    8u
#define CACHE_LINE 64

static const uint64_t request_bounds[] = {500,     1000,    2500,    5000,    10000,
                                          25000,   50000,   100000,  250000,  500000,
                                          1000000, 2500000, 5000000, 10000000};
static const uint64_t commit_bounds[] = {250,   500,   1000,   2500,   5000,    10000,
                                         25000, 50000, 100000, 250000, 1000000, 5000000};
static const uint64_t change_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256};

static const struct bounds {
    const uint64_t *bounds;
    size_t count;
} requests = {request_bounds, ARRAY_LEN(request_bounds)},
  tables[HISTOGRAMS] = {
      [HISTOGRAM_COMMIT_US] = {commit_bounds, ARRAY_LEN(commit_bounds)},
      [HISTOGRAM_COMMIT_CHANGES] = {change_bounds, ARRAY_LEN(change_bounds)},
};

_Static_assert(ARRAY_LEN(request_bounds) <= HISTOGRAM_BOUNDS_MAX, "a view has to hold them");
_Static_assert(ARRAY_LEN(commit_bounds) <= HISTOGRAM_BOUNDS_MAX, "a view has to hold them");

struct cells {
    _Atomic uint64_t counts[HISTOGRAM_BOUNDS_MAX + 1];
    _Atomic uint64_t sum;
};

static struct stripe {
    _Alignas(CACHE_LINE) _Atomic int64_t tallies[METRICS];
    struct cells histograms[HISTOGRAMS];
    struct {
        _Atomic uint64_t by_class[5];
        struct cells took_us;
    } routes[METRIC_ROUTES_MAX];
} stripes[STRIPES];

static struct stripe *own_stripe(void)
{
    static _Atomic unsigned given;
    static _Thread_local struct stripe *own;
    if (!own)
        own = &stripes[atomic_fetch_add_explicit(&given, 1, memory_order_relaxed) % STRIPES];
    return own;
}

static void add(_Atomic uint64_t *cell, uint64_t n)
{
    atomic_fetch_add_explicit(cell, n, memory_order_relaxed);
}

static uint64_t look(const _Atomic uint64_t *cell)
{
    return atomic_load_explicit(cell, memory_order_relaxed);
}

void metric_add(enum metric metric, int64_t n)
{
    atomic_fetch_add_explicit(&own_stripe()->tallies[metric], n, memory_order_relaxed);
}

uint64_t metric_read(enum metric metric)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < STRIPES; i++)
        sum += atomic_load_explicit(&stripes[i].tallies[metric], memory_order_relaxed);
    return sum > 0 ? (uint64_t)sum : 0;
}

/* --- histograms ------------------------------------------------------------------------------ */

static void cells_add(struct cells *cells, const struct bounds *table, uint64_t value)
{
    size_t at = 0;
    while (at < table->count && value > table->bounds[at])
        at++;
    add(&cells->counts[at], 1);
    add(&cells->sum, value);
}

static void cells_read(const struct cells *cells, const struct bounds *table,
                       struct histogram_view *view)
{
    view->bounds = table->bounds;
    view->count = table->count;
    for (size_t i = 0; i <= table->count; i++)
        view->counts[i] += look(&cells->counts[i]);
    view->sum += look(&cells->sum);
}

void histogram_add(enum histogram histogram, uint64_t value)
{
    cells_add(&own_stripe()->histograms[histogram], &tables[histogram], value);
}

void histogram_read(enum histogram histogram, struct histogram_view *ret_view)
{
    *ret_view = (struct histogram_view){.count = 0};
    for (unsigned i = 0; i < STRIPES; i++)
        cells_read(&stripes[i].histograms[histogram], &tables[histogram], ret_view);
}

/* --- requests -------------------------------------------------------------------------------- */

void metric_request(unsigned route, int status, uint64_t us)
{
    unsigned class = status >= 100 && status < 600 ? (unsigned)status / 100 - 1 : 4;
    struct stripe *own = own_stripe();
    if (route >= METRIC_ROUTES_MAX)
        route = 0;
    add(&own->routes[route].by_class[class], 1);
    cells_add(&own->routes[route].took_us, &requests, us);
}

void metric_route_read(unsigned route, struct route_view *ret_view)
{
    *ret_view = (struct route_view){.by_class = {0}};
    for (unsigned i = 0; i < STRIPES; i++) {
        for (unsigned class = 0; class < 5; class ++)
            ret_view->by_class[class] += look(&stripes[i].routes[route].by_class[class]);
        cells_read(&stripes[i].routes[route].took_us, &requests, &ret_view->took_us);
    }
}
