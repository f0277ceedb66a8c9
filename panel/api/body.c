/* Reading what clients send. See body.h. Pool thread.
 *
 * Invariant: a field that we know either has a value that we can use, or the request is refused
 * with a sentence that says what would have been right; nothing is silently replaced. A converted
 * value takes its place in the tree, which so owns every text that is handed out. */
#include "panel/api/body.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "common/auto.h"
#include "panel/domain/environment.h"

#define DEPTH_MAX 64

/* Nesting of brackets outside strings. The parser recurses; this keeps it shallow. */
static bool is_too_deep(const char *text, size_t len)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            depth++;
        else if (!in_string && (c == '}' || c == ']') && depth)
            depth--;
        if (depth > DEPTH_MAX)
            return true;
    }
    return false;
}

static int refuse_json(const json_error_t *where, struct err *err)
{
    const char *what = "is not valid JSON";
    switch (json_error_code(where)) {
    case json_error_duplicate_key:
        what = "has the same key twice in one object";
        break;
    case json_error_invalid_utf8:
        what = "is not valid UTF-8";
        break;
    case json_error_null_character:
    case json_error_null_byte_in_key:
        what = "holds a NUL character";
        break;
    case json_error_end_of_input_expected:
        what = "has text behind the JSON object";
        break;
    case json_error_numeric_overflow:
        what = "has a number that is too large";
        break;
    case json_error_out_of_memory:
        return err_nomem(err);
    default:
        break;
    }
    return err_set(err, ERR_INVALID, "invalid_json", "The body %s (line %d, column %d).", what,
                   where->line, where->column);
}

int body_parse(const char *text, size_t len, json_t **ret_root, struct err *err)
{
    if (is_too_deep(text, len))
        return err_set(err, ERR_INVALID, "invalid_json",
                       "The body is nested deeper than %d levels.", DEPTH_MAX);
    json_error_t where;
    json_t *root = len ? json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where)
                       : json_object();
    if (!root)
        return len ? refuse_json(&where, err) : err_nomem(err);
    if (!json_is_object(root)) {
        json_decref(root);
        return err_set(err, ERR_INVALID, "invalid_json", "The body has to be a JSON object.");
    }
    *ret_root = root;
    return 0;
}

/* --- media type ------------------------------------------------------------------------------ */

static const char *skip_blanks(const char *s)
{
    return s + strspn(s, " \t");
}

static bool is_json_name(const char *s, size_t len)
{
    static const char plain[] = "application/json";
    if (len == sizeof(plain) - 1 && strncasecmp(s, plain, len) == 0)
        return true;
    return len > 5 && memchr(s, '/', len) && strncasecmp(s + len - 5, "+json", 5) == 0;
}

static bool is_utf8_charset(const char *value)
{
    if (*value == '"')
        value++;
    return strncasecmp(value, "utf-8", 5) == 0 && (!value[5] || strchr("\" \t;", value[5]));
}

bool body_is_json_type(const char *media_type)
{
    if (!media_type)
        return false;
    const char *at = skip_blanks(media_type);
    size_t len = strcspn(at, "; \t");
    if (!is_json_name(at, len))
        return false;
    at = skip_blanks(at + len);
    while (*at == ';') {
        at = skip_blanks(at + 1);
        if (strncasecmp(at, "charset=", 8) == 0 && !is_utf8_charset(at + 8))
            return false;
        at += strcspn(at, ";");
    }
    return !*at;
}

/* --- fields ---------------------------------------------------------------------------------- */

void body_open(struct body *body, json_t *root, const struct http_req *query)
{
    *body = (struct body){.root = root, .query = query};
}

static void refuse_field(struct body *body, const char *name, const char *should)
{
    err_field(&body->err, ERR_INVALID, "invalid_field", name, "The field \"%s\" has to be %s.",
              name, should);
    body->failed = true;
}

static void run_out(struct body *body)
{
    err_nomem(&body->err);
    body->failed = true;
}

/* Put take_value in the tree; NULL is out of memory. */
static json_t *replace(struct body *body, const char *name, json_t *take_value)
{
    if (!take_value || json_object_set_new(body->root, name, take_value) < 0) {
        run_out(body);
        return NULL;
    }
    return take_value;
}

/* The scalar of that name as a JSON string, from the body or the query. NULL: absent, or failed. */
static const json_t *find_text(struct body *body, const char *name)
{
    json_t *value = json_object_get(body->root, name);
    if (json_is_null(value))
        value = NULL;
    if (value && (json_is_object(value) || json_is_array(value))) {
        refuse_field(body, name, "a string");
        return NULL;
    }
    if (value && !json_is_string(value) && !(value = replace(body, name, environment_text(value))))
        return NULL;
    const char *asked = body->query ? http_req_query(body->query, name) : NULL;
    if (!asked)
        return value;
    if (!value)
        return replace(body, name, json_string(asked));
    if (strcmp(asked, json_string_value(value)) != 0) {
        refuse_field(body, name, "the same in the body and in the query");
        return NULL;
    }
    return value;
}

const char *body_text(struct body *body, const char *name, enum body_need need, size_t max)
{
    if (body->failed)
        return NULL;
    if (json_is_boolean(json_object_get(body->root, name))) {
        refuse_field(body, name, "a string");
        return NULL;
    }
    const json_t *value = find_text(body, name);
    if (body->failed)
        return NULL;
    if (need == BODY_REQUIRED && (!value || !json_string_length(value))) {
        err_field(&body->err, ERR_INVALID, "missing_field", name, "The field \"%s\" is required.",
                  name);
        body->failed = true;
        return NULL;
    }
    if (value && json_string_length(value) > max) {
        err_field(&body->err, ERR_INVALID, "invalid_field", name,
                  "The field \"%s\" has to be at most %zu bytes long.", name, max);
        body->failed = true;
        return NULL;
    }
    return value ? json_string_value(value) : NULL;
}

int body_flag_if_sent(struct body *body, const char *name)
{
    const json_t *value = body->failed ? NULL : find_text(body, name);
    if (body->failed || !value)
        return -1;
    const char *text = json_string_value(value);
    if (strcasecmp(text, "true") == 0 || strcmp(text, "1") == 0)
        return 1;
    if (strcasecmp(text, "false") == 0 || strcmp(text, "0") == 0)
        return 0;
    refuse_field(body, name, "true or false");
    return -1;
}

bool body_flag(struct body *body, const char *name, bool otherwise)
{
    int sent = body_flag_if_sent(body, name);
    return sent < 0 ? otherwise : sent;
}

bool body_is_null(const struct body *body, const char *name)
{
    return json_is_null(json_object_get(body->root, name));
}

json_t *body_object(struct body *body, const char *name)
{
    static const char should[] = "a JSON object, or a string that holds one";
    json_t *value = json_object_get(body->root, name);
    if (body->failed || !value || json_is_null(value))
        return NULL;
    if (json_is_object(value))
        return value;
    const char *text = json_string_value(value);
    if (!text) {
        refuse_field(body, name, should);
        return NULL;
    }
    if (!text[strspn(text, " ")])
        return NULL;
    struct err err;
    json_t *held = NULL;
    if (body_parse(text, json_string_length(value), &held, &err) < 0) {
        if (err.code == ERR_NO_MEMORY)
            run_out(body);
        else
            refuse_field(body, name, should);
        return NULL;
    }
    return replace(body, name, held);
}
