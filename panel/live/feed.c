/* See feed.h. Records are numbered; a piece knows the number of its first. A gap is a jump in the
 * numbers, so that it costs nothing and reaches every reader in its place. */
#include "panel/live/feed.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <utlist.h>

#include "common/auto.h"
#include "panel/metrics/metrics.h"

#define PIECES_MAX 256u

struct piece {
    struct shared *bytes;
    uint64_t first;
    uint32_t records;
};

struct feed {
    _Atomic int refs;
    pthread_mutex_t lock;
    struct feed_reader *readers;
    size_t bytes_max;
    size_t bytes;
    uint64_t next; /* the number of the record to come */
    bool ended;
    unsigned oldest; /* of the ring */
    unsigned count;
    struct piece ring[PIECES_MAX];
};

struct feed *feed_create(size_t bytes_max)
{
    struct feed *feed = calloc(1, sizeof(*feed));
    if (!feed)
        return NULL;
    atomic_init(&feed->refs, 1);
    pthread_mutex_init(&feed->lock, NULL);
    feed->bytes_max = bytes_max;
    return feed;
}

static void drop_oldest(struct feed *feed)
{
    struct piece *piece = &feed->ring[feed->oldest];
    feed->bytes -= shared_len(piece->bytes);
    shared_unref(steal_ptr(piece->bytes));
    feed->oldest = (feed->oldest + 1) % PIECES_MAX;
    feed->count--;
}

void feed_unref(struct feed *feed)
{
    if (!feed || atomic_fetch_sub(&feed->refs, 1) != 1)
        return;
    while (feed->count)
        drop_oldest(feed);
    pthread_mutex_destroy(&feed->lock);
    free(feed);
}

static void wake_all(struct feed *feed)
{
    struct feed_reader *reader;
    DL_FOREACH(feed->readers, reader)
    reader->wake(reader->arg);
}

void feed_put(struct feed *feed, struct shared *take_piece, uint32_t records)
{
    if (!take_piece) {
        feed_put_gap(feed, records);
        return;
    }
    pthread_mutex_lock(&feed->lock);
    feed->bytes += shared_len(take_piece);
    while (feed->count && (feed->bytes > feed->bytes_max || feed->count == PIECES_MAX))
        drop_oldest(feed);
    feed->ring[(feed->oldest + feed->count++) % PIECES_MAX] =
        (struct piece){take_piece, feed->next, records};
    feed->next += records;
    wake_all(feed);
    pthread_mutex_unlock(&feed->lock);
}

void feed_put_gap(struct feed *feed, uint64_t records)
{
    if (!records)
        return;
    pthread_mutex_lock(&feed->lock);
    feed->next += records;
    wake_all(feed);
    pthread_mutex_unlock(&feed->lock);
}

void feed_end(struct feed *feed)
{
    pthread_mutex_lock(&feed->lock);
    feed->ended = true;
    wake_all(feed);
    pthread_mutex_unlock(&feed->lock);
}

void feed_wake(struct feed *feed)
{
    pthread_mutex_lock(&feed->lock);
    wake_all(feed);
    pthread_mutex_unlock(&feed->lock);
}

void feed_join(struct feed *feed, struct feed_reader *reader)
{
    atomic_fetch_add(&feed->refs, 1);
    pthread_mutex_lock(&feed->lock);
    reader->feed = feed;
    reader->at = feed->next;
    DL_APPEND(feed->readers, reader);
    pthread_mutex_unlock(&feed->lock);
    metric_add(METRIC_FOLLOWERS, 1);
}

void feed_leave(struct feed_reader *reader)
{
    struct feed *feed = reader->feed;
    if (!feed)
        return;
    pthread_mutex_lock(&feed->lock);
    DL_DELETE(feed->readers, reader);
    pthread_mutex_unlock(&feed->lock);
    metric_add(METRIC_FOLLOWERS, -1);
    reader->feed = NULL;
    feed_unref(feed);
}

/* The first piece that isn't wholly behind the reader; NULL: there is none. */
static const struct piece *find_piece(const struct feed *feed, uint64_t at)
{
    /* Readers are near the end as a rule. */
    const struct piece *found = NULL;
    for (unsigned i = feed->count; i; i--) {
        const struct piece *piece = &feed->ring[(feed->oldest + i - 1) % PIECES_MAX];
        if (piece->first + piece->records <= at)
            break;
        found = piece;
    }
    return found;
}

enum feed_taken feed_take(struct feed_reader *reader, struct shared **ret_piece, uint64_t *ret_lost)
{
    struct feed *feed = reader->feed;
    enum feed_taken taken = FEED_NOTHING;
    pthread_mutex_lock(&feed->lock);
    const struct piece *piece = find_piece(feed, reader->at);
    uint64_t begins = piece ? piece->first : feed->next;
    if (begins > reader->at) {
        *ret_lost = begins - reader->at;
        reader->at = begins;
        metric_add(METRIC_LINES_LOST, (int64_t)*ret_lost);
        taken = FEED_LOST;
    } else if (piece) {
        *ret_piece = shared_ref(piece->bytes);
        reader->at = piece->first + piece->records;
        taken = FEED_PIECE;
    } else if (feed->ended) {
        taken = FEED_END;
    }
    pthread_mutex_unlock(&feed->lock);
    return taken;
}
