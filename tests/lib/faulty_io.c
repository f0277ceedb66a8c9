/* Preloaded into a daemon under test: a disk that fails and a wall clock that moves.
 *
 * Steered while the daemon runs through the file that FAULTY_IO names, a struct control that is
 * mapped here and written by tests/lib/faulty.py. Without it, nothing is changed. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Definitions of libc's own functions, whose parameters it names with underscores.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name,bugprone-macro-parentheses) */

enum { CALL_READ = 1, CALL_WRITE = 2, CALL_SYNC = 4 };

struct control {
    _Atomic int64_t clock_ms; /* added to the wall clock */
    _Atomic int32_t calls;    /* which fail, CALL_*; 0: none */
    _Atomic int32_t error;    /* with this errno; 0: the process dies instead */
    _Atomic int32_t skip;     /* so many of them pass before */
    _Atomic int32_t hits;     /* so many have failed */
    char path[256];           /* of files whose name holds this */
    char undo[256];           /* "" or a folder: what databases held where they aren't synced yet */
};

static struct control *control;

__attribute__((constructor)) static void open_control(void)
{
    const char *path = getenv("FAULTY_IO");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED)
        control = map;
}

#define REAL(name) ((__typeof__(&(name)))real(#name, &name##_real))

static void *real(const char *name, void *_Atomic *cache)
{
    if (!*cache)
        *cache = dlsym(RTLD_NEXT, name);
    return *cache;
}

/* --- the disk -------------------------------------------------------------------------------- */

static bool fails(int fd, int call)
{
    if (!control || !(control->calls & call))
        return false;
    char link[32];
    char path[512];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof(path) - 1);
    if (len < 0)
        return false;
    path[len] = '\0';
    if (!strstr(path, control->path) || atomic_fetch_sub(&control->skip, 1) > 0)
        return false;
    atomic_fetch_add(&control->hits, 1);
    if (!control->error)
        kill(getpid(), SIGKILL);
    errno = control->error;
    return true;
}

/* The record that undoes a write, one file for each database file; emptied by its sync. */
static int open_undo(int fd)
{
    char link[32];
    char path[512];
    char undo[800];
    if (!control || !control->undo[0])
        return -1;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof(path) - 1);
    if (len < 0)
        return -1;
    path[len] = '\0';
    const char *name = strrchr(path, '/');
    if (!name || strncmp(name, "/panel.db", 9) != 0)
        return -1;
    snprintf(undo, sizeof(undo), "%s%s.undo", control->undo, name);
    return open(undo, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void note_write(int fd, off64_t at, size_t size)
{
    struct stat st;
    int undo = open_undo(fd);
    char *record = undo < 0 ? NULL : malloc(24 + size);
    if (record && fstat(fd, &st) == 0) {
        ssize_t len = syscall(SYS_pread64, fd, record + 24, size, at);
        int64_t head[3] = {at, st.st_size, len > 0 ? len : 0};
        memcpy(record, head, 24);
        if (syscall(SYS_write, undo, record, 24 + (size_t)head[2]) < 0)
            abort();
    }
    free(record);
    if (undo >= 0)
        close(undo);
}

static int note_sync(int fd, int rc)
{
    int undo = rc == 0 ? open_undo(fd) : -1;
    if (undo >= 0) {
        if (ftruncate(undo, 0) < 0)
            abort();
        close(undo);
    }
    return rc;
}

#define WRAP(type, name, call, params, args)                                                       \
    static void *_Atomic name##_real;                                                              \
    type name params                                                                               \
    {                                                                                              \
        return fails(fd, call) ? -1 : REAL(name) args;                                             \
    }

WRAP(ssize_t, read, CALL_READ, (int fd, void *data, size_t size), (fd, data, size))
WRAP(ssize_t, pread, CALL_READ, (int fd, void *data, size_t size, off_t at), (fd, data, size, at))
WRAP(ssize_t, pread64, CALL_READ, (int fd, void *data, size_t size, off64_t at),
     (fd, data, size, at))
WRAP(ssize_t, write, CALL_WRITE, (int fd, const void *data, size_t size), (fd, data, size))

static void *_Atomic pwrite_real;
ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    if (fails(fd, CALL_WRITE))
        return -1;
    note_write(fd, at, size);
    return REAL(pwrite)(fd, data, size, at);
}

static void *_Atomic pwrite64_real;
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    if (fails(fd, CALL_WRITE))
        return -1;
    note_write(fd, at, size);
    return REAL(pwrite64)(fd, data, size, at);
}

static void *_Atomic fsync_real;
int fsync(int fd)
{
    return fails(fd, CALL_SYNC) ? -1 : note_sync(fd, REAL(fsync)(fd));
}

static void *_Atomic fdatasync_real;
int fdatasync(int fd)
{
    return fails(fd, CALL_SYNC) ? -1 : note_sync(fd, REAL(fdatasync)(fd));
}

/* --- the wall clock -------------------------------------------------------------------------- */

#define SLICE_MS 50

static int64_t offset_ms(void)
{
    return control ? control->clock_ms : 0;
}

static void add_ms(struct timespec *ts, int64_t ms)
{
    int64_t ns = ts->tv_nsec + ms % 1000 * 1000000;
    ts->tv_sec += ms / 1000 + ns / 1000000000 - (ns < 0);
    ts->tv_nsec = (ns + 1000000000) % 1000000000;
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

static void *_Atomic clock_gettime_real;
int clock_gettime(clockid_t id, struct timespec *ts)
{
    int rc = REAL(clock_gettime)(id, ts);
    if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        add_ms(ts, offset_ms());
    return rc;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    struct timespec ts;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &ts);
    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *ret)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    if (ret)
        *ret = ts.tv_sec;
    return ts.tv_sec;
}

/* Who waits until a time of day sees the clock move: it waits in slices, and is woken for nothing
 * in between, which any waiter has to expect. */
static void *_Atomic pthread_cond_timedwait_real;
int pthread_cond_timedwait(pthread_cond_t *restrict cond, pthread_mutex_t *restrict lock,
                           const struct timespec *restrict until)
{
    bool is_monotonic = cond->__data.__wrefs & 2; /* as glibc keeps it */
    if (!control || is_monotonic)
        return REAL(pthread_cond_timedwait)(cond, lock, until);
    struct timespec due = *until;
    struct timespec slice;
    add_ms(&due, -offset_ms());
    REAL(clock_gettime)(CLOCK_REALTIME, &slice);
    add_ms(&slice, SLICE_MS);
    bool last = is_before(&due, &slice);
    int rc = REAL(pthread_cond_timedwait)(cond, lock, last ? &due : &slice);
    if (rc != ETIMEDOUT)
        return rc;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return is_before(&now, until) ? 0 : ETIMEDOUT;
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name,bugprone-macro-parentheses) */
