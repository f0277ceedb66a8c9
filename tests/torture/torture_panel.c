/* What clients and people write, read by the panel under torture: settings, bodies, templates. */
#include "tests/torture/torture.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/crypto.h"
#include "common/fs.h"
#include "panel/api/body.h"
#include "panel/config.h"
#include "panel/domain/recipe.h"
#include "panel/domain/template.h"
#include "panel/pki/ca.h"

static char root[64];
static char file[96];

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(crypto_init(NULL), 0);
    torture_folder(root);
    snprintf(file, sizeof(file), "%s/config", root);
    static const char text[] = "{\"listen\":\"127.0.0.1:1\",\"heartbeatMs\":500}";
    return fs_write_atomic(file, text, strlen(text), 0600, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    return fs_remove_tree(root, NULL);
}

static int read_config(struct err *err)
{
    struct config config = {0};
    auto_strbuf struct strbuf faults = {0};
    struct settings_given given = {.file = file};
    int rc = config_load(&config, &given, &faults);
    config_fini(&config);
    if (rc < 0)
        return faults.failed ? err_nomem(err)
                             : err_set(err, ERR_INVALID, "bad_config", "%s", faults.data);
    return 0;
}

static int open_ca(struct err *err)
{
    struct ca *ca;
    auto_free char *key = NULL;
    auto_free char *cert = NULL;
    if (ca_open(root, "p1", &ca, err) < 0)
        return -1;
    int rc = ca_issue_panel(ca, &key, &cert, err);
    ca_close(ca);
    return rc;
}

/* Whatever fails, what is there opens again, with one CA or with both. */
static int change_ca(struct err *err)
{
    struct ca *ca;
    if (ca_open(root, "p1", &ca, err) < 0)
        return -1;
    struct ca_state state;
    ca_look(ca, &state);
    int rc = state.rotating ? ca_retire(ca, err) : ca_rotate(ca, err);
    ca_close(ca);
    return rc;
}

/* As one who doesn't care why. */
static int open_ca_without_reason(struct err *err)
{
    struct ca *ca;
    (void)err;
    if (ca_open(root, "p1", &ca, NULL) == 0)
        ca_close(ca);
    return 0;
}

static void no_ca(void)
{
    auto_free char *pki = fs_join(root, "pki");
    assert_int_equal(fs_remove_tree(pki, NULL), 0);
}

static void one_ca(void)
{
    struct ca *ca = NULL;
    no_ca();
    assert_int_equal(ca_open(root, "p1", &ca, NULL), 0);
    ca_close(ca);
}

static void two_cas(void)
{
    one_ca();
    struct err err = {0};
    assert_int_equal(change_ca(&err), 0);
}

static void opens_again(int rc)
{
    (void)rc;
    struct err err = {0};
    if (open_ca(&err) < 0)
        fail_msg("%s", err.msg);
}

static int read_body(struct err *err)
{
    static const char text[] = "{\"name\":\"a\",\"number\":12,\"variables\":\"{\\\"A\\\":1}\"}";
    struct body body;
    json_t *root_of = NULL;
    if (body_parse(text, strlen(text), &root_of, err) < 0)
        return -1;
    body_open(&body, root_of, NULL);
    (void)body_text(&body, "name", BODY_REQUIRED, 10);
    (void)body_text(&body, "number", BODY_REQUIRED, 10);
    (void)body_object(&body, "variables");
    if (body.failed)
        *err = body.err;
    json_decref(root_of);
    return body.failed ? -1 : 0;
}

static json_t *document;

static int take_template(struct err *err)
{
    static const struct environment_facts facts = {
        .primary_port = 80, .instance_id = "i", .instance_name = "n", .memory_mib = 64};
    json_t *tmpl = NULL;
    json_t *variables = NULL;
    struct recipe recipe = {0};
    int rc = template_normalize(document, "t1", &tmpl, err);
    if (rc == 0)
        rc =
            environment_variables("variables", json_object_get(document, "Given"), &variables, err);
    if (rc == 0)
        rc = template_fill_variables(tmpl, variables, err);
    if (rc == 0)
        rc = recipe_make(tmpl, variables, NULL, &facts, &recipe, err);
    if (rc == 0 && !strstr(recipe.env, "D=5"))
        abort(); /* a default silently left out */
    recipe_fini(&recipe);
    json_decref(tmpl);
    json_decref(variables);
    return rc;
}

static void test_all(void **state)
{
    (void)state;
    torture(&(struct torture){.name = "config", .work = read_config});
    torture(&(struct torture){"ca", no_ca, open_ca, opens_again});
    torture(&(struct torture){"ca, no reason", no_ca, open_ca_without_reason, opens_again});
    torture(&(struct torture){"ca rotated", one_ca, change_ca, opens_again});
    torture(&(struct torture){"ca retired", two_cas, change_ca, opens_again});
    torture(&(struct torture){.name = "body", .work = read_body});
    document = json_loads("{\"Name\":\"t\",\"Image\":\"busybox\",\"Env\":[\"A=1\",\"B=2\"],"
                          "\"Variables\":{\"D\":{\"default\":5}},"
                          "\"Given\":{\"A\":1,\"C\":\"x\"}}",
                          0, NULL);
    assert_non_null(document);
    torture(&(struct torture){.name = "template", .work = take_template});
    json_decref(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all)};
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    torture_evidence("I5", "settings, the panel's CA, bodies, templates");
    return failed;
}
