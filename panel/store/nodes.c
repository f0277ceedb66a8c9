/* Nodes in the store, and the tokens by which agents join. */
#include "panel/store/internal.h"

#include <stdio.h>

#define COUNT    "(SELECT count(*) FROM instances i WHERE i.node_id = nodes.id AND i.observed IN "
#define STOPPING "(6, 9)"
#define STOPPED  "(1, 7, 10)"
_Static_assert(OBSERVED_STOPPING == 6 && OBSERVED_REMOVING == 9, "STOPPING says so");
_Static_assert(OBSERVED_ABSENT == 1 && OBSERVED_STOPPED == 7 && OBSERVED_REMOVED == 10,
               "STOPPED says so");

#define COLUMNS                                                                                    \
    "SELECT id, name, tags, ram, disk, processor, address, port, joined, created_at, last_seen,"   \
    " agent_version, docker_version, capacity_memory_mib, capacity_cpus, capacity_disk_mib,"       \
    " allocated_memory_mib, allocated_cpu_milli, instances, deleted, maintenance, auto_first,"     \
    " auto_last, memory_overcommit, cpu_overcommit, drained,"                                      \
    " iif(drained, " COUNT STOPPING "), 0), iif(drained, " COUNT STOPPED "), 0), seq FROM nodes "
#define COLUMN_SEQ 28

static int give_row(struct stmt *stmt, store_node_fn fn, void *arg, struct err *err)
{
    struct node node = {
        .id = db_text(stmt, 0),
        .name = db_text(stmt, 1),
        .tags = db_text(stmt, 2),
        .ram = db_text(stmt, 3),
        .disk = db_text(stmt, 4),
        .processor = db_text(stmt, 5),
        .address = db_text(stmt, 6),
        .port = db_text(stmt, 7),
        .joined = db_int(stmt, 8) != 0,
        .created_at = db_int(stmt, 9),
        .last_seen = db_int(stmt, 10),
        .agent_version = db_text(stmt, 11),
        .docker_version = db_text(stmt, 12),
        .capacity_memory_mib = (uint64_t)db_int(stmt, 13),
        .capacity_cpus = (uint32_t)db_int(stmt, 14),
        .capacity_disk_mib = (uint64_t)db_int(stmt, 15),
        .allocated_memory_mib = (uint64_t)db_int(stmt, 16),
        .allocated_cpu_milli = db_int(stmt, 17),
        .instances = (uint32_t)db_int(stmt, 18),
        .deleted = db_int(stmt, 19) != 0,
        .maintenance = db_int(stmt, 20) != 0,
        .auto_ports = {(uint16_t)db_int(stmt, 21), (uint16_t)db_int(stmt, 22)},
        .memory_overcommit_milli = (uint32_t)db_int(stmt, 23),
        .cpu_overcommit_milli = (uint32_t)db_int(stmt, 24),
        .drained = db_int(stmt, 25) != 0,
        .stopping = (uint32_t)db_int(stmt, 26),
        .stopped = (uint32_t)db_int(stmt, 27),
    };
    return fn(&node, arg, err);
}

uint64_t node_usable_mib(const struct node *node, double panels)
{
    if (node->memory_overcommit_milli)
        return node->capacity_memory_mib * node->memory_overcommit_milli / 1000;
    return (uint64_t)((double)node->capacity_memory_mib * panels);
}

uint64_t node_free_mib(const struct node *node, double panels)
{
    uint64_t usable = node_usable_mib(node, panels);
    return usable > node->allocated_memory_mib ? usable - node->allocated_memory_mib : 0;
}

static int get_row(struct db *db, const char *id, store_node_fn fn, void *arg, struct err *err)
{
    struct stmt *stmt = db ? db_stmt(db, COLUMNS "WHERE id = ?1 AND deleted = 0", err) : NULL;
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    int rc = db_step(stmt, err);
    if (rc > 0 && give_row(stmt, fn, arg, err) < 0)
        rc = -1;
    db_end(stmt);
    return rc;
}

int store_node_get(struct store *store, const char *id, store_node_fn fn, void *arg,
                   struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    return get_row(reader_db(reader), id, fn, arg, err);
}

int store_node_see(struct store_tx *tx, const char *id, store_node_fn fn, void *arg,
                   struct err *err)
{
    return get_row(tx->db, id, fn, arg, err);
}

int store_node_list(struct store *store, struct store_page *page, store_node_fn fn, void *arg,
                    struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    struct stmt *stmt =
        db ? db_stmt(db, COLUMNS "WHERE seq > ?1 AND deleted = 0 ORDER BY seq", err) : NULL;
    if (!stmt)
        return -1;
    db_bind_int(stmt, 1, page->after);
    page->next = 0;
    struct page_walk walk = {.page = page, .seq = COLUMN_SEQ};
    int rc;
    while ((rc = page_step(&walk, stmt, err)) > 0) {
        if (give_row(stmt, fn, arg, err) < 0) {
            rc = -1;
            break;
        }
    }
    db_end(stmt);
    return rc < 0 ? -1 : 0;
}

int store_node_scan(struct store *store, const char *id, store_node_fn fn, void *arg,
                    struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    struct stmt *stmt =
        db ? db_stmt(db, COLUMNS "WHERE ?1 IS NULL OR id = ?1 ORDER BY seq", err) : NULL;
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    int count = 0;
    int rc;
    while ((rc = db_step(stmt, err)) > 0) {
        count++;
        if (give_row(stmt, fn, arg, err) < 0) {
            rc = -1;
            break;
        }
    }
    db_end(stmt);
    return rc < 0 ? -1 : count;
}

/* Two agents can't listen at one place. A node that nobody joined (its token has expired, say)
 * takes no place yet. The node's own row is written already. */
static int check_place(struct store_tx *tx, const char *id, struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db,
                                "SELECT other.name, other.id FROM nodes AS own JOIN nodes AS other"
                                " ON other.address = own.address COLLATE NOCASE"
                                " AND other.port = own.port AND other.id <> own.id"
                                " WHERE own.id = ?1 AND other.deleted = 0 AND other.joined = 1",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    int rc = db_step(stmt, err);
    if (rc > 0)
        err_field(err, ERR_CONFLICT, "node_exists", "address",
                  "the node \"%.64s\" (%s) is at this address and port; delete it first, or choose "
                  "another port",
                  db_text(stmt, 0), db_text(stmt, 1));
    db_end(stmt);
    return rc == 0 ? 0 : -1;
}

static int write_join(struct store_tx *tx, const char *id, const uint8_t key[CRYPTO_HASH_BYTES],
                      int64_t expires_at, struct err *err)
{
    struct stmt *stmt =
        db_stmt(tx->db,
                "INSERT INTO node_joins(node_id, key, expires_at) VALUES(?1, ?2, ?3)"
                " ON CONFLICT(node_id) DO UPDATE SET key = ?2, expires_at = ?3,"
                " used_by = ''",
                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_blob(stmt, 2, key, CRYPTO_HASH_BYTES);
    db_bind_int(stmt, 3, expires_at);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

int store_node_create(struct store_tx *tx, const struct node *node,
                      const uint8_t join_key[CRYPTO_HASH_BYTES], int64_t join_expires_at,
                      struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db,
                                "INSERT INTO nodes(id, name, tags, ram, disk, processor, address,"
                                " port, created_at, auto_first, auto_last, memory_overcommit,"
                                " cpu_overcommit)"
                                " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
                                err);
    if (!stmt)
        return -1;
    const char *const texts[] = {node->id,   node->name,      node->tags,    node->ram,
                                 node->disk, node->processor, node->address, node->port};
    for (int i = 0; i < 8; i++)
        db_bind_text(stmt, i + 1, texts[i]);
    db_bind_int(stmt, 9, node->created_at ? node->created_at : tx->now);
    db_bind_int(stmt, 10, node->auto_ports.first);
    db_bind_int(stmt, 11, node->auto_ports.last);
    db_bind_int(stmt, 12, node->memory_overcommit_milli);
    db_bind_int(stmt, 13, node->cpu_overcommit_milli);
    if (db_run(stmt, err) < 0 || check_place(tx, node->id, err) < 0)
        return -1;
    tx_touch(tx, STORE_NODES);
    return write_join(tx, node->id, join_key, join_expires_at, err);
}

static int check_known(struct store_tx *tx, const char *id, struct err *err)
{
    return store_must_exist(tx->db, "SELECT 1 FROM nodes WHERE id = ?1 AND deleted = 0", "node",
                            "nodeId", id, err);
}

/* Before the node's own row is changed. */
static int change_drain(struct store_tx *tx, const char *id, int drain, struct err *err)
{
    int was = drain < 0 ? drain
                        : store_exists(tx->db, "SELECT 1 FROM nodes WHERE id = ?1 AND drained = 1",
                                       id, err);
    if (drain < 0 || was < 0)
        return drain < 0 ? 0 : -1;
    return was == drain ? 0 : instances_drain(tx, id, drain, err);
}

int store_node_change(struct store_tx *tx, const struct node_change *change, struct err *err)
{
    int drain = change->maintenance == 0 ? 0 : change->drain;
    int maintenance = drain > 0 ? 1 : change->maintenance;
    if (check_known(tx, change->id, err) < 0 || change_drain(tx, change->id, drain, err) < 0)
        return -1;
    struct stmt *stmt =
        db_stmt(tx->db,
                "UPDATE nodes SET name = coalesce(?2, name), tags = coalesce(?3, tags),"
                " ram = coalesce(?4, ram), disk = coalesce(?5, disk),"
                " processor = coalesce(?6, processor), address = coalesce(?7, address),"
                " port = coalesce(?8, port), maintenance = iif(?9 < 0, maintenance, ?9),"
                " auto_first = iif(?10 < 0, auto_first, ?10),"
                " auto_last = iif(?11 < 0, auto_last, ?11),"
                " memory_overcommit = iif(?12 < 0, memory_overcommit, ?12),"
                " cpu_overcommit = iif(?13 < 0, cpu_overcommit, ?13),"
                " drained = iif(?14 < 0, drained, ?14)"
                " WHERE id = ?1",
                err);
    if (!stmt)
        return -1;
    const char *const texts[] = {change->id,   change->name,      change->tags,    change->ram,
                                 change->disk, change->processor, change->address, change->port};
    for (int i = 0; i < 8; i++)
        db_bind_text(stmt, i + 1, texts[i]);
    db_bind_int(stmt, 9, maintenance);
    db_bind_int(stmt, 10, change->auto_first);
    db_bind_int(stmt, 11, change->auto_last);
    db_bind_int(stmt, 12, change->memory_overcommit);
    db_bind_int(stmt, 13, change->cpu_overcommit);
    db_bind_int(stmt, 14, drain);
    tx_touch(tx, STORE_NODES);
    if (db_run(stmt, err) < 0)
        return -1;
    return change->address || change->port ? check_place(tx, change->id, err) : 0;
}

int store_node_rejoin(struct store_tx *tx, const char *id,
                      const uint8_t join_key[CRYPTO_HASH_BYTES], int64_t join_expires_at,
                      struct err *err)
{
    if (check_known(tx, id, err) < 0)
        return -1;
    return write_join(tx, id, join_key, join_expires_at, err);
}

static int count_instances(struct store_tx *tx, const char *id, int64_t *ret, int64_t *ret_deleting,
                           struct err *err)
{
    struct stmt *stmt = db_stmt(
        tx->db,
        "SELECT instances, (SELECT count(*) FROM instances WHERE node_id = ?1 AND phase = ?2)"
        " FROM nodes WHERE id = ?1 AND deleted = 0",
        err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, PHASE_DELETING);
    int rc = db_step(stmt, err);
    if (rc > 0) {
        *ret = db_int(stmt, 0);
        *ret_deleting = db_int(stmt, 1);
    }
    db_end(stmt);
    return rc == 0 ? store_no_such("node", "nodeId", id, err) : rc;
}

static int delete_with_instances(struct store_tx *tx, const char *id, struct err *err)
{
    if (instances_bury(tx, INSTANCES_OF_NODE, id, err) < 0)
        return -1;
    return store_run_on(tx->db, "UPDATE nodes SET deleted = 1 WHERE id = ?1", id, err);
}

/* Those being deleted are in no list, so they have to be told apart. */
static int refuse_delete(int64_t instances, int64_t deleting, struct err *err)
{
    char going[64] = "";
    if (deleting == instances)
        snprintf(going, sizeof(going), ", still being deleted");
    else if (deleting)
        snprintf(going, sizeof(going), ", %lld of them still being deleted", (long long)deleting);
    return err_field(err, ERR_CONFLICT, "node_has_instances", "nodeId",
                     "the node still has %lld instance%s%s; %s, or send \"force\": true to delete "
                     "the node with what is on it",
                     (long long)instances, instances == 1 ? "" : "s", going,
                     deleting == instances ? "wait for that" : "delete them first");
}

int store_node_delete(struct store_tx *tx, const char *id, bool force, struct err *err)
{
    int64_t instances = 0;
    int64_t deleting = 0;
    if (count_instances(tx, id, &instances, &deleting, err) < 0)
        return -1;
    if (instances && !force)
        return refuse_delete(instances, deleting, err);
    tx_touch(tx, STORE_NODES);
    return instances ? delete_with_instances(tx, id, err)
                     : store_run_on(tx->db, "DELETE FROM nodes WHERE id = ?1", id, err);
}

int store_node_forget(struct store_tx *tx, const char *id, struct err *err)
{
    tx_touch(tx, STORE_NODES);
    return store_run_on(tx->db, "DELETE FROM nodes WHERE id = ?1 AND deleted = 1 AND instances = 0",
                        id, err);
}

int store_node_join_get(struct store *store, const char *node_id, struct node_join *ret_join,
                        struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    struct stmt *stmt = db ? db_stmt(db,
                                     "SELECT j.key, j.expires_at, j.used_by, n.address, n.port"
                                     " FROM node_joins j JOIN nodes n ON n.id = j.node_id"
                                     " WHERE j.node_id = ?1 AND n.deleted = 0",
                                     err)
                           : NULL;
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, node_id);
    int rc = db_step(stmt, err);
    if (rc > 0) {
        if (!db_blob(stmt, 0, ret_join->key, sizeof(ret_join->key)))
            rc = err_set(err, ERR_INTERNAL, "store_failed", "a join key has a wrong length");
        ret_join->expires_at = db_int(stmt, 1);
        snprintf(ret_join->used_by, sizeof(ret_join->used_by), "%s", db_text(stmt, 2));
        snprintf(ret_join->address, sizeof(ret_join->address), "%s", db_text(stmt, 3));
        snprintf(ret_join->port, sizeof(ret_join->port), "%s", db_text(stmt, 4));
    }
    db_end(stmt);
    return rc;
}

int store_node_join_use(struct store_tx *tx, const char *node_id, const char *request_digest,
                        struct err *err)
{
    if (store_must_exist(tx->db, "SELECT 1 FROM node_joins WHERE node_id = ?1", "node", "nodeId",
                         node_id, err) < 0)
        return -1;
    struct stmt *stmt = db_stmt(tx->db,
                                "UPDATE node_joins SET used_by = ?2"
                                " WHERE node_id = ?1 AND used_by IN ('', ?2)",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, node_id);
    db_bind_text(stmt, 2, request_digest);
    int changed = db_run(stmt, err);
    if (changed == 0)
        return err_set(err, ERR_CONFLICT, "token_used", "the join token was used already");
    tx_touch(tx, STORE_NODES);
    if (changed < 0 ||
        store_run_on(tx->db, "UPDATE nodes SET joined = 1 WHERE id = ?1", node_id, err) < 0)
        return -1;
    return check_place(tx, node_id, err); /* another may have joined there meanwhile */
}

int store_node_observe(struct store_tx *tx, const struct node_facts *facts, struct err *err)
{
    struct stmt *stmt =
        db_stmt(tx->db,
                "UPDATE nodes SET last_seen = max(last_seen, ?2),"
                " agent_version = ?3, docker_version = ?4,"
                " capacity_memory_mib = ?5, capacity_cpus = ?6,"
                " capacity_disk_mib = ?7, status = ifnull(?8, status) WHERE id = ?1",
                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, facts->id);
    db_bind_int(stmt, 2, facts->last_seen);
    db_bind_text(stmt, 3, facts->agent_version);
    db_bind_text(stmt, 4, facts->docker_version);
    db_bind_int(stmt, 5, (int64_t)facts->capacity_memory_mib);
    db_bind_int(stmt, 6, facts->capacity_cpus);
    db_bind_int(stmt, 7, (int64_t)facts->capacity_disk_mib);
    db_bind_text(stmt, 8, facts->status);
    tx_touch(tx, STORE_NODES);
    return db_run(stmt, err) < 0 ? -1 : 0;
}
