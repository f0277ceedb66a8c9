/* The panel's settings. See config.h. */
#include "panel/config.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/fs.h"

enum kind { TEXT, NUMBER, RATIO };

static const struct setting {
    const char *name;
    enum kind kind;
    size_t offset;
    double least, most; /* of NUMBER and RATIO */
} settings[] = {
    {"listen", TEXT, offsetof(struct config, listen), 0, 0},
    {"tlsCert", TEXT, offsetof(struct config, tls_cert), 0, 0},
    {"tlsKey", TEXT, offsetof(struct config, tls_key), 0, 0},
    {"logLevel", TEXT, offsetof(struct config, log_level), 0, 0},
    {"logFormat", TEXT, offsetof(struct config, log_format), 0, 0},
    {"metricsAccess", TEXT, offsetof(struct config, metrics_access), 0, 0},
    {"publicUrl", TEXT, offsetof(struct config, public_url), 0, 0},
    {"heartbeatMs", NUMBER, offsetof(struct config, heartbeat_ms), 100, 60000},
    {"installTimeoutMs", NUMBER, offsetof(struct config, install_timeout_ms), 1000, 86400000},
    {"stopTimeoutMs", NUMBER, offsetof(struct config, stop_timeout_ms), 1000, 3600000},
    {"autoPortFirst", NUMBER, offsetof(struct config, auto_port_first), 1, 65535},
    {"autoPortLast", NUMBER, offsetof(struct config, auto_port_last), 1, 65535},
    {"auditDays", NUMBER, offsetof(struct config, audit_days), 1, 36500},
    {"rateLimit", NUMBER, offsetof(struct config, rate_limit), 0, 1000000000},
    {"sessionHours", NUMBER, offsetof(struct config, session_hours), 1, 8760},
    {"memoryOvercommit", RATIO, offsetof(struct config, memory_overcommit), 0.1, 100},
};

int config_set_text(char **setting, const char *value, struct err *err)
{
    char *copy = strdup(value);
    if (!copy)
        return err_nomem(err);
    free(*setting);
    *setting = copy;
    return 0;
}

int config_init(struct config *config, struct err *err)
{
    *config = (struct config){.heartbeat_ms = 5000,
                              .install_timeout_ms = 30 * 60 * 1000,
                              .stop_timeout_ms = 60 * 1000,
                              .auto_port_first = 20000,
                              .auto_port_last = 29999,
                              .memory_overcommit = 1.0,
                              .audit_days = 90,
                              .rate_limit = 60000,
                              .session_hours = 12};
    if (config_set_text(&config->data_dir, "/var/lib/panel", err) < 0 ||
        config_set_text(&config->listen, "127.0.0.1:3001", err) < 0 ||
        config_set_text(&config->log_level, "info", err) < 0 ||
        config_set_text(&config->log_format, "logfmt", err) < 0 ||
        config_set_text(&config->metrics_access, "key", err) < 0) {
        config_fini(config);
        return -1;
    }
    return 0;
}

void config_fini(struct config *config)
{
    free(config->data_dir);
    free(config->listen);
    free(config->tls_cert);
    free(config->tls_key);
    free(config->log_level);
    free(config->log_format);
    free(config->metrics_access);
    free(config->public_url);
}

static int apply(struct config *config, const struct setting *setting, const json_t *value,
                 const char *path, struct err *err)
{
    char *at = (char *)config + setting->offset;
    if (setting->kind == TEXT) {
        if (!json_is_string(value))
            return err_set(err, ERR_INVALID, "bad_config", "%s: \"%s\" must be a string", path,
                           setting->name);
        return config_set_text((char **)(void *)at, json_string_value(value), err);
    }
    double number = json_number_value(value);
    bool fits = setting->kind == NUMBER ? json_is_integer(value) : json_is_number(value);
    if (!fits || number < setting->least || number > setting->most)
        return err_set(err, ERR_INVALID, "bad_config",
                       "%s: \"%s\" must be a %snumber from %g to %g", path, setting->name,
                       setting->kind == NUMBER ? "whole " : "", setting->least, setting->most);
    if (setting->kind == NUMBER)
        memcpy(at, &(int64_t){json_integer_value(value)}, sizeof(int64_t));
    else
        memcpy(at, &number, sizeof(number));
    return 0;
}

static const struct setting *find_setting(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        if (strcmp(settings[i].name, name) == 0)
            return &settings[i];
    }
    return NULL;
}

int config_read_file(struct config *config, const char *path, struct err *err)
{
    auto_free char *text = NULL;
    size_t len;
    if (fs_read(path, 1 << 20, &text, &len, err) < 0)
        return -1;
    json_error_t where;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
    int ret = -1;
    if (!root) {
        err_set(err, ERR_INVALID, "bad_config", "%s: line %d: %s", path, where.line, where.text);
    } else if (!json_is_object(root)) {
        err_set(err, ERR_INVALID, "bad_config", "%s must be one JSON object", path);
    } else {
        const char *name;
        json_t *value;
        ret = 0;
        json_object_foreach(root, name, value)
        {
            const struct setting *setting = find_setting(name);
            ret = setting ? apply(config, setting, value, path, err)
                          : err_set(err, ERR_INVALID, "bad_config",
                                    "%s: there is no setting \"%.64s\"", path, name);
            if (ret < 0)
                break;
        }
    }
    json_decref(root);
    return ret;
}

static int check_listen(struct config *config, struct err *err)
{
    const char *colon = strrchr(config->listen, ':');
    size_t host_len = colon ? (size_t)(colon - config->listen) : 0;
    const char *host = config->listen;
    if (host_len >= 2 && host[0] == '[' && host[host_len - 1] == ']') {
        host++;
        host_len -= 2;
    }
    char *end = NULL;
    long port = colon && colon[1] >= '0' && colon[1] <= '9' ? strtol(colon + 1, &end, 10) : -1;
    unsigned char address[16];
    if (host_len >= sizeof(config->address) || port < 0 || port > 65535 || !end || *end)
        goto bad;
    memcpy(config->address, host, host_len);
    config->address[host_len] = '\0';
    if (inet_pton(AF_INET, config->address, address) != 1 &&
        inet_pton(AF_INET6, config->address, address) != 1)
        goto bad;
    config->port = (uint16_t)port;
    return 0;
bad:
    return err_set(err, ERR_INVALID, "bad_config",
                   "listen \"%.100s\" must be an IP address and a port, such as 127.0.0.1:3001 or "
                   "[::1]:3001",
                   config->listen);
}

static int check_metrics_access(struct config *config, struct err *err)
{
    static const struct {
        const char *word;
        enum metrics_access access;
    } known[] = {{"key", METRICS_KEYED}, {"loopback", METRICS_LOOPBACK}, {"open", METRICS_OPEN}};
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(config->metrics_access, known[i].word) == 0) {
            config->metrics = known[i].access;
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "bad_config",
                   "metricsAccess \"%.32s\" must be key, loopback or open", config->metrics_access);
}

int config_check(struct config *config, struct err *err)
{
    if (check_listen(config, err) < 0)
        return -1;
    if (!log_level_parse(config->log_level, &config->level))
        return err_set(err, ERR_INVALID, "bad_config",
                       "logLevel \"%.32s\" must be debug, info, warn or error", config->log_level);
    if (!log_format_parse(config->log_format, &config->format))
        return err_set(err, ERR_INVALID, "bad_config", "logFormat \"%.32s\" must be logfmt or json",
                       config->log_format);
    if (check_metrics_access(config, err) < 0)
        return -1;
    if (!config->tls_cert != !config->tls_key)
        return err_set(err, ERR_INVALID, "bad_config",
                       "tlsCert and tlsKey go together; only one of them is set");
    if (config->auto_port_first > config->auto_port_last)
        return err_set(err, ERR_INVALID, "bad_config",
                       "autoPortFirst (%lld) is above autoPortLast (%lld)",
                       (long long)config->auto_port_first, (long long)config->auto_port_last);
    if (config->public_url && strncmp(config->public_url, "http://", 7) != 0 &&
        strncmp(config->public_url, "https://", 8) != 0)
        return err_set(err, ERR_INVALID, "bad_config",
                       "publicUrl \"%.100s\" must begin with http:// or https://",
                       config->public_url);
    return 0;
}
