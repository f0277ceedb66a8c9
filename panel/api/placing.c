/* See placing.h.
 *
 * Health and tags are looked at before the transaction, as with a node that is named; memory, cores
 * and ports by the transaction itself, which is the only one to know. Of the nodes with the most
 * free memory a few are looked at again inside it, so that many deploys at once spread. */
#include "panel/api/placing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_writer.h"
#include "common/utf8.h"
#include "panel/api/wire.h"

#define LOOKED_AT_AGAIN 8u

struct candidate {
    char id[ROUTE_PARAM_SIZE];
    char name[65];
    uint64_t free_mib;
    char reason[200];  /* why it can't, before anything is tried; "": it may */
    char refusal[200]; /* why it couldn't, in this run of the transaction */
};

struct placing {
    const struct call *call;
    const char *tags;
    struct candidate *all; /* those that may first */
    size_t count;
    size_t room;
};

/* --- before ---------------------------------------------------------------------------------- */

static bool has_tag(const char *tags, const char *tag, size_t len)
{
    while (*tags) {
        size_t span = strcspn(tags, ",");
        const char *from = tags + strspn(tags, " ");
        size_t size = from < tags + span ? (size_t)(tags + span - from) : 0;
        while (size && from[size - 1] == ' ')
            size--;
        if (size == len && memcmp(from, tag, len) == 0)
            return true;
        tags += span + (tags[span] == ',');
    }
    return false;
}

/* The first tag of wanted that isn't among tags; NULL: all are. Its length in *ret_len. */
static const char *missing_tag(const char *wanted, const char *tags, size_t *ret_len)
{
    while (*wanted) {
        wanted += strspn(wanted, " ,");
        size_t len = strcspn(wanted, ",");
        size_t size = len;
        while (size && wanted[size - 1] == ' ')
            size--;
        if (size && !has_tag(tags, wanted, size)) {
            *ret_len = size;
            return wanted;
        }
        wanted += len;
    }
    return NULL;
}

static void judge(const struct placing *placing, const struct node *node, struct candidate *one)
{
    struct node_live live;
    size_t len;
    const char *tag = missing_tag(placing->tags, node->tags, &len);
    enum node_status status = wire_node_status(fleet_board(placing->call->api->rooms.fleet),
                                               node->id, node->joined, node->maintenance, &live);
    char text[sizeof(one->reason)] = "";
    if (status != NODE_ONLINE)
        snprintf(text, sizeof(text), "its status is %s", node_status_name(status));
    else if (!live.docker_up)
        snprintf(text, sizeof(text), "Docker does not answer on it%s%s",
                 live.docker_error[0] ? ": " : "", live.docker_error);
    else if (tag)
        snprintf(text, sizeof(text), "it has no tag \"%.*s\"", (int)(len < 64 ? len : 64), tag);
    utf8_copy(one->reason, sizeof(one->reason), text);
}

static int add_node(const struct node *node, void *arg, struct err *err)
{
    struct placing *placing = arg;
    if (placing->count == placing->room) {
        size_t room = placing->room ? placing->room * 2 : 16;
        struct candidate *all = reallocarray(placing->all, room, sizeof(*all));
        if (!all)
            return err_nomem(err);
        placing->all = all;
        placing->room = room;
    }
    struct candidate *one = &placing->all[placing->count++];
    *one = (struct candidate){0};
    utf8_copy(one->id, sizeof(one->id), node->id);
    utf8_copy(one->name, sizeof(one->name), node->name);
    one->free_mib = node_free_mib(node, placing->call->api->settings.memory_overcommit);
    judge(placing, node, one);
    return 0;
}

static int by_room(const void *a, const void *b)
{
    const struct candidate *x = a;
    const struct candidate *y = b;
    if (!x->reason[0] != !y->reason[0])
        return x->reason[0] ? 1 : -1;
    if (x->free_mib != y->free_mib)
        return x->free_mib > y->free_mib ? -1 : 1;
    return strcmp(x->id, y->id);
}

int placing_create(const struct call *call, const char *tags, struct placing **ret_placing,
                   struct err *err)
{
    struct store_page everything = {0};
    struct placing *placing = calloc(1, sizeof(*placing));
    if (!placing)
        return err_nomem(err);
    placing->call = call;
    placing->tags = tags;
    if (store_node_list(call->api->rooms.store, &everything, add_node, placing, err) < 0) {
        placing_destroy(placing);
        return -1;
    }
    if (placing->count)
        qsort(placing->all, placing->count, sizeof(*placing->all), by_room);
    *ret_placing = placing;
    return 0;
}

void placing_destroy(struct placing *placing)
{
    if (!placing)
        return;
    free(placing->all);
    free(placing);
}

/* --- inside ---------------------------------------------------------------------------------- */

struct seen {
    double overcommit;
    uint64_t free_mib;
};

static int see_room(const struct node *node, void *arg, struct err *err)
{
    (void)err;
    struct seen *seen = arg;
    seen->free_mib = node_free_mib(node, seen->overcommit);
    return 0;
}

static int look_again(struct placing *placing, struct store_tx *tx, struct err *err)
{
    size_t count = placing->count < LOOKED_AT_AGAIN ? placing->count : LOOKED_AT_AGAIN;
    for (size_t i = 0; i < count; i++) {
        struct seen seen = {.overcommit = placing->call->api->settings.memory_overcommit};
        if (store_node_see(tx, placing->all[i].id, see_room, &seen, err) < 0)
            return -1;
        placing->all[i].free_mib = seen.free_mib;
    }
    if (count)
        qsort(placing->all, count, sizeof(*placing->all), by_room);
    return 0;
}

/* Is it the node's fault, so that another one might do? */
static bool is_of_node(const struct err *err)
{
    static const char *const reasons[] = {"insufficient_memory", "insufficient_cpu", "port_taken",
                                          "no_free_port", "node_maintenance"};
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (strcmp(err->reason, reasons[i]) == 0)
            return true;
    }
    return err->code == ERR_NOT_FOUND && strcmp(err->reason, "node_not_found") == 0;
}

static char *write_details(const struct placing *placing)
{
    struct strbuf out = {0};
    jw_array_begin(&out, NULL);
    for (size_t i = 0; i < placing->count; i++) {
        const struct candidate *one = &placing->all[i];
        jw_object_begin(&out, NULL);
        jw_string(&out, "nodeId", one->id);
        jw_string(&out, "name", one->name);
        jw_string(&out, "reason", one->reason[0] ? one->reason : one->refusal);
        jw_object_end(&out);
    }
    jw_array_end(&out);
    return strbuf_steal(&out);
}

int placing_try(struct placing *placing, struct store_tx *tx,
                int (*create)(void *arg, struct store_tx *tx, const char *node_id, struct err *err),
                void *arg, char **ret_details, struct err *err)
{
    for (size_t i = 0; i < placing->count; i++)
        placing->all[i].refusal[0] = '\0';
    if (look_again(placing, tx, err) < 0)
        return -1;
    for (size_t i = 0; i < placing->count; i++) {
        struct candidate *one = &placing->all[i];
        struct err why = {0};
        if (one->reason[0])
            continue;
        if (create(arg, tx, one->id, &why) == 0)
            return 1;
        if (!is_of_node(&why)) {
            *err = why;
            return -1;
        }
        utf8_copy(one->refusal, sizeof(one->refusal), why.msg);
        if (store_tx_undo(tx, err) < 0)
            return -1;
    }
    *ret_details = write_details(placing);
    return *ret_details ? 0 : err_nomem(err);
}
