/* Wire shapes. See wire.h. The member names are compatibility surface: they never change. */
#include "panel/api/wire.h"

#include <stdio.h>
#include <string.h>

#include "common/json_writer.h"
#include "panel/domain/instance_state.h"

/* Empty is unknown, and unknown is null. */
static void put_text_or_null(struct strbuf *out, const char *key, const char *s)
{
    jw_string(out, key, s && *s ? s : NULL);
}

static void put_count_or_null(struct strbuf *out, const char *key, uint64_t n)
{
    if (n)
        jw_int(out, key, (int64_t)n);
    else
        jw_null(out, key);
}

void wire_user(struct strbuf *out, const struct user *user)
{
    jw_object_begin(out, NULL);
    jw_string(out, "userId", user->id);
    jw_string(out, "username", user->username);
    jw_string(out, "email", user->email);
    jw_raw(out, "accessTo", user->access_to);
    jw_bool(out, "admin", user->admin);
    jw_time(out, "createdAt", user->created_at);
    jw_object_end(out);
}

static void put_scopes(struct strbuf *out, const char *text)
{
    jw_array_begin(out, "scopes");
    for (size_t n; *text; text += n + (text[n] == ' ')) {
        char word[64];
        n = strcspn(text, " ");
        snprintf(word, sizeof(word), "%.*s", (int)(n < sizeof(word) ? n : sizeof(word) - 1), text);
        jw_string(out, NULL, word);
    }
    jw_array_end(out);
}

void wire_key(struct strbuf *out, const struct api_key *key, const char *secret)
{
    jw_object_begin(out, NULL);
    jw_string(out, "id", key->id);
    jw_string(out, "name", key->name);
    put_scopes(out, key->scopes_text);
    put_text_or_null(out, "userId", key->user_id);
    if (key->rate_limit < 0)
        jw_null(out, "rateLimit");
    else
        jw_int(out, "rateLimit", key->rate_limit);
    jw_time(out, "createdAt", key->created_at);
    jw_time(out, "expiresAt", key->expires_at);
    jw_time(out, "lastUsedAt", key->last_used_at);
    jw_time(out, "rotatedAt", key->rotated_at);
    jw_time(out, "revokedAt", key->revoked_at);
    if (secret)
        jw_string(out, "key", secret);
    jw_object_end(out);
}

enum node_status wire_node_status(struct board *board, const char *node_id, bool joined,
                                  bool maintenance, struct node_live *ret_live)
{
    if (!board_get(board, node_id, ret_live)) {
        memset(ret_live, 0, sizeof(*ret_live));
        ret_live->status = joined ? NODE_OFFLINE : NODE_UNCONFIGURED;
    }
    bool answers = ret_live->status == NODE_ONLINE || ret_live->status == NODE_SUSPECT;
    return maintenance && answers ? NODE_MAINTENANCE : ret_live->status;
}

static void put_docker(struct strbuf *out, const struct node *node, const struct node_live *live)
{
    bool known = live->docker_told && live->status != NODE_OFFLINE;
    jw_object_begin(out, "docker");
    jw_string(out, "status", !known ? "unknown" : live->docker_up ? "up" : "down");
    put_text_or_null(out, "version",
                     live->docker_version[0] ? live->docker_version : node->docker_version);
    put_text_or_null(out, "error", known && !live->docker_up ? live->docker_error : "");
    jw_object_end(out);
}

static void put_usage(struct strbuf *out, const struct node_live *live)
{
    jw_object_begin(out, "usage");
    if (live->has_usage) {
        jw_int(out, "memoryMiB", (int64_t)live->memory_used_mib);
        jw_int(out, "diskMiB", (int64_t)live->disk_used_mib);
        jw_milli(out, "cpuPercent", (int64_t)live->cpu_permille * 100);
        jw_milli(out, "load1", live->load1_permille);
        jw_int(out, "uptimeSeconds", (int64_t)live->uptime_seconds);
    } else {
        jw_null(out, "memoryMiB");
        jw_null(out, "diskMiB");
        jw_null(out, "cpuPercent");
        jw_null(out, "load1");
        jw_null(out, "uptimeSeconds");
    }
    jw_object_end(out);
}

static void put_ratio(struct strbuf *out, const char *key, uint32_t milli)
{
    if (milli)
        jw_milli(out, key, milli);
    else
        jw_null(out, key);
}

static void put_shares(struct strbuf *out, const struct node *node)
{
    char range[16];
    snprintf(range, sizeof(range), "%u-%u", node->auto_ports.first, node->auto_ports.last);
    jw_string(out, "portRange", node->auto_ports.first ? range : NULL);
    jw_object_begin(out, "overcommit");
    put_ratio(out, "memory", node->memory_overcommit_milli);
    put_ratio(out, "cpu", node->cpu_overcommit_milli);
    jw_object_end(out);
}

static void put_drain(struct strbuf *out, const struct node *node)
{
    if (!node->drained) {
        jw_null(out, "drain");
        return;
    }
    jw_object_begin(out, "drain");
    jw_int(out, "running", (int64_t)node->instances - node->stopping - node->stopped);
    jw_int(out, "stopping", node->stopping);
    jw_int(out, "stopped", node->stopped);
    jw_object_end(out);
}

static void put_room(struct strbuf *out, const struct node *node)
{
    jw_object_begin(out, "capacity");
    put_count_or_null(out, "memoryMiB", node->capacity_memory_mib);
    put_count_or_null(out, "cpus", node->capacity_cpus);
    put_count_or_null(out, "diskMiB", node->capacity_disk_mib);
    jw_object_end(out);
    jw_object_begin(out, "allocated");
    jw_int(out, "memoryMiB", (int64_t)node->allocated_memory_mib);
    jw_milli(out, "cpu", node->allocated_cpu_milli);
    jw_int(out, "instances", node->instances);
    jw_object_end(out);
}

void wire_node(struct strbuf *out, const struct node *node, struct board *board, const char *token,
               const char *command)
{
    struct node_live live;
    enum node_status status =
        wire_node_status(board, node->id, node->joined, node->maintenance, &live);
    jw_object_begin(out, NULL);
    jw_string(out, "id", node->id);
    jw_string(out, "name", node->name);
    jw_string(out, "tags", node->tags);
    jw_string(out, "ram", node->ram);
    jw_string(out, "disk", node->disk);
    jw_string(out, "processor", node->processor);
    jw_string(out, "address", node->address);
    jw_string(out, "port", node->port);
    jw_string(out, "status", node_status_name(status));
    jw_bool(out, "maintenance", node->maintenance);
    put_drain(out, node);
    put_shares(out, node);
    jw_time(out, "lastSeen", live.last_seen > node->last_seen ? live.last_seen : node->last_seen);
    put_text_or_null(out, "agentVersion",
                     live.agent_version[0] ? live.agent_version : node->agent_version);
    put_docker(out, node, &live);
    put_room(out, node);
    put_usage(out, &live);
    jw_int(out, "orphans", live.orphans);
    jw_time(out, "createdAt", node->created_at);
    if (token) {
        jw_string(out, "joinToken", token);
        jw_string(out, "joinCommand", command);
    }
    jw_object_end(out);
}

/* It would run if its node weren't drained. */
static bool is_kept_down(const struct instance *instance)
{
    return instance->node_drained && !instance->suspended && instance->power == POWER_ON &&
           instance->phase != PHASE_FAILED;
}

static void put_error(struct strbuf *out, const struct instance *instance)
{
    bool failed = instance->error_code && *instance->error_code;
    if (!failed && !is_kept_down(instance)) {
        jw_null(out, "Error");
        return;
    }
    jw_object_begin(out, "Error");
    jw_string(out, "code", failed ? instance->error_code : "node_drained");
    jw_string(out, "message",
              failed ? instance->error_message
                     : "Its node is drained; it runs again when that is over.");
    jw_object_end(out);
}

/* What became of the last change of what it is made from, as long as that isn't settled or was
 * undone. */
static void put_change(struct strbuf *out, const struct instance *instance)
{
    if (!instance->changing && !instance->undone) {
        jw_null(out, "change");
        return;
    }
    jw_object_begin(out, "change");
    jw_string(out, "state", instance->changing ? "pending" : "undone");
    if (!instance->changing)
        jw_raw(out, "reason", instance->undone);
    jw_object_end(out);
}

static void put_progress(struct strbuf *out, const struct instance *instance)
{
    bool known =
        instance->observed == OBSERVED_PULLING || instance->observed == OBSERVED_INSTALLING;
    if (instance->phase == PHASE_INSTALLING && known)
        jw_int(out, "Progress", instance->progress_percent);
    else
        jw_null(out, "Progress");
}

void wire_instance(struct strbuf *out, const char *key, const struct instance *instance,
                   struct board *board)
{
    struct node_live live;
    enum node_status node = wire_node_status(board, instance->node_id, instance->node_joined,
                                             instance->node_maintenance, &live);
    char primary[8];
    snprintf(primary, sizeof(primary), "%u", instance->primary_port);
    jw_object_begin(out, key);
    jw_string(out, "Id", instance->id);
    jw_string(out, "Name", instance->name);
    jw_string(out, "User", instance->user_id);
    jw_object_begin(out, "Node");
    jw_string(out, "id", instance->node_id);
    jw_string(out, "name", instance->node_name);
    jw_string(out, "address", instance->node_address);
    jw_string(out, "port", instance->node_port);
    jw_string(out, "status", node_status_name(node));
    jw_object_end(out);
    jw_string(out, "Image", instance->image);
    jw_raw(out, "AltImages", instance->alt_images);
    jw_int(out, "Memory", (int64_t)instance->memory_mib);
    jw_milli(out, "Cpu", instance->cpu_milli);
    put_count_or_null(out, "Disk", instance->disk_mib);
    jw_string(out, "Ports", instance->ports);
    jw_string(out, "Primary", primary);
    jw_raw(out, "Env", instance->env);
    jw_raw(out, "variables", instance->variables);
    put_text_or_null(out, "StopCommand", instance->stop_command);
    put_text_or_null(out, "ContainerId", instance->container_id);
    jw_string(out, "VolumeId", instance->id);
    jw_string(out, "InternalState", instance_phase_name(instance->phase));
    jw_string(out, "State",
              instance_state_name(instance->phase, instance->suspended,
                                  is_kept_down(instance) ? POWER_OFF : instance->power,
                                  instance->observed,
                                  instance->error_code && instance->error_code[0], node));
    jw_bool(out, "suspended", instance->suspended);
    put_progress(out, instance);
    put_error(out, instance);
    put_change(out, instance);
    jw_raw(out, "exits", instance->exits);
    jw_raw(out, "imageData", instance->template);
    jw_time(out, "createdAt", instance->created_at);
    jw_time(out, "updatedAt", instance->updated_at);
    jw_object_end(out);
}
