/* State names: the whole table of phase, suspension, observation and node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "panel/domain/instance_state.h"

/* What an Online node's instance is said to do: installing, ready, suspended. */
static const struct {
    enum instance_observed observed;
    const char *installing, *ready, *suspended;
} table[] = {
    {OBSERVED_NOTHING, "creating", "creating", "stopping"},
    {OBSERVED_ABSENT, "creating", "crashed", "suspended"},
    {OBSERVED_PULLING, "pulling", "pulling", "stopping"},
    {OBSERVED_CREATING, "creating", "creating", "stopping"},
    {OBSERVED_STARTING, "starting", "starting", "stopping"},
    {OBSERVED_RUNNING, "running", "running", "stopping"},
    {OBSERVED_STOPPING, "stopping", "stopping", "stopping"},
    {OBSERVED_STOPPED, "starting", "crashed", "suspended"},
    {OBSERVED_FAILED, "creating", "crashed", "stopping"},
    {OBSERVED_REMOVING, "stopping", "stopping", "stopping"},
    {OBSERVED_REMOVED, "creating", "crashed", "suspended"},
    {OBSERVED_INSTALLING, "installing", "installing", "stopping"},
};
#define ROWS (sizeof(table) / sizeof(table[0]))

static void each_observation_has_its_word(void **state)
{
    (void)state;
    static const enum node_status reachable[] = {NODE_ONLINE, NODE_SUSPECT, NODE_MAINTENANCE};
    for (size_t n = 0; n < sizeof(reachable) / sizeof(reachable[0]); n++) {
        for (size_t i = 0; i < ROWS; i++) {
            enum instance_observed seen = table[i].observed;
            enum node_status node = reachable[n];
            assert_string_equal(instance_state_name(PHASE_INSTALLING, false, POWER_ON, seen, node),
                                table[i].installing);
            assert_string_equal(instance_state_name(PHASE_READY, false, POWER_ON, seen, node),
                                table[i].ready);
            assert_string_equal(instance_state_name(PHASE_READY, true, POWER_ON, seen, node),
                                table[i].suspended);
            assert_string_equal(instance_state_name(PHASE_INSTALLING, true, POWER_ON, seen, node),
                                table[i].suspended);
        }
    }
}

static void what_is_decided_outranks_what_is_seen(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        for (int suspended = 0; suspended < 2; suspended++) {
            enum instance_observed seen = table[i].observed;
            assert_string_equal(
                instance_state_name(PHASE_DELETING, suspended, POWER_ON, seen, NODE_OFFLINE),
                "deleting");
            assert_string_equal(
                instance_state_name(PHASE_DELETING, suspended, POWER_ON, seen, NODE_ONLINE),
                "deleting");
            assert_string_equal(
                instance_state_name(PHASE_FAILED, suspended, POWER_ON, seen, NODE_ONLINE),
                "failed");
            assert_string_equal(
                instance_state_name(PHASE_FAILED, suspended, POWER_ON, seen, NODE_OFFLINE),
                "unknown");
            assert_string_equal(
                instance_state_name(PHASE_READY, suspended, POWER_ON, seen, NODE_OFFLINE),
                "unknown");
            assert_string_equal(
                instance_state_name(PHASE_READY, suspended, POWER_ON, seen, NODE_UNCONFIGURED),
                "unknown");
        }
    }
}

static void one_that_its_user_stopped_is_stopped(void **state)
{
    (void)state;
    static const struct {
        enum instance_power power;
        const char *down, *up;
    } wishes[] = {{POWER_OFF, "stopped", "stopping"},
                  {POWER_KILL, "stopped", "stopping"},
                  {POWER_RESTART, "starting", "stopping"}};
    for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
        enum instance_power power = wishes[i].power;
        assert_string_equal(
            instance_state_name(PHASE_READY, false, power, OBSERVED_STOPPED, NODE_ONLINE),
            wishes[i].down);
        assert_string_equal(
            instance_state_name(PHASE_READY, false, power, OBSERVED_RUNNING, NODE_ONLINE),
            wishes[i].up);
        assert_string_equal(
            instance_state_name(PHASE_READY, true, power, OBSERVED_STOPPED, NODE_ONLINE),
            "suspended");
    }
}

static void phases_have_the_words_clients_know(void **state)
{
    (void)state;
    assert_string_equal(instance_phase_name(PHASE_INSTALLING), "INSTALLING");
    assert_string_equal(instance_phase_name(PHASE_READY), "READY");
    assert_string_equal(instance_phase_name(PHASE_FAILED), "FAILED");
    assert_string_equal(instance_phase_name(PHASE_DELETING), "DELETING");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_observation_has_its_word),
        cmocka_unit_test(what_is_decided_outranks_what_is_seen),
        cmocka_unit_test(one_that_its_user_stopped_is_stopped),
        cmocka_unit_test(phases_have_the_words_clients_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
