/* Another CA for the panel. See ca_command.h.
 *
 * Whether a node has moved is what it says itself: that its certificate is the newest CA's, and
 * that it trusts just what the panel does. What it said before paneld was started isn't known, so
 * a node that is away then counts as one that has not moved: nothing is ended by mistake. */
#include "panel/ca_command.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/json_writer.h"
#include "common/log.h"
#include "panel/control.h"
#include "panel/host_audit.h"

#define NAMED_MAX 1000u

/* --- answering ------------------------------------------------------------------------------- */

struct survey {
    const struct ca_rooms *rooms;
    struct ca_state ca;
    uint32_t nodes;
    uint32_t behind;
    struct strbuf rows; /* of those behind */
};

/* NULL: it has moved. */
static const char *why_behind(const struct survey *survey, const struct node_live *live)
{
    bool moved = strcmp(live->cert_issuer, survey->ca.signer) == 0 &&
                 strcmp(live->ca_digest, survey->ca.bundle_digest) == 0;
    if (moved)
        return NULL;
    bool ended = !survey->ca.rotating && live->cert_issuer[0] &&
                 strcmp(live->cert_issuer, survey->ca.signer) != 0;
    if (ended || (live->refused && live->status != NODE_ONLINE))
        return "its certificate isn't good any more: it has to join again; \"panelctl node token "
               "NODE\" prints how";
    if (live->status != NODE_ONLINE)
        return survey->ca.rotating ? "not Online: it moves when it is"
                                   : "not Online: what it trusts shows when it is";
    if (!live->cert_issuer[0])
        return "its panel-agent is too old to move: upgrade it";
    return "moving";
}

static int look_at(const struct node *node, void *arg, struct err *err)
{
    (void)err;
    struct survey *survey = arg;
    struct node_live live;
    if (!node->joined)
        return 0;
    survey->nodes++;
    (void)board_get(fleet_board(survey->rooms->fleet), node->id, &live);
    const char *why = why_behind(survey, &live);
    if (!why || ++survey->behind > NAMED_MAX)
        return 0;
    jw_object_begin(&survey->rows, NULL);
    jw_string(&survey->rows, "id", node->id);
    jw_string(&survey->rows, "name", node->name);
    jw_string(&survey->rows, "agentVersion", live.agent_version);
    jw_string(&survey->rows, "why", why);
    jw_object_end(&survey->rows);
    return 0;
}

static int survey_nodes(const struct ca_rooms *rooms, struct survey *survey, struct err *err)
{
    struct store_page page = {0};
    *survey = (struct survey){.rooms = rooms};
    ca_look(rooms->ca, &survey->ca);
    jw_array_begin(&survey->rows, NULL);
    int rc = store_node_list(rooms->store, &page, look_at, survey, err);
    jw_array_end(&survey->rows);
    return rc == 0 && survey->rows.failed ? err_nomem(err) : rc;
}

static int put_status(const struct ca_rooms *rooms, struct strbuf *out, struct err *err)
{
    struct survey survey;
    int rc = survey_nodes(rooms, &survey, err);
    if (rc == 0) {
        jw_bool(out, "rotating", survey.ca.rotating);
        jw_string(out, "signer", survey.ca.signer);
        jw_int(out, "nodes", survey.nodes);
        jw_int(out, "moved", survey.nodes - survey.behind);
        jw_raw(out, "behind", survey.rows.data);
    }
    strbuf_fini(&survey.rows);
    return rc;
}

/* It is done by then: without its row it stays so, and the log tells. */
static void note(const struct ca_rooms *rooms, const char *command, const char *detail)
{
    struct err err = {0};
    if (host_audit_write(rooms->store, command, detail, &err) < 0)
        log_error("not in the audit trail", "command=\"%s\" reason=\"%s\"", command, err.msg);
}

static int rotate(const struct ca_rooms *rooms, struct err *err)
{
    struct ca_state ca;
    if (ca_rotate(rooms->ca, err) < 0)
        return -1;
    ca_look(rooms->ca, &ca);
    log_info("a new CA signs from now on", "name=%s", ca.signer);
    note(rooms, "ca rotate", "");
    return 0;
}

static int retire(const struct ca_rooms *rooms, bool force, struct err *err)
{
    struct survey survey;
    int rc = survey_nodes(rooms, &survey, err);
    strbuf_fini(&survey.rows);
    if (rc < 0)
        return -1;
    if (survey.ca.rotating && survey.behind && !force)
        return err_set(err, ERR_CONFLICT, "nodes_behind",
                       "%u of %u nodes still need the old CA; \"paneld ca status\" names them. "
                       "--force ends it all the same, and they have to join again",
                       survey.behind, survey.nodes);
    if (ca_retire(rooms->ca, err) < 0)
        return -1;
    log_info("the old CA is ended", "nodes=%u behind=%u", survey.nodes, survey.behind);
    note(rooms, "ca retire", survey.behind ? "force=true" : "");
    return 0;
}

bool ca_command_is(const char *command)
{
    return strncmp(command, "ca.", 3) == 0;
}

int ca_answer(const struct ca_rooms *rooms, const char *command, bool force, struct strbuf *out,
              struct err *err)
{
    int rc = 0;
    if (strcmp(command, "ca.rotate") == 0)
        rc = rotate(rooms, err);
    else if (strcmp(command, "ca.retire") == 0)
        rc = retire(rooms, force, err);
    else if (strcmp(command, "ca.status") != 0)
        rc = err_set(err, ERR_INVALID, "unknown_command", "this paneld doesn't know that command");
    return rc == 0 ? put_status(rooms, out, err) : rc;
}

/* --- asking ---------------------------------------------------------------------------------- */

static long number_of(const json_t *answer, const char *name)
{
    return (long)json_integer_value(json_object_get(answer, name));
}

static const char *text_of(const json_t *row, const char *name)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text ? text : "";
}

static void print_status(const json_t *answer, FILE *to)
{
    const json_t *behind = json_object_get(answer, "behind");
    bool rotating = json_is_true(json_object_get(answer, "rotating"));
    bool all = json_array_size(behind) == 0;
    size_t i;
    json_t *row;
    fprintf(to, "%s %s\n%ld of %ld nodes %s%s\n",
            rotating ? "Two CAs are trusted; new certificates are signed by" : "The only CA is",
            text_of(answer, "signer"), number_of(answer, "moved"), number_of(answer, "nodes"),
            rotating ? "have moved to it" : "are known to trust it alone",
            all && rotating ? ": \"paneld ca retire\" may end the old one."
            : all           ? "."
            : rotating      ? "; the others need the old one still:"
                            : "; the others:");
    json_array_foreach(behind, i, row)
    {
        fprintf(to, "  %s  %s  %s\n", text_of(row, "id"), text_of(row, "name"),
                text_of(row, "why"));
    }
}

int ca_command_run(const char *dir, const char *command, bool force, bool as_json, FILE *to,
                   struct err *err)
{
    auto_strbuf struct strbuf request = {0};
    auto_free char *text = NULL;
    jw_object_begin(&request, NULL);
    jw_string(&request, "command", command);
    jw_bool(&request, "force", force);
    jw_object_end(&request);
    if (request.failed)
        return err_nomem(err);
    if (control_request(dir, request.data, &text, err) < 0)
        return err->code == ERR_NOT_FOUND
                   ? err_set(err, ERR_NOT_FOUND, "not_running",
                             "no paneld runs on %s; nodes are moved over its links, so start it",
                             dir)
                   : -1;
    json_t *answer = json_loads(text, 0, NULL);
    const char *error = json_string_value(json_object_get(answer, "error"));
    int rc = answer && !error ? 0
                              : err_set(err, ERR_INTERNAL, "refused", "%s",
                                        error ? error : "the running paneld made no sense");
    if (rc == 0 && as_json)
        fprintf(to, "%s\n", text);
    else if (rc == 0)
        print_status(answer, to);
    json_decref(answer);
    return rc;
}
