/* Volume folders and the worker that removes them. See volume.h.
 *
 * STATE/volumes is 0700, so that nobody on the host but root comes past it; the volume itself is
 * 0777, because an image may run as any user. The worker takes jobs in order.
 * The removal of one tree can't be interrupted: a process that must end while it goes on just
 * ends, and the trash is emptied at the next start. */
#include "agent/volume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/tree.h"
#include "common/auto.h"
#include "common/fs.h"
#include "common/log.h"

#define WORKER_STACK (256 * 1024)
#define STOP_WAIT_S  1

struct volumes {
    char *dir;
    char *trash;
    struct loop *loop;
    struct mailbox box;
    pthread_t worker;
    bool started;
    atomic_bool stopping;
    struct volume_job *jobs; /* all that haven't been answered; loop's thread only */
    struct mail wake;
};

struct volume_job {
    struct loop_task task; /* its mail serves both ways */
    struct volumes *volumes;
    struct volume_job *prev;
    struct volume_job *next;
    char *path;
    char *grave;
    void (*done)(void *arg, const struct err *err);
    void *arg;
    struct err err;
};

static void free_job(struct volume_job *job)
{
    struct volumes *volumes = job->volumes;
    if (job->prev)
        job->prev->next = job->next;
    else if (volumes->jobs == job)
        volumes->jobs = job->next;
    if (job->next)
        job->next->prev = job->prev;
    free(job->path);
    free(job->grave);
    free(job);
}

/* The rename must be on disk before anybody is told that the volume is gone. */
static int sync_dir(const char *dir, struct err *err)
{
    auto_fd int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return err_io(err, errno, "can't sync %s", dir);
    return 0;
}

/* The grave is the volume's own, so that a removal that failed half way is gone on with. Without a
 * trash folder the rename would say that there is no volume. */
static void bury(struct volume_job *job)
{
    if (tree_remove(job->grave, &job->err) < 0 ||
        fs_make_dir(job->volumes->trash, 0700, &job->err) < 0)
        return;
    if (rename(job->path, job->grave) < 0 && errno != ENOENT)
        err_io(&job->err, errno, "can't move the volume %s away", job->path);
    else if (sync_dir(job->volumes->dir, &job->err) == 0)
        tree_remove(job->grave, &job->err);
}

static void empty_trash(struct volumes *volumes)
{
    struct err err;
    if (tree_remove(volumes->trash, &err) < 0)
        log_warn("trash not emptied", "reason=\"%s\"", err.msg);
}

static void *work(void *arg)
{
    struct volumes *volumes = arg;
    empty_trash(volumes);
    while (!atomic_load(&volumes->stopping)) {
        struct mail *mail = mailbox_take(&volumes->box, INT64_MAX);
        while (mail && !atomic_load(&volumes->stopping)) {
            struct mail *next = mail->next;
            if (mail != &volumes->wake) {
                struct volume_job *job = (struct volume_job *)mail;
                bury(job);
                if (atomic_load(&volumes->stopping))
                    break;
                loop_post(volumes->loop, &job->task);
            }
            mail = next;
        }
    }
    return NULL;
}

static int start_worker(struct volumes *volumes, struct err *err)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, WORKER_STACK);
    int rc = pthread_create(&volumes->worker, &attr, work, volumes);
    pthread_attr_destroy(&attr);
    if (rc)
        return err_io(err, rc, "can't start the volume worker");
    volumes->started = true;
    return 0;
}

struct volumes *volumes_create(const char *state_dir, struct loop *loop, struct err *err)
{
    struct volumes *volumes = calloc(1, sizeof(*volumes));
    if (!volumes) {
        err_nomem(err);
        return NULL;
    }
    volumes->loop = loop;
    mailbox_init(&volumes->box, NULL, NULL);
    volumes->dir = fs_join(state_dir, "volumes");
    volumes->trash = fs_join(state_dir, "trash");
    if (!volumes->dir || !volumes->trash) {
        err_nomem(err);
    } else if (fs_make_dir(volumes->dir, 0700, err) == 0 &&
               fs_make_dir(volumes->trash, 0700, err) == 0 && start_worker(volumes, err) == 0) {
        return volumes;
    }
    volumes_destroy(volumes);
    return NULL;
}

void volumes_destroy(struct volumes *volumes)
{
    if (!volumes)
        return;
    if (volumes->started) {
        atomic_store(&volumes->stopping, true);
        mailbox_post(&volumes->box, &volumes->wake);
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += STOP_WAIT_S;
        if (pthread_clockjoin_np(volumes->worker, NULL, CLOCK_MONOTONIC, &until) != 0) {
            log_info("volume removal left for the next start", "dir=%s", volumes->trash);
            return; /* the worker still uses all this; the process is about to end */
        }
    }
    mailbox_take(&volumes->box, 0);
    mailbox_fini(&volumes->box);
    while (volumes->jobs)
        free_job(volumes->jobs);
    free(volumes->dir);
    free(volumes->trash);
    free(volumes);
}

char *volume_path(const struct volumes *volumes, const char *volume_id)
{
    return fs_join(volumes->dir, volume_id);
}

static bool is_empty(const char *path)
{
    DIR *dir = opendir(path);
    int entries = 0;
    while (dir && entries <= 2 && readdir(dir))
        entries++;
    if (dir)
        closedir(dir);
    return dir && entries <= 2;
}

int volume_make(struct volumes *volumes, const char *volume_id, struct err *err)
{
    auto_free char *path = volume_path(volumes, volume_id);
    if (!path)
        return err_nomem(err);
    struct stat st;
    bool made = mkdir(path, 0700) == 0;
    if (!made && errno != EEXIST)
        return err_io(err, errno, "can't make the volume %s", path);
    if (!made && (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode)))
        return err_set(err, ERR_CONFLICT, "volume_failed", "%s is not a folder", path);
    /* An agent that died here left it as it was made. Else its mode is the image's affair. */
    if (!made && !((st.st_mode & 07777) == 0700 && st.st_uid == geteuid() && is_empty(path)))
        return 0;
    return chmod(path, 0777) == 0 ? 0 : err_io(err, errno, "can't set the mode of %s", path);
}

static void answer_job(struct loop_task *task)
{
    struct volume_job *job = (struct volume_job *)task;
    void (*done)(void *arg, const struct err *err) = job->done;
    void *arg = job->arg;
    struct err err = job->err;
    free_job(job);
    done(arg, &err);
}

int volume_remove(struct volumes *volumes, const char *volume_id,
                  void (*done)(void *arg, const struct err *err), void *arg, struct err *err)
{
    struct volume_job *job = calloc(1, sizeof(*job));
    if (!job)
        return err_nomem(err);
    job->volumes = volumes;
    job->task.run = answer_job;
    job->done = done;
    job->arg = arg;
    job->next = volumes->jobs;
    if (volumes->jobs)
        volumes->jobs->prev = job;
    volumes->jobs = job;
    job->path = volume_path(volumes, volume_id);
    job->grave = fs_join(volumes->trash, volume_id);
    if (!job->path || !job->grave) {
        free_job(job);
        return err_nomem(err);
    }
    mailbox_post(&volumes->box, &job->task.mail);
    return 0;
}
