/* Shared steps. See common_steps.h. */
#include "panel/ctl/common_steps.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/iso_time.h"
#include "panel/ctl/api.h"
#include "panel/ctl/help.h"
#include "panel/ctl/text.h"
#include "panel/ctl/watch.h"

void step_note(const char *fmt, ...)
{
    auto_strbuf struct strbuf out = {0};
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    int len = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (len < 0)
        return;
    text_add_safe(&out, text, (size_t)len);
    free(text);
    fprintf(stderr, "%s\n", out.data ? out.data : "");
}

void step_sleep_ms(unsigned ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) < 0)
        ;
}

/* --- errors ---------------------------------------------------------------------------------- */

static int exit_code(const struct err *err)
{
    if (strcmp(err->reason, "usage") == 0)
        return EXIT_USAGE;
    switch (err->code) {
    case ERR_NOT_FOUND:
        return EXIT_NOT_FOUND;
    case ERR_UNAUTHORIZED:
        return EXIT_DENIED;
    case ERR_OFFLINE:
        return EXIT_UNREACHABLE;
    case ERR_CONFLICT:
        return EXIT_CONFLICT;
    case ERR_BUSY:
    case ERR_TIMEOUT:
        return EXIT_BUSY;
    default:
        return EXIT_FAILED;
    }
}

/* What a refusal tells beside its sentence: a reason for each node, where none would do. */
static void tell_details(const json_t *failure)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(failure, "details"), i, row)
    {
        const char *name = view_text(row, "name");
        const char *reason = view_text(row, "reason");
        if (*reason)
            step_note("  %s: %s", *name ? name : view_text(row, "nodeId"), reason);
    }
}

/* What the panel said last is what err is of; else it is of something before that. */
static bool is_of_panel(const struct ctl *ctl, const struct err *err)
{
    return ctl->failure &&
           strncmp(view_text(ctl->failure, "code"), err->reason, sizeof(err->reason) - 1) == 0;
}

/* A sentence of the panel's, in the words of this command line where it has others. */
static void tell_sentence(const char *sentence)
{
    static const char *const words[][2] = {
        {"send \"force\": true", "say --force"},
        {"The field \"currentPassword\" is required", "--current-password is needed"},
    };
    auto_strbuf struct strbuf out = {0};
    for (const char *at = sentence; *at;) {
        size_t row = 0;
        while (row < ARRAY_LEN(words) && strncmp(at, words[row][0], strlen(words[row][0])) != 0)
            row++;
        if (row < ARRAY_LEN(words)) {
            strbuf_str(&out, words[row][1]);
            at += strlen(words[row][0]);
        } else {
            strbuf_char(&out, *at++);
        }
    }
    step_note("panelctl: %s", out.data && !out.failed ? out.data : sentence);
}

static void tell_of_key(const struct ctl *ctl, const struct err *err)
{
    auto_strbuf struct strbuf origin = {0};
    if (!ctl->settings.values[SETTING_KEY]) {
        step_note("  no key is set: export PANEL_API_KEY, or name a file with --key-file; "
                  "\"paneld key create --name NAME\" on the panel's host makes one");
        return;
    }
    settings_add_key_origin(&ctl->settings, &origin);
    const char *from = origin.data ? origin.data : "";
    if (strcmp(err->reason, "forbidden") == 0)
        step_note("  the key is from %s; \"panelctl key whoami\" tells what it may", from);
    else
        step_note("  the key is from %s; \"paneld key list\" on the panel's host shows which are "
                  "valid",
                  from);
}

/* What to do about it, where that isn't in the sentence. */
static void tell_way_out(const struct ctl *ctl, const struct err *err, bool told)
{
    if (told && err->code == ERR_INTERNAL)
        step_note("  the panel's log tells more about the request %s",
                  view_text(ctl->failure, "requestId"));
    else if (told && strcmp(err->reason, "image_not_allowed") == 0)
        step_note("  its AltImages come from its template; --force takes any other image, too");
    else if (err->code == ERR_NOT_FOUND && ctl->blind)
        step_note("  this key may not read %ss, so what was typed was taken for an id", ctl->blind);
    else if (err->code == ERR_UNAUTHORIZED && strcmp(err->reason, "login_failed") != 0)
        tell_of_key(ctl, err);
    else if (strcmp(err->reason, "untrusted") == 0)
        step_note(
            "  for a certificate of your own name its CA: --ca-cert FILE or PANEL_CA_CERT; if "
            "the panel has none, say http:// in the address (from %s)",
            ctl->settings.from[SETTING_URL]);
    else if (err->code == ERR_OFFLINE && ctl->settings.values[SETTING_URL])
        step_note("  the address is from %s; \"panelctl doctor\" looks closer",
                  ctl->settings.from[SETTING_URL]);
}

int step_tell_error(struct ctl *ctl, const struct err *err)
{
    if (strcmp(err->reason, "reader_gone") == 0)
        return EXIT_FAILED; /* "panelctl … | head": no word about it */
    bool told = is_of_panel(ctl, err);
    tell_sentence(told ? view_text(ctl->failure, "error") : err->msg);
    if (told)
        tell_details(ctl->failure);
    tell_way_out(ctl, err, told);
    api_forget_failure(ctl);
    return exit_code(err);
}

/* --- lists and things ------------------------------------------------------------------------ */

static int fetch_list(struct ctl *ctl, const void *path, json_t **ret, struct err *err)
{
    return api_list(ctl, path, 0, ret, err);
}

int step_list(struct ctl *ctl, const struct view *view, const char *path, struct err *err)
{
    return watch_show(ctl, view, true, fetch_list, path, err);
}

static int fetch_thing(struct ctl *ctl, const void *thing, json_t **ret, struct err *err)
{
    return resolve(ctl, *(const enum thing *)thing, ctl->args.words[0], ret, err);
}

int step_get(struct ctl *ctl, const struct view *view, enum thing thing, struct err *err)
{
    return watch_show(ctl, view, false, fetch_thing, &thing, err);
}

int step_each(struct ctl *ctl, int (*act)(struct ctl *ctl, const char *word, struct err *err),
              struct err *err)
{
    int status = EXIT_DONE;
    for (int i = 0; i < ctl->args.count; i++) {
        int rc = act(ctl, ctl->args.words[i], err);
        if (rc < 0)
            rc = step_tell_error(ctl, err);
        *err = (struct err){0};
        if (rc)
            status = rc;
    }
    return status;
}

int step_set_id(struct ctl *ctl, json_t *body, const char *member, enum thing thing,
                const char *word, struct err *err)
{
    auto_json json_t *value = NULL;
    if (resolve_target(ctl, thing, word, &value, err) < 0)
        return -1;
    if (json_object_set_new(body, member, json_string(thing_id(thing, value))) < 0)
        return err_nomem(err);
    return 0;
}

int step_check_change(struct ctl *ctl, const json_t *body, struct err *err)
{
    if (json_object_size(body))
        return 0;
    return err_set(err, ERR_INVALID, "usage",
                   "nothing is to be changed; %s --help tells the options",
                   help_usage(ctl->args.command));
}

/* --- questions ------------------------------------------------------------------------------- */

int step_confirm(struct ctl *ctl, struct err *err, const char *fmt, ...)
{
    auto_strbuf struct strbuf safe = {0};
    char *question = NULL;
    if (args_has(&ctl->args, "yes"))
        return 1;
    va_list ap;
    va_start(ap, fmt);
    int len = vasprintf(&question, fmt, ap);
    va_end(ap);
    if (len < 0)
        return err_nomem(err);
    text_add_safe(&safe, question, (size_t)len);
    free(question);
    if (safe.failed)
        return err_nomem(err);
    int rc = term_confirm(&ctl->term, safe.data, err);
    if (rc == 0)
        step_note("nothing was done");
    return rc;
}

/* --- times ----------------------------------------------------------------------------------- */

int64_t step_span(const char *text)
{
    static const char units[] = "smhdw";
    static const int64_t seconds[] = {1, 60, 3600, 86400, 604800};
    int64_t n = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9' && n < 100000000; p++)
        n = n * 10 + (*p - '0');
    const char *unit = p > text && *p && !p[1] ? strchr(units, *p) : NULL;
    return unit ? n * seconds[unit - units] : -1;
}

int step_count(const char *option, const char *text, size_t *ret, struct err *err)
{
    size_t n = 0;
    for (const char *p = text; *p && n <= STEP_COUNT_MAX; p++) {
        if (*p < '0' || *p > '9') {
            n = 0;
            break;
        }
        n = n * 10 + (size_t)(*p - '0');
    }
    if (n < 1 || n > STEP_COUNT_MAX)
        return err_set(err, ERR_INVALID, "usage", "--%s must be 1 to %u, not \"%.40s\"", option,
                       STEP_COUNT_MAX, text);
    *ret = n;
    return 0;
}

static int refuse_time(const char *option, const char *text, struct err *err)
{
    return err_set(err, ERR_INVALID, "usage",
                   "--%s wants a span such as 10m, 2h or 30d, or a time such as "
                   "2026-01-31T12:00:00Z, not \"%.40s\"",
                   option, text);
}

int step_time_ns(const char *option, const char *text, uint64_t *ret, struct err *err)
{
    auto_free char *time = NULL;
    uint64_t seconds = 0;
    if (step_time(option, text, &time, err) < 0)
        return -1;
    if (iso_time_parse(time, ret))
        return 0;
    for (const char *p = time; *p; p++) {
        if (seconds > UINT32_MAX)
            return refuse_time(option, text, err);
        seconds = seconds * 10 + (uint64_t)(*p - '0');
    }
    *ret = seconds * 1000000000u;
    return 0;
}

int step_time(const char *option, const char *text, char **ret, struct err *err)
{
    struct strbuf out = {0};
    uint64_t ns;
    int64_t span = step_span(text);
    if (span >= 0) {
        int64_t at = clock_wall_ms() / 1000 - span;
        strbuf_u64(&out, at > 0 ? (uint64_t)at : 0);
    } else if (iso_time_parse(text, &ns) || (*text && !text[strspn(text, "0123456789")])) {
        strbuf_str(&out, text);
    } else {
        strbuf_fini(&out);
        return refuse_time(option, text, err);
    }
    *ret = strbuf_steal(&out);
    return *ret ? 0 : err_nomem(err);
}
