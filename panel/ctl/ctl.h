/* What a command works with. One thread; everything lives as long as the program. */
#ifndef PANEL_CTL_CTL_H
#define PANEL_CTL_CTL_H

#include <jansson.h>
#include <stdbool.h>

#include "common/err.h"
#include "panel/ctl/args.h"
#include "panel/ctl/settings.h"
#include "panel/ctl/term.h"

/* Also in panelctl --help. */
enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NOT_FOUND = 3,
    EXIT_DENIED = 4,
    EXIT_UNREACHABLE = 5,
    EXIT_CONFLICT = 6,
    EXIT_BUSY = 7
};

enum format { FORMAT_TABLE, FORMAT_WIDE, FORMAT_JSON, FORMAT_YAML, FORMAT_NAME };

struct http;

struct ctl {
    struct args args;
    struct settings settings;
    struct term term;
    enum format format;
    struct http *http; /* NULL: a local command */
    json_t *failure;   /* the panel's last error as it came, or NULL */
    const char *blind; /* of which noun a word was taken for an id, unseen; or NULL */
};

static inline void auto_json_cleanup(json_t **value)
{
    json_decref(*value);
}
#define auto_json __attribute__((cleanup(auto_json_cleanup)))

#endif
