/* The panel's settings: one row each of the table in config.c, and one member here. How they are
 * read, in what order, and what is told of faults: common/settings.h. */
#ifndef PANEL_CONFIG_H
#define PANEL_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "common/log.h"
#include "common/settings.h"
#include "panel/api/api.h"
#include "panel/http/proxies.h"

/* Who takes a change while the daemon runs; see reload.c. What has none needs a restart. */
enum config_part {
    CONFIG_LOG = 1,
    CONFIG_TLS = 2,
    CONFIG_TLS_WATCH = 4,
    CONFIG_FLEET = 8,
    CONFIG_AUDIT = 16,
    CONFIG_API = 32,
};

struct config {
    struct settings_head head;
    char *data;
    char *listen;   /* ADDR:PORT */
    char *tls_cert; /* file names; both or neither */
    char *tls_key;
    int64_t tls_watch_ms;
    enum log_level log_level;
    enum log_format log_format;
    enum metrics_access metrics_access;
    char *public_url;      /* what agents are told to join at; NULL: from each request's Host */
    char *trusted_proxies; /* IP addresses with commas between; or NULL */
    int64_t heartbeat_ms;
    int64_t install_timeout_ms;
    int64_t stop_timeout_ms;
    int64_t auto_port_first;
    int64_t auto_port_last;
    double memory_overcommit;
    int64_t rate_limit;    /* requests a minute of one key; 0: any */
    int64_t session_hours; /* from a login to its end */
    int64_t audit_days;
    /* made from listen by config_load() */
    char address[64];
    uint16_t port;
    /* and from trusted_proxies */
    struct http_proxies proxies;
};

extern const struct settings_table config_table;

/* Of a struct that is all zero. -1: faults holds a line for each. config_fini() in any case. */
int config_load(struct config *config, const struct settings_given *given, struct strbuf *faults);
void config_fini(struct config *config);

struct tls_pair;

/* What tlsCert and tlsKey name; NULL where there is no TLS. -1 as config_load(). */
int config_load_tls(const struct config *config, struct tls_pair **ret_pair, struct strbuf *faults);

/* When the certificate isn't valid now: why, as a fault is told; else nothing is appended. */
void config_judge_tls(const struct config *config, const struct tls_pair *pair,
                      struct strbuf *faults);

#endif
