/* Another name, owner or size for an instance that is there. */
#include "common/failpoint.h"
#include "panel/store/internal.h"

/* What becomes of the row. */
struct plan {
    struct store_tx *tx;
    const struct instance_edit *edit;
    struct room room;
    bool resized;
    struct recipe recipe; /* empty: what was made stays */
};

static int check_node(const struct node *node, void *arg, struct err *err)
{
    return instance_check_room(node, arg, err);
}

static int make_plan(const struct instance *row, void *arg, struct err *err)
{
    struct plan *plan = arg;
    const struct instance_edit *edit = plan->edit;
    plan->room = (struct room){.memory_mib = edit->memory_mib ? edit->memory_mib : row->memory_mib,
                               .memory_had = row->memory_mib,
                               .cpu_milli = edit->cpu_milli ? edit->cpu_milli : row->cpu_milli,
                               .cpu_had = row->cpu_milli,
                               .memory_overcommit = edit->memory_overcommit};
    plan->resized =
        plan->room.memory_mib != row->memory_mib || plan->room.cpu_milli != row->cpu_milli;
    if (!plan->resized)
        return 0;
    int rc = store_node_see(plan->tx, row->node_id, check_node, &plan->room, err);
    if (rc < 0 || row->container_id[0])
        return rc < 0 ? -1 : 0;
    struct instance now = *row;
    now.name = edit->name ? edit->name : row->name;
    now.memory_mib = plan->room.memory_mib;
    return recipe_of_row(&now, &plan->recipe, err);
}

static int write_plan(const struct plan *plan, struct err *err)
{
    const struct instance_edit *edit = plan->edit;
    struct stmt *stmt =
        db_stmt(plan->tx->db,
                "UPDATE instances SET name = coalesce(?2, name), user_id = coalesce(?3, user_id),"
                " disk_mib = iif(?4 < 0, disk_mib, ?4), updated_at = ?5,"
                " memory_mib = ?6, cpu_milli = ?7, resizes = resizes + ?8,"
                " generation = generation + ?8, env = coalesce(?9, env), cmd = coalesce(?10, cmd),"
                " install = coalesce(?11, install)"
                " WHERE id = ?1",
                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, edit->id);
    db_bind_text(stmt, 2, edit->name);
    db_bind_text(stmt, 3, edit->user_id);
    db_bind_int(stmt, 4, edit->disk_mib ? (int64_t)*edit->disk_mib : -1);
    db_bind_int(stmt, 5, plan->tx->now);
    db_bind_int(stmt, 6, (int64_t)plan->room.memory_mib);
    db_bind_int(stmt, 7, plan->room.cpu_milli);
    db_bind_int(stmt, 8, plan->resized);
    db_bind_text(stmt, 9, plan->recipe.env);
    db_bind_text(stmt, 10, plan->recipe.command);
    db_bind_text(stmt, 11, plan->recipe.install);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

int store_instance_edit(struct store_tx *tx, const struct instance_edit *edit, bool *ret_resized,
                        struct err *err)
{
    struct plan plan = {.tx = tx, .edit = edit};
    int rc = store_instance_see(tx, edit->id, make_plan, &plan, err);
    if (rc == 0)
        rc = store_no_such("instance", "id", edit->id, err);
    if (rc >= 0 && edit->user_id)
        rc = instance_check_user(tx, edit->user_id, err);
    if (rc >= 0)
        rc = write_plan(&plan, err);
    recipe_fini(&plan.recipe);
    if (rc < 0)
        return -1;
    (void)FAILPOINT("panel.edit.written");
    *ret_resized = plan.resized;
    tx_touch(tx, STORE_INSTANCES);
    if (plan.resized)
        tx_touch(tx, STORE_NODES); /* what is allocated there */
    if (edit->user_id)
        tx_touch(tx, STORE_USERS); /* what its new owner had been given of it */
    return 0;
}
