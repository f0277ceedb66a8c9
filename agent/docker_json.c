/* Reading the Engine's JSON. See docker_json.h.
 *
 * Nothing is believed: wrong types read as absent, texts are cut to their field, and a container
 * without our labels is no container to us. */
#include "agent/docker_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/envelope.h"
#include "common/iso_time.h"
#include "common/utf8.h"

#define LAYERS_MAX 1000

struct docker_layer {
    char id[16];
    uint64_t current;
    uint64_t total;
};

const char *docker_json_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

const char *docker_json_message(const json_t *answer)
{
    return docker_json_text(answer, "message");
}

const char *docker_json_stream_error(const json_t *item)
{
    const char *text = docker_json_text(json_object_get(item, "errorDetail"), "message");
    return text ? text : docker_json_text(item, "error");
}

static void copy_text(char *out, size_t size, const char *text)
{
    utf8_copy(out, size, text ? text : "");
}

static uint64_t parse_generation(const char *text)
{
    uint64_t n = 0;
    for (; text && *text; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, (uint64_t)(*text - '0'), &n))
            return 0;
    }
    return n;
}

static enum container_state parse_state(const char *text)
{
    static const struct {
        const char *name;
        enum container_state state;
    } states[] = {
        {"created", CONTAINER_CREATED},   {"running", CONTAINER_RUNNING},
        {"paused", CONTAINER_PAUSED},     {"restarting", CONTAINER_RESTARTING},
        {"removing", CONTAINER_REMOVING}, {"exited", CONTAINER_EXITED},
        {"dead", CONTAINER_DEAD},
    };
    for (size_t i = 0; text && i < sizeof(states) / sizeof(states[0]); i++) {
        if (strcmp(text, states[i].name) == 0)
            return states[i].state;
    }
    return CONTAINER_EXITED;
}

static bool is_container_id(const char *id)
{
    return id && strlen(id) == CONTAINER_ID_SIZE - 1 &&
           strspn(id, "0123456789abcdef") == CONTAINER_ID_SIZE - 1;
}

static bool has_id(const json_t *object)
{
    return is_container_id(docker_json_text(object, "Id"));
}

const char *docker_json_created(const json_t *answer)
{
    return has_id(answer) ? docker_json_text(answer, "Id") : NULL;
}

bool docker_json_is_container(const json_t *answer)
{
    return has_id(answer) && json_is_object(json_object_get(answer, "Config")) &&
           docker_json_text(json_object_get(answer, "State"), "Status");
}

bool docker_json_is_list(const json_t *answer)
{
    size_t at;
    json_t *entry;
    json_array_foreach((json_t *)answer, at, entry)
    {
        if (!has_id(entry) || !json_is_object(json_object_get(entry, "Labels")) ||
            !docker_json_text(entry, "State"))
            return false;
    }
    return json_is_array(answer);
}

bool docker_json_is_update(const json_t *answer)
{
    return json_is_object(answer);
}

static int read_identity(const json_t *object, const json_t *labels, const char *panel_id,
                         struct docker_container *ret)
{
    const char *id = docker_json_text(object, "Id");
    const char *panel = docker_json_text(labels, LABEL_PANEL);
    const char *instance = docker_json_text(labels, LABEL_INSTANCE);
    if (!is_container_id(id) || !panel || strcmp(panel, panel_id) != 0 || !instance ||
        envelope_check_id(instance) < 0)
        return -1;
    copy_text(ret->id, sizeof(ret->id), id);
    copy_text(ret->instance_id, sizeof(ret->instance_id), instance);
    copy_text(ret->spec_hash, sizeof(ret->spec_hash), docker_json_text(labels, LABEL_SPEC));
    copy_text(ret->base_hash, sizeof(ret->base_hash), docker_json_text(labels, LABEL_BASE));
    ret->pulled = parse_generation(docker_json_text(labels, LABEL_PULLED));
    ret->terminal = docker_json_text(labels, LABEL_TERMINAL) != NULL;
    copy_text(ret->address, sizeof(ret->address), docker_json_text(labels, LABEL_ADDRESS));
    ret->generation = parse_generation(docker_json_text(labels, LABEL_GENERATION));
    return 0;
}

/* As the Engine writes it; 0 for anything else, and for its year 1. */
static int64_t parse_time(const char *text)
{
    uint64_t ns;
    return text && iso_time_parse(text, &ns) ? (int64_t)(ns / 1000000) : 0;
}

void docker_json_name(const char *instance_id, bool spare, char out[DOCKER_NAME_SIZE])
{
    snprintf(out, DOCKER_NAME_SIZE, "panel-%s%s", instance_id, spare ? "-old" : "");
}

/* As the Engine writes it, with a slash before it. */
static bool is_spare_name(const char *name, const char *instance_id)
{
    char spare[DOCKER_NAME_SIZE];
    docker_json_name(instance_id, true, spare);
    return name && name[0] == '/' && strcmp(name + 1, spare) == 0;
}

static uint32_t read_count(const json_t *value)
{
    json_int_t count = json_integer_value(value);
    if (count < 0)
        return 0;
    return count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
}

int docker_json_inspected(const json_t *answer, const char *panel_id,
                          struct docker_container *ret_container)
{
    struct docker_container c = {0};
    const json_t *state = json_object_get(answer, "State");
    const json_t *labels = json_object_get(json_object_get(answer, "Config"), "Labels");
    if (!state || read_identity(answer, labels, panel_id, &c) < 0)
        return -1;
    c.state = parse_state(docker_json_text(state, "Status"));
    c.spare = is_spare_name(docker_json_text(answer, "Name"), c.instance_id);
    c.restarts = read_count(json_object_get(answer, "RestartCount"));
    c.exit_code = (int32_t)json_integer_value(json_object_get(state, "ExitCode"));
    c.oom_killed = json_is_true(json_object_get(state, "OOMKilled"));
    c.finished_at_ms = parse_time(docker_json_text(state, "FinishedAt"));
    *ret_container = c;
    return 0;
}

int docker_json_process(const json_t *answer, pid_t *ret_pid, int64_t *ret_started_at_ms)
{
    const json_t *state = json_object_get(answer, "State");
    json_int_t pid = json_integer_value(json_object_get(state, "Pid"));
    if (pid <= 0 || pid > INT32_MAX)
        return -1;
    *ret_pid = (pid_t)pid;
    *ret_started_at_ms = parse_time(docker_json_text(state, "StartedAt"));
    return 0;
}

int docker_json_listed(const json_t *entry, const char *panel_id,
                       struct docker_container *ret_container)
{
    struct docker_container c = {0};
    const json_t *names = json_object_get(entry, "Names");
    if (read_identity(entry, json_object_get(entry, "Labels"), panel_id, &c) < 0)
        return -1;
    c.state = parse_state(docker_json_text(entry, "State"));
    c.spare = is_spare_name(json_string_value(json_array_get(names, 0)), c.instance_id);
    *ret_container = c;
    return 0;
}

bool docker_json_is_named(const json_t *entry, const char *name)
{
    size_t at;
    json_t *item;
    json_array_foreach(json_object_get(entry, "Names"), at, item)
    {
        const char *text = json_string_value(item);
        if (text && text[0] == '/' && strcmp(text + 1, name) == 0)
            return true;
    }
    return false;
}

bool docker_json_event(const json_t *item, const char **ret_instance, const char **ret_container)
{
    static const char *const noise[] = {"exec_",  "health_status", "top",    "attach",  "detach",
                                        "resize", "copy",          "export", "archive", "extract"};
    const char *action = docker_json_text(item, "Action");
    const json_t *actor = json_object_get(item, "Actor");
    const char *id = docker_json_text(actor, "ID");
    const char *instance = docker_json_text(json_object_get(actor, "Attributes"), LABEL_INSTANCE);
    if (!action || !is_container_id(id) || !instance || envelope_check_id(instance) < 0)
        return false;
    for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++) {
        if (strncmp(action, noise[i], strlen(noise[i])) == 0)
            return false;
    }
    *ret_instance = instance;
    *ret_container = id;
    return true;
}

/* The layer's entry, made if need be; NULL when there are too many or memory is out, which only
 * makes the percentage coarser. */
static struct docker_layer *find_layer(struct docker_progress *progress, const char *id)
{
    char key[sizeof(progress->layers->id)];
    copy_text(key, sizeof(key), id);
    for (size_t i = 0; i < progress->count; i++) {
        if (strcmp(progress->layers[i].id, key) == 0)
            return &progress->layers[i];
    }
    if (progress->count == LAYERS_MAX)
        return NULL;
    if (progress->count == progress->cap) {
        size_t cap = progress->cap ? progress->cap * 2 : 16;
        struct docker_layer *layers = reallocarray(progress->layers, cap, sizeof(*layers));
        if (!layers)
            return NULL;
        progress->layers = layers;
        progress->cap = cap;
    }
    struct docker_layer *layer = &progress->layers[progress->count++];
    *layer = (struct docker_layer){0};
    memcpy(layer->id, key, sizeof(key));
    return layer;
}

static void note_layer(struct docker_layer *layer, const char *status, const json_t *detail)
{
    json_int_t current = json_integer_value(json_object_get(detail, "current"));
    json_int_t total = json_integer_value(json_object_get(detail, "total"));
    if (strcmp(status, "Downloading") == 0 && current >= 0 && total > 0 && total < 1LL << 44) {
        layer->total = (uint64_t)total;
        layer->current = current < total ? (uint64_t)current : (uint64_t)total;
    } else if (strcmp(status, "Download complete") == 0 || strcmp(status, "Pull complete") == 0) {
        layer->current = layer->total;
    }
}

void docker_progress_add(struct docker_progress *progress, const json_t *item)
{
    const char *id = docker_json_text(item, "id");
    const char *status = docker_json_text(item, "status");
    if (!id || !status || strncmp(status, "Pulling from", 12) == 0)
        return;
    struct docker_layer *layer = find_layer(progress, id);
    if (!layer)
        return;
    note_layer(layer, status, json_object_get(item, "progressDetail"));
    uint64_t current = 0;
    uint64_t total = 0;
    for (size_t i = 0; i < progress->count; i++) {
        current += progress->layers[i].current;
        total += progress->layers[i].total;
    }
    uint32_t percent = total ? (uint32_t)(current * 99 / total) : 0;
    if (percent > progress->percent)
        progress->percent = percent;
}

void docker_progress_fini(struct docker_progress *progress)
{
    free(progress->layers);
    *progress = (struct docker_progress){0};
}
