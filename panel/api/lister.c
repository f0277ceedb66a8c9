/* A mailbox and a thread. See lister.h.
 *
 * A call is answered exactly once: by its handler, or, when it has waited past its deadline and
 * nobody listens any more, without the work. */
#include "panel/api/lister.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "common/mailbox.h"
#include "panel/api/internal.h"
#include "panel/metrics/pulse.h"

struct lister {
    struct mailbox calls;
    pthread_t thread;
    struct mail last;     /* ends the thread */
    atomic_bool stopping; /* nobody waits for a list any more */
    atomic_uint queued;
};

struct listing {
    struct mail mail;
    struct call *call;
};

static void make_list(struct lister *lister, struct mail *mail)
{
    struct listing *listing = (struct listing *)mail;
    struct call *call = listing->call;
    free(listing);
    atomic_fetch_sub_explicit(&lister->queued, 1, memory_order_relaxed);
    if (!atomic_load(&lister->stopping) && http_req_age_ms(call->req) < call->route->deadline_ms) {
        call->route->handle(call);
        return;
    }
    struct err err;
    err_set(&err, ERR_BUSY, "busy", "Too many long lists are being made; try again soon.");
    call_answer_err(call, &err);
}

static void *lister_main(void *arg)
{
    struct lister *lister = arg;
    for (;;) {
        pulse_rest(PULSE_LISTS);
        struct mail *mail = mailbox_take(&lister->calls, INT64_MAX);
        pulse_work(PULSE_LISTS);
        while (mail) {
            struct mail *next = mail->next;
            if (mail == &lister->last)
                return NULL;
            make_list(lister, mail);
            mail = next;
        }
    }
}

int lister_create(struct lister **ret_lister, struct err *err)
{
    struct lister *lister = calloc(1, sizeof(*lister));
    if (!lister)
        return err_nomem(err);
    mailbox_init(&lister->calls, NULL, NULL);
    int rc = pthread_create(&lister->thread, NULL, lister_main, lister);
    if (rc) {
        mailbox_fini(&lister->calls);
        free(lister);
        return err_io(err, rc, "can't start the thread of long lists");
    }
    pthread_setname_np(lister->thread, "lists");
    *ret_lister = lister;
    return 0;
}

void lister_destroy(struct lister *lister)
{
    if (!lister)
        return;
    atomic_store(&lister->stopping, true);
    mailbox_post(&lister->calls, &lister->last);
    pthread_join(lister->thread, NULL);
    mailbox_fini(&lister->calls);
    free(lister);
}

void lister_take(struct lister *lister, struct call *call)
{
    struct listing *listing = calloc(1, sizeof(*listing));
    struct err err = {0};
    if (!listing) {
        err_nomem(&err);
        call_answer_err(call, &err);
        return;
    }
    listing->call = call;
    atomic_fetch_add_explicit(&lister->queued, 1, memory_order_relaxed);
    call_defer(call);
    mailbox_post(&lister->calls, &listing->mail);
}

unsigned lister_queued(const struct lister *lister)
{
    return atomic_load_explicit(&lister->queued, memory_order_relaxed);
}
