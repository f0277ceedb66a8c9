/* Composition of a container's environment. See environment.h.
 *
 * A JSON object serves as the ordered map: jansson keeps the order of first insertion, and setting
 * a key again replaces its value, so later sources win and each key comes once. */
#include "panel/domain/environment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/json_writer.h"
#include "panel/domain/placeholder.h"
#include "panel/domain/text.h"

#define VARIABLES_MAX 256
#define VALUE_MAX     (32u * 1024u)

static json_t *real_text(double value)
{
    char text[40];
    if (value > -1e15 && value < 1e15 && (double)(int64_t)value == value)
        snprintf(text, sizeof(text), "%" PRId64, (int64_t)value);
    else if (snprintf(text, sizeof(text), "%.15g", value), strtod(text, NULL) != value)
        snprintf(text, sizeof(text), "%.17g", value);
    return json_string(text);
}

json_t *environment_text(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        return json_string(json_string_value(value));
    case JSON_INTEGER: {
        char text[24];
        snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return json_string(text);
    }
    case JSON_REAL:
        return real_text(json_real_value(value));
    case JSON_TRUE:
        return json_string("true");
    case JSON_FALSE:
        return json_string("false");
    default:
        return NULL;
    }
}

static int wrong(const char *field, const char *should, struct err *err)
{
    return err_field(err, ERR_INVALID, "invalid_field", field,
                     "The field \"%s\" has to be an object of %s.", field, should);
}

static int add_variable(const char *field, json_t *to, const char *key, const json_t *value,
                        struct err *err)
{
    if (json_is_null(value))
        return 0;
    if (!text_is_env_name(key))
        return wrong(field, "names made of A-Z a-z 0-9 _ that don't begin with a digit", err);
    if (json_is_object(value) || json_is_array(value))
        return wrong(field, "texts, numbers and booleans by name", err);
    if (json_is_string(value) && json_string_length(value) > VALUE_MAX)
        return wrong(field, "values of at most 32 KiB", err);
    json_t *text = environment_text(value);
    if (!text || json_object_set_new(to, key, text) < 0)
        return err_nomem(err);
    return 0;
}

int environment_variables(const char *field, const json_t *given, json_t **ret_variables,
                          struct err *err)
{
    const char *key;
    json_t *value;
    if (json_object_size(given) > VARIABLES_MAX)
        return wrong(field, "at most 256 names", err);
    json_t *to = json_object();
    if (!to)
        return err_nomem(err);
    json_object_foreach((json_t *)(uintptr_t)given, key, value)
    {
        if (add_variable(field, to, key, value, err) < 0) {
            json_decref(to);
            return -1;
        }
    }
    *ret_variables = to;
    return 0;
}

int environment_merge(const char *field, const char *before, const json_t *given,
                      json_t **ret_variables, struct err *err)
{
    const char *key;
    json_t *value;
    json_t *news;
    if (environment_variables(field, given, &news, err) < 0)
        return -1;
    json_t *to = json_loads(before, 0, NULL);
    if (!to || json_object_update(to, news) < 0) {
        json_decref(news);
        json_decref(to);
        return err_nomem(err);
    }
    json_decref(news);
    json_object_foreach((json_t *)(uintptr_t)given, key, value)
    {
        if (json_is_null(value))
            json_object_del(to, key);
    }
    if (json_object_size(to) > VARIABLES_MAX) {
        json_decref(to);
        return wrong(field, "at most 256 names, with those that it has already", err);
    }
    *ret_variables = to;
    return 0;
}

static int add_pair(json_t *map, const char *text, const json_t *values, struct err *err)
{
    auto_strbuf struct strbuf value = {0};
    const char *equals = text ? strchr(text, '=') : NULL;
    if (!equals)
        return 0;
    if (placeholder_expand("Env", equals + 1, values, &value, err) < 0)
        return -1;
    auto_free char *key = strndup(text, (size_t)(equals - text));
    if (!key || json_object_set_new(map, key, json_string(value.data)) < 0)
        return err_nomem(err);
    return 0;
}

static int add_template(json_t *map, const json_t *env, const json_t *values, struct err *err)
{
    size_t i;
    json_t *item;
    json_array_foreach(env, i, item)
    {
        if (add_pair(map, json_string_value(item), values, err) < 0)
            return -1;
    }
    return 0;
}

int environment_values(const json_t *variables, const struct environment_facts *facts,
                       json_t **ret_values, struct err *err)
{
    char port[8];
    char memory[24];
    json_t *values = json_copy((json_t *)(uintptr_t)variables);
    snprintf(port, sizeof(port), "%u", facts->primary_port);
    snprintf(memory, sizeof(memory), "%" PRIu64, facts->memory_mib);
    if (!values || json_object_set_new(values, "PRIMARY_PORT", json_string(port)) < 0 ||
        json_object_set_new(values, "INSTANCE_ID", json_string(facts->instance_id)) < 0 ||
        json_object_set_new(values, "INSTANCE_NAME", json_string(facts->instance_name)) < 0 ||
        json_object_set_new(values, "MEMORY_MIB", json_string(memory)) < 0) {
        json_decref(values);
        return err_nomem(err);
    }
    *ret_values = values;
    return 0;
}

bool environment_is_own(const char *key)
{
    static const char *const own[] = {"PRIMARY_PORT", "INSTANCE_ID", "INSTANCE_NAME", "MEMORY_MIB"};
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        if (strcmp(key, own[i]) == 0)
            return true;
    }
    return false;
}

static char *write_map(json_t *map)
{
    const char *key;
    json_t *value;
    struct strbuf pair = {0}, out = {0};
    jw_array_begin(&out, NULL);
    json_object_foreach(map, key, value)
    {
        strbuf_reset(&pair);
        strbuf_str(&pair, key);
        strbuf_char(&pair, '=');
        strbuf_str(&pair, json_string_value(value));
        if (pair.failed) {
            out.failed = true;
            break;
        }
        jw_string(&out, NULL, pair.data);
    }
    jw_array_end(&out);
    strbuf_fini(&pair);
    return strbuf_steal(&out);
}

static int add_own(json_t *map, const json_t *own_env)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)own_env, key, value)
    {
        if (!environment_is_own(key) && json_object_set(map, key, value) < 0)
            return -1;
    }
    return 0;
}

int environment_compose(const json_t *template_env, const json_t *values, const json_t *own_env,
                        char **ret_json, struct err *err)
{
    json_t *map = json_object();
    if (!map)
        return err_nomem(err);
    int rc = add_template(map, template_env, values, err);
    if (rc == 0 &&
        (json_object_update(map, (json_t *)(uintptr_t)values) < 0 || add_own(map, own_env) < 0))
        rc = err_nomem(err);
    char *text = rc == 0 ? write_map(map) : NULL;
    if (rc == 0 && !text)
        rc = err_nomem(err);
    json_decref(map);
    if (rc == 0)
        *ret_json = text;
    return rc;
}
