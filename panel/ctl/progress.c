/* Progress. See progress.h. The instance is asked for often at first, when most is over soon. */
#include "panel/ctl/progress.h"

#include <stdio.h>
#include <string.h>

#include "common/auto.h"
#include "common/clock.h"
#include "panel/ctl/api.h"
#include "panel/ctl/common_steps.h"
#include "panel/ctl/hindrance.h"
#include "panel/ctl/text.h"

#define BAR_WIDTH  24
#define NAME_WIDTH 24
#define FIRST_MS   100u
#define LAST_MS    1000u
#define LOST_MAX   30 /* seconds that the panel may be away meanwhile */

void progress_begin(struct progress *progress, const struct term *term, const char *name)
{
    *progress = (struct progress){.term = term, .name = name, .began_ms = clock_mono_ms()};
}

static void add_bar(struct strbuf *out, int percent)
{
    int full = percent * BAR_WIDTH / 100;
    strbuf_str(out, "  [");
    for (int i = 0; i < BAR_WIDTH; i++)
        strbuf_char(out, i < full ? '#' : '.');
    strbuf_fmt(out, "] %3d %%", percent);
}

void progress_show(struct progress *progress, const char *what, int percent)
{
    auto_strbuf struct strbuf name = {0};
    auto_strbuf struct strbuf doing = {0};
    auto_strbuf struct strbuf line = {0};
    if (!progress->term->err)
        return;
    text_add_safe(&name, progress->name, strlen(progress->name));
    strbuf_str(&line, "\r\x1b[K");
    text_add_cut(&line, name.data ? name.data : "", NAME_WIDTH);
    strbuf_str(&line, "  ");
    text_add_safe(&doing, what, strlen(what));
    tone_add(&line, doing.data ? doing.data : "", view_tone(what), progress->term->err_colour);
    if (percent >= 0)
        add_bar(&line, percent > 100 ? 100 : percent);
    strbuf_str(&line, "  ");
    text_add_duration(&line, (clock_mono_ms() - progress->began_ms) / 1000);
    if (line.data)
        fputs(line.data, stderr);
    fflush(stderr);
    progress->shown = true;
}

void progress_end(struct progress *progress)
{
    if (progress->shown)
        fputs("\r\x1b[K", stderr);
    fflush(stderr);
}

static bool is_installing(const json_t *instance)
{
    return strcmp(view_text(instance, "InternalState"), "INSTALLING") == 0;
}

int progress_look(struct ctl *ctl, const char *path, json_t **thing, int64_t *lost_since,
                  struct err *err)
{
    json_t *now = NULL;
    if (api_get(ctl, path, &now, err) == 0) {
        json_decref(*thing);
        *thing = now;
        *lost_since = 0;
        return 0;
    }
    if (!api_may_pass(err))
        return -1;
    if (!*lost_since)
        *lost_since = clock_mono_ms();
    if (clock_mono_ms() - *lost_since > LOST_MAX * 1000)
        return -1;
    *err = (struct err){0};
    return 0;
}

/* Once, since it goes on waiting. True: it was told. */
static bool tell_hindrance(struct progress *progress, const json_t *instance)
{
    auto_strbuf struct strbuf why = {0};
    if (!hindrance_add_known(instance, &why) || why.failed)
        return false;
    progress_end(progress);
    step_note("panelctl: %s: %s; waiting for it (--no-wait doesn't)", progress->name, why.data);
    return true;
}

int progress_install(struct ctl *ctl, json_t **instance, struct err *err)
{
    struct progress progress;
    unsigned ms = FIRST_MS;
    int64_t lost_since = 0;
    int rc = 0;
    bool told = false;
    auto_free char *name = strdup(thing_name(THING_INSTANCE, *instance));
    auto_free char *path = api_path("/api/instances/", thing_id(THING_INSTANCE, *instance), "");
    if (!path || !name)
        return err_nomem(err);
    progress_begin(&progress, &ctl->term, name);
    while (rc == 0 && is_installing(*instance)) {
        const json_t *percent = view_member(*instance, "Progress");
        told = told || tell_hindrance(&progress, *instance);
        progress_show(&progress, view_text(*instance, "State"),
                      json_is_integer(percent) ? (int)json_integer_value(percent) : -1);
        step_sleep_ms(ms);
        ms = ms * 3 / 2 > LAST_MS ? LAST_MS : ms * 3 / 2;
        rc = progress_look(ctl, path, instance, &lost_since, err);
    }
    progress_end(&progress);
    return rc;
}

/* Why, and what can be done: it is there all the same, and a second deploy would make a twin. */
static void tell_failed(const json_t *instance, const char *name, const char *id)
{
    const char *code = view_text(instance, "Error.code");
    step_note("panelctl: %s (%s) failed: %s", name, id, view_text(instance, "Error.message"));
    if (strcmp(code, "image_not_found") == 0)
        step_note("  if the image is the wrong one: panelctl instance update %s --image REFERENCE "
                  "--force",
                  id);
    if (strcmp(code, "install_failed") == 0)
        step_note("  what the install did: panelctl instance logs %s --install", id);
    step_note("  it is still there. To try again: panelctl instance retry %s; to be rid of it: "
              "panelctl instance delete %s",
              id, id);
}

int progress_tell(struct ctl *ctl, const json_t *instance, struct err *err)
{
    const char *name = thing_name(THING_INSTANCE, instance);
    const char *id = thing_id(THING_INSTANCE, instance);
    if (strcmp(view_text(instance, "InternalState"), "FAILED") == 0) {
        tell_failed(instance, name, id);
        return view_is_data(ctl) && view_print_data(ctl, instance, err) < 0 ? -1 : EXIT_FAILED;
    }
    if (strcmp(view_text(instance, "change.state"), "undone") == 0) {
        step_note("panelctl: %s (%s): the change was undone, and what was before is back: %s", name,
                  id, view_text(instance, "change.reason.message"));
        return view_is_data(ctl) && view_print_data(ctl, instance, err) < 0 ? -1 : EXIT_FAILED;
    }
    if (strcmp(view_text(instance, "State"), "crashed") == 0) {
        step_note(
            "panelctl: %s (%s) ended by itself: %s; \"panelctl instance logs %s\" shows what it "
            "printed",
            name, id, view_text(instance, "Error.message"), name);
        return view_is_data(ctl) && view_print_data(ctl, instance, err) < 0 ? -1 : EXIT_FAILED;
    }
    return view_print_done(ctl, &view_instances, instance, err, "%s (%s) is %s on %s, port %s",
                           name, id, view_text(instance, "State"), view_text(instance, "Node.name"),
                           view_text(instance, "Primary"));
}
