/* A queue of intrusive messages from any thread to one reader thread.
 *
 * Posting never allocates and never fails: the message is part of what the sender owns, and
 * the ownership of it moves to the reader. Order is kept. The reader either waits here with a
 * monotonic deadline, or, where it must wait elsewhere, gives a wake callback at init. */
#ifndef COMMON_MAILBOX_H
#define COMMON_MAILBOX_H

#include <pthread.h>
#include <stdint.h>

struct mail {
    struct mail *next;
};

struct mailbox {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct mail *head;
    struct mail **tail;
    void (*wake)(void *arg);
    void *wake_arg;
};

/* wake may be NULL; it is called after a post into an empty mailbox, on the posting thread. */
void mailbox_init(struct mailbox *box, void (*wake)(void *arg), void *wake_arg);
/* The mailbox must be empty. */
void mailbox_fini(struct mailbox *box);

void mailbox_post(struct mailbox *box, struct mail *mail);

/* All that is there, oldest first, linked by next; NULL when nothing came until deadline
 * (clock_mono_ms; 0: don't wait, INT64_MAX: for ever). */
struct mail *mailbox_take(struct mailbox *box, int64_t deadline_mono_ms);

#endif
