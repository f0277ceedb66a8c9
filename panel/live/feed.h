/* A feed: what is said about one subject, to any number of readers who come and go.
 *
 * Bounded by memory, not by its readers: the newest bytes are kept, and a reader that falls behind
 * loses the oldest and learns how many records those were. What is put in is shared, not copied:
 * a reader that is slow to send a piece holds that piece alone. Any thread; nothing blocks. */
#ifndef PANEL_LIVE_FEED_H
#define PANEL_LIVE_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/shared.h"

struct feed;

/* The owner's side. wake is called when there may be something to take: from any thread, with the
 * feed's lock held, so it must not call the feed. */
struct feed_reader {
    void (*wake)(void *arg);
    void *arg;
    /* private */
    struct feed *feed;
    struct feed_reader *prev, *next;
    uint64_t at; /* the record that comes next */
};

enum feed_taken {
    FEED_NOTHING, /* now; wake() will be called */
    FEED_PIECE,
    FEED_LOST, /* some were: *ret_lost tells how many */
    FEED_END,  /* nothing more will come */
};

/* One reference; NULL without memory. */
struct feed *feed_create(size_t bytes_max);
/* The last one ends it. NULL is fine. */
void feed_unref(struct feed *feed);

/* A piece of records, which is taken; NULL counts as lost. */
void feed_put(struct feed *feed, struct shared *take_piece, uint32_t records);
/* Records that are missing between what was put and what will be. */
void feed_put_gap(struct feed *feed, uint64_t records);
void feed_end(struct feed *feed);
/* Call every reader's wake(), though there is nothing new. */
void feed_wake(struct feed *feed);

/* From here on, what is put is for this reader too. It holds a reference to the feed. */
void feed_join(struct feed *feed, struct feed_reader *reader);
/* wake() isn't called any more once this returns. One that never joined is fine. */
void feed_leave(struct feed_reader *reader);
/* The next piece, as a reference for the caller to let go of. */
enum feed_taken feed_take(struct feed_reader *reader, struct shared **ret_piece,
                          uint64_t *ret_lost);

#endif
