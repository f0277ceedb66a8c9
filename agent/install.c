/* Installs, each on a thread of its own. See install.h.
 *
 * Nothing is ever written through a name in the volume that anybody else could have chosen: folders
 * are opened one by one, beneath the one before and through no link, and a file is written under a
 * name of ours and then renamed. No container of the instance runs meanwhile.
 *
 * An install belongs to its thread until that posts the task, then to the loop. */
#include "agent/install.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "agent/address.h"
#include "agent/http_client.h"
#include "common/auto.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/failpoint.h"
#include "common/fs.h"
#include "common/log.h"

#define WORKER_STACK (512 * 1024)
#define STOP_WAIT_S  2
#define LINE_MAX_LEN 1024
#define TRIES_MAX    4
#define RETRY_MS     1000 /* then twice as long each time */
#define QUIET_S      60
#define NAP_MS       50
#define PART_NAME    ".panel-install"
/* Containers run as any user, and a program that was downloaded is there to be started. Nobody
 * else can get at the volume: the folder above is the agent's own. */
#define OPEN_MODE 0777

struct installs {
    char *dir;
    struct loop *loop;
    struct install_limits limits;
    struct install *all;
};

struct install {
    struct loop_task task; /* first; posted as the last thing that the thread does */
    struct installs *owner;
    struct install_limits limits; /* of its start */
    struct install *prev;
    struct install *next;
    pthread_t thread;
    atomic_bool cancelled;
    atomic_uint percent;
    char *volume_id;
    char *volume_dir;
    uint64_t round;
    Wire__InstanceSpec *files; /* these alone of a spec */
    void (*done)(void *arg, const struct err *err);
    void *arg;
    struct err err;

    /* of the thread */
    int volume_fd;
    int log_fd;
    size_t log_len;
    int64_t deadline_ms;
    uint64_t bytes; /* of the files before */
    size_t at;      /* the file that is worked on */
    struct {
        int fd;
        uint64_t len;
        int write_errno;
        bool refused; /* an address was */
        char address[ADDRESS_TEXT_SIZE];
    } part;
};

/* ---- The log ---- */

static void say(struct install *install, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* A line with its time in nanoseconds; what is past the limit is left out, as is what can't be
 * written: an install is not to fail by its log. */
static void say(struct install *install, const char *fmt, ...)
{
    char text[LINE_MAX_LEN];
    char line[LINE_MAX_LEN + 32];
    struct timespec now;
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    for (char *p = text; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    }
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(line, sizeof(line), "%lld%09ld %s\n", (long long)now.tv_sec, now.tv_nsec, text);
    size_t len = strlen(line);
    if (install->log_fd < 0 || install->log_len + len > INSTALL_LOG_MAX)
        return;
    if (write(install->log_fd, line, len) == (ssize_t)len)
        install->log_len += len;
}

static char *path_of(const struct installs *installs, const char *volume_id, const char *suffix)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s.%s", installs->dir, volume_id, suffix) < 0)
        return NULL;
    return path;
}

int install_log_read(const struct installs *installs, const char *volume_id, char **ret_text,
                     struct err *err)
{
    auto_free char *path = path_of(installs, volume_id, "log");
    if (!path)
        return err_nomem(err);
    return fs_read(path, INSTALL_LOG_MAX, ret_text, NULL, err);
}

/* ---- What has been done ---- */

static uint64_t round_done(const struct installs *installs, const char *volume_id)
{
    struct err err;
    auto_free char *path = path_of(installs, volume_id, "done");
    auto_free char *text = NULL;
    if (!path || fs_read(path, 64, &text, NULL, &err) < 0)
        return 0;
    return strtoull(text, NULL, 10);
}

bool install_is_due(const struct installs *installs, const Wire__InstanceSpec *spec)
{
    return spec->install_round && round_done(installs, spec->volume_id) < spec->install_round;
}

static int note_done(struct install *install, struct err *err)
{
    char text[24];
    auto_free char *path = path_of(install->owner, install->volume_id, "done");
    if (!path)
        return err_nomem(err);
    snprintf(text, sizeof(text), "%llu\n", (unsigned long long)install->round);
    return fs_write_atomic(path, text, strlen(text), 0600, err);
}

void install_forget(const struct installs *installs, const char *volume_id)
{
    auto_free char *done = path_of(installs, volume_id, "done");
    auto_free char *log = path_of(installs, volume_id, "log");
    if (done)
        unlink(done);
    if (log)
        unlink(log);
}

/* ---- Places in the volume ---- */

static int open_beneath(int dir_fd, const char *name, uint64_t flags, mode_t mode)
{
    struct open_how how = {.flags = flags | O_CLOEXEC,
                           .mode = mode,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
                                      RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};
    return (int)syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));
}

static int not_a_place(const char *path, int os_errno, struct err *err)
{
    if (os_errno == ELOOP || os_errno == EXDEV)
        return err_set(err, ERR_INVALID, "install_failed",
                       "%.200s goes through a link, or out of the volume", path);
    if (os_errno == ENOTDIR || os_errno == EISDIR)
        return err_set(err, ERR_INVALID, "install_failed",
                       "%.200s can't be written: a file is where a folder has to be, or a folder "
                       "where the file",
                       path);
    return err_io(err, os_errno, "%.200s can't be written", path);
}

/* A folder in another, made if it isn't there. */
static int enter(int dir_fd, const char *name)
{
    int fd = open_beneath(dir_fd, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    if (mkdirat(dir_fd, name, 0700) < 0 && errno != EEXIST)
        return -1;
    fd = open_beneath(dir_fd, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0 && (fchmod(fd, OPEN_MODE) < 0 || fsync(dir_fd) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The folder that the path's last name belongs to. path is written to. */
static int enter_parent(int volume_fd, char *path, const char **ret_name)
{
    int fd = fcntl(volume_fd, F_DUPFD_CLOEXEC, 0);
    char *part = path;
    for (char *slash = strchr(part, '/'); slash && fd >= 0; slash = strchr(part, '/')) {
        *slash = '\0';
        if (*part && strcmp(part, ".") != 0) {
            int next = enter(fd, part);
            int saved = errno;
            close(fd);
            errno = saved;
            fd = next;
        }
        part = slash + 1;
    }
    *ret_name = part;
    return fd;
}

static int put_in_place(const struct install *install, const char *path, struct err *err)
{
    const char *name;
    auto_free char *copy = strdup(path);
    if (!copy)
        return err_nomem(err);
    auto_fd int parent = enter_parent(install->volume_fd, copy, &name);
    if (parent < 0 || renameat(install->volume_fd, PART_NAME, parent, name) < 0)
        return not_a_place(path, errno, err);
    return fsync(parent) < 0 ? not_a_place(path, errno, err) : 0;
}

/* ---- One file ---- */

/* Asked for each address before anything is sent to it: redirects and names that change their
 * minds lead nowhere else. */
static bool may_connect(void *arg, const struct sockaddr *to)
{
    struct install *install = arg;
    if (install->limits.allow_local || !address_is_near(to))
        return true;
    install->part.refused = true;
    address_text(to, install->part.address);
    return false;
}

static bool take_bytes(void *arg, const char *data, size_t len)
{
    struct install *install = arg;
    install->part.len += len;
    while (len) {
        ssize_t n = write(install->part.fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            install->part.write_errno = errno;
            return false;
        }
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static bool see_progress(void *arg, uint64_t total, uint64_t now)
{
    struct install *install = arg;
    size_t count = install->files->n_install;
    uint64_t part = total ? (now < total ? now : total) * 100 / total : 0;
    atomic_store(&install->percent, (unsigned)((install->at * 100 + part) / count));
    return !atomic_load(&install->cancelled);
}

static int open_part(struct install *install, struct err *err)
{
    if (unlinkat(install->volume_fd, PART_NAME, 0) < 0 && errno != ENOENT)
        return not_a_place(PART_NAME, errno, err);
    install->part.fd =
        open_beneath(install->volume_fd, PART_NAME, O_RDWR | O_CREAT | O_EXCL, OPEN_MODE);
    if (install->part.fd < 0 || fchmod(install->part.fd, OPEN_MODE) < 0)
        return not_a_place(PART_NAME, errno, err);
    return 0;
}

static int fetch(struct install *install, const char *uri, struct err *err)
{
    int64_t left = install->deadline_ms - clock_mono_ms();
    struct http_download download = {
        .url = uri,
        .bytes_max = install->limits.bytes_max - install->bytes,
        .timeout_ms = left > 1 ? (uint32_t)left : 1,
        .quiet_s = QUIET_S,
        .may_connect = may_connect,
        .write = take_bytes,
        .progress = see_progress,
        .arg = install,
    };
    install->part.len = 0;
    install->part.write_errno = 0;
    install->part.refused = false;
    if (http_download(&download, err) == 0)
        return 0;
    if (install->part.write_errno)
        return err_io(err, install->part.write_errno, "it can't be written to the volume");
    if (install->part.refused)
        return err_set(err, ERR_INVALID, "install_failed",
                       "it leads to %s, which installs on this node may not ask for files (unless "
                       "its panel-agent is started with --install-allow-local)",
                       install->part.address);
    return -1;
}

static bool nap(const struct install *install, uint32_t ms)
{
    struct timespec pause = {0, NAP_MS * 1000000L};
    for (uint32_t slept = 0; slept < ms && !atomic_load(&install->cancelled); slept += NAP_MS)
        nanosleep(&pause, NULL);
    return !atomic_load(&install->cancelled);
}

static int check_sum(const struct install *install, const char *want, struct err *err)
{
    char have[CRYPTO_HEX_LEN + 1];
    size_t len = (size_t)install->part.len;
    if (!*want)
        return 0;
    void *data = len ? mmap(NULL, len, PROT_READ, MAP_PRIVATE, install->part.fd, 0) : NULL;
    if (data == MAP_FAILED)
        return err_io(err, errno, "its SHA-256 can't be computed");
    crypto_digest_hex(data ? data : "", len, have);
    if (data)
        munmap(data, len);
    if (strcasecmp(have, want) == 0)
        return 0;
    return err_set(err, ERR_INVALID, "install_failed", "its SHA-256 is %s, not %s", have, want);
}

/* With what may pass tried again, while there is time. */
static int fetch_well(struct install *install, const char *uri, struct err *err)
{
    uint32_t pause_ms = HURRIED(RETRY_MS);
    for (unsigned try = 1;; try++, pause_ms *= 2) {
        if (open_part(install, err) < 0)
            return -1;
        int rc = fetch(install, uri, err);
        if (rc == 0 || err->code != ERR_OFFLINE || try >= TRIES_MAX ||
            atomic_load(&install->cancelled))
            return rc;
        say(install, "%s; trying again in %u s", err->msg, (pause_ms + 999) / 1000);
        close(steal_fd(&install->part.fd));
        if (clock_mono_ms() + pause_ms >= install->deadline_ms || !nap(install, pause_ms))
            return -1;
    }
}

static int do_file(struct install *install, const Wire__InstallFile *file, struct err *err)
{
    say(install, "downloading %s to %s", file->uri, file->path);
    int rc = fetch_well(install, file->uri, err);
    if (rc == 0)
        rc = check_sum(install, file->sha256, err);
    if (rc == 0 && fsync(install->part.fd) < 0)
        rc = err_io(err, errno, "it can't be written to the volume");
    if (install->part.fd >= 0)
        close(steal_fd(&install->part.fd));
    if (rc == 0)
        rc = put_in_place(install, file->path, err);
    if (rc < 0) {
        unlinkat(install->volume_fd, PART_NAME, 0);
        return err_wrap(err, "file %zu of %zu, %.120s", install->at + 1, install->files->n_install,
                        file->path);
    }
    install->bytes += install->part.len;
    say(install, "%s is there: %llu bytes", file->path, (unsigned long long)install->part.len);
    return 0;
}

/* ---- The thread ---- */

static int do_files(struct install *install, struct err *err)
{
    install->deadline_ms = clock_mono_ms() + (int64_t)install->limits.seconds_max * 1000;
    for (install->at = 0; install->at < install->files->n_install; install->at++) {
        (void)FAILPOINT("agent.install.file");
        if (atomic_load(&install->cancelled))
            return err_set(err, ERR_BUSY, "install_cancelled", "it was broken off");
        if (do_file(install, install->files->install[install->at], err) < 0)
            return -1;
    }
    return 0;
}

static int do_round(struct install *install, struct err *err)
{
    auto_free char *log = path_of(install->owner, install->volume_id, "log");
    if (!log)
        return err_nomem(err);
    auto_fd int log_fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    auto_fd int volume_fd =
        open(install->volume_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    install->log_fd = log_fd;
    install->volume_fd = volume_fd;
    if (volume_fd < 0)
        return err_io(err, errno, "can't open the volume");
    say(install, "installing: %zu file%s", install->files->n_install,
        install->files->n_install == 1 ? "" : "s");
    int rc = do_files(install, err);
    (void)FAILPOINT("agent.install.ending");
    if (rc == 0)
        rc = note_done(install, err);
    if (rc == 0)
        say(install, "installed");
    else
        say(install, "not installed: %s", err->msg);
    if (log_fd >= 0)
        fsync(log_fd);
    return rc;
}

static void *work(void *arg)
{
    struct install *install = arg;
    struct err err = {0};
    if (do_round(install, &err) < 0)
        install->err = err; /* else what was tried again had one, too */
    loop_post(install->owner->loop, &install->task);
    return NULL;
}

/* ---- The loop's side ---- */

static void free_install(struct install *install)
{
    DL_DELETE(install->owner->all, install);
    if (install->files)
        wire__instance_spec__free_unpacked(install->files, NULL);
    free(install->volume_id);
    free(install->volume_dir);
    free(install);
}

static void end_work(struct loop_task *task)
{
    struct install *install = (struct install *)task;
    pthread_join(install->thread, NULL);
    void (*done)(void *arg, const struct err *err) = install->done;
    void *arg = install->arg;
    struct err err = install->err;
    free_install(install);
    done(arg, &err);
}

/* A copy of the files alone, by way of their bytes. */
static Wire__InstanceSpec *copy_files(const Wire__InstanceSpec *spec)
{
    Wire__InstanceSpec files = WIRE__INSTANCE_SPEC__INIT;
    files.n_install = spec->n_install;
    files.install = spec->install;
    size_t len = wire__instance_spec__get_packed_size(&files);
    auto_free uint8_t *data = malloc(len + 1);
    if (!data)
        return NULL;
    wire__instance_spec__pack(&files, data);
    return wire__instance_spec__unpack(NULL, len, data);
}

static int start_thread(struct install *install, struct err *err)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, WORKER_STACK);
    int rc = pthread_create(&install->thread, &attr, work, install);
    pthread_attr_destroy(&attr);
    return rc ? err_io(err, rc, "can't start a thread for the install") : 0;
}

struct install *install_start(struct installs *installs, const Wire__InstanceSpec *spec,
                              const char *volume_dir,
                              void (*done)(void *arg, const struct err *err), void *arg,
                              struct err *err)
{
    struct install *install = calloc(1, sizeof(*install));
    if (!install) {
        err_nomem(err);
        return NULL;
    }
    *install = (struct install){.task = {.run = end_work},
                                .owner = installs,
                                .limits = installs->limits,
                                .round = spec->install_round,
                                .done = done,
                                .arg = arg,
                                .part = {.fd = -1}};
    DL_APPEND(installs->all, install);
    install->volume_id = strdup(spec->volume_id);
    install->volume_dir = strdup(volume_dir);
    install->files = copy_files(spec);
    int rc = install->volume_id && install->volume_dir && install->files ? 0 : err_nomem(err);
    if (rc == 0)
        rc = start_thread(install, err);
    if (rc == 0)
        return install;
    free_install(install);
    return NULL;
}

void install_cancel(struct install *install)
{
    if (install)
        atomic_store(&install->cancelled, true);
}

uint32_t install_percent(const struct install *install)
{
    return atomic_load(&install->percent);
}

struct installs *installs_create(const char *state_dir, struct loop *loop,
                                 const struct install_limits *limits, struct err *err)
{
    struct installs *installs = calloc(1, sizeof(*installs));
    if (!installs) {
        err_nomem(err);
        return NULL;
    }
    installs->loop = loop;
    installs->limits = *limits;
    installs->dir = fs_join(state_dir, "installs");
    int rc = installs->dir ? fs_make_dir(installs->dir, 0700, err) : err_nomem(err);
    if (rc == 0)
        return installs;
    installs_destroy(installs);
    return NULL;
}

void installs_set_limits(struct installs *installs, const struct install_limits *limits)
{
    installs->limits = *limits;
}

void installs_destroy(struct installs *installs)
{
    struct install *install;
    if (!installs)
        return;
    DL_FOREACH(installs->all, install) install_cancel(install);
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += STOP_WAIT_S;
    while (installs->all) {
        if (pthread_clockjoin_np(installs->all->thread, NULL, CLOCK_MONOTONIC, &until) != 0) {
            log_info("install left for the next start", "volume=%s", installs->all->volume_id);
            return; /* its thread still uses all this; the process is about to end */
        }
        free_install(installs->all);
    }
    free(installs->dir);
    free(installs);
}
