/* The API's own description: as a page at /docs, as OpenAPI at /docs/openapi.json and, with a key
 * like all under /api, at /api/openapi.json.
 *
 * The page and its document tell nothing that isn't public with the sources, so they need no key.
 * Both are constants of the build; the page has no script, and a policy that allows none. */
#include "panel/api/docs_text.h"
#include "panel/api/handlers.h"
#include "panel/api/internal.h"

static void answer_bytes(struct call *call, const char *bytes, size_t len)
{
    struct strbuf body = {0};
    strbuf_add(&body, bytes, len);
    call_answer(call, 200, &body);
}

void docs_get_document(struct call *call)
{
    answer_bytes(call, docs_document, docs_document_len);
}

void docs_get_page(struct call *call)
{
    http_req_set_type(call->req, "text/html; charset=utf-8");
    http_req_add_header(call->req, "Content-Security-Policy", docs_page_policy);
    http_req_add_header(call->req, "Referrer-Policy", "no-referrer");
    answer_bytes(call, docs_page, docs_page_len);
}
