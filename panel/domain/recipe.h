/* What a container is made from, by its template, its variables and where it is. Pure; any thread.
 *
 * Made anew whenever one of these changes, since each may stand in any of its texts. */
#ifndef PANEL_DOMAIN_RECIPE_H
#define PANEL_DOMAIN_RECIPE_H

#include <jansson.h>

#include "common/err.h"
#include "panel/domain/environment.h"

/* All JSON texts, owned. */
struct recipe {
    char *env;     /* array of "K=V" */
    char *command; /* array of words; "[]": the image's own */
    char *install; /* array of {"uri","path","sha256"} */
};

/* tmpl: a normalized template, or NULL; variables: of environment_variables(); own_env: likewise,
 * or NULL. ERR_INVALID says what of the template can't be used with these values. */
int recipe_make(const json_t *tmpl, const json_t *variables, const json_t *own_env,
                const struct environment_facts *facts, struct recipe *ret, struct err *err);
/* The same from the texts that an instance's row keeps; template may be NULL. */
int recipe_remake(const char *template, const char *variables, const char *own_env,
                  const struct environment_facts *facts, struct recipe *ret, struct err *err);
void recipe_fini(struct recipe *recipe);

/* Of a file to install, its keys replaced by values: NULL, or what is wrong with it in words that
 * follow "has to be". */
const char *recipe_fault_of_uri(const char *uri);
const char *recipe_fault_of_path(const char *path);

#endif
