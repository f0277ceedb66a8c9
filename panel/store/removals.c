/* Orphans that a person wants removed: remembered until their node has nothing of them. */
#include "panel/store/internal.h"

int store_removal_add(struct store_tx *tx, const struct removal *removal, struct err *err)
{
    int known =
        store_exists(tx->db, "SELECT 1 FROM instances WHERE id = ?1", removal->instance_id, err);
    if (known != 0)
        return known < 0 ? -1 : store_no_such("orphan", "instanceId", removal->instance_id, err);
    struct stmt *stmt = db_stmt(tx->db,
                                "INSERT INTO removals(instance_id, node_id, generation)"
                                " VALUES(?1, ?2, ?3) ON CONFLICT(instance_id) DO UPDATE"
                                " SET generation = max(generation, excluded.generation)",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, removal->instance_id);
    db_bind_text(stmt, 2, removal->node_id);
    db_bind_int(stmt, 3, (int64_t)removal->generation);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

int store_removal_end(struct store_tx *tx, const char *instance_id, struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db, "DELETE FROM removals WHERE instance_id = ?1", err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, instance_id);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

int store_removal_scan(struct store *store, const char *instance_id, store_removal_fn fn, void *arg,
                       struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    struct stmt *stmt = NULL;
    if (db)
        stmt = db_stmt(db,
                       "SELECT instance_id, node_id, generation FROM removals"
                       " WHERE ?1 IS NULL OR instance_id = ?1",
                       err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, instance_id);
    int count = 0;
    int rc;
    while ((rc = db_step(stmt, err)) > 0) {
        struct removal removal = {db_text(stmt, 0), db_text(stmt, 1), (uint64_t)db_int(stmt, 2)};
        if (fn(&removal, arg, err) < 0) {
            rc = -1;
            break;
        }
        count++;
    }
    db_end(stmt);
    return rc < 0 ? -1 : count;
}
