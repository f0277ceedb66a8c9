/* panel/store under torture: opening, each change, each read, backup and restore.
 *
 * A change that failed left nothing, and can be made once there is memory again; the one exception
 * is a COMMIT of unknown outcome, after which nothing more is written. */
#include "tests/torture/torture.h"

#include <semaphore.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/crypto.h"
#include "common/fs.h"
#include "common/log.h"
#include "common/strbuf.h"
#include "panel/pki/ca.h"
#include "panel/store/backup.h"
#include "panel/store/store.h"

static char root[64];
static char folder[96];
static char *sample; /* a database with one of each in it */
static size_t sample_len;
static struct store *store;

static char *in_folder(const char *name)
{
    char *path = fs_join(folder, name);
    assert_non_null(path);
    return path;
}

/* --- what a database holds, as one digest ---------------------------------------------------- */

static void add_rows(sqlite3 *db, const char *sql, struct strbuf *all)
{
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(stmt); i++) {
            const char *text = (const char *)sqlite3_column_text(stmt, i);
            strbuf_str(all, text ? text : "NULL");
            strbuf_char(all, '|');
        }
    }
    assert_int_equal(rc, SQLITE_DONE);
    sqlite3_finalize(stmt);
}

static void digest_of(const char *name, char out[CRYPTO_HEX_LEN + 1])
{
    static const char *const tables[] = {"SELECT * FROM api_keys",
                                         "SELECT hex(hash), * FROM secrets",
                                         "SELECT * FROM users",
                                         "SELECT * FROM nodes",
                                         "SELECT hex(key), * FROM node_joins",
                                         "SELECT * FROM images",
                                         "SELECT * FROM instances",
                                         "SELECT * FROM ports",
                                         "SELECT * FROM answers"};
    auto_free char *path = in_folder(name);
    auto_strbuf struct strbuf all = {0};
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    add_rows(db, "PRAGMA integrity_check", &all);
    assert_string_equal(all.data, "ok|");
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        add_rows(db, tables[i], &all);
    sqlite3_close(db);
    crypto_digest_hex(all.data, all.len, out);
}

/* --- a change, waited for -------------------------------------------------------------------- */

struct job {
    struct store_change change;
    int (*work)(struct store_tx *tx, struct err *err);
    struct err err;
    sem_t done;
};

static int job_apply(struct store_change *change, struct store_tx *tx, struct err *err)
{
    return ((struct job *)change)->work(tx, err);
}

static void job_done(struct store_change *change, const struct err *err)
{
    struct job *job = (struct job *)change;
    if (err)
        job->err = *err;
    sem_post(&job->done);
}

static int run(int (*work)(struct store_tx *, struct err *), struct err *err)
{
    struct job job = {.change = {.apply = job_apply, .done = job_done}, .work = work};
    sem_init(&job.done, 0, 0);
    if (store_submit(store, &job.change, err) < 0)
        return -1;
    sem_wait(&job.done);
    sem_destroy(&job.done);
    if (job.err.code)
        *err = job.err;
    return job.err.code ? -1 : 0;
}

/* --- the changes ----------------------------------------------------------------------------- */

static const char digest[CRYPTO_HEX_LEN + 1] = "d";

static int create_key(struct store_tx *tx, struct err *err)
{
    uint8_t hash[CRYPTO_HASH_BYTES] = {7};
    struct api_key key = {.name = "a key", .scopes_text = "admin", .rate_limit = -1};
    return store_key_create(tx, &key, hash, err);
}

static int change_key(struct store_tx *tx, struct err *err)
{
    const struct api_key_change to = {
        .id = "0123456789abcdef", .scopes_text = "users:read", .expires_at = -1, .rate_limit = 5};
    return store_key_change(tx, &to, err);
}

static int rotate_key(struct store_tx *tx, struct err *err)
{
    uint8_t hash[CRYPTO_HASH_BYTES] = {8};
    return store_key_rotate(tx, "0123456789abcdef", hash, INT64_MAX, err);
}

static int revoke_key(struct store_tx *tx, struct err *err)
{
    struct api_key key;
    return store_key_see(tx, "0123456789abcdef", &key, err) < 0
               ? -1
               : store_key_revoke(tx, key.revoked_at ? key.id : "first", (char[API_KEY_ID_SIZE]){0},
                                  err);
}

static int begin_session(struct store_tx *tx, struct err *err)
{
    uint8_t hash[CRYPTO_HASH_BYTES] = {9};
    struct api_key session = {
        .name = "s", .scopes_text = "admin", .user_id = "u1", .expires_at = INT64_MAX};
    return store_user_check_hash(tx, "u1", "hash", err) < 0 ||
                   store_session_create(tx, &session, hash, err) < 0
               ? -1
               : 0;
}

static int create_user(struct store_tx *tx, struct err *err)
{
    struct user user = {.id = "u2", .username = "Second", .email = "second@example.org"};
    return store_user_create(tx, &user, "hash", err);
}

static int create_node_named(const char *id, struct store_tx *tx, struct err *err)
{
    uint8_t key[CRYPTO_HASH_BYTES] = {1};
    struct node node = {.id = id,
                        .name = "n",
                        .tags = "",
                        .ram = "8",
                        .disk = "80",
                        .processor = "4",
                        .address = "127.0.0.1",
                        .port = "7000"};
    return store_node_create(tx, &node, key, INT64_MAX, err);
}

static int create_node(struct store_tx *tx, struct err *err)
{
    return create_node_named("n2", tx, err);
}

static int64_t seen_at = 1; /* no two observations are the same */

static int observe_node(struct store_tx *tx, struct err *err)
{
    struct node_facts facts = {.id = "n1",
                               .last_seen = seen_at++,
                               .agent_version = "2",
                               .docker_version = "3",
                               .capacity_memory_mib = 2000,
                               .capacity_cpus = 8};
    return store_node_observe(tx, &facts, err);
}

static int join_node(struct store_tx *tx, struct err *err)
{
    return store_node_join_use(tx, "n1", "request", err);
}

static int delete_node(struct store_tx *tx, struct err *err)
{
    return store_node_delete(tx, "n1", true, err);
}

static int create_image(struct store_tx *tx, struct err *err)
{
    struct image image = {.id = "t2", .name = "second", .body = "{\"Name\":\"second\"}"};
    return store_image_create(tx, &image, err);
}

static int delete_image(struct store_tx *tx, struct err *err)
{
    return store_image_delete(tx, "t1", err);
}

static int create_instance_named(const char *id, struct store_tx *tx, struct err *err)
{
    struct port_mapping ports[] = {{.container_port = 80, .tcp = true, .udp = true},
                                   {.container_port = 81, .tcp = true}};
    struct instance_new create = {.row = {.id = id,
                                          .name = id,
                                          .user_id = "u1",
                                          .node_id = "n1",
                                          .image = "busybox",
                                          .alt_images = "[]",
                                          .memory_mib = 100,
                                          .cpu_milli = 1000,
                                          .variables = "{}",
                                          .own_env = "{}",
                                          .stop_command = "",
                                          .mount_path = "/app/data"},
                                  .ports = ports,
                                  .port_count = 2,
                                  .memory_overcommit = 1.0,
                                  .auto_ports = {20000, 20009}};
    return store_instance_create(tx, &create, err);
}

static int create_instance(struct store_tx *tx, struct err *err)
{
    return create_instance_named("i2", tx, err);
}

static int suspend_instance(struct store_tx *tx, struct err *err)
{
    return store_instance_suspend(tx, "i1", true, err);
}

static int edit_instance(struct store_tx *tx, struct err *err)
{
    struct instance_edit edit = {.id = "i1",
                                 .name = "another",
                                 .user_id = "u1",
                                 .memory_mib = 65,
                                 .cpu_milli = 20,
                                 .memory_overcommit = 1.0};
    bool resized;
    return store_instance_edit(tx, &edit, &resized, err);
}

/* Ports, variables and environment, then all of it back. */
static int replace_instance(struct store_tx *tx, struct err *err)
{
    struct port_mapping port = {.container_port = 81, .tcp = true};
    json_t *given = json_object();
    struct instance_edit edit = {.id = "i1",
                                 .ports = &port,
                                 .port_count = 1,
                                 .variables = given,
                                 .own_env = given,
                                 .auto_ports = {21000, 21009},
                                 .memory_overcommit = 1.0};
    bool changed;
    int rc = given && json_object_set_new(given, "A", json_string("1")) == 0 ? 0 : err_nomem(err);
    if (rc == 0)
        rc = store_instance_edit(tx, &edit, &changed, err);
    if (rc == 0)
        rc = store_instance_undo(tx, "i1", 2, "start_failed", "no such command", err);
    json_decref(given);
    return rc;
}

static int drain_node(struct store_tx *tx, struct err *err)
{
    struct node_change change = {.id = "n1",
                                 .auto_first = -1,
                                 .auto_last = -1,
                                 .memory_overcommit = -1,
                                 .cpu_overcommit = -1,
                                 .maintenance = -1,
                                 .drain = 1};
    if (store_node_change(tx, &change, err) < 0)
        return -1;
    change.drain = 0;
    return store_node_change(tx, &change, err);
}

static int share_instance(struct store_tx *tx, struct err *err)
{
    return create_user(tx, err) < 0 || store_access_give(tx, "i1", "u2", err) < 0 ||
                   store_access_take(tx, "i1", "u2", err) < 0
               ? -1
               : 0;
}

static int retry_instance(struct store_tx *tx, struct err *err)
{
    return store_instance_retry(tx, "i1", err);
}

static int redeploy_instance(struct store_tx *tx, struct err *err)
{
    return store_instance_redeploy(tx, "i1", err);
}

static int choose_ports(struct store_tx *tx, struct err *err)
{
    return store_instance_choose_ports(tx, "i1", 1, &(struct port_range){20000, 20009}, err);
}

static int delete_instance(struct store_tx *tx, struct err *err)
{
    return store_instance_delete(tx, "i1", err);
}

static int forget_instance(struct store_tx *tx, struct err *err)
{
    return store_instance_delete(tx, "i1", err) < 0 ? -1 : store_instance_forget(tx, "i1", err);
}

static int observe_instance(struct store_tx *tx, struct err *err)
{
    struct instance_facts facts = {.id = "i1",
                                   .generation = 1,
                                   .phase = PHASE_FAILED,
                                   .observed = OBSERVED_STOPPED,
                                   .container_id = "c",
                                   .error_code = "image_not_found",
                                   .progress_percent = (uint32_t)seen_at++ % 100,
                                   .error_message = "no such image"};
    return store_instance_observe(tx, &facts, err);
}

static int save_answer_as(const char *key, struct store_tx *tx, struct err *err)
{
    struct answer answer = {.status = 201, .body = "{\"n\":1}", .waits_for = "i1"};
    return store_answer_save(tx, "scope", key, digest, &answer, err);
}

static int save_answer(struct store_tx *tx, struct err *err)
{
    struct answer found = {0};
    if (store_answer_find_tx(tx, "scope", "k1", digest, &found, err) != 1)
        return -1;
    free(found.body);
    return save_answer_as("k2", tx, err);
}

/* What is written before a refusal is undone, the refusal itself remembered. */
static int remember_refusal(struct store_tx *tx, struct err *err)
{
    if (create_user(tx, err) < 0 || store_tx_undo(tx, err) < 0)
        return -1;
    return save_answer_as("k3", tx, err);
}

static int one_of_each(struct store_tx *tx, struct err *err)
{
    struct user user = {.id = "u1", .username = "First", .email = "first@example.org"};
    struct image image = {.id = "t1", .name = "first", .body = "{\"Name\":\"first\"}"};
    struct api_key key = {
        .id = "0123456789abcdef", .name = "first", .scopes_text = "admin", .rate_limit = -1};
    uint8_t hash[CRYPTO_HASH_BYTES] = {1};
    return store_user_create(tx, &user, "hash", err) < 0 ||
                   store_image_create(tx, &image, err) < 0 ||
                   store_key_create(tx, &key, hash, err) < 0 ||
                   create_node_named("n1", tx, err) < 0 || observe_node(tx, err) < 0 ||
                   create_instance_named("i1", tx, err) < 0 || observe_instance(tx, err) < 0 ||
                   save_answer_as("k1", tx, err) < 0
               ? -1
               : 0;
}

/* --- a store for each round ------------------------------------------------------------------ */

static void open_store(void)
{
    struct err err = {0};
    if (store_open(folder, NULL, &store, &err) < 0)
        fail_msg("%s", err.msg);
}

static void empty_folder(void)
{
    assert_int_equal(fs_remove_tree(folder, NULL), 0);
    assert_int_equal(fs_make_dir(folder, 0700, NULL), 0);
}

static void put_sample(void)
{
    auto_free char *path = in_folder("panel.db");
    empty_folder();
    assert_int_equal(fs_write_atomic(path, sample, sample_len, 0600, NULL), 0);
}

static void open_sample(void)
{
    put_sample();
    open_store();
}

static int set_up(void **state)
{
    (void)state;
    torture_libraries();
    assert_int_equal(crypto_init(NULL), 0);
    log_level_set(LOG_ERROR + 1); /* what fails here is asked for */
    torture_folder(root);
    snprintf(folder, sizeof(folder), "%s/data", root);
    open_store();
    struct err err = {0};
    assert_int_equal(run(one_of_each, &err), 0);
    store_close(store);
    auto_free char *path = in_folder("panel.db");
    assert_int_equal(fs_read(path, 1 << 20, &sample, &sample_len, NULL), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(sample);
    return fs_remove_tree(root, NULL);
}

/* --- opening --------------------------------------------------------------------------------- */

static int open_and_close(struct err *err)
{
    struct store *opened = NULL;
    if (store_open(folder, NULL, &opened, err) < 0)
        return -1;
    store_close(opened);
    return 0;
}

static void opens_again(int rc)
{
    (void)rc;
    open_store();
    assert_int_equal(strlen(store_identity(store)->panel_id), 36);
    store_close(store);
}

static void test_opening(void **state)
{
    (void)state;
    torture(&(struct torture){"store new", empty_folder, open_and_close, opens_again});
    torture(&(struct torture){"store open", put_sample, open_and_close, opens_again});
}

/* --- changes --------------------------------------------------------------------------------- */

static int (*change)(struct store_tx *, struct err *);
static char before[CRYPTO_HEX_LEN + 1];
static struct err why;

static void prepare_change(void)
{
    open_sample();
    digest_of("panel.db", before);
}

static int make_change(struct err *err)
{
    int rc = run(change, err);
    why = rc < 0 ? *err : (struct err){0};
    return rc;
}

static void all_or_nothing(int rc)
{
    char now[CRYPTO_HEX_LEN + 1];
    struct err err = {0};
    if (strcmp(why.reason, "store_io") == 0) { /* outcome unknown, or the change's own */
        store_close(store);
        open_store();
        digest_of("panel.db", now);
        if (strcmp(now, before) != 0)
            rc = 0;
    }
    digest_of("panel.db", now);
    if (rc == 0)
        assert_string_not_equal(now, before);
    else
        assert_string_equal(now, before);
    if (rc < 0 && run(change, &err) < 0)
        fail_msg("after \"%s\" it can't be made any more: %s", why.msg, err.msg);
    store_close(store);
    digest_of("panel.db", now);
    assert_string_not_equal(now, before);
}

static void test_changes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int (*change)(struct store_tx *, struct err *);
    } all[] = {
        {"key create", create_key},
        {"key change", change_key},
        {"key rotate", rotate_key},
        {"key revoke", revoke_key},
        {"session begin", begin_session},
        {"user create", create_user},
        {"node create", create_node},
        {"node observe", observe_node},
        {"node join", join_node},
        {"node delete", delete_node},
        {"image create", create_image},
        {"image delete", delete_image},
        {"instance create", create_instance},
        {"instance suspend", suspend_instance},
        {"instance edit", edit_instance},
        {"instance replace", replace_instance},
        {"node drain", drain_node},
        {"instance share", share_instance},
        {"instance retry", retry_instance},
        {"instance redeploy", redeploy_instance},
        {"instance choose ports", choose_ports},
        {"instance delete", delete_instance},
        {"instance forget", forget_instance},
        {"instance observe", observe_instance},
        {"answer save", save_answer},
        {"refusal", remember_refusal},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        change = all[i].change;
        torture(&(struct torture){all[i].name, prepare_change, make_change, all_or_nothing});
    }
}

/* --- reads ----------------------------------------------------------------------------------- */

static size_t lengths; /* of every text, so that each is looked at */

static void look_at(const char *text)
{
    lengths += strlen(text);
}

static int see_user(const struct user *user, void *arg, struct err *err)
{
    (void)err;
    look_at(user->id);
    look_at(user->username);
    look_at(user->email);
    look_at(user->access_to);
    ++*(int *)arg;
    return 0;
}

static int see_node(const struct node *node, void *arg, struct err *err)
{
    (void)err;
    const char *const texts[] = {
        node->id,        node->name,    node->tags, node->ram,           node->disk,
        node->processor, node->address, node->port, node->agent_version, node->docker_version};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        look_at(texts[i]);
    ++*(int *)arg;
    return 0;
}

static int see_image(const struct image *image, void *arg, struct err *err)
{
    (void)err;
    look_at(image->id);
    look_at(image->name);
    look_at(image->body);
    ++*(int *)arg;
    return 0;
}

static int see_instance(const struct instance *row, void *arg, struct err *err)
{
    (void)err;
    const char *const texts[] = {
        row->id,         row->name,          row->user_id,      row->node_id,      row->image,
        row->ports,      row->env,           row->cmd,          row->variables,    row->alt_images,
        row->node_name,  row->node_port,     row->stop_command, row->container_id, row->error_code,
        row->mount_path, row->error_message, row->node_address};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        look_at(texts[i]);
    ++*(int *)arg;
    return 0;
}

static int see_key(const struct api_key *key, void *arg, struct err *err)
{
    (void)key;
    (void)err;
    ++*(int *)arg;
    return 0;
}

static int read_all(struct err *err)
{
    struct store_page page = {0};
    int count = 0;
    struct api_key key = {.id = ""};
    struct node_join join;
    struct answer answer;
    uint8_t hash[CRYPTO_HASH_BYTES] = {1};
    struct store_page keys = {0};
    struct user_login login;
    if (store_key_find(store, hash, &key, err) < 0 ||
        store_key_list(store, NULL, &keys, see_key, &count, err) < 0 ||
        store_user_login(store, LOGIN_BY_NAME, "FIRST", &login, err) < 0 ||
        store_access_right(store, "i1", "u1", err) < 0 ||
        store_user_get(store, USER_BY_USERNAME, "first", see_user, &count, err) < 0 ||
        store_user_list(store, &page, see_user, &count, err) < 0 ||
        store_node_get(store, "n1", see_node, &count, err) < 0 ||
        store_node_list(store, &page, see_node, &count, err) < 0 ||
        store_node_scan(store, NULL, see_node, &count, err) < 0 ||
        store_node_join_get(store, "n1", &join, err) < 0 ||
        store_image_list(store, &page, see_image, &count, err) < 0 ||
        store_image_find(store, "first", see_image, &count, err) < 0 ||
        store_instance_get(store, "i1", see_instance, &count, err) < 0 ||
        store_instance_list(store, "u1", &page, see_instance, &count, err) < 0 ||
        store_instance_list(store, NULL, &page, see_instance, &count, err) < 0 ||
        store_instance_scan(store, "n1", NULL, see_instance, &count, err) < 0 ||
        store_answer_find(store, "scope", "k1", digest, &answer, err) < 0)
        return -1;
    free(answer.body);
    if (count != 12 || strlen(key.id) != 16)
        return -1; /* half an answer that says it is whole */
    return 0;
}

static void reads_again(int rc)
{
    (void)rc;
    struct err err = {0};
    if (read_all(&err) < 0)
        fail_msg("can't be read any more: %s", err.msg);
    store_close(store);
}

static void test_reads(void **state)
{
    (void)state;
    torture(&(struct torture){"reads", open_sample, read_all, reads_again});
}

/* --- backup, restore ------------------------------------------------------------------------- */

static char *backup;
static char restored[96];

static void prepare_backup(void)
{
    struct ca *ca = NULL;
    struct err err = {0};
    put_sample();
    if (ca_open(folder, "panel", &ca, &err) < 0)
        fail_msg("%s", err.msg);
    ca_close(ca);
}

static int write_backup(struct err *err)
{
    return backup_write(folder, backup, true, err);
}

static void whole_or_none(int rc)
{
    char now[CRYPTO_HEX_LEN + 1];
    char was[CRYPTO_HEX_LEN + 1];
    auto_free char *part = in_folder("backup.part");
    assert_int_not_equal(access(part, F_OK), 0);
    if (access(backup, F_OK) != 0) {
        assert_int_equal(rc, -1);
        return;
    }
    digest_of("backup", now);
    digest_of("panel.db", was);
    assert_string_equal(now, was);
}

static void prepare_restore(void)
{
    fs_remove_tree(restored, NULL);
    assert_int_equal(fs_make_dir(restored, 0700, NULL), 0);
}

static int restore_backup(struct err *err)
{
    return backup_restore(restored, backup, false, err);
}

/* What was cut off is done by doing it again. */
static void restored_or_again(int rc)
{
    struct err err = {0};
    struct store *opened = NULL;
    struct ca *ca = NULL;
    auto_free char *database = fs_join(restored, "panel.db");
    auto_free char *half = fs_join(restored, "restoring.db");
    assert_int_not_equal(access(half, F_OK), 0);
    if (rc < 0 && access(database, F_OK) != 0 && backup_restore(restored, backup, false, &err) < 0)
        fail_msg("%s", err.msg);
    if (store_open(restored, NULL, &opened, &err) < 0 || ca_open(restored, "other", &ca, &err) < 0)
        fail_msg("%s", err.msg);
    ca_close(ca);
    store_close(opened);
}

static void test_backups(void **state)
{
    (void)state;
    struct err err = {0};
    backup = in_folder("backup");
    snprintf(restored, sizeof(restored), "%s/restored", root);
    torture(&(struct torture){"backup", prepare_backup, write_backup, whole_or_none});
    prepare_backup();
    assert_int_equal(write_backup(&err), 0);
    torture(&(struct torture){"restore", prepare_restore, restore_backup, restored_or_again});
    free(backup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opening),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_backups),
    };
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    torture_evidence("I1,I5", "the store, each change and read, backup, restore");
    return failed;
}
