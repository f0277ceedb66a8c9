/* panelctl audit list: which key did what to what. See handlers.h. */
#include "common/auto.h"
#include "panel/ctl/api.h"
#include "panel/ctl/common_steps.h"
#include "panel/ctl/handlers.h"

int run_audit_list(struct ctl *ctl, struct err *err)
{
    auto_strbuf struct strbuf path = {0};
    auto_json json_t *rows = NULL;
    auto_free char *from = NULL;
    const char *since = args_value(&ctl->args, "since");
    const char *limit = args_value(&ctl->args, "limit");
    const char *key = args_value(&ctl->args, "key");
    const char *target = args_value(&ctl->args, "target");
    size_t most = 100;
    if ((limit && step_count("limit", limit, &most, err) < 0) ||
        (since && step_time("since", since, &from, err) < 0))
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
