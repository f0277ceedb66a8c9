/* The words of a command line, read by the table of commands. One thread. All texts are argv's. */
#ifndef PANEL_CTL_ARGS_H
#define PANEL_CTL_ARGS_H

#include "panel/ctl/grammar.h"

#define ARGS_MAX 256 /* words, and options given */

struct given {
    const struct option_spec *option;
    const char *value; /* NULL for a flag */
};

struct args {
    const struct command *command; /* NULL: --help, --version, or nothing */
    const char *noun;              /* as it was typed; NULL: none */
    const char *words[ARGS_MAX];
    int count;
    struct given given[ARGS_MAX];
    int given_count;
};

/* ERR_INVALID "usage" with a sentence that names the word, and what is near it. With --help
 * anywhere, what lacks or is too many is no error. */
int args_parse(struct args *args, int argc, char **argv, struct err *err);

/* The last value given of an option, or NULL. */
const char *args_value(const struct args *args, const char *option);
bool args_has(const struct args *args, const char *option);
/* The next of an option that may be given again; *at begins as 0. NULL: no more. */
const char *args_next(const struct args *args, const char *option, int *at);

/* The command that noun and verb name; NULL. */
const struct command *command_find(const char *noun, const char *verb);
/* What a noun without a verb means: "nodes" is "node list", and a noun of one verb has no other.
 * NULL: that has to be said. */
const struct command *command_alone(const char *noun);
/* Does any command have this noun? */
bool noun_exists(const char *noun);

#endif
