/* How much of the disk a folder takes, as du says it: measured by a thread that is there for just
 * that long, since a large one takes minutes. One at a time. */
#ifndef AGENT_DISK_USAGE_H
#define AGENT_DISK_USAGE_H

#include "agent/loop.h"
#include "common/err.h"

struct disk_usage;

/* loop must outlive it. NULL without memory. */
struct disk_usage *disk_usage_create(struct loop *loop);
/* What is being measured is given up; its done() isn't called. NULL is fine. */
void disk_usage_destroy(struct disk_usage *usage);

bool disk_usage_is_busy(const struct disk_usage *usage);
/* Then done() is called on the loop's thread: blocks that are taken, in bytes; a file with several
 * names counts once. Links aren't followed. ERR_BUSY when one is being measured. */
int disk_usage_measure(struct disk_usage *usage, const char *dir,
                       void (*done)(void *arg, uint64_t bytes), void *arg, struct err *err);

#endif
