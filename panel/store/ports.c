/* The host ports of a node: which are free, and who has which. See internal.h. */
#include "panel/domain/ports.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "panel/store/internal.h"

/* Who else has this port? 1: err says so; 0: free. */
static int check_port(struct store_tx *tx, const char *node_id, const char *instance_id,
                      const char *protocol, uint16_t port, struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db,
                                "SELECT i.name, i.id, i.phase FROM ports p"
                                " JOIN instances i ON i.id = p.instance_id"
                                " WHERE p.node_id = ?1 AND p.protocol = ?2 AND p.host_port = ?3"
                                " AND p.instance_id <> ?4",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, node_id);
    db_bind_text(stmt, 2, protocol);
    db_bind_int(stmt, 3, port);
    db_bind_text(stmt, 4, instance_id);
    int rc = db_step(stmt, err);
    if (rc > 0) {
        bool going = db_int(stmt, 2) == PHASE_DELETING;
        err_field(err, ERR_CONFLICT, "port_taken", "ports",
                  "host port %u/%s is taken on this node by instance \"%.64s\" (%s)%s", port,
                  protocol, db_text(stmt, 0), db_text(stmt, 1),
                  going ? ", which is being deleted" : "");
    }
    db_end(stmt);
    return rc;
}

bool ports_have(const struct port_mapping *ports, size_t count, unsigned host_port)
{
    for (size_t i = 0; i < count; i++) {
        if (ports[i].host_port == host_port)
            return true;
    }
    return false;
}

/* The lowest port from here to the range's end that nobody has on either protocol. 1; 0: none. */
static int pick_port(struct store_tx *tx, const char *node_id, unsigned first, unsigned last,
                     const struct port_mapping *ports, size_t count, uint16_t *ret_port,
                     struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db,
                                "SELECT DISTINCT host_port FROM ports WHERE node_id = ?1"
                                " AND host_port BETWEEN ?2 AND ?3 ORDER BY host_port",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, node_id);
    db_bind_int(stmt, 2, first);
    db_bind_int(stmt, 3, last);
    int rc = db_step(stmt, err);
    for (unsigned port = first; rc >= 0 && port <= last; port++) {
        while (rc > 0 && db_int(stmt, 0) < port)
            rc = db_step(stmt, err);
        if (rc < 0)
            break;
        if ((rc > 0 && db_int(stmt, 0) == port) || ports_have(ports, count, port))
            continue;
        db_end(stmt);
        *ret_port = (uint16_t)port;
        return 1;
    }
    db_end(stmt);
    return rc < 0 ? -1 : 0;
}

/* Those of the node, where it has any of its own. */
static int range_of(struct store_tx *tx, const char *node_id, const struct port_range *panels,
                    struct port_range *ret_range, struct err *err)
{
    struct stmt *stmt = db_stmt(
        tx->db, "SELECT auto_first, auto_last FROM nodes WHERE id = ?1 AND auto_first > 0", err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, node_id);
    *ret_range = *panels;
    int rc = db_step(stmt, err);
    if (rc > 0)
        *ret_range = (struct port_range){(uint16_t)db_int(stmt, 0), (uint16_t)db_int(stmt, 1)};
    db_end(stmt);
    return rc < 0 ? -1 : 0;
}

int ports_take(struct store_tx *tx, const char *node_id, const char *instance_id,
               const struct port_range *panels, struct port_mapping *ports, size_t count,
               struct err *err)
{
    struct port_range range;
    if (range_of(tx, node_id, panels, &range, err) < 0)
        return -1;
    for (size_t i = 0; i < count; i++) {
        int rc = ports[i].host_port ? 1
                                    : pick_port(tx, node_id, range.first, range.last, ports, count,
                                                &ports[i].host_port, err);
        if (rc < 0)
            return -1;
        if (rc == 0)
            return err_field(err, ERR_CONFLICT, "no_free_port", "ports",
                             "no host port of %u-%u is free on this node", range.first, range.last);
        if (ports[i].tcp && check_port(tx, node_id, instance_id, "tcp", ports[i].host_port, err))
            return -1;
        if (ports[i].udp && check_port(tx, node_id, instance_id, "udp", ports[i].host_port, err))
            return -1;
    }
    return 0;
}

static int write_port(struct store_tx *tx, const struct instance *row, const char *protocol,
                      uint16_t port, bool chosen, struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db,
                                "INSERT INTO ports(node_id, protocol, host_port, instance_id,"
                                " chosen) VALUES(?1,?2,?3,?4,?5) ON CONFLICT DO UPDATE SET"
                                " former = 0, chosen = excluded.chosen"
                                " WHERE instance_id = excluded.instance_id",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, row->node_id);
    db_bind_text(stmt, 2, protocol);
    db_bind_int(stmt, 3, port);
    db_bind_text(stmt, 4, row->id);
    db_bind_int(stmt, 5, chosen);
    int written = db_run(stmt, err);
    if (written == 0) /* ports_take() would have said so */
        return err_set(err, ERR_INTERNAL, "port_taken", "host port %u is another instance's", port);
    return written < 0 ? -1 : 0;
}

int ports_make_former(struct store_tx *tx, const char *instance_id, struct err *err)
{
    return store_run_on(tx->db, "UPDATE ports SET former = 1 WHERE instance_id = ?1", instance_id,
                        err);
}

int ports_drop_former(struct store_tx *tx, const char *instance_id, struct err *err)
{
    return store_run_on(tx->db, "DELETE FROM ports WHERE instance_id = ?1 AND former = 1",
                        instance_id, err);
}

int ports_write(struct store_tx *tx, const struct instance *row, const struct port_mapping *asked,
                const struct port_mapping *ports, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        bool chosen = !asked[i].host_port;
        if ((ports[i].tcp && write_port(tx, row, "tcp", ports[i].host_port, chosen, err) < 0) ||
            (ports[i].udp && write_port(tx, row, "udp", ports[i].host_port, chosen, err) < 0))
            return -1;
    }
    return 0;
}

void ports_to_text(const struct port_mapping *ports, size_t count, struct strbuf *text)
{
    for (size_t i = 0; i < count; i++) {
        strbuf_fmt(text, "%s%u:%u", i ? "," : "", ports[i].container_port, ports[i].host_port);
        if (!(ports[i].tcp && ports[i].udp))
            strbuf_str(text, ports[i].tcp ? "/tcp" : "/udp");
    }
}

/* --- another choice -------------------------------------------------------------------------- */

struct choice {
    struct instance row; /* what its recipe needs, and its node */
    bool changing;
    char *node_id, *name, *variables, *own_env, *template;
    struct port_mapping asked[PORTS_MAX]; /* host_port 0: the panel's to choose */
    struct port_mapping ports[PORTS_MAX];
    size_t count;
};

static const char *keep(char **ret_copy, const char *text)
{
    *ret_copy = text ? strdup(text) : NULL;
    return *ret_copy;
}

/* 1; 0: it has another generation, or no choice is left. */
static int read_choice(struct store_tx *tx, const char *id, uint64_t generation,
                       struct choice *choice, struct err *err)
{
    struct stmt *stmt = db_stmt(tx->db,
                                "SELECT node_id, ports, primary_port, name, memory_mib, variables,"
                                " template, own_env, previous IS NOT NULL FROM instances"
                                " WHERE id = ?1 AND generation = ?2 AND port_choices > 0",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, id);
    db_bind_int(stmt, 2, (int64_t)generation);
    int rc = db_step(stmt, err);
    if (rc > 0) {
        choice->row = (struct instance){.id = id,
                                        .node_id = keep(&choice->node_id, db_text(stmt, 0)),
                                        .primary_port = (uint16_t)db_int(stmt, 2),
                                        .name = keep(&choice->name, db_text(stmt, 3)),
                                        .memory_mib = (uint64_t)db_int(stmt, 4),
                                        .variables = keep(&choice->variables, db_text(stmt, 5)),
                                        .template = keep(&choice->template, db_text(stmt, 6)),
                                        .own_env = keep(&choice->own_env, db_text(stmt, 7))};
        choice->changing = db_int(stmt, 8) != 0;
        if (!choice->node_id || !choice->name || !choice->variables || !choice->own_env ||
            (db_text(stmt, 6) && !choice->template))
            rc = err_nomem(err);
        else if (ports_parse("ports", db_text(stmt, 1), choice->ports, &choice->count, err) < 0)
            rc = -1;
    }
    db_end(stmt);
    return rc;
}

/* Which of them the panel chose. */
static int read_chosen(struct store_tx *tx, struct choice *choice, struct err *err)
{
    memcpy(choice->asked, choice->ports, sizeof(choice->asked));
    struct stmt *stmt = db_stmt(tx->db,
                                "SELECT host_port FROM ports"
                                " WHERE instance_id = ?1 AND chosen = 1 AND former = 0",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, choice->row.id);
    int rc;
    while ((rc = db_step(stmt, err)) > 0) {
        for (size_t i = 0; i < choice->count; i++) {
            if (choice->ports[i].host_port == db_int(stmt, 0))
                choice->asked[i].host_port = 0;
        }
    }
    return rc;
}

/* The next free ones above, so that none is tried twice; from the start again after the last. One
 * for which there is no other stays. */
static int choose(struct store_tx *tx, const struct port_range *panels, struct choice *choice,
                  struct err *err)
{
    struct port_range range;
    if (range_of(tx, choice->node_id, panels, &range, err) < 0)
        return -1;
    for (size_t i = 0; i < choice->count; i++) {
        if (choice->asked[i].host_port)
            continue;
        uint16_t before = choice->ports[i].host_port;
        uint16_t *now = &choice->ports[i].host_port;
        unsigned above = before >= range.first ? before + 1u : range.first;
        int rc = pick_port(tx, choice->node_id, above, range.last, choice->ports, choice->count,
                           now, err);
        if (rc == 0)
            rc = pick_port(tx, choice->node_id, range.first, range.last, choice->ports,
                           choice->count, now, err);
        if (rc < 0)
            return -1;
        if (choice->row.primary_port == before)
            choice->row.primary_port = *now;
    }
    return 0;
}

static int write_choice(struct store_tx *tx, const struct choice *choice, const char *ports,
                        const struct recipe *recipe, struct err *err)
{
    if (ports_make_former(tx, choice->row.id, err) < 0 ||
        ports_write(tx, &choice->row, choice->asked, choice->ports, choice->count, err) < 0 ||
        (!choice->changing && ports_drop_former(tx, choice->row.id, err) < 0))
        return -1;
    struct stmt *stmt =
        db_stmt(tx->db,
                "UPDATE instances SET ports = ?2, primary_port = ?3, env = ?4, cmd = ?5,"
                " install = ?6, port_choices = port_choices - 1, generation = generation + 1,"
                " updated_at = ?7"
                " WHERE id = ?1",
                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, choice->row.id);
    db_bind_text(stmt, 2, ports);
    db_bind_int(stmt, 3, choice->row.primary_port);
    db_bind_text(stmt, 4, recipe->env);
    db_bind_text(stmt, 5, recipe->command);
    db_bind_text(stmt, 6, recipe->install);
    db_bind_int(stmt, 7, tx->now);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

int store_instance_choose_ports(struct store_tx *tx, const char *id, uint64_t generation,
                                const struct port_range *panels, struct err *err)
{
    auto_strbuf struct strbuf text = {0};
    struct recipe recipe = {0};
    struct choice choice = {0};
    int rc = read_choice(tx, id, generation, &choice, err);
    if (rc > 0) {
        rc = read_chosen(tx, &choice, err);
        if (rc == 0)
            rc = choose(tx, panels, &choice, err);
        if (rc == 0)
            rc = recipe_of_row(&choice.row, &recipe, err);
        ports_to_text(choice.ports, choice.count, &text);
        if (rc == 0 && text.failed)
            rc = err_nomem(err);
        if (rc == 0)
            rc = write_choice(tx, &choice, text.data, &recipe, err);
        tx_touch(tx, STORE_INSTANCES);
    }
    recipe_fini(&recipe);
    free(choice.node_id);
    free(choice.name);
    free(choice.variables);
    free(choice.own_env);
    free(choice.template);
    return rc;
}
