/* From an instance's row to its spec. See spec.h.
 * The result is made with malloc in protobuf-c's own layout, so its free function serves. */
#include "panel/fleet/spec.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"

#define PIDS_LIMIT         1024
#define STOP_GRACE_SECONDS 10

static int texts_from_json(const char *json, size_t *ret_count, char ***ret_texts, struct err *err)
{
    json_t *root = json_loads(json, 0, NULL);
    size_t count = json_array_size(root);
    char **texts = calloc(count + 1, sizeof(*texts));
    if (!root || !texts)
        goto fail;
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(root, i));
        texts[i] = strdup(text ? text : "");
        if (!texts[i])
            goto fail;
    }
    json_decref(root);
    *ret_count = count;
    *ret_texts = texts;
    return 0;
fail:
    for (size_t i = 0; texts && i < count; i++)
        free(texts[i]);
    free(texts);
    json_decref(root);
    return err_nomem(err);
}

static int add_port(Wire__InstanceSpec *spec, unsigned container, unsigned host,
                    Wire__Protocol protocol, struct err *err)
{
    Wire__PortMapping *port = malloc(sizeof(*port));
    Wire__PortMapping **ports = reallocarray(spec->ports, spec->n_ports + 1, sizeof(*ports));
    if (ports)
        spec->ports = ports;
    if (!port || !ports) {
        free(port);
        return err_nomem(err);
    }
    wire__port_mapping__init(port);
    port->container_port = container;
    port->host_port = host;
    port->protocol = protocol;
    spec->ports[spec->n_ports++] = port;
    return 0;
}

/* The canonical text that the store wrote: "8080:18080,9000:19000/udp". */
static int ports_from_text(const char *text, Wire__InstanceSpec *spec, struct err *err)
{
    while (*text) {
        unsigned container;
        unsigned host;
        int used = 0;
        if (sscanf(text, "%5u:%5u%n", &container, &host, &used) != 2)
            return err_set(err, ERR_INTERNAL, "bad_ports", "stored ports can't be read");
        text += used;
        bool tcp = strncmp(text, "/udp", 4) != 0;
        bool udp = strncmp(text, "/tcp", 4) != 0;
        if (tcp && add_port(spec, container, host, WIRE__PROTOCOL__PROTOCOL_TCP, err) < 0)
            return -1;
        if (udp && add_port(spec, container, host, WIRE__PROTOCOL__PROTOCOL_UDP, err) < 0)
            return -1;
        text += strcspn(text, ",");
        text += *text == ',';
    }
    return 0;
}

static char *copy_member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return strdup(text ? text : "");
}

static int add_file(Wire__InstanceSpec *spec, const json_t *from, struct err *err)
{
    Wire__InstallFile *file = malloc(sizeof(*file));
    if (!file)
        return err_nomem(err);
    wire__install_file__init(file);
    char *uri = copy_member(from, "uri");
    char *path = copy_member(from, "path");
    char *sum = copy_member(from, "sha256");
    file->uri = uri ? uri : file->uri;
    file->path = path ? path : file->path;
    file->sha256 = sum ? sum : file->sha256;
    spec->install[spec->n_install++] = file;
    return uri && path && sum ? 0 : err_nomem(err);
}

static int install_from_json(const struct instance *row, Wire__InstanceSpec *spec, struct err *err)
{
    size_t i;
    json_t *file;
    if (!row->install_round)
        return 0;
    spec->install_round = row->install_round;
    spec->install_wipe = row->install_wipe;
    json_t *files = json_loads(row->install, 0, NULL);
    spec->install = calloc(json_array_size(files) + 1, sizeof(*spec->install));
    int rc = files && spec->install ? 0 : err_nomem(err);
    json_array_foreach(files, i, file)
    {
        if (rc == 0)
            rc = add_file(spec, file, err);
    }
    json_decref(files);
    return rc;
}

int spec_create(const struct instance *row, Wire__InstanceSpec **ret_spec, struct err *err)
{
    Wire__InstanceSpec *spec = malloc(sizeof(*spec));
    if (!spec)
        return err_nomem(err);
    wire__instance_spec__init(spec);
    spec->memory_bytes = row->memory_mib * 1024 * 1024;
    spec->nano_cpus = (uint64_t)row->cpu_milli * 1000000;
    spec->pids_limit = PIDS_LIMIT;
    spec->resizes = row->resizes;
    spec->pull_round = row->pull_round;
    spec->terminal = row->terminal;
    spec->stop_grace_seconds = STOP_GRACE_SECONDS;
    char *image = strdup(row->image);
    char *volume = strdup(row->id);
    char *mount = strdup(row->mount_path);
    spec->image = image ? image : spec->image;
    spec->volume_id = volume ? volume : spec->volume_id;
    spec->mount_path = mount ? mount : spec->mount_path;
    if (!image || !volume || !mount)
        err_nomem(err);
    if (!image || !volume || !mount || ports_from_text(row->ports, spec, err) < 0 ||
        install_from_json(row, spec, err) < 0 ||
        texts_from_json(row->env, &spec->n_env, &spec->env, err) < 0 ||
        texts_from_json(row->cmd, &spec->n_cmd, &spec->cmd, err) < 0) {
        spec_destroy(spec);
        return -1;
    }
    *ret_spec = spec;
    return 0;
}

void spec_destroy(Wire__InstanceSpec *spec)
{
    if (spec)
        wire__instance_spec__free_unpacked(spec, NULL);
}

int spec_hash(const struct instance *row, char out[65], struct err *err)
{
    Wire__InstanceSpec *spec;
    if (spec_create(row, &spec, err) < 0)
        return -1;
    int rc = envelope_spec_hash(spec, out, err);
    spec_destroy(spec);
    return rc;
}
