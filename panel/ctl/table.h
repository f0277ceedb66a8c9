/* A table for a terminal: columns that line up and fit its width. One thread.
 *
 * Cells are added row by row; they are copied, and have to be safe (text_add_safe()). The owner
 * calls table_fini(). A table that ran out of memory writes nothing and says so. */
#ifndef PANEL_CTL_TABLE_H
#define PANEL_CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/strbuf.h"

enum table_flags {
    TABLE_RIGHT = 1,  /* numbers */
    TABLE_SHRINKS = 2 /* may be cut short, down to TABLE_LEAST columns */
};

#define TABLE_LEAST 8

enum tone { TONE_PLAIN, TONE_GOOD, TONE_WARN, TONE_BAD, TONE_DIM, TONE_BOLD };

struct table_column {
    const char *title;
    unsigned flags;
};

struct table_cell {
    char *text;
    size_t width;
    enum tone tone;
};

struct table {
    const struct table_column *columns; /* the caller's */
    size_t column_count;
    struct table_cell *cells;
    size_t cell_count;
    size_t cell_max;
    bool failed;
};

void table_init(struct table *table, const struct table_column *columns, size_t count);
void table_fini(struct table *table);

/* The next cell, from left to right. */
void table_add(struct table *table, const char *text, enum tone tone);

/* Head and rows. width: of the terminal, 0: whatever it takes. Columns that shrink are cut first,
 * the widest of them first; when that isn't enough, columns are left out from the right. */
int table_write(const struct table *table, size_t width, bool colour, struct strbuf *out);

/* Add text in its colour, if there are colours. */
void tone_add(struct strbuf *out, const char *text, enum tone tone, bool colour);

#endif
