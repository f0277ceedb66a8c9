/* Driving one instance without a loop or a node: the timers are fired by hand, the store is real,
 * and what is sent goes to a link that nobody answers. */
#include "tests/unit/unit.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/fs.h"
#include "common/utf8.h"
#include "panel/fleet/reconcile.h"
#include "panel/fleet/state.h"

#define QUEUE_MAX 8192 /* the store's */

static char folder[64];
static struct store *store;
static struct ca *ca;
static struct fleet fleet;
static struct fleet_instance *inst;

static int set_up(void **state)
{
    (void)state;
    struct err err = {0};
    snprintf(folder, sizeof(folder), "/tmp/panel-fleet-test.XXXXXX");
    assert_non_null(mkdtemp(folder));
    if (store_open(folder, NULL, &store, &err) < 0 ||
        ca_open(folder, store_identity(store)->panel_id, &ca, &err) < 0)
        fail_msg("%s", err.msg);
    fleet = (struct fleet){
        .store = store,
        .ca = ca,
        .settings = {.beat_ms = 5000, .install_timeout_ms = 600000, .stop_timeout_ms = 60000}};
    fleet.dial_tail = &fleet.dial_queue;
    assert_int_equal(board_create(&fleet.board, &err), 0);
    mailbox_init(&fleet.inbox, NULL, NULL);
    struct node row = {.id = "n1",
                       .address = "127.0.0.1",
                       .port = "1",
                       .agent_version = "",
                       .docker_version = "",
                       .joined = true};
    struct fleet_node *node = node_add(&fleet, &row, &err);
    assert_non_null(node);
    dial_abandon(node);
    node->link_state = LINK_UP;
    node->inventory_done = true;
    struct instance wanted = {.id = "i1",
                              .node_id = "n1",
                              .generation = 3,
                              .phase = PHASE_READY,
                              .phase_since = clock_wall_ms(),
                              .observed = OBSERVED_RUNNING,
                              .container_id = "c1",
                              .error_code = "",
                              .error_message = ""};
    inst = instance_add(&fleet, &wanted, &err);
    assert_non_null(inst);
    return 0;
}

static void run_inbox(void)
{
    struct mail *mail = mailbox_take(&fleet.inbox, 0);
    while (mail) {
        struct task *task = (struct task *)mail;
        mail = mail->next;
        task->run(task);
    }
}

static int tear_down(void **state)
{
    (void)state;
    while (fleet.nodes)
        node_remove(fleet.nodes);
    int64_t patience = clock_mono_ms() + 3000;
    while ((fleet.writes || link_lingering()) && clock_mono_ms() < patience)
        run_inbox();
    store_close(store);
    ca_close(ca);
    dial_fini(&fleet);
    mailbox_fini(&fleet.inbox);
    board_destroy(fleet.board);
    return fs_remove_tree(folder, NULL);
}

static void hear(enum instance_observed observed)
{
    Wire__InstanceStatus status = WIRE__INSTANCE_STATUS__INIT;
    status.instance_id = inst->id;
    status.generation = inst->generation;
    status.attempt = inst->attempt;
    status.observed = (Wire__Observed)observed;
    status.container_id = "c1";
    instance_take_status(inst, &status);
}

/* --- a store that is too busy ---------------------------------------------------------------- */

static struct store_change *changes;
static sem_t gate;
static sem_t entered;
static sem_t ended;

static int block(struct store_change *change, struct store_tx *tx, struct err *err)
{
    (void)tx;
    (void)err;
    if (change == changes) {
        sem_post(&entered);
        sem_wait(&gate);
    }
    return 0;
}

static void count_ended(struct store_change *change, const struct err *err)
{
    (void)change;
    (void)err;
    sem_post(&ended);
}

static void fill_store(void)
{
    struct err err;
    sem_init(&gate, 0, 0);
    sem_init(&entered, 0, 0);
    sem_init(&ended, 0, 0);
    changes = calloc(QUEUE_MAX, sizeof(*changes));
    assert_non_null(changes);
    for (size_t i = 0; i < QUEUE_MAX; i++) {
        changes[i] = (struct store_change){.apply = block, .done = count_ended};
        assert_int_equal(store_submit(store, &changes[i], &err), 0);
        if (i == 0)
            sem_wait(&entered);
    }
}

static void empty_store(void)
{
    sem_post(&gate);
    for (size_t i = 0; i < QUEUE_MAX; i++)
        sem_wait(&ended);
    free(changes);
}

static void test_a_retry_outlives_a_write_that_has_to_wait(void **state)
{
    (void)state;
    fill_store();
    uint64_t attempt = inst->attempt;
    int64_t now = clock_mono_ms();
    hear(OBSERVED_STOPPED); /* a crash: to be brought back in 3 s, and to be written */
    assert_true(inst->dirty);
    assert_false(inst->writing);
    empty_store();
    timers_run(&fleet.timers, now + 2000); /* written now */
    assert_true(inst->writing);
    timers_run(&fleet.timers, now + 4000);
    assert_int_equal(inst->attempt, attempt + 1);
}

static void test_what_was_sent_is_looked_at_again_by_its_deadline(void **state)
{
    (void)state;
    int64_t now = clock_mono_ms();
    inst->phase = PHASE_INSTALLING;
    inst->deadline = now + 3000; /* its node may take it, and never be heard of again */
    instance_send(inst);
    assert_true(inst->timer.due_mono_ms <= now + 3000);
    inst->deadline = now - 1; /* but not over and over, when it has passed */
    instance_send(inst);
    assert_true(inst->timer.due_mono_ms > now + 3000);
}

static void test_a_deadline_tells_what_the_node_said_last(void **state)
{
    (void)state;
    int64_t now = clock_mono_ms();
    Wire__InstanceStatus status = WIRE__INSTANCE_STATUS__INIT;
    inst->phase = PHASE_INSTALLING;
    inst->deadline = now + 60000;
    status.instance_id = inst->id;
    status.generation = inst->generation;
    status.attempt = inst->attempt;
    status.observed = WIRE__OBSERVED__OBSERVED_FAILED;
    status.error_code = "registry_unreachable";
    status.error_message = "no such host";
    instance_take_status(inst, &status);
    timers_run(&fleet.timers, now + 3000); /* the next attempt, of which nothing is heard */
    assert_false(inst->failed_now);
    inst->deadline = now - 1;
    instance_drive(inst);
    assert_int_equal(inst->phase, PHASE_FAILED);
    assert_string_equal(instance_error_code(inst), "registry_unreachable");
    assert_string_equal(instance_error_message(inst),
                        "not installed within 600 s, last: no such host");
}

static void hear_that_its_port_is_in_use(void)
{
    Wire__InstanceStatus status = WIRE__INSTANCE_STATUS__INIT;
    status.instance_id = inst->id;
    status.generation = inst->generation;
    status.attempt = inst->attempt;
    status.observed = WIRE__OBSERVED__OBSERVED_FAILED;
    status.error_code = WORD_PORT_IN_USE;
    instance_take_status(inst, &status);
}

static void test_a_choice_of_ports_waits_for_the_write_under_way(void **state)
{
    (void)state;
    inst->phase = PHASE_INSTALLING;
    inst->port_choices = 1;
    hear(OBSERVED_CREATING);
    assert_true(inst->writing);
    hear_that_its_port_is_in_use();
    int64_t patience = clock_mono_ms() + 3000;
    while (inst->choosing && inst->phase == PHASE_INSTALLING && fleet.writes &&
           clock_mono_ms() < patience) {
        inst->port_choices = 0; /* it FAILs when it is looked at again */
        run_inbox();
    }
    assert_int_equal(inst->phase, PHASE_FAILED);
}

static void test_a_queue_left_by_a_lost_link_is_sent(void **state)
{
    (void)state;
    inst->phase = PHASE_DELETING;
    inst->node->calls = 16; /* all that it may have */
    hear(OBSERVED_RUNNING);
    assert_true(inst->queued);
    inst->node->inventory_done = false; /* the link is lost, and its calls have come home */
    inst->node->calls = 0;
    apply_pump(inst->node);
    assert_true(inst->queued);
    inst->node->inventory_done = true; /* back: */
    instance_drive(inst);
    assert_false(inst->queued);
    assert_true(inst->calling);
}

static void test_a_retry_that_meets_a_call_under_way_is_not_lost(void **state)
{
    (void)state;
    inst->phase = PHASE_DELETING;
    hear(OBSERVED_RUNNING);
    assert_true(inst->calling);
    timers_cancel(&fleet.timers, &inst->timer);
    instance_send(inst);
    assert_true(timer_is_set(&inst->timer));
}

/* i1's row, so many milliseconds after its suspension. */
static struct instance suspended_before(int64_t ms, enum instance_observed observed)
{
    return (struct instance){.id = "i1",
                             .node_id = "n1",
                             .generation = 4,
                             .suspended = true,
                             .phase = PHASE_READY,
                             .phase_since = clock_wall_ms() - ms,
                             .observed = observed,
                             .container_id = "c1",
                             .error_code = "",
                             .error_message = ""};
}

static void test_what_was_stopped_once_has_its_time_to_stop_again(void **state)
{
    (void)state;
    struct instance suspended = suspended_before(86400000, OBSERVED_STOPPED);
    instance_update(inst, &suspended);
    hear(OBSERVED_STOPPED);
    assert_int_equal(inst->phase, PHASE_READY);
    hear(OBSERVED_RUNNING); /* somebody started it, a day later */
    assert_int_equal(inst->phase, PHASE_READY);
}

static void test_the_time_to_stop_runs_while_its_node_could_stop_it(void **state)
{
    (void)state;
    struct instance suspended = suspended_before(3600000, OBSERVED_RUNNING);
    inst->node->inventory_done = false; /* it has been away since before the suspension */
    instance_update(inst, &suspended);
    instance_drive(inst);
    assert_int_equal(inst->deadline, INT64_MAX);
    inst->node->inventory_done = true;
    hear(OBSERVED_RUNNING);
    assert_int_equal(inst->phase, PHASE_READY);
    assert_true(inst->deadline > clock_mono_ms() + 50000 && inst->deadline != INT64_MAX);
}

/* Its error is what tells, once it has stopped, that this heals it. */
static void test_what_runs_on_in_spite_of_its_suspension_keeps_its_error(void **state)
{
    (void)state;
    struct instance suspended = suspended_before(3600000, OBSERVED_RUNNING);
    instance_update(inst, &suspended);
    hear(OBSERVED_RUNNING);
    assert_int_equal(inst->phase, PHASE_READY);
    inst->deadline = clock_mono_ms() - 1;
    hear(OBSERVED_RUNNING);
    assert_int_equal(inst->phase, PHASE_FAILED);
    assert_string_equal(instance_error_code(inst), "stop_timeout");
    hear(OBSERVED_RUNNING);
    assert_string_equal(instance_error_code(inst), "stop_timeout");
    hear(OBSERVED_STOPPED);
    assert_int_equal(inst->phase, PHASE_READY);
    assert_string_equal(instance_error_code(inst), "");
}

/* The try that fails after the deadline neither hides what heals, nor is it the last one. */
static void test_a_stop_that_timed_out_is_tried_again_soon(void **state)
{
    (void)state;
    struct instance suspended = suspended_before(59000, OBSERVED_RUNNING);
    instance_update(inst, &suspended);
    int64_t now = clock_mono_ms();
    uint64_t attempt = inst->attempt;
    hear(OBSERVED_FAILED);
    inst->deadline = now; /* it passes before the next try */
    instance_drive(inst);
    assert_int_equal(inst->phase, PHASE_FAILED);
    timers_run(&fleet.timers, now + 9000);
    assert_int_equal(inst->attempt, attempt + 1);
    hear(OBSERVED_FAILED);
    assert_string_equal(instance_error_code(inst), "stop_timeout");
    hear(OBSERVED_STOPPED);
    assert_int_equal(inst->phase, PHASE_READY);
    assert_string_equal(instance_error_code(inst), "");
}

static void test_a_failed_one_keeps_its_reason_while_an_older_container_runs(void **state)
{
    (void)state;
    inst->phase = PHASE_FAILED;
    inst->error = calloc(1, sizeof(*inst->error) + 1);
    snprintf(inst->error->code, sizeof(inst->error->code), "image_not_found");
    hear(OBSERVED_RUNNING); /* not of the wanted spec */
    assert_int_equal(inst->phase, PHASE_FAILED);
    assert_string_equal(instance_error_code(inst), "image_not_found");
}

static void test_what_a_node_says_is_cut_between_characters(void **state)
{
    (void)state;
    char text[100];
    for (size_t i = 0; i + 3 < sizeof(text); i += 3)
        memcpy(text + i, "\xe2\x82\xac", 4);
    Wire__InstanceStatus status = WIRE__INSTANCE_STATUS__INIT;
    status.instance_id = inst->id;
    status.observed = WIRE__OBSERVED__OBSERVED_RUNNING;
    status.container_id = text;
    status.spec_hash = text;
    instance_take_status(inst, &status);
    assert_true(utf8_is_valid(inst->container_id));
    assert_int_equal(strlen(inst->container_id), 63);
}

static void test_a_generation_that_nothing_can_outrank_is_not_believed(void **state)
{
    (void)state;
    Wire__InstanceStatus status = WIRE__INSTANCE_STATUS__INIT;
    status.instance_id = inst->id;
    status.observed = WIRE__OBSERVED__OBSERVED_RUNNING;
    status.generation = UINT64_MAX;
    instance_take_status(inst, &status);
    assert_true(inst->seen_generation <= inst->generation);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

/* --- the end --------------------------------------------------------------------------------- */

static unsigned count_nodes(enum link_state link_state)
{
    unsigned count = 0;
    for (struct fleet_node *node = fleet.nodes; node; node = node->hh.next)
        count += node->link_state == link_state;
    return count;
}

static void test_at_its_end_the_fleet_dials_nobody(void **state)
{
    (void)state;
    struct err err = {0};
    for (unsigned i = 2; i < 52; i++) {
        char id[8];
        snprintf(id, sizeof(id), "n%u", i);
        struct node row = {.id = id,
                           .joined = true,
                           .address = "127.0.0.1",
                           .port = "1",
                           .agent_version = "",
                           .docker_version = ""};
        assert_non_null(node_add(&fleet, &row, &err));
    }
    unsigned dialing = count_nodes(LINK_DIALING);
    assert_true(dialing > 0 && count_nodes(LINK_QUEUED) > 0);
    atomic_store(&fleet.stopping, true);
    for (struct fleet_node *node = fleet.nodes; node; node = node->hh.next) {
        if (node->link_state == LINK_DIALING)
            dial_abandon(node);
    }
    assert_int_equal(count_nodes(LINK_DIALING), 0);
    assert_true(count_nodes(LINK_QUEUED) > 0);
}

/* --- counted by state ------------------------------------------------------------------------ */

static struct board_counts counted(void)
{
    struct board_counts counts;
    board_counts(fleet.board, "n1", &counts);
    return counts;
}

static void expect_counted(enum instance_state state, enum instance_phase phase)
{
    struct board_counts counts = counted();
    for (unsigned i = 0; i < INSTANCE_STATES; i++)
        assert_int_equal(counts.states[i], i == state);
    for (unsigned i = 0; i < INSTANCE_PHASES; i++)
        assert_int_equal(counts.phases[i], i == phase);
}

static void test_it_is_counted_once_as_what_it_is(void **state)
{
    (void)state;
    hear(OBSERVED_RUNNING);
    expect_counted(STATE_RUNNING, PHASE_READY);
    hear(OBSERVED_RUNNING);
    expect_counted(STATE_RUNNING, PHASE_READY);
    hear(OBSERVED_STOPPED);
    expect_counted(STATE_CRASHED, PHASE_READY);
    inst->suspended = inst->down = true;
    instance_drive(inst);
    expect_counted(STATE_SUSPENDED, PHASE_READY);
    inst->suspended = false; /* a drained node's: its user wants it to run */
    instance_drive(inst);
    expect_counted(STATE_STOPPED, PHASE_READY);
    instance_free(inst);
    struct board_counts counts = counted();
    for (unsigned i = 0; i < INSTANCE_STATES; i++)
        assert_int_equal(counts.states[i], 0);
}

static void test_a_stable_minute_ends_crash_looping(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 3; i++) {
        hear(OBSERVED_RUNNING);
        assert_int_equal(counted().crash_looping, 0);
        hear(OBSERVED_STOPPED);
    }
    assert_int_equal(inst->failures, 3);
    assert_int_equal(counted().crash_looping, 1);
    hear(OBSERVED_RUNNING);
    assert_int_equal(counted().crash_looping, 1);
    inst->timer.fire(&inst->timer); /* too soon */
    assert_int_equal(counted().crash_looping, 1);
    inst->running_since -= 60000;
    inst->timer.fire(&inst->timer);
    assert_int_equal(inst->failures, 0);
    assert_int_equal(counted().crash_looping, 0);
    expect_counted(STATE_RUNNING, PHASE_READY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_at_its_end_the_fleet_dials_nobody, set_up, tear_down),
        TEST(test_what_was_sent_is_looked_at_again_by_its_deadline),
        TEST(test_a_deadline_tells_what_the_node_said_last),
        TEST(test_a_retry_outlives_a_write_that_has_to_wait),
        TEST(test_a_choice_of_ports_waits_for_the_write_under_way),
        TEST(test_a_queue_left_by_a_lost_link_is_sent),
        TEST(test_a_retry_that_meets_a_call_under_way_is_not_lost),
        TEST(test_what_was_stopped_once_has_its_time_to_stop_again),
        TEST(test_the_time_to_stop_runs_while_its_node_could_stop_it),
        TEST(test_what_runs_on_in_spite_of_its_suspension_keeps_its_error),
        TEST(test_a_stop_that_timed_out_is_tried_again_soon),
        TEST(test_a_failed_one_keeps_its_reason_while_an_older_container_runs),
        TEST(test_a_generation_that_nothing_can_outrank_is_not_believed),
        TEST(test_what_a_node_says_is_cut_between_characters),
        TEST(test_it_is_counted_once_as_what_it_is),
        TEST(test_a_stable_minute_ends_crash_looping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
