/* GET /metrics: what the panel counts of itself, what its rooms tell when asked, and its fleet.
 *
 * The families are tables here and in metrics_nodes.c; docs/watching.md lists them, and a test
 * holds the two against each other. Labels have few values, all of the panel's own making: routes
 * are told by pattern. A scrape takes no lock for longer than it copies one node. Of a large fleet
 * it is made on the lister's thread, like every long answer. */
#include "panel/api/metrics.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/auto.h"
#include "common/log.h"
#include "panel/api/handlers.h"
#include "panel/api/internal.h"
#include "panel/auth/password.h"
#include "panel/http/tls.h"
#include "panel/metrics/process.h"
#include "panel/metrics/pulse.h"

#define LONG_BYTES 262144u

void metrics_put_one(struct exposition *to, const struct family *family, int64_t value,
                     unsigned decimals)
{
    expose_family(to, family);
    expose_sample(to, NULL, 0, value, decimals);
}

/* --- tallies --------------------------------------------------------------------------------- */

/* A row without help is another sample of the family before. */
static const struct tally {
    struct family family;
    struct label label;
    enum metric metric;
} tallies[] = {
    {{"panel_http_connections", FAMILY_GAUGE, "", "Open connections of clients."},
     {NULL, NULL},
     METRIC_CONNECTIONS},
    {{"panel_http_connections_accepted", FAMILY_COUNTER, "", "Connections of clients accepted."},
     {NULL, NULL},
     METRIC_CONNECTIONS_ACCEPTED},
    {{"panel_http_connections_cut", FAMILY_COUNTER, "",
      "Idle connections closed to make room for new ones."},
     {NULL, NULL},
     METRIC_CONNECTIONS_CUT},
    {{"panel_http_requests_in_flight", FAMILY_GAUGE, "",
      "Requests whose head is read and whose answer is not wholly sent, streams among them."},
     {NULL, NULL},
     METRIC_REQUESTS_IN_FLIGHT},
    {{"panel_http_streams", FAMILY_GAUGE, "", "Event streams that are open."},
     {NULL, NULL},
     METRIC_STREAMS},
    {{"panel_stream_followers", FAMILY_GAUGE, "",
      "Readers of what is passed on as it comes: consoles, stats."},
     {NULL, NULL},
     METRIC_FOLLOWERS},
    {{"panel_stream_lines_lost", FAMILY_COUNTER, "",
      "Lines that a follower missed, for it read too slowly or they were too many."},
     {NULL, NULL},
     METRIC_LINES_LOST},
    {{"panel_auth_failures", FAMILY_COUNTER, "",
      "Requests refused for their API key: none was shown, or none that is valid."},
     {"reason", "missing"},
     METRIC_KEYS_MISSING},
    {{NULL}, {"reason", "invalid"}, METRIC_KEYS_REFUSED},
    {{"panel_login_failures", FAMILY_COUNTER, "",
      "Passwords refused: wrong, or of no user, or not looked at for there were too many."},
     {"reason", "wrong"},
     METRIC_PASSWORDS_WRONG},
    {{NULL}, {"reason", "too_many"}, METRIC_PASSWORDS_UNTRIED},
    {{"panel_store_commits", FAMILY_COUNTER, "", "Transactions committed, each with one fsync."},
     {NULL, NULL},
     METRIC_COMMITS},
    {{"panel_store_commit_failures", FAMILY_COUNTER, "", "Transactions that failed as a whole."},
     {NULL, NULL},
     METRIC_COMMITS_FAILED},
    {{"panel_store_changes", FAMILY_COUNTER, "",
      "Changes by what became of them; turned_away: the queue was full."},
     {"result", "committed"},
     METRIC_CHANGES},
    {{NULL}, {"result", "refused"}, METRIC_CHANGES_REFUSED},
    {{NULL}, {"result", "turned_away"}, METRIC_CHANGES_TURNED_AWAY},
    {{"panel_links", FAMILY_GAUGE, "", "Links to nodes by state; idle: waits to dial again."},
     {"state", "idle"},
     METRIC_LINKS_IDLE},
    {{NULL}, {"state", "queued"}, METRIC_LINKS_QUEUED},
    {{NULL}, {"state", "dialing"}, METRIC_LINKS_DIALING},
    {{NULL}, {"state", "up"}, METRIC_LINKS_UP},
    {{"panel_dials", FAMILY_COUNTER, "", "Attempts to connect to a node."},
     {NULL, NULL},
     METRIC_DIALS},
    {{"panel_dial_failures", FAMILY_COUNTER, "", "Those that came to nothing."},
     {NULL, NULL},
     METRIC_DIALS_FAILED},
    {{"panel_links_lost", FAMILY_COUNTER, "", "Links that broke after they had been up."},
     {NULL, NULL},
     METRIC_LINKS_LOST},
    {{"panel_beats", FAMILY_COUNTER, "", "Heartbeats: answers of agents to a Sync."},
     {NULL, NULL},
     METRIC_BEATS},
    {{"panel_beats_missed", FAMILY_COUNTER, "", "Syncs that no answer came to in time."},
     {NULL, NULL},
     METRIC_BEATS_MISSED},
    {{"panel_certificate_renewals", FAMILY_COUNTER, "", "Agents' certificates renewed, or not."},
     {"result", "renewed"},
     METRIC_RENEWALS},
    {{NULL}, {"result", "failed"}, METRIC_RENEWALS_FAILED},
    {{"panel_instance_crashes", FAMILY_COUNTER, "",
      "Containers that ended, or were removed, though they were to run."},
     {NULL, NULL},
     METRIC_INSTANCE_CRASHES},
    {{"panel_instance_failures", FAMILY_COUNTER, "",
      "Instances given up: not installed, or not stopped, in time or at all."},
     {NULL, NULL},
     METRIC_INSTANCE_FAILURES},
};

static void put_tallies(struct exposition *to)
{
    for (size_t i = 0; i < ARRAY_LEN(tallies); i++) {
        const struct tally *tally = &tallies[i];
        if (tally->family.name)
            expose_family(to, &tally->family);
        expose_sample(to, &tally->label, tally->label.name ? 1 : 0,
                      (int64_t)metric_read(tally->metric), 0);
    }
}

/* --- requests -------------------------------------------------------------------------------- */

static const char *const classes[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};

static void label_route(unsigned metric, struct label labels[2])
{
    const struct route *route = metric ? &routes[metric - 1] : NULL;
    labels[0] = (struct label){"method", route ? call_method_word(route->method) : "other"};
    labels[1] = (struct label){"route", route ? route->path : "none"};
}

static void put_requests(struct exposition *to)
{
    static const struct family requests = {
        "panel_http_requests", FAMILY_COUNTER, "",
        "Answers by route and class of status; route none: no such path, no key, or no good head."};
    static const struct family took = {
        "panel_http_request_duration_seconds", FAMILY_HISTOGRAM, "seconds",
        "From a request's first line to its answer; of a stream, to its head."};
    struct route_view view;
    struct label labels[3];
    expose_family(to, &requests);
    for (unsigned i = 0; i <= routes_count; i++) {
        metric_route_read(i, &view);
        label_route(i, labels);
        for (unsigned class = 0; class < ARRAY_LEN(classes); class ++) {
            labels[2] = (struct label){"code", classes[class]};
            if (view.by_class[class])
                expose_sample(to, labels, 3, (int64_t)view.by_class[class], 0);
        }
    }
    expose_family(to, &took);
    for (unsigned i = 0; i <= routes_count; i++) {
        metric_route_read(i, &view);
        label_route(i, labels);
        uint64_t seen = 0;
        for (size_t at = 0; at <= view.took_us.count; at++)
            seen += view.took_us.counts[at];
        if (seen)
            expose_histogram(to, labels, 2, &view.took_us, 6);
    }
}

/* --- the store and the queues ---------------------------------------------------------------- */

static void put_commits(struct exposition *to)
{
    static const struct family took = {"panel_store_commit_duration_seconds", FAMILY_HISTOGRAM,
                                       "seconds", "A transaction from its begin to its fsync."};
    static const struct family changes = {"panel_store_commit_changes", FAMILY_HISTOGRAM, "",
                                          "How many changes one transaction carried."};
    struct histogram_view view;
    histogram_read(HISTOGRAM_COMMIT_US, &view);
    expose_family(to, &took);
    expose_histogram(to, NULL, 0, &view, 6);
    histogram_read(HISTOGRAM_COMMIT_CHANGES, &view);
    expose_family(to, &changes);
    expose_histogram(to, NULL, 0, &view, 0);
}

static int put_space(struct exposition *to, struct store *store, struct err *err)
{
    static const struct family size = {"panel_store_size_bytes", FAMILY_GAUGE, "bytes",
                                       "The database, its free pages included."};
    static const struct family unused = {"panel_store_free_bytes", FAMILY_GAUGE, "bytes",
                                         "Pages of the database that are free to be used again."};
    static const struct family wal = {"panel_store_wal_bytes", FAMILY_GAUGE, "bytes",
                                      "The database's write-ahead log."};
    static const struct family disk = {"panel_store_disk_bytes", FAMILY_GAUGE, "bytes",
                                       "The filesystem that the database lies on."};
    static const struct family disk_free = {"panel_store_disk_free_bytes", FAMILY_GAUGE, "bytes",
                                            "How much of that is left."};
    struct store_space space;
    if (store_space(store, &space, err) < 0)
        return -1;
    metrics_put_one(to, &size, (int64_t)space.database, 0);
    metrics_put_one(to, &unused, (int64_t)space.free_pages, 0);
    metrics_put_one(to, &wal, (int64_t)space.wal, 0);
    metrics_put_one(to, &disk, (int64_t)space.disk, 0);
    metrics_put_one(to, &disk_free, (int64_t)space.disk_free, 0);
    return 0;
}

static void put_queues(struct exposition *to, const struct api *api)
{
    static const struct family length = {"panel_queue_length", FAMILY_GAUGE, "",
                                         "What waits for a thread of its own: changes, passwords "
                                         "to be hashed, long lists."};
    static const struct family limit = {"panel_queue_limit", FAMILY_GAUGE, "",
                                        "Past it, callers are told to come again (503)."};
    struct store_health store;
    size_t passwords_max;
    store_health(api->rooms.store, &store);
    size_t passwords = password_pool_queued(api->rooms.passwords, &passwords_max);
    const struct label queues[] = {{"queue", "store"}, {"queue", "passwords"}, {"queue", "lists"}};
    expose_family(to, &length);
    expose_sample(to, &queues[0], 1, store.queued, 0);
    expose_sample(to, &queues[1], 1, (int64_t)passwords, 0);
    expose_sample(to, &queues[2], 1, api->lister ? lister_queued(api->lister) : 0, 0);
    expose_family(to, &limit);
    expose_sample(to, &queues[0], 1, store.queue_max, 0);
    expose_sample(to, &queues[1], 1, (int64_t)passwords_max, 0);
}

static void put_loops(struct exposition *to)
{
    static const struct family busy = {
        "panel_loop_busy_seconds", FAMILY_COUNTER, "seconds",
        "For how long each one-thread loop has worked; near 1 a second it is at its end."};
    expose_family(to, &busy);
    for (unsigned i = 0; i < PULSES; i++) {
        struct label label = {"loop", pulse_name((enum pulse)i)};
        expose_sample(to, &label, 1, (int64_t)pulse_busy_us((enum pulse)i), 6);
    }
}

static void put_log(struct exposition *to)
{
    static const struct family lines = {"panel_log_lines", FAMILY_COUNTER, "",
                                        "Lines of the log by level."};
    static const struct family held = {"panel_log_lines_suppressed", FAMILY_COUNTER, "",
                                       "Lines left out, for there were too many of their like."};
    expose_family(to, &lines);
    for (unsigned i = 0; i <= LOG_ERROR; i++) {
        struct label label = {"level", log_level_name((enum log_level)i)};
        expose_sample(to, &label, 1, (int64_t)log_lines((enum log_level)i), 0);
    }
    metrics_put_one(to, &held, (int64_t)log_lines_suppressed(), 0);
}

/* --- the process ----------------------------------------------------------------------------- */

static int put_process(struct exposition *to, struct err *err)
{
    static const struct family build = {"panel_build", FAMILY_INFO, "", "What runs."};
    static const struct family cpu = {"process_cpu_seconds", FAMILY_COUNTER, "seconds",
                                      "CPU time, user and system."};
    static const struct family resident = {"process_resident_memory_bytes", FAMILY_GAUGE, "bytes",
                                           "Memory that is really there."};
    static const struct family virtual = {"process_virtual_memory_bytes", FAMILY_GAUGE, "bytes",
                                          "Address space."};
    static const struct family fds = {"process_open_fds", FAMILY_GAUGE, "", "Open descriptors."};
    static const struct family fds_max = {"process_max_fds", FAMILY_GAUGE, "",
                                          "Most descriptors that it may have."};
    static const struct family threads = {"process_threads", FAMILY_GAUGE, "", "Threads."};
    static const struct family started = {"process_start_time_seconds", FAMILY_GAUGE, "seconds",
                                          "When it started, seconds since 1970."};
    struct process process;
    const struct label version = {"version", PANEL_VERSION};
    if (process_read(&process, err) < 0)
        return -1;
    expose_family(to, &build);
    expose_sample(to, &version, 1, 1, 0);
    metrics_put_one(to, &cpu, (int64_t)process.cpu_us, 6);
    metrics_put_one(to, &resident, (int64_t)process.resident, 0);
    metrics_put_one(to, &virtual, (int64_t)process.virtual, 0);
    metrics_put_one(to, &fds, (int64_t)process.fds, 0);
    metrics_put_one(to, &fds_max, (int64_t)process.fds_max, 0);
    metrics_put_one(to, &threads, (int64_t)process.threads, 0);
    metrics_put_one(to, &started, process.started_ms, 3);
    return 0;
}

/* Without TLS it has no sample. */
static void put_certificate(struct exposition *to)
{
    static const struct family end = {
        "panel_https_certificate_end_timestamp_seconds", FAMILY_GAUGE, "seconds",
        "When the certificate of the panel's own HTTPS ends, seconds since 1970."};
    int64_t at = tls_not_after();
    expose_family(to, &end);
    if (at)
        expose_sample(to, NULL, 0, at, 0);
}

/* --- all of it ------------------------------------------------------------------------------- */

static int put_all(struct exposition *to, const struct api *api, struct err *err)
{
    if (put_process(to, err) < 0 || put_space(to, api->rooms.store, err) < 0)
        return -1;
    put_certificate(to);
    put_tallies(to);
    put_requests(to);
    put_commits(to);
    put_queues(to, api);
    put_loops(to);
    put_log(to);
    if (metrics_put_nodes(to, api->rooms.store, fleet_board(api->rooms.fleet), err) < 0)
        return -1;
    expose_end(to);
    return 0;
}

void metrics_get(struct call *call)
{
    struct api *api = call->api;
    struct strbuf out = {0};
    struct err err = {0};
    if (!call->deferred) { /* on the lister's thread the header isn't there any more */
        call->openmetrics = expose_wants_openmetrics(http_req_header(call->req, "Accept"));
        if (atomic_load_explicit(&api->metrics_len, memory_order_relaxed) > LONG_BYTES) {
            lister_take(api->lister, call);
            return;
        }
    }
    struct exposition to = {.out = &out, .openmetrics = call->openmetrics};
    if (put_all(&to, api, &err) < 0) {
        strbuf_fini(&out);
        call_answer_err(call, &err);
        return;
    }
    atomic_store_explicit(&api->metrics_len, out.len, memory_order_relaxed);
    if (!out.failed)
        http_req_set_type(call->req,
                          call->openmetrics ? EXPOSE_TYPE_OPENMETRICS : EXPOSE_TYPE_TEXT);
    call_answer(call, 200, &out);
}
