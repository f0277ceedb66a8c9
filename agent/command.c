/* See command.h.
 *
 * A request may arrive twice, for nng sends it again when its connection breaks. So the ids of the
 * last commands are remembered from before the text is written, and one that is known is refused,
 * whatever became of it. One that was meant for an earlier life of the agent, whose memory is
 * gone, is refused as well. */
#include "agent/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "agent/answer.h"
#include "agent/reconcile_parts.h"
#include "common/envelope.h"

#define REMEMBERED 1024u
#define AT_ONCE    8u
#define TEXT_MAX   65536u

struct command {
    struct command *prev;
    struct command *next;
    struct commands *owner;
    struct rpc_call *call;
    uint64_t call_id;
    struct docker_call *docker;
};

struct commands {
    const struct identity *identity;
    struct reconcile *reconcile;
    const char *boot_id;
    struct command *all;
    unsigned count;
    char seen[REMEMBERED][40]; /* command_ids, round and round */
    size_t next_seen;
};

static void command_free(struct command *command)
{
    DL_DELETE(command->owner->all, command);
    command->owner->count--;
    docker_call_cancel(command->docker);
    free(command);
}

static bool was_seen(const struct commands *commands, const char *id)
{
    for (size_t i = 0; i < REMEMBERED; i++) {
        if (strcmp(commands->seen[i], id) == 0)
            return true;
    }
    return false;
}

static void remember(struct commands *commands, const char *id)
{
    char *place = commands->seen[commands->next_seen++ % REMEMBERED];
    snprintf(place, sizeof(commands->seen[0]), "%s", id);
}

static void end_write(void *arg, const struct docker_reply *reply)
{
    struct command *command = arg;
    command->docker = NULL;
    if (reply->err.code == ERR_NONE)
        answer_ack(command->call, command->owner->identity, command->call_id);
    else
        answer_failure(command->call, command->owner->identity, command->call_id, &reply->err);
    command_free(command);
}

static int check(const struct commands *commands, const Wire__Command *body,
                 const struct instance **ret_inst, struct err *err)
{
    const struct instance *inst =
        envelope_check_id(body->instance_id) == 0
            ? instance_find(reconcile_table(commands->reconcile), body->instance_id)
            : NULL;
    size_t id_len = strlen(body->command_id);
    if (!id_len || id_len >= sizeof(commands->seen[0]) || !body->text.len ||
        body->text.len > TEXT_MAX)
        return err_set(err, ERR_INVALID, "bad_command", "the command has no usable id or text");
    if (strcmp(body->boot_id, commands->boot_id) != 0)
        return err_set(err, ERR_CONFLICT, "agent_restarted",
                       "the agent has started anew since the command was given");
    if (was_seen(commands, body->command_id))
        return err_set(err, ERR_CONFLICT, "seen_before", "the command has been here before");
    if (!inst || inst->container.state != CONTAINER_RUNNING)
        return err_set(err, ERR_CONFLICT, "not_running", "the instance does not run");
    if (commands->count >= AT_ONCE)
        return err_set(err, ERR_BUSY, "busy", "too many commands are being written at once");
    *ret_inst = inst;
    return 0;
}

static int begin(struct commands *commands, struct rpc_call *call, const Wire__Envelope *request,
                 struct err *err)
{
    const Wire__Command *body = request->command;
    const struct instance *inst = NULL;
    if (check(commands, body, &inst, err) < 0)
        return -1;
    struct command *command = calloc(1, sizeof(*command));
    if (!command)
        return err_nomem(err);
    *command = (struct command){.owner = commands, .call = call, .call_id = request->call_id};
    DL_APPEND(commands->all, command);
    commands->count++;
    remember(commands, body->command_id);
    command->docker =
        docker_write_stdin(commands->reconcile->docker, inst->container.id,
                           (const char *)body->text.data, body->text.len, end_write, command, err);
    if (command->docker)
        return 0;
    command_free(command);
    return -1;
}

void commands_take(struct commands *commands, struct rpc_call *call, const Wire__Envelope *request)
{
    struct err err;
    if (begin(commands, call, request, &err) < 0)
        answer_failure(call, commands->identity, request->call_id, &err);
}

struct commands *commands_create(const struct identity *identity, struct reconcile *reconcile,
                                 const char *boot_id)
{
    struct commands *commands = calloc(1, sizeof(*commands));
    if (!commands)
        return NULL;
    commands->identity = identity;
    commands->reconcile = reconcile;
    commands->boot_id = boot_id;
    return commands;
}

void commands_destroy(struct commands *commands)
{
    if (!commands)
        return;
    while (commands->all)
        command_free(commands->all);
    free(commands);
}
