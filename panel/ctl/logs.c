/* panelctl instance logs. See logs.h.
 *
 * On a terminal a line is made safe; into a file or a pipe its bytes go as they came. */
#include "panel/ctl/logs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "panel/ctl/api.h"
#include "panel/ctl/common_steps.h"
#include "panel/ctl/handlers.h"
#include "panel/ctl/stream.h"
#include "panel/ctl/text.h"

/* --- lines ----------------------------------------------------------------------------------- */

static int sextet(char c)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(alphabet, c) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

static void add_base64(struct strbuf *out, const char *text)
{
    unsigned bits = 0;
    int have = 0;
    for (const char *p = text; *p && sextet(*p) >= 0; p++) {
        bits = bits << 6 | (unsigned)sextet(*p);
        have += 6;
        if (have >= 8) {
            have -= 8;
            strbuf_char(out, (char)(bits >> have & 0xff));
        }
    }
}

static void add_line(const struct ctl *ctl, const json_t *value, struct strbuf *out)
{
    auto_strbuf struct strbuf line = {0};
    const char *base64 = json_string_value(json_object_get(value, "base64"));
    if (base64)
        add_base64(&line, base64);
    else
        strbuf_str(&line, view_text(value, "line"));
    if (ctl->term.out)
        text_add_line(out, line.data ? line.data : "", line.len, ctl->term.colour);
    else
        strbuf_add(out, line.data ? line.data : "", line.len);
    if (!json_is_true(json_object_get(value, "cut")))
        strbuf_char(out, '\n');
}

void logs_add_event(const struct ctl *ctl, const struct sse_event *event, bool times,
                    struct strbuf *out)
{
    auto_json json_t *value = json_loads(event->data, 0, NULL);
    if (strcmp(event->type, "lost") == 0) {
        json_int_t lines = json_integer_value(json_object_get(value, "lines"));
        step_note("[%lld lines are missing here]", (long long)lines);
        return;
    }
    if (view_is_data(ctl)) {
        view_add_json_line(ctl, event->data, out);
        return;
    }
    const char *time = view_text(value, "time");
    if (times) {
        text_add_safe(out, time, strlen(time));
        strbuf_char(out, ' ');
    }
    add_line(ctl, value, out);
}

/* --- the command ----------------------------------------------------------------------------- */

struct following {
    struct ctl *ctl;
    bool times;
    bool failed; /* it can't be written any more; err says why */
    struct err err;
};

static void take_event(void *arg, const struct sse_event *event)
{
    struct following *following = arg;
    auto_strbuf struct strbuf out = {0};
    logs_add_event(following->ctl, event, following->times, &out);
    if (out.len && !following->failed)
        following->failed = view_put(&out, &following->err) < 0;
}

static void tell_gap(void *arg, const char *why)
{
    (void)arg;
    step_note("[%s; going on when it is back]", why);
}

static int follow(struct ctl *ctl, const char *path, struct err *err)
{
    struct following following = {.ctl = ctl, .times = args_has(&ctl->args, "timestamps")};
    struct stream_events events = {.take = take_event, .gap = tell_gap, .arg = &following};
    struct stream *stream = stream_open(ctl, path, &events, err);
    int rc = stream ? 1 : -1;
    bool readable;
    while (rc > 0 && !following.failed)
        rc = stream_poll(stream, -1, 1000, &readable, err);
    stream_close(stream);
    if (following.failed) {
        *err = following.err;
        return -1;
    }
    if (rc == 0)
        step_note("[the instance is deleted]");
    return rc;
}

/* As text: what is safe there is made so line by line. */
static int print_text(const struct ctl *ctl, const struct http_answer *answer, struct err *err)
{
    auto_strbuf struct strbuf out = {0};
    const char *at = answer->body.data ? answer->body.data : "";
    const char *end = at + answer->body.len;
    if (answer->lines_left_out > 0)
        step_note("[%lld older lines are left out]", (long long)answer->lines_left_out);
    if (!ctl->term.out)
        return view_put(&answer->body, err);
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        text_add_line(&out, at, (size_t)(stop - at), ctl->term.colour);
        strbuf_char(&out, '\n');
        at = stop + 1;
    }
    return view_put(&out, err);
}

static int make_path(struct ctl *ctl, const char *id, bool streamed, struct strbuf *path,
                     struct err *err)
{
    const char *tail = args_value(&ctl->args, "tail");
    const char *since = args_value(&ctl->args, "since");
    auto_free char *from = NULL;
    if (since && step_time("since", since, &from, err) < 0)
        return -1;
    strbuf_str(path, "/api/instances/");
    api_add_escaped(path, id);
    strbuf_fmt(path, "/logs?follow=%d", streamed);
    if (args_has(&ctl->args, "install"))
        strbuf_str(path, "&source=install");
    if (tail) {
        strbuf_str(path, "&tail=");
        api_add_escaped(path, tail);
    }
    if (from) {
        strbuf_str(path, "&since=");
        api_add_escaped(path, from);
    }
    return path->failed ? err_nomem(err) : 0;
}

/* Of one that never ran there is nothing, and what went wrong is told elsewhere. */
static void tell_of_failure(const json_t *instance)
{
    if (strcmp(view_text(instance, "InternalState"), "FAILED") != 0)
        return;
    step_note("[it failed: %s]", view_text(instance, "Error.message"));
    if (json_array_size(view_member(instance, "imageData.Scripts.Install")))
        step_note("[what its install did: panelctl instance logs %s --install]",
                  thing_id(THING_INSTANCE, instance));
}

int run_instance_logs(struct ctl *ctl, struct err *err)
{
    auto_json json_t *instance = NULL;
    auto_strbuf struct strbuf path = {0};
    struct http_answer answer = {0};
    bool streamed = args_has(&ctl->args, "follow");
    bool install = args_has(&ctl->args, "install");
    if (!args_has(&ctl->args, "output"))
        ctl->format = FORMAT_TABLE; /* what the config file wants of lists isn't for lines */
    if (ctl->format == FORMAT_YAML)
        return err_set(err, ERR_INVALID, "usage", "logs are shown as text or, followed, as json");
    if (!streamed && (view_is_data(ctl) || args_has(&ctl->args, "timestamps")))
        return err_set(err, ERR_INVALID, "usage",
                       "-o json and --timestamps belong to --follow: without it the log is plain "
                       "text");
    if (install && (streamed || args_has(&ctl->args, "tail") || args_has(&ctl->args, "since")))
        return err_set(err, ERR_INVALID, "usage",
                       "--install shows the whole log of the last install; --follow, --tail and "
                       "--since don't go with it");
    if (resolve(ctl, THING_INSTANCE, ctl->args.words[0], &instance, err) < 0 ||
        make_path(ctl, thing_id(THING_INSTANCE, instance), streamed, &path, err) < 0)
        return -1;
    if (!install)
        tell_of_failure(instance);
    if (streamed)
        return follow(ctl, path.data, err);
    if (api_get_raw(ctl, path.data, NULL, &answer, err) < 0)
        return -1;
    int rc = print_text(ctl, &answer, err);
    http_answer_fini(&answer);
    return rc;
}
