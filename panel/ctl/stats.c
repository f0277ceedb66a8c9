/* panelctl instance stats, and panelctl top. See handlers.h.
 *
 * The panel measures while somebody asks, once a second; top asks as often. Names come from the
 * list of instances, which is read again when an instance turns up that it doesn't hold. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/auto.h"
#include "panel/ctl/api.h"
#include "panel/ctl/common_steps.h"
#include "panel/ctl/handlers.h"
#include "panel/ctl/hindrance.h"
#include "panel/ctl/stream.h"
#include "panel/ctl/watch.h"

#define EVERY_MS  1000
#define NAMED_MAX 5 /* of those without figures */

/* --- names ----------------------------------------------------------------------------------- */

/* Puts Name and State beside what was measured. False: an instance is not known. */
static bool add_names(json_t *stats, const json_t *names)
{
    size_t i;
    json_t *row;
    bool all = true;
    json_array_foreach(stats, i, row)
    {
        json_t *known = json_object_get(names, view_text(row, "Id"));
        if (known)
            json_object_update(row, known);
        all &= known != NULL;
    }
    return all;
}

static int read_names(struct ctl *ctl, json_t **names, struct err *err)
{
    auto_json json_t *list = NULL;
    size_t i;
    json_t *row;
    if (resolve_list(ctl, THING_INSTANCE, &list, err) < 0)
        return -1;
    json_decref(*names);
    *names = json_object();
    json_array_foreach(list, i, row)
    {
        json_t *known =
            json_pack("{sOsOsO*}", "Name", json_object_get(row, "Name"), "State",
                      json_object_get(row, "State"), "Node", json_object_get(row, "Node"));
        if (!known || json_object_set_new(*names, view_text(row, "Id"), known) < 0)
            return err_nomem(err);
    }
    return 0;
}

/* --- the table of all ------------------------------------------------------------------------ */

static double number_at(const json_t *row, const char *path)
{
    return json_number_value(view_member(row, path));
}

static int by_cpu(const void *a, const void *b)
{
    double left = number_at(*(json_t *const *)a, "cpu.percent");
    double right = number_at(*(json_t *const *)b, "cpu.percent");
    return left < right ? 1 : left > right ? -1 : 0;
}

static int by_memory(const void *a, const void *b)
{
    double left = number_at(*(json_t *const *)a, "memory.bytes");
    double right = number_at(*(json_t *const *)b, "memory.bytes");
    return left < right ? 1 : left > right ? -1 : 0;
}

static int by_name(const void *a, const void *b)
{
    return strcasecmp(view_text(*(json_t *const *)a, "Name"),
                      view_text(*(json_t *const *)b, "Name"));
}

static int sort(json_t **stats, const char *order, struct err *err)
{
    size_t count = json_array_size(*stats);
    auto_free json_t **rows = calloc(count + 1, sizeof(json_t *));
    json_t *sorted = json_array();
    if (!rows || !sorted) {
        json_decref(sorted);
        return err_nomem(err);
    }
    for (size_t i = 0; i < count; i++)
        rows[i] = json_array_get(*stats, i);
    qsort(rows, count, sizeof(json_t *),
          strcmp(order, "memory") == 0 ? by_memory
          : strcmp(order, "name") == 0 ? by_name
                                       : by_cpu);
    for (size_t i = 0; i < count; i++)
        json_array_append(sorted, rows[i]);
    json_decref(*stats);
    *stats = sorted;
    return 0;
}

/* names is kept from one time to the next. */
static int fetch_all(struct ctl *ctl, json_t **names, json_t **ret, struct err *err)
{
    auto_json json_t *stats = NULL;
    const char *order = args_value(&ctl->args, "sort");
    if (api_get(ctl, "/api/stats", &stats, err) < 0)
        return -1;
    if (!*names || !add_names(stats, *names)) {
        if (read_names(ctl, names, err) < 0)
            return -1;
        add_names(stats, *names);
    }
    if (sort(&stats, order ? order : "cpu", err) < 0)
        return -1;
    *ret = steal_ptr(stats);
    return 0;
}

/* What all of them take together, above the table. */
static void add_sums(const json_t *stats, struct strbuf *out)
{
    size_t i;
    json_t *row;
    size_t running = 0;
    double cpu = 0;
    double memory = 0;
    json_array_foreach(stats, i, row)
    {
        running += json_is_true(json_object_get(row, "running"));
        cpu += number_at(row, "cpu.percent");
        memory += number_at(row, "memory.bytes");
    }
    strbuf_fmt(out, "%zu instances, %zu running; %.1f %% of a core, %.0f MiB. q ends.\n\n",
               json_array_size(stats), running, cpu, memory / 1048576);
}

/* Why nothing was measured of an instance. */
static void add_reason(struct ctl *ctl, const json_t *instance, struct strbuf *out)
{
    const char *status = view_text(instance, "Node.status");
    const char *state = view_text(instance, "State");
    if (strcmp(status, "Offline") == 0 || strcmp(status, "Suspect") == 0)
        strbuf_fmt(out, "its node is %s", status);
    else if (strcmp(state, "running") != 0)
        strbuf_fmt(out, "it is %s", state);
    else
        hindrance_add_docker(ctl, instance, out);
}

static void tell_missing(struct ctl *ctl, const json_t *instance, const char *id)
{
    auto_strbuf struct strbuf why = {0};
    add_reason(ctl, instance, &why);
    step_note("panelctl: no figures of %s (%s)%s%s", view_text(instance, "Name"), id,
              why.len ? ": " : "", why.len ? why.data : "");
}

/* The panel leaves out those whose nodes don't answer. A few are named, the rest counted. */
static void tell_left_out(struct ctl *ctl, const json_t *names, const json_t *stats)
{
    auto_json json_t *left = json_copy((json_t *)names);
    size_t i;
    size_t told = 0;
    json_t *row;
    const char *id;
    json_t *instance;
    json_array_foreach(stats, i, row) json_object_del(left, view_text(row, "Id"));
    json_object_foreach(left, id, instance)
    {
        if (told++ == NAMED_MAX)
            break;
        tell_missing(ctl, instance, id);
    }
    if (json_object_size(left) > NAMED_MAX)
        step_note("  and of %zu others", json_object_size(left) - NAMED_MAX);
}

static int print_all(struct ctl *ctl, struct err *err)
{
    auto_json json_t *names = NULL;
    auto_json json_t *stats = NULL;
    if (fetch_all(ctl, &names, &stats, err) < 0)
        return -1;
    if (view_print_list(ctl, &view_stats, stats, err) < 0)
        return -1;
    if (!view_is_data(ctl) && ctl->format != FORMAT_NAME)
        tell_left_out(ctl, names, stats);
    return 0;
}

/* A second's pause; true when "q" was typed meanwhile. */
static bool wants_end(const struct term *term)
{
    struct pollfd keys = {.fd = term->in ? STDIN_FILENO : -1, .events = POLLIN};
    char key = 0;
    if (poll(&keys, 1, EVERY_MS) > 0 && read(STDIN_FILENO, &key, 1) <= 0)
        return true;
    return key == 'q' || key == 'Q';
}

static int draw_all(struct ctl *ctl, json_t **names, struct err *err)
{
    auto_json json_t *stats = NULL;
    auto_strbuf struct strbuf out = {0};
    if (fetch_all(ctl, names, &stats, err) < 0)
        return -1;
    add_sums(stats, &out);
    return view_add_list(ctl, &view_stats, stats, &out, err) < 0 ? -1 : screen_draw(&out, err);
}

static int run_screen(struct ctl *ctl, struct err *err)
{
    auto_json json_t *names = NULL;
    int rc;
    bool drawn = false;
    term_keys(&ctl->term, true);
    fputs("\x1b[2J", stdout);
    do {
        rc = draw_all(ctl, &names, err);
        if (rc < 0 && drawn && api_may_pass(err)) {
            step_note("panelctl: %s; waiting for it", err->msg);
            rc = 0;
        }
        drawn = true;
    } while (rc == 0 && !wants_end(&ctl->term));
    term_keys(&ctl->term, false);
    return rc;
}

int run_top(struct ctl *ctl, struct err *err)
{
    bool once = args_has(&ctl->args, "once") || !ctl->term.out || view_is_data(ctl) ||
                ctl->format == FORMAT_NAME;
    return once ? print_all(ctl, err) : run_screen(ctl, err);
}

/* --- one ------------------------------------------------------------------------------------- */

struct following {
    struct ctl *ctl;
    const json_t *instance;
    bool begun;
    int rc;
    struct err err;
};

static int show_one(struct following *following, json_t *stats)
{
    struct ctl *ctl = following->ctl;
    auto_strbuf struct strbuf out = {0};
    auto_json json_t *list = json_pack("[O]", stats);
    json_object_set(stats, "Name", json_object_get(following->instance, "Name"));
    if (view_is_data(ctl))
        return view_print_data(ctl, stats, &following->err);
    if (view_add_list(ctl, &view_stats, list, &out, &following->err) < 0)
        return -1;
    if (!following->begun && ctl->term.out)
        fputs("\x1b[2J", stdout);
    if (args_has(&ctl->args, "follow") && ctl->term.out)
        return screen_draw(&out, &following->err);
    const char *row = out.data + strcspn(out.data, "\n") + 1;
    struct strbuf shown = {.data = following->begun ? (char *)row : out.data};
    shown.len = strlen(shown.data); /* the head once, then rows alone */
    return view_put(&shown, &following->err);
}

static void take_stats(void *arg, const struct sse_event *event)
{
    struct following *following = arg;
    auto_json json_t *stats = json_loads(event->data, 0, NULL);
    if (!stats || following->rc < 0)
        return;
    following->rc = show_one(following, stats);
    following->begun = true;
}

static int follow_one(struct ctl *ctl, const json_t *instance, const char *path, struct err *err)
{
    struct following following = {.ctl = ctl, .instance = instance};
    struct stream_events events = {.take = take_stats, .arg = &following};
    struct stream *stream = stream_open(ctl, path, &events, err);
    int rc = stream ? 1 : -1;
    bool readable;
    while (rc > 0 && following.rc == 0)
        rc = stream_poll(stream, -1, EVERY_MS, &readable, err);
    stream_close(stream);
    if (following.rc < 0)
        *err = following.err;
    return following.rc < 0 ? -1 : rc;
}

int run_instance_stats(struct ctl *ctl, struct err *err)
{
    auto_json json_t *instance = NULL;
    auto_json json_t *stats = NULL;
    bool streamed = args_has(&ctl->args, "follow");
    if (!ctl->args.count)
        return streamed ? err_set(err, ERR_INVALID, "usage",
                                  "--follow wants an INSTANCE; \"panelctl top\" shows all")
                        : print_all(ctl, err);
    if (resolve(ctl, THING_INSTANCE, ctl->args.words[0], &instance, err) < 0)
        return -1;
    auto_free char *path = api_path("/api/instances/", thing_id(THING_INSTANCE, instance),
                                    streamed ? "/stats?follow=1" : "/stats");
    if (!path)
        return err_nomem(err);
    if (streamed)
        return follow_one(ctl, instance, path, err);
    if (api_get(ctl, path, &stats, err) < 0)
        return -1;
    json_object_set(stats, "Name", json_object_get(instance, "Name"));
    auto_json json_t *list = json_pack("[O]", stats);
    if (view_is_data(ctl))
        return view_print_data(ctl, stats, err);
    if (view_print_list(ctl, &view_stats, list, err) < 0)
        return -1;
    if (ctl->format != FORMAT_NAME && !json_is_object(json_object_get(stats, "cpu")))
        tell_missing(ctl, instance, thing_id(THING_INSTANCE, instance));
    return 0;
}
