/* The import on the command line: opening what is needed, and the report for a person. See
 * import_command.h. */
#include "panel/import_command.h"

#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/fs.h"
#include "common/owner.h"
#include "panel/import/skyport.h"
#include "panel/store/store.h"

#define AGENT_PORT "7400"

/* --- the report for a person ----------------------------------------------------------------- */

static const char *text(const json_t *entry, const char *key)
{
    const char *value = json_string_value(json_object_get(entry, key));
    return value ? value : "";
}

/* Names are others' words: no control character of theirs reaches a terminal. */
static void put_text(FILE *to, const char *s)
{
    for (; *s; s++)
        fputc((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s, to);
}

static void print_counts(FILE *to, const json_t *counts)
{
    static const char *const kinds[] = {"user", "image", "node", "instance"};
    static const char *const outcomes[] = {"imported", "present", "refused"};
    fprintf(to, "%-10s %9s %9s %9s\n", "", "taken", "present", "refused");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        fprintf(to, "%ss%*s", kinds[i], (int)(9 - strlen(kinds[i])), "");
        for (size_t o = 0; o < ARRAY_LEN(outcomes); o++)
            fprintf(to, " %9lld",
                    (long long)json_integer_value(
                        json_object_get(json_object_get(counts, kinds[i]), outcomes[o])));
        fputc('\n', to);
    }
}

static void print_name(FILE *to, const json_t *entry)
{
    fprintf(to, "  %s ", text(entry, "kind"));
    put_text(to, text(entry, "id"));
    if (*text(entry, "name")) {
        fputs(" \"", to);
        put_text(to, text(entry, "name"));
        fputc('"', to);
    }
}

/* Those of one outcome, each with its reason. */
static void print_outcome(FILE *to, const json_t *items, const char *outcome, const char *title)
{
    size_t i;
    json_t *entry;
    bool any = false;
    json_array_foreach(items, i, entry)
    {
        if (strcmp(text(entry, "outcome"), outcome) != 0)
            continue;
        if (!any)
            fprintf(to, "\n%s:\n", title);
        any = true;
        print_name(to, entry);
        fputs(": ", to);
        put_text(to, text(entry, "message"));
        fputc('\n', to);
    }
}

static void print_notes(FILE *to, const json_t *items)
{
    size_t i, n;
    json_t *entry, *note;
    bool any = false;
    json_array_foreach(items, i, entry)
    {
        json_array_foreach(json_object_get(entry, "notes"), n, note)
        {
            if (!any)
                fputs("\nTo be looked at:\n", to);
            any = true;
            print_name(to, entry);
            fputs(": ", to);
            put_text(to, json_string_value(note));
            fputc('\n', to);
        }
    }
}

static bool is_new(const json_t *entry, const char *kind)
{
    return strcmp(text(entry, "kind"), kind) == 0 &&
           strcmp(text(entry, "outcome"), "imported") == 0;
}

static void print_volumes(FILE *to, const json_t *items, const char *node_id)
{
    size_t i;
    json_t *entry;
    json_array_foreach(items, i, entry)
    {
        if (!is_new(entry, "instance") || !*text(entry, "volume") ||
            strcmp(text(entry, "nodeId"), node_id) != 0)
            continue;
        fputs("     cp -a \"$SKYPORTD/volumes/", to);
        put_text(to, text(entry, "volume"));
        fprintf(to, "\" /var/lib/panel-agent/volumes/%s\n", text(entry, "id"));
    }
}

/* What only people can do. */
static void print_rest(FILE *to, const json_t *items, const struct config *config)
{
    size_t i;
    json_t *entry;
    bool any = false;
    json_array_foreach(items, i, entry)
    {
        if (!is_new(entry, "node") || !*text(entry, "joinCommand"))
            continue;
        if (!any)
            fputs("\nStill to be done, as root on each node, within the hour for which the tokens "
                  "live:\n",
                  to);
        any = true;
        print_name(to, entry);
        fputs(" at ", to);
        put_text(to, text(entry, "address"));
        fprintf(to, "\n     %s\n", text(entry, "joinCommand"));
        print_volumes(to, items, text(entry, "id"));
    }
    if (any && !config->public_url)
        fputs(
            "\nNo publicUrl is set, so these commands name the address that the panel listens on; "
            "from other\nmachines put in the one at which they reach it, and set publicUrl "
            "(--config FILE, as the daemon has it).\n",
            to);
    if (any)
        fputs("\n$SKYPORTD is the folder of Skyport's daemon. Stop a container there before its "
              "files are copied;\nthe instances here are stopped, and are started one by one "
              "(docs/migration.md).\n",
              to);
}

static void print_report(FILE *to, const json_t *report, const struct config *config,
                         const struct import_options *options, enum import_result result)
{
    const json_t *items = json_object_get(report, "items");
    print_counts(to, json_object_get(report, "counts"));
    print_outcome(to, items, "refused", "Can't be taken");
    print_notes(to, items);
    print_outcome(to, items, "left", "Has no place here");
    if (options->dry_run)
        fputs("\nThis was a dry run: nothing has changed.\n", to);
    else if (result == IMPORT_REFUSED)
        fputs("\nNothing has changed. Mend what can't be taken, or leave it out with --partial.\n",
              to);
    else
        print_rest(to, items, config);
    if (result != IMPORT_REFUSED)
        fputs("\nUsers keep their ids and log in with the passwords that they had, but for those "
              "named above.\nClients need new keys: paneld key create.\n",
              to);
}

/* --- the work -------------------------------------------------------------------------------- */

static int check_panel(const char *dir, struct err *err)
{
    auto_free char *path = fs_join(dir, "panel.db");
    if (!path)
        return err_nomem(err);
    if (access(path, F_OK) == 0)
        return 0;
    return err_set(
        err, ERR_NOT_FOUND, "no_panel",
        "there is no panel in %s; --data names the folder of one that was started before", dir);
}

static bool has_refused(const json_t *report)
{
    const char *kind;
    json_t *outcomes;
    json_object_foreach(json_object_get(report, "counts"), kind, outcomes)
    {
        if (json_object_get(outcomes, "refused"))
            return true;
    }
    return false;
}

/* *ret_report also when something can't be taken. */
static int import_all(const struct config *config, const struct skyport *from,
                      const struct import_options *options, json_t **ret_report, struct err *err)
{
    auto_free char *url = NULL;
    struct store *store;
    if (asprintf(&url, "%s://%s", config->tls_cert ? "https" : "http", config->listen) < 0) {
        url = NULL;
        return err_nomem(err);
    }
    struct skyport_settings settings = {
        .dry_run = options->dry_run,
        .partial = options->partial,
        .agent_port = options->agent_port ? options->agent_port : AGENT_PORT,
        .join_url = config->public_url ? config->public_url : url,
        .auto_ports = {(uint16_t)config->auto_port_first, (uint16_t)config->auto_port_last},
    };
    if (store_open(config->data, NULL, &store, err) < 0)
        return -1;
    int rc = skyport_import(store, from, &settings, ret_report, err);
    store_close(store);
    return rc;
}

/* Their file may lie where only root can read; ours are written by their owner. */
static int import_file(const struct config *config, const char *file,
                       const struct import_options *options, json_t **ret_report, struct err *err)
{
    auto_fd int lock = -1;
    struct skyport from;
    if (check_panel(config->data, err) < 0 || skyport_read(file, &from, err) < 0)
        return -1;
    int rc = owner_become(config->data, err);
    if (rc == 0)
        rc = fs_lock(config->data, "panel.lock", &lock, err);
    if (rc < 0 && err->code == ERR_CONFLICT)
        err_set(err, ERR_CONFLICT, "running", "stop the paneld that runs on %s first",
                config->data);
    if (rc == 0)
        rc = import_all(config, &from, options, ret_report, err);
    skyport_fini(&from);
    return rc;
}

int import_command(const struct config *config, const char *file,
                   const struct import_options *options, FILE *to, enum import_result *ret_result,
                   struct err *err)
{
    json_t *report = NULL;
    if (import_file(config, file, options, &report, err) < 0)
        return -1;
    bool refused = has_refused(report);
    *ret_result = !refused ? IMPORT_DONE : options->partial ? IMPORT_PARTLY : IMPORT_REFUSED;
    if (options->json) {
        json_dumpf(report, to, JSON_INDENT(2));
        fputc('\n', to);
    } else {
        print_report(to, report, config, options, *ret_result);
    }
    json_decref(report);
    return 0;
}
