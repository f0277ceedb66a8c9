/* An instance of a Skyport panel to one of ours. See internal.h.
 *
 * It is taken over stopped, and as one whose files are there: what they are only its old node
 * knows, until a person has copied them. */
#include "panel/import/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/clock.h"
#include "panel/domain/environment.h"
#include "panel/domain/image_ref.h"
#include "panel/domain/limits.h"
#include "panel/domain/ports.h"
#include "panel/domain/quantity.h"
#include "panel/domain/template.h"
#include "panel/domain/text.h"

int instance_id_of(const char *theirs, char out[IMPORT_ID_SIZE], struct err *err)
{
    static const char usable[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    char digest[CRYPTO_HEX_LEN + 1];
    size_t len = strlen(theirs);
    if (!len || len > 128)
        return err_field(err, ERR_INVALID, "invalid_field", "Id", "its Id can't be used");
    if (len >= 8 && len < IMPORT_ID_SIZE && strspn(theirs, usable) == len) {
        memcpy(out, theirs, len + 1);
        return 0;
    }
    crypto_digest_hex(theirs, len, digest);
    snprintf(out, IMPORT_ID_SIZE, "%.20s", digest);
    return 0;
}

struct adopt {
    struct instance_new create;
    struct port_mapping ports[PORTS_MAX];
    char id[IMPORT_ID_SIZE];
    json_t *tmpl;      /* NULL: none that can be used */
    json_t *variables; /* what the deploy once gave, as far as Env tells */
    char *template_text, *variables_text, *alt_images;
};

static void adopt_fini(struct adopt *adopt)
{
    json_decref(adopt->tmpl);
    json_decref(adopt->variables);
    free(adopt->template_text);
    free(adopt->variables_text);
    free(adopt->alt_images);
}

static bool has_text(const json_t *array, const char *text)
{
    size_t i;
    json_t *one;
    json_array_foreach(array, i, one)
    {
        const char *there = json_string_value(one);
        if (there && strcmp(there, text) == 0)
            return true;
    }
    return false;
}

/* Skyport keeps the environment as it was made: the template's, then the variables, then the port.
 * What isn't the template's own was a variable. */
static int read_variables(struct adopt *adopt, const json_t *env, struct err *err)
{
    size_t i;
    json_t *one;
    json_t *given = json_object();
    int rc = given ? 0 : err_nomem(err);
    json_array_foreach(env, i, one)
    {
        const char *text = json_string_value(one);
        const char *equals = text ? strchr(text, '=') : NULL;
        if (rc < 0 || !equals || has_text(json_object_get(adopt->tmpl, "Env"), text))
            continue;
        auto_free char *key = strndup(text, (size_t)(equals - text));
        if (!key)
            rc = err_nomem(err);
        else if (!environment_is_own(key) &&
                 json_object_set_new(given, key, json_string(equals + 1)) < 0)
            rc = err_nomem(err);
    }
    json_decref(adopt->variables);
    adopt->variables = NULL;
    if (rc == 0)
        rc = environment_variables("variables", given, &adopt->variables, err);
    json_decref(given);
    return rc;
}

static int write_texts(const struct item *item, struct adopt *adopt, struct err *err)
{
    struct instance *row = &adopt->create.row;
    const json_t *alternatives = json_object_get(item->from, "AltImages");
    free(adopt->variables_text);
    free(adopt->template_text);
    free(adopt->alt_images);
    adopt->template_text = adopt->tmpl ? json_dumps(adopt->tmpl, JSON_COMPACT) : NULL;
    adopt->variables_text = json_dumps(adopt->variables, JSON_COMPACT);
    adopt->alt_images =
        json_is_array(alternatives) ? json_dumps(alternatives, JSON_COMPACT) : strdup("[]");
    if ((adopt->tmpl && !adopt->template_text) || !adopt->variables_text || !adopt->alt_images)
        return err_nomem(err);
    row->template = adopt->template_text;
    row->variables = adopt->variables_text;
    row->own_env = "{}";
    row->alt_images = adopt->alt_images;
    row->mount_path =
        adopt->tmpl ? template_text(adopt->tmpl, "MountPath", DEFAULT_MOUNT) : DEFAULT_MOUNT;
    row->stop_timeout_s = adopt->tmpl ? template_stop_timeout(adopt->tmpl) : 0;
    row->terminal = adopt->tmpl && template_wants_terminal(adopt->tmpl);
    return 0;
}

static int read_amounts(struct adopt *adopt, struct texts *texts, struct err *err)
{
    struct instance_new *create = &adopt->create;
    const char *memory = texts_need(texts, "Memory", err), *cpu = texts_need(texts, "Cpu", err);
    const char *ports = texts_need(texts, "Ports", err);
    const char *disk = texts_get(texts, "Disk", NULL);
    const char *primary = texts_get(texts, "Primary", "0");
    if (err->code ||
        quantity_parse_mib("Memory", memory, QUANTITY_MEMORY_MIN_MIB, &create->row.memory_mib,
                           err) < 0 ||
        quantity_parse_cpu("Cpu", cpu, &create->row.cpu_milli, err) < 0 ||
        ports_parse("Ports", ports, adopt->ports, &create->port_count, err) < 0 ||
        ports_parse_primary("Primary", primary, adopt->ports, create->port_count,
                            &create->primary_asked, err) < 0)
        return -1;
    create->ports = adopt->ports;
    return disk && *disk ? quantity_parse_mib("Disk", disk, 0, &create->row.disk_mib, err) : 0;
}

static int read_instance(const struct item *item, struct texts *texts, struct adopt *adopt,
                         struct err *err)
{
    struct instance *row = &adopt->create.row;
    const json_t *node = json_object_get(item->from, "Node");
    const json_t *image_data = json_object_get(item->from, "imageData");
    struct err why = {0};
    adopt->create.auto_ports = item->settings->auto_ports;
    row->id = adopt->id;
    row->name = texts_need(texts, "Name", err);
    row->user_id = texts_need(texts, "User", err);
    row->image = texts_need(texts, "Image", err);
    row->stop_command = texts_get(texts, "StopCommand", "");
    row->node_id = json_string_value(json_object_get(node, "id"));
    row->created_at = clock_wall_ms();
    if (!err->code && !row->node_id)
        err_field(err, ERR_INVALID, "missing_field", "Node", "it doesn't say on which node it is");
    if (err->code || text_check_name("Name", row->name, INSTANCE_NAME_MAX, err) < 0 ||
        image_ref_check("Image", row->image, err) < 0 || read_amounts(adopt, texts, err) < 0)
        return -1;
    if (json_is_object(image_data) &&
        template_normalize(image_data, adopt->id, &adopt->tmpl, &why) < 0) {
        adopt->tmpl = NULL;
        if (item_note(item->report, err, "its template can't be used, so it has none: %s",
                      why.msg) < 0)
            return -1;
    }
    if (read_variables(adopt, json_object_get(item->from, "Env"), err) < 0)
        return -1;
    return write_texts(item, adopt, err);
}

/* With its template, or, when that makes no container for these values, with the environment that
 * it had and no template. */
static int adopt_row(const struct item *item, struct adopt *adopt, struct err *err)
{
    bool suspended = member_is_true(item->from, "suspended");
    struct err why = {0};
    if (store_instance_adopt(item->tx, &adopt->create, suspended, &why) == 0)
        return 0;
    if (!adopt->tmpl || why.code != ERR_INVALID) {
        *err = why;
        return -1;
    }
    json_decref(adopt->tmpl);
    adopt->tmpl = NULL;
    if (read_variables(adopt, json_object_get(item->from, "Env"), err) < 0 ||
        write_texts(item, adopt, err) < 0)
        return -1;
    if (store_instance_adopt(item->tx, &adopt->create, suspended, err) < 0)
        return -1;
    return item_note(item->report, err, "its template can't be used, so it has none: %s", why.msg);
}

static int see_instance(const struct instance *instance, void *arg, struct err *err)
{
    (void)instance;
    (void)arg;
    (void)err;
    return 0;
}

static bool is_folder(const char *name)
{
    return text_check_id("VolumeId", name, NULL) == 0;
}

/* Where its files are with Skyport's daemon, and what else a person should know. */
static int tell_about(const struct item *item, struct texts *texts, const struct adopt *adopt,
                      struct err *err)
{
    const char *state = texts_get(texts, "InternalState", "READY");
    const char *volume = texts_get(texts, "VolumeId", texts_get(texts, "Id", ""));
    if (!is_folder(volume)) /* it is to be pasted into a shell */
        return item_note(item->report, err, "the name of its volume can't be used");
    if (json_object_set_new(item->report, "nodeId", json_string(adopt->create.row.node_id)) < 0 ||
        json_object_set_new(item->report, "volume", json_string(volume)) < 0)
        return err_nomem(err);
    if (strcmp(state, "READY") != 0 && item_note(item->report, err, "it was %s", state) < 0)
        return -1;
    if (strcmp(adopt->id, texts_get(texts, "Id", "")) != 0 &&
        item_note(item->report, err, "its id was %s", texts_get(texts, "Id", "")) < 0)
        return -1;
    return 0;
}

static int put_instance(const struct item *item, struct texts *texts, struct adopt *adopt,
                        struct err *err)
{
    const char *theirs = texts_need(texts, "Id", err);
    if (!theirs || instance_id_of(theirs, adopt->id, err) < 0)
        return -1;
    json_object_set_new(item->report, "id", json_string(adopt->id));
    int there = store_instance_see(item->tx, adopt->id, see_instance, NULL, err);
    if (there)
        return there;
    if (read_instance(item, texts, adopt, err) < 0 || adopt_row(item, adopt, err) < 0)
        return -1;
    return tell_about(item, texts, adopt, err);
}

int item_instance(const struct item *item, struct err *err)
{
    struct texts texts;
    struct adopt adopt = {0};
    if (texts_begin(&texts, item->from, err) < 0)
        return -1;
    int rc = put_instance(item, &texts, &adopt, err);
    adopt_fini(&adopt);
    return texts_end(&texts, rc, err);
}
