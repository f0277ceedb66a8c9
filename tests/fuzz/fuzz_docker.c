/* What the Engine tells, line by line: lists, inspections, events, progress of pulls. Each line of
 * the input is one of its JSON texts. */
#include <stdlib.h>
#include <string.h>

#include "agent/docker_json.h"
#include "common/envelope.h"
#include "common/utf8.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_init();
    return 0;
}

static void check_container(const struct docker_container *c)
{
    CHECK(strlen(c->id) == CONTAINER_ID_SIZE - 1 && !c->id[strspn(c->id, "0123456789abcdef")]);
    CHECK(envelope_check_id(c->instance_id) == 0);
    CHECK(strlen(c->spec_hash) < HASH_SIZE && utf8_is_valid(c->spec_hash));
    CHECK(c->state > CONTAINER_NONE && c->state <= CONTAINER_DEAD);
}

static void try_item(const json_t *item, struct docker_progress *progress)
{
    struct docker_container c;
    const char *instance = NULL;
    const char *container = NULL;
    uint32_t before = progress->percent;
    if (docker_json_inspected(item, "p1", &c) == 0)
        check_container(&c);
    if (docker_json_listed(item, "p1", &c) == 0)
        check_container(&c);
    if (docker_json_event(item, &instance, &container))
        CHECK(envelope_check_id(instance) == 0 && strlen(container) == CONTAINER_ID_SIZE - 1);
    (void)docker_json_message(item);
    (void)docker_json_stream_error(item);
    docker_progress_add(progress, item);
    CHECK(progress->percent >= before && progress->percent <= 99);
    CHECK(progress->count <= progress->cap);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct docker_progress progress = {0};
    while (in.size) {
        size_t len;
        char *line = fuzz_text(&in, '\n', &len);
        json_t *item = json_loadb(line, len, JSON_DECODE_ANY, NULL);
        size_t i;
        json_t *entry;
        if (item)
            try_item(item, &progress);
        json_array_foreach(item, i, entry) try_item(entry, &progress);
        json_decref(item);
        free(line);
    }
    docker_progress_fini(&progress);
    return 0;
}
