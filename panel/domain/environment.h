/* The environment of a container: template, then variables, then the panel's own, which win.
 * Pure; any thread. */
#ifndef PANEL_DOMAIN_ENVIRONMENT_H
#define PANEL_DOMAIN_ENVIRONMENT_H

#include <jansson.h>
#include <stdint.h>

#include "common/err.h"

struct environment_facts {
    uint16_t primary_port;
    const char *instance_id;
    const char *instance_name;
    uint64_t memory_mib;
};

/* A scalar as the text that a program finds in its environment: 1024, 0.5, true. A new string;
 * NULL for what is no scalar (or null), or out of memory. */
json_t *environment_text(const json_t *value);

/* A new object whose values are texts, from one that a client gave. ERR_INVALID "invalid_field"
 * (field "variables") when a name or value can't be used; nulls are left out. */
int environment_variables(const json_t *given, json_t **ret_variables, struct err *err);

/* template_env: array of "K=V", or NULL; variables: of environment_variables(). *ret_json is the
 * text of an array of "K=V", each key once, for the caller to free. */
int environment_compose(const json_t *template_env, const json_t *variables,
                        const struct environment_facts *facts, char **ret_json, struct err *err);

/* The same for one that was composed, with another primary port. */
int environment_change_port(const char *env_json, uint16_t primary_port, char **ret_json,
                            struct err *err);

#endif
