/* The rule by which instances are driven (panel/fleet/reconcile.c): rows of what is seen and what
 * must follow, and properties that hold for every combination. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/auto.h"
#include "panel/fleet/reconcile.h"

static struct reconcile_view view_of(enum instance_phase phase, enum instance_observed observed)
{
    return (struct reconcile_view){
        .phase = phase, .observed = observed, .error_code = "", .node_ready = true, .told = true};
}

static void expect(struct reconcile_view view, enum reconcile_step step, enum instance_phase phase)
{
    struct reconcile_decision decision = reconcile(&view);
    assert_int_equal(decision.step, step);
    assert_int_equal(decision.phase, phase);
}

static void test_new_instance_is_applied(void **state)
{
    (void)state;
    expect(view_of(PHASE_INSTALLING, OBSERVED_NOTHING), STEP_APPLY, PHASE_INSTALLING);
    expect(view_of(PHASE_INSTALLING, OBSERVED_ABSENT), STEP_APPLY, PHASE_INSTALLING);
    expect(view_of(PHASE_INSTALLING, OBSERVED_PULLING), STEP_WAIT, PHASE_INSTALLING);
}

static void test_running_with_the_wanted_spec_is_ready(void **state)
{
    (void)state;
    struct reconcile_view view = view_of(PHASE_INSTALLING, OBSERVED_RUNNING);
    expect(view, STEP_APPLY, PHASE_INSTALLING); /* another spec runs */
    view.same_spec = true;
    expect(view, STEP_REST, PHASE_READY);
    view.phase = PHASE_FAILED; /* it came up after all */
    expect(view, STEP_REST, PHASE_READY);
}

static void test_a_failure_for_a_person_fails_at_once(void **state)
{
    (void)state;
    struct reconcile_view view = view_of(PHASE_INSTALLING, OBSERVED_FAILED);
    view.failed_now = true;
    view.failures = 1;
    view.error_code = "port_in_use";
    expect(view, STEP_GIVE_UP, PHASE_FAILED);
    view.error_code = "image_not_found";
    expect(view, STEP_GIVE_UP, PHASE_FAILED);
}

static void test_a_port_in_use_is_mended_by_who_chose_it(void **state)
{
    (void)state;
    struct reconcile_view view = view_of(PHASE_INSTALLING, OBSERVED_FAILED);
    view.failed_now = true;
    view.failures = 1;
    view.error_code = WORD_PORT_IN_USE;
    view.may_choose_ports = true;
    expect(view, STEP_CHOOSE, PHASE_INSTALLING);
    view.error_code = "image_not_found";
    expect(view, STEP_GIVE_UP, PHASE_FAILED);
    view.error_code = WORD_PORT_IN_USE;
    view.deadline_passed = true;
    expect(view, STEP_GIVE_UP, PHASE_FAILED);
    view.deadline_passed = false;
    view.may_choose_ports = false;
    expect(view, STEP_GIVE_UP, PHASE_FAILED);
}

static void test_a_passing_failure_is_tried_again_and_ends(void **state)
{
    (void)state;
    struct reconcile_view view = view_of(PHASE_INSTALLING, OBSERVED_FAILED);
    view.failed_now = true;
    view.error_code = "registry_unreachable";
    for (view.failures = 1; view.failures < 3; view.failures++)
        expect(view, STEP_RETRY, PHASE_INSTALLING);
    expect(view, STEP_GIVE_UP, PHASE_FAILED);
}

static void test_what_ends_at_once_is_not_started_for_ever(void **state)
{
    (void)state;
    struct reconcile_view view = view_of(PHASE_INSTALLING, OBSERVED_STOPPED);
    expect(view, STEP_APPLY, PHASE_INSTALLING); /* found so: start it */
    view.failed_now = true;
    view.error_code = RECONCILE_EXITED;
    for (view.failures = 1; view.failures < 3; view.failures++)
        expect(view, STEP_RETRY, PHASE_INSTALLING);
    expect(view, STEP_GIVE_UP, PHASE_FAILED);
}

static void test_a_crash_is_brought_back_slower_and_slower(void **state)
{
    (void)state;
    uint32_t last = 0;
    struct reconcile_view view = view_of(PHASE_READY, OBSERVED_STOPPED);
    for (view.failures = 1; view.failures < 40; view.failures++) {
        struct reconcile_decision decision = reconcile(&view);
        assert_int_equal(decision.step, STEP_RETRY);
        assert_true(decision.delay_ms >= last);
        assert_true(decision.delay_ms <= 60000);
        last = decision.delay_ms;
    }
    assert_int_equal(last, 60000);
}

static void test_what_was_stopped_by_request_starts_at_once(void **state)
{
    (void)state;
    struct reconcile_view view = view_of(PHASE_READY, OBSERVED_STOPPED);
    view.told = false; /* it is down because of an earlier wish */
    expect(view, STEP_APPLY, PHASE_READY);
    view.failures = 1;
    expect(view, STEP_RETRY, PHASE_READY);
}

static void test_down_is_not_stopped_until_the_node_was_told(void **state)
{
    (void)state;
    struct reconcile_view view = view_of(PHASE_READY, OBSERVED_STOPPED);
    view.down = true;
    view.told = false; /* Docker may start it again at any moment */
    expect(view, STEP_APPLY, PHASE_READY);
    view.told = true;
    expect(view, STEP_REST, PHASE_READY);
    view = view_of(PHASE_DELETING, OBSERVED_REMOVED);
    view.told = false; /* of an earlier Remove */
    expect(view, STEP_REMOVE, PHASE_DELETING);
}

static void test_suspended_rests_only_when_stopped(void **state)
{
    (void)state;
    struct reconcile_view view = view_of(PHASE_READY, OBSERVED_RUNNING);
    view.down = true;
    view.same_spec = true;
    expect(view, STEP_APPLY, PHASE_READY);
    view.observed = OBSERVED_STOPPING;
    expect(view, STEP_WAIT, PHASE_READY);
    view.told = false; /* it is to be killed now, perhaps */
    expect(view, STEP_APPLY, PHASE_READY);
    view.told = true;
    view.observed = OBSERVED_STOPPED;
    expect(view, STEP_REST, PHASE_READY);
}

static void test_a_restart_rises_when_it_has_stopped(void **state)
{
    (void)state;
    struct reconcile_view view = view_of(PHASE_READY, OBSERVED_RUNNING);
    view.down = true;
    view.restarting = true;
    expect(view, STEP_APPLY, PHASE_READY);
    view.observed = OBSERVED_STOPPED;
    view.told = false; /* it crashed before: Docker may start it at any moment */
    expect(view, STEP_APPLY, PHASE_READY);
    view.told = true;
    expect(view, STEP_RISE, PHASE_READY);
    view.node_ready = false; /* nobody knows */
    expect(view, STEP_REST, PHASE_READY);
}

static void test_stopping_ends_by_its_deadline_and_heals(void **state)
{
    (void)state;
    struct reconcile_view view = view_of(PHASE_READY, OBSERVED_STOPPING);
    view.down = true;
    view.deadline_passed = true;
    expect(view, STEP_GIVE_UP, PHASE_FAILED);
    view.phase = PHASE_FAILED;
    view.error_code = WORD_STOP_TIMEOUT;
    view.observed = OBSERVED_RUNNING;
    expect(view, STEP_APPLY, PHASE_FAILED);
    view.observed = OBSERVED_STOPPED;
    expect(view, STEP_REST, PHASE_READY);
    view.error_code = "image_not_found";
    expect(view, STEP_REST, PHASE_FAILED);
}

static void test_delete_asks_until_removed(void **state)
{
    (void)state;
    expect(view_of(PHASE_DELETING, OBSERVED_RUNNING), STEP_REMOVE, PHASE_DELETING);
    expect(view_of(PHASE_DELETING, OBSERVED_ABSENT), STEP_REMOVE, PHASE_DELETING);
    expect(view_of(PHASE_DELETING, OBSERVED_REMOVING), STEP_WAIT, PHASE_DELETING);
    expect(view_of(PHASE_DELETING, OBSERVED_REMOVED), STEP_FORGET, PHASE_DELETING);
    struct reconcile_view nowhere = view_of(PHASE_DELETING, OBSERVED_NOTHING);
    nowhere.node_ready = nowhere.told = false;
    expect(nowhere, STEP_WAIT, PHASE_DELETING);
    nowhere.never_there = true;
    expect(nowhere, STEP_FORGET, PHASE_DELETING);
}

/* Every combination: INSTALLING past its deadline ends; nothing is sent to a node that isn't
 * ready; only DELETING is ever removed or forgotten, and a FAILED one is left in peace. */
static void test_properties(void **state)
{
    (void)state;
    static const char *const codes[] = {"", "port_in_use", "registry_unreachable",
                                        "docker_unavailable"};
    for (unsigned bits = 0; bits < 256; bits++)
        for (int phase = PHASE_INSTALLING; phase <= PHASE_DELETING; phase++)
            for (int seen = OBSERVED_NOTHING; seen <= OBSERVED_INSTALLING; seen++)
                for (size_t code = 0; code < ARRAY_LEN(codes); code++) {
                    struct reconcile_view view =
                        view_of((enum instance_phase)phase, (enum instance_observed)seen);
                    view.down = bits & 1;
                    view.same_spec = bits & 2;
                    view.failed_now = seen == OBSERVED_FAILED && (bits & 4);
                    view.node_ready = bits & 8;
                    view.deadline_passed = bits & 16;
                    view.told = bits & 32;
                    view.may_choose_ports = bits & 64;
                    view.restarting = view.down && (bits & 128);
                    view.error_code = codes[code];
                    view.failures = 1;
                    struct reconcile_decision d = reconcile(&view);
                    /* who restarts it gives it its time anew */
                    if (phase == PHASE_INSTALLING && view.deadline_passed && d.step != STEP_RISE)
                        assert_int_not_equal(d.phase, PHASE_INSTALLING);
                    if (!view.node_ready)
                        assert_true(d.step != STEP_APPLY && d.step != STEP_REMOVE &&
                                    d.step != STEP_RETRY);
                    if (phase != PHASE_DELETING)
                        assert_true(d.step != STEP_REMOVE && d.step != STEP_FORGET);
                    else
                        assert_int_equal(d.phase, PHASE_DELETING);
                    if (phase != PHASE_INSTALLING || view.down)
                        assert_int_not_equal(d.step, STEP_CHOOSE);
                    if (!view.restarting || !view.told || !view.node_ready)
                        assert_int_not_equal(d.step, STEP_RISE);
                    if (phase == PHASE_FAILED && !view.down)
                        assert_int_equal(d.step, STEP_REST);
                }
}

static void test_a_change_is_undone(void **state)
{
    (void)state;
    struct reconcile_view view = view_of(PHASE_INSTALLING, OBSERVED_FAILED);
    view.failed_now = true;
    view.failures = 1;
    view.may_undo = true;
    static const char *const costly[] = {"start_failed", "create_failed", RECONCILE_EXITED,
                                         "out_of_memory", "image_not_found"};
    for (size_t i = 0; i < sizeof(costly) / sizeof(costly[0]); i++) {
        view.error_code = costly[i];
        view.phase = PHASE_INSTALLING;
        expect(view, STEP_UNDO, PHASE_INSTALLING);
        view.phase = PHASE_READY; /* limits */
        expect(view, STEP_UNDO, PHASE_READY);
    }
    view.phase = PHASE_INSTALLING;
    view.error_code = "registry_unreachable"; /* the old one runs on meanwhile */
    expect(view, STEP_RETRY, PHASE_INSTALLING);
    view.failures = 3;
    expect(view, STEP_UNDO, PHASE_INSTALLING);
    view.failed_now = false;
    view.observed = OBSERVED_PULLING;
    expect(view, STEP_WAIT, PHASE_INSTALLING);
    view.deadline_passed = true;
    expect(view, STEP_UNDO, PHASE_INSTALLING);
    view.down = true; /* it isn't tried now */
    view.deadline_passed = false;
    expect(view, STEP_APPLY, PHASE_INSTALLING);
    view.down = false;
    view.observed = OBSERVED_FAILED;
    view.failed_now = true;
    view.error_code = WORD_PORT_IN_USE;
    view.may_choose_ports = true; /* the panel's choice is the panel's to mend */
    expect(view, STEP_CHOOSE, PHASE_INSTALLING);
    view.may_choose_ports = false;
    expect(view, STEP_UNDO, PHASE_INSTALLING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_instance_is_applied),
        cmocka_unit_test(test_running_with_the_wanted_spec_is_ready),
        cmocka_unit_test(test_a_failure_for_a_person_fails_at_once),
        cmocka_unit_test(test_a_port_in_use_is_mended_by_who_chose_it),
        cmocka_unit_test(test_a_passing_failure_is_tried_again_and_ends),
        cmocka_unit_test(test_what_ends_at_once_is_not_started_for_ever),
        cmocka_unit_test(test_a_crash_is_brought_back_slower_and_slower),
        cmocka_unit_test(test_what_was_stopped_by_request_starts_at_once),
        cmocka_unit_test(test_down_is_not_stopped_until_the_node_was_told),
        cmocka_unit_test(test_suspended_rests_only_when_stopped),
        cmocka_unit_test(test_a_restart_rises_when_it_has_stopped),
        cmocka_unit_test(test_stopping_ends_by_its_deadline_and_heals),
        cmocka_unit_test(test_delete_asks_until_removed),
        cmocka_unit_test(test_a_change_is_undone),
        cmocka_unit_test(test_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
