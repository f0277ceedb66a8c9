/* The environment of a container: template, then variables, then what the instance was given of its
 * own, then the panel's own, which win.
 * Pure; any thread. */
#ifndef PANEL_DOMAIN_ENVIRONMENT_H
#define PANEL_DOMAIN_ENVIRONMENT_H

#include <jansson.h>
#include <stdbool.h>
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

/* A new object whose values are texts, from one that a client gave in that field. ERR_INVALID
 * "invalid_field" when a name or value can't be used; nulls are left out. */
int environment_variables(const char *field, const json_t *given, json_t **ret_variables,
                          struct err *err);
/* The same with what had been given before under it, whose names that are null now go. */
int environment_merge(const char *field, const char *before, const json_t *given,
                      json_t **ret_variables, struct err *err);

/* What {{Key}} stands for: the variables (of environment_variables()) and the panel's own, which
 * win. A new object of texts. */
int environment_values(const json_t *variables, const struct environment_facts *facts,
                       json_t **ret_values, struct err *err);
/* Is it one of the panel's own? */
bool environment_is_own(const char *key);

/* template_env: array of "K=V" with {{Key}} in the values, or NULL; values: of
 * environment_values(); own_env: what the instance has of its own, texts by name, or NULL.
 * *ret_json is the text of an array of "K=V", each key once, for the caller to free. ERR_INVALID as
 * placeholder_expand(). */
int environment_compose(const json_t *template_env, const json_t *values, const json_t *own_env,
                        char **ret_json, struct err *err);

#endif
