/* A change of what an instance's container is made from, until it has proved itself.
 *
 * The row tells what is wanted; in `previous` it keeps what was before, and in `ports` the host
 * ports that this had, which nobody else gets meanwhile. Both go when the new container is seen
 * running (store_instance_observe()); when it doesn't come up, what was before is wanted again. */
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/failpoint.h"
#include "common/json_writer.h"
#include "panel/domain/ports.h"
#include "panel/store/internal.h"

/* 1; 0: it has another generation, or nothing to go back to. */
static int read_previous(struct store_tx *tx, const char *id, uint64_t generation,
                         json_t **ret_previous, char **ret_node_id, struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db,
                                "SELECT previous, node_id FROM instances WHERE id = ?1"
                                " AND generation = ?2 AND previous IS NOT NULL AND phase <> ?3",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, (int64_t)generation);
    db_bind_int(stmt, 3, PHASE_DELETING);
    int rc = db_step(stmt, err);
    if (rc > 0) {
        *ret_previous = json_loads(db_text(stmt, 0), 0, NULL);
        *ret_node_id = strdup(db_text(stmt, 1));
        if (!*ret_previous || !*ret_node_id)
            rc = err_nomem(err);
    }
    db_end(stmt);
    return rc;
}

static bool was_chosen(const json_t *previous, unsigned host_port)
{
    size_t i;
    json_t *port;
    json_array_foreach(json_object_get(previous, "chosen"), i, port)
    {
        if (json_integer_value(port) == host_port)
            return true;
    }
    return false;
}

static int take_ports_back(struct store_tx *tx, const struct instance *row, const json_t *previous,
                           struct err *err)
{
    size_t count;
    const char *text = json_string_value(json_object_get(previous, "ports"));
    auto_free struct port_mapping *ports = calloc(2 * PORTS_MAX, sizeof(*ports));
    if (!ports || !text)
        return err_nomem(err);
    struct port_mapping *asked = ports + PORTS_MAX;
    if (ports_parse("ports", text, ports, &count, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        asked[i] = ports[i];
        if (was_chosen(previous, ports[i].host_port))
            asked[i].host_port = 0;
    }
    if (ports_make_former(tx, row->id, err) < 0 ||
        ports_write(tx, row, asked, ports, count, err) < 0)
        return -1;
    return ports_drop_former(tx, row->id, err);
}

static char *reason_json(struct store_tx *tx, const char *code, const char *message)
{
    struct strbuf out = {0};
    jw_object_begin(&out, NULL);
    jw_time(&out, "at", tx->now);
    jw_string(&out, "code", code);
    jw_string(&out, "message", message);
    jw_object_end(&out);
    return strbuf_steal(&out);
}

/* Its very spec, so that the container which was made from it needs nothing done. */
static int take_row_back(struct store_tx *tx, const char *id, const char *code, const char *message,
                         struct err *err)
{
    auto_free char *reason = reason_json(tx, code, message);
    if (!reason)
        return err_nomem(err);
    struct stmt *stmt = db_stmt(
        tx->db,
        "UPDATE instances SET generation = generation + 1, updated_at = ?2, phase_since = ?2,"
        " resizes = previous ->> 'resizes',"
        " image = previous ->> 'image', alt_images = previous ->> 'alt_images',"
        " memory_mib = previous ->> 'memory_mib', cpu_milli = previous ->> 'cpu_milli',"
        " ports = previous ->> 'ports', primary_port = previous ->> 'primary_port',"
        " env = previous ->> 'env', cmd = previous ->> 'cmd',"
        " variables = previous ->> 'variables', own_env = previous ->> 'own_env',"
        " install = previous ->> 'install', pull_round = previous ->> 'pull_round',"
        " phase = previous ->> 'phase', port_choices = 0, progress_percent = 0, undone = ?3,"
        " error_code = iif(previous ->> 'phase' = ?4, ?5, ''),"
        " error_message = iif(previous ->> 'phase' = ?4, ?6, ''), previous = NULL"
        " WHERE id = ?1",
        err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, tx->now);
    db_bind_text(stmt, 3, reason);
    db_bind_int(stmt, 4, PHASE_FAILED);
    db_bind_text(stmt, 5, code);
    db_bind_text(stmt, 6, message);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

int store_instance_undo(struct store_tx *tx, const char *id, uint64_t generation, const char *code,
                        const char *message, struct err *err)
{
    json_t *previous = NULL;
    auto_free char *node_id = NULL;
    int rc = read_previous(tx, id, generation, &previous, &node_id, err);
    if (rc > 0) {
        struct instance row = {.id = id, .node_id = node_id};
        rc = take_ports_back(tx, &row, previous, err);
        if (rc == 0)
            rc = take_row_back(tx, id, code, message, err);
        (void)FAILPOINT("panel.undo.written");
        tx_touch(tx, STORE_INSTANCES);
        tx_touch(tx, STORE_NODES);
    }
    json_decref(previous);
    return rc < 0 ? -1 : 0;
}
