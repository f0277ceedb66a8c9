/* Messages from many threads to one: none lost, each sender's order kept. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "common/clock.h"
#include "common/mailbox.h"

#define SENDERS 4
#define EACH    5000

struct note {
    struct mail mail;
    int sender;
    int number;
};

static struct mailbox box;
static struct note notes[SENDERS][EACH];

static void *post_all(void *arg)
{
    int sender = (int)(intptr_t)arg;
    for (int i = 0; i < EACH; i++) {
        notes[sender][i] = (struct note){.sender = sender, .number = i};
        mailbox_post(&box, &notes[sender][i].mail);
    }
    return NULL;
}

static void test_none_is_lost_and_order_is_kept(void **state)
{
    (void)state;
    mailbox_init(&box, NULL, NULL);
    pthread_t threads[SENDERS];
    for (int i = 0; i < SENDERS; i++)
        pthread_create(&threads[i], NULL, post_all, (void *)(intptr_t)i);
    int next[SENDERS] = {0};
    int total = 0;
    while (total < SENDERS * EACH) {
        struct mail *mail = mailbox_take(&box, INT64_MAX);
        assert_non_null(mail);
        for (; mail; mail = mail->next, total++) {
            struct note *note = (struct note *)mail;
            assert_int_equal(note->number, next[note->sender]);
            next[note->sender]++;
        }
    }
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    assert_null(mailbox_take(&box, 0));
    mailbox_fini(&box);
}

static void test_deadlines(void **state)
{
    (void)state;
    mailbox_init(&box, NULL, NULL);
    int64_t began = clock_mono_ms();
    assert_null(mailbox_take(&box, 0));
    assert_null(mailbox_take(&box, began - 1000));
    assert_true(clock_mono_ms() - began < 1000);
    assert_null(mailbox_take(&box, clock_mono_ms() + 50));
    assert_true(clock_mono_ms() - began >= 50);
    mailbox_fini(&box);
}

static void count_wake(void *arg)
{
    ++*(int *)arg;
}

static void test_wakes_when_it_was_empty(void **state)
{
    (void)state;
    int wakes = 0;
    mailbox_init(&box, count_wake, &wakes);
    struct note a = {0};
    struct note b = {0};
    mailbox_post(&box, &a.mail);
    mailbox_post(&box, &b.mail);
    assert_int_equal(wakes, 1);
    assert_ptr_equal(mailbox_take(&box, 0), &a.mail);
    assert_ptr_equal(a.mail.next, &b.mail);
    assert_null(b.mail.next);
    mailbox_post(&box, &a.mail);
    assert_int_equal(wakes, 2);
    assert_ptr_equal(mailbox_take(&box, 0), &a.mail);
    mailbox_fini(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none_is_lost_and_order_is_kept),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_wakes_when_it_was_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
