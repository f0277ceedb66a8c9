/* Steps that many commands share. One thread. */
#ifndef PANEL_CTL_COMMON_STEPS_H
#define PANEL_CTL_COMMON_STEPS_H

#include "panel/ctl/ctl.h"
#include "panel/ctl/resolve.h"
#include "panel/ctl/view.h"

/* "… list" and "… get WORD", with --watch. */
int step_list(struct ctl *ctl, const struct view *view, const char *path, struct err *err);
int step_get(struct ctl *ctl, const struct view *view, enum thing thing, struct err *err);

/* For each word of the command, whatever became of those before: do it, tell what failed. The exit
 * code: that of the last failure. */
int step_each(struct ctl *ctl, int (*act)(struct ctl *ctl, const char *word, struct err *err),
              struct err *err);

/* Ask, unless --yes was said. 1: go on; 0: no; -1: nobody can be asked. */
int step_confirm(struct ctl *ctl, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Take an option's or a word's thing: its id into the body's member. */
int step_set_id(struct ctl *ctl, json_t *body, const char *member, enum thing thing,
                const char *word, struct err *err);

/* A body with nothing in it is a slip; tells which options there are. */
int step_check_change(struct ctl *ctl, const json_t *body, struct err *err);

/* Seconds of a span: "90s", "10m", "2h", "30d", "4w"; -1: it is something else. */
int64_t step_span(const char *text);

#define STEP_COUNT_MAX 1000000u

/* The number of an option such as --limit. */
int step_count(const char *option, const char *text, size_t *ret, struct err *err);

/* Nanoseconds since 1970 of a time that may be "10m" ago, RFC 3339 or seconds since then. */
int step_time_ns(const char *option, const char *text, uint64_t *ret, struct err *err);

/* Seconds since 1970 of a time that may be "10m" ago or RFC 3339, as the API takes it, for the
 * caller. */
int step_time(const char *option, const char *text, char **ret, struct err *err);

/* A note beside the output: to stderr, made safe. */
void step_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The exit code that an error means, and its sentence on stderr. */
int step_tell_error(struct ctl *ctl, const struct err *err);

void step_sleep_ms(unsigned ms);

#endif
