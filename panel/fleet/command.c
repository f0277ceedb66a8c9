/* Text for an instance's standard input: told to its node once, never again by us. What becomes of
 * a repeat that nng makes is the agent's matter, which knows the command's id. See fleet.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "panel/fleet/state.h"

#define COMMAND_MS   35000 /* an agent gives Docker 30 s */
#define COMMANDS_MAX 6u    /* under way at a node; an agent takes 8 */

struct command {
    struct task task;
    struct fleet *fleet;
    struct fleet_node *node;
    char id[ID_SIZE];
    void (*fn)(void *arg, const struct err *err);
    void *arg;
    size_t len;
    char text[];
};

static void command_end(struct command *command, const struct err *err)
{
    command->fn(command->arg, err && err->code ? err : NULL);
    free(command);
}

static void answered(void *arg, Wire__Envelope **reply, const struct err *failed)
{
    struct command *command = arg;
    struct err err = {0};
    command->node->commands--;
    if (failed) /* it was sent, so perhaps it was written */
        err_set(&err, ERR_TIMEOUT, "outcome_unknown", "the node did not answer: %s", failed->msg);
    else if ((*reply)->body_case == WIRE__ENVELOPE__BODY_FAILURE)
        node_failure((*reply)->failure, &err);
    else if ((*reply)->body_case != WIRE__ENVELOPE__BODY_ACK)
        err_set(&err, ERR_TIMEOUT, "outcome_unknown", "the node gave an unexpected answer");
    command_end(command, &err);
}

static int send_it(struct command *command, struct fleet_node *node, struct err *err)
{
    Wire__Envelope envelope;
    Wire__Command body = WIRE__COMMAND__INIT;
    char name[CRYPTO_UUID_SIZE];
    crypto_uuid(name);
    node_envelope(node, &envelope);
    body.instance_id = command->id;
    body.boot_id = node->boot_id;
    body.command_id = name;
    body.text.data = (uint8_t *)command->text;
    body.text.len = command->len;
    envelope.body_case = WIRE__ENVELOPE__BODY_COMMAND;
    envelope.command = &body;
    command->node = node;
    return link_call(node->link, &envelope, COMMAND_MS, answered, command, err);
}

static void run_command(struct task *task)
{
    struct command *command = (struct command *)task;
    struct fleet_instance *inst;
    struct err err = {0};
    HASH_FIND_STR(command->fleet->instances, command->id, inst);
    if (!inst)
        inst = instance_reload(command->fleet, command->id);
    if (!inst) {
        err_set(&err, ERR_NOT_FOUND, "instance_not_found", "There is no instance with this id.");
        command_end(command, &err);
        return;
    }
    if (!node_answers(inst->node))
        err_set(&err, ERR_OFFLINE, "node_unreachable",
                "The node of this instance does not answer now; try again.");
    else if (inst->node->commands >= COMMANDS_MAX)
        err_set(&err, ERR_BUSY, "busy", "The node has enough commands to write; try again.");
    if (err.code || send_it(command, inst->node, &err) < 0)
        command_end(command, &err);
    else
        inst->node->commands++;
}

int fleet_send_command(struct fleet *fleet, const char *instance_id, const char *text, size_t len,
                       void (*fn)(void *arg, const struct err *err), void *arg, struct err *err)
{
    struct command *command = malloc(sizeof(*command) + len);
    if (!command)
        return err_nomem(err);
    *command = (struct command){.fleet = fleet, .fn = fn, .arg = arg, .len = len};
    memcpy(command->text, text, len);
    snprintf(command->id, sizeof(command->id), "%s", instance_id);
    task_post(&fleet->inbox, &command->task, run_command);
    return 0;
}
