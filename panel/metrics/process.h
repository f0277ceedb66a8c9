/* What the system says of this process, for the standard process_* metrics. Any thread; reads
 * /proc, which doesn't block. */
#ifndef PANEL_METRICS_PROCESS_H
#define PANEL_METRICS_PROCESS_H

#include <stdint.h>

#include "common/err.h"

struct process {
    uint64_t cpu_us;   /* user and system */
    uint64_t resident; /* bytes */
    uint64_t virtual;  /* bytes */
    uint64_t threads;
    uint64_t fds, fds_max;
    int64_t started_ms; /* wall clock; the same at every reading */
};

/* ERR_IO where /proc is not as it should be. */
int process_read(struct process *ret_process, struct err *err);

#endif
