/* Errors on the wire: which status, which words. See internal.h.
 *
 * Invariant: only what a row marks as shown reaches a client; the rest is logged under the request
 * id and replaced by a sentence that names it. Any thread. */
#include "panel/api/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/auto.h"
#include "common/json_writer.h"
#include "common/log.h"
#include "panel/http/uri.h"

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
    {ERR_CONFLICT, "idempotency_key_reused", 409, true},
    {ERR_CONFLICT, "token_used", 409, true},
    {ERR_CONFLICT, "not_failed", 409, true},
    {ERR_CONFLICT, NULL, 400, true}, /* port_taken, insufficient_memory, … */
    {ERR_UNAUTHORIZED, NULL, 401, true},
    {ERR_TOO_LARGE, NULL, 413, true},
    {ERR_BUSY, NULL, 503, true},
    {ERR_OFFLINE, NULL, 500, true},
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

/* Messages made deep inside begin in lower case and have no full stop. */
static void write_sentence(struct strbuf *out, const char *msg)
{
    char text[sizeof(((struct err *)0)->msg) + 2];
    size_t len = (size_t)snprintf(text, sizeof(text) - 1, "%s", msg);
    if (len > sizeof(text) - 2)
        len = sizeof(text) - 2;
    /* A message cut off by its size may end inside a character. */
    while (len && !uri_is_utf8(text, len))
        text[--len] = '\0';
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = '?'; /* part of a name that the client gave */
    }
    text[0] = (char)toupper((unsigned char)text[0]);
    if (len && !strchr(".!?", text[len - 1])) {
        text[len] = '.';
        text[len + 1] = '\0';
    }
    jw_string(out, "error", text);
}

void error_write(struct strbuf *out, const char *code, const char *sentence, const char *request_id,
                 const char *field, const char *details)
{
    jw_object_begin(out, NULL);
    write_sentence(out, sentence);
    jw_string(out, "code", code);
    jw_string(out, "requestId", request_id);
    if (field && *field)
        jw_string(out, "field", field);
    if (details)
        jw_raw(out, "details", details);
    jw_object_end(out);
}

void error_render(const struct err *err, const char *request_id, struct strbuf *out)
{
    if (find_mapping(err)->shown) {
        error_write(out, err->reason, err->msg, request_id, err->field, NULL);
        return;
    }
    log_error("request failed", "request=%s code=%s error=\"%s\"", request_id, err->reason,
              err->msg);
    if (err->code == ERR_TIMEOUT)
        error_write(out, "outcome_unknown",
                    "It is not known whether this was done; the request id finds it in the log.",
                    request_id, NULL, NULL);
    else
        error_write(out, "internal_error",
                    "Something went wrong in the panel; the request id finds it in the log.",
                    request_id, NULL, NULL);
}
