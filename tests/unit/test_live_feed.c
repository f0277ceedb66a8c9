/* A feed and its readers: order, losses that are counted, ends. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "panel/live/feed.h"

#define BYTES_MAX 100

static struct feed *feed;
static struct feed_reader reader;
static int woken;

static void wake(void *arg)
{
    (void)arg;
    woken++;
}

static int set_up(void **state)
{
    (void)state;
    feed = feed_create(BYTES_MAX);
    reader = (struct feed_reader){.wake = wake};
    feed_join(feed, &reader);
    woken = 0;
    return feed ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    feed_leave(&reader);
    feed_unref(feed);
    return 0;
}

static void put(const char *text, uint32_t records)
{
    feed_put(feed, shared_create(strdup(text), strlen(text)), records);
}

static void assert_piece(struct feed_reader *from, const char *text)
{
    struct shared *piece = NULL;
    uint64_t lost;
    assert_int_equal(feed_take(from, &piece, &lost), FEED_PIECE);
    assert_int_equal(shared_len(piece), strlen(text));
    assert_memory_equal(shared_data(piece), text, strlen(text));
    shared_unref(piece);
}

static void assert_lost(struct feed_reader *from, uint64_t records)
{
    struct shared *piece;
    uint64_t lost = 0;
    assert_int_equal(feed_take(from, &piece, &lost), FEED_LOST);
    assert_int_equal(lost, records);
}

static void assert_taken(struct feed_reader *from, enum feed_taken taken)
{
    struct shared *piece;
    uint64_t lost;
    assert_int_equal(feed_take(from, &piece, &lost), taken);
}

static void test_pieces_come_in_order_to_all(void **state)
{
    (void)state;
    struct feed_reader other = {.wake = wake};
    feed_join(feed, &other);
    assert_taken(&reader, FEED_NOTHING);
    put("one", 1);
    put("two three", 2);
    assert_int_equal(woken, 4);
    assert_piece(&reader, "one");
    assert_piece(&reader, "two three");
    assert_taken(&reader, FEED_NOTHING);
    assert_piece(&other, "one");
    feed_leave(&other);
    put("four", 1);
    assert_int_equal(woken, 5);
}

static void test_one_who_joins_hears_what_comes_then(void **state)
{
    (void)state;
    put("before", 1);
    struct feed_reader late = {.wake = wake};
    feed_join(feed, &late);
    assert_taken(&late, FEED_NOTHING);
    put("after", 1);
    assert_piece(&late, "after");
    feed_leave(&late);
}

static void test_who_falls_behind_is_told_how_much(void **state)
{
    (void)state;
    char text[41];
    memset(text, 'x', 40);
    text[40] = '\0';
    for (int i = 0; i < 5; i++)
        put(text, 10);
    assert_lost(&reader, 30);
    assert_piece(&reader, text);
    assert_piece(&reader, text);
    assert_taken(&reader, FEED_NOTHING);
}

static void test_many_small_pieces_are_bounded_too(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        put("", 1);
    assert_lost(&reader, 1000 - 256);
    for (int i = 0; i < 256; i++)
        assert_piece(&reader, "");
    assert_taken(&reader, FEED_NOTHING);
}

static void test_one_larger_than_all_is_kept_alone(void **state)
{
    (void)state;
    char text[BYTES_MAX * 2 + 1];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    put("small", 1);
    put(text, 1);
    assert_lost(&reader, 1);
    assert_piece(&reader, text);
}

static void test_a_gap_is_told_in_its_place(void **state)
{
    (void)state;
    put("a", 1);
    feed_put_gap(feed, 7);
    feed_put_gap(feed, 0);
    put("b", 1);
    feed_put(feed, NULL, 3); /* no memory for it */
    assert_piece(&reader, "a");
    assert_lost(&reader, 7);
    assert_piece(&reader, "b");
    assert_lost(&reader, 3);
    assert_taken(&reader, FEED_NOTHING);
}

static void test_the_end_comes_after_all(void **state)
{
    (void)state;
    put("last", 1);
    feed_end(feed);
    assert_piece(&reader, "last");
    assert_taken(&reader, FEED_END);
    assert_taken(&reader, FEED_END);
}

static void test_a_piece_outlives_its_feed(void **state)
{
    (void)state;
    struct shared *piece = NULL;
    uint64_t lost;
    put("held", 1);
    assert_int_equal(feed_take(&reader, &piece, &lost), FEED_PIECE);
    feed_leave(&reader);
    feed_unref(feed);
    feed = NULL;
    assert_memory_equal(shared_data(piece), "held", 4);
    shared_unref(piece);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pieces_come_in_order_to_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_who_joins_hears_what_comes_then, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_who_falls_behind_is_told_how_much, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_small_pieces_are_bounded_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_larger_than_all_is_kept_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_gap_is_told_in_its_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_end_comes_after_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_piece_outlives_its_feed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
