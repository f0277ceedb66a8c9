/* State names: the whole table of phase, suspension, observation and node. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "panel/domain/instance_state.h"

/* What an Online node's instance is said to do: installing; ready, with nothing known to have gone
 * wrong since it was to run, or with an error; suspended. */
static const struct {
    enum instance_observed observed;
    const char *installing, *ready, *hurt, *suspended;
} table[] = {
    {OBSERVED_NOTHING, "creating", "creating", "creating", "stopping"},
    {OBSERVED_ABSENT, "creating", "starting", "crashed", "suspended"},
    {OBSERVED_PULLING, "pulling", "pulling", "pulling", "stopping"},
    {OBSERVED_CREATING, "creating", "creating", "creating", "stopping"},
    {OBSERVED_STARTING, "starting", "starting", "starting", "stopping"},
    {OBSERVED_RUNNING, "running", "running", "running", "stopping"},
    {OBSERVED_STOPPING, "stopping", "stopping", "stopping", "stopping"},
    {OBSERVED_STOPPED, "starting", "starting", "crashed", "suspended"},
    {OBSERVED_FAILED, "creating", "starting", "crashed", "stopping"},
    {OBSERVED_REMOVING, "stopping", "stopping", "stopping", "stopping"},
    {OBSERVED_REMOVED, "creating", "starting", "crashed", "suspended"},
    {OBSERVED_INSTALLING, "installing", "installing", "installing", "stopping"},
};
#define ROWS (sizeof(table) / sizeof(table[0]))

static const char *name(enum instance_phase phase, bool suspended, enum instance_observed seen,
                        bool hurt, enum node_status node)
{
    return instance_state_name(phase, suspended, POWER_ON, seen, hurt, node);
}

static void each_observation_has_its_word(void **state)
{
    (void)state;
    static const enum node_status reachable[] = {NODE_ONLINE, NODE_SUSPECT, NODE_MAINTENANCE};
    for (size_t n = 0; n < sizeof(reachable) / sizeof(reachable[0]); n++) {
        for (size_t i = 0; i < ROWS; i++) {
            enum instance_observed seen = table[i].observed;
            enum node_status node = reachable[n];
            for (int hurt = 0; hurt < 2; hurt++) {
                assert_string_equal(name(PHASE_INSTALLING, false, seen, hurt, node),
                                    table[i].installing);
                assert_string_equal(name(PHASE_READY, false, seen, hurt, node),
                                    hurt ? table[i].hurt : table[i].ready);
                assert_string_equal(name(PHASE_READY, true, seen, hurt, node), table[i].suspended);
                assert_string_equal(name(PHASE_INSTALLING, true, seen, hurt, node),
                                    table[i].suspended);
            }
        }
    }
}

static void what_is_decided_outranks_what_is_seen(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        for (int suspended = 0; suspended < 2; suspended++) {
            enum instance_observed seen = table[i].observed;
            assert_string_equal(name(PHASE_DELETING, suspended, seen, false, NODE_OFFLINE),
                                "deleting");
            assert_string_equal(name(PHASE_DELETING, suspended, seen, false, NODE_ONLINE),
                                "deleting");
            assert_string_equal(name(PHASE_FAILED, suspended, seen, true, NODE_ONLINE), "failed");
            assert_string_equal(name(PHASE_FAILED, suspended, seen, true, NODE_OFFLINE), "unknown");
            assert_string_equal(name(PHASE_READY, suspended, seen, true, NODE_OFFLINE), "unknown");
            assert_string_equal(name(PHASE_READY, suspended, seen, false, NODE_UNCONFIGURED),
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
            instance_state_name(PHASE_READY, false, power, OBSERVED_STOPPED, true, NODE_ONLINE),
            wishes[i].down);
        assert_string_equal(
            instance_state_name(PHASE_READY, false, power, OBSERVED_RUNNING, false, NODE_ONLINE),
            wishes[i].up);
        assert_string_equal(
            instance_state_name(PHASE_READY, true, power, OBSERVED_STOPPED, true, NODE_ONLINE),
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
