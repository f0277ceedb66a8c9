/* One piece under a lock. See event_memo.h.
 *
 * Events don't change once they are committed, so a piece is right for whoever stands where it
 * begins; followers that are woken by the same commit find it there. */
#include "panel/api/event_memo.h"

#include <pthread.h>
#include <stdlib.h>

struct event_memo {
    pthread_mutex_t lock;
    struct shared *piece; /* NULL: none yet */
    int64_t after, last;
};

int event_memo_create(struct event_memo **ret_memo, struct err *err)
{
    struct event_memo *memo = calloc(1, sizeof(*memo));
    if (!memo)
        return err_nomem(err);
    pthread_mutex_init(&memo->lock, NULL);
    *ret_memo = memo;
    return 0;
}

void event_memo_destroy(struct event_memo *memo)
{
    if (!memo)
        return;
    shared_unref(memo->piece);
    pthread_mutex_destroy(&memo->lock);
    free(memo);
}

struct shared *event_memo_get(struct event_memo *memo, int64_t after, int64_t *ret_last)
{
    struct shared *piece = NULL;
    pthread_mutex_lock(&memo->lock);
    if (memo->piece && memo->after == after) {
        piece = shared_ref(memo->piece);
        *ret_last = memo->last;
    }
    pthread_mutex_unlock(&memo->lock);
    return piece;
}

void event_memo_put(struct event_memo *memo, int64_t after, int64_t last, struct shared *piece)
{
    struct shared *old = NULL;
    pthread_mutex_lock(&memo->lock);
    if (!memo->piece || last > memo->last) {
        old = memo->piece;
        memo->piece = shared_ref(piece);
        memo->after = after;
        memo->last = last;
    }
    pthread_mutex_unlock(&memo->lock);
    shared_unref(old);
}
