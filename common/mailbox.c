/* Messages from any thread to one reader. See mailbox.h. */
#include "common/mailbox.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

void mailbox_init(struct mailbox *box, void (*wake)(void *arg), void *wake_arg)
{
    pthread_mutex_init(&box->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&box->filled, &attr);
    pthread_condattr_destroy(&attr);
    box->head = NULL;
    box->tail = &box->head;
    box->wake = wake;
    box->wake_arg = wake_arg;
}

void mailbox_fini(struct mailbox *box)
{
    pthread_cond_destroy(&box->filled);
    pthread_mutex_destroy(&box->lock);
}

void mailbox_post(struct mailbox *box, struct mail *mail)
{
    mail->next = NULL;
    pthread_mutex_lock(&box->lock);
    int was_empty = box->head == NULL;
    *box->tail = mail;
    box->tail = &mail->next;
    if (was_empty)
        pthread_cond_signal(&box->filled);
    /* Unlocked, a mailbox without wake may be gone: the reader may have ended with this mail. */
    void (*wake)(void *arg) = box->wake;
    void *wake_arg = box->wake_arg;
    pthread_mutex_unlock(&box->lock);
    if (was_empty && wake)
        wake(wake_arg);
}

struct mail *mailbox_take(struct mailbox *box, int64_t deadline_mono_ms)
{
    struct timespec until = {.tv_sec = deadline_mono_ms / 1000,
                             .tv_nsec = deadline_mono_ms % 1000 * 1000000};
    pthread_mutex_lock(&box->lock);
    while (!box->head && deadline_mono_ms) {
        if (deadline_mono_ms == INT64_MAX)
            pthread_cond_wait(&box->filled, &box->lock);
        else if (pthread_cond_timedwait(&box->filled, &box->lock, &until) == ETIMEDOUT)
            break;
    }
    struct mail *all = box->head;
    box->head = NULL;
    box->tail = &box->head;
    pthread_mutex_unlock(&box->lock);
    return all;
}
