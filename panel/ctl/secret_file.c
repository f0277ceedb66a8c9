/* Files for secrets. See secret_file.h. */
#include "panel/ctl/secret_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/fs.h"
#include "panel/ctl/common_steps.h"

static int refuse_taken(const char *path, struct err *err)
{
    return err_set(err, ERR_CONFLICT, "exists",
                   "%.200s is there already; say --replace if it is to be replaced, or name "
                   "another file",
                   path);
}

/* Nothing but a file is replaced: not a folder, nor what a link leads to. */
static int check_place(const struct args *args, const char *path, struct err *err)
{
    struct stat at;
    if (lstat(path, &at) < 0)
        return errno == ENOENT ? 0 : err_io(err, errno, "can't look at %.200s", path);
    if (!S_ISREG(at.st_mode))
        return err_set(err, ERR_INVALID, "usage", "%.200s is no regular file", path);
    return args_has(args, "replace") ? 0 : refuse_taken(path, err);
}

int secret_file_open(struct secret_file *file, const struct args *args, struct err *err)
{
    const char *path = args_value(args, "out");
    *file = (struct secret_file){.fd = -1};
    if (!path)
        return !args_has(args, "replace")
                   ? 0
                   : err_set(err, ERR_INVALID, "usage", "--replace belongs to --out FILE");
    if (!*path)
        return err_set(err, ERR_INVALID, "usage", "--out wants the name of a file");
    if (check_place(args, path, err) < 0)
        return -1;
    if (asprintf(&file->temporary, "%s.XXXXXX", path) < 0) {
        file->temporary = NULL;
        return err_nomem(err);
    }
    file->fd = mkstemp(file->temporary); /* by mode 600 */
    if (file->fd < 0) {
        int why = errno;
        free(file->temporary);
        file->temporary = NULL;
        return err_io(err, why, "can't make %.200s", path);
    }
    file->path = path;
    return 0;
}

static int write_all(const struct secret_file *file, const char *text, size_t len, struct err *err)
{
    while (len) {
        ssize_t n = write(file->fd, text, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_io(err, errno, "can't write %.200s", file->path);
        text += n;
        len -= (size_t)n;
    }
    return 0;
}

/* The secret and a line's end, on disk when it returns. */
static int keep(struct secret_file *file, const char *secret, struct err *err)
{
    if (write_all(file, secret, strlen(secret), err) < 0 || write_all(file, "\n", 1, err) < 0 ||
        fs_commit(file->temporary, file->path, err) < 0)
        return -1;
    free(file->temporary);
    file->temporary = NULL;
    return 0;
}

int secret_file_check(const struct secret_file *file, const struct ctl *ctl, struct err *err)
{
    return ctl->format != FORMAT_NAME || file->path
               ? 0
               : err_set(
                     err, ERR_INVALID, "usage",
                     "with -o name (from %s) the secret would be lost; --out FILE keeps it, and "
                     "-o json has both",
                     ctl->settings.from[SETTING_OUTPUT]);
}

static int print(struct ctl *ctl, const struct view *view, const json_t *made, const char *member,
                 const char *what, struct err *err)
{
    if (!view_is_data(ctl))
        step_note("%s, shown this once:", what);
    return view_print_done(ctl, view, made, err, "%s", view_text(made, member));
}

int secret_file_show(struct secret_file *file, struct ctl *ctl, const struct view *view,
                     const json_t *made, const char *member, const char *what, struct err *err)
{
    struct err ignored = {0};
    if (!file->path)
        return print(ctl, view, made, member, what, err);
    if (keep(file, view_text(made, member), err) < 0) {
        print(ctl, view, made, member, what, &ignored);
        return -1;
    }
    auto_json json_t *shown = json_copy((json_t *)made);
    if (!shown)
        return err_nomem(err);
    json_object_del(shown, member);
    return view_print_done(ctl, view, shown, err, "%s is in %s, for you alone to read", what,
                           file->path);
}

void secret_file_fini(struct secret_file *file)
{
    if (file->temporary)
        unlink(file->temporary);
    if (file->path)
        close(file->fd);
    free(file->temporary);
    *file = (struct secret_file){.fd = -1};
}
