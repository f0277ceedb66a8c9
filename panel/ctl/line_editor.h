/* A line at the bottom of a terminal, edited while other things are printed above it. The only file
 * that knows libedit. One thread.
 *
 * While a line is typed the editor calls wait(): that is where whatever else goes on is done. */
#ifndef PANEL_CTL_LINE_EDITOR_H
#define PANEL_CTL_LINE_EDITOR_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

struct line_editor;

/* wait: until the terminal has something to read: true; false ends the line and the editing. */
struct line_editor *line_editor_create(const char *prompt, bool (*wait)(void *arg), void *arg,
                                       struct err *err);
void line_editor_destroy(struct line_editor *editor);

/* The next line, without its newline, valid until the next call; it goes into the history. NULL:
 * the end was typed (Ctrl-D), or wait() ended it. */
const char *line_editor_read(struct line_editor *editor);

/* From inside wait(): print text, which ends with a newline, above the line that is being typed. */
void line_editor_print(struct line_editor *editor, const char *text, size_t len);

/* From inside wait(): the terminal has another size, or the program was stopped and goes on. */
void line_editor_redraw(struct line_editor *editor);

#endif
