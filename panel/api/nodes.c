/* /api/nodes, /api/nodes/create, /api/nodes/delete, and new tokens. Changes: node_change.c.
 *
 * The answer to a create, or to a request for a token, holds the join token, once. It is kept with
 * an Idempotency-Key like every first answer, token included, for as long as such answers are kept;
 * the token itself dies when it is used, or after its hour. */
#include "panel/api/internal.h"

#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/json_writer.h"
#include "panel/api/body.h"
#include "panel/api/handlers.h"
#include "panel/api/wire.h"
#include "panel/auth/join_token.h"
#include "panel/domain/text.h"

#define TEXT_MAX 1024

struct node_list {
    struct strbuf *out;
    struct board *board;
};

static int put_node(const struct node *node, void *arg, struct err *err)
{
    (void)err;
    const struct node_list *list = arg;
    wire_node(list->out, node, list->board, NULL, NULL);
    return 0;
}

void nodes_list(struct call *call)
{
    struct store *store = call->api->rooms.store;
    struct board *board = fleet_board(call->api->rooms.fleet);
    struct err err = {0};
    struct list list;
    uint64_t versions[] = {store_version(store, STORE_NODES), store_version(store, STORE_INSTANCES),
                           board_version(board)};
    if (!list_begin(call, versions, ARRAY_LEN(versions), &list))
        return;
    struct node_list nodes = {&list.out, board};
    int rc = store_node_list(store, &list.page, put_node, &nodes, &err);
    list_end(call, &list, rc, &err);
}

/* --- get ------------------------------------------------------------------------------------- */

void nodes_get(struct call *call)
{
    struct err err = {0};
    struct strbuf out = {0};
    struct node_list one = {&out, fleet_board(call->api->rooms.fleet)};
    int rc = store_node_get(call->api->rooms.store, call->param, put_node, &one, &err);
    if (rc > 0) {
        call_answer(call, 200, &out);
        return;
    }
    strbuf_fini(&out);
    if (rc == 0)
        err_field(&err, ERR_NOT_FOUND, "node_not_found", "id", "There is no node with this id.");
    call_answer_err(call, &err);
}

/* --- create ---------------------------------------------------------------------------------- */

struct node_create {
    struct mutation mutation;
    struct node node; /* texts live in the call's body */
    char id[CRYPTO_UUID_SIZE];
    char token[JOIN_TOKEN_SIZE];
    uint8_t key[CRYPTO_HASH_BYTES];
    struct strbuf command;
};

static int apply_create(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    struct node_create *create = (struct node_create *)mutation;
    if (store_node_create(tx, &create->node, create->key,
                          create->node.created_at + JOIN_TOKEN_LIFE_MS, err) < 0)
        return -1;
    wire_node(&mutation->body, &create->node, fleet_board(mutation->call->api->rooms.fleet),
              create->token, create->command.data);
    mutation->status = 201;
    return 0;
}

static void destroy_create(struct mutation *mutation)
{
    struct node_create *create = (struct node_create *)mutation;
    crypto_wipe(create->token, sizeof(create->token));
    crypto_wipe(create->key, sizeof(create->key));
    strbuf_fini(&create->command);
    free(create);
}

/* As one word of a shell's command line. */
static void put_shell_word(struct strbuf *out, const char *s)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-:/@%+=,";
    if (!s[strspn(s, plain)]) {
        strbuf_str(out, s);
        return;
    }
    strbuf_char(out, '\'');
    for (; *s; s++) {
        if (*s == '\'')
            strbuf_str(out, "'\\''");
        else
            strbuf_char(out, *s);
    }
    strbuf_char(out, '\'');
}

static void put_command(struct node_create *create)
{
    const struct call *call = create->mutation.call;
    auto_strbuf struct strbuf url = {0};
    if (call->api->public_url) {
        strbuf_str(&url, call->api->public_url);
    } else {
        const char *host = http_req_header(call->req, "Host");
        strbuf_fmt(&url, "%s://%s", http_req_is_tls(call->req) ? "https" : "http",
                   host && *host ? host : "PANEL");
    }
    strbuf_str(&create->command, "panel-agent join --panel ");
    put_shell_word(&create->command, url.data ? url.data : "");
    strbuf_str(&create->command, " --token ");
    strbuf_str(&create->command, create->token);
    create->command.failed |= url.failed;
}

static void put_shares(struct node *node, const struct node_change *fields)
{
    if (fields->auto_first > 0)
        node->auto_ports =
            (struct port_range){(uint16_t)fields->auto_first, (uint16_t)fields->auto_last};
    if (fields->memory_overcommit > 0)
        node->memory_overcommit_milli = (uint32_t)fields->memory_overcommit;
    if (fields->cpu_overcommit > 0)
        node->cpu_overcommit_milli = (uint32_t)fields->cpu_overcommit;
}

void nodes_create(struct call *call)
{
    struct body body;
    body_open(&body, call->body, NULL);
    struct node node = {
        .name = body_text(&body, "name", BODY_REQUIRED, TEXT_MAX),
        .tags = body_text(&body, "tags", BODY_REQUIRED, TEXT_MAX),
        .ram = body_text(&body, "ram", BODY_REQUIRED, TEXT_MAX),
        .disk = body_text(&body, "disk", BODY_REQUIRED, TEXT_MAX),
        .processor = body_text(&body, "processor", BODY_REQUIRED, TEXT_MAX),
        .address = body_text(&body, "address", BODY_REQUIRED, TEXT_MAX),
        .port = body_text(&body, "port", BODY_REQUIRED, TEXT_MAX),
        .created_at = clock_wall_ms(),
        .agent_version = "",
        .docker_version = "",
    };
    struct node_change fields = {.name = node.name,
                                 .tags = node.tags,
                                 .ram = node.ram,
                                 .disk = node.disk,
                                 .processor = node.processor,
                                 .address = node.address,
                                 .port = node.port,
                                 .maintenance = -1,
                                 .drain = -1};
    node_read_shares(&body, &fields);
    put_shares(&node, &fields);
    if (body.failed || node_check(&fields, &body.err) < 0) {
        call_answer_err(call, &body.err);
        return;
    }
    struct node_create *create = calloc(1, sizeof(*create));
    if (!create) {
        err_nomem(&body.err);
        call_answer_err(call, &body.err);
        return;
    }
    crypto_uuid(create->id);
    join_token_create(create->id, create->token, create->key);
    create->node = node;
    create->node.id = create->id;
    create->mutation =
        (struct mutation){.call = call, .apply = apply_create, .destroy = destroy_create};
    create->mutation.made = create->id;
    put_command(create);
    if (create->command.failed) {
        err_nomem(&body.err);
        call_answer_err(call, &body.err);
        destroy_create(&create->mutation);
        return;
    }
    mutation_submit(&create->mutation);
}

/* --- another token --------------------------------------------------------------------------- */

static int apply_token(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    struct node_create *create = (struct node_create *)mutation;
    if (store_node_rejoin(tx, mutation->call->param, create->key,
                          clock_wall_ms() + JOIN_TOKEN_LIFE_MS, err) < 0)
        return -1;
    jw_object_begin(&mutation->body, NULL);
    jw_string(&mutation->body, "id", mutation->call->param);
    jw_string(&mutation->body, "joinToken", create->token);
    jw_string(&mutation->body, "joinCommand", create->command.data);
    jw_object_end(&mutation->body);
    mutation->status = 201;
    return 0;
}

void nodes_token(struct call *call)
{
    struct err err = {0};
    struct node_create *create = calloc(1, sizeof(*create));
    if (!create) {
        err_nomem(&err);
        call_answer_err(call, &err);
        return;
    }
    join_token_create(call->param, create->token, create->key);
    create->mutation =
        (struct mutation){.call = call, .apply = apply_token, .destroy = destroy_create};
    put_command(create);
    if (create->command.failed) {
        err_nomem(&err);
        call_answer_err(call, &err);
        destroy_create(&create->mutation);
        return;
    }
    mutation_submit(&create->mutation);
}

/* --- delete ---------------------------------------------------------------------------------- */

struct node_delete {
    struct mutation mutation;
    const char *id; /* in the call's body */
    bool force;
};

static int apply_delete(struct mutation *mutation, struct store_tx *tx, struct err *err)
{
    struct node_delete *deletion = (struct node_delete *)mutation;
    if (store_node_delete(tx, deletion->id, deletion->force, err) < 0)
        return -1;
    jw_object_begin(&mutation->body, NULL);
    jw_string(&mutation->body, "message", "Node deleted");
    jw_object_end(&mutation->body);
    mutation->status = 201;
    return 0;
}

static void notice_delete(struct mutation *mutation)
{
    fleet_notice_node(mutation->call->api->rooms.fleet, ((struct node_delete *)mutation)->id);
}

static void destroy_delete(struct mutation *mutation)
{
    free(mutation);
}

void nodes_delete(struct call *call)
{
    struct body body;
    body_open(&body, call->body, call->req);
    const char *id = body_text(&body, "nodeId", BODY_REQUIRED, TEXT_MAX);
    bool force = body_flag(&body, "force", false);
    struct node_delete *deletion = body.failed ? NULL : calloc(1, sizeof(*deletion));
    if (!deletion) {
        if (!body.failed)
            err_nomem(&body.err);
        call_answer_err(call, &body.err);
        return;
    }
    deletion->id = id;
    deletion->force = force;
    deletion->mutation = (struct mutation){
        .call = call, .apply = apply_delete, .committed = notice_delete, .destroy = destroy_delete};
    mutation_submit(&deletion->mutation);
}
