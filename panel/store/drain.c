/* The instances of a node that is drained. Their own wish stays in the row as it is; whether they
 * are to run follows from it and from the node's drain. Here it becomes a new generation, so that a
 * late message of before is refused by the node. */
#include "common/failpoint.h"
#include "panel/store/internal.h"

/* Those that nothing else keeps down: ?2 is now. */
#define CHANGE    "UPDATE instances SET generation = generation + 1, phase_since = ?2, updated_at = ?2"
#define WANTED_UP " WHERE node_id = ?1 AND phase <> 3 AND suspended = 0 AND power = 0"
_Static_assert(PHASE_DELETING == 3 && POWER_ON == 0, "WANTED_UP says so");
#define STAYS_FAILED "phase = ?3 AND error_code <> ?6"

static struct stmt *begin(struct db *db, struct err *err)
{
    return db_stmt(db, CHANGE WANTED_UP, err);
}

/* What had not come up before is installed once more, so that this has an end. FAILED stays so,
 * with its reason, unless it is for what the drain itself asked for; a crash of before the drain is
 * over. */
static struct stmt *end(struct db *db, struct err *err)
{
    struct stmt *stmt =
        db_stmt(db,
                CHANGE ", phase = CASE WHEN " STAYS_FAILED " THEN ?3"
                       " WHEN phase = ?4 OR container_id = '' OR reinstalling THEN ?4"
                       " ELSE ?5 END,"
                       " error_message = iif(" STAYS_FAILED ", error_message, ''),"
                       " error_code = iif(" STAYS_FAILED ", error_code, '')" WANTED_UP,
                err);
    if (!stmt)
        return NULL;
    db_bind_int(stmt, 3, PHASE_FAILED);
    db_bind_int(stmt, 4, PHASE_INSTALLING);
    db_bind_int(stmt, 5, PHASE_READY);
    db_bind_text(stmt, 6, WORD_STOP_TIMEOUT);
    return stmt;
}

int instances_drain(struct store_tx *tx, const char *node_id, bool down, struct err *err)
{
    struct stmt *stmt = down ? begin(tx->db, err) : end(tx->db, err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, node_id);
    db_bind_int(stmt, 2, tx->now);
    tx_touch(tx, STORE_INSTANCES);
    int changed = db_run(stmt, err);
    (void)FAILPOINT("panel.drain.written");
    return changed < 0 ? -1 : 0;
}
