/* Failpoints. See failpoint.h. */
#include "common/failpoint.h"

#ifdef PANEL_FAILPOINTS

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/auto.h"

#define POINTS_MAX 16

static struct point {
    char name[64];
    enum { DIE, SLEEP, FAIL } action;
    long sleep_ms;
    unsigned only; /* 0: every visit */
    unsigned visits;
} points[POINTS_MAX];

static size_t point_count;
static uint32_t hurry = 1;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void read_point(char *text)
{
    char *equals = strchr(text, '=');
    if (!equals || point_count == POINTS_MAX)
        return;
    struct point *point = &points[point_count++];
    *equals = '\0';
    snprintf(point->name, sizeof(point->name), "%s", text);
    char *at = strchr(equals + 1, '@');
    if (at) {
        *at = '\0';
        point->only = (unsigned)strtoul(at + 1, NULL, 10);
    }
    if (strncmp(equals + 1, "sleep:", 6) == 0) {
        point->action = SLEEP;
        point->sleep_ms = strtol(equals + 7, NULL, 10);
    } else {
        point->action = strcmp(equals + 1, "fail") == 0 ? FAIL : DIE;
    }
}

static void read_environment(void)
{
    const char *all = getenv("PANEL_FAILPOINTS");
    auto_free char *copy = all ? strdup(all) : NULL;
    char *rest = copy;
    const char *divisor = getenv("PANEL_HURRY");
    if (divisor && strtoul(divisor, NULL, 10) > 0)
        hurry = (uint32_t)strtoul(divisor, NULL, 10);
    while (rest && *rest) {
        char *end = strchr(rest, ';');
        if (end)
            *end = '\0';
        read_point(rest);
        rest = end ? end + 1 : NULL;
    }
}

bool failpoint_visit(const char *name)
{
    pthread_once(&once, read_environment);
    for (size_t i = 0; i < point_count; i++) {
        struct point *point = &points[i];
        if (strcmp(point->name, name) != 0)
            continue;
        pthread_mutex_lock(&lock);
        unsigned visit = ++point->visits;
        pthread_mutex_unlock(&lock);
        if (point->only && visit != point->only)
            continue;
        if (point->action == DIE)
            kill(getpid(), SIGKILL);
        else if (point->action == SLEEP)
            nanosleep(&(struct timespec){.tv_sec = point->sleep_ms / 1000,
                                         .tv_nsec = point->sleep_ms % 1000 * 1000000},
                      NULL);
        else
            return true;
    }
    return false;
}

uint32_t failpoint_hurried(uint32_t ms)
{
    pthread_once(&once, read_environment);
    return ms / hurry;
}

#else

/* An empty translation unit is not C. */
typedef int failpoint_unused;

#endif
