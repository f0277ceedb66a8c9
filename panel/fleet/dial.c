/* Who may connect when: at most DIAL_WINDOW nodes are in a handshake at once. One that takes longer
 * than DIAL_HANDSHAKE_MS is likely silent, not working, and makes room for others; one that doesn't
 * get through in DIAL_PATIENCE_MS comes again, later and later, with jitter. A handshake costs both
 * sides some 7 ms of CPU, and all that are under way progress together, so a thousand at once would
 * be a thousand late. */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/crypto.h"
#include "common/log.h"
#include "panel/fleet/state.h"
#include "panel/metrics/metrics.h"

#define DIAL_WINDOW       32
#define DIAL_HANDSHAKE_MS 2000
#define DIAL_PATIENCE_MS  8000
#define REST_MIN_MS       100u
#define REFUSALS_EVERY_MS 5000
#define CERT_LIFE_MS      (30LL * 24 * 3600 * 1000) /* of its 365 days */

static void dial_next(struct fleet *fleet);

static void set_state(struct fleet_node *node, enum link_state state)
{
    static const enum metric metrics[] = {
        [LINK_IDLE] = METRIC_LINKS_IDLE,
        [LINK_QUEUED] = METRIC_LINKS_QUEUED,
        [LINK_DIALING] = METRIC_LINKS_DIALING,
        [LINK_UP] = METRIC_LINKS_UP,
    };
    metric_add(metrics[node->link_state], -1);
    metric_add(metrics[state], 1);
    node->link_state = state;
}

static struct fleet_node *node_of(struct timer *timer)
{
    return (struct fleet_node *)((char *)timer - offsetof(struct fleet_node, dial_timer));
}

static int refresh_certificate(struct fleet *fleet, struct err *err)
{
    int64_t now = clock_mono_ms();
    struct ca_state ca;
    ca_look(fleet->ca, &ca);
    if (fleet->panel_cert && now - fleet->panel_cert_made < CERT_LIFE_MS &&
        fleet->ca_changes == ca.changes)
        return 0;
    char *key;
    char *cert;
    char *trusted = ca_bundle(fleet->ca);
    if (!trusted)
        return err_nomem(err);
    if (ca_issue_panel(fleet->ca, &key, &cert, err) < 0) {
        free(trusted);
        return -1;
    }
    dial_fini(fleet);
    fleet->trusted = trusted;
    fleet->ca_changes = ca.changes;
    fleet->panel_key = key;
    fleet->panel_cert = cert;
    fleet->panel_cert_made = now;
    return 0;
}

static uint32_t jittered(uint32_t ms)
{
    uint32_t random;
    crypto_random(&random, sizeof(random));
    return ms / 2 + random % (ms + 1);
}

static void rest_over(struct timer *timer)
{
    dial_queue(node_of(timer));
}

void dial_after_rest(struct fleet_node *node)
{
    unsigned doublings = node->dial_failures < 5 ? node->dial_failures : 5;
    uint32_t rest = REST_MIN_MS << doublings;
    node->dial_timer.fire = rest_over;
    timers_set(&node->fleet->timers, &node->dial_timer, clock_mono_ms() + jittered(rest));
}

static void leave_window(struct fleet_node *node)
{
    if (!node->in_window)
        return;
    node->in_window = false;
    node->fleet->dialing--;
    dial_next(node->fleet);
}

/* nng tries again by itself and doesn't say why; its figures do, at a price by the fleet's size. */
static void look_for_refusals(struct fleet *fleet)
{
    int64_t now = clock_mono_ms();
    struct fleet_node *node;
    struct fleet_node *next;
    if (fleet->refusals_looked && now < fleet->refusals_looked + REFUSALS_EVERY_MS)
        return;
    fleet->refusals_looked = now;
    struct link_figures *figures = link_figures_take();
    if (!figures)
        return;
    HASH_ITER(hh, fleet->nodes, node, next)
    {
        if (node->link_state == LINK_DIALING && link_was_refused(node->link, figures))
            node_refused(node);
    }
    link_figures_free(figures);
}

static void patience_over(struct timer *timer)
{
    struct fleet_node *node = node_of(timer);
    look_for_refusals(node->fleet);
    dial_abandon(node);
    metric_add(METRIC_DIALS_FAILED, 1);
    node->dial_failures++;
    dial_after_rest(node);
}

static void handshake_is_slow(struct timer *timer)
{
    struct fleet_node *node = node_of(timer);
    node->dial_timer.fire = patience_over;
    timers_set(&node->fleet->timers, timer, clock_mono_ms() + DIAL_PATIENCE_MS - DIAL_HANDSHAKE_MS);
    look_for_refusals(node->fleet);
    leave_window(node);
}

static void dial_start(struct fleet_node *node)
{
    struct fleet *fleet = node->fleet;
    struct err err = {0};
    metric_add(METRIC_DIALS, 1);
    int rc = refresh_certificate(fleet, &err);
    if (rc == 0) {
        node->ca_changes = fleet->ca_changes;
        struct link_tls tls = {fleet->trusted, fleet->panel_cert, fleet->panel_key};
        rc = link_dial(node->link, node->address, node->port, &tls, &err);
    }
    if (rc < 0) {
        log_warn("node can't be dialled", "node=%s op=%s reason=\"%s\"", node->id, "dial", err.msg);
        set_state(node, LINK_IDLE);
        metric_add(METRIC_DIALS_FAILED, 1);
        node->dial_failures++;
        dial_after_rest(node);
        return;
    }
    set_state(node, LINK_DIALING);
    node->in_window = true;
    fleet->dialing++;
    node->dial_timer.fire = handshake_is_slow;
    timers_set(&fleet->timers, &node->dial_timer, clock_mono_ms() + DIAL_HANDSHAKE_MS);
}

static void dial_next(struct fleet *fleet)
{
    /* At its end each node that goes would make room for another dial. */
    while (!atomic_load(&fleet->stopping) && fleet->dialing < DIAL_WINDOW && fleet->dial_queue) {
        struct fleet_node *node = fleet->dial_queue;
        fleet->dial_queue = node->dial_next;
        if (!fleet->dial_queue)
            fleet->dial_tail = &fleet->dial_queue;
        node->dial_next = NULL;
        dial_start(node);
    }
}

void dial_queue(struct fleet_node *node)
{
    struct fleet *fleet = node->fleet;
    if (node->link_state != LINK_IDLE)
        return;
    set_state(node, LINK_QUEUED);
    node->dial_next = NULL;
    *fleet->dial_tail = node;
    fleet->dial_tail = &node->dial_next;
    dial_next(fleet);
}

static void leave_queue(struct fleet_node *node)
{
    struct fleet *fleet = node->fleet;
    struct fleet_node **at = &fleet->dial_queue;
    while (*at && *at != node)
        at = &(*at)->dial_next;
    if (*at)
        *at = node->dial_next;
    if (fleet->dial_tail == &node->dial_next)
        fleet->dial_tail = at;
    node->dial_next = NULL;
}

void dial_abandon(struct fleet_node *node)
{
    enum link_state was = node->link_state;
    set_state(node, LINK_IDLE);
    timers_cancel(&node->fleet->timers, &node->dial_timer);
    if (was == LINK_QUEUED)
        leave_queue(node);
    if (was == LINK_DIALING || was == LINK_UP)
        link_hang_up(node->link);
    leave_window(node);
}

/* Not by what was trusted when it was dialled: a CA may have been ended meanwhile. */
bool dial_succeeded(struct fleet_node *node)
{
    struct ca_state ca;
    if (node->link_state != LINK_DIALING)
        return true;
    ca_look(node->fleet->ca, &ca);
    if (node->ca_changes != ca.changes) {
        dial_abandon(node);
        dial_after_rest(node);
        return false;
    }
    set_state(node, LINK_UP);
    node->live.refused = false;
    timers_cancel(&node->fleet->timers, &node->dial_timer);
    leave_window(node);
    return true;
}

void dial_fini(struct fleet *fleet)
{
    if (fleet->panel_key)
        crypto_wipe(fleet->panel_key, strlen(fleet->panel_key));
    free(fleet->panel_key);
    free(fleet->panel_cert);
    free(fleet->trusted);
    fleet->trusted = NULL;
    fleet->panel_key = NULL;
    fleet->panel_cert = NULL;
}
