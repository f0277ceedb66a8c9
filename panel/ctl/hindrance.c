/* What keeps a node from it. See hindrance.h. */
#include "panel/ctl/hindrance.h"

#include <string.h>

#include "common/auto.h"
#include "panel/ctl/api.h"
#include "panel/ctl/resolve.h"
#include "panel/ctl/view.h"

bool hindrance_no_docker(const json_t *node)
{
    return strcmp(view_text(node, "docker.status"), "down") == 0;
}

bool hindrance_add_known(const json_t *instance, struct strbuf *out)
{
    static const char *const words[][2] = {
        {"Offline", "its node is offline, and does it when it is back"},
        {"Suspect", "its node does not answer, and does it when it is back"},
        {"Unconfigured", "nobody has joined its node yet, which does it when it is there"},
    };
    const char *status = view_text(instance, "Node.status");
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(status, words[i][0]) != 0)
            continue;
        strbuf_str(out, words[i][1]);
        return true;
    }
    return false;
}

void hindrance_add_docker(struct ctl *ctl, const json_t *instance, struct strbuf *out)
{
    struct err err = {0};
    auto_json json_t *node = NULL;
    const char *id = view_text(instance, "Node.id");
    if (!*id || resolve_by_id(ctl, THING_NODE, id, &node, &err) < 0) {
        api_forget_failure(ctl);
        return;
    }
    const char *why = view_text(node, "docker.error");
    if (hindrance_no_docker(node))
        strbuf_fmt(out, "the Docker of its node does not answer%s%s%s", *why ? " (" : "", why,
                   *why ? ")" : "");
}

void hindrance_add(struct ctl *ctl, const json_t *instance, struct strbuf *out)
{
    size_t before = out->len;
    if (hindrance_add_known(instance, out))
        return;
    hindrance_add_docker(ctl, instance, out);
    if (out->len > before)
        strbuf_str(out, ", and it is done when that is back");
}
