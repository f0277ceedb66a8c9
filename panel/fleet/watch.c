/* Watch: asking a node for news of what somebody looks at. While anybody does, one is always under
 * way, held by the agent until there is news; when what is looked at changes, another one follows
 * it, and the agent lets the older go. An answer is followed by the next Watch at once, but not
 * more often than every PACE_MS: so a line that comes after silence is told without delay, and one
 * container that prints without end takes no more of the loop than others. */
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "panel/fleet/state.h"

#define HELD_MS   10000u
#define MARGIN_MS 5000u
#define PACE_MS   10
#define REST_MS   1000  /* after a failure */
#define OLD_MS    30000 /* an agent that doesn't know of Watch: perhaps it is updated */
#define CALLS_MAX 2u
#define STATS_MAX 512u /* nor measures more by name */

static void watch_send(struct fleet_node *node);

static void watch_is_due(struct timer *timer)
{
    watch_send((struct fleet_node *)((char *)timer - offsetof(struct fleet_node, watch.timer)));
}

static void come_back(struct fleet_node *node, int64_t due)
{
    node->watch.timer.fire = watch_is_due;
    timers_set(&node->fleet->timers, &node->watch.timer, due);
}

static void take_reply(struct fleet_node *node, const Wire__WatchReply *reply)
{
    for (size_t i = 0; i < reply->n_logs; i++)
        logs_take(node, reply->logs[i]);
    for (size_t i = 0; i < reply->n_stats; i++)
        stats_take(node, reply->stats[i]);
}

static void watch_done(void *arg, Wire__Envelope **reply, const struct err *err)
{
    struct fleet_node *node = arg;
    int64_t now = clock_mono_ms();
    node->watch.calls--;
    if (!node_is_ready(node))
        return; /* watch_again() comes when it is */
    if (err) {
        come_back(node, now + REST_MS);
    } else if ((*reply)->body_case != WIRE__ENVELOPE__BODY_WATCH_REPLY) {
        log_warn("node can't be watched", "node=%s", node->id);
        come_back(node, now + OLD_MS);
    } else {
        take_reply(node, (*reply)->watch_reply);
        if (node->watch.changed || !node->watch.calls)
            come_back(node, node->watch.sent_at + PACE_MS);
    }
}

static void watch_send(struct fleet_node *node)
{
    struct watched_log *rows = calloc(NODE_LOGS_MAX, sizeof(*rows));
    Wire__WatchedLog **pointers = calloc(NODE_LOGS_MAX, sizeof(*pointers));
    char **ids = calloc(STATS_MAX, sizeof(*ids));
    Wire__Envelope envelope;
    Wire__Watch watch = WIRE__WATCH__INIT;
    struct err err = {0};
    int rc = -1;
    timers_cancel(&node->fleet->timers, &node->watch.timer);
    if (!node_is_ready(node) || node->watch.calls >= CALLS_MAX)
        goto out;
    size_t count = rows && pointers ? logs_watched(node, rows, NODE_LOGS_MAX) : 0;
    bool all_stats = false;
    size_t stats = ids ? stats_watched(node, ids, STATS_MAX, &all_stats) : 0;
    node->watch.changed = false;
    bool named = count || stats || all_stats;
    if (!named && !node->watch.named)
        goto out;
    node->watch.named = named; /* one that names nothing ends what was named before */
    for (size_t i = 0; i < count; i++)
        pointers[i] = &rows[i].log;
    node_envelope(node, &envelope);
    watch.wait_ms = named ? HELD_MS : 0;
    watch.n_logs = count;
    watch.logs = pointers;
    watch.n_stats = stats;
    watch.stats = ids;
    watch.all_stats = all_stats;
    envelope.body_case = WIRE__ENVELOPE__BODY_WATCH;
    envelope.watch = &watch;
    node->watch.sent_at = clock_mono_ms();
    rc = link_call(node->link, &envelope, HELD_MS + MARGIN_MS, watch_done, node, &err);
    if (rc < 0)
        come_back(node, node->watch.sent_at + REST_MS);
    else
        node->watch.calls++;
out:
    free(ids);
    free(rows);
    free(pointers);
}

void watch_again(struct fleet_node *node)
{
    node->watch.changed = true;
    if (node->watch.calls < CALLS_MAX)
        come_back(node, clock_mono_ms());
}
