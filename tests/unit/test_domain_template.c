/* Templates and the environment that is made from them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "panel/domain/environment.h"
#include "panel/domain/placeholder.h"
#include "panel/domain/recipe.h"
#include "panel/domain/rules.h"
#include "panel/domain/template.h"

static json_t *parse(const char *text)
{
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    return root;
}

static json_t *normalize(const char *text)
{
    json_t *document = parse(text);
    json_t *tmpl = NULL;
    assert_int_equal(template_normalize(document, "made-id", &tmpl, NULL), 0);
    json_decref(document);
    return tmpl;
}

static void the_shape_is_made_whole(void **state)
{
    (void)state;
    json_t *tmpl =
        normalize("{\"zz\":{\"q\":[1,null]},\"Image\":\"nginx\",\"Name\":\"n\",\"Cmd\":null}");
    char *text = json_dumps(tmpl, JSON_COMPACT);
    assert_string_equal(
        text,
        "{\"Id\":\"made-id\",\"Name\":\"n\",\"Image\":\"nginx\",\"AltImages\":[],\"Cmd\":null,"
        "\"Env\":[],\"Variables\":{},\"Scripts\":{\"Install\":[]},\"StopCommand\":\"\","
        "\"Description\":\"\",\"Author\":\"\",\"AuthorName\":\"\",\"Meta\":{},"
        "\"zz\":{\"q\":[1,null]}}");
    free(text);
    json_decref(tmpl);
}

static void what_cant_be_used_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *field;
    } bad[] = {
        {"{}", "Name"},
        {"{\"Name\":\"n\"}", "Image"},
        {"{\"Name\":1,\"Image\":\"x\"}", "Name"},
        {"{\"Name\":\"a\\nb\",\"Image\":\"x\"}", "Name"},
        {"{\"Name\":\"n\",\"Image\":\"X Y\"}", "Image"},
        {"{\"Name\":\"n\",\"Image\":\"x\",\"Id\":\"a/b\"}", "Id"},
        {"{\"Name\":\"n\",\"Image\":\"x\",\"Id\":5}", "Id"},
        {"{\"Name\":\"n\",\"Image\":\"x\",\"AltImages\":\"y\"}", "AltImages"},
        {"{\"Name\":\"n\",\"Image\":\"x\",\"AltImages\":[\"B AD\"]}", "AltImages"},
        {"{\"Name\":\"n\",\"Image\":\"x\",\"Cmd\":5}", "Cmd"},
        {"{\"Name\":\"n\",\"Image\":\"x\",\"Cmd\":[1]}", "Cmd"},
        {"{\"Name\":\"n\",\"Image\":\"x\",\"Env\":[\"novalue\"]}", "Env"},
        {"{\"Name\":\"n\",\"Image\":\"x\",\"Env\":{\"a\":1}}", "Env"},
        {"{\"Name\":\"n\",\"Image\":\"x\",\"Variables\":[]}", "Variables"},
        {"{\"Name\":\"n\",\"Image\":\"x\",\"Variables\":{\"a b\":{}}}", "Variables"},
        {"{\"Name\":\"n\",\"Image\":\"x\",\"Variables\":{\"A\":5}}", "Variables"},
        {"{\"Name\":\"n\",\"Image\":\"x\",\"Variables\":{\"A\":{\"default\":[]}}}", "Variables"},
        {"{\"Name\":\"n\",\"Image\":\"x\",\"Variables\":{\"A\":{\"required\":\"x\"}}}",
         "Variables"},
        {"{\"Name\":\"n\",\"Image\":\"x\",\"Scripts\":[]}", "Scripts"},
        {"{\"Name\":\"n\",\"Image\":\"x\",\"Scripts\":{\"Install\":[{\"Uri\":\"u\"}]}}", "Scripts"},
        {"{\"Name\":\"n\",\"Image\":\"x\",\"StopCommand\":5}", "StopCommand"},
        {"{\"Name\":\"n\",\"Image\":\"x\",\"Meta\":[]}", "Meta"},
        {"{\"Name\":\"n\",\"Image\":\"x\",\"MountPath\":\"/a/../b\"}", "MountPath"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        json_t *document = parse(bad[i].text);
        json_t *tmpl = NULL;
        struct err err = {0};
        assert_int_equal(template_normalize(document, "id", &tmpl, &err), -1);
        assert_string_equal(err.field, bad[i].field);
        assert_null(tmpl);
        json_decref(document);
    }
}

static void commands_become_arrays(void **state)
{
    (void)state;
    static const struct {
        const char *cmd, *want;
    } rows[] = {
        {"null", "[]"},
        {"\"\"", "[]"},
        {"\"echo hi\"", "[\"/bin/sh\",\"-c\",\"echo hi\"]"},
        {"[\"a\",\"b c\"]", "[\"a\",\"b c\"]"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[128] = "{\"Name\":\"n\",\"Image\":\"x\",\"Cmd\":";
        strcat(strcat(text, rows[i].cmd), "}");
        json_t *tmpl = normalize(text);
        json_t *command = template_command(tmpl);
        char *got = json_dumps(command, JSON_COMPACT);
        assert_string_equal(got, rows[i].want);
        free(got);
        json_decref(command);
        json_decref(tmpl);
    }
}

static void files_to_install_are_made(void **state)
{
    (void)state;
    struct environment_facts facts = {18080, "id1", "web", 512};
    struct recipe recipe;
    json_t *tmpl = normalize("{\"Name\":\"n\",\"Image\":\"x\",\"Scripts\":{\"Install\":"
                             "[{\"Uri\":\"http://x/{{V}}\",\"Path\":\"{{V}}.jar\"}]}}");
    json_t *variables = parse("{\"V\":\"1.2\"}");
    assert_int_equal(recipe_make(tmpl, variables, NULL, &facts, &recipe, NULL), 0);
    assert_string_equal(recipe.install,
                        "[{\"uri\":\"http://x/1.2\",\"path\":\"1.2.jar\",\"sha256\":\"\"}]");
    recipe_fini(&recipe);
    static const char *const bad[] = {"../x", "/etc/x", "a/../../x", "", "a b", "x\ny"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        json_object_set_new(variables, "V", json_string(bad[i]));
        int rc = recipe_make(tmpl, variables, NULL, &facts, &recipe, &err);
        if (rc == 0) {
            assert_string_equal(bad[i], ""); /* then it is called ".jar" */
            recipe_fini(&recipe);
            continue;
        }
        assert_string_equal(err.reason, "invalid_install");
        assert_string_equal(err.field, "variables");
    }
    json_decref(variables);
    json_decref(tmpl);
}

static void paths_stay_in_the_volume(void **state)
{
    (void)state;
    static const char *const good[] = {"a",   "a/b", "./a", "a//b", "a/./b",
                                       "..a", "a..", ".a",  "a b",  "ä"};
    static const char *const bad[] = {"",     "/",  ".",      "..",   "a/",   "a/.",  "a/..",
                                      "../a", "/a", "a/../b", "./..", "a\tb", "\x7f", "a/./"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_null(recipe_fault_of_path(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_non_null(recipe_fault_of_path(bad[i]));
    assert_null(recipe_fault_of_uri("HTTPS://x"));
    assert_non_null(recipe_fault_of_uri("ftp://x"));
    assert_non_null(recipe_fault_of_uri("file:///etc/passwd"));
    assert_non_null(recipe_fault_of_uri("http://x/a b"));
}

static void defaults_fill_what_is_not_given(void **state)
{
    (void)state;
    json_t *tmpl = normalize(
        "{\"Name\":\"n\",\"Image\":\"x\",\"Variables\":{\"A\":{\"default\":5,\"required\":"
        "true},\"B\":{\"default\":\"b\"},\"C\":{},\"D\":{\"required\":true}}}");
    json_t *variables = parse("{\"B\":\"mine\",\"D\":\"d\"}");
    assert_int_equal(template_fill_variables(tmpl, variables, NULL), 0);
    char *text = json_dumps(variables, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, "{\"A\":\"5\",\"B\":\"mine\",\"D\":\"d\"}");
    free(text);
    json_decref(variables);
    variables = parse("{\"D\":\"\"}");
    struct err err = {0};
    assert_int_equal(template_fill_variables(tmpl, variables, &err), -1);
    assert_string_equal(err.reason, "missing_variable");
    assert_non_null(strstr(err.msg, "\"D\""));
    json_decref(variables);
    json_decref(tmpl);
}

static void scalars_become_texts(void **state)
{
    (void)state;
    json_t *given = parse("{\"A\":1024,\"B\":0.5,\"C\":1.0,\"D\":true,\"E\":\"x=y\",\"F\":null,"
                          "\"G\":-3,\"H\":0.1,\"I\":1e300}");
    json_t *variables = NULL;
    assert_int_equal(environment_variables("variables", given, &variables, NULL), 0);
    char *text = json_dumps(variables, JSON_COMPACT);
    assert_string_equal(text,
                        "{\"A\":\"1024\",\"B\":\"0.5\",\"C\":\"1\",\"D\":\"true\",\"E\":\"x=y\","
                        "\"G\":\"-3\",\"H\":\"0.1\",\"I\":\"1e+300\"}");
    free(text);
    json_decref(variables);
    json_decref(given);
    static const char *const bad[] = {"{\"A\":[]}", "{\"A\":{}}", "{\"a b\":1}",
                                      "{\"\":1}",   "{\"9\":1}",  "{\"A=B\":1}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        given = parse(bad[i]);
        assert_int_equal(environment_variables("variables", given, &variables, &err), -1);
        assert_string_equal(err.field, "variables");
        json_decref(given);
    }
}

static char *compose_own(const char *env_text, const char *variables_text, const char *own_text,
                         struct err *err)
{
    struct environment_facts facts = {18080, "id1", "web", 512};
    json_t *env = env_text ? parse(env_text) : NULL;
    json_t *variables = parse(variables_text);
    json_t *own = parse(own_text);
    json_t *values = NULL;
    char *text = NULL;
    assert_int_equal(environment_values(variables, &facts, &values, NULL), 0);
    (void)environment_compose(env, values, own, &text, err);
    json_decref(values);
    json_decref(own);
    json_decref(variables);
    json_decref(env);
    return text;
}

static char *compose(const char *env_text, const char *variables_text, struct err *err)
{
    return compose_own(env_text, variables_text, "{}", err);
}

static void what_an_instance_has_of_its_own_wins_but_over_the_panels(void **state)
{
    (void)state;
    char *text = compose_own("[\"A=1\",\"B=2\"]", "{\"B\":\"3\",\"C\":\"4\"}",
                             "{\"B\":\"own\",\"D\":\"{{A}}\",\"INSTANCE_ID\":\"evil\"}", NULL);
    assert_string_equal(text,
                        "[\"A=1\",\"B=own\",\"C=4\",\"PRIMARY_PORT=18080\",\"INSTANCE_ID=id1\","
                        "\"INSTANCE_NAME=web\",\"MEMORY_MIB=512\",\"D={{A}}\"]");
    free(text);
}

static void what_is_given_is_merged_and_null_takes_away(void **state)
{
    (void)state;
    json_t *merged = NULL;
    struct err err = {0};
    json_t *given = parse("{\"A\":null,\"B\":2,\"C\":true,\"NEVER\":null}");
    assert_int_equal(
        environment_merge("env", "{\"A\":\"1\",\"B\":\"1\",\"D\":\"4\"}", given, &merged, &err), 0);
    char *text = json_dumps(merged, JSON_COMPACT);
    assert_string_equal(text, "{\"B\":\"2\",\"D\":\"4\",\"C\":\"true\"}");
    free(text);
    json_decref(merged);
    json_decref(given);
    given = parse("{\"1A\":1}");
    assert_int_equal(environment_merge("env", "{}", given, &merged, &err), -1);
    assert_string_equal(err.field, "env");
    json_decref(given);
}

static void later_sources_win_and_keys_come_once(void **state)
{
    (void)state;
    char *text = compose("[\"A=1\",\"B=2\",\"A=3\",\"PRIMARY_PORT=evil\",\"E=a=b\"]",
                         "{\"B\":\"mine\",\"MEMORY_MIB\":\"9\",\"Q\":\"say \\\"hi\\\"\"}", NULL);
    assert_string_equal(text,
                        "[\"A=3\",\"B=mine\",\"PRIMARY_PORT=18080\",\"E=a=b\",\"MEMORY_MIB=512\","
                        "\"Q=say \\\"hi\\\"\",\"INSTANCE_ID=id1\",\"INSTANCE_NAME=web\"]");
    free(text);
    text = compose(NULL, "{}", NULL);
    assert_non_null(text);
    free(text);
}

static void keys_are_replaced_once(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want; /* NULL: refused */
    } rows[] = {
        {"", ""},
        {"{{A}}", "a"},
        {"x{{ A }}y{{  B}}z", "xay{{A}}z"},
        {"{{{A}}}", "{a}"},
        {"{{A}}{{A}}", "aa"},
        {"{{", "{{"},
        {"{{A", "{{A"},
        {"{{A}", "{{A}"},
        {"{{ }}", "{{ }}"},
        {"{{.A}}", "{{.A}}"},
        {"{{9}}", "{{9}}"},
        {"{{A B}}", "{{A B}}"},
        {"{{{{A}}", "{{a"},
        {"{{C}}", NULL},
        {"{{a}}", NULL},
        {"{{server.port}}", NULL},
    };
    json_t *values = parse("{\"A\":\"a\",\"B\":\"{{A}}\"}");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err = {0};
        struct strbuf out = {0};
        int rc = placeholder_expand("Env", rows[i].text, values, &out, &err);
        assert_int_equal(rc, rows[i].want ? 0 : -1);
        if (rows[i].want)
            assert_string_equal(out.data, rows[i].want);
        else
            assert_string_equal(err.reason, "unknown_placeholder");
        strbuf_fini(&out);
    }
    json_decref(values);
}

static void rules_hold_or_not(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *value;
        bool holds;
    } rows[] = {
        {"{}", "anything", true},
        {"{\"type\":\"string\"}", "x", true},
        {"{\"type\":\"nobody knows\"}", "x", true},
        {"{\"type\":\"integer\"}", "-12", true},
        {"{\"type\":\"integer\"}", "1.5", false},
        {"{\"type\":\"integer\"}", "", true},
        {"{\"type\":\"number\"}", "1.5", true},
        {"{\"type\":\"number\"}", "1.", false},
        {"{\"type\":\"number\"}", "1e5", false},
        {"{\"type\":\"number\"}", "nan", false},
        {"{\"type\":\"boolean\"}", "true", true},
        {"{\"type\":\"boolean\"}", "yes", false},
        {"{\"type\":\"port\"}", "65535", true},
        {"{\"type\":\"port\"}", "0", false},
        {"{\"max\":3}", "abc", true},
        {"{\"max\":3}", "äöü", true},
        {"{\"max\":3}", "abcd", false},
        {"{\"type\":\"number\",\"max\":3}", "4", false},
        {"{\"type\":\"number\",\"min\":\"0.5\"}", "0.4", false},
        {"{\"rules\":\"numeric|between:1,5\"}", "3", true},
        {"{\"rules\":\"numeric|between:1,5\"}", "55", false},
        {"{\"rules\":\"between:1,5\"}", "55", true},
        {"{\"rules\":\"in:a,b\"}", "b", true},
        {"{\"rules\":\"in:a,b\"}", "ab", false},
        {"{\"rules\":\"not_in:a,b\"}", "b", false},
        {"{\"rules\":\"size:2\"}", "xy", true},
        {"{\"rules\":\"digits:3\"}", "12", false},
        {"{\"rules\":\"digits_between:1,3\"}", "12", true},
        {"{\"rules\":\"alpha_dash\"}", "a-b_1", true},
        {"{\"rules\":\"alpha_num\"}", "a b", false},
        {"{\"rules\":\"starts_with:http,ftp\"}", "ftp://x", true},
        {"{\"rules\":\"ends_with:.jar\"}", "x.zip", false},
        {"{\"rules\":\"url\"}", "https://example.test/x", true},
        {"{\"rules\":\"url\"}", "example.test", false},
        {"{\"rules\":\"ip\"}", "::1", true},
        {"{\"rules\":\"ipv4\"}", "::1", false},
        {"{\"rules\":\"regex:/^(a|b)$/|max:1\"}", "b", true},
        {"{\"rules\":\"regex:/^(a|b)$/|max:1\"}", "c", false},
        {"{\"rules\":\"regex:/^AB$/i\"}", "ab", true},
        {"{\"rules\":[\"required\",\"regex:/^a|b$/\"]}", "cab", true},
        {"{\"rules\":\"regex:/(/\"}", "any", true},
        {"{\"rules\":\"not_regex:/x/\"}", "axb", false},
        {"{\"pattern\":\"^v[0-9]+$\"}", "v12", true},
        {"{\"pattern\":\"^v[0-9]+$\"}", "12", false},
        /* who can't be held against a rule in time has not kept it */
        {"{\"pattern\":\"^(a|aa)+$\"}", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", false},
        {"{\"rules\":\"not_regex:/^(a|aa)+$/\"}", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", false},
        {"{\"options\":[\"a\",5,true]}", "5", true},
        {"{\"options\":[\"a\",5,true]}", "6", false},
        {"{\"rules\":\"frob:1\"}", "x", true},
        {"{\"rules\":{}}", "x", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err = {0};
        json_t *spec = parse(rows[i].spec);
        int rc = rules_check("NAME", spec, rows[i].value, &err);
        if ((rc == 0) != rows[i].holds)
            fail_msg("%s %s", rows[i].spec, rows[i].value);
        if (rc < 0) {
            assert_string_equal(err.reason, "invalid_variable");
            assert_non_null(strstr(err.msg, "\"NAME\""));
            assert_non_null(strstr(err.msg, rows[i].value));
        }
        json_decref(spec);
    }
}

static void what_is_called_a_secret_is_not_shown(void **state)
{
    (void)state;
    struct err err = {0};
    json_t *spec = parse("{\"max\":3}");
    assert_int_equal(rules_check("RCON_PASSWORD", spec, "hunter2", &err), -1);
    assert_null(strstr(err.msg, "hunter2"));
    json_decref(spec);
}

static void required_may_be_a_rule(void **state)
{
    (void)state;
    struct err err = {0};
    json_t *tmpl = normalize("{\"Name\":\"n\",\"Image\":\"x\",\"Variables\":{\"A\":{\"rules\":"
                             "\"required|string\"}}}");
    json_t *variables = parse("{\"A\":\"\"}");
    assert_int_equal(template_fill_variables(tmpl, variables, &err), -1);
    assert_string_equal(err.reason, "missing_variable");
    json_decref(variables);
    json_decref(tmpl);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shape_is_made_whole),
        cmocka_unit_test(what_cant_be_used_is_refused),
        cmocka_unit_test(commands_become_arrays),
        cmocka_unit_test(files_to_install_are_made),
        cmocka_unit_test(paths_stay_in_the_volume),
        cmocka_unit_test(defaults_fill_what_is_not_given),
        cmocka_unit_test(scalars_become_texts),
        cmocka_unit_test(what_an_instance_has_of_its_own_wins_but_over_the_panels),
        cmocka_unit_test(what_is_given_is_merged_and_null_takes_away),
        cmocka_unit_test(later_sources_win_and_keys_come_once),
        cmocka_unit_test(keys_are_replaced_once),
        cmocka_unit_test(rules_hold_or_not),
        cmocka_unit_test(what_is_called_a_secret_is_not_shown),
        cmocka_unit_test(required_may_be_a_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
