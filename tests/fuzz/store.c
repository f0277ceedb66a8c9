/* See store.h. */
#include "tests/fuzz/store.h"

#include <string.h>

#include "common/clock.h"
#include "panel/auth/api_key.h"
#include "panel/store/internal.h"
#include "tests/fuzz/fuzz.h"

struct fuzz_store fuzz_store;

/* --- the writer ------------------------------------------------------------------------------ */

int writer_start(struct store *store, struct err *err)
{
    (void)store;
    (void)err;
    return 0;
}

void writer_stop(struct store *store)
{
    (void)store;
}

int store_tx_undo(struct store_tx *tx, struct err *err)
{
    return db_exec(tx->db, "ROLLBACK TO change", err);
}

static int run_change(struct store_tx *tx, struct store_change *change)
{
    struct err *err = &change->error;
    if (db_exec(tx->db, "BEGIN IMMEDIATE; SAVEPOINT change", err) < 0)
        return -1;
    int rc = change->apply(change, tx, err);
    /* who succeeds leaves no error: the store would take it for a failure */
    CHECK((rc == 0) == (err->code == ERR_NONE));
    CHECK(db_in_transaction(tx->db) || fuzz_store.fails);
    return rc;
}

int store_submit(struct store *store, struct store_change *change, struct err *err)
{
    struct store_tx tx = {.db = store->writer_db, .now = clock_wall_ms()};
    struct err io = {0};
    if (fuzz_store.fails && fuzz_store.fails("the queue"))
        return err_set(err, ERR_BUSY, "busy", "too much is waiting to be written");
    change->error = (struct err){0};
    fuzz_store.changes++;
    readers_let_go(store);
    int rc = run_change(&tx, change);
    fuzz_store.refused += rc < 0;
    if (rc == 0 && fuzz_store.keeping)
        rc = db_exec(tx.db, "RELEASE change; COMMIT", &io);
    else if (db_in_transaction(tx.db))
        (void)db_exec(tx.db, "ROLLBACK", &io);
    CHECK(!io.code || fuzz_store.fails);
    if (db_in_transaction(tx.db)) /* a commit that failed */
        CHECK(db_exec(tx.db, "ROLLBACK", NULL) == 0);
    if (rc < 0 && !change->error.code)
        change->error = io;
    bool committed = rc == 0 && fuzz_store.keeping;
    atomic_fetch_add(&store->commits, committed ? 1 : 0);
    for (unsigned i = 0; committed && i < STORE_TABLES; i++)
        atomic_fetch_add(&store->versions[i], tx.touched >> i & 1);
    struct err told = change->error;
    change->done(change, rc < 0 ? &told : NULL);
    return 0;
}

/* --- the rows -------------------------------------------------------------------------------- */

static int seed_instance(struct store_tx *tx, const char *id, uint16_t port,
                         enum instance_phase phase, struct err *err)
{
    struct port_mapping ports[] = {{80, port, true, true}};
    struct instance_new create = {
        .row = {.id = id,
                .name = "an instance",
                .user_id = "u1",
                .node_id = "n1",
                .image = "busybox",
                .alt_images = "[]",
                .memory_mib = 64,
                .cpu_milli = 500,
                .variables = "{}",
                .own_env = "{}",
                .stop_command = "",
                .mount_path = "/app/data",
                .created_at = 1},
        .ports = ports,
        .port_count = 1,
        .memory_overcommit = 1,
        .auto_ports = {20000, 20010},
    };
    struct instance_facts facts = {.id = id,
                                   .generation = 1,
                                   .phase = phase,
                                   .observed = OBSERVED_RUNNING,
                                   .container_id = "c1",
                                   .error_code = phase == PHASE_FAILED ? "no_such_image" : "",
                                   .error_message = phase == PHASE_FAILED ? "there is none" : ""};
    if (store_instance_create(tx, &create, err) < 0)
        return -1;
    return store_instance_observe(tx, &facts, err);
}

static int seed_node(struct store_tx *tx, const char *id, bool joins, struct err *err)
{
    struct node node = {.id = id,
                        .name = id,
                        .tags = "eu",
                        .ram = "8",
                        .disk = "80",
                        .processor = "4",
                        .address = "127.0.0.1",
                        .port = joins ? "7400" : "7401",
                        .created_at = 1};
    struct node_facts facts = {.id = id,
                               .last_seen = 1,
                               .agent_version = "0.1.0",
                               .docker_version = "20.10",
                               .capacity_memory_mib = 8192,
                               .capacity_cpus = 4,
                               .capacity_disk_mib = 81920};
    if (store_node_create(tx, &node, fuzz_store.join_key, clock_wall_ms() + 86400000, err) < 0)
        return -1;
    if (!joins)
        return 0;
    if (store_node_join_use(tx, id, "a digest", err) < 0)
        return -1;
    return store_node_observe(tx, &facts, err);
}

static int seed(struct store_change *change, struct store_tx *tx, struct err *err)
{
    (void)change;
    uint8_t hash[CRYPTO_HASH_BYTES];
    struct user user = {
        .id = "u1", .username = "ann", .email = "ann@example.com", .admin = true, .created_at = 1};
    struct user guest = {
        .id = "u2", .username = "a guest", .email = "guest@example.com", .created_at = 1};
    struct image plain = {"t1", "plain",
                          "{\"Id\":\"t1\",\"Name\":\"plain\",\"Image\":\"nginx\",\"AltImages\":[],"
                          "\"Cmd\":\"run $X\",\"Env\":[\"A=1\"],\"Variables\":{\"X\":{\"default\":"
                          "1.5},\"Y\":{\"required\":true}},\"Scripts\":{\"Install\":[]},"
                          "\"StopCommand\":\"stop\",\"Meta\":{}}"};
    api_key_digest(FUZZ_KEY, hash);
    struct api_key key = {.name = "fuzz", .scopes_text = "admin", .rate_limit = -1};
    struct api_key guests = {
        .name = "guest", .scopes_text = "admin", .user_id = "u2", .rate_limit = -1};
    if (store_key_create(tx, &key, hash, err) < 0 ||
        store_user_create(tx, &user, "$argon2id$x", err) < 0 ||
        seed_node(tx, "n1", true, err) < 0 || seed_node(tx, "n2", false, err) < 0 ||
        store_image_create(tx, &plain, err) < 0 ||
        seed_instance(tx, "i1", 8001, PHASE_READY, err) < 0 ||
        seed_instance(tx, "i2", 8002, PHASE_FAILED, err) < 0 ||
        seed_instance(tx, "i3", 0, /* chosen */ PHASE_INSTALLING, err) < 0 ||
        seed_instance(tx, "i4", 8004, PHASE_READY, err) < 0 ||
        seed_instance(tx, "i5", 8005, PHASE_READY, err) < 0 ||
        store_instance_suspend(tx, "i4", true, err) < 0 ||
        store_user_create(tx, &guest, "$argon2id$x", err) < 0 ||
        store_access_give(tx, "i4", "u2", err) < 0)
        return -1;
    api_key_digest(FUZZ_GUESTS_KEY, hash);
    if (store_key_create(tx, &guests, hash, err) < 0 || /* used just now, whenever that is */
        db_exec(tx->db, "UPDATE api_keys SET last_used_at = 1 << 60", err) < 0)
        return -1;
    return store_instance_delete(tx, "i5", err);
}

static void seeded(struct store_change *change, const struct err *err)
{
    (void)change;
    if (err)
        fuzz_broken(err->msg, __FILE__, __LINE__);
}

void fuzz_store_reset(void)
{
    struct store_change change = {.apply = seed, .done = seeded};
    bool keeping = fuzz_store.keeping;
    bool (*fails_then)(const char *) = fuzz_store.fails;
    readers_let_go(fuzz_store.store);
    fuzz_store.fails = NULL;
    CHECK(db_exec(fuzz_store.store->writer_db,
                  "BEGIN; DELETE FROM removals; DELETE FROM ports; DELETE FROM instances;"
                  " DELETE FROM node_joins; DELETE FROM nodes; DELETE FROM images;"
                  " DELETE FROM users; DELETE FROM api_keys; COMMIT",
                  NULL) == 0);
    fuzz_store.keeping = true;
    CHECK(store_submit(fuzz_store.store, &change, NULL) == 0);
    fuzz_store.keeping = keeping;
    fuzz_store.fails = fails_then;
}

void fuzz_store_open(void)
{
    struct err err = {0};
    const char *folder = fuzz_folder();
    memset(fuzz_store.join_key, 7, sizeof(fuzz_store.join_key));
    CHECK(store_open(folder, NULL, &fuzz_store.store, &err) == 0);
    CHECK(ca_open(folder, store_identity(fuzz_store.store)->panel_id, &fuzz_store.ca, &err) == 0);
    fuzz_store_reset();
}
