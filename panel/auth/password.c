/* Passwords on threads of their own. See password.h.
 *
 * Invariant: each accepted job's done() is called exactly once, and no copy of a password outlives
 * its job unwiped. The pool owns a job from a successful push; a refused push leaves nothing
 * behind; destroying the pool ends the jobs under way and refuses the queued ones. */
#include "panel/auth/password.h"

#include <pthread.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/crypto.h"

#define THREADS_MAX 16

/* Costs what everybody's does. */
static const char nobodys[] = "$argon2id$v=19$m=65536,t=2,p=1$bm9ib2R5J3Mgc2FsdCEhIQ"
                              "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

struct job {
    struct job *next;
    void (*hashed)(void *arg, const char *hash, const struct err *err);
    void (*verified)(void *arg, bool right, const struct err *err); /* the other is NULL */
    void *arg;
    char against[PASSWORD_HASH_SIZE]; /* to be verified */
    bool nobody;                      /* whatever comes out */
    size_t len;
    char password[];
};

struct password_pool {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct job *head;
    struct job **tail;
    size_t queued;
    size_t queue_max;
    bool closing;
    unsigned threads;
    pthread_t thread[THREADS_MAX];
};

static void job_free(struct job *job)
{
    crypto_wipe(job->password, job->len);
    free(job);
}

static void job_fail(struct job *job, const struct err *err)
{
    if (job->hashed)
        job->hashed(job->arg, NULL, err);
    else
        job->verified(job->arg, false, err);
    job_free(job);
}

static void verify(struct job *job)
{
    bool right = crypto_pwhash_str_verify(job->against, job->password, job->len) == 0;
    job->verified(job->arg, right && !job->nobody, NULL);
    job_free(job);
}

static void hash(struct job *job)
{
    _Static_assert(PASSWORD_HASH_SIZE >= crypto_pwhash_STRBYTES, "a hash has to fit");
    char text[PASSWORD_HASH_SIZE];
    struct err err = {0};
    if (crypto_pwhash_str(text, job->password, job->len, crypto_pwhash_OPSLIMIT_INTERACTIVE,
                          crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0) {
        err_nomem(&err); /* the only way it fails */
        job_fail(job, &err);
        return;
    }
    job->hashed(job->arg, text, NULL);
    job_free(job);
}

/* The oldest job; waits. NULL at the end. */
static struct job *take_job(struct password_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (!pool->head && !pool->closing)
        pthread_cond_wait(&pool->filled, &pool->lock);
    struct job *job = pool->closing ? NULL : pool->head;
    if (job) {
        pool->head = job->next;
        if (!pool->head)
            pool->tail = &pool->head;
        pool->queued--;
    }
    pthread_mutex_unlock(&pool->lock);
    return job;
}

static void *worker_main(void *arg)
{
    struct password_pool *pool = arg;
    struct job *job;
    while ((job = take_job(pool))) {
        if (job->hashed)
            hash(job);
        else
            verify(job);
    }
    return NULL;
}

int password_pool_create(unsigned threads, size_t queue, struct password_pool **ret_pool,
                         struct err *err)
{
    struct password_pool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        return err_nomem(err);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->filled, NULL);
    pool->tail = &pool->head;
    pool->queue_max = queue;
    threads = threads < 1 ? 1 : threads > THREADS_MAX ? THREADS_MAX : threads;
    for (; pool->threads < threads; pool->threads++) {
        int rc = pthread_create(&pool->thread[pool->threads], NULL, worker_main, pool);
        if (rc) {
            password_pool_destroy(pool);
            return err_io(err, rc, "can't start a password thread");
        }
        pthread_setname_np(pool->thread[pool->threads], "password");
    }
    *ret_pool = pool;
    return 0;
}

void password_pool_destroy(struct password_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->closing = true;
    pthread_cond_broadcast(&pool->filled);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->threads; i++)
        pthread_join(pool->thread[i], NULL);
    struct err err = {0};
    err_set(&err, ERR_BUSY, "shutting_down", "The panel is shutting down; try again soon.");
    while (pool->head) {
        struct job *job = pool->head;
        pool->head = job->next;
        job_fail(job, &err);
    }
    pthread_cond_destroy(&pool->filled);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

static int push_job(struct password_pool *pool, struct job *job)
{
    pthread_mutex_lock(&pool->lock);
    /* whoever likes can have passwords compared; those who set one find room behind them */
    size_t room = job->verified ? pool->queue_max / 2 : pool->queue_max;
    bool fits = !pool->closing && pool->queued < room;
    if (fits) {
        *pool->tail = job;
        pool->tail = &job->next;
        pool->queued++;
        pthread_cond_signal(&pool->filled);
    }
    pthread_mutex_unlock(&pool->lock);
    return fits ? 0 : -1;
}

/* The job, not yet queued; NULL without memory. */
static struct job *new_job(const char *password, size_t len, void *arg)
{
    struct job *job = calloc(1, sizeof(*job) + len);
    if (!job)
        return NULL;
    job->arg = arg;
    job->len = len;
    memcpy(job->password, password, len);
    return job;
}

static int submit(struct password_pool *pool, struct job *job, struct err *err)
{
    if (push_job(pool, job) == 0)
        return 0;
    job_free(job);
    return err_set(err, ERR_BUSY, "busy",
                   "Too many passwords are being worked on at once; try again soon.");
}

int password_pool_hash(struct password_pool *pool, const char *password, size_t len,
                       void (*done)(void *arg, const char *hash, const struct err *err), void *arg,
                       struct err *err)
{
    struct job *job = new_job(password, len, arg);
    if (!job)
        return err_nomem(err);
    job->hashed = done;
    return submit(pool, job, err);
}

int password_pool_verify(struct password_pool *pool, const char *password, size_t len,
                         const char *against,
                         void (*done)(void *arg, bool right, const struct err *err), void *arg,
                         struct err *err)
{
    struct job *job = new_job(password, len, arg);
    if (!job)
        return err_nomem(err);
    job->verified = done;
    /* One of another kind, as an imported user has it, would be done with at once. */
    bool ours = against && strncmp(against, crypto_pwhash_argon2id_STRPREFIX,
                                   sizeof(crypto_pwhash_argon2id_STRPREFIX) - 1) == 0;
    job->nobody = !ours;
    snprintf(job->against, sizeof(job->against), "%s", ours ? against : nobodys);
    return submit(pool, job, err);
}

size_t password_pool_queued(struct password_pool *pool, size_t *ret_max)
{
    *ret_max = pool->queue_max;
    pthread_mutex_lock(&pool->lock);
    size_t queued = pool->queued;
    pthread_mutex_unlock(&pool->lock);
    return queued;
}
