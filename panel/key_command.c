/* API keys on the host. See key_command.h.
 *
 * Request: {"command": "key.create" | "key.list" | "key.revoke", "name"}, and for a create
 * "scopes", a text, "userId", and "expiresAt", wall ms, each where it isn't the usual. A change has
 * a row in the audit trail, as one that comes over the API has; "note", with "file", adds that of a
 * command which is done by itself. */
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
#include "common/iso_time.h"
#include "common/json_writer.h"
#include "common/log.h"
#include "common/utf8.h"
#include "panel/control.h"
#include "panel/host_audit.h"
#include "panel/store/store.h"

#define DAEMON_WAIT_MS 10000

/* --- answering ------------------------------------------------------------------------------- */

struct key_change {
    struct store_change change;
    const char *name;   /* to be revoked */
    struct api_key key; /* to be made */
    uint8_t digest[CRYPTO_HASH_BYTES];
    struct err *err;
    int result;
    sem_t finished;
};

static int apply_create(struct store_change *change, struct store_tx *tx, struct err *err)
{
    struct key_change *key = (struct key_change *)change;
    if (store_key_create(tx, &key->key, key->digest, err) < 0)
        return -1;
    return host_audit_add(tx, "key create", key->key.id, 201, err);
}

static int apply_revoke(struct store_change *change, struct store_tx *tx, struct err *err)
{
    char id[API_KEY_ID_SIZE];
    if (store_key_revoke(tx, ((struct key_change *)change)->name, id, err) < 0)
        return -1;
    return host_audit_add(tx, "key revoke", id, 200, err);
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

static int read_wish(const json_t *request, struct api_key *key, struct err *err)
{
    const char *name = json_string_value(json_object_get(request, "name"));
    const char *scopes = json_string_value(json_object_get(request, "scopes"));
    const char *user_id = json_string_value(json_object_get(request, "userId"));
    scope_set ignored;
    if (check_name(name ? name : "", err) < 0 ||
        scopes_parse("scope", scopes ? scopes : "admin", &ignored, key->scopes_text, err) < 0)
        return -1;
    snprintf(key->name, sizeof(key->name), "%s", name);
    if (user_id &&
        (size_t)snprintf(key->user_id, sizeof(key->user_id), "%s", user_id) >= sizeof(key->user_id))
        return err_set(err, ERR_NOT_FOUND, "user_not_found", "there is no user \"%.64s\"", user_id);
    key->expires_at = json_integer_value(json_object_get(request, "expiresAt"));
    key->rate_limit = -1;
    return 0;
}

static int create_key(struct store *store, const json_t *request, struct strbuf *out,
                      struct err *err)
{
    struct key_change change = {.change.apply = apply_create};
    char key[API_KEY_LEN + 1];
    if (read_wish(request, &change.key, err) < 0)
        return -1;
    api_key_generate(key);
    api_key_digest(key, change.digest);
    int rc = change_key(store, &change, err);
    if (rc == 0) {
        jw_string(out, "key", key);
        log_info("api key created", "name=%s scopes=\"%s\" user=%s", change.key.name,
                 change.key.scopes_text, change.key.user_id[0] ? change.key.user_id : "-");
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
    jw_string(rows, "scopes", key->scopes_text);
    jw_string(rows, "userId", key->user_id[0] ? key->user_id : NULL);
    jw_time(rows, "createdAt", key->created_at);
    jw_time(rows, "expiresAt", key->expires_at);
    jw_time(rows, "lastUsedAt", key->last_used_at);
    jw_time(rows, "revokedAt", key->revoked_at);
    jw_object_end(rows);
    return 0;
}

static int list_keys(struct store *store, const json_t *request, struct strbuf *out,
                     struct err *err)
{
    (void)request;
    auto_strbuf struct strbuf rows = {0};
    struct store_page page = {0};
    jw_array_begin(&rows, NULL);
    int rc = store_key_list(store, NULL, &page, put_row, &rows, err);
    jw_array_end(&rows);
    if (rc == 0)
        jw_raw(out, "keys", rows.data);
    out->failed |= rows.failed;
    return rc;
}

static int revoke_key(struct store *store, const json_t *request, struct strbuf *out,
                      struct err *err)
{
    const char *given = json_string_value(json_object_get(request, "name"));
    const char *name = given ? given : "";
    struct key_change change = {.change.apply = apply_revoke, .name = name};
    if (change_key(store, &change, err) < 0)
        return -1;
    jw_bool(out, "revoked", true);
    log_info("api key revoked", "key=%s", name);
    return 0;
}

/* What is done by the command itself, beside the store. */
static int note_done(struct store *store, const json_t *request, struct strbuf *out,
                     struct err *err)
{
    static const char *const noted[] = {"backup", "restore", "import-skyport"};
    const char *command = json_string_value(json_object_get(request, "name"));
    const char *file = json_string_value(json_object_get(request, "file"));
    auto_strbuf struct strbuf detail = {0};
    size_t i = 0;
    while (i < ARRAY_LEN(noted) && (!command || strcmp(noted[i], command) != 0))
        i++;
    if (i == ARRAY_LEN(noted))
        return err_set(err, ERR_INVALID, "unknown_command", "this paneld notes no such command");
    strbuf_fmt(&detail, "file=%s", file ? file : "");
    if (detail.failed)
        return err_nomem(err);
    jw_bool(out, "noted", true);
    return host_audit_write(store, noted[i], detail.data, err);
}

static const struct {
    const char *command;
    int (*run)(struct store *store, const json_t *request, struct strbuf *out, struct err *err);
} commands[] = {{"key.create", create_key},
                {"key.list", list_keys},
                {"key.revoke", revoke_key},
                {"note", note_done}};

int key_answer(void *arg, const char *request, struct strbuf *out, struct err *err)
{
    json_t *root = json_loads(request, JSON_REJECT_DUPLICATES, NULL);
    const char *command = json_string_value(json_object_get(root, "command"));
    int rc = -1;
    size_t i = 0;
    while (i < ARRAY_LEN(commands) && (!command || strcmp(commands[i].command, command) != 0))
        i++;
    if (i < ARRAY_LEN(commands))
        rc = commands[i].run(arg, root, out, err);
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

/* The answer, or NULL with err set. Takes the request, which is an object that lacks its end. */
static json_t *ask(const char *dir, struct strbuf *take_request, struct err *err)
{
    auto_free char *text = NULL;
    jw_object_end(take_request);
    auto_free char *request = strbuf_steal(take_request);
    if (!request) {
        err_nomem(err);
        return NULL;
    }
    if (ask_someone(dir, request, &text, err) < 0)
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

static struct strbuf begin_request(const char *command, const char *name)
{
    struct strbuf request = {0};
    jw_object_begin(&request, NULL);
    jw_string(&request, "command", command);
    jw_string(&request, "name", name);
    return request;
}

/* 90m, 12h, 30d: ms; 0: it is no such span. */
static int64_t read_span(const char *text)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'m', 60 * 1000LL}, {'h', 3600 * 1000LL}, {'d', 24 * 3600 * 1000LL}};
    char digits[8];
    size_t len = strspn(text, "0123456789");
    if (!len || len >= sizeof(digits) || !text[len] || text[len + 1])
        return 0;
    snprintf(digits, sizeof(digits), "%.*s", (int)len, text);
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (text[len] == units[i].unit)
            return strtol(digits, NULL, 10) * units[i].ms;
    }
    return 0;
}

/* A span from now, or a time; wall ms. */
static int read_expiry(const char *text, int64_t *ret_at, struct err *err)
{
    uint64_t ns;
    int64_t now = clock_wall_ms();
    int64_t at = iso_time_parse(text, &ns) ? (int64_t)(ns / 1000000) : now + read_span(text);
    if (at <= now || at - now > KEY_LIFE_MAX_MS)
        return err_set(err, ERR_INVALID, "bad_expiry",
                       "--expires \"%.40s\" must be how long from now, such as 90m, 12h or 30d, or "
                       "a time to come, such as 2030-01-31T12:00:00Z, and at most 100 years; "
                       "without --expires a key has no end",
                       text);
    *ret_at = at;
    return 0;
}

int key_command_create(const char *dir, const struct key_wish *wish, char out_key[API_KEY_LEN + 1],
                       struct err *err)
{
    int64_t expires_at = 0;
    if (check_name(wish->name, err) < 0 ||
        (wish->expires && read_expiry(wish->expires, &expires_at, err) < 0))
        return -1;
    auto_strbuf struct strbuf request = begin_request("key.create", wish->name);
    if (wish->scopes)
        jw_string(&request, "scopes", wish->scopes);
    if (wish->user_id)
        jw_string(&request, "userId", wish->user_id);
    jw_int(&request, "expiresAt", expires_at);
    json_t *answer = ask(dir, &request, err);
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

static const char *text_of(const json_t *row, const char *name, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text ? text : otherwise;
}

/* A time to the second, 2026-01-31T12:00:00Z, behind a word that may be "". */
static void put_time(char out[40], const char *word, const char *time)
{
    snprintf(out, 40, "%s%.19s%s", word, time, time[0] ? "Z" : "");
}

static void print_row(FILE *to, const json_t *row)
{
    char created[40];
    char state[40];
    char used[40];
    const char *revoked = text_of(row, "revokedAt", "");
    const char *expires = text_of(row, "expiresAt", "");
    char now[CLOCK_ISO_LEN];
    clock_format_iso(clock_wall_ms(), now);
    put_time(created, "", text_of(row, "createdAt", ""));
    put_time(used, "", text_of(row, "lastUsedAt", ""));
    if (revoked[0])
        put_time(state, "revoked ", revoked);
    else if (expires[0])
        put_time(state, strcmp(expires, now) < 0 ? "expired " : "until ", expires);
    else
        put_time(state, "valid", "");
    fprintf(to, "%-16s  %-20s  %-28s  %-20s  %-12s  %-12s  %s\n", text_of(row, "id", ""), created,
            state, used[0] ? used : "never", text_of(row, "userId", "-"),
            text_of(row, "scopes", ""), text_of(row, "name", ""));
}

int key_command_list(const char *dir, FILE *to, struct err *err)
{
    auto_strbuf struct strbuf request = begin_request("key.list", "");
    json_t *answer = ask(dir, &request, err);
    if (!answer)
        return -1;
    size_t i;
    json_t *row;
    fprintf(to, "%-16s  %-20s  %-28s  %-20s  %-12s  %-12s  %s\n", "ID", "CREATED", "STATE", "USED",
            "USER", "SCOPES", "NAME");
    json_array_foreach(json_object_get(answer, "keys"), i, row)
    {
        print_row(to, row);
    }
    json_decref(answer);
    return 0;
}

int key_command_revoke(const char *dir, const char *id_or_name, struct err *err)
{
    if (check_name(id_or_name, err) < 0)
        return -1;
    auto_strbuf struct strbuf request = begin_request("key.revoke", id_or_name);
    json_t *answer = ask(dir, &request, err);
    json_decref(answer);
    return answer ? 0 : -1;
}

static bool is_running(const char *dir)
{
    struct err err = {0};
    auto_fd int lock = -1;
    return fs_lock(dir, "panel.lock", &lock, &err) < 0 && err.code == ERR_CONFLICT;
}

int key_command_note(const char *dir, const char *command, const char *file, struct err *err)
{
    auto_strbuf struct strbuf request = begin_request("note", command);
    jw_string(&request, "file", file);
    /* A backup only reads: of a panel that doesn't run it leaves all as it is. */
    if (strcmp(command, "backup") == 0 && !is_running(dir))
        return 0;
    json_t *answer = ask(dir, &request, err);
    json_decref(answer);
    return answer ? 0 : -1;
}
