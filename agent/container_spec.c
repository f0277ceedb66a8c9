/* The one place that knows what a container of ours may and may not do. See container_spec.h.
 *
 * Everything is capped or dropped unless it is listed here: memory with no extra swap, CPUs,
 * processes, log size, capabilities. */
#include "agent/container_spec.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/docker.h"
#include "agent/docker_json.h"
#include "agent/install.h"
#include "common/auto.h"
#include "common/envelope.h"
#include "common/json_writer.h"

#define MEMORY_MIN    (6ull << 20)
#define MEMORY_MAX    (1ull << 50)
#define NANO_CPUS_MIN 10000000ull /* Docker's least: 0.01 core */
#define NANO_CPUS_MAX 1024000000000ull
#define PIDS_MAX      1000000u
#define PORTS_MAX     1024u
#define ENV_MAX       4096u
#define TEXT_MAX      131072u /* the kernel's own limit for one string of argv or environ */
#define URI_MAX       4096u
#define MOUNT_MAX     1024u
#define GRACE_MAX     3600u
#define GRACE_DEFAULT 10u /* Docker's own */

/* What images that start as root need to drop to their own user and serve; nothing more. */
static const char *const capabilities[] = {
    "CHOWN",  "DAC_OVERRIDE", "FOWNER",           "FSETID", "SETGID",
    "SETUID", "SETPCAP",      "NET_BIND_SERVICE", "KILL",
};

static int bad(struct err *err, const char *what)
{
    return err_set(err, ERR_INVALID, "bad_spec", "%s", what);
}

static bool is_mount_path(const char *path)
{
    size_t len = strlen(path);
    if (len < 2 || len > MOUNT_MAX || path[0] != '/')
        return false;
    for (const char *p = path; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return false;
        if (strncmp(p, "/..", 3) == 0 && (p[3] == '/' || p[3] == '\0'))
            return false;
    }
    return true;
}

static int check_ports(const Wire__InstanceSpec *spec, struct err *err)
{
    if (spec->n_ports > PORTS_MAX)
        return bad(err, "there are more than 1024 ports");
    for (size_t i = 0; i < spec->n_ports; i++) {
        const Wire__PortMapping *port = spec->ports[i];
        if (port->container_port < 1 || port->container_port > 65535 || port->host_port < 1 ||
            port->host_port > 65535)
            return bad(err, "a port is not between 1 and 65535");
        if (port->protocol != WIRE__PROTOCOL__PROTOCOL_TCP &&
            port->protocol != WIRE__PROTOCOL__PROTOCOL_UDP)
            return bad(err, "a port is neither tcp nor udp");
    }
    return 0;
}

static int check_texts(const Wire__InstanceSpec *spec, struct err *err)
{
    if (spec->n_env > ENV_MAX || spec->n_cmd > ENV_MAX)
        return bad(err, "there are more than 4096 variables or words in the command");
    for (size_t i = 0; i < spec->n_env; i++) {
        const char *eq = strchr(spec->env[i], '=');
        if (!eq || eq == spec->env[i] || strlen(spec->env[i]) >= TEXT_MAX)
            return bad(err, "a variable is not of the form KEY=value, or is too long");
    }
    for (size_t i = 0; i < spec->n_cmd; i++) {
        if (strlen(spec->cmd[i]) >= TEXT_MAX)
            return bad(err, "a word of the command is too long");
    }
    return 0;
}

/* Relative, without ".." and control characters, ending in a name. */
static bool is_volume_path(const char *path)
{
    size_t last = 0;
    if (!*path || *path == '/' || strlen(path) > MOUNT_MAX)
        return false;
    for (const char *part = path; *part;) {
        size_t len = strcspn(part, "/");
        if ((len == 2 && part[0] == '.' && part[1] == '.') || len > 255)
            return false;
        last = len == 1 && part[0] == '.' ? 0 : len;
        part += len;
        part += *part == '/';
    }
    for (const char *p = path; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return false;
    }
    return last && path[strlen(path) - 1] != '/';
}

static bool is_uri(const char *uri)
{
    return (strncasecmp(uri, "http://", 7) == 0 || strncasecmp(uri, "https://", 8) == 0) &&
           strlen(uri) <= URI_MAX && !strpbrk(uri, " \t\r\n");
}

static int check_install(const Wire__InstanceSpec *spec, struct err *err)
{
    if (spec->n_install > INSTALL_FILES_MAX)
        return bad(err, "there are more than 256 files to install");
    for (size_t i = 0; i < spec->n_install; i++) {
        const Wire__InstallFile *file = spec->install[i];
        size_t digits = strspn(file->sha256, "0123456789abcdefABCDEF");
        if (!is_uri(file->uri))
            return bad(err, "the address of a file to install is not http:// or https://");
        if (!is_volume_path(file->path))
            return bad(err, "the path of a file to install is not a relative one without \"..\"");
        if (file->sha256[digits] || (digits && digits != 64))
            return bad(err, "the SHA-256 of a file to install is not 64 hex digits");
    }
    return 0;
}

int container_spec_check(const Wire__InstanceSpec *spec, struct err *err)
{
    if (!docker_image_is_sane(spec->image))
        return bad(err, "the image is not a Docker image reference");
    if (spec->memory_bytes < MEMORY_MIN || spec->memory_bytes > MEMORY_MAX)
        return bad(err, "the memory is not between 6 MiB and 1 PiB");
    if (spec->nano_cpus < NANO_CPUS_MIN || spec->nano_cpus > NANO_CPUS_MAX)
        return bad(err, "the CPU share is not between 0.01 and 1024 cores");
    if (spec->pids_limit > PIDS_MAX)
        return bad(err, "the limit of processes is over 1000000");
    if (spec->stop_grace_seconds > GRACE_MAX)
        return bad(err, "the time to stop is over an hour");
    if (envelope_check_id(spec->volume_id) < 0)
        return bad(err, "the volume id is not 1-64 characters of A-Z a-z 0-9 _ . -");
    if (!is_mount_path(spec->mount_path))
        return bad(err, "the mount path is not an absolute path without \"..\"");
    if (check_ports(spec, err) < 0 || check_install(spec, err) < 0)
        return -1;
    return check_texts(spec, err);
}

int container_spec_base_hash(const Wire__InstanceSpec *spec, char out[65], struct err *err)
{
    Wire__InstanceSpec base = *spec;
    base.memory_bytes = 0;
    base.nano_cpus = 0;
    base.resizes = 0;
    base.pull_round = 0;
    return envelope_spec_hash(&base, out, err);
}

uint32_t container_spec_grace(const Wire__InstanceSpec *spec)
{
    return spec && spec->stop_grace_seconds ? spec->stop_grace_seconds : GRACE_DEFAULT;
}

static void port_key(const Wire__PortMapping *port, char out[16])
{
    snprintf(out, 16, "%u/%s", port->container_port,
             port->protocol == WIRE__PROTOCOL__PROTOCOL_UDP ? "udp" : "tcp");
}

/* Has an earlier mapping the same container port and protocol? */
static bool is_repeated(const Wire__InstanceSpec *spec, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (spec->ports[i]->container_port == spec->ports[at]->container_port &&
            spec->ports[i]->protocol == spec->ports[at]->protocol)
            return true;
    }
    return false;
}

static void write_exposed(struct strbuf *sb, const Wire__InstanceSpec *spec)
{
    jw_object_begin(sb, "ExposedPorts");
    for (size_t i = 0; i < spec->n_ports; i++) {
        char key[16];
        if (is_repeated(spec, i))
            continue;
        port_key(spec->ports[i], key);
        jw_object_begin(sb, key);
        jw_object_end(sb);
    }
    jw_object_end(sb);
}

static void write_bindings(struct strbuf *sb, const Wire__InstanceSpec *spec, const char *bind_ip)
{
    jw_object_begin(sb, "PortBindings");
    for (size_t i = 0; i < spec->n_ports; i++) {
        char key[16];
        if (is_repeated(spec, i))
            continue;
        port_key(spec->ports[i], key);
        jw_array_begin(sb, key);
        for (size_t j = i; j < spec->n_ports; j++) {
            const Wire__PortMapping *port = spec->ports[j];
            if (port->container_port != spec->ports[i]->container_port ||
                port->protocol != spec->ports[i]->protocol)
                continue;
            char host_port[12];
            snprintf(host_port, sizeof(host_port), "%u", port->host_port);
            jw_object_begin(sb, NULL);
            jw_string(sb, "HostIp", bind_ip);
            jw_string(sb, "HostPort", host_port);
            jw_object_end(sb);
        }
        jw_array_end(sb);
    }
    jw_object_end(sb);
}

static void write_strings(struct strbuf *sb, const char *key, char *const *texts, size_t count)
{
    jw_array_begin(sb, key);
    for (size_t i = 0; i < count; i++)
        jw_string(sb, NULL, texts[i]);
    jw_array_end(sb);
}

static void write_number(struct strbuf *sb, const char *label, uint64_t number)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%" PRIu64, number);
    jw_string(sb, label, digits);
}

static void write_labels(struct strbuf *sb, const Wire__InstanceSpec *spec,
                         const struct container_labels *labels, const char *bind_ip)
{
    jw_object_begin(sb, "Labels");
    jw_string(sb, LABEL_PANEL, labels->panel_id);
    jw_string(sb, LABEL_INSTANCE, labels->instance_id);
    write_number(sb, LABEL_GENERATION, labels->generation);
    jw_string(sb, LABEL_SPEC, labels->spec_hash);
    jw_string(sb, LABEL_BASE, labels->base_hash);
    if (spec->pull_round)
        write_number(sb, LABEL_PULLED, spec->pull_round);
    if (spec->terminal)
        jw_string(sb, LABEL_TERMINAL, "1");
    if (bind_ip[0])
        jw_string(sb, LABEL_ADDRESS, bind_ip);
    jw_object_end(sb);
}

static void write_limits(struct strbuf *sb, const Wire__InstanceSpec *spec)
{
    jw_int(sb, "Memory", (int64_t)spec->memory_bytes);
    jw_int(sb, "MemorySwap", (int64_t)spec->memory_bytes);
    jw_int(sb, "NanoCpus", (int64_t)spec->nano_cpus);
}

static void write_host_config(struct strbuf *sb, const Wire__InstanceSpec *spec,
                              const struct container_place *place)
{
    jw_object_begin(sb, "HostConfig");
    write_limits(sb, spec);
    if (spec->pids_limit)
        jw_int(sb, "PidsLimit", spec->pids_limit);
    write_bindings(sb, spec, place->bind_ip);
    jw_string(sb, "NetworkMode", "bridge");
    jw_object_begin(sb, "RestartPolicy");
    jw_string(sb, "Name", "unless-stopped");
    jw_object_end(sb);
    jw_array_begin(sb, "Mounts");
    jw_object_begin(sb, NULL);
    jw_string(sb, "Type", "bind");
    jw_string(sb, "Source", place->volume_path);
    jw_string(sb, "Target", spec->mount_path);
    jw_object_end(sb);
    jw_array_end(sb);
    jw_array_begin(sb, "SecurityOpt");
    jw_string(sb, NULL, "no-new-privileges");
    jw_array_end(sb);
    jw_array_begin(sb, "CapDrop");
    jw_string(sb, NULL, "ALL");
    jw_array_end(sb);
    jw_array_begin(sb, "CapAdd");
    for (size_t i = 0; i < ARRAY_LEN(capabilities); i++)
        jw_string(sb, NULL, capabilities[i]);
    jw_array_end(sb);
    jw_object_begin(sb, "LogConfig");
    jw_string(sb, "Type", place->log_driver);
    jw_object_begin(sb, "Config");
    jw_string(sb, "max-size", "10m");
    jw_string(sb, "max-file", "3");
    jw_object_end(sb);
    jw_object_end(sb);
    jw_object_end(sb);
}

char *container_spec_body(const Wire__InstanceSpec *spec, const struct container_labels *labels,
                          const struct container_place *place)
{
    struct strbuf sb = {0};
    jw_object_begin(&sb, NULL);
    jw_string(&sb, "Image", spec->image);
    if (spec->n_cmd)
        write_strings(&sb, "Cmd", spec->cmd, spec->n_cmd);
    write_strings(&sb, "Env", spec->env, spec->n_env);
    write_labels(&sb, spec, labels, place->bind_ip);
    jw_bool(&sb, "OpenStdin", true);
    jw_bool(&sb, "Tty", spec->terminal);
    jw_int(&sb, "StopTimeout", container_spec_grace(spec));
    if (place->stop_signal[0])
        jw_string(&sb, "StopSignal", place->stop_signal);
    write_exposed(&sb, spec);
    write_host_config(&sb, spec, place);
    jw_object_end(&sb);
    return strbuf_steal(&sb);
}

char *container_spec_limits(const Wire__InstanceSpec *spec)
{
    struct strbuf sb = {0};
    jw_object_begin(&sb, NULL);
    write_limits(&sb, spec);
    jw_object_end(&sb);
    return strbuf_steal(&sb);
}
