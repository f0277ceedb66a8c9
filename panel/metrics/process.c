/* This process in /proc. See process.h. */
#include "panel/metrics/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/clock.h"

#define FIELD_THREADS 17 /* of /proc/self/stat, counted from the one behind the name */
#define FIELD_START   19
#define FIELD_VIRTUAL 20
#define FIELD_PAGES   21

static int64_t started_ms;
static pthread_mutex_t started_lock = PTHREAD_MUTEX_INITIALIZER;

/* The kernel tells it in ticks since the boot, and the wall clock moves against the boot's: so it
 * is worked out once, and then stays what it is. */
static int64_t find_start(uint64_t ticks)
{
    struct timespec up;
    pthread_mutex_lock(&started_lock);
    if (!started_ms) {
        clock_gettime(CLOCK_BOOTTIME, &up);
        int64_t up_ms = (int64_t)up.tv_sec * 1000 + up.tv_nsec / 1000000;
        int64_t hz = sysconf(_SC_CLK_TCK);
        started_ms = clock_wall_ms() - up_ms + (int64_t)ticks * 1000 / (hz > 0 ? hz : 100);
    }
    int64_t ms = started_ms;
    pthread_mutex_unlock(&started_lock);
    return ms;
}

/* In one read(), as procfs makes it; a file of it has no size. */
static int read_text(const char *path, char *text, size_t size, struct err *err)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, size - 1);
    if (len < 0)
        return err_io(err, errno, "can't read %s", path);
    text[len] = '\0';
    return 0;
}

/* The numbers behind the name, which may hold anything, parentheses included. */
static int read_stat(uint64_t *fields, size_t count, struct err *err)
{
    char text[2048];
    if (read_text("/proc/self/stat", text, sizeof(text), err) < 0)
        return -1;
    const char *at = strrchr(text, ')');
    at = at ? strchr(at + 1, ' ') : NULL;
    at = at ? strchr(at + 1, ' ') : NULL; /* behind the state, which is a letter */
    for (size_t i = 1; at && i < count; i++) {
        fields[i] = strtoull(at + 1, NULL, 10);
        at = strchr(at + 1, ' ');
    }
    return at ? 0 : err_set(err, ERR_IO, "proc", "/proc/self/stat is cut short");
}

static uint64_t count_descriptors(void)
{
    uint64_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    while (readdir(dir)) /* no other thread has this stream */
        count++;
    closedir(dir);
    return count > 3 ? count - 3 : 0; /* ".", "..", and the one that was open for this */
}

static uint64_t cpu_us(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) < 0)
        return 0;
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

int process_read(struct process *ret_process, struct err *err)
{
    uint64_t fields[FIELD_PAGES + 1] = {0};
    struct rlimit limit = {0};
    if (read_stat(fields, ARRAY_LEN(fields), err) < 0)
        return -1;
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    *ret_process = (struct process){
        .cpu_us = cpu_us(),
        .resident = fields[FIELD_PAGES] * (uint64_t)sysconf(_SC_PAGESIZE),
        .virtual = fields[FIELD_VIRTUAL],
        .threads = fields[FIELD_THREADS],
        .fds = count_descriptors(),
        .fds_max = limit.rlim_cur,
        .started_ms = find_start(fields[FIELD_START]),
    };
    return 0;
}
