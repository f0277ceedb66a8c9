/* The terminal: is there one, how wide, may there be colours; questions to the person at it.
 *
 * Questions are asked on stderr and read from stdin, and only where both are terminals. One
 * thread. */
#ifndef PANEL_CTL_TERM_H
#define PANEL_CTL_TERM_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

struct term {
    bool in;  /* stdin is a terminal */
    bool out; /* stdout */
    bool err; /* stderr */
    bool colour;
    bool err_colour;
};

void term_init(struct term *term, bool no_colour);

/* Columns of stdout; 0: it is no terminal, write as wide as it takes. */
size_t term_width(const struct term *term);
/* Rows of stdout, 24 where nobody knows. */
size_t term_height(void);

/* Yes or no; no unless "y" or "yes" is typed. -1 with ERR_INVALID "usage" where nobody can be
 * asked: the message tells of --yes. 0: no. 1: yes. */
int term_confirm(const struct term *term, const char *question, struct err *err);

/* A secret for the caller to wipe and free: typed, or typed twice, without being shown; where stdin
 * is no terminal, its next line. */
int term_read_secret(const struct term *term, const char *what, bool twice, char **ret,
                     struct err *err);

/* Take typed keys at once and without showing them, for as long as it is on; undone at exit. */
void term_keys(const struct term *term, bool on);

#endif
