/* panelctl audit list: which key did what to what. See handlers.h. */
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "panel/ctl/api.h"
#include "panel/ctl/common_steps.h"
#include "panel/ctl/handlers.h"

/* The id of what is called so, for the caller; what nothing is called is taken for an id, since the
 * trail outlives what it is about. Kinds that the key may not read are passed over. */
static int find_target(struct ctl *ctl, const char *word, char **ret, struct err *err)
{
    const char *first = NULL;
    for (enum thing thing = 0; thing < THING_COUNT; thing++) {
        auto_json json_t *value = NULL;
        if (resolve(ctl, thing, word, &value, err) < 0) {
            if (strcmp(err->reason, "not_found") != 0 && strcmp(err->reason, "forbidden") != 0)
                return -1;
            *err = (struct err){0};
            api_forget_failure(ctl);
            continue;
        }
        if (first)
            return err_set(err, ERR_NOT_FOUND, "ambiguous",
                           "\"%.64s\" may be %s (%.64s) or %s (%.64s); say its id", word, first,
                           *ret, thing_noun(thing), thing_id(thing, value));
        first = thing_noun(thing);
        *ret = strdup(thing_id(thing, value));
        if (!*ret)
            return err_nomem(err);
        if (strcmp(*ret, word) == 0)
            return 0;
    }
    if (!*ret)
        *ret = strdup(word);
    return *ret ? 0 : err_nomem(err);
}

int run_audit_list(struct ctl *ctl, struct err *err)
{
    auto_strbuf struct strbuf path = {0};
    auto_json json_t *rows = NULL;
    auto_free char *from = NULL;
    const char *since = args_value(&ctl->args, "since");
    const char *limit = args_value(&ctl->args, "limit");
    const char *key = args_value(&ctl->args, "key");
    const char *word = args_value(&ctl->args, "target");
    auto_free char *target = NULL;
    size_t most = 100;
    if ((limit && step_count("limit", limit, &most, err) < 0) ||
        (since && step_time("since", since, &from, err) < 0) ||
        (word && find_target(ctl, word, &target, err) < 0))
        return -1;
    strbuf_str(&path, "/api/audit?");
    const char *const filters[][2] = {{"key", key}, {"target", target}, {"since", from}};
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        if (!filters[i][1])
            continue;
        strbuf_fmt(&path, "%s=", filters[i][0]);
        api_add_escaped(&path, filters[i][1]);
        strbuf_char(&path, '&');
    }
    if (path.failed)
        return err_nomem(err);
    path.data[--path.len] = '\0'; /* the last & or ? */
    if (api_list(ctl, path.data, most, &rows, err) < 0)
        return -1;
    return view_print_list(ctl, &view_audit, rows, err);
}
