/* Settings. See settings.h.
 *
 * A key never comes from the command line, where every user of the machine can read it, and is in
 * no message. A file that holds one and that others may read is refused, as ssh does. */
#include "panel/ctl/settings.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/auto.h"
#include "common/crypto.h"
#include "common/fs.h"
#include "common/strbuf.h"

#define CONFIG_MAX      (64u * 1024u)
#define KEY_LINE_MAX    1024
#define TIMEOUT_DEFAULT 30u
#define TIMEOUT_MAX     3600u

/* Where each setting may stand. */
static const struct source {
    enum setting setting;
    const char *option;
    const char *variable;
    const char *member;
    bool is_file; /* the value is in the file that is named */
} sources[] = {
    {SETTING_URL, "url", "PANEL_URL", "url", false},
    {SETTING_KEY, "key-file", "PANEL_KEY_FILE", "keyFile", true},
    {SETTING_KEY, NULL, "PANEL_API_KEY", "key", false},
    {SETTING_CA, "ca-cert", "PANEL_CA_CERT", "caCert", false},
    {SETTING_TIMEOUT, "timeout", "PANEL_TIMEOUT", "timeout", false},
    {SETTING_OUTPUT, "output", NULL, "output", false},
};

/* --- files ----------------------------------------------------------------------------------- */

/* "~/x" in the home folder; else as it is. */
static char *expand(const char *path)
{
    const char *home = getenv("HOME");
    if (path[0] == '~' && path[1] == '/' && home)
        return fs_join(home, path + 2);
    return strdup(path);
}

static int check_private(const char *path, struct err *err)
{
    struct stat at;
    if (stat(path, &at) < 0 || !S_ISREG(at.st_mode) || !(at.st_mode & 07))
        return 0; /* that it can't be read is told by who reads it */
    return err_set(err, ERR_INVALID, "usage",
                   "%.200s holds a key and every user can read it; run: chmod 600 %.60s", path,
                   path);
}

/* Its first line; it may be a pipe, as in --key-file <(pass show panel). */
static int read_key_file(const char *path, char **ret, struct err *err)
{
    char line[KEY_LINE_MAX];
    if (check_private(path, err) < 0)
        return -1;
    FILE *file = fopen(path, "re");
    if (!file)
        return err_io(err, errno, "can't read the key file %.200s", path);
    bool any = fgets(line, sizeof(line), file) != NULL;
    fclose(file);
    if (any) {
        line[strcspn(line, "\r\n")] = '\0';
        *ret = strdup(line);
    }
    crypto_wipe(line, sizeof(line));
    if (!any)
        return err_set(err, ERR_INVALID, "usage", "the key file %.200s is empty", path);
    return *ret ? 0 : err_nomem(err);
}

/* --- one setting ----------------------------------------------------------------------------- */

static int set(struct settings *settings, const struct source *source, const char *value,
               const char *from, struct err *err)
{
    char **slot = &settings->values[source->setting];
    if (*slot || (source->setting == SETTING_KEY && settings->key_fault.code))
        return 0; /* said by what goes before */
    settings->from[source->setting] = from;
    if (source->is_file) {
        settings->key_file = expand(value);
        if (!settings->key_file)
            return err_nomem(err);
        read_key_file(settings->key_file, slot, &settings->key_fault);
        return 0;
    }
    *slot = source->setting == SETTING_CA ? expand(value) : strdup(value);
    return *slot ? 0 : err_nomem(err);
}

static int take_options(struct settings *settings, const struct args *args, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        const char *value = sources[i].option ? args_value(args, sources[i].option) : NULL;
        if (value && set(settings, &sources[i], value, "the command line", err) < 0)
            return -1;
    }
    return 0;
}

static int take_environment(struct settings *settings, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        const char *value = sources[i].variable ? getenv(sources[i].variable) : NULL;
        if (value && *value && set(settings, &sources[i], value, sources[i].variable, err) < 0)
            return -1;
    }
    return 0;
}

static int take_member(struct settings *settings, const char *name, const json_t *value,
                       struct err *err)
{
    char number[32];
    const char *text = json_string_value(value);
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        if (strcmp(sources[i].member, name) != 0)
            continue;
        if (json_is_integer(value) && sources[i].setting == SETTING_TIMEOUT) {
            snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
            text = number;
        }
        if (!text)
            return err_set(err, ERR_INVALID, "usage", "%.200s: \"%s\" must be a text",
                           settings->config_path, name);
        if (strcmp(name, "key") == 0 && check_private(settings->config_path, err) < 0)
            return -1;
        return set(settings, &sources[i], text, settings->config_path, err);
    }
    return err_set(err, ERR_INVALID, "usage",
                   "%.200s: there is no setting \"%.40s\"; there are url, key, keyFile, caCert, "
                   "timeout, output",
                   settings->config_path, name);
}

/* The parser tells what stands near a fault, which may be a key. */
static int refuse_syntax(const char *path, const json_error_t *why, struct err *err)
{
    const char *near = strstr(why->text, " near ");
    int len = near ? (int)(near - why->text) : (int)strlen(why->text);
    return err_set(err, ERR_INVALID, "usage", "%.200s, line %d: this is no JSON object: %.*s", path,
                   why->line, len, why->text);
}

static int take_config(struct settings *settings, struct err *err)
{
    auto_free char *text = NULL;
    size_t len;
    json_error_t why;
    if (fs_read(settings->config_path, CONFIG_MAX, &text, &len, err) < 0)
        return -1;
    settings->config_read = true;
    json_t *config = json_loadb(text, len, JSON_REJECT_DUPLICATES, &why);
    int rc = 0;
    if (!config)
        rc = refuse_syntax(settings->config_path, &why, err);
    else if (!json_is_object(config))
        rc = err_set(err, ERR_INVALID, "usage", "%.200s: this is no JSON object",
                     settings->config_path);
    const char *name;
    json_t *value;
    if (rc == 0) {
        json_object_foreach(config, name, value)
        {
            if ((rc = take_member(settings, name, value, err)) < 0)
                break;
        }
    }
    json_decref(config);
    crypto_wipe(text, len);
    return rc;
}

static char *default_config_path(void)
{
    const char *folder = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    if (folder && folder[0] == '/')
        return fs_join(folder, "panel/config.json");
    return fs_join(home ? home : "/root", ".config/panel/config.json");
}

static int find_config(struct settings *settings, const struct args *args, struct err *err)
{
    const char *named = args_value(args, "config");
    const char *variable = getenv("PANEL_CONFIG");
    if (!named && variable && *variable)
        named = variable;
    settings->config_path = named ? expand(named) : default_config_path();
    if (!settings->config_path)
        return err_nomem(err);
    if (take_config(settings, err) < 0) {
        if (named || err->code != ERR_NOT_FOUND)
            return err->code == ERR_INVALID ? -1 : err_wrap(err, "the config file");
        *err = (struct err){0}; /* none is needed */
    }
    return 0;
}

/* --- checks ---------------------------------------------------------------------------------- */

static int check_url(struct settings *settings, struct err *err)
{
    char *url = settings->values[SETTING_URL];
    size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
    size_t len = strlen(url);
    while (len > scheme && url[len - 1] == '/')
        url[--len] = '\0';
    if (!scheme || len == scheme || strpbrk(url, " ?#\r\n\t"))
        return err_set(err, ERR_INVALID, "usage",
                       "the panel's address (%s) must be like https://panel.example.com, "
                       "not \"%.100s\"",
                       settings->from[SETTING_URL], url);
    if (strchr(url + scheme, '@'))
        return err_set(err, ERR_INVALID, "usage",
                       "the panel's address (%s) must not hold a user or a password",
                       settings->from[SETTING_URL]);
    return 0;
}

static int check_characters(const struct settings *settings, const char *key, struct err *err)
{
    auto_strbuf struct strbuf origin = {0};
    const char *bad = key;
    while (*bad > 0x20 && *bad < 0x7f)
        bad++;
    if (*key && !*bad)
        return 0;
    settings_add_key_origin(settings, &origin);
    return err_set(err, ERR_INVALID, "usage", "the key from %s %s", origin.data ? origin.data : "",
                   *key ? "holds a character that no key has" : "is empty");
}

static void check_key(struct settings *settings)
{
    char *key = settings->values[SETTING_KEY];
    if (!key || settings->key_fault.code ||
        check_characters(settings, key, &settings->key_fault) == 0)
        return;
    crypto_wipe(key, strlen(key));
    free(key);
    settings->values[SETTING_KEY] = NULL;
}

int settings_check_key(const struct settings *settings, struct err *err)
{
    if (!settings->key_fault.code)
        return 0;
    *err = settings->key_fault;
    return -1;
}

static int check_timeout(struct settings *settings, struct err *err)
{
    const char *text = settings->values[SETTING_TIMEOUT];
    unsigned n = text ? 0 : TIMEOUT_DEFAULT;
    for (const char *p = text; p && *p; p++) {
        if (*p < '0' || *p > '9' || n > TIMEOUT_MAX) {
            n = 0;
            break;
        }
        n = n * 10 + (unsigned)(*p - '0');
    }
    if (n < 1 || n > TIMEOUT_MAX)
        return err_set(err, ERR_INVALID, "usage",
                       "the timeout must be 1 to %u seconds, not \"%.40s\"", TIMEOUT_MAX, text);
    settings->timeout_ms = n * 1000;
    return 0;
}

int settings_load(struct settings *settings, const struct args *args, struct err *err)
{
    *settings = (struct settings){0};
    if (take_options(settings, args, err) < 0 || take_environment(settings, err) < 0 ||
        find_config(settings, args, err) < 0)
        return -1;
    if (!settings->values[SETTING_URL]) {
        settings->from[SETTING_URL] = "the default";
        settings->values[SETTING_URL] = strdup(SETTINGS_URL_DEFAULT);
        if (!settings->values[SETTING_URL])
            return err_nomem(err);
    }
    if (check_url(settings, err) < 0)
        return -1;
    check_key(settings);
    return check_timeout(settings, err);
}

void settings_add_key_origin(const struct settings *settings, struct strbuf *out)
{
    const char *from = settings->from[SETTING_KEY];
    if (settings->key_file)
        strbuf_fmt(out, "the file %s, named by ", settings->key_file);
    strbuf_str(out, from ? from : "nowhere");
}

void settings_fini(struct settings *settings)
{
    char *key = settings->values[SETTING_KEY];
    if (key)
        crypto_wipe(key, strlen(key));
    for (size_t i = 0; i < SETTING_COUNT; i++)
        free(settings->values[i]);
    free(settings->key_file);
    free(settings->config_path);
    *settings = (struct settings){0};
}
