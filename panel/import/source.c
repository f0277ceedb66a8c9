/* What a Skyport database held. See skyport.h.
 *
 * Its rows are JSON texts {"value", "expires"} under "<namespace>:<key>". Three places know of each
 * instance: "instances", "<user>_instances" and "<id>_instance", written one after the other and
 * without a lock, so they may differ. Whether there is an instance the lists say: Skyport's API
 * deletes it from them and leaves "<id>_instance" behind. What it is like that row says, where it
 * is there, for it is the one that Skyport's own pages show and change. */
#include "panel/import/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/utf8.h"
#include "panel/store/keyv.h"

#define KEY_SHOWN 256

/* Rows by their key without the namespace, until they are sorted out. */
struct rows {
    json_t *values;
    json_t *nodes, *instances; /* those taken, by id */
    struct skyport *out;
};

/* --- rows ------------------------------------------------------------------------------------ */

/* A key may hold any bytes; what is told of it is text, and not all of a long one. */
static int add_row(json_t *to, const char *key, const char *message, struct err *err)
{
    char sound[KEY_SHOWN];
    utf8_copy(sound, sizeof(sound), key);
    json_t *row = json_pack("{s:s, s:s}", "key", sound, "message", message);
    return json_array_append_new(to, row) < 0 ? err_nomem(err) : 0;
}

/* A text that began with ":" was written with another one before it. NULL: out of memory. */
static json_t *unescaped(const json_t *value)
{
    const char *key;
    json_t *member;
    size_t i;
    json_t *out = NULL;
    int rc = 0;
    switch (json_typeof(value)) {
    case JSON_STRING:
        return json_string(json_string_value(value) + (json_string_value(value)[0] == ':'));
    case JSON_ARRAY:
        out = json_array();
        json_array_foreach(value, i, member)
        {
            rc |= json_array_append_new(out, unescaped(member));
        }
        break;
    case JSON_OBJECT:
        out = json_object();
        json_object_foreach((json_t *)(uintptr_t)value, key, member)
        {
            rc |= json_object_set_new(out, key, unescaped(member));
        }
        break;
    default:
        return json_incref((json_t *)(uintptr_t)value);
    }
    if (rc == 0)
        return out;
    json_decref(out);
    return NULL;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), tail = strlen(end);
    return len > tail && strcmp(text + len - tail, end) == 0;
}

/* Is it one of those that something is made from? */
static bool is_known(const char *key)
{
    static const char *const whole[] = {"users", "images", "nodes", "instances"};
    for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
        if (strcmp(key, whole[i]) == 0)
            return true;
    }
    return ends_with(key, "_node") || ends_with(key, "_instance") || ends_with(key, "_instances");
}

/* Of the rows that aren't taken over: what a person should know of them. */
static const char *why_left(const char *key)
{
    static const struct {
        const char *key, *why;
    } known[] = {
        {"apiKeys", "API keys are made anew, with \"paneld key create\""},
        {"audits", "the log of what was done before"},
        {"smtp_settings", "this panel sends no mail"},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(key, known[i].key) == 0)
            return known[i].why;
    }
    return ends_with(key, "_workflow") ? "this panel has no workflows" : "it has no place here";
}

static int take_row(const char *full_key, const char *text, void *arg, struct err *err)
{
    struct rows *rows = arg;
    const char *colon = strchr(full_key, ':');
    const char *key = colon ? colon + 1 : full_key;
    if (strcmp(key, "skyport_instance") == 0) /* the panel's own id */
        return add_row(rows->out->left, key, "it has no place here", err);
    if (!is_known(key))
        return add_row(rows->out->left, key, why_left(key), err);
    if (!utf8_is_valid(key))
        return add_row(rows->out->broken, key, "its key is no UTF-8", err);
    json_t *root = text ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    const json_t *value = json_object_get(root, "value");
    const json_t *expires = json_object_get(root, "expires");
    int rc = 0;
    if (!value)
        rc =
            add_row(rows->out->broken, key, "its value is no JSON of the form {\"value\": …}", err);
    else if (json_object_get(rows->values, key))
        rc = add_row(rows->out->broken, key, "there are two rows of that name, in two namespaces",
                     err);
    else if (!json_is_number(expires) || json_number_value(expires) > (double)clock_wall_ms())
        rc = json_object_set_new(rows->values, key, unescaped(value)) < 0 ? err_nomem(err) : 0;
    json_decref(root);
    return rc;
}

/* --- lists ----------------------------------------------------------------------------------- */

/* The objects of the array in that row; what is none is told. */
static int take_objects(struct rows *rows, const char *key, json_t *to, struct err *err)
{
    const json_t *array = json_object_get(rows->values, key);
    size_t i;
    json_t *one;
    if (array && !json_is_array(array))
        return add_row(rows->out->broken, key, "its value is no list", err);
    json_array_foreach(array, i, one)
    {
        if (!json_is_object(one)) {
            if (add_row(rows->out->broken, key, "something in it is no object", err) < 0)
                return -1;
        } else if (json_array_append(to, one) < 0) {
            return err_nomem(err);
        }
    }
    return 0;
}

static const json_t *row_of(const struct rows *rows, const char *id, const char *end)
{
    auto_free char *key = NULL;
    if (asprintf(&key, "%s%s", id, end) < 0) {
        key = NULL;
        return NULL;
    }
    return json_object_get(rows->values, key);
}

static int add_node(struct rows *rows, const char *id, const json_t *from, struct err *err)
{
    json_t *node = json_copy((json_t *)(uintptr_t)from);
    int rc = json_object_set_new(node, "id", json_string(id));
    if (rc == 0)
        rc = json_object_set(rows->nodes, id, node);
    if (rc == 0)
        rc = json_array_append(rows->out->nodes, node);
    json_decref(node);
    return rc < 0 ? err_nomem(err) : 0;
}

/* "nodes" holds ids alone. */
static int take_nodes(struct rows *rows, struct err *err)
{
    const json_t *ids = json_object_get(rows->values, "nodes");
    size_t i;
    json_t *one;
    if (ids && !json_is_array(ids))
        return add_row(rows->out->broken, "nodes", "its value is no list", err);
    json_array_foreach(ids, i, one)
    {
        const char *id = json_string_value(one);
        const json_t *node = id ? row_of(rows, id, "_node") : NULL;
        int rc = 0;
        if (!json_is_object(node))
            rc = add_row(rows->out->broken, id ? id : "nodes",
                         "the list of nodes names it, and it has no row of its own", err);
        else if (!json_object_get(rows->nodes, id))
            rc = add_node(rows, id, node, err);
        if (rc < 0)
            return -1;
    }
    return 0;
}

/* --- instances ------------------------------------------------------------------------------- */

static int add_instance(struct rows *rows, const char *list, const json_t *listed, struct err *err)
{
    json_t *id = member_text(listed, "Id");
    if (!id)
        id = member_text(listed, "VolumeId");
    if (!id)
        return add_row(rows->out->broken, list, "an instance in it has no Id", err);
    int rc = 0;
    if (!json_object_get(rows->instances, json_string_value(id))) {
        const json_t *own = row_of(rows, json_string_value(id), "_instance");
        json_t *made = json_copy((json_t *)(uintptr_t)(json_is_object(own) ? own : listed));
        json_object_set(made, "Id", id);
        json_object_set_new(made, "notes", json_array());
        if (json_object_set(rows->instances, json_string_value(id), made) < 0 ||
            json_array_append(rows->out->instances, made) < 0)
            rc = err_nomem(err);
        json_decref(made);
    }
    json_decref(id);
    return rc;
}

/* Where a list has it otherwise than what was taken. */
static int compare(struct rows *rows, const char *list, const json_t *listed, struct err *err)
{
    static const char *const members[] = {"Name", "User",  "Image",   "Memory",
                                          "Cpu",  "Ports", "Primary", "suspended"};
    json_t *text = member_text(listed, "Id");
    json_t *taken = text ? json_object_get(rows->instances, json_string_value(text)) : NULL;
    json_decref(text);
    for (size_t i = 0; taken && i < ARRAY_LEN(members); i++) {
        const json_t *a = json_object_get(taken, members[i]);
        const json_t *b = json_object_get(listed, members[i]);
        bool both_no = !member_is_true(taken, members[i]) && !member_is_true(listed, members[i]) &&
                       strcmp(members[i], "suspended") == 0;
        if (!both_no && !json_equal(a, b) &&
            item_note(taken, err, "%s has another %s of it, which was not taken", list,
                      members[i]) < 0)
            return -1;
    }
    return 0;
}

typedef int (*listed_fn)(struct rows *rows, const char *list, const json_t *listed,
                         struct err *err);

static int walk_list(struct rows *rows, const char *key, listed_fn fn, struct err *err)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(rows->values, key), i, one)
    {
        if (json_is_object(one) && fn(rows, key, one, err) < 0)
            return -1;
    }
    return 0;
}

/* All lists that instances stand in: that of all, then those of users. */
static int walk_lists(struct rows *rows, listed_fn fn, struct err *err)
{
    const char *key;
    json_t *value;
    if (walk_list(rows, "instances", fn, err) < 0)
        return -1;
    json_object_foreach(rows->values, key, value)
    {
        if (ends_with(key, "_instances") && walk_list(rows, key, fn, err) < 0)
            return -1;
    }
    return 0;
}

/* Its node, where no list has it: as the instance remembers it. */
static int take_node_of(struct rows *rows, json_t *instance, struct err *err)
{
    const json_t *node = json_object_get(instance, "Node");
    const char *id = json_string_value(json_object_get(node, "id"));
    if (!id || json_object_get(rows->nodes, id))
        return 0;
    const json_t *own = row_of(rows, id, "_node");
    if (item_note(instance, err, "its node is in no list; %s was taken",
                  own ? "the node's own row" : "what the instance says of it") < 0)
        return -1;
    return add_node(rows, id, json_is_object(own) ? own : node, err);
}

/* Rows of instances and nodes that no list knows. */
static int tell_leftovers(struct rows *rows, struct err *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(rows->values, key, value)
    {
        bool node = ends_with(key, "_node"), instance = ends_with(key, "_instance");
        if (!node && !instance)
            continue;
        auto_free char *id = strndup(key, strlen(key) - strlen(node ? "_node" : "_instance"));
        if (!id)
            return err_nomem(err);
        bool taken = json_object_get(node ? rows->nodes : rows->instances, id) != NULL;
        if (!taken &&
            add_row(rows->out->left, key, "no list has it, so it was deleted before", err) < 0)
            return -1;
    }
    return 0;
}

/* Skyport finds an image by its name, and the first one of that name: others were never used. */
static int take_images(struct rows *rows, struct err *err)
{
    json_t *all = json_array();
    json_t *names = json_object();
    int rc = all && names ? take_objects(rows, "images", all, err) : err_nomem(err);
    size_t i;
    json_t *image;
    json_array_foreach(all, i, image)
    {
        json_t *name = member_text(image, "Name");
        const char *text = name ? json_string_value(name) : "";
        if (rc == 0 && name && json_object_get(names, text))
            rc = add_row(rows->out->left, text,
                         "an image; another one of that name comes before it", err);
        else if (rc == 0 && (json_object_set_new(names, text, json_true()) < 0 ||
                             json_array_append(rows->out->images, image) < 0))
            rc = err_nomem(err);
        json_decref(name);
    }
    json_decref(all);
    json_decref(names);
    return rc;
}

static int take_instances(struct rows *rows, struct err *err)
{
    size_t i;
    json_t *instance;
    json_t *unused = json_array();
    int rc = take_objects(rows, "instances", unused, err); /* for what it says of a broken list */
    json_decref(unused);
    if (rc < 0 || walk_lists(rows, add_instance, err) < 0 || walk_lists(rows, compare, err) < 0)
        return -1;
    json_array_foreach(rows->out->instances, i, instance)
    {
        if (take_node_of(rows, instance, err) < 0)
            return -1;
    }
    return tell_leftovers(rows, err);
}

/* --- all ------------------------------------------------------------------------------------- */

int skyport_read(const char *file, struct skyport *ret, struct err *err)
{
    struct skyport out = {json_array(), json_array(), json_array(),
                          json_array(), json_array(), json_array()};
    struct rows rows = {
        .values = json_object(), .nodes = json_object(), .instances = json_object(), .out = &out};
    int rc = -1;
    if (!out.users || !out.images || !out.nodes || !out.instances || !out.broken || !out.left ||
        !rows.values || !rows.nodes || !rows.instances)
        err_nomem(err);
    else
        rc = keyv_read(file, take_row, &rows, err);
    if (rc == 0 && !json_object_size(rows.values) && !json_array_size(out.broken))
        rc =
            err_set(err, ERR_INVALID, "no_skyport",
                    "%s has neither users nor images, nodes or instances of a Skyport panel", file);
    if (rc == 0 &&
        (take_objects(&rows, "users", out.users, err) < 0 || take_images(&rows, err) < 0 ||
         take_nodes(&rows, err) < 0 || take_instances(&rows, err) < 0))
        rc = -1;
    json_decref(rows.values);
    json_decref(rows.nodes);
    json_decref(rows.instances);
    if (rc == 0)
        *ret = out;
    else
        skyport_fini(&out);
    return rc;
}

void skyport_fini(struct skyport *skyport)
{
    json_decref(skyport->users);
    json_decref(skyport->images);
    json_decref(skyport->nodes);
    json_decref(skyport->instances);
    json_decref(skyport->broken);
    json_decref(skyport->left);
}
