/* Watching. See watch.h.
 *
 * Asked again every two seconds. Into a file or a pipe it is printed when what the panel says has
 * changed; on a terminal also when only an age has. A panel that is away for a while is waited for,
 * once it has been there. */
#include "panel/ctl/watch.h"

#include <stdio.h>
#include <string.h>

#include "panel/ctl/api.h"
#include "panel/ctl/common_steps.h"

#define EVERY_MS 2000

static int add(struct ctl *ctl, const struct view *view, bool list, const json_t *value,
               struct strbuf *out, struct err *err)
{
    return list ? view_add_list(ctl, view, value, out, err)
                : view_add_one(ctl, view, value, out, err);
}

int screen_draw(const struct strbuf *text, struct err *err)
{
    struct strbuf out = {0};
    const char *at = text->data ? text->data : "";
    size_t rows = term_height() - 1;
    /* No line is to take two rows. Home; lines are overwritten, which flickers less than clearing.
     */
    strbuf_str(&out, "\x1b[?7l\x1b[H");
    while (*at && rows--) {
        size_t len = strcspn(at, "\n");
        strbuf_add(&out, at, len);
        strbuf_str(&out, "\x1b[K\n");
        at += len + (at[len] == '\n');
    }
    strbuf_str(&out, "\x1b[J\x1b[?7h");
    int rc = view_put(&out, err);
    strbuf_fini(&out);
    return rc;
}

/* One look; *last is what it saw. */
static int look(struct ctl *ctl, const struct view *view, bool list, watch_fetch fetch,
                const void *arg, json_t **last, struct err *err)
{
    auto_json json_t *now = NULL;
    struct strbuf out = {0};
    if (fetch(ctl, arg, &now, err) < 0)
        return -1;
    if (!ctl->term.out && *last && json_equal(*last, now))
        return 0;
    if (!*last && ctl->term.out)
        fputs("\x1b[2J", stdout);
    int rc = add(ctl, view, list, now, &out, err);
    if (rc == 0)
        rc = ctl->term.out ? screen_draw(&out, err) : view_put(&out, err);
    strbuf_fini(&out);
    json_decref(*last);
    *last = json_incref(now);
    return rc;
}

static int watch(struct ctl *ctl, const struct view *view, bool list, watch_fetch fetch,
                 const void *arg, struct err *err)
{
    auto_json json_t *last = NULL;
    for (;;) {
        if (look(ctl, view, list, fetch, arg, &last, err) < 0) {
            if (!last || !api_may_pass(err))
                return -1;
            if (ctl->term.err)
                step_note("panelctl: %s; waiting for it", err->msg);
            *err = (struct err){0};
        }
        step_sleep_ms(EVERY_MS);
    }
}

int watch_show(struct ctl *ctl, const struct view *view, bool list, watch_fetch fetch,
               const void *arg, struct err *err)
{
    auto_json json_t *value = NULL;
    struct strbuf out = {0};
    if (args_has(&ctl->args, "watch"))
        return watch(ctl, view, list, fetch, arg, err);
    if (fetch(ctl, arg, &value, err) < 0)
        return -1;
    int rc = add(ctl, view, list, value, &out, err);
    if (rc == 0)
        rc = view_put(&out, err);
    strbuf_fini(&out);
    return rc;
}
