/* The API, called. See api.h. */
#include "panel/ctl/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/utf8.h"

#define TRIES_MAX     4
#define WAIT_MAX_S    60
#define PATIENCE_MS   70000u /* of changes: the panel waits for a node for a minute at most */
#define PAGE          "1000"
#define FIRST_WAIT_MS 300u

void api_add_escaped(struct strbuf *path, const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
            strchr("-_.~", *p))
            strbuf_char(path, (char)*p);
        else
            strbuf_fmt(path, "%%%02X", *p);
    }
}

char *api_path(const char *before, const char *id, const char *after)
{
    struct strbuf path = {0};
    strbuf_str(&path, before);
    api_add_escaped(&path, id);
    strbuf_str(&path, after);
    return strbuf_steal(&path);
}

/* --- errors ---------------------------------------------------------------------------------- */

static enum err_code code_of(int status, const char *code)
{
    size_t len = strlen(code);
    if (len > 10 && strcmp(code + len - 10, "_not_found") == 0)
        return ERR_NOT_FOUND; /* the contract has 400 for these */
    switch (status) {
    case 401:
    case 403:
        return ERR_UNAUTHORIZED;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
        return ERR_CONFLICT;
    case 429:
    case 503:
        return ERR_BUSY;
    case 504:
        return ERR_TIMEOUT;
    default:
        return status >= 400 && status < 500 ? ERR_INVALID : ERR_INTERNAL;
    }
}

void api_forget_failure(struct ctl *ctl)
{
    json_decref(ctl->failure);
    ctl->failure = NULL;
}

int api_fail(struct ctl *ctl, const struct http_answer *answer, struct err *err)
{
    json_decref(ctl->failure);
    ctl->failure =
        answer->body.len ? json_loadb(answer->body.data, answer->body.len, 0, NULL) : NULL;
    const char *sentence = json_string_value(json_object_get(ctl->failure, "error"));
    const char *code = json_string_value(json_object_get(ctl->failure, "code"));
    if (answer->status >= 300 && answer->status < 400)
        return err_set(err, ERR_PROTOCOL, "redirected",
                       "%.200s sends elsewhere (status %d); set the panel's own address",
                       ctl->settings.values[SETTING_URL], answer->status);
    if (!sentence || !code)
        return err_set(err, answer->status >= 500 ? ERR_OFFLINE : ERR_PROTOCOL, "not_a_panel",
                       "what answers at %.200s is no panel (status %d)",
                       ctl->settings.values[SETTING_URL], answer->status);
    err_set(err, code_of(answer->status, code), "", "%s", "");
    utf8_copy(err->reason, sizeof(err->reason), code);
    utf8_copy(err->msg, sizeof(err->msg), sentence);
    return -1;
}

bool api_may_pass(const struct err *err)
{
    return err->code == ERR_OFFLINE || err->code == ERR_TIMEOUT || err->code == ERR_BUSY;
}

/* --- trying again ---------------------------------------------------------------------------- */

static void sleep_ms(unsigned ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) < 0)
        ;
}

/* A node that doesn't answer is no reason to wait; it is told at once. */
static bool is_busy(const struct http_answer *answer)
{
    if (answer->status == 429)
        return true;
    return answer->status == 503 && answer->body.data &&
           !strstr(answer->body.data, "\"node_unreachable\"") &&
           !strstr(answer->body.data, "\"docker_unreachable\"");
}

static void tell(const struct ctl *ctl, const char *why, unsigned ms)
{
    if (ctl->term.err)
        fprintf(stderr, "panelctl: %s; trying again in %u s\n", why, (ms + 999) / 1000);
}

/* Of a change that was sent once nobody knows what became of it, whatever the last try met. */
static int give_up(const struct ctl *ctl, const struct http_request *request, bool lost,
                   struct err *err)
{
    if (!lost || !request->idempotency_key)
        return -1;
    return err_set(err, ERR_TIMEOUT, "outcome_unknown",
                   "%.120s has not said what became of this: look whether it was done before you "
                   "do it again",
                   ctl->settings.values[SETTING_URL]);
}

/* Send it until there is an answer that says more than "later". A request that never arrived is
 * repeated only where an earlier try may have: the panel is restarting then. */
static int send_until(struct ctl *ctl, const struct http_request *request, struct http_answer *ret,
                      struct err *err)
{
    bool lost = false;
    unsigned wait_ms = FIRST_WAIT_MS;
    if (!request->keyless && settings_check_key(&ctl->settings, err) < 0)
        return -1;
    for (int try = 1;; try++, wait_ms *= 2) {
        struct http_answer answer = {0};
        if (http_send(ctl->http, request, &answer, err) < 0) {
            bool timed_out = strcmp(err->reason, "timed_out") == 0;
            lost |= err->code == ERR_TIMEOUT;
            if (!lost || try == TRIES_MAX || (timed_out && try > 1))
                return give_up(ctl, request, lost,
                               err); /* who waited so long twice wants to know */
            tell(ctl, "the answer was lost", wait_ms);
            sleep_ms(wait_ms);
            continue;
        }
        if (!is_busy(&answer) || try == TRIES_MAX || answer.retry_after_s > WAIT_MAX_S) {
            *ret = answer;
            return 0;
        }
        if (answer.retry_after_s > 0)
            wait_ms = (unsigned)answer.retry_after_s * 1000;
        tell(ctl, answer.status == 429 ? "too many requests" : "the panel is busy", wait_ms);
        http_answer_fini(&answer);
        sleep_ms(wait_ms);
    }
}

/* --- calls ----------------------------------------------------------------------------------- */

static int read_value(struct ctl *ctl, struct http_answer *answer, json_t **ret, struct err *err)
{
    json_t *value = answer->body.len ? json_loadb(answer->body.data, answer->body.len,
                                                  JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL)
                                     : NULL;
    if (!value)
        return err_set(err, ERR_PROTOCOL, "not_a_panel", "what answers at %.200s is no panel",
                       ctl->settings.values[SETTING_URL]);
    if (ret)
        *ret = value;
    else
        json_decref(value);
    return 0;
}

static int call(struct ctl *ctl, const struct http_request *request, json_t **ret,
                struct http_answer *ret_head, struct err *err)
{
    struct http_answer answer = {0};
    if (send_until(ctl, request, &answer, err) < 0)
        return -1;
    int rc =
        answer.status / 100 == 2 ? read_value(ctl, &answer, ret, err) : api_fail(ctl, &answer, err);
    if (ret_head)
        *ret_head = answer;
    else
        http_answer_fini(&answer);
    return rc;
}

int api_get(struct ctl *ctl, const char *path, json_t **ret, struct err *err)
{
    struct http_request request = {.method = "GET", .path = path};
    return call(ctl, &request, ret, NULL, err);
}

int api_change(struct ctl *ctl, const char *method, const char *path, const json_t *body,
               json_t **ret, struct err *err)
{
    char key[CRYPTO_UUID_SIZE];
    auto_free char *text = body ? json_dumps(body, JSON_COMPACT) : strdup("{}");
    if (!text)
        return err_nomem(err);
    crypto_uuid(key);
    struct http_request request = {.method = method,
                                   .path = path,
                                   .body = text,
                                   .idempotency_key = key,
                                   .patience_ms = PATIENCE_MS};
    int rc = call(ctl, &request, ret, NULL, err);
    crypto_wipe(text, strlen(text)); /* it may hold a password */
    return rc;
}

int api_login(struct ctl *ctl, const json_t *body, json_t **ret, struct err *err)
{
    auto_free char *text = json_dumps(body, JSON_COMPACT);
    if (!text)
        return err_nomem(err);
    struct http_request request = {
        .method = "POST", .path = "/api/auth/login", .body = text, .keyless = true};
    int rc = call(ctl, &request, ret, NULL, err);
    crypto_wipe(text, strlen(text));
    return rc;
}

int api_get_raw(struct ctl *ctl, const char *path, const char *etag, struct http_answer *ret,
                struct err *err)
{
    struct http_answer answer = {0};
    struct http_request request = {
        .method = "GET", .path = path, .etag = etag && *etag ? etag : NULL};
    if (send_until(ctl, &request, &answer, err) < 0)
        return -1;
    if (answer.status / 100 != 2 && answer.status != 304) {
        api_fail(ctl, &answer, err);
        http_answer_fini(&answer);
        return -1;
    }
    *ret = answer;
    return 0;
}

int api_list(struct ctl *ctl, const char *path, size_t most, json_t **ret, struct err *err)
{
    auto_json json_t *all = json_array();
    auto_strbuf struct strbuf next = {0};
    char limit[24] = PAGE;
    if (most && most < 1000)
        snprintf(limit, sizeof(limit), "%zu", most);
    strbuf_fmt(&next, "%s%climit=%s", path, strchr(path, '?') ? '&' : '?', limit);
    while (next.len) {
        struct http_answer head = {0};
        auto_json json_t *page = NULL;
        struct http_request request = {.method = "GET", .path = next.data};
        if (next.failed || !all)
            return err_nomem(err);
        int rc = call(ctl, &request, &page, &head, err);
        strbuf_reset(&next);
        if (rc == 0 && !json_is_array(page))
            rc = err_set(err, ERR_PROTOCOL, "not_a_panel", "the panel answered no list");
        if (rc == 0 && json_array_extend(all, page) < 0)
            rc = err_nomem(err);
        if (rc == 0 && head.next[0] && json_array_size(page) &&
            (!most || json_array_size(all) < most))
            strbuf_str(&next, head.next);
        http_answer_fini(&head);
        if (rc < 0)
            return -1;
    }
    while (most && json_array_size(all) > most)
        json_array_remove(all, json_array_size(all) - 1);
    *ret = steal_ptr(all);
    return 0;
}
