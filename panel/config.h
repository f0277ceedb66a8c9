/* The panel's settings: defaults, then the config file, then the command line.
 *
 * The file is one JSON object; each setting is one row of a table in config.c with its bounds,
 * and an unknown name is an error. */
#ifndef PANEL_CONFIG_H
#define PANEL_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/log.h"
#include "panel/api/api.h"

struct config {
    char *data_dir;
    char *listen;   /* ADDR:PORT */
    char *tls_cert; /* file names; both or neither */
    char *tls_key;
    char *log_level;
    char *log_format;
    char *metrics_access;
    char *public_url; /* what agents are told to join at; NULL: from each request's Host */
    int64_t heartbeat_ms;
    int64_t install_timeout_ms;
    int64_t stop_timeout_ms;
    int64_t auto_port_first;
    int64_t auto_port_last;
    double memory_overcommit;
    int64_t audit_days;
    int64_t rate_limit;    /* requests a minute of one key; 0: any */
    int64_t session_hours; /* from a login to its end */
    /* derived by config_check() */
    char address[64];
    uint16_t port;
    enum log_level level;
    enum log_format format;
    enum metrics_access metrics;
};

/* Defaults. ERR_NO_MEMORY. */
int config_init(struct config *config, struct err *err);
void config_fini(struct config *config);

/* Put a setting's text in place of what was there. */
int config_set_text(char **setting, const char *value, struct err *err);

/* ERR_INVALID names the file, the setting, the value and what would have been right. */
int config_read_file(struct config *config, const char *path, struct err *err);

/* All settings together; fills in the derived ones. */
int config_check(struct config *config, struct err *err);

#endif
