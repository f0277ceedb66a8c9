/* Docker's log streams, whole and in pieces, and the lines made of them. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "agent/log_lines.h"
#include "common/strbuf.h"

#define T "2026-11-23T18:20:42."

static struct strbuf told;
static struct log_stream stream;

static void take(void *arg, const struct log_text *text)
{
    (void)arg;
    strbuf_fmt(&told, "%llu%s%s:", (unsigned long long)(text->time_ns % 1000000000u),
               text->is_error ? "e" : "", text->is_cut ? "+" : "");
    strbuf_add(&told, text->text, text->len);
    strbuf_char(&told, '|');
}

static void begin(bool terminal)
{
    strbuf_fini(&told);
    stream = (struct log_stream){.terminal = terminal, .take = take};
}

static int tear_down(void **state)
{
    (void)state;
    log_stream_fini(&stream);
    strbuf_fini(&told);
    return 0;
}

static void frame(struct strbuf *out, int output, const char *text)
{
    uint32_t len = (uint32_t)strlen(text);
    const unsigned char head[8] = {(unsigned char)output,
                                   0,
                                   0,
                                   0,
                                   (unsigned char)(len >> 24),
                                   (unsigned char)(len >> 16),
                                   (unsigned char)(len >> 8),
                                   (unsigned char)len};
    strbuf_add(out, head, sizeof(head));
    strbuf_add(out, text, len);
}

/* The bytes in pieces of each size give the same. */
static void assert_told(bool terminal, const struct strbuf *bytes, const char *wanted)
{
    for (size_t size = 1; size <= bytes->len; size = size < 40 ? size + 1 : size * 3) {
        begin(terminal);
        for (size_t at = 0; at < bytes->len; at += size)
            log_stream_add(&stream, bytes->data + at,
                           bytes->len - at < size ? bytes->len - at : size);
        log_stream_end(&stream);
        assert_string_equal(told.data, wanted);
    }
}

static void test_frames(void **state)
{
    (void)state;
    auto_strbuf struct strbuf bytes = {0};
    frame(&bytes, 1, T "000000001Z one\n");
    frame(&bytes, 2, T "000000002Z two words\n");
    frame(&bytes, 1, "");
    frame(&bytes, 1, T "5Z \n");
    frame(&bytes, 1, T "000000003Z last of a cut line");
    frame(&bytes, 1, T "000000003Z end\n");
    assert_told(false, &bytes, "1:one|2e:two words|500000000:|3:last of a cut line|3:end|");
}

static void test_a_text_without_a_time_is_told_as_it_is(void **state)
{
    (void)state;
    auto_strbuf struct strbuf bytes = {0};
    frame(&bytes, 1, "no time\n");
    frame(&bytes, 1, "\n");
    assert_told(false, &bytes, "0:no time|0:|");
}

static void test_a_frame_without_measure_comes_in_parts(void **state)
{
    (void)state;
    auto_strbuf struct strbuf text = {0};
    auto_strbuf struct strbuf bytes = {0};
    strbuf_str(&text, T "000000001Z ");
    for (int i = 0; i < 100000; i++)
        strbuf_char(&text, 'x');
    strbuf_char(&text, '\n');
    frame(&bytes, 1, text.data);
    begin(false);
    log_stream_add(&stream, bytes.data, bytes.len);
    log_stream_end(&stream);
    size_t count = 0;
    for (size_t i = 0; i < told.len; i++)
        count += told.data[i] == 'x';
    assert_int_equal(count, 100000);
    assert_int_equal(strncmp(told.data, "1+:", 3), 0);
    assert_int_equal(told.data[told.len - 1], '|');
}

static void test_a_terminal(void **state)
{
    (void)state;
    auto_strbuf struct strbuf bytes = {0};
    strbuf_str(&bytes, T "000000001Z one\r\n" T "000000002Z two\r\n" T "000000003Z prompt> ");
    assert_told(true, &bytes, "1:one\r|2:two\r|3:prompt> |");
}

static void test_a_terminals_long_line_has_a_time_in_each_part(void **state)
{
    (void)state;
    auto_strbuf struct strbuf bytes = {0};
    strbuf_str(&bytes, T "000000001Z ");
    for (int i = 0; i < 16384; i++)
        strbuf_char(&bytes, 'x');
    strbuf_str(&bytes, T "000000002Z rest\r\n");
    begin(true);
    log_stream_add(&stream, bytes.data, bytes.len);
    log_stream_end(&stream);
    assert_int_equal(strncmp(told.data, "1+:xxx", 6), 0);
    assert_string_equal(strchr(told.data, '|') + 1, "2:rest\r|");
}

/* As the log driver "local" tells it. */
static void test_the_end_of_a_cut_line_may_lack_its_newline(void **state)
{
    (void)state;
    auto_strbuf struct strbuf bytes = {0};
    strbuf_str(&bytes, T "000000001Z ");
    for (int i = 0; i < 16384; i++)
        strbuf_char(&bytes, 'x');
    strbuf_str(&bytes, T "000000001Z rest\r" T "000000002Z next\r\n" T "000000003Z a\r" T "x\r\n");
    begin(true);
    log_stream_add(&stream, bytes.data, bytes.len);
    log_stream_end(&stream);
    assert_string_equal(strchr(told.data, '|') + 1, "1:rest\r|2:next\r|3:a\r" T "x\r|");
}

/* --- lines ----------------------------------------------------------------------------------- */

static struct log_lines lines;

static void add(uint64_t time_ns, const char *text)
{
    struct log_text one = {.time_ns = time_ns, .text = text, .len = strlen(text)};
    log_lines_add(&lines, &one);
}

static void assert_lines(const char *wanted)
{
    auto_strbuf struct strbuf all = {0};
    size_t count;
    Wire__LogLine **rows = log_lines_tell(&lines, 1000000, &count, NULL);
    strbuf_str(&all, "");
    for (size_t i = 0; i < count; i++)
        strbuf_fmt(&all, "%llu-%u %.*s|", (unsigned long long)rows[i]->position->time_ns,
                   rows[i]->position->index, (int)rows[i]->text.len, (char *)rows[i]->text.data);
    free(rows);
    assert_string_equal(all.data, wanted);
}

static int set_up_lines(void **state)
{
    (void)state;
    lines = (struct log_lines){.bytes_max = 100000};
    return 0;
}

static int tear_down_lines(void **state)
{
    (void)state;
    log_lines_clear(&lines);
    return 0;
}

static void test_lines_of_one_moment_are_counted(void **state)
{
    (void)state;
    add(5, "a");
    add(5, "b");
    add(7, "c");
    add(6, "d"); /* the clock went back */
    add(0, "e");
    add(8, "f");
    assert_lines("5-0 a|5-1 b|7-0 c|7-1 d|7-2 e|8-0 f|");
}

static void test_only_a_range_is_taken(void **state)
{
    (void)state;
    lines.after = (struct log_position){5, 1};
    lines.until = (struct log_position){7, 0};
    add(5, "a");
    add(5, "b");
    add(5, "c");
    add(7, "d");
    add(7, "e");
    assert_lines("5-2 c|7-0 d|");
    assert_int_equal(lines.kept.time_ns, 7);
    assert_int_equal(lines.kept.index, 0);
    assert_int_equal(lines.dropped, 0);
}

static void test_the_oldest_go_and_are_counted(void **state)
{
    (void)state;
    lines.bytes_max = 3 * (sizeof(struct log_line) + 1);
    static const char *const texts[] = {"a", "b", "c", "d", "e", "f"};
    for (size_t i = 0; i < 6; i++)
        add(97 + i, texts[i]);
    assert_lines("100-0 d|101-0 e|102-0 f|");
    assert_int_equal(lines.dropped, 3);
    log_lines_forget(&lines, (struct log_position){101, 0});
    assert_lines("102-0 f|");
    assert_int_equal(lines.dropped, 3);
}

static void test_an_answer_is_bounded_but_has_a_line(void **state)
{
    (void)state;
    size_t count;
    add(1, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    add(2, "b");
    Wire__LogLine **rows = log_lines_tell(&lines, 1, &count, NULL);
    assert_int_equal(count, 1);
    free(rows);
    log_lines_clear(&lines);
    rows = log_lines_tell(&lines, 1, &count, NULL);
    assert_null(rows);
    assert_int_equal(count, 0);
}

/* An answer with many logs is measured by it, and a frame that is too large is refused. */
static void test_what_short_lines_take_when_packed(void **state)
{
    (void)state;
    Wire__LogNews news = WIRE__LOG_NEWS__INIT;
    size_t bytes = 0;
    struct log_text one = {.text = "x", .len = 1, .is_error = true, .is_cut = true};
    for (unsigned i = 0; i < 200; i++) {
        one.time_ns = UINT64_MAX - 1 + i / 199;
        log_lines_add(&lines, &one);
    }
    Wire__LogLine **rows = log_lines_tell(&lines, 100000, &news.n_lines, &bytes);
    news.lines = rows;
    news.instance_id = "";
    assert_int_equal(news.n_lines, 200);
    assert_true(bytes >= wire__log_news__get_packed_size(&news));
    free(rows);
    rows = log_lines_tell(&lines, bytes / 2, &news.n_lines, &bytes);
    assert_int_equal(news.n_lines, 100);
    free(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_frames, tear_down),
        cmocka_unit_test_teardown(test_a_text_without_a_time_is_told_as_it_is, tear_down),
        cmocka_unit_test_teardown(test_a_frame_without_measure_comes_in_parts, tear_down),
        cmocka_unit_test_teardown(test_a_terminal, tear_down),
        cmocka_unit_test_teardown(test_a_terminals_long_line_has_a_time_in_each_part, tear_down),
        cmocka_unit_test_teardown(test_the_end_of_a_cut_line_may_lack_its_newline, tear_down),
        cmocka_unit_test_setup_teardown(test_lines_of_one_moment_are_counted, set_up_lines,
                                        tear_down_lines),
        cmocka_unit_test_setup_teardown(test_only_a_range_is_taken, set_up_lines, tear_down_lines),
        cmocka_unit_test_setup_teardown(test_the_oldest_go_and_are_counted, set_up_lines,
                                        tear_down_lines),
        cmocka_unit_test_setup_teardown(test_an_answer_is_bounded_but_has_a_line, set_up_lines,
                                        tear_down_lines),
        cmocka_unit_test_setup_teardown(test_what_short_lines_take_when_packed, set_up_lines,
                                        tear_down_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
