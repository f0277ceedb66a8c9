/* Instances in the store: what is wanted of each, and what was last seen of it.
 * Placing a new one is instance_create.c's work. */
#include "common/failpoint.h"
#include "common/json_writer.h"
#include "common/strbuf.h"
#include "panel/store/internal.h"

#define COLUMNS                                                                                    \
    "SELECT i.id, i.name, i.user_id, i.node_id, i.image, i.alt_images, i.memory_mib, i.cpu_milli," \
    " i.disk_mib, i.ports, i.primary_port, i.env, i.cmd, i.variables, i.stop_command,"             \
    " i.mount_path, i.template, i.created_at, i.generation, i.suspended, i.phase, i.phase_since,"  \
    " i.observed, i.container_id, i.error_code, i.error_message, i.progress_percent,"              \
    " i.updated_at, n.name, n.address, n.port, i.port_choices, i.power,"                           \
    " i.stop_timeout_s, n.maintenance, i.exits, i.last_exit_at, i.terminal, n.drained,"            \
    " i.install, i.install_round, i.install_wipe, i.resizes, i.pull_round, i.own_env,"             \
    " i.previous IS NOT NULL, i.undone, i.seq, n.joined"                                           \
    " FROM instances i JOIN nodes n ON n.id = i.node_id "
#define COLUMN_SEQ 47

/* SQL's word for PHASE_DELETING, for literals. */
#define LIVING "i.phase <> 3 "
_Static_assert(PHASE_DELETING == 3, "LIVING says so");

static int give_row(struct stmt *stmt, store_instance_fn fn, void *arg, struct err *err)
{
    struct instance row = {
        .id = db_text(stmt, 0),
        .name = db_text(stmt, 1),
        .user_id = db_text(stmt, 2),
        .node_id = db_text(stmt, 3),
        .image = db_text(stmt, 4),
        .alt_images = db_text(stmt, 5),
        .memory_mib = (uint64_t)db_int(stmt, 6),
        .cpu_milli = db_int(stmt, 7),
        .disk_mib = (uint64_t)db_int(stmt, 8),
        .ports = db_text(stmt, 9),
        .primary_port = (uint16_t)db_int(stmt, 10),
        .env = db_text(stmt, 11),
        .cmd = db_text(stmt, 12),
        .variables = db_text(stmt, 13),
        .stop_command = db_text(stmt, 14),
        .mount_path = db_text(stmt, 15),
        .template = db_text(stmt, 16),
        .created_at = db_int(stmt, 17),
        .generation = (uint64_t)db_int(stmt, 18),
        .suspended = db_int(stmt, 19) != 0,
        .phase = (enum instance_phase)db_int(stmt, 20),
        .phase_since = db_int(stmt, 21),
        .observed = (enum instance_observed)db_int(stmt, 22),
        .container_id = db_text(stmt, 23),
        .error_code = db_text(stmt, 24),
        .error_message = db_text(stmt, 25),
        .progress_percent = (uint32_t)db_int(stmt, 26),
        .updated_at = db_int(stmt, 27),
        .node_name = db_text(stmt, 28),
        .node_address = db_text(stmt, 29),
        .node_port = db_text(stmt, 30),
        .port_choices = (uint32_t)db_int(stmt, 31),
        .power = (enum instance_power)db_int(stmt, 32),
        .stop_timeout_s = (uint32_t)db_int(stmt, 33),
        .node_maintenance = db_int(stmt, 34) != 0,
        .exits = db_text(stmt, 35),
        .exit_at = db_int(stmt, 36),
        .terminal = db_int(stmt, 37) != 0,
        .node_drained = db_int(stmt, 38) != 0,
        .install = db_text(stmt, 39),
        .install_round = (uint64_t)db_int(stmt, 40),
        .install_wipe = db_int(stmt, 41) != 0,
        .resizes = (uint32_t)db_int(stmt, 42),
        .pull_round = (uint64_t)db_int(stmt, 43),
        .own_env = db_text(stmt, 44),
        .changing = db_int(stmt, 45) != 0,
        .undone = db_text(stmt, 46),
        .node_joined = db_int(stmt, 48) != 0,
    };
    return fn(&row, arg, err);
}

/* Walks a bound statement to its end. Rows given, or -1. */
static int give_rows(struct stmt *stmt, struct store_page *page, store_instance_fn fn, void *arg,
                     struct err *err)
{
    struct page_walk walk = {.page = page, .seq = COLUMN_SEQ};
    int rc;
    while ((rc = page_step(&walk, stmt, err)) > 0) {
        if (give_row(stmt, fn, arg, err) < 0) {
            rc = -1;
            break;
        }
    }
    db_end(stmt);
    return rc < 0 ? -1 : (int)walk.count;
}

#define LIVING_ONE COLUMNS "WHERE i.id = ?1 AND " LIVING

int store_instance_get(struct store *store, const char *id, store_instance_fn fn, void *arg,
                       struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    struct stmt *stmt = db ? db_stmt(db, LIVING_ONE, err) : NULL;
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    return give_rows(stmt, NULL, fn, arg, err);
}

int store_instance_see(struct store_tx *tx, const char *id, store_instance_fn fn, void *arg,
                       struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db, LIVING_ONE, err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    return give_rows(stmt, NULL, fn, arg, err);
}

int store_instance_list(struct store *store, const char *user_id, struct store_page *page,
                        store_instance_fn fn, void *arg, struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    struct stmt *stmt = NULL;
    if (db && user_id)
        stmt = db_stmt(
            db, COLUMNS "WHERE i.user_id = ?2 AND i.seq > ?1 AND " LIVING "ORDER BY i.seq", err);
    else if (db)
        stmt = db_stmt(db, COLUMNS "WHERE i.seq > ?1 AND " LIVING "ORDER BY i.seq", err);
    if (!stmt)
        return -1;
    db_bind_int(stmt, 1, page->after);
    if (user_id)
        db_bind_text(stmt, 2, user_id);
    page->next = 0;
    return give_rows(stmt, page, fn, arg, err) < 0 ? -1 : 0;
}

int store_instance_list_usable(struct store *store, const char *user_id, struct store_page *page,
                               store_instance_fn fn, void *arg, struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    struct stmt *stmt = NULL;
    if (db)
        stmt = db_stmt(db,
                       COLUMNS "WHERE i.id IN (SELECT id FROM instances WHERE user_id = ?2"
                               " UNION ALL SELECT instance_id FROM access WHERE user_id = ?2)"
                               " AND i.seq > ?1 AND " LIVING "ORDER BY i.seq",
                       err);
    if (!stmt)
        return -1;
    db_bind_int(stmt, 1, page->after);
    db_bind_text(stmt, 2, user_id);
    page->next = 0;
    return give_rows(stmt, page, fn, arg, err) < 0 ? -1 : 0;
}

int store_instance_scan(struct store *store, const char *node_id, const char *id,
                        store_instance_fn fn, void *arg, struct err *err)
{
    auto_reader struct reader *reader = reader_begin(store, err);
    struct db *db = reader_db(reader);
    struct stmt *stmt = NULL;
    if (db && id)
        stmt = db_stmt(db, COLUMNS "WHERE i.id = ?1", err);
    else if (db && node_id)
        stmt = db_stmt(db, COLUMNS "WHERE i.node_id = ?1 ORDER BY i.seq", err);
    else if (db)
        stmt = db_stmt(db, COLUMNS "ORDER BY i.seq", err);
    if (!stmt)
        return -1;
    if (id || node_id)
        db_bind_text(stmt, 1, id ? id : node_id);
    return give_rows(stmt, NULL, fn, arg, err);
}

/* What was given to the buried ones goes with them. */
static int end_access(struct store_tx *tx, enum instances_of of, const char *id, struct err *err)
{
#define END_ACCESS "DELETE FROM access WHERE instance_id IN (SELECT id FROM instances WHERE "
    static const char *const statements[] = {[INSTANCES_OF_ID] = END_ACCESS "id = ?1)",
                                             [INSTANCES_OF_NODE] = END_ACCESS "node_id = ?1)",
                                             [INSTANCES_OF_USER] = END_ACCESS "user_id = ?1)"};
    struct stmt *stmt = db_stmt(tx->db, statements[of], err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    int ended = db_run(stmt, err);
    if (ended > 0)
        tx_touch(tx, STORE_USERS);
    return ended < 0 ? -1 : 0;
}

int instances_bury(struct store_tx *tx, enum instances_of of, const char *id, struct err *err)
{
#define BURY                                                                                       \
    "UPDATE instances SET phase = ?2, phase_since = ?3, updated_at = ?3,"                          \
    " generation = generation + 1 WHERE phase <> ?2 AND "
    static const char *const statements[] = {[INSTANCES_OF_ID] = BURY "id = ?1",
                                             [INSTANCES_OF_NODE] = BURY "node_id = ?1",
                                             [INSTANCES_OF_USER] = BURY "user_id = ?1"};
    struct stmt *stmt = db_stmt(tx->db, statements[of], err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, PHASE_DELETING);
    db_bind_int(stmt, 3, tx->now);
    int changed = db_run(stmt, err);
    if (changed <= 0)
        return changed;
    tx_touch(tx, STORE_INSTANCES);
    return end_access(tx, of, id, err) < 0 ? -1 : changed;
}

int store_instance_delete(struct store_tx *tx, const char *id, struct err *err)
{
    int changed = instances_bury(tx, INSTANCES_OF_ID, id, err);
    if (changed == 0)
        return store_no_such("instance", "id", id, err);
    (void)FAILPOINT("panel.delete.written");
    return changed < 0 ? -1 : 0;
}

static int check_living(struct store_tx *tx, const char *id, struct err *err)
{
    return store_must_exist(tx->db, "SELECT 1 FROM instances i WHERE i.id = ?1 AND " LIVING,
                            "instance", "id", id, err);
}

int store_instance_suspend(struct store_tx *tx, const char *id, bool suspended, struct err *err)
{
    if (check_living(tx, id, err) < 0)
        return -1;
    /* Woken up again without a container, or after a failure, it is to be installed anew, so
     * that this too has an end. Until then a failure keeps its reason. */
    struct stmt *stmt =
        db_stmt(tx->db,
                "UPDATE instances SET suspended = ?2, updated_at = ?3,"
                " generation = generation + 1,"
                " phase = CASE WHEN ?2 = 0 AND (phase = ?4 OR container_id = '' OR reinstalling)"
                "  THEN ?5"
                "  ELSE phase END, phase_since = ?3,"
                " error_code = CASE WHEN ?2 = 1 AND phase = ?4 THEN error_code ELSE '' END,"
                " error_message = CASE WHEN ?2 = 1 AND phase = ?4 THEN error_message ELSE '' END"
                " WHERE id = ?1 AND suspended <> ?2",
                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, suspended);
    db_bind_int(stmt, 3, tx->now);
    db_bind_int(stmt, 4, PHASE_FAILED);
    db_bind_int(stmt, 5, PHASE_INSTALLING);
    int changed = db_run(stmt, err);
    (void)FAILPOINT("panel.suspend.written");
    if (changed > 0)
        tx_touch(tx, STORE_INSTANCES);
    return changed < 0 ? -1 : 0;
}

static int check_not_drained(struct store_tx *tx, const char *id, const char *field,
                             struct err *err)
{
    int drained = store_exists(tx->db,
                               "SELECT 1 FROM instances i JOIN nodes n ON n.id = i.node_id"
                               " WHERE i.id = ?1 AND n.drained = 1",
                               id, err);
    if (drained > 0)
        return err_field(err, ERR_CONFLICT, "node_drained", field,
                         "the instance's node is drained; what was to run there runs again when "
                         "that is over");
    return drained;
}

/* What makes each wish a change, in SQL over the row: ?2 power, ?4 READY, ?5 INSTALLING, ?6
 * RUNNING, ?7 STOPPED, ?8 ABSENT. */
static const char *power_update(enum instance_power power)
{
#define POWER_UPDATE                                                                               \
    "UPDATE instances SET power = ?2, generation = generation + 1, updated_at = ?3,"               \
    " phase_since = ?3"
#define POWER_UP                                                                                   \
    ", phase = CASE WHEN phase = ?4 AND container_id <> '' AND NOT reinstalling THEN ?4"           \
    " ELSE ?5 END, error_code = '', error_message = ''"
    switch (power) {
    case POWER_ON:
        return POWER_UPDATE POWER_UP " WHERE id = ?1 AND (power <> ?2 OR NOT"
                                     " (phase = ?5 OR (phase = ?4 AND observed = ?6)))";
    case POWER_RESTART:
        return POWER_UPDATE POWER_UP " WHERE id = ?1 AND power <> ?2";
    case POWER_OFF:
        return POWER_UPDATE " WHERE id = ?1 AND power NOT IN (1, 3)";
    case POWER_KILL:
        return POWER_UPDATE " WHERE id = ?1 AND power <> 3"
                            " AND NOT (power = 1 AND observed IN (?7, ?8))";
    }
    return NULL;
}
_Static_assert(POWER_OFF == 1 && POWER_KILL == 3, "power_update() says so");

int store_instance_power(struct store_tx *tx, const char *id, enum instance_power power,
                         struct err *err)
{
    if (check_living(tx, id, err) < 0)
        return -1;
    bool up = power == POWER_ON || power == POWER_RESTART;
    int rc =
        up ? store_exists(tx->db, "SELECT 1 FROM instances WHERE id = ?1 AND suspended", id, err)
           : 0;
    if (rc > 0)
        return err_field(err, ERR_CONFLICT, "suspended", "action",
                         "the instance is suspended; unsuspend it first");
    if (up && rc == 0)
        rc = check_not_drained(tx, id, "action", err);
    struct stmt *stmt = rc < 0 ? NULL : db_stmt(tx->db, power_update(power), err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, power);
    db_bind_int(stmt, 3, tx->now);
    if (up) {
        db_bind_int(stmt, 4, PHASE_READY);
        db_bind_int(stmt, 5, PHASE_INSTALLING);
    }
    if (power == POWER_ON)
        db_bind_int(stmt, 6, OBSERVED_RUNNING);
    if (power == POWER_KILL) {
        db_bind_int(stmt, 7, OBSERVED_STOPPED);
        db_bind_int(stmt, 8, OBSERVED_ABSENT);
    }
    int changed = db_run(stmt, err);
    (void)FAILPOINT("panel.power.written");
    if (changed > 0)
        tx_touch(tx, STORE_INSTANCES);
    return changed < 0 ? -1 : 0;
}

int store_instance_power_on(struct store_tx *tx, const char *id, uint64_t generation,
                            struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db,
                                "UPDATE instances SET power = ?3, generation = generation + 1,"
                                " updated_at = ?4, phase_since = ?4"
                                " WHERE id = ?1 AND generation = ?2 AND power = ?5",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, (int64_t)generation);
    db_bind_int(stmt, 3, POWER_ON);
    db_bind_int(stmt, 4, tx->now);
    db_bind_int(stmt, 5, POWER_RESTART);
    (void)FAILPOINT("panel.restart.written");
    tx_touch(tx, STORE_INSTANCES);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

/* A round is named by the time, so that one of a panel put back to an old copy is a later one. */
int store_instance_reinstall(struct store_tx *tx, const char *id, bool wipe, struct err *err)
{
    if (check_living(tx, id, err) < 0 || check_not_drained(tx, id, "id", err) < 0)
        return -1;
    struct stmt *stmt = db_stmt(
        tx->db,
        "UPDATE instances SET phase = ?2, phase_since = ?3,"
        " updated_at = ?3, generation = generation + 1,"
        " install_round = max(install_round + 1, ?3), install_wipe = ?4,"
        " reinstalling = 1, previous = NULL, undone = NULL, error_code = '', error_message = '',"
        " progress_percent = 0 WHERE id = ?1",
        err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, PHASE_INSTALLING);
    db_bind_int(stmt, 3, tx->now);
    db_bind_int(stmt, 4, wipe);
    (void)FAILPOINT("panel.reinstall.written");
    tx_touch(tx, STORE_INSTANCES);
    return db_run(stmt, err) < 0 ? -1 : ports_drop_former(tx, id, err);
}

/* One that isn't to run stays as it is, and is made anew when it is started. */
int store_instance_redeploy(struct store_tx *tx, const char *id, struct err *err)
{
    if (check_living(tx, id, err) < 0 || check_not_drained(tx, id, "id", err) < 0)
        return -1;
    struct stmt *stmt = db_stmt(tx->db,
                                "UPDATE instances SET updated_at = ?3, phase_since = ?3,"
                                " generation = generation + 1, undone = NULL,"
                                " previous = iif(container_id <> '', " PREVIOUS ", previous),"
                                " pull_round = max(pull_round + 1, ?3),"
                                " phase = iif(suspended OR power IN (1, 3), phase, ?2),"
                                " error_code = iif(suspended OR power IN (1, 3), error_code, ''),"
                                " error_message ="
                                "  iif(suspended OR power IN (1, 3), error_message, ''),"
                                " progress_percent = 0 WHERE id = ?1",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, PHASE_INSTALLING);
    db_bind_int(stmt, 3, tx->now);
    (void)FAILPOINT("panel.redeploy.written");
    tx_touch(tx, STORE_INSTANCES);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

int store_instance_retry(struct store_tx *tx, const char *id, struct err *err)
{
    if (check_living(tx, id, err) < 0 || check_not_drained(tx, id, "id", err) < 0)
        return -1;
    struct stmt *stmt = db_stmt(tx->db,
                                "UPDATE instances SET phase = ?2, phase_since = ?3,"
                                " updated_at = ?3, generation = generation + 1,"
                                " port_choices = CASE WHEN error_code = ?6 AND EXISTS("
                                "SELECT 1 FROM ports WHERE instance_id = ?1 AND chosen = 1)"
                                " THEN ?5 ELSE port_choices END,"
                                " undone = NULL, error_code = '', error_message = '',"
                                " progress_percent = 0 WHERE id = ?1 AND phase = ?4",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, PHASE_INSTALLING);
    db_bind_int(stmt, 3, tx->now);
    db_bind_int(stmt, 4, PHASE_FAILED);
    db_bind_int(stmt, 5, PORT_CHOICES);
    db_bind_text(stmt, 6, WORD_PORT_IN_USE);
    int changed = db_run(stmt, err);
    if (changed == 0)
        return err_field(err, ERR_CONFLICT, "not_failed", "id",
                         "the instance has not FAILED, so there is nothing to retry");
    tx_touch(tx, STORE_INSTANCES);
    return changed < 0 ? -1 : 0;
}

static void exit_json(const struct instance_facts *facts, struct strbuf *out)
{
    jw_object_begin(out, NULL);
    jw_time(out, "at", facts->exit_at);
    jw_int(out, "code", facts->exit_code);
    jw_bool(out, "oomKilled", facts->exit_oom_killed);
    jw_object_end(out);
}

int store_instance_observe(struct store_tx *tx, const struct instance_facts *facts, struct err *err)
{
    auto_strbuf struct strbuf exit = {0};
    exit_json(facts, &exit);
    struct stmt *stmt =
        db_stmt(tx->db,
                "UPDATE instances SET observed = ?4, container_id = ?5, error_code = ?6,"
                " error_message = ?7, progress_percent = ?8, updated_at = ?9,"
                /* a port that it ran with is known to others */
                " port_choices = CASE WHEN ?3 = ?10 AND ?4 = ?13 THEN 0 ELSE port_choices END,"
                " phase_since = CASE WHEN phase = ?3 THEN phase_since ELSE ?9 END, phase = ?3,"
                /* the last five */
                " exits = CASE WHEN ?11 <= last_exit_at THEN exits ELSE"
                "  (SELECT json_group_array(json(value)) FROM (SELECT value FROM"
                "   (SELECT key, value FROM json_each(json_insert(exits, '$[#]', json(?12)))"
                "    ORDER BY key DESC LIMIT 5) ORDER BY key)) END,"
                " last_exit_at = max(last_exit_at, ?11),"
                " reinstalling = CASE WHEN ?3 = ?10 AND ?4 = ?13 THEN 0 ELSE reinstalling END,"
                " previous = iif(?14, NULL, previous)"
                " WHERE id = ?1 AND generation = ?2",
                err);
    if (!stmt)
        return -1;
    if (exit.failed)
        return err_nomem(err);
    db_bind_text(stmt, 1, facts->id);
    db_bind_int(stmt, 2, (int64_t)facts->generation);
    db_bind_int(stmt, 3, facts->phase);
    db_bind_int(stmt, 4, facts->observed);
    db_bind_text(stmt, 5, facts->container_id);
    db_bind_text(stmt, 6, facts->error_code);
    db_bind_text(stmt, 7, facts->error_message);
    db_bind_int(stmt, 8, facts->progress_percent);
    db_bind_int(stmt, 9, tx->now);
    db_bind_int(stmt, 10, PHASE_READY);
    db_bind_int(stmt, 11, facts->exit_at);
    db_bind_text(stmt, 12, exit.data);
    db_bind_int(stmt, 13, OBSERVED_RUNNING);
    db_bind_int(stmt, 14, facts->proven);
    (void)FAILPOINT("panel.result.writing");
    tx_touch(tx, STORE_INSTANCES);
    int written = db_run(stmt, err);
    return written < 0 ||
                   (written > 0 && facts->proven && ports_drop_former(tx, facts->id, err) < 0)
               ? -1
               : 0;
}

int store_instance_outrank(struct store_tx *tx, const char *id, uint64_t generation,
                           struct err *err)
{
    struct stmt *stmt = db_stmt(
        tx->db, "UPDATE instances SET generation = max(generation, ?2) + 1 WHERE id = ?1", err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, (int64_t)generation);
    tx_touch(tx, STORE_INSTANCES);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

/* A deleted user's row goes with the last of its instances. */
static int forget_users(struct store_tx *tx, struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db,
                                "DELETE FROM users WHERE deleted = 1 AND NOT EXISTS"
                                " (SELECT 1 FROM instances WHERE user_id = users.id)",
                                err);
    return !stmt || db_run(stmt, err) < 0 ? -1 : 0;
}

int store_instance_forget(struct store_tx *tx, const char *id, struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db, "DELETE FROM instances WHERE id = ?1 AND phase = ?2", err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, PHASE_DELETING);
    (void)FAILPOINT("panel.forget.writing");
    tx_touch(tx, STORE_INSTANCES);
    tx_touch(tx, STORE_NODES);
    return db_run(stmt, err) < 0 ? -1 : forget_users(tx, err);
}
