/* Reading what clients send, and the table of routes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "panel/api/body.h"
#include "panel/api/internal.h"

static json_t *parse(const char *text)
{
    json_t *root = NULL;
    assert_int_equal(body_parse(text, strlen(text), &root, NULL), 0);
    return root;
}

static void only_objects_are_bodies(void **state)
{
    (void)state;
    json_t *root = parse("");
    assert_int_equal(json_object_size(root), 0);
    json_decref(root);
    static const char *const bad[] = {
        "[]",
        "1",
        "null",
        "\"x\"",
        "{",
        "{}x",
        "{} {}",
        "{\"a\":1,\"a\":1}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\xff\"}",
        "{'a':1}",
        "{\"a\":99999999999999999999}",
        "{\"a\":\"\\ud800\"}",
        "\xef\xbb\xbf{}",
        " ",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        root = NULL;
        if (body_parse(bad[i], strlen(bad[i]), &root, &err) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_string_equal(err.reason, "invalid_json");
    }
    struct err err = {0};
    assert_int_equal(body_parse("{\"a\":\"\0\"}", 9, &root, &err), -1);
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    char text[400];
    struct err err = {0};
    json_t *root = NULL;
    memset(text, '[', 200);
    memset(text + 200, ']', 200);
    assert_int_equal(body_parse(text, 400, &root, &err), -1);
    /* brackets in strings don't count */
    strcpy(text, "{\"a\":\"");
    memset(text + 6, '[', 300);
    strcpy(text + 306, "\\\"[\"}");
    assert_int_equal(body_parse(text, strlen(text), &root, &err), 0);
    json_decref(root);
}

static void scalars_serve_as_texts(void **state)
{
    (void)state;
    struct body body;
    json_t *root =
        parse("{\"s\":\"x\",\"i\":1024,\"r\":1.0,\"h\":0.5,\"b\":true,\"n\":null,\"e\":\"\"}");
    body_open(&body, root, NULL);
    assert_string_equal(body_text(&body, "s", BODY_REQUIRED, 10), "x");
    assert_string_equal(body_text(&body, "i", BODY_REQUIRED, 10), "1024");
    assert_string_equal(body_text(&body, "r", BODY_REQUIRED, 10), "1");
    assert_string_equal(body_text(&body, "h", BODY_REQUIRED, 10), "0.5");
    assert_null(body_text(&body, "n", BODY_OPTIONAL, 10));
    assert_null(body_text(&body, "absent", BODY_OPTIONAL, 10));
    assert_string_equal(body_text(&body, "e", BODY_OPTIONAL, 10), "");
    assert_false(body.failed);
    json_decref(root);
}

static void the_first_wrong_field_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *json, *reason;
    } bad[] = {
        {"{}", "missing_field"},           {"{\"f\":null}", "missing_field"},
        {"{\"f\":\"\"}", "missing_field"}, {"{\"f\":[]}", "invalid_field"},
        {"{\"f\":{}}", "invalid_field"},   {"{\"f\":\"12345678901\"}", "invalid_field"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct body body;
        json_t *root = parse(bad[i].json);
        body_open(&body, root, NULL);
        assert_null(body_text(&body, "f", BODY_REQUIRED, 10));
        assert_null(body_text(&body, "g", BODY_REQUIRED, 10));
        assert_true(body.failed);
        assert_string_equal(body.err.reason, bad[i].reason);
        assert_string_equal(body.err.field, "f");
        json_decref(root);
    }
}

static void flags_are_lenient_but_never_guessed(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int want; /* -1: refused; 2: the otherwise */
    } rows[] = {
        {"{\"f\":true}", 1},     {"{\"f\":false}", 0},
        {"{\"f\":\"true\"}", 1}, {"{\"f\":\"FALSE\"}", 0},
        {"{\"f\":1}", 1},        {"{\"f\":0}", 0},
        {"{\"f\":\"1\"}", 1},    {"{\"f\":\"0\"}", 0},
        {"{\"f\":null}", 2},     {"{}", 2},
        {"{\"f\":\"yes\"}", -1}, {"{\"f\":2}", -1},
        {"{\"f\":\"\"}", -1},    {"{\"f\":[]}", -1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int otherwise = 0; otherwise < 2; otherwise++) {
            struct body body;
            json_t *root = parse(rows[i].json);
            body_open(&body, root, NULL);
            bool got = body_flag(&body, "f", otherwise);
            assert_int_equal(body.failed, rows[i].want < 0);
            if (rows[i].want >= 0)
                assert_int_equal(got, rows[i].want == 2 ? otherwise : rows[i].want);
            json_decref(root);
        }
    }
}

static void objects_may_come_as_text(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int want; /* members; -1: absent; -2: refused */
    } rows[] = {
        {"{\"v\":{\"a\":1}}", 1},
        {"{\"v\":\"{\\\"a\\\":1}\"}", 1},
        {"{\"v\":null}", -1},
        {"{\"v\":\"\"}", -1},
        {"{}", -1},
        {"{\"v\":[]}", -2},
        {"{\"v\":5}", -2},
        {"{\"v\":\"[]\"}", -2},
        {"{\"v\":\"{\"}", -2},
        {"{\"v\":\"{\\\"a\\\":1,\\\"a\\\":2}\"}", -2},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct body body;
        json_t *root = parse(rows[i].json);
        body_open(&body, root, NULL);
        json_t *got = body_object(&body, "v");
        assert_int_equal(body.failed, rows[i].want == -2);
        assert_int_equal(got ? (int)json_object_size(got) : -1,
                         rows[i].want < 0 ? -1 : rows[i].want);
        json_decref(root);
    }
}

static void media_types(void **state)
{
    (void)state;
    static const char *const good[] = {"application/json",
                                       "Application/JSON; charset=UTF-8",
                                       "application/json;charset=\"utf-8\"",
                                       "application/vnd.x+json",
                                       "application/json; version=1",
                                       " application/json ; a=b; charset=utf-8"};
    static const char *const bad[] = {"",
                                      "text/plain",
                                      "application/x-www-form-urlencoded",
                                      "application/json; charset=latin1",
                                      "application/jsonx",
                                      "application/json x",
                                      "+json"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(body_is_json_type(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(body_is_json_type(bad[i]));
    assert_false(body_is_json_type(NULL));
}

static bool is_login(const struct route *route)
{
    return strcmp(route->path, "/api/auth/login") == 0;
}

/* The scope of a route has the name of its path's resource, and changing is more than reading. */
static void check_permission(const struct route *route)
{
    static const struct {
        const char *path, *resource;
    } resources[] = {
        {"/api/user", "users:"},      {"/api/getUser", "users:"},
        {"/api/auth", "users:"},      {"/api/node", "nodes:"},
        {"/api/image", "images:"},    {"/api/instance", "instances:"},
        {"/api/stats", "instances:"}, {"/api/getInstance", "instances:"},
        {"/api/key", "keys:"},        {"/api/event", "events:"},
        {"/api/audit", "audit:"},     {"/api/getUserInstance", "instances:"},
        {"/metrics", "metrics:"},
    };
    if (route->permission == PERMISSION_PUBLIC || route->permission == PERMISSION_ANY_KEY)
        return;
    assert_in_range(route->permission, SCOPE_NONE + 1, SCOPE_COUNT - 1);
    const char *scope = scope_name((enum scope)route->permission);
    const char *resource = NULL;
    for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]); i++) {
        if (strncmp(route->path, resources[i].path, strlen(resources[i].path)) == 0)
            resource = resources[i].resource; /* the longest stands last */
    }
    assert_non_null(resource);
    assert_int_equal(strncmp(scope, resource, strlen(resource)), 0);
    assert_string_equal(scope + strlen(resource), route->mutates ? "write" : "read");
}

static void check_bound(const struct route *route)
{
    bool by_instance = strncmp(route->path, "/api/instances/", 15) == 0;
    bool looks_it_up =
        route->bound == BOUND_USER || route->bound == BOUND_OWNER || route->bound == BOUND_EDITOR;
    if (by_instance && route->bound != BOUND_NOT)
        assert_true(looks_it_up);
    if (looks_it_up)
        assert_true(by_instance && strstr(route->path, "/:id"));
    if (route->bound == BOUND_ALL)
        assert_true(!route->mutates || strcmp(route->path, "/api/auth/logout") == 0);
    if (strncmp(route->path, "/api/node", 9) == 0 || strncmp(route->path, "/api/audit", 10) == 0)
        assert_int_equal(route->bound, BOUND_NOT);
}

static void every_route_is_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < routes_count; i++) {
        const struct route *route = &routes[i];
        assert_int_equal(route->path[0], '/');
        assert_int_not_equal(route->permission, PERMISSION_DENIED);
        bool keyed = (strncmp(route->path, "/api/", 5) == 0 && !is_login(route)) ||
                     route->permission == SCOPE_METRICS_READ;
        assert_int_equal(keyed, route->permission != PERMISSION_PUBLIC);
        check_permission(route);
        check_bound(route);
        assert_true(route->max_body > 0 && route->deadline_ms > 0);
        assert_non_null(route->handle);
        assert_false(route->mutates && route->method == HTTP_GET);
        for (size_t j = 0; j < i; j++)
            assert_false(route->method == routes[j].method &&
                         strcmp(route->path, routes[j].path) == 0);
    }
}

static void paths_match_exactly(void **state)
{
    (void)state;
    struct route plain = {.path = "/api/users"}, last = {.path = "/a/:id"},
                 middle = {.path = "/a/:id/retry"};
    char param[ROUTE_PARAM_SIZE] = "";
    assert_true(route_match(&plain, "/api/users", param));
    assert_false(route_match(&plain, "/api/users/", param));
    assert_false(route_match(&plain, "/api/user", param));
    assert_false(route_match(&plain, "", param));
    assert_true(route_match(&last, "/a/x1", param));
    assert_string_equal(param, "x1");
    assert_false(route_match(&last, "/a/", param));
    assert_false(route_match(&last, "/a/x/", param));
    assert_true(route_match(&middle, "/a/x2/retry", param));
    assert_string_equal(param, "x2");
    assert_false(route_match(&middle, "/a//retry", param));
    assert_false(route_match(&middle, "/a/x2", param));
}

static void errors_have_their_status(void **state)
{
    (void)state;
    static const struct {
        enum err_code code;
        const char *reason;
        int status;
    } rows[] = {
        {ERR_INVALID, "invalid_field", 400},
        {ERR_NOT_FOUND, "user_not_found", 400},
        {ERR_CONFLICT, "user_exists", 409},
        {ERR_CONFLICT, "image_exists", 409},
        {ERR_CONFLICT, "idempotency_key_reused", 409},
        {ERR_CONFLICT, "port_taken", 400},
        {ERR_CONFLICT, "node_has_instances", 400},
        {ERR_UNAUTHORIZED, "unauthorized", 401},
        {ERR_UNAUTHORIZED, "forbidden", 403},
        {ERR_BUSY, "rate_limited", 429},
        {ERR_TOO_LARGE, "x", 413},
        {ERR_BUSY, "busy", 503},
        {ERR_OFFLINE, "node_offline", 500},
        {ERR_IO, "io_error", 500},
        {ERR_TIMEOUT, "x", 500},
        {ERR_NO_MEMORY, "out_of_memory", 500},
        {ERR_INTERNAL, "x", 500},
        {ERR_PROTOCOL, "x", 500},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct err err;
        err_set(&err, rows[i].code, rows[i].reason, "text");
        assert_int_equal(error_status(&err), rows[i].status);
    }
}

static void inner_messages_stay_inside(void **state)
{
    (void)state;
    struct err err;
    struct strbuf out = {0};
    err_set(&err, ERR_IO, "io_error", "open /var/lib/panel/secret: denied");
    error_render(&err, "rid", &out);
    assert_null(strstr(out.data, "secret"));
    assert_non_null(strstr(out.data, "\"code\":\"internal_error\""));
    assert_non_null(strstr(out.data, "\"requestId\":\"rid\""));
    strbuf_reset(&out);
    err_field(&err, ERR_CONFLICT, "port_taken", "ports", "port 80 is taken");
    error_render(&err, "rid", &out);
    assert_string_equal(out.data, "{\"error\":\"Port 80 is taken.\",\"code\":\"port_taken\","
                                  "\"requestId\":\"rid\",\"field\":\"ports\"}");
    strbuf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_objects_are_bodies),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(scalars_serve_as_texts),
        cmocka_unit_test(the_first_wrong_field_is_named),
        cmocka_unit_test(flags_are_lenient_but_never_guessed),
        cmocka_unit_test(objects_may_come_as_text),
        cmocka_unit_test(media_types),
        cmocka_unit_test(every_route_is_complete),
        cmocka_unit_test(paths_match_exactly),
        cmocka_unit_test(errors_have_their_status),
        cmocka_unit_test(inner_messages_stay_inside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
