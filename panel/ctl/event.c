/* panelctl event list. See handlers.h.
 *
 * The panel tells events by the ids of what they are about; a table shows names where there are
 * any. With --limit what is kept is read to its end, and the last of it shown; --follow goes on
 * behind that. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/iso_time.h"
#include "panel/ctl/api.h"
#include "panel/ctl/common_steps.h"
#include "panel/ctl/handlers.h"
#include "panel/ctl/names.h"
#include "panel/ctl/stream.h"
#include "panel/ctl/table.h"
#include "panel/ctl/text.h"

#define TURN_MS 1000

struct reading {
    struct ctl *ctl;
    struct names names;
    uint64_t since_ns; /* those before it aren't wanted */
    json_t **last;     /* the newest of them, in a ring; NULL: each is shown as it comes */
    size_t most;       /* places in it */
    size_t count;      /* of all that came */
    bool live;         /* it is told as it happens */
    bool failed;       /* it can't be written any more; err says why */
    struct err err;
};

/* --- one event ------------------------------------------------------------------------------- */

/* What an event may be about. */
static const struct about {
    const char *member;
    const char *word;
    enum thing thing;
} abouts[] = {
    {"instanceId", "instance", THING_INSTANCE},
    {"nodeId", "node", THING_NODE},
    {"userId", "user", THING_USER},
    {"imageId", "image", THING_IMAGE},
    {"keyId", "key", THING_KEY},
};

static bool is_of(const json_t *event, const char *word)
{
    const char *type = view_text(event, "type");
    size_t len = strlen(word);
    return strncmp(type, word, len) == 0 && type[len] == '.';
}

/* What it tells of names, by itself or because it is of something that the lists didn't hold. */
static void learn(struct reading *reading, const json_t *event)
{
    const char *name = view_text(event, "name");
    const char *type = view_text(event, "type");
    for (size_t i = 0; i < ARRAY_LEN(abouts); i++) {
        const char *id = view_text(event, abouts[i].member);
        if (!*id || !is_of(event, abouts[i].word))
            continue;
        (void)names_find(&reading->names, abouts[i].thing, id); /* so that the list is read first */
        if (*name)
            names_set(&reading->names, abouts[i].thing, id, name);
        else if (reading->live && (strstr(type, ".created") || strstr(type, ".changed")))
            names_ask(&reading->names, abouts[i].thing, id);
    }
}

static void add_word(struct strbuf *out, const char *word, const char *value, const struct ctl *ctl)
{
    if (!*value)
        return;
    auto_strbuf struct strbuf safe = {0};
    text_add_safe(&safe, value, strlen(value));
    strbuf_fmt(out, "%s%s=", out->len ? " " : "", word);
    tone_add(out, safe.data ? safe.data : "", view_tone(value), ctl->term.colour);
}

/* By its name; by its id where it has none, and behind it where nothing is to be cut. */
static void add_about(struct reading *reading, const struct about *about, const json_t *event,
                      struct strbuf *out)
{
    const char *id = view_text(event, about->member);
    const char *name = *id ? names_find(&reading->names, about->thing, id) : "";
    add_word(out, about->word, *name ? name : id, reading->ctl);
    if (*name && reading->ctl->format == FORMAT_WIDE) {
        strbuf_str(out, " (");
        text_add_safe(out, id, strlen(id));
        strbuf_char(out, ')');
    }
}

static void add_event(struct reading *reading, const json_t *event, struct strbuf *out)
{
    static const char *const members[][2] = {
        {"status", "status"}, {"state", "State"}, {"error", "Error.code"}};
    auto_strbuf struct strbuf rest = {0};
    auto_strbuf struct strbuf type = {0};
    const char *kind = view_text(event, "type");
    const char *time = view_text(event, "time");
    text_add_safe(&type, kind, strlen(kind));
    for (size_t i = 0; i < ARRAY_LEN(abouts); i++)
        add_about(reading, &abouts[i], event, &rest);
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        add_word(&rest, members[i][0], view_text(event, members[i][1]), reading->ctl);
    text_add_safe(out, time, strlen(time));
    strbuf_fmt(out, "  %-16s  %s\n", type.data ? type.data : "", rest.data ? rest.data : "");
}

static void show_event(struct reading *reading, const json_t *event)
{
    struct ctl *ctl = reading->ctl;
    auto_strbuf struct strbuf out = {0};
    if (ctl->format == FORMAT_NAME) {
        const char *id = view_text(event, "id");
        text_add_safe(&out, id, strlen(id));
        strbuf_char(&out, '\n');
    } else if (view_is_data(ctl)) {
        auto_free char *line = json_dumps(event, JSON_COMPACT);
        view_add_json_line(ctl, line ? line : "", &out);
    } else {
        add_event(reading, event, &out);
    }
    if (!reading->failed)
        reading->failed = view_put(&out, &reading->err) < 0;
}

/* --- those that come ------------------------------------------------------------------------- */

static void tell_lost(const struct reading *reading, const json_t *lost)
{
    const json_t *count = json_object_get(lost, "events");
    if (reading->last || reading->since_ns)
        return; /* nobody asked for so old ones */
    if (json_is_integer(count))
        step_note("[%lld events are missing here]", (long long)json_integer_value(count));
    else
        step_note("[events are missing here; nobody knows how many]");
}

static bool is_wanted(const struct reading *reading, const json_t *event)
{
    uint64_t ns;
    return !reading->since_ns || !iso_time_parse(view_text(event, "time"), &ns) ||
           ns >= reading->since_ns;
}

static void take_event(void *arg, const struct sse_event *sse)
{
    struct reading *reading = arg;
    auto_json json_t *event = json_loads(sse->data, 0, NULL);
    if (strcmp(sse->type, "lost") == 0) {
        tell_lost(reading, event);
        return;
    }
    if (!event || !is_wanted(reading, event))
        return;
    json_object_set_new(event, "id", json_string(sse->id));
    if (!view_is_data(reading->ctl) && reading->ctl->format != FORMAT_NAME)
        learn(reading, event);
    if (!reading->last) {
        show_event(reading, event);
        return;
    }
    json_t **place = &reading->last[reading->count++ % reading->most];
    json_decref(*place);
    *place = json_incref(event);
}

/* What the ring holds, from the oldest on; after that each is shown as it comes. */
static void show_last(struct reading *reading)
{
    size_t most = reading->last ? reading->most : 0;
    for (size_t i = 0; i < most; i++) {
        json_t *event = reading->last[(reading->count + i) % most];
        if (event)
            show_event(reading, event);
        json_decref(event);
    }
    free(steal_ptr(reading->last));
}

static void tell_gap(void *arg, const char *why)
{
    (void)arg;
    step_note("[%s; going on when it is back]", why);
}

/* Until it ends by itself, or for ever. ret_last_id: a place to go on behind, may be NULL. */
static int read_stream(struct reading *reading, const char *path, bool ends,
                       struct strbuf *ret_last_id, struct err *err)
{
    struct stream_events events = {
        .take = take_event, .gap = tell_gap, .arg = reading, .ends = ends};
    struct stream *stream = stream_open(reading->ctl, path, &events, err);
    int rc = stream ? 1 : -1;
    bool readable;
    while (rc > 0 && !reading->failed)
        rc = stream_poll(stream, -1, TURN_MS, &readable, err);
    if (rc == 0 && ret_last_id)
        strbuf_str(ret_last_id, stream_last_id(stream));
    stream_close(stream);
    if (reading->failed)
        *err = reading->err;
    return rc < 0 || reading->failed ? -1 : 0;
}

/* --- the command ----------------------------------------------------------------------------- */

static int add_filter(struct ctl *ctl, const char *option, enum thing thing, struct strbuf *filters,
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
    strbuf_fmt(filters, "&%s=", option);
    api_add_escaped(filters, id);
    return filters->failed ? err_nomem(err) : 0;
}

/* after: NULL, from what happens next. */
static int make_path(const char *after, bool ends, const struct strbuf *filters,
                     struct strbuf *path, struct err *err)
{
    strbuf_reset(path);
    strbuf_fmt(path, "/api/events?follow=%d", !ends);
    if (after) {
        strbuf_str(path, "&after=");
        api_add_escaped(path, after);
    }
    strbuf_str(path, filters->data ? filters->data : "");
    return path->failed ? err_nomem(err) : 0;
}

/* First what is kept, where that is wanted, then what comes. */
static int read_events(struct reading *reading, const struct strbuf *filters, struct err *err)
{
    struct args *args = &reading->ctl->args;
    auto_strbuf struct strbuf path = {0};
    auto_strbuf struct strbuf place = {0};
    bool follow = args_has(args, "follow");
    const char *after = args_value(args, "after");
    if (!after && (!follow || reading->since_ns || reading->last))
        after = "0";
    if (!follow || reading->last) {
        if (make_path(after, true, filters, &path, err) < 0 ||
            read_stream(reading, path.data, true, &place, err) < 0)
            return -1;
        show_last(reading);
        after = place.len ? place.data : after;
    }
    if (!follow)
        return EXIT_DONE;
    reading->live = true;
    if (make_path(after, false, filters, &path, err) < 0)
        return -1;
    return read_stream(reading, path.data, false, NULL, err);
}

static int read_options(struct reading *reading, struct err *err)
{
    const struct args *args = &reading->ctl->args;
    const char *since = args_value(args, "since");
    const char *limit = args_value(args, "limit");
    if (reading->ctl->format == FORMAT_YAML && !args_has(args, "output"))
        reading->ctl->format = FORMAT_TABLE; /* what the config file wants of lists */
    if (reading->ctl->format == FORMAT_YAML)
        return err_set(err, ERR_INVALID, "usage",
                       "events are shown as a table or, one a line, as json");
    if (since && step_time_ns("since", since, &reading->since_ns, err) < 0)
        return -1;
    if (limit && step_count("limit", limit, &reading->most, err) < 0)
        return -1;
    reading->last = limit ? calloc(reading->most, sizeof(json_t *)) : NULL;
    return limit && !reading->last ? err_nomem(err) : 0;
}

int run_event_list(struct ctl *ctl, struct err *err)
{
    struct reading reading = {.ctl = ctl};
    auto_strbuf struct strbuf filters = {0};
    names_init(&reading.names, ctl);
    int rc = -1;
    if (read_options(&reading, err) == 0 &&
        add_filter(ctl, "instance", THING_INSTANCE, &filters, err) == 0 &&
        add_filter(ctl, "node", THING_NODE, &filters, err) == 0 &&
        add_filter(ctl, "user", THING_USER, &filters, err) == 0)
        rc = read_events(&reading, &filters, err);
    for (size_t i = 0; reading.last && i < reading.most; i++)
        json_decref(reading.last[i]);
    free(reading.last);
    names_fini(&reading.names);
    return rc;
}
