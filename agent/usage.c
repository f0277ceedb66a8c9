/* Host figures. See usage.h. Files of /proc are read whole into a small buffer each time. */
#include "agent/usage.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/clock.h"

#define CPU_WINDOW_MS 1000

static const char *read_proc(const char *path, char *buf, size_t size)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);
    buf[n < 0 ? 0 : n] = '\0';
    return buf;
}

static uint64_t meminfo_bytes(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at ? strtoull(at + strlen(name), NULL, 10) * 1024 : 0;
}

static void fill_memory(Wire__Capacity *capacity, Wire__Usage *usage)
{
    char buf[4096];
    read_proc("/proc/meminfo", buf, sizeof(buf));
    uint64_t total = meminfo_bytes(buf, "MemTotal:");
    uint64_t available = meminfo_bytes(buf, "MemAvailable:");
    capacity->memory_bytes = total;
    usage->memory_used_bytes = total > available ? total - available : 0;
}

static void fill_disk(const char *dir, Wire__Capacity *capacity, Wire__Usage *usage)
{
    struct statvfs st;
    if (statvfs(dir, &st) < 0)
        return;
    capacity->disk_bytes = (uint64_t)st.f_blocks * st.f_frsize;
    usage->disk_used_bytes = (uint64_t)(st.f_blocks - st.f_bfree) * st.f_frsize;
}

/* Replies may follow each other closely: a share over less than a second says little. */
static void fill_cpu(struct usage_meter *meter, Wire__Usage *usage)
{
    int64_t now = clock_mono_ms();
    if (!meter->at_ms || now - meter->at_ms >= CPU_WINDOW_MS) {
        char buf[512];
        char *at = (char *)read_proc("/proc/stat", buf, sizeof(buf)) + strlen("cpu");
        uint64_t total = 0;
        uint64_t idle = 0;
        /* user nice system idle iowait irq softirq steal */
        for (int i = 0; i < 8 && buf[0]; i++) {
            uint64_t ticks = strtoull(at, &at, 10);
            total += ticks;
            if (i == 3 || i == 4)
                idle += ticks;
        }
        uint64_t busy = total - idle;
        if (total > meter->total && busy >= meter->busy)
            meter->cpu_permille = (uint32_t)((busy - meter->busy) * 1000 / (total - meter->total));
        meter->busy = busy;
        meter->total = total;
        meter->at_ms = now;
    }
    usage->cpu_permille = meter->cpu_permille;
}

static uint64_t whole_part_milli(const char *text)
{
    double value = strtod(text, NULL);
    return value > 0 ? (uint64_t)(value * 1000) : 0;
}

void usage_fill(struct usage_meter *meter, const char *disk_dir, Wire__Capacity *ret_capacity,
                Wire__Usage *ret_usage)
{
    char buf[256];
    wire__capacity__init(ret_capacity);
    wire__usage__init(ret_usage);
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    ret_capacity->cpus = cpus > 0 ? (uint32_t)cpus : 0;
    fill_memory(ret_capacity, ret_usage);
    fill_disk(disk_dir, ret_capacity, ret_usage);
    fill_cpu(meter, ret_usage);
    ret_usage->load1_permille =
        (uint32_t)whole_part_milli(read_proc("/proc/loadavg", buf, sizeof(buf)));
    ret_usage->uptime_seconds =
        whole_part_milli(read_proc("/proc/uptime", buf, sizeof(buf))) / 1000;
}
