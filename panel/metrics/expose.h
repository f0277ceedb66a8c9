/* Metrics as text: OpenMetrics 1.0, or the older format of Prometheus, from the same calls.
 *
 * A family is announced once, then its samples follow; names follow Prometheus' conventions, and
 * the writer puts what differs between the formats ("_total", "# UNIT", "# EOF"). Failure sticks in
 * the strbuf. One thread. */
#ifndef PANEL_METRICS_EXPOSE_H
#define PANEL_METRICS_EXPOSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"
#include "panel/metrics/metrics.h"

#define EXPOSE_TYPE_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define EXPOSE_TYPE_TEXT        "text/plain; version=0.0.4; charset=utf-8"

enum family_type { FAMILY_COUNTER, FAMILY_GAUGE, FAMILY_HISTOGRAM, FAMILY_INFO };

struct family {
    const char *name; /* without "_total" and "_info"; with its unit */
    enum family_type type;
    const char *unit; /* the last word of the name, or "" */
    const char *help;
};

struct label {
    const char *name;
    const char *value; /* anything; escaped */
};

struct exposition {
    struct strbuf *out;
    bool openmetrics;
    const struct family *family; /* whose samples come now */
};

/* The one of both that the client would rather have, by its Accept (NULL: it has none). */
bool expose_wants_openmetrics(const char *accept);

void expose_family(struct exposition *to, const struct family *family);
/* One sample: value / 10^decimals. labels may be NULL when count is 0. */
void expose_sample(struct exposition *to, const struct label *labels, size_t count, int64_t value,
                   unsigned decimals);
void expose_histogram(struct exposition *to, const struct label *labels, size_t count,
                      const struct histogram_view *view, unsigned decimals);
void expose_end(struct exposition *to);

#endif
