/* Tests of api/list_cache. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "panel/api/internal.h"

static struct list_cache *cache;

static int make_cache(void **state)
{
    (void)state;
    return list_cache_create(&cache, NULL);
}

static int drop_cache(void **state)
{
    (void)state;
    list_cache_destroy(cache);
    return 0;
}

static struct shared *text_of(size_t len, char c)
{
    char *text = malloc(len);
    assert_non_null(text);
    memset(text, c, len);
    struct shared *shared = shared_create(text, len);
    assert_non_null(shared);
    return shared;
}

static void put(size_t route, const char *etag, size_t len, char c)
{
    struct shared *body = text_of(len, c);
    list_cache_put(cache, &routes[route], etag, body);
    shared_unref(body);
}

/* The first byte of what is found; 0: nothing is. */
static char find(size_t route, const char *etag)
{
    struct shared *body = list_cache_get(cache, &routes[route], etag);
    char c = body ? shared_data(body)[0] : '\0';
    shared_unref(body);
    return c;
}

static void test_found_by_route_and_etag(void **state)
{
    (void)state;
    put(0, "\"1\"", 100000, 'a');
    put(1, "\"1\"", 100000, 'b');
    assert_int_equal(find(0, "\"1\""), 'a');
    assert_int_equal(find(1, "\"1\""), 'b');
    assert_int_equal(find(0, "\"2\""), 0);
    assert_int_equal(find(2, "\"1\""), 0);
}

static void test_a_newer_one_takes_the_place_of_an_older(void **state)
{
    (void)state;
    put(0, "\"1\"", 100000, 'a');
    struct shared *sending = list_cache_get(cache, &routes[0], "\"1\"");
    put(0, "\"2\"", 100000, 'b');
    assert_int_equal(find(0, "\"1\""), 0);
    assert_int_equal(find(0, "\"2\""), 'b');
    assert_int_equal(shared_data(sending)[99999], 'a'); /* still whole for who sends it */
    shared_unref(sending);
}

static void test_small_and_huge_ones_are_not_kept(void **state)
{
    (void)state;
    put(0, "\"1\"", 100, 'a');
    assert_int_equal(find(0, "\"1\""), 0);
    put(0, "\"2\"", 17 << 20, 'a');
    assert_int_equal(find(0, "\"2\""), 0);
}

static void test_more_routes_than_places(void **state)
{
    (void)state;
    for (size_t i = 0; i < 8; i++)
        put(i, "\"1\"", 100000, 'a');
    assert_int_equal(find(0, "\"1\""), 'a');
    assert_int_equal(find(7, "\"1\""), 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_cache, drop_cache)
    const struct CMUnitTest tests[] = {
        TEST(test_found_by_route_and_etag),
        TEST(test_a_newer_one_takes_the_place_of_an_older),
        TEST(test_small_and_huge_ones_are_not_kept),
        TEST(test_more_routes_than_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
