/* The REST API: from a request to the store and the fleet, and back as JSON.
 *
 * docs/openapi.yaml is its description; the table in routes.c its list of routes, each with the
 * permission it needs (none given: denied). Handlers run on HTTP threads and never block: reads
 * answer at once, changes answer from the store writer's done(), waits from the fleet's thread. */
#ifndef PANEL_API_API_H
#define PANEL_API_API_H

#include <stdint.h>

#include "common/err.h"
#include "panel/auth/password.h"
#include "panel/fleet/fleet.h"
#include "panel/http/http.h"
#include "panel/pki/ca.h"
#include "panel/store/store.h"

struct api;

/* Who is shown /metrics without an API key. */
enum metrics_access {
    METRICS_KEYED,    /* nobody */
    METRICS_LOOPBACK, /* who connects from this machine: also a proxy on it, for whomever */
    METRICS_OPEN,     /* everybody */
};

struct api_settings {
    double memory_overcommit;
    struct port_range auto_ports;
    const char *public_url; /* what joinCommand tells agents; NULL: from the request's Host */
    uint32_t rate_limit;    /* requests a minute of each key that has none of its own; 0: any */
    uint32_t session_hours; /* from a login to its end */
    enum metrics_access metrics_access;
};

struct api_rooms {
    struct store *store;
    struct fleet *fleet;
    struct ca *ca;
    struct password_pool *passwords;
};

/* rooms must outlive the api; settings are copied. */
int api_create(const struct api_rooms *rooms, const struct api_settings *settings,
               struct api **ret_api, struct err *err);
/* Other values for those two settings, from now on: a session keeps its end. Any thread. */
void api_retune(struct api *api, uint32_t rate_limit, uint32_t session_hours);
/* Once the HTTP server has stopped, and before the rooms are closed: what is still to be made is
 * refused. */
void api_stop(struct api *api);
/* After that, and when the rooms are closed. */
void api_destroy(struct api *api);

struct http_app api_http_app(struct api *api);

#endif
