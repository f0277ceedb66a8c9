/* What the panel counts of itself while it works: tallies and histograms, one set a process.
 *
 * The lowest of the panel's rooms: the others report into it, and it knows none of them. A report
 * is one relaxed add in a stripe that few threads share, so it costs the same however many cores
 * report. Who reads sums the stripes; a sum may lack what others add meanwhile, and never goes
 * back. What is a number for a person, with its name and unit, is panel/api/metrics.c. Any thread;
 * no locks, no memory, no errors. */
#ifndef PANEL_METRICS_METRICS_H
#define PANEL_METRICS_METRICS_H

#include <stddef.h>
#include <stdint.h>

enum metric {
    /* risen and lowered */
    METRIC_CONNECTIONS,
    METRIC_REQUESTS_IN_FLIGHT,
    METRIC_STREAMS,
    METRIC_FOLLOWERS,
    METRIC_LINKS_IDLE,
    METRIC_LINKS_QUEUED,
    METRIC_LINKS_DIALING,
    METRIC_LINKS_UP,
    /* only ever risen */
    METRIC_CONNECTIONS_ACCEPTED,
    METRIC_CONNECTIONS_CUT,
    METRIC_KEYS_MISSING,
    METRIC_KEYS_REFUSED,
    METRIC_PASSWORDS_WRONG,
    METRIC_PASSWORDS_UNTRIED,
    METRIC_LINES_LOST,
    METRIC_COMMITS,
    METRIC_COMMITS_FAILED,
    METRIC_CHANGES,
    METRIC_CHANGES_REFUSED,
    METRIC_CHANGES_TURNED_AWAY,
    METRIC_BEATS,
    METRIC_BEATS_MISSED,
    METRIC_DIALS,
    METRIC_DIALS_FAILED,
    METRIC_LINKS_LOST,
    METRIC_RENEWALS,
    METRIC_RENEWALS_FAILED,
    METRIC_INSTANCE_CRASHES,
    METRIC_INSTANCE_FAILURES,
    METRICS
};

/* n is negative only for those that may fall. */
void metric_add(enum metric metric, int64_t n);
/* Never below 0: of a gauge whose rise hasn't been seen yet, either. */
uint64_t metric_read(enum metric metric);

/* --- histograms ------------------------------------------------------------------------------ */

#define HISTOGRAM_BOUNDS_MAX 16

enum histogram {
    HISTOGRAM_COMMIT_US,     /* from BEGIN to the end of COMMIT */
    HISTOGRAM_COMMIT_CHANGES /* how many changes one commit carried */
};
#define HISTOGRAMS 2

void histogram_add(enum histogram histogram, uint64_t value);

struct histogram_view {
    const uint64_t *bounds;                    /* upper ones, inclusive, rising */
    size_t count;                              /* of them */
    uint64_t counts[HISTOGRAM_BOUNDS_MAX + 1]; /* not summed up; the last: above every bound */
    uint64_t sum;
};
void histogram_read(enum histogram histogram, struct histogram_view *ret_view);

/* --- requests by route ----------------------------------------------------------------------- */

/* A route is a small number that the API gives; 0 is that of requests without one. */
#define METRIC_ROUTES_MAX 160

/* One answer: us from the request's first line to the answer. status 100–599. */
void metric_request(unsigned route, int status, uint64_t us);

struct route_view {
    uint64_t by_class[5];          /* 1xx, 2xx, … */
    struct histogram_view took_us; /* of all of them */
};
void metric_route_read(unsigned route, struct route_view *ret_view);

#endif
