/* A command line: options in any order, words between them. An option is one of the program's own,
 * or a setting's flag; "--name value" and "--name=value" are the same, and "--" ends the options.
 * Pure; the texts stay argv's, but
 * for those of values. */
#ifndef COMMON_ARGUMENTS_H
#define COMMON_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"
#include "common/settings.h"
#include "common/strbuf.h"

#define ARGUMENTS_WORDS_MAX 8

/* An option that is no setting. With neither value nor values it takes none. */
struct argument {
    const char *name;      /* without its dashes */
    char letter;           /* "-o" is the same; or 0 */
    const char **value;    /* where its value goes; or NULL */
    struct strbuf *values; /* where those of all go, a blank between them; or NULL */
    bool *given;           /* or NULL */
};

struct arguments_words {
    size_t count;
    const char *at[ARGUMENTS_WORDS_MAX];
};

/* ERR_INVALID names the option. What was read before it stays read. */
int arguments_read(const struct argument *own, size_t count, const struct settings_table *table,
                   int argc, char **argv, struct settings_given *given,
                   struct arguments_words *words, struct err *err);

#endif
