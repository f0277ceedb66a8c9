/* panelctl's command line and event streams: the words of one, the pieces of the other. Also what
 * the table of commands has to be. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "panel/ctl/args.h"
#include "panel/ctl/body.h"
#include "panel/ctl/sse.h"

/* --- the table ------------------------------------------------------------------------------- */

static void test_each_row_is_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < commands_count; i++) {
        const struct command *row = &commands[i];
        assert_non_null(row->run);
        assert_true(row->help[0] != '\0');
        assert_true(row->most < 0 || row->least <= row->most);
        /* As many words as its usage names. */
        bool named = row->arguments[0] != '\0';
        assert_true(named == (row->most != 0) || row->local);
        for (size_t k = 0; k < i; k++)
            assert_false(strcmp(commands[k].noun, row->noun) == 0 &&
                         strcmp(commands[k].verb, row->verb) == 0);
        for (size_t k = 0; k < row->option_count; k++) {
            const struct option_spec *option = &row->options[k];
            bool has_member = option->member != NULL;
            assert_true(has_member == (option->kind != BODY_NONE));
            assert_true(option->kind == BODY_NONE || option->kind == BODY_TRUE || option->value);
            for (size_t j = 0; j < k; j++) {
                assert_string_not_equal(row->options[j].name, option->name);
                assert_false(option->letter && row->options[j].letter == option->letter);
            }
            for (size_t j = 0; j < common_options_count; j++) {
                assert_string_not_equal(common_options[j].name, option->name);
                assert_false(option->letter && common_options[j].letter == option->letter);
            }
        }
    }
}

/* The completion knows an option by its name alone. */
static void test_an_option_has_one_meaning_everywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < commands_count; i++) {
        for (size_t k = 0; k < commands[i].option_count; k++) {
            const struct option_spec *a = &commands[i].options[k];
            for (size_t j = 0; j < i; j++) {
                for (size_t l = 0; l < commands[j].option_count; l++) {
                    const struct option_spec *b = &commands[j].options[l];
                    if (strcmp(a->name, b->name) == 0)
                        assert_true(!a->value == !b->value);
                }
            }
        }
    }
}

/* --- words ----------------------------------------------------------------------------------- */

static int parse(struct args *args, struct err *err, const char *first, ...)
{
    static char *argv[32];
    int argc = 1;
    va_list ap;
    argv[0] = "panelctl";
    va_start(ap, first);
    for (const char *word = first; word; word = va_arg(ap, const char *))
        argv[argc++] = (char *)word;
    va_end(ap);
    *err = (struct err){0};
    return args_parse(args, argc, argv, err);
}

static void test_options_may_stand_anywhere(void **state)
{
    (void)state;
    static const char *const lines[][6] = {
        {"-o", "json", "node", "get", "n1", NULL},
        {"node", "-ojson", "get", "n1", NULL},
        {"node", "get", "--output", "json", "n1", NULL},
        {"nodes", "get", "n1", "--output=json", NULL},
        {"node", "show", "n1", "-o=json", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct args args;
        struct err err;
        const char *const *l = lines[i];
        assert_int_equal(parse(&args, &err, l[0], l[1], l[2], l[3], l[4], l[4] ? l[5] : NULL, NULL),
                         0);
        assert_ptr_equal(args.command, command_find("node", "get"));
        assert_string_equal(args_value(&args, "output"), "json");
        assert_int_equal(args.count, 1);
        assert_string_equal(args.words[0], "n1");
    }
}

static void test_two_dashes_end_options(void **state)
{
    (void)state;
    struct args args;
    struct err err;
    assert_int_equal(parse(&args, &err, "instance", "command", "web", "--", "-x", "--", "-h", NULL),
                     0);
    assert_int_equal(args.count, 4);
    assert_string_equal(args.words[1], "-x");
    assert_string_equal(args.words[2], "--");
    assert_false(args_has(&args, "help"));
}

static void test_an_option_given_again(void **state)
{
    (void)state;
    struct args args;
    struct err err;
    int at = 0;
    assert_int_equal(parse(&args, &err, "instance", "update", "web", "-e", "A=1", "--var", "B-",
                           "--var=C=", NULL),
                     0);
    assert_string_equal(args_next(&args, "var", &at), "A=1");
    assert_string_equal(args_next(&args, "var", &at), "B-");
    assert_string_equal(args_next(&args, "var", &at), "C=");
    assert_null(args_next(&args, "var", &at));
}

static void test_plurals_and_nothing(void **state)
{
    (void)state;
    struct args args;
    struct err err;
    assert_int_equal(parse(&args, &err, "events", "-f", NULL), 0);
    assert_ptr_equal(args.command, command_find("event", "list"));
    assert_int_equal(parse(&args, &err, "audit", "--since", "1h", NULL), 0); /* has no other verb */
    assert_ptr_equal(args.command, command_find("audit", "list"));
    assert_int_equal(parse(&args, &err, "node", NULL), 0);
    assert_null(args.command);
    assert_string_equal(args.noun, "node");
    assert_int_equal(parse(&args, &err, NULL), 0);
    assert_null(args.noun);
    assert_int_equal(parse(&args, &err, "nodes", "--help", NULL), 0);
    assert_null(args.command);
}

static void test_slips(void **state)
{
    (void)state;
    static const char *const lines[][5] = {
        {"nod", NULL},
        {"node", "gett", "x", NULL},
        {"node", "get", NULL},
        {"node", "get", "a", "b", NULL},
        {"node", "get", "a", "--nonsense", NULL},
        {"node", "get", "a", "-o", NULL},
        {"node", "get", "a", "-ox", NULL},
        {"node", "get", "a", "--watch=1", NULL},
        {"node", "get", "a", "-Z", NULL},
        {"node", "list", "--force", NULL}, /* of another command */
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct args args;
        struct err err;
        const char *const *l = lines[i];
        assert_int_equal(parse(&args, &err, l[0], l[1], l[1] ? l[2] : NULL,
                               l[1] && l[2] ? l[3] : NULL, l[1] && l[2] && l[3] ? l[4] : NULL,
                               NULL),
                         -1);
        assert_string_equal(err.reason, "usage");
        assert_true(err.msg[0] != '\0');
    }
}

/* A value may be a secret that was meant for another place. */
static void test_values_are_not_told_again(void **state)
{
    (void)state;
    struct args args;
    struct err err;
    assert_int_equal(parse(&args, &err, "user", "create", "x", "--passwort=hunter2", NULL), -1);
    assert_null(strstr(err.msg, "hunter2"));
    assert_int_equal(parse(&args, &err, "nodes", "--api-key=panel_secret", NULL), -1);
    assert_null(strstr(err.msg, "panel_secret"));
    assert_int_equal(parse(&args, &err, "user", "update", "x", "--password=hunter2", NULL), -1);
    assert_null(strstr(err.msg, "hunter2"));
    assert_int_equal(parse(&args, &err, "user", "update", "x", "-Phunter2", NULL), -1);
    assert_null(strstr(err.msg, "hunter2"));
}

/* --- bodies ---------------------------------------------------------------------------------- */

static void assert_body(const char *a, const char *b, const char *c, const char *json)
{
    struct args args;
    struct err err;
    auto_json json_t *body = NULL;
    assert_int_equal(parse(&args, &err, "instance", "update", "web", a, b, c, NULL), 0);
    assert_int_equal(body_from_options(&args, &body, &err), 0);
    auto_free char *text = json_dumps(body, JSON_COMPACT);
    assert_string_equal(text, json);
}

static void test_bodies(void **state)
{
    (void)state;
    assert_body(NULL, NULL, NULL, "{}");
    assert_body("-m", "2G", "--no-wait", "{\"memory\":\"2G\"}");
    assert_body("--var=A=1", "-eB=", "-eA=2=3", "{\"variables\":{\"A\":\"2=3\",\"B\":\"\"}}");
    setenv("FROM_OUTSIDE", "a=b", 1);
    assert_body("--var", "FROM_OUTSIDE", NULL, "{\"variables\":{\"FROM_OUTSIDE\":\"a=b\"}}");
    assert_body("--env", "GONE-", "--name=x", "{\"env\":{\"GONE\":null},\"name\":\"x\"}");
}

static void test_bodies_of_others(void **state)
{
    (void)state;
    struct args args;
    struct err err;
    auto_json json_t *node = NULL;
    auto_json json_t *key = NULL;
    assert_int_equal(parse(&args, &err, "node", "update", "n", "--maintenance", "yes",
                           "--port-range", "none", "--overcommit-cpu=4", "--overcommit-memory=none",
                           NULL),
                     0);
    assert_int_equal(body_from_options(&args, &node, &err), 0);
    auto_free char *text = json_dumps(node, JSON_COMPACT);
    assert_string_equal(text, "{\"maintenance\":true,\"portRange\":null,"
                              "\"overcommit\":{\"cpu\":\"4\",\"memory\":null}}");
    assert_int_equal(
        parse(&args, &err, "key", "create", "k", "--scope", "read,,nodes,", "--scope", "a b", NULL),
        0);
    assert_int_equal(body_from_options(&args, &key, &err), 0);
    auto_free char *scopes = json_dumps(key, JSON_COMPACT);
    assert_string_equal(scopes, "{\"scopes\":[\"read\",\"nodes\",\"a\",\"b\"]}");
}

static void test_bodies_that_can_not_be_made(void **state)
{
    (void)state;
    static const char *const values[] = {"", "x", "=1", "-", "\xff=1", "A=\xff"};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct args args;
        struct err err;
        auto_json json_t *body = NULL;
        assert_int_equal(parse(&args, &err, "instance", "update", "web", "--var", values[i], NULL),
                         0);
        assert_int_equal(body_from_options(&args, &body, &err), -1);
        assert_string_equal(err.reason, "usage");
    }
}

/* --- events ---------------------------------------------------------------------------------- */

static void take(void *arg, const struct sse_event *event)
{
    strbuf_fmt(arg, "%s|%s|%s;", event->type, event->id, event->data);
}

/* The same however it is cut into pieces. */
static void assert_events(const char *bytes, const char *events)
{
    size_t len = strlen(bytes);
    for (size_t piece = 1; piece <= len; piece++) {
        struct sse sse = {0};
        auto_strbuf struct strbuf out = {0};
        for (size_t at = 0; at < len; at += piece)
            assert_int_equal(
                sse_feed(&sse, bytes + at, len - at < piece ? len - at : piece, take, &out), 0);
        assert_string_equal(out.data ? out.data : "", events);
        sse_fini(&sse);
    }
}

static void test_events_in_pieces(void **state)
{
    (void)state;
    assert_events("data: a\n\n", "message||a;");
    assert_events("id: 1\ndata: a\n\ndata: b\n\n", "message|1|a;message|1|b;");
    assert_events("id: 1\r\nevent: lost\r\ndata: a\r\ndata: b\r\n\r\n", "lost|1|a\nb;");
    assert_events("data\rdata:\r\r", "message||\n;");
    assert_events(": comment\n\nevent: x\n\ndata:a\n\n", "message||a;");
    assert_events("id: 7\n\ndata: a\n\n", "message|7|a;");
    assert_events("data: never ended\n", "");
    assert_events("nonsense: 1\ndata:  two blanks\n\n", "message|| two blanks;");
}

static void test_a_restart_keeps_the_last_id(void **state)
{
    (void)state;
    struct sse sse = {0};
    auto_strbuf struct strbuf out = {0};
    static const char first[] = "id: 5\ndata: a\n\nevent: x\ndata: half";
    assert_int_equal(sse_feed(&sse, first, sizeof(first) - 1, take, &out), 0);
    sse_restart(&sse);
    assert_int_equal(sse_feed(&sse, "data: b\n\n", 9, take, &out), 0);
    assert_string_equal(out.data, "message|5|a;message|5|b;");
    sse_fini(&sse);
}

static void test_an_event_without_end_is_refused(void **state)
{
    (void)state;
    struct sse sse = {0};
    char piece[4096];
    int rc = 0;
    memset(piece, 'x', sizeof(piece));
    for (size_t i = 0; i < SSE_EVENT_MAX / sizeof(piece) + 2 && rc == 0; i++)
        rc = sse_feed(&sse, piece, sizeof(piece), take, NULL);
    assert_int_equal(rc, -1);
    sse_fini(&sse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_row_is_whole),
        cmocka_unit_test(test_an_option_has_one_meaning_everywhere),
        cmocka_unit_test(test_options_may_stand_anywhere),
        cmocka_unit_test(test_two_dashes_end_options),
        cmocka_unit_test(test_an_option_given_again),
        cmocka_unit_test(test_plurals_and_nothing),
        cmocka_unit_test(test_slips),
        cmocka_unit_test(test_values_are_not_told_again),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_bodies_of_others),
        cmocka_unit_test(test_bodies_that_can_not_be_made),
        cmocka_unit_test(test_events_in_pieces),
        cmocka_unit_test(test_a_restart_keeps_the_last_id),
        cmocka_unit_test(test_an_event_without_end_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
