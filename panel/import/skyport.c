/* The import: all items in one transaction, and the report of it. See skyport.h.
 *
 * Each item is a part of its own inside the transaction, so one that is refused leaves nothing
 * behind, and the report tells of all that would be, not of the first alone. Whether the whole is
 * kept is decided at the end. The transaction may be run again, so the report begins with it. */
#include "panel/import/internal.h"

#include <errno.h>
#include <semaphore.h>
#include <string.h>

#include "common/auto.h"
#include "common/utf8.h"
#include "panel/domain/text.h"

/* Why the transaction was undone, though nothing went wrong with it. */
#define NOT_KEPT "not_kept"

struct import {
    struct store_change change;
    const struct skyport *from;
    const struct skyport_settings *settings;
    json_t *items;
    json_t *made; /* ids of new instances, as members */
    size_t refused;
    struct err err;
    int result;
    sem_t finished;
};

/* --- the report ------------------------------------------------------------------------------ */

static const char *text_of(const json_t *entry, const char *key)
{
    return json_string_value(json_object_get(entry, key));
}

static json_t *new_entry(const char *kind, const json_t *from, const char *id_key,
                         const char *name_key)
{
    json_t *id = member_text(from, id_key), *name = member_text(from, name_key);
    json_t *notes = json_deep_copy(json_object_get(from, "notes"));
    json_t *entry = json_pack("{s:s, s:o*, s:o*, s:o}", "kind", kind, "id", id, "name", name,
                              "notes", notes ? notes : json_array());
    return entry;
}

static int set_outcome(json_t *entry, const char *outcome, const char *code, const char *message,
                       struct err *err)
{
    char sound[400];
    int rc = json_object_set_new(entry, "outcome", json_string(outcome));
    if (rc == 0 && code)
        rc = json_object_set_new(entry, "code", json_string(code));
    utf8_copy(sound, sizeof(sound), message ? message : "");
    if (rc == 0 && message)
        rc = json_object_set_new(entry, "message", json_string(sound));
    return rc < 0 ? err_nomem(err) : 0;
}

static int add_rows(struct import *import, const json_t *rows, const char *outcome, struct err *err)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        json_t *entry = new_entry("row", row, "key", "");
        const char *why = text_of(row, "message");
        if (!entry || json_array_append_new(import->items, entry) < 0)
            return err_nomem(err);
        if (set_outcome(entry, outcome, NULL, why, err) < 0)
            return -1;
        import->refused += strcmp(outcome, "refused") == 0;
    }
    return 0;
}

/* --- the items ------------------------------------------------------------------------------- */

static const struct kind {
    const char *name, *id_key, *name_key;
    int (*put)(const struct item *item, struct err *err);
    size_t list; /* of struct skyport */
} kinds[] = {
    {"user", "userId", "username", item_user, offsetof(struct skyport, users)},
    {"image", "Id", "Name", item_image, offsetof(struct skyport, images)},
    {"node", "id", "name", item_node, offsetof(struct skyport, nodes)},
    {"instance", "Id", "Name", item_instance, offsetof(struct skyport, instances)},
};

static const json_t *list_of(const struct skyport *from, const struct kind *kind)
{
    return *(json_t *const *)((const char *)from + kind->list);
}

struct part {
    struct item item;
    int (*put)(const struct item *item, struct err *err);
    bool present;
};

static int put_part(void *arg, struct store_tx *tx, struct err *err)
{
    struct part *part = arg;
    part->item.tx = tx;
    int rc = part->put(&part->item, err);
    part->present = rc > 0;
    return rc < 0 ? -1 : 0;
}

/* Is it about the item, and not about us? */
static bool is_refusal(const struct err *err)
{
    return err->code == ERR_INVALID || err->code == ERR_NOT_FOUND || err->code == ERR_CONFLICT;
}

static int put_item(struct import *import, struct store_tx *tx, const struct kind *kind,
                    const json_t *from, struct err *err)
{
    struct err why = {0};
    json_t *entry = new_entry(kind->name, from, kind->id_key, kind->name_key);
    if (!entry || json_array_append_new(import->items, entry) < 0)
        return err_nomem(err);
    struct part part = {{NULL, import->settings, from, entry, NULL}, kind->put, false};
    if (store_tx_try(tx, put_part, &part, &why) == 0) {
        if (kind->put == item_instance && !part.present &&
            json_object_set_new(import->made, text_of(entry, "id"), json_true()) < 0)
            return err_nomem(err);
        return set_outcome(entry, part.present ? "present" : "imported", NULL, NULL, err);
    }
    if (!is_refusal(&why)) {
        *err = why;
        return -1;
    }
    import->refused++;
    return set_outcome(entry, "refused", why.reason, why.msg, err);
}

/* Who may use what of others; when all instances are there. */
static int put_access(struct import *import, struct store_tx *tx, struct err *err)
{
    size_t i;
    json_t *user;
    json_array_foreach(import->from->users, i, user)
    {
        json_t *entry = json_array_get(import->items, i); /* users are the first */
        struct item item = {tx, import->settings, user, entry, import->made};
        if (strcmp(text_of(entry, "outcome"), "refused") != 0 && item_access(&item, err) < 0)
            return -1;
    }
    return 0;
}

static int apply(struct store_change *change, struct store_tx *tx, struct err *err)
{
    struct import *import = (struct import *)change;
    json_array_clear(import->items);
    json_object_clear(import->made);
    import->refused = 0;
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        size_t i;
        json_t *from;
        json_array_foreach(list_of(import->from, &kinds[k]), i, from)
        {
            if (put_item(import, tx, &kinds[k], from, err) < 0)
                return -1;
        }
    }
    if (put_access(import, tx, err) < 0 ||
        add_rows(import, import->from->broken, "refused", err) < 0 ||
        add_rows(import, import->from->left, "left", err) < 0)
        return -1;
    if (import->settings->dry_run || (import->refused && !import->settings->partial))
        return err_set(err, ERR_CONFLICT, NOT_KEPT, "nothing was to be kept");
    return 0;
}

static void done(struct store_change *change, const struct err *err)
{
    struct import *import = (struct import *)change;
    import->result = err ? -1 : 0;
    if (err)
        import->err = *err;
    sem_post(&import->finished);
}

/* --- all ------------------------------------------------------------------------------------- */

static json_t *count(const json_t *items)
{
    size_t i;
    json_t *entry;
    json_t *counts = json_object();
    json_array_foreach(items, i, entry)
    {
        const char *kind = text_of(entry, "kind");
        const char *outcome = text_of(entry, "outcome");
        json_t *of = json_object_get(counts, kind);
        if (!of) {
            of = json_object();
            json_object_set_new(counts, kind, of);
        }
        json_int_t n = json_integer_value(json_object_get(of, outcome));
        json_object_set_new(of, outcome, json_integer(n + 1));
        if (!json_array_size(json_object_get(entry, "notes")))
            json_object_del(entry, "notes");
    }
    return counts;
}

static int submit(struct store *store, struct import *import, struct err *err)
{
    sem_init(&import->finished, 0, 0);
    int rc = store_submit(store, &import->change, err);
    if (rc == 0) {
        while (sem_wait(&import->finished) < 0 && errno == EINTR)
            ;
        rc = import->result;
        if (rc < 0)
            *err = import->err;
    }
    sem_destroy(&import->finished);
    return rc;
}

int skyport_import(struct store *store, const struct skyport *from,
                   const struct skyport_settings *settings, json_t **ret_report, struct err *err)
{
    struct import import = {.change = {.apply = apply, .done = done},
                            .from = from,
                            .settings = settings,
                            .items = json_array(),
                            .made = json_object()};
    if (!import.items || !import.made) {
        json_decref(import.items);
        json_decref(import.made);
        return err_nomem(err);
    }
    int rc = text_check_port("--agent-port", settings->agent_port, err);
    if (rc == 0)
        rc = submit(store, &import, err);
    bool kept = rc == 0;
    if (rc < 0 && strcmp(err->reason, NOT_KEPT) == 0) {
        *err = (struct err){0};
        rc = 0;
    }
    json_t *report =
        rc < 0 ? NULL
               : json_pack("{s:b, s:b, s:o, s:O}", "imported", kept, "dryRun", settings->dry_run,
                           "counts", count(import.items), "items", import.items);
    json_decref(import.items);
    json_decref(import.made);
    if (rc == 0 && !report)
        rc = err_nomem(err);
    if (rc == 0)
        *ret_report = report;
    return rc;
}
