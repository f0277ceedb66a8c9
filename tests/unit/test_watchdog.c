/* The proof of life: a supervisor hears of us only while every loop that is watched does what it is
 * asked. The loops are the real ones of the panel, made to hang in a change and in a callback. */
#include "tests/unit/unit.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/watchdog.h"
#include "panel/fleet/fleet.h"
#include "panel/store/store.h"

#define PATIENCE_MS 10000

/* --- a supervisor ---------------------------------------------------------------------------- */

static int supervisor = -1;

static int listen_as_supervisor(void **state)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    (void)state;
    snprintf(at.sun_path, sizeof(at.sun_path), "@panel-watchdog-test-%d", (int)getpid());
    setenv("NOTIFY_SOCKET", at.sun_path, 1);
    supervisor = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(at.sun_path));
    at.sun_path[0] = '\0';
    assert_int_equal(bind(supervisor, (struct sockaddr *)&at, len), 0);
    setenv("WATCHDOG_USEC", "400000", 1);
    unsetenv("WATCHDOG_PID");
    return 0;
}

static int stop_listening(void **state)
{
    (void)state;
    close(supervisor);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    return 0;
}

/* How many pings have come since the last look. */
static int pings(void)
{
    char text[64];
    int count = 0;
    ssize_t len;
    while ((len = recv(supervisor, text, sizeof(text) - 1, 0)) > 0) {
        text[len] = '\0';
        assert_string_equal(text, "WATCHDOG=1");
        count++;
    }
    return count;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* Tick until one is answered. */
static void expect_alive(struct watchdog *watchdog)
{
    int64_t deadline = clock_mono_ms() + PATIENCE_MS;
    while (!watchdog_tick(watchdog)) {
        assert_true(clock_mono_ms() < deadline);
        nap();
    }
    assert_int_equal(pings(), 1);
}

static void expect_silent(struct watchdog *watchdog)
{
    for (int i = 0; i < 50; i++) {
        assert_false(watchdog_tick(watchdog));
        nap();
    }
    assert_int_equal(pings(), 0);
}

/* --- the environment ------------------------------------------------------------------------- */

static void test_who_asks(void **state)
{
    char text[32];
    (void)state;
    assert_int_equal(notify_watchdog_ms(), 400);
    snprintf(text, sizeof(text), "%d", (int)getpid());
    setenv("WATCHDOG_PID", text, 1);
    assert_int_equal(notify_watchdog_ms(), 400);
    setenv("WATCHDOG_PID", "1", 1); /* meant for another process */
    assert_int_equal(notify_watchdog_ms(), 0);
    unsetenv("WATCHDOG_PID");
    static const char *const none[] = {"", "0", "-5", "x", "5x", "99999999999999999999"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        setenv("WATCHDOG_USEC", none[i], 1);
        assert_int_equal(notify_watchdog_ms(), 0);
    }
    unsetenv("WATCHDOG_USEC");
    assert_int_equal(notify_watchdog_ms(), 0);
    struct watchdog watchdog;
    watchdog_init(&watchdog);
    assert_int_equal(watchdog.tick_ms, 0);
    assert_false(watchdog_tick(&watchdog));
    assert_int_equal(pings(), 0);
}

/* --- loops of a test's own ------------------------------------------------------------------- */

static int asked[2];

static void ask_first(struct heart *heart)
{
    (void)heart;
    asked[0]++;
}

static void ask_second(struct heart *heart)
{
    (void)heart;
    asked[1]++;
}

static void test_one_that_hangs_is_enough(void **state)
{
    (void)state;
    struct heart first = {.name = "first", .ask = ask_first};
    struct heart second = {.name = "second", .ask = ask_second};
    struct watchdog watchdog;
    watchdog_init(&watchdog);
    assert_int_equal(watchdog.tick_ms, 100);
    watchdog_add(&watchdog, &first);
    watchdog_add(&watchdog, &second);
    assert_true(watchdog_tick(&watchdog));
    assert_int_equal(pings(), 1);
    heart_beat(&first);
    expect_silent(&watchdog);
    heart_beat(&second);
    assert_true(watchdog_tick(&watchdog));
    assert_int_equal(pings(), 1);
    assert_int_equal(asked[0], 2); /* not once more while it owes an answer */
    assert_int_equal(asked[1], 2);
}

/* --- the panel's ----------------------------------------------------------------------------- */

static sem_t hangs;
static sem_t let_go;

static void hang(void)
{
    sem_post(&hangs);
    sem_wait(&let_go);
}

static int hang_in_change(struct store_change *change, struct store_tx *tx, struct err *err)
{
    (void)change;
    (void)tx;
    (void)err;
    hang();
    return 0;
}

static void end_change(struct store_change *change, const struct err *err)
{
    (void)change;
    (void)err;
}

static void hang_in_wait(void *arg, enum fleet_outcome outcome)
{
    (void)arg;
    (void)outcome;
    hang();
}

static void test_the_panels_loops(void **state)
{
    char folder[] = "/tmp/panel-watchdog-test.XXXXXX";
    struct store *store = NULL;
    struct ca *ca = NULL;
    struct fleet *fleet = NULL;
    struct err err = {0};
    const struct fleet_settings settings = {.beat_ms = 1000,
                                            .install_timeout_ms = 1000,
                                            .stop_timeout_ms = 1000,
                                            .auto_ports = {20000, 20010}};
    (void)state;
    sem_init(&hangs, 0, 0);
    sem_init(&let_go, 0, 0);
    assert_non_null(mkdtemp(folder));
    if (store_open(folder, NULL, &store, &err) < 0 ||
        ca_open(folder, store_identity(store)->panel_id, &ca, &err) < 0 ||
        fleet_create(store, ca, &settings, &fleet, &err) < 0)
        fail_msg("%s", err.msg);

    struct watchdog watchdog;
    watchdog_init(&watchdog);
    watchdog_add(&watchdog, store_heart(store));
    watchdog_add(&watchdog, fleet_heart(fleet));
    expect_alive(&watchdog);
    expect_alive(&watchdog);

    struct store_change change = {.apply = hang_in_change, .done = end_change};
    assert_int_equal(store_submit(store, &change, &err), 0);
    sem_wait(&hangs);
    watchdog_tick(&watchdog); /* what was answered before may still be told */
    pings();
    expect_silent(&watchdog);
    sem_post(&let_go);
    expect_alive(&watchdog);

    assert_int_equal(
        fleet_wait_instance(fleet, "no-such-one", FLEET_GOAL_GONE, 1000, hang_in_wait, NULL, &err),
        0);
    sem_wait(&hangs);
    watchdog_tick(&watchdog);
    pings();
    expect_silent(&watchdog);
    sem_post(&let_go);
    expect_alive(&watchdog);

    store_drain(store); /* answers what it was asked */
    fleet_destroy(fleet);
    store_close(store);
    ca_close(ca);
    assert_int_equal(fs_remove_tree(folder, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_who_asks, listen_as_supervisor, stop_listening),
        cmocka_unit_test_setup_teardown(test_one_that_hangs_is_enough, listen_as_supervisor,
                                        stop_listening),
        cmocka_unit_test_setup_teardown(test_the_panels_loops, listen_as_supervisor,
                                        stop_listening),
    };
    log_level_set(LOG_ERROR);
    return crypto_init(NULL) < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
