/* See history.h. An install's log is one that the agent wrote itself (install.c). */
#include "agent/history.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "agent/answer.h"
#include "agent/log_lines.h"
#include "agent/reconcile_parts.h"
#include "common/auto.h"
#include "common/clock.h"
#include "common/envelope.h"

#define TOLD_MAX  (512u * 1024u) /* bytes of memory; on the wire they are fewer */
#define AT_ONCE   8u             /* that are read; calls are few (rpc.c) */
#define MOMENT_NS 1000000000u

struct history {
    struct history *prev;
    struct history *next;
    struct histories *owner;
    struct rpc_call *call;
    uint64_t call_id;
    uint64_t began_ns; /* since 1970 */
    uint32_t lines_max;
    struct log_lines lines;
    struct log_stream stream;
    struct docker_call *docker;
};

struct histories {
    const struct identity *identity;
    struct reconcile *reconcile;
    struct history *all;
    unsigned count;
};

static void history_free(struct history *history)
{
    DL_DELETE(history->owner->all, history);
    history->owner->count--;
    docker_call_cancel(history->docker);
    log_stream_fini(&history->stream);
    log_lines_clear(&history->lines);
    free(history);
}

static void take_text(void *arg, const struct log_text *text)
{
    struct history *history = arg;
    struct log_lines *lines = &history->lines;
    log_lines_add(lines, text);
    if (history->lines_max && lines->count > history->lines_max)
        log_lines_forget(lines, lines->first->at);
}

static void take_piece(void *arg, const char *data, size_t len)
{
    struct history *history = arg;
    log_stream_add(&history->stream, data, len);
}

/* Where what is still to come begins. A line that Docker has taken, but not yet written when it
 * was asked, is younger than the moment before. Never later than now, whatever was asked for: all
 * who follow the instance go on from there. */
static struct log_position end_of(const struct history *history)
{
    const struct log_lines *lines = &history->lines;
    if (lines->count)
        return lines->kept;
    if (lines->after.time_ns && lines->after.time_ns <= history->began_ns)
        return lines->after;
    return (struct log_position){history->began_ns - MOMENT_NS, 0};
}

static void answer(struct history *history)
{
    const struct log_lines *lines = &history->lines;
    Wire__Envelope envelope = WIRE__ENVELOPE__INIT;
    Wire__HistoryReply reply = WIRE__HISTORY_REPLY__INIT;
    Wire__LogPosition end = WIRE__LOG_POSITION__INIT;
    struct log_position at = end_of(history);
    end.time_ns = at.time_ns;
    end.index = at.index;
    reply.lines = log_lines_tell(lines, TOLD_MAX, &reply.n_lines, NULL);
    reply.left_out = lines->dropped;
    reply.end = &end;
    envelope.body_case = WIRE__ENVELOPE__BODY_HISTORY_REPLY;
    envelope.history_reply = &reply;
    answer_send(history->call, history->owner->identity, history->call_id, &envelope);
    free(reply.lines);
}

static void end_log(void *arg, const struct docker_reply *reply)
{
    struct history *history = arg;
    history->docker = NULL;
    if (reply->err.code == ERR_NONE) {
        log_stream_end(&history->stream);
        answer(history);
    } else {
        answer_failure(history->call, history->owner->identity, history->call_id, &reply->err);
    }
    history_free(history);
}

static void add_install_line(struct log_lines *lines, const char *line, size_t len)
{
    char *text;
    struct log_text out = {.time_ns = strtoull(line, &text, 10)};
    if (*text != ' ' || text >= line + len)
        return;
    out.text = text + 1;
    out.len = (size_t)(line + len - out.text);
    log_lines_add(lines, &out);
}

/* Of an install: from our own file, at once. */
static int answer_install(struct histories *histories, struct rpc_call *call,
                          const Wire__Envelope *request, struct err *err)
{
    const Wire__History *body = request->history;
    auto_free char *text = NULL;
    if (envelope_check_id(body->instance_id) < 0)
        return err_set(err, ERR_NOT_FOUND, "no_container", "the instance is not known here");
    if (install_log_read(histories->reconcile->installs, body->instance_id, &text, err) < 0 &&
        err->code != ERR_NOT_FOUND)
        return -1;
    struct history history = {.owner = histories, .call = call, .call_id = request->call_id};
    struct log_lines *lines = &history.lines;
    lines->bytes_max = TOLD_MAX;
    lines->after = log_position_of(body->after);
    lines->until = log_position_of(body->until);
    history.began_ns = MOMENT_NS;
    for (const char *line = text; line && *line;) {
        size_t len = strcspn(line, "\n");
        add_install_line(lines, line, len);
        if (body->lines_max && lines->count > body->lines_max)
            log_lines_forget(lines, lines->first->at);
        line += len + (line[len] == '\n');
    }
    answer(&history);
    log_lines_clear(lines);
    return 0;
}

/* 0, or -1 when it can't begin. */
static int begin(struct histories *histories, struct rpc_call *call, const Wire__Envelope *request,
                 struct err *err)
{
    const Wire__History *body = request->history;
    const struct instance *inst =
        envelope_check_id(body->instance_id) == 0
            ? instance_find(reconcile_table(histories->reconcile), body->instance_id)
            : NULL;
    if (!inst || !inst->container.id[0])
        return err_set(err, ERR_NOT_FOUND, "no_container", "the instance has no container here");
    if (histories->count >= AT_ONCE)
        return err_set(err, ERR_BUSY, "busy", "too many logs are being read at once");
    struct history *history = calloc(1, sizeof(*history));
    if (!history)
        return err_nomem(err);
    *history = (struct history){.owner = histories,
                                .call = call,
                                .call_id = request->call_id,
                                .began_ns = (uint64_t)clock_wall_ms() * 1000000u,
                                .lines_max = body->lines_max};
    history->lines.bytes_max = TOLD_MAX;
    history->lines.after = log_position_of(body->after);
    history->lines.until = log_position_of(body->until);
    history->stream = (struct log_stream){
        .terminal = inst->container.terminal, .take = take_text, .arg = history};
    DL_APPEND(histories->all, history);
    histories->count++;
    struct docker_log_range range = {.since_ns = history->lines.after.time_ns,
                                     .until_ns = history->lines.until.time_ns,
                                     .tail = body->lines_max};
    history->docker = docker_logs(histories->reconcile->docker, inst->container.id, &range,
                                  take_piece, end_log, history, err);
    if (history->docker)
        return 0;
    history_free(history);
    return -1;
}

void histories_take(struct histories *histories, struct rpc_call *call,
                    const Wire__Envelope *request)
{
    struct err err;
    int rc = request->history->install ? answer_install(histories, call, request, &err)
                                       : begin(histories, call, request, &err);
    if (rc < 0)
        answer_failure(call, histories->identity, request->call_id, &err);
}

struct histories *histories_create(const struct identity *identity, struct reconcile *reconcile)
{
    struct histories *histories = calloc(1, sizeof(*histories));
    if (!histories)
        return NULL;
    histories->identity = identity;
    histories->reconcile = reconcile;
    return histories;
}

void histories_destroy(struct histories *histories)
{
    if (!histories)
        return;
    while (histories->all)
        history_free(histories->all);
    free(histories);
}
