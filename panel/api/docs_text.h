/* What docs/render made of docs/openapi.yaml when this was built: constant, any thread. */
#ifndef PANEL_API_DOCS_TEXT_H
#define PANEL_API_DOCS_TEXT_H

#include <stddef.h>

extern const char docs_document[]; /* OpenAPI, as JSON */
extern const size_t docs_document_len;
extern const char docs_page[]; /* the same for people, as one file of HTML */
extern const size_t docs_page_len;
extern const char docs_page_policy[]; /* its Content-Security-Policy */

#endif
