/* Errors on the wire: which status, which words. See internal.h.
 *
 * Invariant: only what a row marks as shown reaches a client; the rest is logged under the request
 * id and replaced by a sentence that names it. A value that was refused is told again, cut short,
 * unless its field may hold a secret. Any thread. */
#include "panel/api/internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/json_writer.h"
#include "common/log.h"
#include "common/utf8.h"

static const struct mapping {
    enum err_code code;
    const char *reason; /* NULL: any */
    int status;
    bool shown;
} mappings[] = {
    {ERR_INVALID, "unsupported_media_type", 415, true},
    {ERR_INVALID, NULL, 400, true},
    {ERR_NOT_FOUND, "not_found", 404, true},
    {ERR_NOT_FOUND, NULL, 400, true}, /* the contract: unknown things are 400 */
    {ERR_CONFLICT, "user_exists", 409, true},
    {ERR_CONFLICT, "image_exists", 409, true},
    {ERR_CONFLICT, "node_exists", 409, true},
    {ERR_CONFLICT, "protocol_mismatch", 409, true},
    {ERR_CONFLICT, "idempotency_key_reused", 409, true},
    {ERR_CONFLICT, "token_used", 409, true},
    {ERR_CONFLICT, "not_failed", 409, true},
    {ERR_CONFLICT, "suspended", 409, true},
    {ERR_CONFLICT, "not_running", 409, true},
    {ERR_CONFLICT, "node_drained", 409, true},
    {ERR_CONFLICT, "is_owner", 409, true},
    {ERR_CONFLICT, NULL, 400, true}, /* port_taken, insufficient_memory, … */
    {ERR_UNAUTHORIZED, "forbidden", 403, true},
    {ERR_UNAUTHORIZED, NULL, 401, true},
    {ERR_TOO_LARGE, NULL, 413, true},
    {ERR_BUSY, "rate_limited", 429, true},
    {ERR_BUSY, NULL, 503, true},
    {ERR_IO, "disk_full", 503, true},
    {ERR_OFFLINE, "node_unreachable", 503, true},
    {ERR_OFFLINE, "docker_unreachable", 503, true},
    {ERR_OFFLINE, NULL, 500, true},
    {ERR_TIMEOUT, "no_stats", 503, true},
    {ERR_TIMEOUT, "outcome_unknown", 504, true},
    {ERR_NONE, NULL, 500, false}, /* the last row: all that is ours */
};

static const struct mapping *find_mapping(const struct err *err)
{
    const struct mapping *row = mappings;
    while (row < &mappings[ARRAY_LEN(mappings) - 1]) {
        if (row->code == err->code && (!row->reason || strcmp(row->reason, err->reason) == 0))
            return row;
        row++;
    }
    return row;
}

int error_status(const struct err *err)
{
    return find_mapping(err)->status;
}

/* --- the value at fault ---------------------------------------------------------------------- */

#define VALUE_SHOWN 60

/* Fields whose values nobody is shown again, whatever words stand around these. */
static bool is_secret(const char *field)
{
    static const char *const words[] = {"pass", "secret", "token", "key",
                                        "mac",  "nonce",  "csr",   "variables"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcasestr(field, words[i]))
            return true;
    }
    return false;
}

/* What the client had sent in the field that is refused; NULL when that is not to be shown. */
static const char *sent_value(const struct call *call, const struct err *err)
{
    if (!err->field[0] || is_secret(err->field) ||
        (err->code != ERR_INVALID && err->code != ERR_NOT_FOUND))
        return NULL;
    const char *value = json_string_value(json_object_get(call->body, err->field));
    if (!value)
        value = http_req_query(call->req, err->field);
    return value && *value ? value : NULL;
}

/* A sentence of its own behind the message: It is "…". */
static void add_value(struct strbuf *text, const char *value)
{
    char shown[VALUE_SHOWN + 1];
    utf8_copy(shown, sizeof(shown), value);
    strbuf_fmt(text, " It is \"%s%s\".", shown,
               shown[0] && strlen(value) > strlen(shown) ? "…" : "");
}

/* --- sentences ------------------------------------------------------------------------------- */

/* Messages made deep inside begin in lower case and have no full stop. */
static void add_sentence(struct strbuf *text, const char *msg)
{
    char cut[sizeof(((struct err *)0)->msg)];
    utf8_copy(cut, sizeof(cut), msg);
    cut[0] = (char)toupper((unsigned char)cut[0]);
    strbuf_str(text, cut);
    size_t len = strlen(cut);
    if (len && !strchr(".!?", cut[len - 1]))
        strbuf_str(text, ".");
}

static void write_error(struct strbuf *out, const char *code, const char *sentence,
                        const char *value, const char *request_id, const char *field,
                        const char *details)
{
    auto_strbuf struct strbuf text = {0};
    add_sentence(&text, sentence);
    if (value && !strstr(sentence, value)) /* many a sentence has it already */
        add_value(&text, value);
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f)
            text.data[i] = '?'; /* part of what the client gave */
    }
    jw_object_begin(out, NULL);
    jw_string(out, "error", text.data && !text.failed ? text.data : "The code says what is wrong.");
    jw_string(out, "code", code);
    jw_string(out, "requestId", request_id);
    if (field && *field)
        jw_string(out, "field", field);
    if (details)
        jw_raw(out, "details", details);
    jw_object_end(out);
}

void error_write(struct strbuf *out, const char *code, const char *sentence, const char *request_id,
                 const char *field, const char *details)
{
    write_error(out, code, sentence, NULL, request_id, field, details);
}

static void render(const struct err *err, const char *value, const char *request_id,
                   struct strbuf *out)
{
    if (find_mapping(err)->shown) {
        write_error(out, err->reason, err->msg, value, request_id, err->field, NULL);
        return;
    }
    log_error("request failed", "req=%s code=%s reason=\"%s\"", request_id, err->reason, err->msg);
    if (err->code == ERR_TIMEOUT)
        error_write(out, "outcome_unknown",
                    "It is not known whether this was done; the request id finds it in the log.",
                    request_id, NULL, NULL);
    else
        error_write(out, "internal_error",
                    "Something went wrong in the panel; the request id finds it in the log.",
                    request_id, NULL, NULL);
}

void error_render(const struct err *err, const char *request_id, struct strbuf *out)
{
    render(err, NULL, request_id, out);
}

void call_render_err(const struct call *call, const struct err *err, struct strbuf *out)
{
    render(err, sent_value(call, err), http_req_id(call->req), out);
}

char *error_readdress(char *take_text, const char *request_id)
{
    json_t *error = take_text ? json_loads(take_text, 0, NULL) : NULL;
    char *text = NULL;
    if (error && json_object_set_new(error, "requestId", json_string(request_id)) == 0)
        text = json_dumps(error, JSON_COMPACT);
    json_decref(error);
    if (!text)
        return take_text;
    free(take_text);
    return text;
}
