/* A bucket of tokens for each kind of line. See log_limit.h.
 *
 * Kinds are hashes; a small table holds those seen last. One that was pushed out begins anew with a
 * full bucket, so the worst that many kinds at once can do is to be written. */
#include "common/log_limit.h"

#include <pthread.h>

#include "common/log.h"

#define SETS 128u
#define WAYS 4u

struct bucket {
    uint64_t kind;  /* 0: free */
    int64_t filled; /* ms; as of when its tokens are counted */
    uint32_t tokens;
    uint64_t suppressed;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct bucket buckets[SETS][WAYS];
static uint64_t suppressed_in_all;

/* Its bucket, or the one of its set that was idle for longest, made its. */
static struct bucket *find(uint64_t kind, int64_t now)
{
    struct bucket *set = buckets[kind % SETS];
    struct bucket *oldest = set;
    for (unsigned i = 0; i < WAYS; i++) {
        if (set[i].kind == kind)
            return &set[i];
        if (set[i].filled < oldest->filled)
            oldest = &set[i];
    }
    *oldest = (struct bucket){.kind = kind, .filled = now, .tokens = LOG_BURST};
    return oldest;
}

static void fill(struct bucket *bucket, int64_t now)
{
    int64_t more = (now - bucket->filled) / LOG_EVERY_MS;
    if (more <= 0)
        return;
    bucket->tokens =
        more + bucket->tokens < LOG_BURST ? bucket->tokens + (uint32_t)more : LOG_BURST;
    bucket->filled = bucket->tokens == LOG_BURST ? now : bucket->filled + more * LOG_EVERY_MS;
}

bool log_limit_take(uint64_t kind, int64_t now_ms, uint64_t *ret_suppressed)
{
    pthread_mutex_lock(&lock);
    struct bucket *bucket = find(kind ? kind : 1, now_ms);
    fill(bucket, now_ms);
    bool may = bucket->tokens > 0;
    *ret_suppressed = may ? bucket->suppressed : 0;
    if (may) {
        bucket->tokens--;
        bucket->suppressed = 0;
    } else {
        bucket->suppressed++;
        suppressed_in_all++;
    }
    pthread_mutex_unlock(&lock);
    return may;
}

uint64_t log_limit_suppressed(void)
{
    pthread_mutex_lock(&lock);
    uint64_t count = suppressed_in_all;
    pthread_mutex_unlock(&lock);
    return count;
}
