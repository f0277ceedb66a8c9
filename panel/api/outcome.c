/* How what was asked of an instance ended, where that isn't the instance itself: what failed, and
 * what was undone because of it. */
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/json_writer.h"
#include "panel/api/internal.h"

int instance_render_failure(const struct instance *instance, const char *request_id,
                            struct strbuf *out)
{
    auto_strbuf struct strbuf details = {0};
    jw_object_begin(&details, NULL);
    jw_string(&details, "instanceId", instance->id);
    jw_object_end(&details);
    bool known = instance->error_code && *instance->error_code;
    bool port = known && strcmp(instance->error_code, WORD_PORT_IN_USE) == 0;
    error_write(out, known ? instance->error_code : "deploy_failed",
                known ? instance->error_message : "The instance could not be installed.",
                request_id, port ? "ports" : NULL, details.data);
    out->failed |= details.failed;
    return 500;
}

/* The reason is the store's own JSON. */
int instance_render_undone(const struct instance *instance, const char *request_id,
                           struct strbuf *out)
{
    auto_strbuf struct strbuf details = {0};
    auto_strbuf struct strbuf text = {0};
    json_t *reason = json_loads(instance->undone, 0, NULL);
    const char *code = json_string_value(json_object_get(reason, "code"));
    const char *message = json_string_value(json_object_get(reason, "message"));
    jw_object_begin(&details, NULL);
    jw_string(&details, "instanceId", instance->id);
    jw_string(&details, "reason", code ? code : "");
    jw_object_end(&details);
    strbuf_fmt(&text, "The change was undone, and what was before is back: %s",
               message ? message : "");
    error_write(out, "change_undone", text.failed ? "" : text.data, request_id, NULL, details.data);
    out->failed |= details.failed || text.failed || !reason;
    json_decref(reason);
    return 500;
}
