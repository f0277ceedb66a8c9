/* Watching. See watch.h.
 *
 * Asked again every two seconds; the text that results is compared, so nothing is drawn while
 * nothing changes. A panel that is away for a while is waited for, once it has been there. */
#include "panel/ctl/watch.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define EVERY_S 2

static int show_once(struct ctl *ctl, const struct view *view, bool list, watch_fetch fetch,
                     const void *arg, struct strbuf *out, struct err *err)
{
    auto_json json_t *value = NULL;
    if (fetch(ctl, arg, &value, err) < 0)
        return -1;
    return list ? view_add_list(ctl, view, value, out, err)
                : view_add_one(ctl, view, value, out, err);
}

int screen_draw(const struct strbuf *text, struct err *err)
{
    struct strbuf out = {0};
    const char *at = text->data ? text->data : "";
    size_t rows = term_height() - 1;
    strbuf_str(&out, "\x1b[H"); /* home; lines are overwritten, which flickers less than clearing */
    while (*at && rows--) {
        size_t len = strcspn(at, "\n");
        strbuf_add(&out, at, len);
        strbuf_str(&out, "\x1b[K\n");
        at += len + (at[len] == '\n');
    }
    strbuf_str(&out, "\x1b[J");
    int rc = view_put(&out, err);
    strbuf_fini(&out);
    return rc;
}

/* What passes by itself. */
static bool may_pass(const struct err *err)
{
    return err->code == ERR_OFFLINE || err->code == ERR_TIMEOUT || err->code == ERR_BUSY;
}

static int watch(struct ctl *ctl, const struct view *view, bool list, watch_fetch fetch,
                 const void *arg, struct err *err)
{
    struct strbuf shown = {0};
    int rc = 0;
    for (bool first = true; rc == 0; first = false) {
        struct strbuf now = {0};
        rc = show_once(ctl, view, list, fetch, arg, &now, err);
        if (rc < 0 && !first && may_pass(err)) {
            if (ctl->term.err)
                fprintf(stderr, "\rpanelctl: %s; waiting for it\n", err->msg);
            *err = (struct err){0};
            rc = 0;
        } else if (rc == 0 && (!shown.data || strcmp(shown.data, now.data ? now.data : "") != 0)) {
            if (ctl->term.out && first)
                fputs("\x1b[2J", stdout);
            rc = ctl->term.out ? screen_draw(&now, err) : view_put(&now, err);
            strbuf_fini(&shown);
            shown = now;
            now = (struct strbuf){0};
        }
        strbuf_fini(&now);
        if (rc == 0)
            nanosleep(&(struct timespec){.tv_sec = EVERY_S}, NULL);
    }
    strbuf_fini(&shown);
    return rc;
}

int watch_show(struct ctl *ctl, const struct view *view, bool list, watch_fetch fetch,
               const void *arg, struct err *err)
{
    if (args_has(&ctl->args, "watch"))
        return watch(ctl, view, list, fetch, arg, err);
    struct strbuf out = {0};
    int rc = show_once(ctl, view, list, fetch, arg, &out, err);
    if (rc == 0)
        rc = view_put(&out, err);
    strbuf_fini(&out);
    return rc;
}
