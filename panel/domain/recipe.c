/* See recipe.h. */
#include "panel/domain/recipe.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/auto.h"
#include "common/json_writer.h"
#include "common/utf8.h"
#include "panel/domain/placeholder.h"
#include "panel/domain/template.h"

/* All of it travels to the node in one message of at most 1 MiB. */
#define RECIPE_MAX   (512u * 1024u)
#define URI_MAX      4096
#define PATH_LEN_MAX 1024
#define NAME_LEN_MAX 255

static int make_command(const json_t *tmpl, const json_t *values, char **ret, struct err *err)
{
    auto_strbuf struct strbuf out = {0}, word = {0};
    json_t *words = tmpl ? template_command(tmpl) : json_array();
    size_t i;
    json_t *item;
    int rc = words ? 0 : err_nomem(err);
    jw_array_begin(&out, NULL);
    json_array_foreach(words, i, item)
    {
        strbuf_reset(&word);
        if (rc == 0)
            rc = placeholder_expand("Cmd", json_string_value(item), values, &word, err);
        if (rc == 0)
            jw_string(&out, NULL, word.data);
    }
    jw_array_end(&out);
    json_decref(words);
    if (rc == 0 && !(*ret = strbuf_steal(&out)))
        rc = err_nomem(err);
    return rc;
}

static bool has_control(const char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return true;
    }
    return false;
}

const char *recipe_fault_of_uri(const char *uri)
{
    bool http = strncasecmp(uri, "http://", 7) == 0 || strncasecmp(uri, "https://", 8) == 0;
    if (!http || has_control(uri) || strchr(uri, ' ') || strlen(uri) > URI_MAX)
        return "an http:// or https:// address without blanks, of at most 4096 bytes";
    return NULL;
}

const char *recipe_fault_of_path(const char *path)
{
    static const char fault[] = "a path in the volume: relative, without \"..\", ending in a name";
    size_t last = 0;
    if (*path == '/' || strlen(path) > PATH_LEN_MAX || has_control(path))
        return fault;
    for (const char *part = path; *part; part += *part == '/') {
        last = strcspn(part, "/");
        if ((last == 2 && strncmp(part, "..", 2) == 0) || last > NAME_LEN_MAX)
            return fault;
        if (last == 1 && *part == '.')
            last = 0;
        part += last ? last : strcspn(part, "/");
    }
    return last && path[strlen(path) - 1] != '/' ? NULL : fault;
}

static int bad_file(const char *member, const char *text, const char *fault, struct err *err)
{
    char shown[100];
    utf8_copy(shown, sizeof(shown), text);
    return err_field(
        err, ERR_INVALID, "invalid_install", "variables",
        "With these values %s of the template's Scripts.Install is \"%s\"; it has to be %s.",
        member, shown, fault);
}

static int add_file(struct strbuf *out, const json_t *file, const json_t *values, struct err *err)
{
    auto_strbuf struct strbuf uri = {0}, path = {0};
    if (placeholder_expand("Scripts.Install", json_string_value(json_object_get(file, "Uri")),
                           values, &uri, err) < 0 ||
        placeholder_expand("Scripts.Install", json_string_value(json_object_get(file, "Path")),
                           values, &path, err) < 0)
        return -1;
    const char *fault = recipe_fault_of_uri(uri.data);
    if (fault)
        return bad_file("Uri", uri.data, fault, err);
    fault = recipe_fault_of_path(path.data);
    if (fault)
        return bad_file("Path", path.data, fault, err);
    const char *sum = json_string_value(json_object_get(file, "Sha256"));
    jw_object_begin(out, NULL);
    jw_string(out, "uri", uri.data);
    jw_string(out, "path", path.data);
    jw_string(out, "sha256", sum ? sum : "");
    jw_object_end(out);
    return 0;
}

static int make_install(const json_t *tmpl, const json_t *values, char **ret, struct err *err)
{
    auto_strbuf struct strbuf out = {0};
    size_t i;
    json_t *file;
    int rc = 0;
    jw_array_begin(&out, NULL);
    json_array_foreach(template_install(tmpl), i, file)
    {
        if (rc == 0)
            rc = add_file(&out, file, values, err);
    }
    jw_array_end(&out);
    if (rc == 0 && !(*ret = strbuf_steal(&out)))
        rc = err_nomem(err);
    return rc;
}

static int check_size(const struct recipe *recipe, struct err *err)
{
    if (strlen(recipe->env) + strlen(recipe->command) + strlen(recipe->install) > RECIPE_MAX)
        return err_field(
            err, ERR_INVALID, "text_too_long", "variables",
            "With these values the environment, the command and the files to install are"
            " together longer than 512 KiB.");
    return 0;
}

int recipe_make(const json_t *tmpl, const json_t *variables, const json_t *own_env,
                const struct environment_facts *facts, struct recipe *ret, struct err *err)
{
    json_t *values = NULL;
    *ret = (struct recipe){0};
    if (environment_values(variables, facts, &values, err) < 0)
        return -1;
    int rc = environment_compose(tmpl ? json_object_get(tmpl, "Env") : NULL, values, own_env,
                                 &ret->env, err);
    if (rc == 0)
        rc = make_command(tmpl, values, &ret->command, err);
    if (rc == 0)
        rc = make_install(tmpl, values, &ret->install, err);
    if (rc == 0)
        rc = check_size(ret, err);
    json_decref(values);
    if (rc < 0)
        recipe_fini(ret);
    return rc;
}

int recipe_remake(const char *template, const char *variables, const char *own_env,
                  const struct environment_facts *facts, struct recipe *ret, struct err *err)
{
    json_t *tmpl = template ? json_loads(template, 0, NULL) : NULL;
    json_t *values = json_loads(variables, 0, NULL);
    json_t *own = json_loads(own_env, 0, NULL);
    int rc = (template && !tmpl) || !values || !own
                 ? err_nomem(err)
                 : recipe_make(tmpl, values, own, facts, ret, err);
    json_decref(own);
    json_decref(values);
    json_decref(tmpl);
    return rc;
}

void recipe_fini(struct recipe *recipe)
{
    free(recipe->env);
    free(recipe->command);
    free(recipe->install);
    *recipe = (struct recipe){0};
}
