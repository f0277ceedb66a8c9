/* --out FILE: where a secret that is shown once goes in the place of stdout.
 *
 * The file is made before the secret is, by mode 600, so that none is made that can't be kept; it
 * takes its name when the secret is in it. One thread. */
#ifndef PANEL_CTL_SECRET_FILE_H
#define PANEL_CTL_SECRET_FILE_H

#include "panel/ctl/ctl.h"
#include "panel/ctl/view.h"

struct secret_file {
    const char *path; /* borrowed; NULL: there is none, and the others do nothing */
    char *temporary;
    int fd;
};

/* By --out and --replace. ERR_CONFLICT: FILE is there, and --replace wasn't said. */
int secret_file_open(struct secret_file *file, const struct args *args, struct err *err);

/* Before there is a secret: with -o name and no FILE it would be shown nowhere. */
int secret_file_check(const struct secret_file *file, const struct ctl *ctl, struct err *err);

/* What was made; its secret is the member. Into the file, and then nowhere else, or alone on
 * stdout; what ("Key shop") says of what it is. A file that can't be written after all is an error,
 * and the secret on stdout. */
int secret_file_show(struct secret_file *file, struct ctl *ctl, const struct view *view,
                     const json_t *made, const char *member, const char *what, struct err *err);

/* Without secret_file_show() before, nothing stays. */
void secret_file_fini(struct secret_file *file);
#define auto_secret_file __attribute__((cleanup(secret_file_fini)))

#endif
