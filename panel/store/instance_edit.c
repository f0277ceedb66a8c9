/* Another name, owner or size for an instance that is there. */
#include "common/failpoint.h"
#include "panel/store/internal.h"

int store_instance_edit(struct store_tx *tx, const struct instance_edit *edit, struct err *err)
{
    if (instance_check_living(tx, edit->id, err) < 0 ||
        (edit->user_id && instance_check_user(tx, edit->user_id, err) < 0))
        return -1;
    struct stmt *stmt = db_stmt(tx->db,
                                "UPDATE instances SET name = coalesce(?2, name),"
                                " user_id = coalesce(?3, user_id),"
                                " disk_mib = iif(?4 < 0, disk_mib, ?4), updated_at = ?5"
                                " WHERE id = ?1",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, edit->id);
    db_bind_text(stmt, 2, edit->name);
    db_bind_text(stmt, 3, edit->user_id);
    db_bind_int(stmt, 4, edit->disk_mib ? (int64_t)*edit->disk_mib : -1);
    db_bind_int(stmt, 5, tx->now);
    (void)FAILPOINT("panel.edit.written");
    tx_touch(tx, STORE_INSTANCES);
    if (edit->user_id)
        tx_touch(tx, STORE_USERS); /* what its new owner had been given of it */
    return db_run(stmt, err) < 0 ? -1 : 0;
}
