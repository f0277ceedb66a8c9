/* Following logs without a node: what is sent is kept here, and answered by hand. In the place of
 * link.c stands a list of calls. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/fs.h"
#include "panel/fleet/logs.h"
#include "panel/fleet/state.h"

#define CALLS_MAX 32

/* --- the link -------------------------------------------------------------------------------- */

struct sent {
    Wire__Envelope *request;
    void (*done)(void *arg, Wire__Envelope **reply, const struct err *err);
    void *arg;
};

static struct sent calls[CALLS_MAX];
static size_t call_count;
static char a_link;

int link_create(const struct link_owner *owner, const char *node_id, struct link **ret_link,
                struct err *err)
{
    (void)owner;
    (void)node_id;
    (void)err;
    *ret_link = (struct link *)&a_link;
    return 0;
}

int link_dial(struct link *link, const char *address, const char *port, const struct link_tls *tls,
              struct err *err)
{
    (void)link;
    (void)address;
    (void)port;
    (void)tls;
    (void)err;
    return 0;
}

void link_hang_up(struct link *link)
{
    (void)link;
}

void link_silence(void) {}

unsigned link_lingering(void)
{
    return 0;
}

int link_call(struct link *link, Wire__Envelope *request, uint32_t timeout_ms,
              void (*done)(void *arg, Wire__Envelope **reply, const struct err *err), void *arg,
              struct err *err)
{
    uint8_t *data;
    size_t len;
    (void)link;
    assert_true(timeout_ms > 0);
    if (call_count == CALLS_MAX)
        return err_nomem(err);
    assert_int_equal(envelope_pack(request, &data, &len, err), 0);
    calls[call_count] = (struct sent){.done = done, .arg = arg};
    assert_int_equal(envelope_unpack(data, len, &calls[call_count].request, err), 0);
    call_count++;
    free(data);
    return 0;
}

static struct sent take_call(size_t at)
{
    struct sent call = calls[at];
    memmove(&calls[at], &calls[at + 1], (--call_count - at) * sizeof(call));
    return call;
}

static void end_call(struct sent call, Wire__Envelope *reply, const struct err *err)
{
    call.done(call.arg, &reply, err);
    envelope_free(call.request);
}

void link_destroy(struct link *link)
{
    struct err closed = {.code = ERR_OFFLINE};
    (void)link;
    while (call_count)
        end_call(take_call(0), NULL, &closed);
}

/* The only call of that kind. */
static struct sent expect_call(Wire__Envelope__BodyCase body)
{
    for (size_t i = 0; i < call_count; i++) {
        if (calls[i].request->body_case == body)
            return take_call(i);
    }
    fail_msg("no such call among %zu", call_count);
    abort();
}

static size_t count_calls(Wire__Envelope__BodyCase body)
{
    size_t count = 0;
    for (size_t i = 0; i < call_count; i++)
        count += calls[i].request->body_case == body;
    return count;
}

/* --- the fleet ------------------------------------------------------------------------------- */

static char folder[64];
static struct store *store;
static struct ca *ca;
static struct fleet fleet;
static struct fleet_node *node;
static struct fleet_instance *inst;
static unsigned wakes;
static unsigned releases;

static int set_up(void **state)
{
    (void)state;
    struct err err = {0};
    snprintf(folder, sizeof(folder), "/tmp/panel-logs-test.XXXXXX");
    assert_non_null(mkdtemp(folder));
    if (store_open(folder, NULL, &store, &err) < 0 ||
        ca_open(folder, store_identity(store)->panel_id, &ca, &err) < 0)
        fail_msg("%s", err.msg);
    fleet = (struct fleet){.store = store, .ca = ca, .settings = {.beat_ms = 5000}};
    fleet.dial_tail = &fleet.dial_queue;
    assert_int_equal(board_create(&fleet.board, &err), 0);
    mailbox_init(&fleet.inbox, NULL, NULL);
    struct node row = {
        .id = "n1", .address = "127.0.0.1", .port = "1", .agent_version = "", .docker_version = ""};
    node = node_add(&fleet, &row, &err);
    assert_non_null(node);
    node->link_state = LINK_UP;
    node->inventory_done = true;
    struct instance wanted = {.id = "i1",
                              .node_id = "n1",
                              .generation = 1,
                              .phase = PHASE_READY,
                              .observed = OBSERVED_RUNNING,
                              .container_id = "c1",
                              .error_code = "",
                              .error_message = ""};
    inst = instance_add(&fleet, &wanted, &err);
    assert_non_null(inst);
    wakes = releases = 0;
    return 0;
}

static void run_inbox(void)
{
    struct mail *mail = mailbox_take(&fleet.inbox, 0);
    while (mail) {
        struct task *task = (struct task *)mail;
        mail = mail->next;
        task->run(task);
    }
}

static int tear_down(void **state)
{
    (void)state;
    run_inbox();
    while (fleet.nodes)
        node_remove(fleet.nodes);
    assert_null(fleet.hubs);
    assert_null(fleet.timers.first);
    store_close(store);
    ca_close(ca);
    dial_fini(&fleet);
    mailbox_fini(&fleet.inbox);
    board_destroy(fleet.board);
    return fs_remove_tree(folder, NULL);
}

/* --- followers ------------------------------------------------------------------------------- */

static void wake(void *arg)
{
    (void)arg;
    wakes++;
}

static void release(void *arg)
{
    (void)arg;
    releases++;
}

static struct log_follower *follow(struct log_query query)
{
    struct live_listener listener = {wake, release, NULL};
    struct log_follower *follower = log_follower_create(&fleet, "i1", &query, &listener);
    assert_non_null(follower);
    log_follower_begin(follower);
    run_inbox();
    return follower;
}

static void leave(struct log_follower *follower)
{
    log_follower_leave(follower);
    run_inbox();
}

static void put_line(Wire__LogLine *line, Wire__LogPosition *at, uint64_t time_ns, const char *text)
{
    wire__log_line__init(line);
    wire__log_position__init(at);
    at->time_ns = time_ns;
    line->position = at;
    line->text.data = (uint8_t *)(uintptr_t)text;
    line->text.len = strlen(text);
}

/* Lines "from" to "to", whose times are their numbers. */
static void answer_history(unsigned from, unsigned to)
{
    static const char *const texts[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    Wire__LogLine lines[10];
    Wire__LogPosition at[10];
    Wire__LogLine *pointers[10];
    Wire__HistoryReply reply = WIRE__HISTORY_REPLY__INIT;
    Wire__Envelope envelope = WIRE__ENVELOPE__INIT;
    Wire__LogPosition end = WIRE__LOG_POSITION__INIT;
    for (unsigned i = from; i <= to; i++) {
        put_line(&lines[i], &at[i], i, texts[i]);
        pointers[reply.n_lines++] = &lines[i];
    }
    end.time_ns = to;
    reply.lines = pointers;
    reply.end = &end;
    envelope.body_case = WIRE__ENVELOPE__BODY_HISTORY_REPLY;
    envelope.history_reply = &reply;
    end_call(expect_call(WIRE__ENVELOPE__BODY_HISTORY), &envelope, NULL);
}

static void answer_watch(unsigned from, unsigned to, uint64_t number, uint64_t life)
{
    static const char *const texts[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    Wire__LogLine lines[10];
    Wire__LogPosition at[10];
    Wire__LogLine *pointers[10];
    Wire__LogNews news = WIRE__LOG_NEWS__INIT;
    Wire__LogNews *all = &news;
    Wire__WatchReply reply = WIRE__WATCH_REPLY__INIT;
    Wire__Envelope envelope = WIRE__ENVELOPE__INIT;
    for (unsigned i = from; i <= to; i++) {
        put_line(&lines[i], &at[i], i, texts[i]);
        pointers[news.n_lines++] = &lines[i];
    }
    news.instance_id = "i1";
    news.lines = pointers;
    news.number = number;
    news.life = life;
    reply.n_logs = 1;
    reply.logs = &all;
    envelope.body_case = WIRE__ENVELOPE__BODY_WATCH_REPLY;
    envelope.watch_reply = &reply;
    end_call(expect_call(WIRE__ENVELOPE__BODY_WATCH), &envelope, NULL);
}

static void pass_time(int64_t ms)
{
    timers_run(&fleet.timers, clock_mono_ms() + ms);
}

/* What it can take now: the lines' texts, "-N" for N lost, "." for the end. */
static void assert_takes(struct log_follower *follower, const char *wanted)
{
    auto_strbuf struct strbuf told = {0};
    strbuf_str(&told, "");
    for (;;) {
        struct shared *piece = NULL;
        uint64_t lost = 0;
        enum feed_taken taken = log_follower_take(follower, &piece, &lost);
        if (taken == FEED_NOTHING)
            break;
        if (taken == FEED_LOST)
            strbuf_fmt(&told, "-%llu", (unsigned long long)lost);
        if (taken == FEED_END) {
            strbuf_str(&told, ".");
            break;
        }
        if (!piece)
            continue;
        auto_strbuf struct strbuf text = {0};
        strbuf_add(&text, shared_data(piece), shared_len(piece));
        for (const char *at = text.data; (at = strstr(at, "\"line\":\"")) != NULL;) {
            at += 8;
            strbuf_add(&told, at, strcspn(at, "\""));
        }
        shared_unref(piece);
    }
    assert_string_equal(told.data, wanted);
}

/* --- tests ----------------------------------------------------------------------------------- */

static void test_the_past_and_then_what_comes(void **state)
{
    (void)state;
    struct log_follower *follower = follow((struct log_query){.lines_max = 3});
    assert_takes(follower, "");
    answer_history(1, 3);
    assert_takes(follower, "123");
    pass_time(10);
    answer_watch(4, 5, 0, 77);
    assert_takes(follower, "45");
    leave(follower);
    assert_int_equal(releases, 1);
}

static void test_what_is_told_twice_is_heard_once(void **state)
{
    (void)state;
    struct log_follower *follower = follow((struct log_query){.lines_max = 3});
    answer_history(1, 3);
    pass_time(10);
    answer_watch(3, 5, 0, 77); /* 3 is the history's */
    pass_time(10);
    answer_watch(4, 6, 1, 77);
    assert_takes(follower, "123456");
    leave(follower);
}

static void test_a_jump_in_the_numbers_is_a_loss(void **state)
{
    (void)state;
    struct log_follower *follower = follow((struct log_query){.lines_max = 3});
    answer_history(1, 1);
    pass_time(10);
    answer_watch(4, 5, 2, 77); /* 0 and 1 were dropped: 2 and 3 */
    pass_time(10);
    answer_watch(6, 6, 4, 77);
    pass_time(10);
    answer_watch(9, 9, 0, 78); /* another life of the agent's count */
    assert_takes(follower, "1-24569");
    leave(follower);
}

static void test_a_second_one_has_its_own_past_up_to_the_same_place(void **state)
{
    (void)state;
    struct log_follower *first = follow((struct log_query){.lines_max = 1});
    answer_history(3, 3);
    pass_time(10);
    answer_watch(4, 4, 0, 77);
    struct log_follower *second = follow((struct log_query){.lines_max = 2});
    struct sent asked = calls[0];
    for (size_t i = 0; i < call_count; i++) {
        if (calls[i].request->body_case == WIRE__ENVELOPE__BODY_HISTORY)
            asked = calls[i];
    }
    assert_true(asked.request->history->until && asked.request->history->until->time_ns == 4);
    pass_time(10);
    answer_watch(5, 5, 1, 77); /* before its past is known */
    assert_takes(second, "");
    answer_history(3, 4);
    assert_takes(second, "345");
    assert_takes(first, "345");
    leave(first);
    leave(second);
    assert_int_equal(releases, 2);
}

static void test_one_who_leaves_while_his_past_is_read(void **state)
{
    (void)state;
    struct log_follower *follower = follow((struct log_query){.lines_max = 3});
    struct log_follower *other = follow((struct log_query){.lines_max = 3});
    assert_int_equal(count_calls(WIRE__ENVELOPE__BODY_HISTORY), 1);
    leave(follower);
    assert_int_equal(releases, 0);
    answer_history(1, 3);
    assert_int_equal(releases, 1);
    answer_history(1, 3); /* the other one's turn */
    assert_takes(other, "123");
    leave(other);
    assert_int_equal(releases, 2);
}

static void test_a_node_that_fails_is_asked_again(void **state)
{
    (void)state;
    struct err offline = {.code = ERR_OFFLINE};
    struct log_follower *follower = follow((struct log_query){.lines_max = 3});
    end_call(expect_call(WIRE__ENVELOPE__BODY_HISTORY), NULL, &offline);
    assert_takes(follower, "");
    pass_time(2000);
    answer_history(1, 2);
    pass_time(10);
    end_call(expect_call(WIRE__ENVELOPE__BODY_WATCH), NULL, &offline);
    pass_time(2000);
    answer_watch(3, 3, 0, 77);
    assert_takes(follower, "123");
    leave(follower);
}

static void test_a_node_that_is_away_is_asked_when_it_is_back(void **state)
{
    (void)state;
    node->inventory_done = false;
    struct log_follower *follower = follow((struct log_query){.lines_max = 3});
    assert_int_equal(call_count, 0);
    node->inventory_done = true;
    logs_node_ready(node);
    answer_history(1, 1);
    assert_takes(follower, "1");
    leave(follower);
}

static void test_it_ends_with_the_instance(void **state)
{
    (void)state;
    struct log_follower *live = follow((struct log_query){.lines_max = 3});
    answer_history(1, 1);
    struct log_follower *asked = follow((struct log_query){.lines_max = 3});
    logs_instance_gone(inst);
    assert_takes(live, "1.");
    assert_takes(asked, ".");
    leave(asked);
    answer_history(1, 1);
    leave(live);
    assert_int_equal(releases, 2);
}

static void test_only_what_is_new(void **state)
{
    (void)state;
    struct log_follower *follower = follow((struct log_query){.lines_max = 1, .only_new = true});
    answer_history(3, 3);
    pass_time(10);
    answer_watch(4, 4, 0, 77);
    assert_takes(follower, "4");
    leave(follower);
}

static void test_without_a_container_nobody_is_ahead_of_now(void **state)
{
    (void)state;
    Wire__Failure failure = WIRE__FAILURE__INIT;
    Wire__Envelope envelope = WIRE__ENVELOPE__INIT;
    struct log_query later = {.after = {UINT64_MAX - 1, 0}};
    failure.code = "no_container";
    failure.message = "";
    envelope.body_case = WIRE__ENVELOPE__BODY_FAILURE;
    envelope.failure = &failure;
    struct log_follower *follower = follow(later);
    end_call(expect_call(WIRE__ENVELOPE__BODY_HISTORY), &envelope, NULL);
    pass_time(10);
    struct sent watch = expect_call(WIRE__ENVELOPE__BODY_WATCH);
    uint64_t place = watch.request->watch->logs[0]->after->time_ns;
    assert_true(place <= (uint64_t)clock_wall_ms() * 1000000u);
    envelope.body_case = WIRE__ENVELOPE__BODY_WATCH_REPLY;
    Wire__WatchReply nothing = WIRE__WATCH_REPLY__INIT;
    envelope.watch_reply = &nothing;
    end_call(watch, &envelope, NULL);
    leave(follower);
}

/* An agent would never tell of more, and they would wait in silence. */
static void test_of_too_many_at_one_node(void **state)
{
    (void)state;
    static struct log_follower *followers[NODE_LOGS_MAX];
    struct live_listener listener = {wake, release, NULL};
    struct log_query query = {.lines_max = 1};
    struct err err = {0};
    struct log_follower *last = NULL;
    for (unsigned i = 0; i <= NODE_LOGS_MAX; i++) {
        char id[16];
        snprintf(id, sizeof(id), "many%u", i);
        struct instance row = {.id = id,
                               .node_id = "n1",
                               .generation = 1,
                               .phase = PHASE_READY,
                               .observed = OBSERVED_RUNNING,
                               .container_id = "c1",
                               .error_code = "",
                               .error_message = ""};
        assert_non_null(instance_add(&fleet, &row, &err));
        last = log_follower_create(&fleet, id, &query, &listener);
        assert_non_null(last);
        log_follower_begin(last);
        run_inbox();
        if (i < NODE_LOGS_MAX) {
            followers[i] = last;
            assert_takes(last, "");
        }
    }
    assert_takes(last, ".");
    leave(last);
    leave(followers[0]);
    struct sent asked = expect_call(WIRE__ENVELOPE__BODY_HISTORY);
    end_call(asked, NULL, &(struct err){.code = ERR_OFFLINE});
    struct log_follower *next =
        log_follower_create(&fleet, "many256", &query, &listener); /* there is room again */
    log_follower_begin(next);
    run_inbox();
    assert_takes(next, "");
    leave(next);
    for (unsigned i = 1; i < NODE_LOGS_MAX; i++)
        leave(followers[i]);
}

static void test_of_nothing(void **state)
{
    (void)state;
    struct live_listener listener = {wake, release, NULL};
    struct log_query query = {0};
    struct log_follower *follower = log_follower_create(&fleet, "none", &query, &listener);
    log_follower_begin(follower);
    run_inbox();
    assert_int_equal(wakes, 1);
    assert_takes(follower, ".");
    leave(follower);
    assert_int_equal(releases, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_past_and_then_what_comes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_told_twice_is_heard_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_jump_in_the_numbers_is_a_loss, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_second_one_has_its_own_past_up_to_the_same_place,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_who_leaves_while_his_past_is_read, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_node_that_fails_is_asked_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_node_that_is_away_is_asked_when_it_is_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_it_ends_with_the_instance, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_only_what_is_new, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_a_container_nobody_is_ahead_of_now, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_of_too_many_at_one_node, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_of_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
