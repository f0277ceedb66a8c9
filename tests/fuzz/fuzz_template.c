/* Documents that clients import as templates, and what a deploy makes of one. The input: the
 * document, and behind the first NUL the deploy's "variables". */
#include <stdlib.h>
#include <string.h>

#include "agent/container_spec.h"
#include "agent/docker.h"
#include "panel/api/body.h"
#include "panel/domain/recipe.h"
#include "panel/domain/template.h"
#include "panel/domain/template_report.h"
#include "panel/domain/text.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_init();
    return 0;
}

static bool refused(int rc, const struct err *err)
{
    if (rc < 0)
        CHECK(err->code == ERR_INVALID && err->reason[0] && err->field[0] && err->msg[0]);
    return rc < 0;
}

/* What the panel deploys is what the agent accepts. */
static void check_spec(const json_t *tmpl, json_t *env, json_t *command)
{
    Wire__InstanceSpec spec = WIRE__INSTANCE_SPEC__INIT;
    struct err err = {0};
    spec.image = (char *)(uintptr_t)template_text(tmpl, "Image", "");
    spec.memory_bytes = 64 << 20;
    spec.nano_cpus = 500000000;
    spec.volume_id = (char *)(uintptr_t) "v";
    spec.mount_path = (char *)(uintptr_t)template_text(tmpl, "MountPath", "/app/data");
    spec.n_env = json_array_size(env);
    spec.env = calloc(spec.n_env + 1, sizeof(*spec.env));
    spec.n_cmd = json_array_size(command);
    spec.cmd = calloc(spec.n_cmd + 1, sizeof(*spec.cmd));
    CHECK(spec.env && spec.cmd);
    for (size_t i = 0; i < spec.n_env; i++)
        spec.env[i] = (char *)(uintptr_t)json_string_value(json_array_get(env, i));
    for (size_t i = 0; i < spec.n_cmd; i++)
        spec.cmd[i] = (char *)(uintptr_t)json_string_value(json_array_get(command, i));
    CHECK(container_spec_check(&spec, &err) == 0);
    free(spec.env);
    free(spec.cmd);
}

/* K=V each, every key once, the panel's own as they are. */
static void check_env(json_t *env)
{
    json_t *seen = json_object();
    size_t i;
    json_t *pair;
    CHECK(json_is_array(env));
    json_array_foreach(env, i, pair)
    {
        const char *text = json_string_value(pair);
        const char *equals = text ? strchr(text, '=') : NULL;
        CHECK(equals && equals > text);
        char *key = strndup(text, (size_t)(equals - text));
        CHECK(!json_object_get(seen, key));
        json_object_set_new(seen, key, json_string(equals + 1));
        free(key);
    }
    CHECK(strcmp(json_string_value(json_object_get(seen, "PRIMARY_PORT")), "8080") == 0);
    CHECK(strcmp(json_string_value(json_object_get(seen, "INSTANCE_ID")), "i1") == 0);
    CHECK(strcmp(json_string_value(json_object_get(seen, "INSTANCE_NAME")), "a name") == 0);
    json_decref(seen);
}

static void try_deploy(const json_t *tmpl, const json_t *given)
{
    struct environment_facts facts = {8080, "i1", "a name", 64};
    struct err err = {0};
    json_t *variables = NULL;
    struct recipe recipe;
    if (refused(environment_variables("variables", given, &variables, &err), &err))
        return;
    if (refused(template_fill_variables(tmpl, variables, &err), &err) ||
        refused(recipe_make(tmpl, variables, NULL, &facts, &recipe, &err), &err)) {
        json_decref(variables);
        return;
    }
    const char *key;
    json_t *value;
    json_object_foreach(variables, key, value)
        CHECK(text_is_env_name(key) && json_is_string(value));
    json_t *env = json_loads(recipe.env, JSON_REJECT_DUPLICATES, NULL);
    json_t *command = json_loads(recipe.command, JSON_REJECT_DUPLICATES, NULL);
    CHECK(json_is_array(command));
    check_env(env);
    check_spec(tmpl, env, command);
    json_decref(command);
    json_decref(env);
    json_decref(variables);
    recipe_fini(&recipe);
}

/* A report of an array, whatever is in it. */
static void check_report(const json_t *tmpl)
{
    struct err err;
    char *text = NULL;
    CHECK(template_warnings(tmpl, &text, &err) == 0);
    json_t *warnings = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    CHECK(json_is_array(warnings) && json_array_size(warnings) <= 100);
    json_decref(warnings);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct err err = {0};
    size_t len;
    size_t given_len;
    char *text = fuzz_text(&in, '\0', &len);
    char *given_text = fuzz_rest(&in, &given_len);
    json_t *document = NULL;
    json_t *tmpl = NULL;
    json_t *again = NULL;
    json_t *given = NULL;
    if (body_parse(text, len, &document, &err) == 0 &&
        !refused(template_normalize(document, "new-id", &tmpl, &err), &err)) {
        /* what is kept is whole: imported again it is the same */
        CHECK(template_normalize(tmpl, "other-id", &again, &err) == 0);
        CHECK(json_equal(tmpl, again));
        CHECK(!json_object_get(tmpl, TEMPLATE_WARNINGS));
        check_report(tmpl);
        if (body_parse(given_text, given_len, &given, &err) == 0)
            try_deploy(tmpl, given);
    }
    json_decref(given);
    json_decref(again);
    json_decref(tmpl);
    json_decref(document);
    free(given_text);
    free(text);
    return 0;
}
