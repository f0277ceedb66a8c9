/* Settings: order of sources, what fits, what is told of what doesn't, changes, what is shown; and
 * of both daemons' tables that each row is whole. */
#include "tests/unit/unit.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/options.h"
#include "common/auto.h"
#include "common/fs.h"
#include "common/settings.h"
#include "panel/config.h"

struct values {
    struct settings_head head;
    char *text;
    int choice;
    int64_t number;
    double ratio;
    bool on;
    char *hidden;
};

static bool is_lower(const char *text)
{
    return text[strspn(text, "abcdefghijklmnopqrstuvwxyz")] == '\0';
}

static const char *const choices[] = {"red", "green", "blue", NULL};

#define AT(member) offsetof(struct values, member)

static void check(const void *values, struct strbuf *faults)
{
    if (((const struct values *)values)->number == 13)
        strbuf_str(faults, "theNumber must not be 13\n");
}

static const struct setting rows[] = {
    {"someText", SETTING_TEXT, AT(text), NULL, "none", 0, 0, NULL, NULL, is_lower,
     "lower-case letters", "WORD", 1, false, "a text"},
    {"theChoice", SETTING_CHOICE, AT(choice), "green", NULL, 0, 0, NULL, choices, NULL, NULL,
     "COLOUR", 2, false, "a choice"},
    {"theNumber", SETTING_NUMBER, AT(number), "5", NULL, 1, 4000000000.0, "ms", NULL, NULL, NULL,
     "N", 2, false, "a number"},
    {"theRatio", SETTING_RATIO, AT(ratio), "1.0", NULL, 0.5, 2, NULL, NULL, NULL, NULL, "R", 0,
     false, "a ratio"},
    {"on", SETTING_SWITCH, AT(on), NULL, NULL, 0, 0, NULL, NULL, NULL, NULL, NULL, 0, false,
     "a switch"},
    {"hidden", SETTING_TEXT, AT(hidden), NULL, "none", 0, 0, NULL, NULL, is_lower, "a password",
     "WORD", 0, true, "a secret"},
};

enum { TEXT, CHOICE, NUMBER, RATIO, ON, HIDDEN };

static const struct settings_table table = {"UNIT_", rows, ARRAY_LEN(rows), check};

static char path[] = "/tmp/test_settings.XXXXXX";

static int make_file(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_file(const char *text)
{
    assert_int_equal(fs_write_atomic(path, text, strlen(text), 0600, NULL), 0);
}

static int load(struct values *values, const struct settings_given *given, struct strbuf *faults)
{
    *values = (struct values){.number = 0};
    return settings_load(&table, given, values, faults);
}

static void test_defaults(void **state)
{
    (void)state;
    struct values values;
    struct strbuf faults = {0};
    assert_int_equal(load(&values, &(struct settings_given){0}, &faults), 0);
    assert_null(values.text);
    assert_int_equal(values.choice, 1);
    assert_int_equal(values.number, 5);
    assert_true(values.ratio == 1.0);
    assert_false(values.on);
    settings_fini(&table, &values);
}

static void test_the_later_wins(void **state)
{
    (void)state;
    struct values values;
    struct strbuf faults = {0};
    struct settings_given given = {.file = path};
    write_file("{\"someText\":\"file\",\"theNumber\":7,\"theRatio\":2,\"on\":true}");
    setenv("UNIT_SOME_TEXT", "environment", 1);
    setenv("UNIT_THE_NUMBER", "8", 1);
    setenv("UNIT_THE_CHOICE", "", 1); /* as if it weren't set */
    given.flags[NUMBER] = "9";
    assert_int_equal(load(&values, &given, &faults), 0);
    unsetenv("UNIT_SOME_TEXT");
    unsetenv("UNIT_THE_NUMBER");
    unsetenv("UNIT_THE_CHOICE");
    assert_string_equal(values.text, "environment");
    assert_int_equal(values.number, 9);
    assert_true(values.ratio == 2.0);
    assert_true(values.on);
    const unsigned char sources[] = {SETTING_ENVIRONMENT, SETTING_DEFAULT, SETTING_FLAG,
                                     SETTING_FILE,        SETTING_FILE,    SETTING_DEFAULT};
    assert_memory_equal(values.head.source, sources, sizeof(sources));
    settings_fini(&table, &values);
}

static void expect_fault(const struct settings_given *given, const char *text)
{
    struct values values;
    auto_strbuf struct strbuf faults = {0};
    assert_int_equal(load(&values, given, &faults), -1);
    settings_fini(&table, &values);
    if (!faults.data || !strstr(faults.data, text))
        fail_msg("\"%s\" doesn't say \"%s\"", faults.data, text);
}

static void test_flags_that_do_not_fit(void **state)
{
    (void)state;
    static const struct {
        int row;
        const char *value, *fault;
    } bad[] = {
        {TEXT, "", "--some-text must be lower-case letters, not \"\"\n"},
        {TEXT, "A\n\x1b[m", "not \"A??[m\"\n"},
        {TEXT, "\xff", "not \"?\"\n"},
        {CHOICE, "Red", "--the-choice must be red, green or blue, not \"Red\"\n"},
        {NUMBER, "0", "--the-number must be a whole number from 1 to 4000000000 (ms), not \"0\"\n"},
        {NUMBER, "4000000001", "not \"4000000001\"\n"},
        {NUMBER, "99999999999999999999", "not"},
        {NUMBER, " 5", "not"},
        {NUMBER, "+5", "not"},
        {NUMBER, "5ms", "not"},
        {NUMBER, "0x10", "not"},
        {NUMBER, "13", "theNumber must not be 13\n"},
        {RATIO, "0.4", "--the-ratio must be a number from 0.5 to 2, not \"0.4\"\n"},
        {RATIO, "1.", "not"},
        {RATIO, ".7", "not"},
        {RATIO, "1e0", "not"},
        {RATIO, "nan", "not"},
        {ON, "yes", "--on must be true or false, not \"yes\"\n"},
        {HIDDEN, "S3CRET", "--hidden must be a password; what it is isn't shown\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct settings_given given = {0};
        given.flags[bad[i].row] = bad[i].value;
        expect_fault(&given, bad[i].fault);
    }
}

static void test_files_that_do_not_fit(void **state)
{
    (void)state;
    static const struct {
        const char *file, *fault;
    } bad[] = {
        {"", "line 1"},
        {"[]", "must be one JSON object"},
        {"{\"on\":true,\"on\":true}", "on"},
        {"{\"theNumber\":\"5\"}", ": theNumber must be a whole number from 1"},
        {"{\"theNumber\":5.5}", ", not 5.5\n"},
        {"{\"someText\":5}", ": someText must be lower-case letters, not 5\n"},
        {"{\"someText\":null}", ", not null\n"},
        {"{\"on\":\"true\"}", ": on must be true or false, not \"true\"\n"},
        {"{\"on\":1}", ", not 1\n"},
        {"{\"theRatio\":true}", ", not true\n"},
        {"{\"hidden\":\"S3CRET\"}", ": hidden must be a password; what it is isn't shown\n"},
        {"{\"some-text\":\"x\"}", "there is no setting \"some-text\"; --help lists them\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        write_file(bad[i].file);
        expect_fault(&(struct settings_given){.file = path}, bad[i].fault);
    }
    expect_fault(&(struct settings_given){.file = "/nowhere"}, "/nowhere");
}

static void test_all_faults_are_told_at_once(void **state)
{
    (void)state;
    struct settings_given given = {.file = path};
    write_file("{\"theNumber\":0,\"nothing\":1,\"theRatio\":9}");
    setenv("UNIT_ON", "perhaps", 1);
    given.flags[CHOICE] = "black";
    for (size_t i = 0; i < 5; i++) {
        static const char *const words[] = {"theNumber", "nothing", "theRatio", "UNIT_ON",
                                            "--the-choice"};
        expect_fault(&given, words[i]);
    }
    unsetenv("UNIT_ON");
}

static void test_changes(void **state)
{
    (void)state;
    struct values old;
    struct values fresh;
    struct strbuf faults = {0};
    auto_strbuf struct strbuf names = {0};
    struct settings_given given = {0};
    given.flags[TEXT] = "one";
    assert_int_equal(load(&old, &given, &faults), 0);
    const char *kept = old.text;
    given.flags[NUMBER] = "6";
    given.flags[RATIO] = "1.5";
    assert_int_equal(load(&fresh, &given, &faults), 0);
    uint64_t changed = settings_differing(&table, &old, &fresh);
    assert_int_equal(changed, 1u << NUMBER | 1u << RATIO);
    assert_int_equal(settings_parts_of(&table, changed), 2);
    uint64_t taken = settings_of_parts(&table, changed, 2);
    assert_int_equal(taken, 1u << NUMBER);
    settings_exchange(&table, ~(changed & ~taken), &old, &fresh);
    assert_int_equal(old.number, 6);
    assert_int_equal(old.head.source[NUMBER], SETTING_FLAG);
    assert_true(old.ratio == 1.0);
    assert_int_equal(old.head.source[RATIO], SETTING_DEFAULT);
    assert_ptr_equal(old.text, kept);
    settings_put_names(&table, changed, &names);
    assert_string_equal(names.data, "theNumber theRatio");
    settings_fini(&table, &old);
    settings_fini(&table, &fresh);
}

static void test_shown_as_json(void **state)
{
    (void)state;
    struct values values;
    struct strbuf faults = {0};
    auto_strbuf struct strbuf out = {0};
    struct settings_given given = {0};
    given.flags[HIDDEN] = "sesame";
    given.flags[ON] = "true";
    assert_int_equal(load(&values, &given, &faults), 0);
    strbuf_char(&out, '{');
    settings_put_json(&table, &values, &values, 1u << NUMBER, &out);
    strbuf_char(&out, '}');
    assert_null(strstr(out.data, "sesame"));
    json_t *root = json_loads(out.data, JSON_REJECT_DUPLICATES, NULL);
    const json_t *list = json_object_get(root, "settings");
    assert_int_equal(json_array_size(list), ARRAY_LEN(rows));
    const json_t *number = json_array_get(list, NUMBER);
    assert_int_equal(json_integer_value(json_object_get(number, "value")), 5);
    assert_int_equal(json_integer_value(json_object_get(number, "afterRestart")), 5);
    assert_string_equal(json_string_value(json_object_get(number, "environment")),
                        "UNIT_THE_NUMBER");
    assert_true(json_is_true(json_object_get(json_array_get(list, ON), "value")));
    assert_true(json_is_null(json_object_get(json_array_get(list, TEXT), "value")));
    json_decref(root);
    settings_fini(&table, &values);
}

/* Every row of a daemon's own: its default fits, it can be explained, its name is its own. */
static void check_table(const struct settings_table *own)
{
    for (size_t i = 0; i < own->count; i++) {
        const struct setting *row = &own->rows[i];
        auto_strbuf struct strbuf flag = {0};
        settings_put_flag(row, &flag);
        assert_int_equal(settings_find(own, row->name), i);
        assert_int_equal(settings_find_flag(own, flag.data, flag.len), i);
        assert_non_null(row->help);
        assert_true(row->word || row->kind == SETTING_SWITCH);
        if (row->kind == SETTING_TEXT)
            assert_true(row->form && (row->preset || row->none));
        if (row->kind == SETTING_NUMBER || row->kind == SETTING_RATIO)
            assert_true(row->least < row->most && row->preset);
        if (row->kind == SETTING_CHOICE)
            assert_true(row->choices && row->choices[0] && row->preset);
    }
}

static void test_tables_of_the_daemons(void **state)
{
    (void)state;
    struct config config = {0};
    struct options options = {0};
    struct settings_given given = {0};
    auto_strbuf struct strbuf faults = {0};
    check_table(&config_table);
    check_table(&options_table);
    assert_int_equal(config_load(&config, &given, &faults), 0);
    assert_int_equal(settings_load(&options_table, &given, &options, &faults), 0);
    assert_int_equal(faults.len, 0);
    config_fini(&config);
    options_fini(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_the_later_wins),
        cmocka_unit_test(test_flags_that_do_not_fit),
        cmocka_unit_test(test_files_that_do_not_fit),
        cmocka_unit_test(test_all_faults_are_told_at_once),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_shown_as_json),
        cmocka_unit_test(test_tables_of_the_daemons),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
