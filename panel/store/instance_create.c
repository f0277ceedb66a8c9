/* Placing a new instance: everything that must hold is checked and reserved in the one
 * transaction that writes its row, so two deploys can't both get the last port or the last MiB. */
#include "panel/store/internal.h"

#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/failpoint.h"
#include "common/strbuf.h"

int instance_check_user(struct store_tx *tx, const char *user_id, struct err *err)
{
    return store_must_exist(tx->db, "SELECT 1 FROM users WHERE id = ?1 AND deleted = 0", "user",
                            "user", user_id, err);
}

/* Memory is promised once. CPU is shared, but a limit above the node's cores can't be set; where
 * the node has a ratio for them, what all of its instances may use is counted. */
int instance_check_room(const struct node *node, const struct room *room, struct err *err)
{
    uint64_t usable = node_usable_mib(node, room->memory_overcommit);
    uint64_t others = node->allocated_memory_mib - room->memory_had;
    uint64_t left = usable > others ? usable - others : 0;
    int64_t cpus = node->capacity_cpus;
    int64_t usable_milli = cpus * node->cpu_overcommit_milli;
    int64_t left_milli = usable_milli - node->allocated_cpu_milli + room->cpu_had;
    bool less_memory = room->memory_mib <= room->memory_had;
    bool less_cpu = room->cpu_milli <= room->cpu_had;
    if (!less_memory && room->memory_mib > left)
        return err_field(err, ERR_CONFLICT, "insufficient_memory", "memory",
                         "the node has %llu MiB left of %llu MiB, %llu MiB were asked for",
                         (unsigned long long)left, (unsigned long long)usable,
                         (unsigned long long)room->memory_mib);
    if (!less_cpu && cpus && room->cpu_milli > cpus * 1000)
        return err_field(err, ERR_CONFLICT, "insufficient_cpu", "cpu",
                         "the node has %lld core%s, %g were asked for", (long long)cpus,
                         cpus == 1 ? "" : "s", (double)room->cpu_milli / 1000);
    if (!less_cpu && node->cpu_overcommit_milli && room->cpu_milli > left_milli)
        return err_field(err, ERR_CONFLICT, "insufficient_cpu", "cpu",
                         "the node has %g cores left of %g (%lld, %g times overcommitted), %g were "
                         "asked for",
                         left_milli > 0 ? (double)left_milli / 1000 : 0,
                         (double)usable_milli / 1000, (long long)cpus,
                         (double)node->cpu_overcommit_milli / 1000, (double)room->cpu_milli / 1000);
    return 0;
}

static int check_placeable(const struct node *node, void *arg, struct err *err)
{
    const struct instance_new *create = *(const struct instance_new **)arg;
    struct room room = {.memory_mib = create->row.memory_mib,
                        .cpu_milli = create->row.cpu_milli,
                        .memory_overcommit = create->memory_overcommit};
    if (node->maintenance)
        return err_field(err, ERR_CONFLICT, "node_maintenance", "nodeId",
                         "the node is in maintenance and takes nothing new");
    return instance_check_room(node, &room, err);
}

static int check_node(struct store_tx *tx, const struct instance_new *create, struct err *err)
{
    int rc = store_node_see(tx, create->row.node_id, check_placeable, &create, err);
    return rc == 0 ? store_no_such("node", "nodeId", create->row.node_id, err) : rc;
}

int recipe_of_row(const struct instance *row, struct recipe *ret, struct err *err)
{
    struct environment_facts facts = {.primary_port = row->primary_port,
                                      .instance_id = row->id,
                                      .instance_name = row->name,
                                      .memory_mib = row->memory_mib};
    return recipe_remake(row->template, row->variables, row->own_env, &facts, ret, err);
}

static int write_row(struct store_tx *tx, const struct instance *row, struct err *err)
{
    struct stmt *stmt = db_stmt(
        tx->db,
        "INSERT INTO instances(id, name, user_id, node_id, image, alt_images, ports, env, cmd,"
        " variables, stop_command, mount_path, template, memory_mib, cpu_milli, disk_mib,"
        " primary_port, port_choices, stop_timeout_s, terminal, created_at, phase_since,"
        " updated_at, install, install_round, template_id)"
        " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21,?21,"
        "?21,?22,?23,json_extract(?13, '$.Id'))",
        err);
    if (!stmt)
        return -1;
    const char *const texts[] = {row->id,      row->name,       row->user_id,      row->node_id,
                                 row->image,   row->alt_images, row->ports,        row->env,
                                 row->cmd,     row->variables,  row->stop_command, row->mount_path,
                                 row->template};
    for (int i = 0; i < (int)ARRAY_LEN(texts); i++)
        db_bind_text(stmt, i + 1, texts[i]);
    db_bind_int(stmt, 14, (int64_t)row->memory_mib);
    db_bind_int(stmt, 15, row->cpu_milli);
    db_bind_int(stmt, 16, (int64_t)row->disk_mib);
    db_bind_int(stmt, 17, row->primary_port);
    db_bind_int(stmt, 18, row->port_choices);
    db_bind_int(stmt, 19, row->stop_timeout_s ? row->stop_timeout_s : STOP_TIMEOUT_S);
    db_bind_int(stmt, 20, row->terminal);
    db_bind_int(stmt, 21, tx->now);
    db_bind_text(stmt, 22, row->install);
    db_bind_int(stmt, 23, strcmp(row->install, "[]") == 0 ? 0 : tx->now);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

static int write_made(struct store_tx *tx, struct instance *row, struct err *err)
{
    struct recipe recipe;
    if (recipe_of_row(row, &recipe, err) < 0)
        return -1;
    row->env = recipe.env;
    row->cmd = recipe.command;
    row->install = recipe.install;
    int rc = write_row(tx, row, err);
    recipe_fini(&recipe);
    return rc;
}

/* Its user and its node are there. */
static int create_row(struct store_tx *tx, const struct instance_new *create, struct err *err)
{
    /* Work on copies: this may be run again. */
    struct instance row = create->row;
    auto_strbuf struct strbuf text = {0};
    auto_free struct port_mapping *ports = calloc(create->port_count + 1, sizeof(*ports));
    if (!ports)
        return err_nomem(err);
    memcpy(ports, create->ports, create->port_count * sizeof(*ports));
    if (ports_take(tx, row.node_id, row.id, &create->auto_ports, ports, create->port_count, err) <
        0)
        return -1;
    row.primary_port = create->primary_asked ? create->primary_asked : ports[0].host_port;
    if (!ports_have(ports, create->port_count, row.primary_port))
        return err_field(err, ERR_INVALID, "invalid_field", "primary",
                         "primary %u is not one of the host ports in \"ports\"", row.primary_port);
    ports_to_text(ports, create->port_count, &text);
    if (text.failed)
        return err_nomem(err);
    row.ports = text.data;
    if (ports_have(create->ports, create->port_count, 0))
        row.port_choices = PORT_CHOICES;
    if (write_made(tx, &row, err) < 0 ||
        ports_write(tx, &row, create->ports, ports, create->port_count, err) < 0)
        return -1;
    (void)FAILPOINT("panel.deploy.written");
    tx_touch(tx, STORE_INSTANCES);
    tx_touch(tx, STORE_NODES);
    return 0;
}

int store_instance_create(struct store_tx *tx, const struct instance_new *create, struct err *err)
{
    if (instance_check_user(tx, create->row.user_id, err) < 0 || check_node(tx, create, err) < 0)
        return -1;
    return create_row(tx, create, err);
}

int store_instance_adopt(struct store_tx *tx, const struct instance_new *create, bool suspended,
                         struct err *err)
{
    if (instance_check_user(tx, create->row.user_id, err) < 0 ||
        store_must_exist(tx->db, "SELECT 1 FROM nodes WHERE id = ?1 AND deleted = 0", "node",
                         "nodeId", create->row.node_id, err) < 0 ||
        create_row(tx, create, err) < 0)
        return -1;
    struct stmt *stmt = db_stmt(tx->db,
                                "UPDATE instances SET phase = ?2, power = ?3, observed = ?4,"
                                " suspended = ?5, install_round = 0 WHERE id = ?1",
                                err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, create->row.id);
    db_bind_int(stmt, 2, PHASE_READY);
    db_bind_int(stmt, 3, POWER_OFF);
    db_bind_int(stmt, 4, OBSERVED_ABSENT);
    db_bind_int(stmt, 5, suspended);
    return db_run(stmt, err) < 0 ? -1 : 0;
}
