/* What the host has and how much of it is in use, read from /proc. One thread; never blocks for
 * long. */
#ifndef AGENT_USAGE_H
#define AGENT_USAGE_H

#include "panel.pb-c.h"

/* Zero-initialised is fresh: CPU use is measured from one call to the next. */
struct usage_meter {
    uint64_t busy;
    uint64_t total;
    int64_t at_ms;
    uint32_t cpu_permille;
};

/* What can't be read is 0. disk_dir: a folder on the disk to be measured. */
void usage_fill(struct usage_meter *meter, const char *disk_dir, Wire__Capacity *ret_capacity,
                Wire__Usage *ret_usage);

#endif
