/* The store against a real SQLite file: commits, refusals, the rules of placing, idempotency. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "common/auto.h"
#include "common/crypto.h"
#include "common/fs.h"
#include "panel/store/store.h"

static char folder[64];
static struct store *store;

static void open_store(void)
{
    struct err err = {0};
    if (store_open(folder, NULL, &store, &err) < 0)
        fail_msg("%s", err.msg);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/panel-store-test.XXXXXX");
    assert_non_null(mkdtemp(folder));
    open_store();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_close(store);
    return fs_remove_tree(folder, NULL);
}

/* --- a change, waited for -------------------------------------------------------------------- */

struct job {
    struct store_change change;
    int (*work)(struct store_tx *tx, void *arg, struct err *err);
    void *arg;
    struct err err;
    sem_t done;
};

static int job_apply(struct store_change *change, struct store_tx *tx, struct err *err)
{
    struct job *job = (struct job *)change;
    return job->work(tx, job->arg, err);
}

static void job_done(struct store_change *change, const struct err *err)
{
    struct job *job = (struct job *)change;
    if (err)
        job->err = *err;
    sem_post(&job->done);
}

static void job_start(struct job *job, int (*work)(struct store_tx *, void *, struct err *),
                      void *arg)
{
    *job = (struct job){.change = {.apply = job_apply, .done = job_done}, .work = work, .arg = arg};
    sem_init(&job->done, 0, 0);
    assert_int_equal(store_submit(store, &job->change, &job->err), 0);
}

static struct err job_wait(struct job *job)
{
    sem_wait(&job->done);
    sem_destroy(&job->done);
    return job->err;
}

static struct err run(int (*work)(struct store_tx *, void *, struct err *), void *arg)
{
    struct job job;
    job_start(&job, work, arg);
    return job_wait(&job);
}

/* --- things to store ------------------------------------------------------------------------- */

static int make_user(struct store_tx *tx, void *arg, struct err *err)
{
    return store_user_create(tx, arg, "hash", err);
}

static int make_node(struct store_tx *tx, void *arg, struct err *err)
{
    uint8_t key[CRYPTO_HASH_BYTES] = {1};
    struct node_facts facts = {.id = arg,
                               .agent_version = "1",
                               .docker_version = "1",
                               .capacity_memory_mib = 1000,
                               .capacity_cpus = 2};
    struct node node = {.id = arg,
                        .name = "n",
                        .tags = "",
                        .ram = "",
                        .disk = "",
                        .processor = "",
                        .address = "127.0.0.1",
                        .port = "7000"};
    if (store_node_create(tx, &node, key, INT64_MAX, err) < 0)
        return -1;
    return store_node_observe(tx, &facts, err);
}

static int make_instance(struct store_tx *tx, void *arg, struct err *err)
{
    return store_instance_create(tx, arg, err);
}

static struct instance_new new_instance(const char *id, const struct port_mapping *port)
{
    return (struct instance_new){
        .row = {.id = id,
                .name = id,
                .user_id = "u",
                .node_id = "node",
                .image = "i",
                .alt_images = "[]",
                .memory_mib = 100,
                .cpu_milli = 1000,
                .template =
                    "{\"Env\":[\"A={{PRIMARY_PORT}}\"],\"Cmd\":[\"x\",\"{{ PRIMARY_PORT }}\"]}",
                .variables = "{}",
                .own_env = "{}",
                .stop_command = "",
                .mount_path = "/app/data"},
        .ports = port,
        .port_count = 1,
        .memory_overcommit = 1.0,
        .auto_ports = {20000, 20002},
    };
}

static void make_world(void)
{
    struct user user = {.id = "u", .username = "User", .email = "u@example.org"};
    assert_int_equal(run(make_user, &user).code, 0);
    assert_int_equal(run(make_node, "node").code, 0);
}

static int keep_text(const struct instance *instance, void *arg, struct err *err)
{
    (void)err;
    snprintf(arg, 64, "%s", instance->ports);
    return 0;
}

static int count_instance(const struct instance *instance, void *arg, struct err *err)
{
    (void)instance;
    (void)err;
    ++*(int *)arg;
    return 0;
}

static int ignore_user(const struct user *user, void *arg, struct err *err)
{
    (void)user;
    (void)arg;
    (void)err;
    return 0;
}

/* --- tests ----------------------------------------------------------------------------------- */

static void test_identity_survives_and_epoch_rises(void **state)
{
    (void)state;
    struct store_identity first = *store_identity(store);
    store_close(store);
    open_store();
    assert_string_equal(store_identity(store)->panel_id, first.panel_id);
    assert_true(store_identity(store)->epoch > first.epoch);
}

static void test_users_are_unique_without_case(void **state)
{
    (void)state;
    struct user a = {.id = "1", .username = "Robin", .email = "Robin@example.org"};
    struct user b = {.id = "2", .username = "other", .email = "ROBIN@EXAMPLE.ORG"};
    assert_int_equal(run(make_user, &a).code, 0);
    struct err err = run(make_user, &b);
    assert_int_equal(err.code, ERR_CONFLICT);
    assert_string_equal(err.field, "email");
    assert_int_equal(
        store_user_get(store, USER_BY_EMAIL, "robin@EXAMPLE.org", ignore_user, NULL, &err), 1);
    assert_int_equal(store_user_get(store, USER_BY_ID, "2", ignore_user, NULL, &err), 0);
}

static void test_many_changes_at_once_are_all_kept(void **state)
{
    (void)state;
    enum { MANY = 500 };
    static struct job jobs[MANY];
    static struct user users[MANY];
    static char names[MANY][32];
    static char mails[MANY][48];
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), "user%d", i / 2); /* each twice */
        snprintf(mails[i], sizeof(mails[i]), "%s@example.org", names[i]);
        users[i] = (struct user){.id = mails[i], .username = names[i], .email = mails[i]};
        job_start(&jobs[i], make_user, &users[i]);
    }
    int refused = 0;
    for (int i = 0; i < MANY; i++)
        refused += job_wait(&jobs[i]).code == ERR_CONFLICT;
    assert_int_equal(refused, MANY / 2);
    struct err err;
    for (int i = 0; i < MANY; i++)
        assert_int_equal(store_user_get(store, USER_BY_USERNAME, names[i], ignore_user, NULL, &err),
                         1);
}

static void test_a_host_port_has_one_owner(void **state)
{
    (void)state;
    make_world();
    struct port_mapping port = {.container_port = 80, .host_port = 8000, .tcp = true, .udp = true};
    struct instance_new a = new_instance("aaaaaaaa", &port);
    struct instance_new b = new_instance("bbbbbbbb", &port);
    assert_int_equal(run(make_instance, &a).code, 0);
    struct err err = run(make_instance, &b);
    assert_string_equal(err.reason, "port_taken");
    assert_non_null(strstr(err.msg, "8000"));
    assert_non_null(strstr(err.msg, "aaaaaaaa"));
    int count = 0;
    struct store_page page = {0};
    assert_int_equal(store_instance_list(store, NULL, &page, count_instance, &count, &err), 0);
    assert_int_equal(count, 1);
}

static void test_auto_ports_are_picked_until_none_is_left(void **state)
{
    (void)state;
    make_world();
    struct port_mapping port = {.container_port = 80, .tcp = true};
    const char *ids[] = {"aaaaaaaa", "bbbbbbbb", "cccccccc", "dddddddd"};
    struct err err;
    for (int i = 0; i < 3; i++) {
        char ports[64];
        char want[64];
        struct instance_new new = new_instance(ids[i], &port);
        assert_int_equal(run(make_instance, &new).code, 0);
        assert_int_equal(store_instance_get(store, ids[i], keep_text, ports, &err), 1);
        snprintf(want, sizeof(want), "80:%d/tcp", 20000 + i);
        assert_string_equal(ports, want);
    }
    struct instance_new last = new_instance(ids[3], &port);
    assert_string_equal(run(make_instance, &last).reason, "no_free_port");
}

static int choose_ports(struct store_tx *tx, void *arg, struct err *err)
{
    const struct instance *row = arg;
    return store_instance_choose_ports(tx, row->id, row->generation,
                                       &(struct port_range){20000, 20002}, err);
}

struct chosen {
    char ports[64], env[160], cmd[64];
    unsigned primary, choices;
    uint64_t generation;
};

static int keep_chosen(const struct instance *row, void *arg, struct err *err)
{
    (void)err;
    struct chosen *chosen = arg;
    snprintf(chosen->ports, sizeof(chosen->ports), "%s", row->ports);
    snprintf(chosen->env, sizeof(chosen->env), "%s", row->env);
    snprintf(chosen->cmd, sizeof(chosen->cmd), "%s", row->cmd);
    chosen->primary = row->primary_port;
    chosen->choices = row->port_choices;
    chosen->generation = row->generation;
    return 0;
}

static struct chosen look_at(const char *id)
{
    struct err err;
    struct chosen chosen;
    assert_int_equal(store_instance_get(store, id, keep_chosen, &chosen, &err), 1);
    return chosen;
}

static int observe_port_in_use(struct store_tx *tx, void *arg, struct err *err)
{
    const struct instance *row = arg;
    struct instance_facts facts = {.id = row->id,
                                   .generation = row->generation,
                                   .phase = PHASE_FAILED,
                                   .observed = OBSERVED_FAILED,
                                   .container_id = "",
                                   .error_code = WORD_PORT_IN_USE,
                                   .error_message = "something else has it"};
    return store_instance_observe(tx, &facts, err);
}

static int retry(struct store_tx *tx, void *arg, struct err *err)
{
    return store_instance_retry(tx, ((const struct instance *)arg)->id, err);
}

static void test_other_ports_are_chosen_and_named_ones_stay(void **state)
{
    (void)state;
    make_world();
    struct port_mapping ports[] = {{.container_port = 80, .tcp = true, .udp = true},
                                   {.container_port = 81, .host_port = 8000, .tcp = true}};
    struct instance_new new = new_instance("aaaaaaaa", ports);
    new.port_count = 2;
    assert_int_equal(run(make_instance, &new).code, 0);
    struct instance_new other =
        new_instance("bbbbbbbb", &(struct port_mapping){80, 20001, true, 0});
    assert_int_equal(run(make_instance, &other).code, 0);

    struct instance row = {.id = "aaaaaaaa", .generation = 1};
    assert_int_equal(run(choose_ports, &row).code, 0);
    struct chosen chosen = look_at(row.id);
    assert_string_equal(chosen.ports, "80:20002,81:8000/tcp");
    assert_string_equal(chosen.env, "[\"A=20002\",\"PRIMARY_PORT=20002\",\"INSTANCE_ID=aaaaaaaa\","
                                    "\"INSTANCE_NAME=aaaaaaaa\",\"MEMORY_MIB=100\"]");
    assert_string_equal(chosen.cmd, "[\"x\",\"20002\"]");
    assert_int_equal(chosen.primary, 20002);
    assert_int_equal(chosen.generation, 2);

    assert_int_equal(run(choose_ports, &row).code, 0); /* the wish was changed: not this one's */
    assert_int_equal(look_at(row.id).generation, 2);

    row.generation = 2; /* after the last comes the first, which was let go */
    assert_int_equal(run(choose_ports, &row).code, 0);
    assert_string_equal(look_at(row.id).ports, "80:20000,81:8000/tcp");
    while (look_at(row.id).choices) {
        row.generation++;
        assert_int_equal(run(choose_ports, &row).code, 0);
    }
    assert_int_equal(look_at(row.id).generation, 6);
    row.generation = 6;
    assert_int_equal(run(choose_ports, &row).code, 0);
    assert_int_equal(look_at(row.id).generation, 6);

    assert_int_equal(run(observe_port_in_use, &row).code, 0);
    assert_int_equal(run(retry, &row).code, 0); /* who asks again may be given others again */
    assert_int_not_equal(look_at(row.id).choices, 0);
}

static int observe_ready(struct store_tx *tx, void *arg, struct err *err)
{
    struct instance_facts facts = {.id = arg,
                                   .generation = 1,
                                   .phase = PHASE_READY,
                                   .observed = OBSERVED_RUNNING,
                                   .container_id = "c",
                                   .error_code = "",
                                   .error_message = ""};
    return store_instance_observe(tx, &facts, err);
}

static int observe_suspended(struct store_tx *tx, void *arg, struct err *err)
{
    struct instance_facts facts = {.id = arg,
                                   .generation = 1,
                                   .phase = PHASE_READY,
                                   .observed = OBSERVED_ABSENT,
                                   .container_id = "",
                                   .error_code = "",
                                   .error_message = ""};
    return store_instance_observe(tx, &facts, err);
}

static void test_ports_that_were_named_or_have_worked_are_kept(void **state)
{
    (void)state;
    make_world();
    struct port_mapping named = {.container_port = 80, .host_port = 8000, .tcp = true};
    struct port_mapping open = {.container_port = 80, .tcp = true};
    struct instance_new a = new_instance("aaaaaaaa", &named);
    struct instance_new b = new_instance("bbbbbbbb", &open);
    assert_int_equal(run(make_instance, &a).code, 0);
    assert_int_equal(run(make_instance, &b).code, 0);
    assert_int_equal(look_at("aaaaaaaa").choices, 0);
    assert_int_not_equal(look_at("bbbbbbbb").choices, 0);
    assert_int_equal(run(observe_suspended, "bbbbbbbb").code, 0); /* before it ever ran */
    assert_int_not_equal(look_at("bbbbbbbb").choices, 0);
    assert_int_equal(run(observe_ready, "bbbbbbbb").code, 0);
    assert_int_equal(look_at("bbbbbbbb").choices, 0);
}

static void test_memory_is_not_promised_twice(void **state)
{
    (void)state;
    make_world();
    struct port_mapping port = {.container_port = 80, .tcp = true};
    struct instance_new a = new_instance("aaaaaaaa", &port);
    struct instance_new b = new_instance("bbbbbbbb", &port);
    a.row.memory_mib = 900;
    b.row.memory_mib = 101;
    assert_int_equal(run(make_instance, &a).code, 0);
    struct err err = run(make_instance, &b);
    assert_string_equal(err.reason, "insufficient_memory");
    assert_non_null(strstr(err.msg, "100 MiB left"));
    b.memory_overcommit = 2.0;
    assert_int_equal(run(make_instance, &b).code, 0);
}

static int delete_instance(struct store_tx *tx, void *arg, struct err *err)
{
    return store_instance_delete(tx, arg, err);
}

static int forget_instance(struct store_tx *tx, void *arg, struct err *err)
{
    return store_instance_forget(tx, arg, err);
}

static int keep_phase(const struct instance *instance, void *arg, struct err *err)
{
    (void)err;
    *(enum instance_phase *)arg = instance->phase;
    return 0;
}

static void test_a_late_observation_cannot_undo_a_delete(void **state)
{
    (void)state;
    make_world();
    enum instance_phase phase = PHASE_READY;
    struct err err;
    struct port_mapping port = {.container_port = 80, .host_port = 8000, .tcp = true};
    struct instance_new a = new_instance("aaaaaaaa", &port);
    struct instance_new b = new_instance("bbbbbbbb", &port);
    assert_int_equal(run(make_instance, &a).code, 0);
    assert_int_equal(run(delete_instance, "aaaaaaaa").code, 0);
    assert_int_equal(run(observe_ready, "aaaaaaaa").code, 0);
    assert_int_equal(store_instance_scan(store, NULL, "aaaaaaaa", keep_phase, &phase, &err), 1);
    assert_int_equal(phase, PHASE_DELETING);
    assert_int_equal(store_instance_get(store, "aaaaaaaa", keep_phase, &phase, &err), 0);
    /* its port is held until nothing is left of it */
    assert_string_equal(run(make_instance, &b).reason, "port_taken");
    assert_int_equal(run(forget_instance, "aaaaaaaa").code, 0);
    assert_int_equal(run(make_instance, &b).code, 0);
    assert_string_equal(run(delete_instance, "aaaaaaaa").reason, "instance_not_found");
}

static int save_answer(struct store_tx *tx, void *arg, struct err *err)
{
    struct answer answer = {.status = 201, .body = "{\"n\":1}"};
    return store_answer_save(tx, "key", "k1", arg, &answer, err);
}

static void test_first_answers_are_kept_over_a_restart(void **state)
{
    (void)state;
    char digest[CRYPTO_HEX_LEN + 1];
    char other[CRYPTO_HEX_LEN + 1];
    struct answer answer;
    struct err err;
    crypto_digest_hex("a", 1, digest);
    crypto_digest_hex("b", 1, other);
    assert_int_equal(store_answer_find(store, "key", "k1", digest, &answer, &err), 0);
    assert_int_equal(run(save_answer, digest).code, 0);
    store_close(store);
    open_store();
    assert_int_equal(store_answer_find(store, "key", "k1", digest, &answer, &err), 1);
    assert_int_equal(answer.status, 201);
    assert_string_equal(answer.body, "{\"n\":1}");
    free(answer.body);
    assert_int_equal(store_answer_find(store, "key", "k1", other, &answer, &err), -1);
    assert_string_equal(err.reason, "idempotency_key_reused");
    assert_int_equal(store_answer_find(store, "other", "k1", digest, &answer, &err), 0);
}

static int fail_after_writing(struct store_tx *tx, void *arg, struct err *err)
{
    if (store_user_create(tx, arg, "hash", err) < 0)
        return -1;
    return err_set(err, ERR_INVALID, "changed_my_mind", "no");
}

static void test_a_refused_change_leaves_nothing(void **state)
{
    (void)state;
    struct user user = {.id = "x", .username = "x", .email = "x@example.org"};
    struct err err = run(fail_after_writing, &user);
    assert_string_equal(err.reason, "changed_my_mind");
    assert_int_equal(store_user_get(store, USER_BY_ID, "x", ignore_user, NULL, &err), 0);
    assert_int_equal(run(make_user, &user).code, 0);
}

static void test_versions_rise_with_commits_only(void **state)
{
    (void)state;
    uint64_t users = store_version(store, STORE_USERS);
    uint64_t images = store_version(store, STORE_IMAGES);
    struct user user = {.id = "x", .username = "x", .email = "x@example.org"};
    assert_int_equal(run(make_user, &user).code, 0);
    assert_true(store_version(store, STORE_USERS) > users);
    assert_true(store_version(store, STORE_IMAGES) == images);
}

static int make_big_user(struct store_tx *tx, void *arg, struct err *err)
{
    auto_free char *name = calloc(1, 256 * 1024);
    assert_non_null(name);
    memset(name, 'x', 256 * 1024 - 1);
    struct user user = {.id = arg, .username = name, .email = arg};
    return store_user_create(tx, &user, "hash", err);
}

/* The disk lets the log grow no more: not by SQLITE_FULL, which rolls back, but by an error. */
static void test_nothing_is_written_after_a_commit_that_failed(void **state)
{
    (void)state;
    struct rlimit before;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit small = {.rlim_cur = 4096, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct err failed = run(make_big_user, "u1");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_string_equal(failed.reason, "store_io");
    struct user user = {.id = "u2", .username = "u2", .email = "u2@x.y"};
    assert_string_equal(run(make_user, &user).reason, "store_io");
}

static void test_a_foreign_database_is_refused(void **state)
{
    (void)state;
    char path[96];
    struct store *other;
    struct err err = {0};
    store_close(store);
    store = NULL;
    snprintf(path, sizeof(path), "%s/panel.db", folder);
    assert_int_equal(
        fs_write_atomic(path, "not a database at all, but long enough", 38, 0600, &err), 0);
    assert_int_equal(store_open(folder, NULL, &other, &err), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_identity_survives_and_epoch_rises),
        TEST(test_users_are_unique_without_case),
        TEST(test_many_changes_at_once_are_all_kept),
        TEST(test_a_host_port_has_one_owner),
        TEST(test_auto_ports_are_picked_until_none_is_left),
        TEST(test_other_ports_are_chosen_and_named_ones_stay),
        TEST(test_ports_that_were_named_or_have_worked_are_kept),
        TEST(test_memory_is_not_promised_twice),
        TEST(test_a_late_observation_cannot_undo_a_delete),
        TEST(test_first_answers_are_kept_over_a_restart),
        TEST(test_a_refused_change_leaves_nothing),
        TEST(test_versions_rise_with_commits_only),
        TEST(test_nothing_is_written_after_a_commit_that_failed),
        TEST(test_a_foreign_database_is_refused),
    };
    if (crypto_init(NULL) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
