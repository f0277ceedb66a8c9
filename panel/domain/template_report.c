/* See template_report.h. */
#include "panel/domain/template_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/json_writer.h"
#include "common/stop_command.h"
#include "common/utf8.h"
#include "panel/domain/environment.h"
#include "panel/domain/placeholder.h"
#include "panel/domain/recipe.h"
#include "panel/domain/rules.h"
#include "panel/domain/template.h"

#define WARNINGS_MAX 100
#define TEXT_SIZE    300

struct report {
    const json_t *tmpl;
    const char *key; /* of the variable that is looked at */
    struct strbuf out;
    unsigned count;
};

static void warn(struct report *report, const char *member, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void warn(struct report *report, const char *member, const char *fmt, ...)
{
    char raw[TEXT_SIZE];
    char text[TEXT_SIZE];
    va_list args;
    va_start(args, fmt);
    vsnprintf(raw, sizeof(raw), fmt, args);
    va_end(args);
    if (++report->count > WARNINGS_MAX)
        return;
    jw_object_begin(&report->out, NULL);
    utf8_copy(text, sizeof(text), member);
    jw_string(&report->out, "member", text);
    utf8_copy(text, sizeof(text), raw);
    jw_string(&report->out, "message", text);
    jw_object_end(&report->out);
}

/* --- variables ------------------------------------------------------------------------------- */

static void variable_member(const struct report *report, char out[TEXT_SIZE])
{
    snprintf(out, TEXT_SIZE, "Variables.%s", report->key);
}

static void see_unknown_rule(void *arg, const char *rule)
{
    char member[TEXT_SIZE];
    struct report *report = arg;
    variable_member(report, member);
    warn(report, member, "The rule or type \"%.100s\" is not known here, so it is not checked.",
         rule);
}

static void see_permission(struct report *report, const json_t *spec, const char *key)
{
    char member[TEXT_SIZE];
    const json_t *value = json_object_get(spec, key);
    if (!json_is_false(value) && !(json_is_integer(value) && json_integer_value(value) == 0))
        return;
    snprintf(member, sizeof(member), "Variables.%s.%s", report->key, key);
    warn(report, member, "Who may see or change a variable is not distinguished here.");
}

static void see_variable(struct report *report, const json_t *spec)
{
    struct err err = {0};
    char member[TEXT_SIZE];
    const json_t *rules = json_object_get(spec, "rules");
    const json_t *value = json_object_get(spec, "default");
    variable_member(report, member);
    if (rules && !json_is_string(rules) && !json_is_array(rules) && !json_is_null(rules))
        warn(report, member,
             "Its \"rules\" are neither a text nor an array, so they are not checked.");
    rules_unknown(spec, see_unknown_rule, report);
    json_t *text = value ? environment_text(value) : NULL;
    if (text && rules_check(report->key, spec, json_string_value(text), &err) < 0)
        warn(report, member,
             "The default breaks a rule of its own, so a deploy has to give another: %s", err.msg);
    json_decref(text);
    see_permission(report, spec, "user_viewable");
    see_permission(report, spec, "user_editable");
}

/* --- texts ----------------------------------------------------------------------------------- */

static void see_text(struct report *report, const char *member, const char *text)
{
    struct placeholder found;
    const json_t *variables = json_object_get(report->tmpl, "Variables");
    for (; text && placeholder_next(text, &found); text = found.end) {
        if (!environment_is_own(found.key) && !json_object_get(variables, found.key))
            warn(
                report, member,
                "{{%s}} is no variable of this template: a deploy is refused unless it gives one in"
                " \"variables\".",
                found.key[0] ? found.key : "…");
    }
}

static void see_texts(struct report *report, const char *member)
{
    size_t i;
    json_t *item;
    const json_t *value = json_object_get(report->tmpl, member);
    see_text(report, member, json_string_value(value));
    json_array_foreach(value, i, item) see_text(report, member, json_string_value(item));
}

static void see_fault(struct report *report, const char *member, const char *text,
                      const char *(*find)(const char *text))
{
    const char *fault = placeholder_any(text) ? NULL : find(text);
    see_text(report, member, text);
    if (fault)
        warn(report, member, "A deploy is refused, for this has to be %s.", fault);
}

static void see_install(struct report *report)
{
    size_t i;
    json_t *file;
    const char *key;
    json_t *value;
    char member[TEXT_SIZE];
    json_array_foreach(template_install(report->tmpl), i, file)
    {
        json_object_foreach(file, key, value)
        {
            snprintf(member, sizeof(member), "Scripts.Install[%zu].%s", i, key);
            if (strcmp(key, "Uri") == 0)
                see_fault(report, member, json_string_value(value), recipe_fault_of_uri);
            else if (strcmp(key, "Path") == 0)
                see_fault(report, member, json_string_value(value), recipe_fault_of_path);
            else if (strcmp(key, "Sha256") != 0)
                warn(report, member, "A file is downloaded and nothing else is done with it.");
        }
    }
}

static void see_scripts(struct report *report)
{
    const char *key;
    json_t *value;
    char member[TEXT_SIZE];
    json_t *scripts = json_object_get(report->tmpl, "Scripts");
    json_object_foreach(scripts, key, value)
    {
        if (strcmp(key, "Install") == 0)
            continue;
        snprintf(member, sizeof(member), "Scripts.%s", key);
        warn(report, member, "Only Scripts.Install is done; this one is kept and not run.");
    }
    see_install(report);
}

static void see_stop_command(struct report *report)
{
    const char *command = template_text(report->tmpl, "StopCommand", "");
    if (stop_command_is_signal(command) && !stop_command_signal(command))
        warn(report, "StopCommand",
             "\"%.40s\" is no signal that is known here (^C, ^\\, or a name such as ^SIGTERM), so"
             " the one that the image names is sent, or SIGTERM.",
             command);
}

static void see_others(struct report *report)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)report->tmpl, key, value)
    {
        if (!template_is_member(key))
            warn(report, key, "This panel keeps the member and shows it, but does nothing by it.");
    }
}

int template_warnings(const json_t *tmpl, char **ret_text, struct err *err)
{
    const char *key;
    json_t *spec;
    struct report report = {.tmpl = tmpl};
    jw_array_begin(&report.out, NULL);
    json_object_foreach(json_object_get(tmpl, "Variables"), key, spec)
    {
        report.key = key;
        see_variable(&report, spec);
    }
    see_texts(&report, "Env");
    see_texts(&report, "Cmd");
    see_scripts(&report);
    see_stop_command(&report);
    see_others(&report);
    jw_array_end(&report.out);
    *ret_text = strbuf_steal(&report.out);
    return *ret_text ? 0 : err_nomem(err);
}
