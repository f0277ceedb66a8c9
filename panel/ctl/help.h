/* Help texts and guesses, made from the table of commands. One thread. */
#ifndef PANEL_CTL_HELP_H
#define PANEL_CTL_HELP_H

#include <stdio.h>

#include "panel/ctl/args.h"

/* Of the program, of a noun or of one command: as much as args name. */
void help_print(FILE *out, const struct args *args);

/* panelctl node get NODE [options]; valid until the next call. */
const char *help_usage(const struct command *command);

/* Each fills err (ERR_INVALID "usage") with what is wrong and what was probably meant. */
int help_unknown_noun(const char *noun, const char *next, struct err *err);
int help_unknown_verb(const char *noun, const char *verb, struct err *err);
int help_unknown_option(const struct command *command, const char *arg, struct err *err);
int help_unknown_choice(const struct option_spec *option, const char *value, struct err *err);

#endif
