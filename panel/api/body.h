/* Reading what clients send: strict about JSON, lenient about scalars.
 *
 * A handler opens the body, reads its fields one line each, and looks at failed once: the first
 * thing wrong sticks in err and later reads return nothing. Texts live as long as the root. */
#ifndef PANEL_API_BODY_H
#define PANEL_API_BODY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "panel/http/http.h"

struct body {
    json_t *root;
    const struct http_req *query; /* where fields may come from too (DELETE), or NULL */
    bool failed;
    struct err err;
};

enum body_need { BODY_OPTIONAL, BODY_REQUIRED };

/* An object; {} for an empty text. ERR_INVALID "invalid_json". */
int body_parse(const char *text, size_t len, json_t **ret_root, struct err *err);
/* application/json or …+json, with no charset but utf-8. NULL is none. */
bool body_is_json_type(const char *media_type);

void body_open(struct body *body, json_t *root, const struct http_req *query);

/* A string, or a number as its text. NULL: absent (or null), or failed. An empty one is
 * missing where it is required. max: bytes. */
const char *body_text(struct body *body, const char *name, enum body_need need, size_t max);
/* true, false, 1, 0, or one of these as a string. */
bool body_flag(struct body *body, const char *name, bool otherwise);
/* The same: 1 or 0, or -1 when it is absent (or null), or failed. */
int body_flag_if_sent(struct body *body, const char *name);
/* null itself, where that says something else than nothing does. */
bool body_is_null(const struct body *body, const char *name);
/* An object, or a string that holds one; a borrowed reference, NULL when absent. */
json_t *body_object(struct body *body, const char *name);

#endif
