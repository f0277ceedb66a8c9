/* Progress of something that takes its time: one line that is drawn again, on a terminal alone. One
 * thread. */
#ifndef PANEL_CTL_PROGRESS_H
#define PANEL_CTL_PROGRESS_H

#include "panel/ctl/ctl.h"

struct progress {
    const struct term *term;
    const char *name; /* the caller's */
    int64_t began_ms;
    bool shown;
};

void progress_begin(struct progress *progress, const struct term *term, const char *name);
/* percent -1: nobody knows; a bar otherwise. */
void progress_show(struct progress *progress, const char *what, int percent);
/* Take the line away. */
void progress_end(struct progress *progress);

/* One more look at what stands at path; *thing is replaced by it. The panel may be away for a
 * moment, the work goes on meanwhile: *lost_since begins as 0. */
int progress_look(struct ctl *ctl, const char *path, json_t **thing, int64_t *lost_since,
                  struct err *err);

/* Follow an instance until it is no longer INSTALLING; *instance is replaced by what it is then. */
int progress_install(struct ctl *ctl, json_t **instance, struct err *err);

/* Tell how that ended, as view_print_done() does; of FAILED its reason. The exit code, or -1. */
int progress_tell(struct ctl *ctl, const json_t *instance, struct err *err);

#endif
