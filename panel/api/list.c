/* Lists: ETag, paging, and the array itself. See internal.h.
 *
 * The ETag is made from the versions of all that a list shows, read before the rows: a commit in
 * between makes the tag older than the rows, which costs one request too many and never hides a
 * change. The panel's epoch is part of it, since versions begin anew with each start. */
#include "panel/api/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/json_writer.h"
#include "panel/domain/text.h"

#define LIMIT_MAX 1000
#define ETAG_SIZE LIST_CACHE_ETAG_SIZE

static uint64_t hash_text(uint64_t hash, const char *s)
{
    for (; *s; s++)
        hash = (hash ^ (unsigned char)*s) * 1099511628211u; /* FNV-1a */
    return hash;
}

static void make_etag(const struct call *call, const uint64_t *versions, size_t count,
                      char out[ETAG_SIZE])
{
    uint64_t query = hash_text(14695981039346656037u, http_req_path(call->req));
    query = hash_text(query * 31, http_req_query_text(call->req));
    int at = snprintf(out, ETAG_SIZE, "\"%" PRIx64, store_identity(call->api->rooms.store)->epoch);
    for (size_t i = 0; i < count; i++)
        at += snprintf(out + at, ETAG_SIZE - (size_t)at, "-%" PRIx64, versions[i]);
    snprintf(out + at, ETAG_SIZE - (size_t)at, "-%" PRIx64 "\"", query);
}

/* If-None-Match: "*", or a list of tags, each perhaps weak (RFC 9110, 13.1.2). */
static bool etag_matches(const char *header, const char *etag)
{
    size_t len = strlen(etag);
    for (const char *at = header; at && *at;) {
        at += strspn(at, " \t,");
        if (*at == '*')
            return true;
        if (at[0] == 'W' && at[1] == '/')
            at += 2;
        if (*at != '"')
            return false;
        const char *end = strchr(at + 1, '"');
        if (!end)
            return false;
        if ((size_t)(end + 1 - at) == len && memcmp(at, etag, len) == 0)
            return true;
        at = end + 1;
    }
    return false;
}

/* A cursor is the sequence number of the last row, as "c" and hex. */
static bool read_cursor(const char *text, int64_t *ret_after)
{
    uint64_t n = 0;
    size_t len = strlen(text);
    if (text[0] != 'c' || len < 2 || len > 16)
        return false;
    for (const char *p = text + 1; *p; p++) {
        const char *digit = strchr("0123456789abcdef", *p);
        if (!digit)
            return false;
        n = n << 4 | (uint64_t)(digit - "0123456789abcdef");
    }
    *ret_after = (int64_t)n;
    return true;
}

static int read_page(const struct call *call, struct list *list, struct err *err)
{
    uint64_t limit = 0;
    const char *text = http_req_query(call->req, "limit");
    if (text) {
        if (!text_parse_uint(text, LIMIT_MAX, &limit) || !limit)
            return err_field(err, ERR_INVALID, "invalid_field", "limit",
                             "The parameter \"limit\" has to be a number from 1 to %d.", LIMIT_MAX);
        snprintf(list->limit, sizeof(list->limit), "%u", (unsigned)limit);
    }
    list->page.limit = (uint32_t)limit;
    text = http_req_query(call->req, "cursor");
    if (text && !read_cursor(text, &list->page.after))
        return err_field(err, ERR_INVALID, "invalid_field", "cursor",
                         "The parameter \"cursor\" has to be one that a Link header gave.");
    return 0;
}

/* Does the client have it already, or this room? Then it has been answered. One that will be long
 * is handed to the lister, which comes here again. */
static bool answer_known(struct call *call, struct list *list)
{
    struct list_cache *lists = call->api->lists;
    /* On the lister's thread it isn't to be read any more, and has been looked at. */
    const char *tags = call->deferred ? NULL : http_req_header(call->req, "If-None-Match");
    bool known = tags && etag_matches(tags, list->etag);
    /* one of many that share a route is not worth keeping */
    list->whole = !list->page.limit && !list->page.after && !call->param[0] && !call_viewer(call);
    struct shared *body =
        list->whole && !known ? list_cache_get(lists, call->route, list->etag) : NULL;
    if (!known && !body && list->whole && !call->deferred &&
        list_cache_was_long(lists, call->route)) {
        lister_take(call->api->lister, call);
        return true;
    }
    http_req_add_header(call->req, "ETag", list->etag);
    if (known) {
        struct strbuf nothing = {0};
        call_answer(call, 304, &nothing);
    } else if (body) {
        call_answer_shared(call, body);
    }
    return known || body;
}

bool list_begin(struct call *call, const uint64_t *versions, size_t count, struct list *ret_list)
{
    struct err err = {0};
    struct list list = {0};
    if (read_page(call, &list, &err) < 0) {
        call_answer_err(call, &err);
        return false;
    }
    list.tagged = count > 0;
    if (count && !call_viewer(call)) {
        make_etag(call, versions, count, list.etag);
        if (answer_known(call, &list))
            return false;
    }
    jw_array_begin(&list.out, NULL);
    *ret_list = list;
    return true;
}

/* What a user sees is his own; that others' things change must not show in it. So its tag is made
 * of what it says. */
static void answer_viewer(struct call *call, struct list *list)
{
    const char *tags = http_req_header(call->req, "If-None-Match");
    char hex[CRYPTO_HEX_LEN + 1];
    if (list->tagged && !list->out.failed) {
        crypto_digest_hex(list->out.data, list->out.len, hex);
        snprintf(list->etag, sizeof(list->etag), "\"%.32s\"", hex);
        http_req_add_header(call->req, "ETag", list->etag);
    }
    if (!list->etag[0] || !tags || !etag_matches(tags, list->etag)) {
        call_answer(call, 200, &list->out);
        return;
    }
    struct strbuf nothing = {0};
    strbuf_fini(&list->out);
    call_answer(call, 304, &nothing);
}

void list_end(struct call *call, struct list *list, int rc, const struct err *err)
{
    if (rc < 0) {
        strbuf_fini(&list->out);
        call_answer_err(call, err);
        return;
    }
    jw_array_end(&list->out);
    if (list->page.next) {
        char link[200];
        snprintf(link, sizeof(link), "<%s?limit=%s&cursor=c%" PRIx64 ">; rel=\"next\"",
                 http_req_path(call->req), list->limit, (uint64_t)list->page.next);
        http_req_add_header(call->req, "Link", link);
    }
    if (call_viewer(call)) {
        answer_viewer(call, list);
        return;
    }
    if (!list->whole) {
        call_answer(call, 200, &list->out);
        return;
    }
    size_t len = list->out.len;
    char *text = strbuf_steal(&list->out);
    struct shared *body = text ? shared_create(text, len) : NULL;
    if (body)
        list_cache_put(call->api->lists, call->route, list->etag, body);
    call_answer_shared(call, body);
}
