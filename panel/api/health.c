/* /healthz and /readyz: for whoever starts, stops and routes to the panel. Without a key, so they
 * tell nothing but words of this file.
 *
 * Alive: no loop has been at one round for STUCK_MS; who isn't may be killed and started again.
 * Ready: it has read what it has to drive, and can write. The last commit shows that, whoever asked
 * for it; where it is older than FRESH_MS, a write is tried, so that a full disk is known before a
 * client meets it. Many that ask at once share a commit. A panel that is stopping refuses all. */
#include "panel/api/internal.h"

#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/json_writer.h"
#include "panel/api/handlers.h"
#include "panel/metrics/pulse.h"

#define STUCK_MS 30000
#define SLOW_MS  5000 /* a writer that takes so long isn't asked to write more */
#define FRESH_MS 1000

struct check {
    const char *name;
    const char *wrong; /* a few words; NULL: all is well */
};

static void put_checks(struct strbuf *out, const char *key, const struct check *checks,
                       size_t count)
{
    jw_object_begin(out, key);
    for (size_t i = 0; i < count; i++)
        jw_string(out, checks[i].name, checks[i].wrong ? checks[i].wrong : "ok");
    jw_object_end(out);
}

static const struct check *first_wrong(const struct check *checks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (checks[i].wrong)
            return &checks[i];
    }
    return NULL;
}

/* good: "alive"; code: what an answer that says otherwise has. */
static void answer(struct call *call, const char *good, const char *code,
                   const struct check *checks, size_t count)
{
    struct strbuf out = {0};
    const struct check *wrong = first_wrong(checks, count);
    if (!wrong) {
        jw_object_begin(&out, NULL);
        jw_string(&out, "status", good);
        put_checks(&out, "checks", checks, count);
        jw_object_end(&out);
        call_answer(call, 200, &out);
        return;
    }
    auto_strbuf struct strbuf details = {0};
    auto_strbuf struct strbuf sentence = {0};
    put_checks(&details, NULL, checks, count);
    strbuf_fmt(&sentence, "The panel is not %s: %s: %s.", good, wrong->name, wrong->wrong);
    error_write(&out, code, sentence.failed ? "The panel is not well." : sentence.data,
                http_req_id(call->req), NULL, details.failed ? NULL : details.data);
    call_answer(call, 503, &out);
}

void health_alive(struct call *call)
{
    struct check checks[PULSES];
    for (unsigned i = 0; i < PULSES; i++) {
        bool stuck = pulse_round_ms((enum pulse)i) > STUCK_MS;
        checks[i] = (struct check){pulse_name((enum pulse)i), stuck ? "its loop is stuck" : NULL};
    }
    answer(call, "alive", "not_alive", checks, PULSES);
}

/* --- ready ----------------------------------------------------------------------------------- */

static void answer_ready(struct call *call, const char *store_wrong)
{
    bool loaded = fleet_is_loaded(call->api->rooms.fleet);
    const struct check checks[] = {
        {"store", store_wrong},
        {"fleet", loaded ? NULL : "still being loaded"},
    };
    answer(call, "ready", "not_ready", checks, ARRAY_LEN(checks));
}

static const char *words_for(const char *reason)
{
    return strcmp(reason, "disk_full") == 0 ? "the disk is full" : "it can't be written";
}

struct
try {
    struct store_change change;
    struct call *call;
};

static int apply_try(struct store_change *change, struct store_tx *tx, struct err *err)
{
    (void)change;
    return store_touch(tx, err);
}

static void try_done(struct store_change *change, const struct err *err)
{
    struct try *try = (struct try *)change;
    struct call *call = try->call;
    free(try);
    answer_ready(call, err ? words_for(err->reason) : NULL);
}

static void try_to_write(struct call *call)
{
    struct err err = {0};
    struct try *try = calloc(1, sizeof(*try));
    if (!try) {
        answer_ready(call, "short of memory");
        return;
    }
    *try = (struct try){.change = {.apply = apply_try, .done = try_done}, .call = call};
    call_defer(call);
    if (store_submit(call->api->rooms.store, &try->change, &err) < 0) {
        free(try);
        answer_ready(call, "too many changes are waiting");
    }
}

void health_ready(struct call *call)
{
    struct store_health health;
    store_health(call->api->rooms.store, &health);
    if (pulse_round_ms(PULSE_STORE) > SLOW_MS)
        answer_ready(call, "its writer is stuck");
    else if (!health.failure[0] && clock_mono_ms() - health.committed_at < FRESH_MS)
        answer_ready(call, NULL);
    else
        try_to_write(call);
}
