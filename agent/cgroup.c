/* See cgroup.h. A file that isn't there counts as nothing used: not every kernel has every
 * controller. Processor time and memory must be there, else there is no sample. */
#include "agent/cgroup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/auto.h"

#define NO_LIMIT (UINT64_C(1) << 62) /* version 1 says a very large number, version 2 "max" */

/* False: it can't be read. What is longer is cut, which no file here is. */
static bool read_file(const char *path, char *buf, size_t size)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n = fd < 0 ? -1 : 1;
    while (n > 0 && len < size - 1) {
        n = read(fd, buf + len, size - 1 - len);
        len += n > 0 ? (size_t)n : 0;
    }
    buf[len] = '\0';
    return n >= 0;
}

struct group {
    const char *cgroups;
    bool is_v2;
    char lines[4096]; /* of /proc/PID/cgroup */
};

/* The path of the group that a line of /proc/PID/cgroup names, if it is one of that controller's;
 * "" stands for version 2. Its length, or 0. */
static size_t find_path(const struct group *group, const char *controller, const char **ret_path)
{
    for (const char *line = group->lines; *line;) {
        size_t len = strcspn(line, "\n");
        const char *names = memchr(line, ':', len);
        const char *path = names ? memchr(names + 1, ':', len - (size_t)(names + 1 - line)) : NULL;
        if (path) {
            size_t wanted = strlen(controller);
            bool found = !wanted && path == names + 1;
            for (const char *name = names + 1; wanted && name < path;) {
                size_t name_len = strcspn(name, ",:");
                found |= name_len == wanted && memcmp(name, controller, wanted) == 0;
                name += name_len + 1;
            }
            if (found) {
                *ret_path = path + 1;
                return len - (size_t)(path + 1 - line);
            }
        }
        line += len + (line[len] == '\n');
    }
    return 0;
}

/* A file of the group, in version 1 below its controller's folder. */
static bool read_group(const struct group *group, const char *controller, const char *file,
                       char *buf, size_t size)
{
    char name[1024];
    const char *path = "";
    size_t len = find_path(group, group->is_v2 ? "" : controller, &path);
    int n = snprintf(name, sizeof(name), "%s%s%s%.*s/%s", group->cgroups, group->is_v2 ? "" : "/",
                     group->is_v2 ? "" : controller, (int)len, path, file);
    buf[0] = '\0';
    return len && n > 0 && (size_t)n < sizeof(name) && read_file(name, buf, size);
}

static bool read_number(const struct group *group, const char *controller, const char *file,
                        uint64_t *ret_number)
{
    char buf[64];
    bool ok = read_group(group, controller, file, buf, sizeof(buf));
    *ret_number = strtoull(buf, NULL, 10);
    return ok;
}

/* The number behind the word that begins a line; 0 when there is none. */
static uint64_t number_of(const char *text, const char *word)
{
    size_t len = strlen(word);
    while (*text) {
        if (strncmp(text, word, len) == 0 && text[len] == ' ')
            return strtoull(text + len, NULL, 10);
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return 0;
}

/* The sum of the numbers that follow each "WORD=" or "WORD ". */
static uint64_t sum_of(const char *text, const char *word)
{
    uint64_t sum = 0;
    size_t len = strlen(word);
    while ((text = strstr(text, word)) != NULL) {
        text += len;
        sum += strtoull(text, NULL, 10);
    }
    return sum;
}

static bool read_v1(const struct group *group, struct cgroup_sample *sample)
{
    char buf[8192];
    uint64_t used;
    uint64_t pids;
    if (!read_number(group, "cpuacct", "cpuacct.usage", &sample->cpu_ns) ||
        !read_number(group, "memory", "memory.usage_in_bytes", &used) ||
        !read_group(group, "memory", "memory.stat", buf, sizeof(buf)))
        return false;
    uint64_t cached = number_of(buf, "total_inactive_file");
    sample->memory_bytes = used > cached ? used - cached : 0;
    (void)read_number(group, "memory", "memory.limit_in_bytes", &sample->memory_limit_bytes);
    (void)read_number(group, "pids", "pids.current", &pids);
    sample->pids = (uint32_t)pids;
    (void)read_group(group, "blkio", "blkio.throttle.io_service_bytes", buf, sizeof(buf));
    sample->read_bytes = sum_of(buf, "Read ");
    sample->written_bytes = sum_of(buf, "Write ");
    return true;
}

static bool read_v2(const struct group *group, struct cgroup_sample *sample)
{
    char buf[8192];
    uint64_t used;
    uint64_t pids;
    if (!read_group(group, "", "cpu.stat", buf, sizeof(buf)))
        return false;
    sample->cpu_ns = number_of(buf, "usage_usec") * 1000;
    if (!read_number(group, "", "memory.current", &used) ||
        !read_group(group, "", "memory.stat", buf, sizeof(buf)))
        return false;
    uint64_t cached = number_of(buf, "inactive_file");
    sample->memory_bytes = used > cached ? used - cached : 0;
    (void)read_number(group, "", "memory.max", &sample->memory_limit_bytes);
    (void)read_number(group, "", "pids.current", &pids);
    sample->pids = (uint32_t)pids;
    (void)read_group(group, "", "io.stat", buf, sizeof(buf));
    sample->read_bytes = sum_of(buf, "rbytes=");
    sample->written_bytes = sum_of(buf, "wbytes=");
    return true;
}

/* "  eth0: RECEIVED packets errs drop fifo frame compressed multicast SENT …", see proc(5). */
static void read_network(const char *proc, pid_t pid, struct cgroup_sample *sample)
{
    char name[256];
    char buf[8192];
    snprintf(name, sizeof(name), "%s/%jd/net/dev", proc, (intmax_t)pid);
    (void)read_file(name, buf, sizeof(buf));
    for (char *line = buf, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        char *at = strchr(line, ':');
        line += strspn(line, " ");
        if (!at || strncmp(line, "lo:", 3) == 0)
            continue;
        at++;
        sample->received_bytes += strtoull(at, &at, 10);
        for (int i = 0; i < 7; i++)
            (void)strtoull(at, &at, 10);
        sample->sent_bytes += strtoull(at, &at, 10);
    }
}

bool cgroup_sample(const char *proc, const char *cgroups, pid_t pid, const char *container_id,
                   struct cgroup_sample *ret_sample)
{
    struct group group = {.cgroups = cgroups};
    char name[256];
    const char *path;
    *ret_sample = (struct cgroup_sample){0};
    snprintf(name, sizeof(name), "%s/%jd/cgroup", proc, (intmax_t)pid);
    if (!read_file(name, group.lines, sizeof(group.lines)) || !strstr(group.lines, container_id))
        return false;
    group.is_v2 = !find_path(&group, "memory", &path);
    if (!(group.is_v2 ? read_v2(&group, ret_sample) : read_v1(&group, ret_sample)))
        return false;
    if (ret_sample->memory_limit_bytes >= NO_LIMIT)
        ret_sample->memory_limit_bytes = 0;
    read_network(proc, pid, ret_sample);
    return true;
}
