/* The audit trail: for every admitted request that changes something, which key did what to what,
 * when, and how it ended. And GET /api/audit, which shows it.
 *
 * A change and its row are committed together. Where the answer comes later, the row has no status
 * until then: one that still has none after a crash says that nobody knows. Refusals, which change
 * nothing, are written afterwards. Replays of an Idempotency-Key are no new requests. */
#include "panel/api/audit.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/iso_time.h"
#include "common/json_writer.h"
#include "common/log.h"
#include "panel/api/handlers.h"
#include "panel/domain/text.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX     1000
#define FILTER_SIZE   65

/* --- writing --------------------------------------------------------------------------------- */

static const char *find_target(const struct call *call, const char *made)
{
    return made[0] && !call->param[0] ? made : call_target(call);
}

static struct audit describe(const struct call *call, const char *made, int status,
                             char detail[AUDIT_DETAIL_SIZE])
{
    audit_describe(call, detail);
    return (struct audit){.request_id = http_req_id(call->req),
                          .key_id = call->key.id,
                          .key_name = call->key.name,
                          .method = call_method_name(call->req),
                          .path = http_req_path(call->req),
                          .target = find_target(call, made),
                          .detail = detail,
                          .status = status,
                          .code = ""};
}

int audit_change(const struct call *call, struct store_tx *tx, const char *made, int status,
                 const char *code, int64_t *ret_seq, struct err *err)
{
    char detail[AUDIT_DETAIL_SIZE];
    struct audit audit = describe(call, made, status, detail);
    audit.code = code;
    return store_audit_add(tx, &audit, ret_seq, err);
}

/* A row that is written after the answer; its texts lie behind it. */
struct late {
    struct store_change change;
    struct audit audit;
    int64_t seq; /* 0: it has no row yet */
    char request_id[64];
    char key_id[API_KEY_ID_SIZE];
    char key_name[API_KEY_NAME_SIZE];
    char target[ROUTE_PARAM_SIZE];
    char detail[AUDIT_DETAIL_SIZE];
    char code[64];
    char path[];
};

static int apply_late(struct store_change *change, struct store_tx *tx, struct err *err)
{
    const struct late *late = (struct late *)change;
    int64_t seq;
    if (late->seq)
        return store_audit_end(tx, late->seq, late->audit.status, late->audit.code, err);
    return store_audit_add(tx, &late->audit, &seq, err);
}

static void late_done(struct store_change *change, const struct err *err)
{
    const struct late *late = (const struct late *)change;
    if (err)
        log_warn("request not in the audit trail", "req=%s reason=\"%s\"", late->request_id,
                 err->msg);
    free(change);
}

static void copy(char *to, size_t size, const char **text)
{
    snprintf(to, size, "%s", *text);
    *text = to;
}

void audit_answered(struct call *call, int status, const char *code)
{
    if (!call->route->mutates || !call->key.id[0] || call->audit.done ||
        (call->audit.seq && call->audit.status == status))
        return;
    call->audit.done = true;
    size_t len = strlen(http_req_path(call->req));
    struct late *late = calloc(1, sizeof(*late) + len + 1);
    if (!late)
        return;
    late->change.apply = apply_late;
    late->change.done = late_done;
    late->seq = call->audit.seq;
    late->audit = describe(call, "", status, late->detail);
    late->audit.code = code;
    copy(late->request_id, sizeof(late->request_id), &late->audit.request_id);
    copy(late->key_id, sizeof(late->key_id), &late->audit.key_id);
    copy(late->key_name, sizeof(late->key_name), &late->audit.key_name);
    copy(late->target, sizeof(late->target), &late->audit.target);
    copy(late->code, sizeof(late->code), &late->audit.code);
    copy(late->path, len + 1, &late->audit.path);
    struct err err;
    if (store_submit(call->api->rooms.store, &late->change, &err) < 0)
        late_done(&late->change, &err);
}

/* --- showing --------------------------------------------------------------------------------- */

struct question {
    struct audit_filter filter;
    uint32_t limit;
    char key[FILTER_SIZE];
    char target[FILTER_SIZE];
};

static int read_filter(const struct call *call, const char *name, char *ret, const char **ret_text,
                       struct err *err)
{
    const char *text = http_req_query(call->req, name);
    text = text ? text : "";
    if (text_check_line(name, text, FILTER_SIZE - 1, err) < 0)
        return -1;
    snprintf(ret, FILTER_SIZE, "%s", text);
    *ret_text = ret;
    return 0;
}

static int read_question(const struct call *call, struct question *question, struct err *err)
{
    uint64_t number;
    const char *text = http_req_query(call->req, "limit");
    question->limit = LIMIT_DEFAULT;
    if (text) {
        if (!text_parse_uint(text, LIMIT_MAX, &number) || !number)
            return err_field(err, ERR_INVALID, "invalid_field", "limit",
                             "The parameter \"limit\" has to be a number from 1 to %d.", LIMIT_MAX);
        question->limit = (uint32_t)number;
    }
    text = http_req_query(call->req, "cursor");
    if (text) {
        if (!text_parse_uint(text, INT64_MAX, &number) || !number)
            return err_field(err, ERR_INVALID, "invalid_field", "cursor",
                             "The parameter \"cursor\" has to be one that a Link header gave.");
        question->filter.before = (int64_t)number;
    }
    text = http_req_query(call->req, "since");
    if (text) {
        if (text_parse_uint(text, INT32_MAX, &number))
            question->filter.since = (int64_t)number * 1000;
        else if (iso_time_parse(text, &number))
            question->filter.since = (int64_t)(number / 1000000);
        else
            return err_field(err, ERR_INVALID, "invalid_field", "since",
                             "The parameter \"since\" has to be a time: seconds since 1970, or"
                             " RFC 3339 like 2026-01-31T12:00:00Z.");
    }
    return read_filter(call, "key", question->key, &question->filter.key, err) < 0 ||
                   read_filter(call, "target", question->target, &question->filter.target, err) < 0
               ? -1
               : 0;
}

static int put_row(const struct audit *audit, void *arg, struct err *err)
{
    (void)err;
    struct strbuf *out = arg;
    jw_object_begin(out, NULL);
    jw_int(out, "id", audit->seq);
    jw_time(out, "at", audit->at);
    if (audit->request_id[0])
        jw_string(out, "requestId", audit->request_id);
    else
        jw_null(out, "requestId");
    jw_object_begin(out, "key");
    jw_string(out, "id", audit->key_id);
    jw_string(out, "name", audit->key_name);
    jw_object_end(out);
    jw_string(out, "method", audit->method);
    jw_string(out, "path", audit->path);
    if (audit->target[0])
        jw_string(out, "target", audit->target);
    else
        jw_null(out, "target");
    if (audit->detail[0])
        jw_string(out, "detail", audit->detail);
    else
        jw_null(out, "detail");
    if (audit->status)
        jw_int(out, "status", audit->status);
    else
        jw_null(out, "status");
    if (audit->code[0])
        jw_string(out, "code", audit->code);
    else
        jw_null(out, "code");
    jw_object_end(out);
    return 0;
}

/* Names may hold anything. */
static void add_filter(struct strbuf *link, const char *name, const char *value)
{
    if (*value)
        strbuf_fmt(link, "&%s=", name);
    for (const unsigned char *p = (const unsigned char *)value; *p; p++) {
        if (isalnum(*p) || strchr("-._~:", *p))
            strbuf_char(link, (char)*p);
        else
            strbuf_fmt(link, "%%%02X", *p);
    }
}

static void add_link(struct call *call, const struct question *question, int64_t next)
{
    auto_strbuf struct strbuf link = {0};
    char since[CLOCK_ISO_LEN] = "";
    if (question->filter.since)
        clock_format_iso(question->filter.since, since);
    strbuf_fmt(&link, "</api/audit?limit=%u&cursor=%" PRId64, question->limit, next);
    add_filter(&link, "key", question->key);
    add_filter(&link, "target", question->target);
    add_filter(&link, "since", since);
    strbuf_str(&link, ">; rel=\"next\"");
    if (!link.failed)
        http_req_add_header(call->req, "Link", link.data);
}

void audit_list(struct call *call)
{
    struct err err = {0};
    struct question question = {0};
    struct strbuf out = {0};
    int64_t next = 0;
    jw_array_begin(&out, NULL);
    if (read_question(call, &question, &err) < 0 ||
        store_audit_list(call->api->rooms.store, &question.filter, question.limit, &next, put_row,
                         &out, &err) < 0) {
        strbuf_fini(&out);
        call_answer_err(call, &err);
        return;
    }
    jw_array_end(&out);
    if (next)
        add_link(call, &question, next);
    call_answer(call, 200, &out);
}
