/* See recipe.h. */
#include "panel/domain/recipe.h"

#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/json_writer.h"
#include "panel/domain/placeholder.h"
#include "panel/domain/template.h"

/* All of it travels to the node in one message of at most 1 MiB. */
#define RECIPE_MAX (512u * 1024u)

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

static int check_size(const struct recipe *recipe, struct err *err)
{
    if (strlen(recipe->env) + strlen(recipe->command) > RECIPE_MAX)
        return err_field(err, ERR_INVALID, "text_too_long", "variables",
                         "With these values the environment and the command together are longer"
                         " than 512 KiB.");
    return 0;
}

int recipe_make(const json_t *tmpl, const json_t *variables, const struct environment_facts *facts,
                struct recipe *ret, struct err *err)
{
    json_t *values = NULL;
    *ret = (struct recipe){0};
    if (environment_values(variables, facts, &values, err) < 0)
        return -1;
    int rc =
        environment_compose(tmpl ? json_object_get(tmpl, "Env") : NULL, values, &ret->env, err);
    if (rc == 0)
        rc = make_command(tmpl, values, &ret->command, err);
    if (rc == 0)
        rc = check_size(ret, err);
    json_decref(values);
    if (rc < 0)
        recipe_fini(ret);
    return rc;
}

int recipe_remake(const char *template, const char *variables,
                  const struct environment_facts *facts, struct recipe *ret, struct err *err)
{
    json_t *tmpl = template ? json_loads(template, 0, NULL) : NULL;
    json_t *values = json_loads(variables, 0, NULL);
    int rc = (template && !tmpl) || !values ? err_nomem(err)
                                            : recipe_make(tmpl, values, facts, ret, err);
    json_decref(values);
    json_decref(tmpl);
    return rc;
}

void recipe_fini(struct recipe *recipe)
{
    free(recipe->env);
    free(recipe->command);
    *recipe = (struct recipe){0};
}
