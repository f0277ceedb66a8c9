/* Import of templates. See template.h.
 *
 * Invariant: a kept template has every member of the wire's shape, with the type that the shape
 * says, so nothing that reads one later has to doubt it. Fails by ERR_INVALID naming the member. */
#include "panel/domain/template.h"

#include <string.h>

#include "common/auto.h"
#include "panel/domain/environment.h"
#include "panel/domain/image_ref.h"
#include "panel/domain/rules.h"
#include "panel/domain/text.h"

#define NAME_MAX_CHARS 128
#define LIST_MAX       256

static int wrong(const char *member, const char *should, struct err *err)
{
    return err_field(err, ERR_INVALID, "invalid_field", member, "The field \"%s\" has to be %s.",
                     member, should);
}

/* A new reference to the member's value; absent and null become otherwise (taken). */
static json_t *member_or(const json_t *document, const char *key, json_t *otherwise)
{
    json_t *value = json_object_get(document, key);
    if (!value || json_is_null(value))
        return otherwise;
    json_decref(otherwise);
    return json_incref(value);
}

static int check_strings(const char *member, const json_t *list,
                         int (*check)(const char *, const char *, struct err *), struct err *err)
{
    size_t i;
    json_t *item;
    if (!json_is_array(list) || json_array_size(list) > LIST_MAX)
        return wrong(member, "an array of strings", err);
    json_array_foreach(list, i, item)
    {
        if (!json_is_string(item))
            return wrong(member, "an array of strings", err);
        if (check && check(member, json_string_value(item), err) < 0)
            return -1;
    }
    return 0;
}

static int check_env(const char *member, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return wrong(member, "an array of strings KEY=value", err);
    return 0;
}

static int check_command(const json_t *command, struct err *err)
{
    if (json_is_string(command) || json_is_null(command))
        return 0;
    if (!json_is_array(command))
        return wrong("Cmd", "a string, an array of strings, or null", err);
    return check_strings("Cmd", command, NULL, err);
}

static int check_variables(const json_t *variables, struct err *err)
{
    const char *key;
    json_t *spec;
    if (!json_is_object(variables) || json_object_size(variables) > LIST_MAX)
        return wrong("Variables", "an object of at most 256 members", err);
    /* jansson iterates without changing anything, but wants the object writable */
    json_object_foreach((json_t *)(uintptr_t)variables, key, spec)
    {
        if (!text_is_env_name(key))
            return wrong("Variables", "named like environment variables (A-Z a-z 0-9 _)", err);
        if (!json_is_object(spec))
            return wrong("Variables", "objects {\"type\",\"default\",\"required\"} by name", err);
        json_t *given = json_object_get(spec, "default");
        if (json_is_object(given) || json_is_array(given))
            return wrong("Variables", "with a text, number or boolean as \"default\"", err);
        json_t *required = json_object_get(spec, "required");
        if (required && !json_is_boolean(required) && !json_is_null(required))
            return wrong("Variables", "with true or false as \"required\"", err);
    }
    return 0;
}

static bool is_sha256(const json_t *value)
{
    const char *text = json_string_value(value);
    if (!value || json_is_null(value))
        return true;
    return text && strlen(text) == 64 && strspn(text, "0123456789abcdefABCDEF") == 64;
}

static int check_scripts(const json_t *scripts, struct err *err)
{
    static const char shape[] = "an object {\"Install\":[{\"Uri\",\"Path\",\"Sha256\"?}]} with at"
                                " most 256 files";
    size_t i;
    json_t *script;
    json_t *install = json_object_get(scripts, "Install");
    if (!json_is_object(scripts) || (install && !json_is_array(install)) ||
        json_array_size(install) > LIST_MAX)
        return wrong("Scripts", shape, err);
    json_array_foreach(install, i, script)
    {
        if (!json_is_string(json_object_get(script, "Uri")) ||
            !json_is_string(json_object_get(script, "Path")))
            return wrong("Scripts", shape, err);
        if (!is_sha256(json_object_get(script, "Sha256")))
            return wrong("Scripts", "one whose \"Sha256\" are 64 hex digits", err);
    }
    return 0;
}

static int set(json_t *to, const char *key, json_t *take_value, struct err *err)
{
    return json_object_set_new(to, key, take_value) < 0 ? err_nomem(err) : 0;
}

static int put_name(json_t *to, const json_t *document, struct err *err)
{
    const char *name = json_string_value(json_object_get(document, "Name"));
    if (!name || !*name)
        return err_field(err, ERR_INVALID, "missing_field", "Name",
                         "The field \"Name\" is required and has to be a string.");
    if (text_check_name("Name", name, NAME_MAX_CHARS, err) < 0)
        return -1;
    return set(to, "Name", json_string(name), err);
}

static int put_id(json_t *to, const json_t *document, const char *new_id, struct err *err)
{
    json_t *value = json_object_get(document, "Id");
    const char *id = json_string_value(value);
    if (value && !json_is_null(value) && !id)
        return wrong("Id", "a string", err);
    if (!id || !*id)
        id = new_id;
    if (text_check_id("Id", id, err) < 0)
        return -1;
    return set(to, "Id", json_string(id), err);
}

static int put_image(json_t *to, const json_t *document, struct err *err)
{
    const char *image = json_string_value(json_object_get(document, "Image"));
    if (!image || !*image)
        return err_field(err, ERR_INVALID, "missing_field", "Image",
                         "The field \"Image\" is required and has to be a string.");
    if (image_ref_check("Image", image, err) < 0)
        return -1;
    return set(to, "Image", json_string(image), err);
}

static int put_lists(json_t *to, const json_t *document, struct err *err)
{
    if (set(to, "AltImages", member_or(document, "AltImages", json_array()), err) < 0 ||
        set(to, "Cmd", member_or(document, "Cmd", json_null()), err) < 0 ||
        set(to, "Env", member_or(document, "Env", json_array()), err) < 0 ||
        set(to, "Variables", member_or(document, "Variables", json_object()), err) < 0)
        return -1;
    if (check_strings("AltImages", json_object_get(to, "AltImages"), image_ref_check, err) < 0 ||
        check_command(json_object_get(to, "Cmd"), err) < 0 ||
        check_strings("Env", json_object_get(to, "Env"), check_env, err) < 0)
        return -1;
    return check_variables(json_object_get(to, "Variables"), err);
}

static int put_scripts(json_t *to, const json_t *document, struct err *err)
{
    json_t *scripts = member_or(document, "Scripts", json_object());
    if (!scripts)
        return err_nomem(err);
    if (check_scripts(scripts, err) < 0) {
        json_decref(scripts);
        return -1;
    }
    json_t *copy = json_copy(scripts); /* the document is not ours to complete */
    json_decref(scripts);
    if (!copy)
        return err_nomem(err);
    if (!json_object_get(copy, "Install") && set(copy, "Install", json_array(), err) < 0) {
        json_decref(copy);
        return -1;
    }
    return set(to, "Scripts", copy, err);
}

static int put_texts(json_t *to, const json_t *document, struct err *err)
{
    static const char *const texts[] = {"StopCommand", "Description", "Author", "AuthorName"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_t *value = member_or(document, texts[i], json_string(""));
        bool fine = json_is_string(value);
        if (set(to, texts[i], value, err) < 0)
            return -1;
        if (!fine)
            return wrong(texts[i], "a string", err);
    }
    if (set(to, "Meta", member_or(document, "Meta", json_object()), err) < 0)
        return -1;
    if (!json_is_object(json_object_get(to, "Meta")))
        return wrong("Meta", "an object", err);
    return 0;
}

static bool is_stop_timeout(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) >= 1 &&
           json_integer_value(value) <= 600;
}

static int put_others(json_t *to, const json_t *document, struct err *err)
{
    const char *key;
    json_t *value;
    json_t *path = json_object_get(document, "MountPath");
    if (path && !json_is_null(path)) {
        if (!json_is_string(path))
            return wrong("MountPath", "a string", err);
        if (text_check_mount_path("MountPath", json_string_value(path), err) < 0)
            return -1;
    }
    json_t *seconds = json_object_get(document, "StopTimeout");
    if (seconds && !json_is_null(seconds) && !is_stop_timeout(seconds))
        return wrong("StopTimeout", "a whole number of seconds, 1 to 600", err);
    json_t *terminal = json_object_get(document, "Tty");
    if (terminal && !json_is_null(terminal) && !json_is_boolean(terminal))
        return wrong("Tty", "true or false", err);
    json_object_foreach((json_t *)(uintptr_t)document, key, value)
    {
        if (strcmp(key, TEMPLATE_WARNINGS) != 0 && !json_object_get(to, key) &&
            json_object_set(to, key, value) < 0)
            return err_nomem(err);
    }
    return 0;
}

int template_normalize(const json_t *document, const char *new_id, json_t **ret_template,
                       struct err *err)
{
    json_t *to = json_object();
    if (!to)
        return err_nomem(err);
    if (put_id(to, document, new_id, err) < 0 || put_name(to, document, err) < 0 ||
        put_image(to, document, err) < 0 || put_lists(to, document, err) < 0 ||
        put_scripts(to, document, err) < 0 || put_texts(to, document, err) < 0 ||
        put_others(to, document, err) < 0) {
        json_decref(to);
        return -1;
    }
    *ret_template = to;
    return 0;
}

const json_t *template_install(const json_t *tmpl)
{
    return json_object_get(json_object_get(tmpl, "Scripts"), "Install");
}

json_t *template_command(const json_t *tmpl)
{
    json_t *command = json_object_get(tmpl, "Cmd");
    if (json_is_array(command))
        return json_incref(command);
    const char *line = json_string_value(command);
    if (!line || !*line)
        return json_array();
    return json_pack("[s, s, s]", "/bin/sh", "-c", line);
}

const char *template_text(const json_t *tmpl, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(tmpl, key));
    return text && *text ? text : otherwise;
}

uint32_t template_stop_timeout(const json_t *tmpl)
{
    const json_t *seconds = json_object_get(tmpl, "StopTimeout");
    return is_stop_timeout(seconds) ? (uint32_t)json_integer_value(seconds) : 0;
}

bool template_wants_terminal(const json_t *tmpl)
{
    return json_is_true(json_object_get(tmpl, "Tty"));
}

bool template_is_member(const char *key)
{
    static const char *const members[] = {"Id",          "Name",        "Image",       "AltImages",
                                          "Cmd",         "Env",         "Variables",   "Scripts",
                                          "StopCommand", "Description", "Author",      "AuthorName",
                                          "Meta",        "MountPath",   "StopTimeout", "Tty"};
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        if (strcmp(key, members[i]) == 0)
            return true;
    }
    return false;
}

/* The default as a text; NULL: there is none that helps. */
static int default_text(const json_t *spec, bool required, json_t **ret_text, struct err *err)
{
    json_t *value = json_object_get(spec, "default");
    json_t *text = value && !json_is_null(value) ? environment_text(value) : NULL;
    if (!text && (json_is_string(value) || json_is_number(value) || json_is_boolean(value)))
        return err_nomem(err); /* left out, it would be missing in the container */
    if (text && required && !*json_string_value(text)) {
        json_decref(text);
        text = NULL;
    }
    *ret_text = text;
    return 0;
}

static int fill_variable(const char *key, const json_t *spec, json_t *variables, struct err *err)
{
    const char *given = json_string_value(json_object_get(variables, key));
    bool required = rules_require(spec);
    json_t *text = NULL;
    if (given && (*given || !required))
        return 0;
    if (default_text(spec, required, &text, err) < 0)
        return -1;
    if (text)
        return json_object_set_new(variables, key, text) < 0 ? err_nomem(err) : 0;
    if (required)
        return err_field(err, ERR_INVALID, "missing_variable", "variables",
                         "The template needs the variable \"%s\" in \"variables\".", key);
    return 0;
}

int template_fill_variables(const json_t *tmpl, json_t *variables, struct err *err)
{
    const char *key;
    json_t *spec;
    json_object_foreach(json_object_get(tmpl, "Variables"), key, spec)
    {
        if (fill_variable(key, spec, variables, err) < 0)
            return -1;
        const char *value = json_string_value(json_object_get(variables, key));
        if (value && rules_check(key, spec, value, err) < 0)
            return -1;
    }
    return 0;
}
