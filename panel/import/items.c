/* Users, images and nodes of a Skyport panel to ours. See internal.h.
 *
 * Each is held to the rules that hold for what comes over the API: the checks are the domain's and
 * the store's. What can't be told from what Skyport kept is noted in the report. */
#include "panel/import/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/utf8.h"
#include "panel/auth/join_token.h"
#include "panel/auth/password.h"
#include "panel/domain/environment.h"
#include "panel/domain/limits.h"
#include "panel/domain/template.h"
#include "panel/domain/template_report.h"
#include "panel/domain/text.h"

/* A hash that no password has. */
#define NO_PASSWORD "!"

/* --- members --------------------------------------------------------------------------------- */

json_t *member_text(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return value ? environment_text(value) : NULL;
}

bool member_is_true(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    const char *text = json_string_value(value);
    return json_is_true(value) || (text && strcmp(text, "true") == 0);
}

int item_note(const json_t *report, struct err *err, const char *fmt, ...)
{
    char text[512], sound[512]; /* an error's sentence may be cut in the middle of a character */
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    utf8_copy(sound, sizeof(sound), text);
    json_t *note = json_string(sound);
    return json_array_append_new(json_object_get(report, "notes"), note) < 0 ? err_nomem(err) : 0;
}

int texts_begin(struct texts *texts, const json_t *from, struct err *err)
{
    *texts = (struct texts){.from = from, .kept = json_array()};
    return texts->kept ? 0 : err_nomem(err);
}

int texts_end(struct texts *texts, int rc, struct err *err)
{
    json_decref(texts->kept);
    return texts->failed ? err_nomem(err) : rc;
}

const char *texts_get(struct texts *texts, const char *key, const char *otherwise)
{
    const json_t *value = json_object_get(texts->from, key);
    json_t *text = member_text(texts->from, key);
    bool has_none = !value || json_is_null(value) || json_is_object(value) || json_is_array(value);
    if (!text || json_array_append_new(texts->kept, text) < 0) {
        texts->failed |= !has_none;
        return otherwise;
    }
    return json_string_value(text);
}

const char *texts_need(struct texts *texts, const char *key, struct err *err)
{
    const char *text = texts_get(texts, key, NULL);
    if (!text && !err->code)
        err_field(err, ERR_INVALID, "missing_field", key, "it has no \"%s\" that could be used",
                  key);
    return text;
}

/* --- users ----------------------------------------------------------------------------------- */

static int see_user(const struct user *user, void *arg, struct err *err)
{
    (void)user;
    (void)arg;
    (void)err;
    return 0;
}

static int put_user(const struct item *item, struct texts *texts, struct err *err)
{
    struct user user = {.id = texts_need(texts, "userId", err),
                        .username = texts_need(texts, "username", err),
                        .email = texts_need(texts, "email", err),
                        .admin = member_is_true(item->from, "admin"),
                        .created_at = clock_wall_ms()};
    if (err->code || text_check_id("userId", user.id, err) < 0 ||
        text_check_name("username", user.username, USERNAME_MAX, err) < 0 ||
        text_check_email("email", user.email, err) < 0)
        return -1;
    int there = store_user_see(item->tx, user.id, see_user, NULL, err);
    if (there)
        return there;
    const char *hash = json_string_value(json_object_get(item->from, "password"));
    bool usable = hash && password_is_bcrypt(hash);
    if (store_user_create(item->tx, &user, usable ? hash : NO_PASSWORD, err) < 0)
        return -1;
    return usable ? 0
                  : item_note(item->report, err,
                              "its password can't be taken over, so it can't log in until it has "
                              "another: PATCH /api/users/%s with a \"password\"",
                              user.id);
}

int item_user(const struct item *item, struct err *err)
{
    struct texts texts;
    if (texts_begin(&texts, item->from, err) < 0)
        return -1;
    int rc = put_user(item, &texts, err);
    return texts_end(&texts, rc, err);
}

static bool is_new(const struct item *item)
{
    return strcmp(json_string_value(json_object_get(item->report, "outcome")), "imported") == 0;
}

static int give_access(const struct item *item, const char *user_id, const json_t *theirs,
                       struct err *err)
{
    char id[IMPORT_ID_SIZE];
    struct err why = {0};
    const char *text = json_string_value(theirs);
    bool is_id = text && instance_id_of(text, id, &why) == 0;
    if (is_id && !is_new(item) && !json_object_get(item->made, id))
        return 0;
    if (is_id && store_access_give(item->tx, id, user_id, &why) == 0)
        return 0;
    if (why.code && why.code != ERR_INVALID && why.code != ERR_NOT_FOUND &&
        why.code != ERR_CONFLICT) {
        *err = why;
        return -1;
    }
    if (strcmp(why.reason, "is_owner") == 0) /* Skyport lets one have both */
        return 0;
    return item_note(item->report, err, "it had access to the instance %s, which isn't there",
                     text ? text : "(no id)");
}

int item_access(const struct item *item, struct err *err)
{
    size_t i;
    json_t *theirs;
    const char *user_id = json_string_value(json_object_get(item->report, "id"));
    json_array_foreach(json_object_get(item->from, "accessTo"), i, theirs)
    {
        if (give_access(item, user_id, theirs, err) < 0)
            return -1;
    }
    return 0;
}

/* --- images ---------------------------------------------------------------------------------- */

static int see_image(const struct image *image, void *arg, struct err *err)
{
    (void)image;
    (void)arg;
    (void)err;
    return 0;
}

/* What of the template isn't done as it says. */
static int note_warnings(const struct item *item, const json_t *tmpl, struct err *err)
{
    size_t i;
    json_t *warning;
    auto_free char *text = NULL;
    if (template_warnings(tmpl, &text, err) < 0)
        return -1;
    json_t *warnings = json_loads(text, 0, NULL);
    int rc = warnings ? 0 : err_nomem(err);
    json_array_foreach(warnings, i, warning)
    {
        if (rc == 0)
            rc = item_note(item->report, err, "%s: %s", template_text(warning, "member", ""),
                           template_text(warning, "message", ""));
    }
    json_decref(warnings);
    return rc;
}

static int put_image(const struct item *item, const json_t *tmpl, bool had_id, struct err *err)
{
    auto_free char *body = json_dumps(tmpl, JSON_COMPACT);
    struct image image = {template_text(tmpl, "Id", ""), template_text(tmpl, "Name", ""), body};
    if (!body)
        return err_nomem(err);
    if (store_image_see(item->tx, image.id, see_image, NULL, err) > 0)
        return 1;
    if (err->code != ERR_NOT_FOUND)
        return -1;
    *err = (struct err){0};
    int rc = store_image_create(item->tx, &image, err);
    /* One that never had an id is known by its name. */
    if (rc < 0 && !had_id && strcmp(err->reason, "image_exists") == 0) {
        *err = (struct err){0};
        return 1;
    }
    return rc;
}

int item_image(const struct item *item, struct err *err)
{
    char id[CRYPTO_UUID_SIZE];
    json_t *tmpl = NULL;
    crypto_uuid(id);
    if (template_normalize(item->from, id, &tmpl, err) < 0)
        return -1;
    int rc = put_image(item, tmpl, json_is_string(json_object_get(item->from, "Id")), err);
    if (rc == 0 && note_warnings(item, tmpl, err) < 0)
        rc = -1;
    json_decref(tmpl);
    return rc;
}

/* --- nodes ----------------------------------------------------------------------------------- */

static int see_node(const struct node *node, void *arg, struct err *err)
{
    (void)node;
    (void)arg;
    (void)err;
    return 0;
}

/* It is the name in its certificate. */
static int check_node_id(const char *id, struct err *err)
{
    if (strlen(id) == CRYPTO_UUID_SIZE - 1 &&
        strspn(id, "0123456789abcdef-") == CRYPTO_UUID_SIZE - 1)
        return 0;
    return err_field(err, ERR_INVALID, "invalid_field", "id", "its id is no UUID");
}

static int check_node(const struct node *node, struct err *err)
{
    if (check_node_id(node->id, err) < 0 ||
        text_check_name("name", node->name, NODE_NAME_MAX, err) < 0 ||
        text_check_address("address", node->address, err) < 0)
        return -1;
    const char *const lines[][2] = {
        {"tags", node->tags},
        {"ram", node->ram},
        {"disk", node->disk},
        {"processor", node->processor},
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        if (text_check_line(lines[i][0], lines[i][1], NODE_TEXT_MAX, err) < 0)
            return -1;
    }
    return 0;
}

static int create_node(const struct item *item, const struct node *node, struct err *err)
{
    char token[JOIN_TOKEN_SIZE];
    uint8_t key[CRYPTO_HASH_BYTES];
    join_token_create(node->id, token, key);
    int rc = store_node_create(item->tx, node, key, node->created_at + JOIN_TOKEN_LIFE_MS, err);
    if (rc == 0 && !item->settings->dry_run &&
        json_object_set_new(item->report, "joinCommand",
                            json_sprintf("panel-agent join --panel %s --token %s",
                                         item->settings->join_url, token)) < 0)
        rc = err_nomem(err);
    crypto_wipe(token, sizeof(token));
    crypto_wipe(key, sizeof(key));
    return rc;
}

static int put_node(const struct item *item, struct texts *texts, struct err *err)
{
    struct node node = {.id = texts_need(texts, "id", err),
                        .name = texts_need(texts, "name", err),
                        .tags = texts_get(texts, "tags", ""),
                        .ram = texts_get(texts, "ram", ""),
                        .disk = texts_get(texts, "disk", ""),
                        .processor = texts_get(texts, "processor", ""),
                        .address = texts_need(texts, "address", err),
                        .port = item->settings->agent_port,
                        .created_at = clock_wall_ms()};
    if (err->code || !node.id || check_node(&node, err) < 0)
        return -1;
    int there = store_node_see(item->tx, node.id, see_node, NULL, err);
    if (there)
        return there;
    json_object_set_new(item->report, "address", json_string(node.address));
    return create_node(item, &node, err);
}

int item_node(const struct item *item, struct err *err)
{
    struct texts texts;
    if (texts_begin(&texts, item->from, err) < 0)
        return -1;
    int rc = put_node(item, &texts, err);
    return texts_end(&texts, rc, err);
}
