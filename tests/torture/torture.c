/* The rounds of a torture, and what is looked at after each. See torture.h. */
#include "tests/torture/torture.h"

#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of the sanitizers; absent in other builds. */
/* NOLINTBEGIN(bugprone-reserved-identifier) */
__attribute__((weak)) int __lsan_do_recoverable_leak_check(void);
__attribute__((weak)) void __sanitizer_print_stack_trace(void);
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));
/* NOLINTEND(bugprone-reserved-identifier) */

#define ROUNDS_MAX 100000
/* In short, not each of SQLite's many: a prime, so that no cycle of theirs goes unseen. */
#define EACH_UNTIL 60
#define LATER_STEP 37
/* Nor ever more of the same: what makes a whole database by eighteen migrations has thousands. */
#define SPREAD_FROM 1000
#define SPREAD_STEP 307

static const char *const kind_names[TORTURE_KINDS] = {"memory", "calls", "interrupt", "pieces"};

static struct {
    const char *scenario;
    enum torture_kind kind;
    long target;  /* the call that fails; 0: none does */
    bool for_all; /* and all after it */
    bool show;
    _Atomic bool armed;
    _Atomic long seen;
    _Atomic long hits;
    const char *call; /* the first that failed */
} now;

static long failures;

static void tell(void)
{
    fprintf(stderr, "torture: %s/%s/%ld%s: %s failed\n", now.scenario, kind_names[now.kind],
            now.target, now.for_all ? " and all after" : "", now.call ? now.call : "nothing");
}

bool torture_hit(enum torture_kind kind, const char *call)
{
    if (!atomic_load(&now.armed) || kind != now.kind)
        return false;
    long n = atomic_fetch_add(&now.seen, 1) + 1;
    if (!now.target || n < now.target || (n > now.target && !now.for_all))
        return false;
    if (atomic_fetch_add(&now.hits, 1) == 0)
        now.call = call;
    if (now.show && n == now.target && __sanitizer_print_stack_trace) {
        atomic_store(&now.armed, false);
        tell();
        __sanitizer_print_stack_trace();
        atomic_store(&now.armed, true);
    }
    return true;
}

bool torture_has_hit(void)
{
    return atomic_load(&now.hits) > 0;
}

static int count_descriptors(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* False when there is no such call any more. */
static bool round_of(const struct torture *scenario)
{
    struct err err = {0};
    int descriptors = count_descriptors();
    if (scenario->before)
        scenario->before();
    now.call = NULL;
    atomic_store(&now.seen, 0);
    atomic_store(&now.hits, 0);
    atomic_store(&now.armed, true);
    int rc = scenario->work(&err);
    atomic_store(&now.armed, false);
    bool hit = torture_has_hit();
    if (rc < 0 && (!hit || now.kind == TORTURE_INTERRUPT || now.kind == TORTURE_PIECES)) {
        tell();
        fail_msg("%s", err.msg);
    }
    if (rc < 0 && (err.code == ERR_NONE || !err.reason[0] || !err.msg[0])) {
        tell();
        fail_msg("no error tells why");
    }
    if (now.show)
        fprintf(stderr, "torture: ended with %d (%s: %s)\n", rc, err.reason, err.msg);
    if (scenario->after)
        scenario->after(rc);
    if (count_descriptors() != descriptors) {
        tell();
        fail_msg("%d descriptors became %d", descriptors, count_descriptors());
    }
    failures += hit;
    return hit;
}

static void look_for_leaks(void)
{
    if (__lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check()) {
        tell();
        fail_msg("leaked; TORTURE_LEAKS=1 tells in which round");
    }
}

static long step_after(long target)
{
    if (target < EACH_UNTIL || getenv("TORTURE_LONG"))
        return 1;
    return target < SPREAD_FROM ? LATER_STEP : SPREAD_STEP;
}

static void all_rounds(const struct torture *scenario, enum torture_kind kind, bool for_all)
{
    now.kind = kind;
    now.for_all = for_all;
    for (now.target = 1; now.target < ROUNDS_MAX; now.target += step_after(now.target)) {
        bool hit = round_of(scenario);
        if (getenv("TORTURE_LEAKS"))
            look_for_leaks();
        if (!hit)
            return;
    }
    fail_msg("%s: no end of calls", scenario->name);
}

static bool is_wanted(const char *only, const struct torture *scenario)
{
    return strncmp(only, scenario->name, strlen(scenario->name)) == 0 &&
           only[strlen(scenario->name)] == '/';
}

static void one_round(const struct torture *scenario, const char *only)
{
    const char *number = strrchr(only, '/') + 1;
    now.target = strtol(number, NULL, 10);
    for (now.kind = 0; now.kind + 1 < TORTURE_KINDS; now.kind++) {
        if (strstr(only, kind_names[now.kind]))
            break;
    }
    now.show = true;
    round_of(scenario);
    look_for_leaks();
}

void torture(const struct torture *scenario)
{
    const char *only = getenv("TORTURE_ONLY");
    now.scenario = scenario->name;
    now.target = 0;
    now.show = false;
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(tell);
    if (only) {
        if (is_wanted(only, scenario))
            one_round(scenario, only);
        return;
    }
    round_of(scenario); /* what is made once and kept is made now */
    long before = failures;
    for (enum torture_kind kind = 0; kind < TORTURE_KINDS; kind++) {
        all_rounds(scenario, kind, false);
        if (getenv("TORTURE_LONG") && kind <= TORTURE_CALLS)
            all_rounds(scenario, kind, true);
        look_for_leaks();
    }
    printf("%s: %ld failures\n", scenario->name, failures - before);
}

void torture_evidence(const char *promise, const char *modules)
{
    if (failures)
        printf("evidence: %s|every allocation and call fails in turn: %s|%ld\n", promise, modules,
               failures);
    fflush(stdout);
    failures = 0;
}

void torture_folder(char out[64])
{
    const char *top = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(out, 64, "%s/panel-torture-XXXXXX", top);
    assert_non_null(mkdtemp(out));
}
