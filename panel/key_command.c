/* API keys on the host. See key_command.h.
 *
 * Request: {"command": "key.create" | "key.list" | "key.revoke", "name"}. A change has a row in the
 * audit trail, as one that comes over the API has. */
#include "panel/key_command.h"

#include <errno.h>
#include <jansson.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/json_writer.h"
#include "common/log.h"
#include "common/utf8.h"
#include "panel/control.h"
#include "panel/store/store.h"

#define DAEMON_WAIT_MS 10000

/* --- answering ------------------------------------------------------------------------------- */

struct key_change {
    struct store_change change;
    const char *name;
    uint8_t digest[CRYPTO_HASH_BYTES];
    struct err *err;
    int result;
    sem_t finished;
};

static int audit(struct store_tx *tx, const char *command, const char *key_id, int status,
                 struct err *err)
{
    int64_t seq;
    struct audit row = {.request_id = "",
                        .key_id = "host",
                        .key_name = "paneld on its host",
                        .method = "COMMAND",
                        .path = command,
                        .target = key_id,
                        .status = status,
                        .code = ""};
    return store_audit_add(tx, &row, &seq, err);
}

static int apply_create(struct store_change *change, struct store_tx *tx, struct err *err)
{
    const struct key_change *key = (struct key_change *)change;
    char id[API_KEY_ID_SIZE];
    if (store_key_create(tx, key->name, key->digest, id, err) < 0)
        return -1;
    return audit(tx, "key create", id, 201, err);
}

static int apply_revoke(struct store_change *change, struct store_tx *tx, struct err *err)
{
    char id[API_KEY_ID_SIZE];
    if (store_key_revoke(tx, ((struct key_change *)change)->name, id, err) < 0)
        return -1;
    return audit(tx, "key revoke", id, 200, err);
}

static void done(struct store_change *change, const struct err *err)
{
    struct key_change *key = (struct key_change *)change;
    key->result = err ? -1 : 0;
    if (err && key->err)
        *key->err = *err;
    sem_post(&key->finished);
}

static int change_key(struct store *store, struct key_change *key, struct err *err)
{
    key->change.done = done;
    key->err = err;
    sem_init(&key->finished, 0, 0);
    int rc = store_submit(store, &key->change, err);
    if (rc == 0) {
        while (sem_wait(&key->finished) < 0 && errno == EINTR)
            ;
        rc = key->result;
    }
    sem_destroy(&key->finished);
    return rc;
}

static int check_name(const char *name, struct err *err)
{
    size_t len = 0;
    for (; name[len]; len++) {
        if ((unsigned char)name[len] < 0x20 || name[len] == 0x7f)
            return err_set(err, ERR_INVALID, "bad_name", "the key's name has control characters");
    }
    if (len < 1 || len >= API_KEY_NAME_SIZE || !utf8_is_valid(name))
        return err_set(err, ERR_INVALID, "bad_name",
                       "the key's name must have 1 to %d bytes of UTF-8", API_KEY_NAME_SIZE - 1);
    return 0;
}

static int create_key(struct store *store, const char *name, struct strbuf *out, struct err *err)
{
    struct key_change change = {.change.apply = apply_create, .name = name};
    char key[API_KEY_LEN + 1];
    if (check_name(name, err) < 0)
        return -1;
    api_key_generate(key);
    api_key_digest(key, change.digest);
    int rc = change_key(store, &change, err);
    if (rc == 0) {
        jw_string(out, "key", key);
        log_info("api key created", "name=%s", name);
    }
    crypto_wipe(key, sizeof(key));
    return rc;
}

static int put_row(const struct api_key *key, void *arg, struct err *err)
{
    (void)err;
    struct strbuf *rows = arg;
    jw_object_begin(rows, NULL);
    jw_string(rows, "id", key->id);
    jw_string(rows, "name", key->name);
    jw_time(rows, "createdAt", key->created_at);
    jw_time(rows, "revokedAt", key->revoked_at);
    jw_object_end(rows);
    return 0;
}

static int list_keys(struct store *store, const char *name, struct strbuf *out, struct err *err)
{
    (void)name;
    auto_strbuf struct strbuf rows = {0};
    jw_array_begin(&rows, NULL);
    int rc = store_key_list(store, put_row, &rows, err);
    jw_array_end(&rows);
    if (rc == 0)
        jw_raw(out, "keys", rows.data);
    out->failed |= rows.failed;
    return rc;
}

static int revoke_key(struct store *store, const char *name, struct strbuf *out, struct err *err)
{
    struct key_change change = {.change.apply = apply_revoke, .name = name};
    if (change_key(store, &change, err) < 0)
        return -1;
    jw_bool(out, "revoked", true);
    log_info("api key revoked", "key=%s", name);
    return 0;
}

static const struct {
    const char *command;
    int (*run)(struct store *store, const char *name, struct strbuf *out, struct err *err);
} commands[] = {{"key.create", create_key}, {"key.list", list_keys}, {"key.revoke", revoke_key}};

int key_answer(void *arg, const char *request, struct strbuf *out, struct err *err)
{
    json_t *root = json_loads(request, JSON_REJECT_DUPLICATES, NULL);
    const char *command = json_string_value(json_object_get(root, "command"));
    const char *name = json_string_value(json_object_get(root, "name"));
    int rc = -1;
    size_t i = 0;
    while (i < ARRAY_LEN(commands) && (!command || strcmp(commands[i].command, command) != 0))
        i++;
    if (i < ARRAY_LEN(commands))
        rc = commands[i].run(arg, name ? name : "", out, err);
    else
        err_set(err, ERR_INVALID, "unknown_command", "this paneld doesn't know that command");
    json_decref(root);
    return rc;
}

/* --- asking ---------------------------------------------------------------------------------- */

/* 1 or 0; -1 when the folder may not be looked into. */
static int has_file(const char *dir, const char *name, struct err *err)
{
    auto_free char *path = fs_join(dir, name);
    if (!path)
        return err_nomem(err);
    if (access(path, F_OK) == 0)
        return 1;
    return errno == ENOENT || errno == ENOTDIR ? 0 : err_io(err, errno, "can't look into %s", dir);
}

/* Else a mistyped folder would become a panel of its own. */
static int check_panel(const char *dir, const char *file, struct err *err)
{
    int there = has_file(dir, "panel.db", err);
    if (there == 0 && file)
        there = has_file(dir, file, err);
    if (there == 0)
        err_set(err, ERR_NOT_FOUND, "no_panel",
                "there is no panel in %s; --data names the folder of one that was started before",
                dir);
    return there > 0 ? 0 : -1;
}

static int ask_alone(const char *dir, int lock_fd, const char *request, char **ret_answer,
                     struct err *err)
{
    auto_fd int held = lock_fd;
    auto_strbuf struct strbuf out = {0};
    struct store *store;
    if (check_panel(dir, NULL, err) < 0 || store_open(dir, NULL, &store, err) < 0)
        return -1;
    jw_object_begin(&out, NULL);
    int rc = key_answer(store, request, &out, err);
    jw_object_end(&out);
    store_close(store);
    if (rc < 0)
        return -1;
    *ret_answer = strbuf_steal(&out);
    return *ret_answer ? 0 : err_nomem(err);
}

static int ask_someone(const char *dir, const char *request, char **ret_answer, struct err *err)
{
    /* A daemon that has the lock but isn't listening yet is starting up or going down, or even
     * making its database. */
    int64_t deadline = clock_mono_ms() + DAEMON_WAIT_MS;
    if (check_panel(dir, "panel.lock", err) < 0)
        return -1;
    for (;;) {
        int lock_fd;
        if (fs_lock(dir, "panel.lock", &lock_fd, err) == 0)
            return ask_alone(dir, lock_fd, request, ret_answer, err);
        if (err->code != ERR_CONFLICT)
            return -1;
        int rc = control_request(dir, request, ret_answer, err);
        if (rc == 0 || err->code != ERR_NOT_FOUND)
            return rc;
        if (clock_mono_ms() > deadline)
            return err_set(err, ERR_TIMEOUT, "daemon_silent",
                           "a paneld runs on %s but does not answer on its control socket", dir);
        nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
    }
}

/* The answer, or NULL with err set. */
static json_t *ask(const char *dir, const char *command, const char *name, struct err *err)
{
    auto_strbuf struct strbuf request = {0};
    auto_free char *text = NULL;
    jw_object_begin(&request, NULL);
    jw_string(&request, "command", command);
    jw_string(&request, "name", name);
    jw_object_end(&request);
    if (request.failed) {
        err_nomem(err);
        return NULL;
    }
    if (ask_someone(dir, request.data, &text, err) < 0)
        return NULL;
    json_t *root = json_loads(text, 0, NULL);
    crypto_wipe(text, strlen(text));
    const char *error = json_string_value(json_object_get(root, "error"));
    if (root && !error)
        return root;
    err_set(err, ERR_INTERNAL, "refused", "%s", error ? error : "the running paneld made no sense");
    json_decref(root);
    return NULL;
}

int key_command_create(const char *dir, const char *name, char out_key[API_KEY_LEN + 1],
                       struct err *err)
{
    json_t *answer = check_name(name, err) < 0 ? NULL : ask(dir, "key.create", name, err);
    if (!answer)
        return -1;
    const char *key = json_string_value(json_object_get(answer, "key"));
    int rc = 0;
    if (key && strlen(key) == API_KEY_LEN)
        memcpy(out_key, key, API_KEY_LEN + 1);
    else
        rc = err_set(err, ERR_INTERNAL, "refused", "the running paneld gave no key");
    json_decref(answer);
    return rc;
}

/* To the second: 2026-01-31T12:00:00Z. */
static void print_row(FILE *to, const json_t *row)
{
    const char *revoked = json_string_value(json_object_get(row, "revokedAt"));
    const char *created = json_string_value(json_object_get(row, "createdAt"));
    fprintf(to, "%-16s  %.19sZ  %s%.19s%s  %s\n", json_string_value(json_object_get(row, "id")),
            created ? created : "", revoked ? "revoked " : "valid", revoked ? revoked : "",
            revoked ? "Z" : "                       ",
            json_string_value(json_object_get(row, "name")));
}

int key_command_list(const char *dir, FILE *to, struct err *err)
{
    json_t *answer = ask(dir, "key.list", "", err);
    if (!answer)
        return -1;
    size_t i;
    json_t *row;
    fprintf(to, "%-16s  %-20s  %-28s  %s\n", "ID", "CREATED", "STATE", "NAME");
    json_array_foreach(json_object_get(answer, "keys"), i, row)
    {
        print_row(to, row);
    }
    json_decref(answer);
    return 0;
}

int key_command_revoke(const char *dir, const char *id_or_name, struct err *err)
{
    json_t *answer =
        check_name(id_or_name, err) < 0 ? NULL : ask(dir, "key.revoke", id_or_name, err);
    json_decref(answer);
    return answer ? 0 : -1;
}
