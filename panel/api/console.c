/* /api/instances/:id/logs, command and console: what a container prints, and what it is told.
 *
 * Without follow the answer is plain text: the bytes as printed. With it, it is an event stream:
 * domain/log_event.h says what the events look like. A stream ends when the instance is deleted or
 * the panel stops; a client that comes back with Last-Event-ID goes on where it was. */
#include "panel/api/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/iso_time.h"
#include "common/json_writer.h"
#include "panel/api/body.h"
#include "panel/api/event_stream.h"
#include "panel/api/handlers.h"
#include "panel/domain/text.h"
#include "panel/fleet/logs.h"

#define LINES_MAX     10000u
#define LINES_DEFAULT 100u
#define COMMAND_MAX   4096
#define NS_PER_S      1000000000u

/* --- what is asked for ----------------------------------------------------------------------- */

static int read_tail(const struct call *call, struct log_query *query, struct err *err)
{
    uint64_t lines = LINES_DEFAULT;
    const char *text = http_req_query(call->req, "tail");
    if (text && strcmp(text, "all") == 0)
        lines = 0;
    else if (text && !text_parse_uint(text, LINES_MAX, &lines))
        return err_field(err, ERR_INVALID, "invalid_field", "tail",
                         "The parameter \"tail\" has to be a number of lines from 0 to %u, or"
                         " \"all\".",
                         LINES_MAX);
    query->only_new = text && strcmp(text, "0") == 0;
    query->lines_max = query->only_new ? 1 : (uint32_t)lines;
    return 0;
}

/* Seconds since 1970, perhaps with a fraction, or RFC 3339. */
static int read_since(const struct call *call, struct log_query *query, struct err *err)
{
    uint64_t ns = 0;
    const char *text = http_req_query(call->req, "since");
    if (!text)
        return 0;
    uint64_t seconds = 0;
    if (text_parse_uint(text, INT32_MAX, &seconds))
        ns = seconds * NS_PER_S;
    else if (!iso_time_parse(text, &ns))
        return err_field(err, ERR_INVALID, "invalid_field", "since",
                         "The parameter \"since\" has to be a time: seconds since 1970, or"
                         " RFC 3339 like 2026-01-31T12:00:00Z.");
    if (ns)
        query->after = (struct log_point){ns - 1, UINT32_MAX};
    if (!http_req_query(call->req, "tail"))
        query->lines_max = 0;
    return 0;
}

/* A client that comes back wants what it has missed, not what it first asked for. */
static int read_last_event(const struct call *call, struct log_query *query, struct err *err)
{
    const char *id = http_req_header(call->req, "Last-Event-ID");
    if (!id || !*id)
        return 0;
    if (!log_point_parse(id, &query->after))
        return err_field(err, ERR_INVALID, "invalid_field", "Last-Event-ID",
                         "The header Last-Event-ID has to be the id of an event of this stream.");
    query->lines_max = 0;
    query->only_new = false;
    return 0;
}

static int read_source(const struct call *call, bool follow, struct log_query *query,
                       struct err *err)
{
    const char *text = http_req_query(call->req, "source");
    if (!text || strcmp(text, "container") == 0)
        return 0;
    if (strcmp(text, "install") != 0)
        return err_field(err, ERR_INVALID, "invalid_field", "source",
                         "The parameter \"source\" has to be container or install.");
    if (follow)
        return err_field(err, ERR_INVALID, "invalid_field", "source",
                         "The log of an install can't be followed; read it again instead.");
    query->install = true;
    return 0;
}

static int read_query(const struct call *call, bool follow, struct log_query *query,
                      struct err *err)
{
    *query = (struct log_query){0};
    if (read_source(call, follow, query, err) < 0 || read_tail(call, query, err) < 0 ||
        read_since(call, query, err) < 0 || (follow && read_last_event(call, query, err) < 0))
        return -1;
    return call_check_instance(call, err);
}

/* --- plain ----------------------------------------------------------------------------------- */

static void add_lines(struct strbuf *out, const Wire__HistoryReply *history)
{
    for (size_t i = 0; i < history->n_lines; i++) {
        const Wire__LogLine *line = history->lines[i];
        strbuf_add(out, line->text.data, line->text.len);
        if (!line->is_cut)
            strbuf_char(out, '\n');
    }
}

struct plain {
    struct call *call;
    bool only_new; /* than now: nothing */
};

static void answer_plain(void *arg, const Wire__HistoryReply *history, const struct err *err)
{
    struct plain *plain = arg;
    struct call *call = plain->call;
    struct strbuf out = {0};
    bool none = plain->only_new;
    free(plain);
    if (err && strcmp(err->reason, "no_container") != 0) {
        call_answer_err(call, err);
        return;
    }
    strbuf_str(&out, ""); /* no lines are a text, too */
    if (history && !none)
        add_lines(&out, history);
    if (history && history->left_out) {
        char count[24];
        snprintf(count, sizeof(count), "%llu", (unsigned long long)history->left_out);
        http_req_add_header(call->req, "X-Lines-Left-Out", count);
    }
    http_req_set_type(call->req, "text/plain; charset=utf-8");
    call_answer(call, 200, &out);
}

static void read_plain(struct call *call, const struct log_query *query)
{
    struct err err = {0};
    struct plain *plain = calloc(1, sizeof(*plain));
    if (!plain) {
        err_nomem(&err);
        call_answer_err(call, &err);
        return;
    }
    *plain = (struct plain){call, query->only_new};
    call_defer(call);
    if (fleet_read_log(call->api->rooms.fleet, call->param, query, answer_plain, plain, &err) < 0) {
        free(plain);
        call_answer_err(call, &err);
    }
}

/* --- events ---------------------------------------------------------------------------------- */

static enum feed_taken take(void *follower, struct shared **ret_piece, uint64_t *ret_lost)
{
    return log_follower_take(follower, ret_piece, ret_lost);
}

static void leave(void *follower)
{
    log_follower_leave(follower);
}

static const struct event_source log_source = {take, leave, log_event_add_lost};

static void follow(struct call *call, const struct log_query *query)
{
    struct event_stream *events = event_stream_create(call, &log_source);
    if (!events)
        return;
    struct live_listener listener = event_stream_listener(events);
    struct log_follower *follower =
        log_follower_create(call->api->rooms.fleet, call->param, query, &listener);
    if (event_stream_start(events, call, follower))
        log_follower_begin(follower);
}

/* --- handlers -------------------------------------------------------------------------------- */

static void give_logs(struct call *call, bool following)
{
    struct err err = {0};
    struct log_query query;
    if (read_query(call, following, &query, &err) < 0)
        call_answer_err(call, &err);
    else if (following)
        follow(call, &query);
    else
        read_plain(call, &query);
}

void console_logs(struct call *call)
{
    struct err err = {0};
    int following = event_stream_is_wanted(call, &err);
    if (following < 0)
        call_answer_err(call, &err);
    else
        give_logs(call, following);
}

void console_open(struct call *call)
{
    give_logs(call, true);
}

/* --- commands -------------------------------------------------------------------------------- */

/* A first answer is kept before the line is sent: whoever repeats the request learns that it was
 * sent, and it isn't sent again; see call_answer_kept() for the second. */
struct command {
    struct mutation mutation;
    char instance_id[ROUTE_PARAM_SIZE];
    char *line; /* with its newline */
};

static void written(void *arg, const struct err *err)
{
    struct call *call = arg;
    struct strbuf body = {0};
    if (err && err->code == ERR_TIMEOUT) { /* the first answer says just that */
        call_answer_err(call, err);
        return;
    }
    if (err) {
        call_render_err(call, err, &body);
    } else {
        jw_object_begin(&body, NULL);
        jw_string(&body, "Id", call->param);
        jw_bool(&body, "written", true);
        jw_object_end(&body);
    }
    int status = err ? error_status(err) : 200;
    if (status == 503) /* it was not written, and may be another time */
        call_answer_forgotten(call, status, &body);
    else
        call_answer_kept(call, status, &body);
}

static void send_line(struct call *call, const char *line)
{
    struct err err = {0};
    call_defer(call);
    if (fleet_send_command(call->api->rooms.fleet, call->param, line, strlen(line), written, call,
                           &err) < 0)
        written(call, &err);
}

static int apply_command(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    (void)tx;
    (void)err;
    error_write(&mutation->body, "outcome_unknown",
                "This was sent to the node before, and it is not known whether it was written;"
                " it is not sent again.",
                http_req_id(mutation->call->req), NULL, NULL);
    mutation->status = 409;
    return 0;
}

static void proceed_command(struct mutation *mutation)
{
    send_line(mutation->call, ((struct command *)mutation)->line);
}

static void destroy_command(struct mutation *mutation)
{
    struct command *command = (struct command *)mutation;
    free(command->line);
    free(command);
}

static void keep_and_send(struct call *call, char *take_line)
{
    struct err err = {0};
    struct command *command = calloc(1, sizeof(*command));
    if (!command) {
        free(take_line);
        err_nomem(&err);
        call_answer_err(call, &err);
        return;
    }
    command->line = take_line;
    command->mutation = (struct mutation){.call = call,
                                          .apply = apply_command,
                                          .proceed = proceed_command,
                                          .destroy = destroy_command};
    mutation_submit(&command->mutation);
}

static int read_line(const struct call *call, char **ret_line, struct err *err)
{
    struct body body;
    body_open(&body, call->body, NULL);
    const char *line = body_text(&body, "line", BODY_OPTIONAL, COMMAND_MAX);
    const json_t *given = json_object_get(call->body, "line");
    if (!body.failed && (!given || json_is_null(given)))
        err_field(&body.err, ERR_INVALID, "missing_field", "line",
                  "The field \"line\" is required.");
    else if (!body.failed && strpbrk(line ? line : "", "\r\n"))
        err_field(&body.err, ERR_INVALID, "invalid_field", "line",
                  "The field \"line\" has to be one line, without a line break.");
    else if (!body.failed && asprintf(ret_line, "%s\n", line ? line : "") < 0)
        err_nomem(&body.err);
    else if (!body.failed)
        return 0;
    *err = body.err;
    return -1;
}

void console_command(struct call *call)
{
    struct err err = {0};
    char *line = NULL;
    if (read_line(call, &line, &err) < 0 || call_check_instance(call, &err) < 0) {
        free(line);
        call_answer_err(call, &err);
        return;
    }
    if (call->has_idempotency) {
        keep_and_send(call, line);
        return;
    }
    send_line(call, line);
    free(line);
}
