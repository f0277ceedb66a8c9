/* Where the panel is and with which key: options, then environment, then the config file. The
 * owner calls settings_fini(), which wipes the key. One thread. */
#ifndef PANEL_CTL_SETTINGS_H
#define PANEL_CTL_SETTINGS_H

#include "common/strbuf.h"
#include "panel/ctl/args.h"

#define SETTINGS_URL_DEFAULT "http://127.0.0.1:3001"

enum setting {
    SETTING_URL,
    SETTING_KEY,
    SETTING_CA,
    SETTING_TIMEOUT,
    SETTING_OUTPUT,
    SETTING_COUNT
};

struct settings {
    char *values[SETTING_COUNT];     /* NULL: not set */
    const char *from[SETTING_COUNT]; /* where a value comes from, for a person */
    char *key_file;                  /* that the key was read from, or NULL */
    struct err key_fault;            /* why the key can't be used; its code is 0 where it can */
    char *config_path;               /* as looked for */
    bool config_read;                /* it was there */
    unsigned timeout_ms;
};

/* ERR_INVALID "usage" or ERR_IO, naming the file, the member or the variable that is wrong; of the
 * key: settings_check_key(). */
int settings_load(struct settings *settings, const struct args *args, struct err *err);
/* A key that was named and can't be used is an error when one is needed, and not before. */
int settings_check_key(const struct settings *settings, struct err *err);
/* Where the key comes from: the variable, the file, and who named that. */
void settings_add_key_origin(const struct settings *settings, struct strbuf *out);
void settings_fini(struct settings *settings);

#endif
