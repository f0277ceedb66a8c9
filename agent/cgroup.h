/* What a container uses, read from the kernel: its control group and its network namespace.
 *
 * Version 1 and version 2 of control groups (docs.kernel.org/admin-guide/cgroup-v1, cgroup-v2);
 * with both mounted, whichever has the memory controller. One thread; reads a few small files. */
#ifndef AGENT_CGROUP_H
#define AGENT_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cgroup_sample {
    uint64_t cpu_ns;             /* since it began, all cores together */
    uint64_t memory_bytes;       /* without what the kernel only caches and would give back first */
    uint64_t memory_limit_bytes; /* 0: none */
    uint64_t read_bytes;         /* of block devices */
    uint64_t written_bytes;
    uint64_t received_bytes; /* by all interfaces but the loopback one */
    uint64_t sent_bytes;
    uint32_t pids;
};

/* Of the container whose first process pid is. False when that process is no longer there, or is
 * another's: pids are used again, but its group's name holds the container's id. proc and cgroups
 * are the folders /proc and /sys/fs/cgroup, or what a test has instead. */
bool cgroup_sample(const char *proc, const char *cgroups, pid_t pid, const char *container_id,
                   struct cgroup_sample *ret_sample);

#endif
