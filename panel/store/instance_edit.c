/* An instance that is there gets another name, owner or size, or a container made from something
 * else. What comes of the latter is change.c's work. */
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/failpoint.h"
#include "common/strbuf.h"
#include "panel/domain/environment.h"
#include "panel/domain/ports.h"
#include "panel/domain/template.h"
#include "panel/store/internal.h"

/* What becomes of the row. Texts are owned; NULL: stays. */
struct plan {
    struct store_tx *tx;
    const struct instance_edit *edit;
    struct room room;
    bool resized;     /* its limits are others */
    bool remade;      /* so is something that only a new container can have */
    bool undoable;    /* it has a container that can be gone back to */
    bool held;        /* so its host ports stay its own; or an earlier change holds some */
    bool to_run;      /* and it is to run now */
    char *alt_images; /* the image that it leaves joins them */
    struct port_mapping asked[PORTS_MAX];
    struct port_mapping ports[PORTS_MAX];
    size_t port_count;
    bool ports_differ;
    uint16_t primary_port;
    char *ports_text, *variables, *own_env;
    struct recipe recipe; /* empty: what was made stays */
    char node_id[65];
};

static void plan_fini(struct plan *plan)
{
    free(plan->alt_images);
    free(plan->ports_text);
    free(plan->variables);
    free(plan->own_env);
    recipe_fini(&plan->recipe);
}

static int check_node(const struct node *node, void *arg, struct err *err)
{
    return instance_check_room(node, arg, err);
}

static int plan_room(struct plan *plan, const struct instance *row, struct err *err)
{
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
    return store_node_see(plan->tx, row->node_id, check_node, &plan->room, err) < 0 ? -1 : 0;
}

/* --- image ----------------------------------------------------------------------------------- */

static bool is_among(const json_t *images, const char *image)
{
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)images, i, item)
    {
        if (json_is_string(item) && strcmp(json_string_value(item), image) == 0)
            return true;
    }
    return false;
}

static int refuse_image(const json_t *images, const char *image, struct err *err)
{
    auto_strbuf struct strbuf list = {0};
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)images, i, item)
    {
        strbuf_fmt(&list, "%s%s", i ? ", " : "", json_string_value(item));
    }
    if (list.failed)
        return err_nomem(err);
    return err_field(err, ERR_INVALID, "image_not_allowed", "image",
                     "image \"%s\" is none of this instance's other images (%s); \"force\": true "
                     "takes it nevertheless",
                     image, list.len ? list.data : "it has none");
}

/* One of AltImages, unless it is forced; that which it leaves is one of them from then on, so there
 * is a way back. */
static int plan_image(struct plan *plan, const struct instance *row, struct err *err)
{
    const char *image = plan->edit->image;
    if (!image || strcmp(image, row->image) == 0)
        return 0;
    json_t *images = json_loads(row->alt_images, 0, NULL);
    int rc = images ? 0 : err_nomem(err);
    if (rc == 0 && !plan->edit->any_image && !is_among(images, image))
        rc = refuse_image(images, image, err);
    if (rc == 0 && !is_among(images, row->image) &&
        json_array_append_new(images, json_string(row->image)) < 0)
        rc = err_nomem(err);
    if (rc == 0 && !(plan->alt_images = json_dumps(images, JSON_COMPACT)))
        rc = err_nomem(err);
    json_decref(images);
    plan->remade = true;
    return rc;
}

/* --- ports ----------------------------------------------------------------------------------- */

/* Where the panel may pick, it picks what the instance has for that port already. */
static void keep_ports(struct plan *plan, const struct port_mapping *had, size_t count)
{
    for (size_t i = 0; i < plan->port_count; i++) {
        struct port_mapping *port = &plan->ports[i];
        for (size_t j = 0; j < count && !port->host_port; j++) {
            if (had[j].container_port == port->container_port && had[j].tcp == port->tcp &&
                had[j].udp == port->udp &&
                !ports_have(plan->ports, plan->port_count, had[j].host_port))
                port->host_port = had[j].host_port;
        }
    }
}

static int plan_mappings(struct plan *plan, const struct instance *row, struct err *err)
{
    const struct instance_edit *edit = plan->edit;
    size_t had;
    auto_free struct port_mapping *before = calloc(PORTS_MAX, sizeof(*before));
    auto_strbuf struct strbuf text = {0};
    if (!before)
        return err_nomem(err);
    if (ports_parse("ports", row->ports, before, &had, err) < 0)
        return -1;
    if (!edit->ports) {
        plan->port_count = had;
        memcpy(plan->ports, before, had * sizeof(*before));
        return 0;
    }
    plan->port_count = edit->port_count;
    memcpy(plan->asked, edit->ports, edit->port_count * sizeof(*before));
    memcpy(plan->ports, edit->ports, edit->port_count * sizeof(*before));
    keep_ports(plan, before, had);
    if (ports_take(plan->tx, row->node_id, row->id, &edit->auto_ports, plan->ports,
                   plan->port_count, err) < 0)
        return -1;
    ports_to_text(plan->ports, plan->port_count, &text);
    if (text.failed)
        return err_nomem(err);
    plan->ports_differ = strcmp(text.data, row->ports) != 0;
    plan->ports_text = plan->ports_differ ? strbuf_steal(&text) : NULL;
    return 0;
}

/* Asked for, or the one that it has, where that is still there, or the first. */
static int plan_ports(struct plan *plan, const struct instance *row, struct err *err)
{
    plan->primary_port = row->primary_port;
    if (!plan->edit->ports && !plan->edit->primary)
        return 0;
    if (plan_mappings(plan, row, err) < 0)
        return -1;
    if (plan->edit->primary) {
        if (ports_parse_primary("primary", plan->edit->primary, plan->ports, plan->port_count,
                                &plan->primary_port, err) < 0)
            return -1;
        if (!plan->primary_port)
            plan->primary_port = plan->ports[0].host_port;
    } else if (!ports_have(plan->ports, plan->port_count, row->primary_port)) {
        plan->primary_port = plan->ports[0].host_port;
    }
    plan->remade |= plan->ports_differ || plan->primary_port != row->primary_port;
    return 0;
}

/* --- variables and environment --------------------------------------------------------------- */

static int plan_texts(const char *field, const char *before, const json_t *given,
                      const json_t *tmpl, char **ret_text, struct err *err)
{
    json_t *merged;
    if (environment_merge(field, before, given, &merged, err) < 0)
        return -1;
    int rc = tmpl ? template_fill_variables(tmpl, merged, err) : 0;
    char *text = rc == 0 ? json_dumps(merged, JSON_COMPACT) : NULL;
    if (rc == 0 && !text)
        rc = err_nomem(err);
    json_decref(merged);
    if (rc == 0 && strcmp(text, before) == 0)
        free(text);
    else
        *ret_text = text;
    return rc;
}

static int plan_environment(struct plan *plan, const struct instance *row, struct err *err)
{
    const struct instance_edit *edit = plan->edit;
    int rc = 0;
    if (edit->variables) {
        json_t *tmpl = row->template ? json_loads(row->template, 0, NULL) : NULL;
        rc = row->template && !tmpl ? err_nomem(err)
                                    : plan_texts("variables", row->variables, edit->variables, tmpl,
                                                 &plan->variables, err);
        json_decref(tmpl);
    }
    if (rc == 0 && edit->own_env)
        rc = plan_texts("env", row->own_env, edit->own_env, NULL, &plan->own_env, err);
    plan->remade |= plan->variables || plan->own_env;
    return rc;
}

/* --- all of it ------------------------------------------------------------------------------- */

/* Only limits are others: its environment stays as it was made, as long as there is a container. */
static int plan_recipe(struct plan *plan, const struct instance *row, struct err *err)
{
    if (!plan->remade && (!plan->resized || plan->undoable))
        return 0;
    struct instance now = *row;
    now.name = plan->edit->name ? plan->edit->name : row->name;
    now.memory_mib = plan->room.memory_mib;
    now.primary_port = plan->primary_port;
    now.variables = plan->variables ? plan->variables : row->variables;
    now.own_env = plan->own_env ? plan->own_env : row->own_env;
    return recipe_of_row(&now, &plan->recipe, err);
}

static int make_plan(const struct instance *row, void *arg, struct err *err)
{
    struct plan *plan = arg;
    snprintf(plan->node_id, sizeof(plan->node_id), "%s", row->node_id);
    plan->undoable = row->container_id[0] != '\0';
    plan->held = plan->undoable || row->changing;
    plan->to_run = !row->suspended && !row->node_drained &&
                   (row->power == POWER_ON || row->power == POWER_RESTART);
    if (plan_room(plan, row, err) < 0 || plan_image(plan, row, err) < 0 ||
        plan_ports(plan, row, err) < 0 || plan_environment(plan, row, err) < 0)
        return -1;
    return plan_recipe(plan, row, err);
}

static int write_row(const struct plan *plan, struct err *err)
{
    const struct instance_edit *edit = plan->edit;
    bool changed = plan->resized || plan->remade;
    struct stmt *stmt =
        db_stmt(plan->tx->db,
                "UPDATE instances SET previous = iif(?20, " PREVIOUS ", previous),"
                " name = coalesce(?2, name), user_id = coalesce(?3, user_id),"
                " disk_mib = iif(?4 < 0, disk_mib, ?4), updated_at = ?5,"
                " memory_mib = ?6, cpu_milli = ?7, resizes = resizes + ?8,"
                " generation = generation + ?9, env = coalesce(?10, env), cmd = coalesce(?11, cmd),"
                " install = coalesce(?12, install), image = coalesce(?13, image),"
                " alt_images = coalesce(?14, alt_images), ports = coalesce(?15, ports),"
                " primary_port = ?16, port_choices = iif(?17 < 0, port_choices, ?17),"
                " variables = coalesce(?18, variables), own_env = coalesce(?19, own_env),"
                " undone = iif(?9, NULL, undone), phase = iif(?21, ?22, phase),"
                " phase_since = iif(?21, ?5, phase_since), error_code = iif(?21, '', error_code),"
                " error_message = iif(?21, '', error_message),"
                " progress_percent = iif(?21, 0, progress_percent)"
                " WHERE id = ?1",
                err);
    if (!stmt)
        return -1;
    bool picks = plan->ports_differ && ports_have(plan->asked, plan->port_count, 0);
    db_bind_text(stmt, 1, edit->id);
    db_bind_text(stmt, 2, edit->name);
    db_bind_text(stmt, 3, edit->user_id);
    db_bind_int(stmt, 4, edit->disk_mib ? (int64_t)*edit->disk_mib : -1);
    db_bind_int(stmt, 5, plan->tx->now);
    db_bind_int(stmt, 6, (int64_t)plan->room.memory_mib);
    db_bind_int(stmt, 7, plan->room.cpu_milli);
    db_bind_int(stmt, 8, plan->resized);
    db_bind_int(stmt, 9, changed);
    db_bind_text(stmt, 10, plan->recipe.env);
    db_bind_text(stmt, 11, plan->recipe.command);
    db_bind_text(stmt, 12, plan->recipe.install);
    db_bind_text(stmt, 13, edit->image);
    db_bind_text(stmt, 14, plan->alt_images);
    db_bind_text(stmt, 15, plan->ports_text);
    db_bind_int(stmt, 16, plan->primary_port);
    db_bind_int(stmt, 17, picks ? PORT_CHOICES : -1);
    db_bind_text(stmt, 18, plan->variables);
    db_bind_text(stmt, 19, plan->own_env);
    db_bind_int(stmt, 20, changed && plan->undoable);
    db_bind_int(stmt, 21, plan->remade && plan->to_run);
    db_bind_int(stmt, 22, PHASE_INSTALLING);
    return db_run(stmt, err) < 0 ? -1 : 0;
}

/* After the row, which remembers what the ports were before. */
static int write_ports(const struct plan *plan, struct err *err)
{
    struct instance row = {.id = plan->edit->id, .node_id = plan->node_id};
    if (!plan->ports_differ)
        return 0;
    if (ports_make_former(plan->tx, row.id, err) < 0 ||
        ports_write(plan->tx, &row, plan->asked, plan->ports, plan->port_count, err) < 0)
        return -1;
    return plan->held ? 0 : ports_drop_former(plan->tx, row.id, err);
}

int store_instance_edit(struct store_tx *tx, const struct instance_edit *edit, bool *ret_changed,
                        struct err *err)
{
    auto_free struct plan *plan = calloc(1, sizeof(*plan));
    if (!plan)
        return err_nomem(err);
    plan->tx = tx;
    plan->edit = edit;
    int rc = store_instance_see(tx, edit->id, make_plan, plan, err);
    if (rc == 0)
        rc = store_no_such("instance", "id", edit->id, err);
    if (rc >= 0 && edit->user_id)
        rc = instance_check_user(tx, edit->user_id, err);
    if (rc >= 0)
        rc = write_row(plan, err);
    if (rc >= 0)
        rc = write_ports(plan, err);
    plan_fini(plan);
    if (rc < 0)
        return -1;
    (void)FAILPOINT("panel.edit.written");
    *ret_changed = plan->resized || plan->remade;
    tx_touch(tx, STORE_INSTANCES);
    if (plan->resized)
        tx_touch(tx, STORE_NODES); /* what is allocated there */
    if (edit->user_id)
        tx_touch(tx, STORE_USERS); /* what its new owner had been given of it */
    return 0;
}
