/* panelctl event list, panelctl audit list. See handlers.h.
 *
 * The panel tells events as a stream without an end. Without --follow what it keeps is read from
 * the beginning, until it has been silent for half a second: by then it tells only what happens
 * now. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/clock.h"
#include "panel/ctl/api.h"
#include "panel/ctl/common_steps.h"
#include "panel/ctl/handlers.h"
#include "panel/ctl/stream.h"
#include "panel/ctl/table.h"
#include "panel/ctl/text.h"

#define SILENT_MS 500
#define TURN_MS   100

/* --- one event ------------------------------------------------------------------------------- */

struct reading {
    struct ctl *ctl;
    int64_t last_ms; /* when something came */
    bool failed;
};

static void add_word(struct strbuf *out, const char *name, const char *value, const struct ctl *ctl)
{
    if (!*value)
        return;
    auto_strbuf struct strbuf safe = {0};
    text_add_safe(&safe, value, strlen(value));
    strbuf_fmt(out, "%s%s=", out->len ? " " : "", name);
    tone_add(out, safe.data ? safe.data : "", view_tone(value), ctl->term.colour);
}

static void add_event(const struct ctl *ctl, const json_t *event, struct strbuf *out)
{
    static const char *const members[][2] = {{"name", "name"},           {"status", "status"},
                                             {"state", "State"},         {"error", "Error.code"},
                                             {"instance", "instanceId"}, {"node", "nodeId"},
                                             {"user", "userId"}};
    auto_strbuf struct strbuf rest = {0};
    auto_strbuf struct strbuf type = {0};
    const char *kind = view_text(event, "type");
    const char *time = view_text(event, "time");
    text_add_safe(&type, kind, strlen(kind));
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        add_word(&rest, members[i][0], view_text(event, members[i][1]), ctl);
    text_add_safe(out, time, strlen(time));
    strbuf_fmt(out, "  %-16s  %s\n", type.data ? type.data : "", rest.data ? rest.data : "");
}

static void take_event(void *arg, const struct sse_event *sse)
{
    struct reading *reading = arg;
    struct ctl *ctl = reading->ctl;
    auto_strbuf struct strbuf out = {0};
    auto_json json_t *event = json_loads(sse->data, 0, NULL);
    reading->last_ms = clock_mono_ms();
    if (strcmp(sse->type, "lost") == 0) {
        const json_t *count = json_object_get(event, "events");
        if (json_is_integer(count))
            step_note("[%lld events are missing here]", (long long)json_integer_value(count));
        else
            step_note("[events are missing here; nobody knows how many]");
        return;
    }
    if (!event)
        return;
    if (ctl->format == FORMAT_NAME) {
        strbuf_fmt(&out, "%s\n", sse->id);
    } else if (view_is_data(ctl)) {
        json_object_set_new(event, "id", json_string(sse->id));
        auto_free char *line = json_dumps(event, JSON_COMPACT);
        strbuf_str(&out, line ? line : "");
        strbuf_char(&out, '\n');
    } else {
        add_event(ctl, event, &out);
    }
    reading->failed |= view_put(&out, NULL) < 0;
}

/* --- the stream ------------------------------------------------------------------------------ */

static int add_filter(struct ctl *ctl, const char *option, enum thing thing, struct strbuf *path,
                      struct err *err)
{
    auto_free char *id = NULL;
    const char *word = args_value(&ctl->args, option);
    if (!word)
        return 0;
    if (resolve_id(ctl, thing, word, &id, err) < 0) {
        if (err->code != ERR_NOT_FOUND || strcmp(err->reason, "ambiguous") == 0)
            return -1;
        *err = (struct err){0}; /* of what is gone there are still events */
        id = strdup(word);
        if (!id)
            return err_nomem(err);
    }
    strbuf_fmt(path, "&%s=", option);
    api_add_escaped(path, id);
    return 0;
}

static int make_path(struct ctl *ctl, struct strbuf *path, struct err *err)
{
    const char *after = args_value(&ctl->args, "after");
    bool all = !args_has(&ctl->args, "follow");
    strbuf_str(path, "/api/events?");
    if (after || all) {
        strbuf_str(path, "after=");
        api_add_escaped(path, after ? after : "0");
    }
    if (add_filter(ctl, "instance", THING_INSTANCE, path, err) < 0 ||
        add_filter(ctl, "node", THING_NODE, path, err) < 0 ||
        add_filter(ctl, "user", THING_USER, path, err) < 0)
        return -1;
    return path->failed ? err_nomem(err) : 0;
}

static void tell_gap(void *arg, const char *why)
{
    (void)arg;
    step_note("[%s; going on when it is back]", why);
}

int run_event_list(struct ctl *ctl, struct err *err)
{
    auto_strbuf struct strbuf path = {0};
    bool follow = args_has(&ctl->args, "follow");
    struct reading reading = {.ctl = ctl};
    struct stream_events events = {.take = take_event, .gap = tell_gap, .arg = &reading};
    if (ctl->format == FORMAT_YAML)
        return err_set(err, ERR_INVALID, "usage",
                       "events are shown as a table or, one a line, as json");
    if (make_path(ctl, &path, err) < 0)
        return -1;
    struct stream *stream = stream_open(ctl, path.data, &events, err);
    int rc = stream ? 1 : -1;
    bool readable;
    while (rc > 0 && !reading.failed) {
        rc = stream_poll(stream, -1, TURN_MS, &readable, err);
        if (!reading.last_ms && stream_is_open(stream))
            reading.last_ms = clock_mono_ms();
        if (!follow && reading.last_ms && clock_mono_ms() - reading.last_ms > SILENT_MS)
            break;
    }
    stream_close(stream);
    return rc < 0 ? -1 : reading.failed ? EXIT_FAILED : EXIT_DONE;
}

/* --- who did what ---------------------------------------------------------------------------- */

static int read_count(const char *text, size_t *ret, struct err *err)
{
    size_t n = 0;
    for (const char *p = text; *p && n <= 1000000; p++) {
        if (*p < '0' || *p > '9') {
            n = 0;
            break;
        }
        n = n * 10 + (size_t)(*p - '0');
    }
    if (n < 1 || n > 1000000)
        return err_set(err, ERR_INVALID, "usage", "--limit must be 1 to 1000000, not \"%.40s\"",
                       text);
    *ret = n;
    return 0;
}

int run_audit_list(struct ctl *ctl, struct err *err)
{
    auto_strbuf struct strbuf path = {0};
    auto_json json_t *rows = NULL;
    auto_free char *from = NULL;
    const char *since = args_value(&ctl->args, "since");
    const char *limit = args_value(&ctl->args, "limit");
    const char *key = args_value(&ctl->args, "key");
    const char *target = args_value(&ctl->args, "target");
    size_t most = 100;
    if ((limit && read_count(limit, &most, err) < 0) ||
        (since && step_time("since", since, -1, false, &from, err) < 0))
        return -1;
    strbuf_str(&path, "/api/audit?");
    const char *const filters[][2] = {{"key", key}, {"target", target}, {"since", from}};
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        if (!filters[i][1])
            continue;
        strbuf_fmt(&path, "%s=", filters[i][0]);
        api_add_escaped(&path, filters[i][1]);
        strbuf_char(&path, '&');
    }
    if (path.failed)
        return err_nomem(err);
    path.data[--path.len] = '\0'; /* the last & or ? */
    if (api_list(ctl, path.data, most, &rows, err) < 0)
        return -1;
    return view_print_list(ctl, &view_audit, rows, err);
}
