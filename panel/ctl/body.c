/* Bodies. See body.h. Values go out as they were typed: what is right is the panel's to say. */
#include "panel/ctl/body.h"

#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/utf8.h"

static int put(json_t *object, const char *member, json_t *take_value, struct err *err)
{
    return json_object_set_new(object, member, take_value) < 0 ? err_nomem(err) : 0;
}

int body_set(json_t *object, const char *member, const char *text, struct err *err)
{
    return put(object, member, json_string(text), err);
}

/* "a.b" is the member b of the object a, which is made where it is absent. */
static json_t *descend(json_t *object, const char **member)
{
    char name[32];
    const char *dot = strchr(*member, '.');
    if (!dot || (size_t)(dot - *member) >= sizeof(name))
        return object;
    memcpy(name, *member, (size_t)(dot - *member));
    name[dot - *member] = '\0';
    *member = dot + 1;
    json_t *inner = json_object_get(object, name);
    if (!inner) {
        inner = json_object();
        if (json_object_set_new(object, name, inner) < 0)
            return NULL;
    }
    return inner;
}

/* KEY=VALUE; KEY-, which removes it; KEY, whose value is the environment's: others of this machine
 * can read arguments. */
static int put_pair(json_t *object, const struct given *given, const char *value, struct err *err)
{
    const char *member = given->option->member;
    json_t *pairs = json_object_get(object, member);
    if (!pairs) {
        pairs = json_object();
        if (put(object, member, pairs, err) < 0)
            return -1;
    }
    const char *equals = strchr(value, '=');
    size_t len = equals ? (size_t)(equals - value) : strlen(value);
    bool removes = !equals && len > 1 && value[len - 1] == '-';
    const char *text = equals ? equals + 1 : getenv(value);
    if (!len || (!removes && !text))
        return err_set(err, ERR_INVALID, "usage",
                       "--%s wants KEY=VALUE, KEY- to remove it, or KEY where the environment has "
                       "its value, not \"%.64s\"",
                       given->option->name, value);
    auto_free char *key = strndup(value, removes ? len - 1 : len);
    if (!key)
        return err_nomem(err);
    return put(pairs, key, removes ? json_null() : json_string(text), err);
}

static int put_words(json_t *object, const char *member, const char *value, struct err *err)
{
    json_t *words = json_object_get(object, member);
    if (!words) {
        words = json_array();
        if (put(object, member, words, err) < 0)
            return -1;
    }
    for (const char *p = value; *p;) {
        size_t len = strcspn(p, ", ");
        if (len && json_array_append_new(words, json_stringn(p, len)) < 0)
            return err_nomem(err);
        p += len + !!p[len];
    }
    return 0;
}

static int put_given(json_t *body, const struct given *given, struct err *err)
{
    const char *member = given->option->member;
    const char *value = given->value ? given->value : "";
    json_t *object = given->option->kind == BODY_NONE ? body : descend(body, &member);
    if (!object)
        return err_nomem(err);
    if (!utf8_is_valid(value))
        return err_set(err, ERR_INVALID, "usage", "the value of --%s is not UTF-8",
                       given->option->name);
    switch (given->option->kind) {
    case BODY_NONE:
        return 0;
    case BODY_TEXT:
        return body_set(object, member, value, err);
    case BODY_TRUE:
        return put(object, member, json_true(), err);
    case BODY_YES_NO:
        return put(object, member, json_boolean(strcmp(value, "yes") == 0), err);
    case BODY_TEXT_OR_NULL:
        return strcmp(value, "none") == 0 ? put(object, member, json_null(), err)
                                          : body_set(object, member, value, err);
    case BODY_PAIR:
        return put_pair(object, given, value, err);
    case BODY_WORDS:
        return put_words(object, member, value, err);
    }
    return 0;
}

int body_from_options(const struct args *args, json_t **ret, struct err *err)
{
    auto_json json_t *body = json_object();
    if (!body)
        return err_nomem(err);
    for (int i = 0; i < args->given_count; i++) {
        if (put_given(body, &args->given[i], err) < 0)
            return -1;
    }
    *ret = steal_ptr(body);
    return 0;
}
