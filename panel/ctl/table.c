/* Tables. See table.h. */
#include "panel/ctl/table.h"

#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "panel/ctl/text.h"

#define GAP 2u /* between two columns */

void table_init(struct table *table, const struct table_column *columns, size_t count)
{
    *table = (struct table){.columns = columns, .column_count = count};
}

void table_fini(struct table *table)
{
    for (size_t i = 0; i < table->cell_count; i++)
        free(table->cells[i].text);
    free(table->cells);
    *table = (struct table){0};
}

static bool reserve(struct table *table)
{
    if (table->cell_count < table->cell_max)
        return true;
    size_t max = table->cell_max ? table->cell_max * 2 : 64;
    struct table_cell *cells = realloc(table->cells, max * sizeof(*cells));
    if (!cells)
        return false;
    table->cells = cells;
    table->cell_max = max;
    return true;
}

void table_add(struct table *table, const char *text, enum tone tone)
{
    if (table->failed || !reserve(table)) {
        table->failed = true;
        return;
    }
    char *copy = strdup(text);
    if (!copy) {
        table->failed = true;
        return;
    }
    table->cells[table->cell_count++] =
        (struct table_cell){.text = copy, .width = text_width(copy), .tone = tone};
}

void tone_add(struct strbuf *out, const char *text, enum tone tone, bool colour)
{
    static const char *const codes[] = {
        [TONE_PLAIN] = NULL, [TONE_GOOD] = "32", [TONE_WARN] = "33",
        [TONE_BAD] = "31",   [TONE_DIM] = "2",   [TONE_BOLD] = "1",
    };
    if (colour && codes[tone])
        strbuf_fmt(out, "\x1b[%sm%s\x1b[0m", codes[tone], text);
    else
        strbuf_str(out, text);
}

/* --- widths ---------------------------------------------------------------------------------- */

static void measure(const struct table *table, size_t *widths)
{
    for (size_t i = 0; i < table->column_count; i++)
        widths[i] = text_width(table->columns[i].title);
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t *width = &widths[i % table->column_count];
        if (table->cells[i].width > *width)
            *width = table->cells[i].width;
    }
}

static size_t total(const size_t *widths, size_t count)
{
    size_t sum = count ? (count - 1) * GAP : 0;
    for (size_t i = 0; i < count; i++)
        sum += widths[i];
    return sum;
}

/* The widest column that can still give something away; NULL: there is none. */
static size_t *find_widest(const struct table *table, size_t *widths, size_t count)
{
    size_t *widest = NULL;
    for (size_t i = 0; i < count; i++) {
        if ((table->columns[i].flags & TABLE_SHRINKS) && widths[i] > TABLE_LEAST &&
            (!widest || widths[i] > *widest))
            widest = &widths[i];
    }
    return widest;
}

/* Returns how many columns are shown. */
static size_t fit(const struct table *table, size_t *widths, size_t width)
{
    size_t count = table->column_count;
    size_t sum = total(widths, count);
    while (width && sum > width) {
        size_t *widest = find_widest(table, widths, count);
        if (widest) {
            (*widest)--;
            sum--;
        } else if (count == 1) {
            break;
        } else {
            count--;
            measure(table, widths); /* those that are left may have room again */
            sum = total(widths, count);
        }
    }
    return count;
}

/* --- writing --------------------------------------------------------------------------------- */

static void add_blanks(struct strbuf *out, size_t count)
{
    while (count--)
        strbuf_char(out, ' ');
}

static void add_cell(struct strbuf *out, const struct table_cell *cell, size_t width,
                     unsigned flags, bool last, bool colour)
{
    auto_strbuf struct strbuf cut = {0};
    text_add_cut(&cut, cell->text, width);
    const char *text = cut.data ? cut.data : "";
    size_t pad = width - text_width(text);
    if (flags & TABLE_RIGHT)
        add_blanks(out, pad);
    if (*text)
        tone_add(out, text, cell->tone, colour);
    if (!last && !(flags & TABLE_RIGHT))
        add_blanks(out, pad);
    if (!last)
        add_blanks(out, GAP);
    out->failed |= cut.failed;
}

/* Nothing at a row's end but what is written there, so that a copy of it holds no blanks. */
static void add_row(struct strbuf *out, const struct table *table, const struct table_cell *cells,
                    const size_t *widths, size_t count, bool colour)
{
    size_t last = count;
    while (last > 1 && !cells[last - 1].text[0])
        last--;
    for (size_t i = 0; i < last; i++)
        add_cell(out, &cells[i], widths[i], table->columns[i].flags, i + 1 == last, colour);
    strbuf_char(out, '\n');
}

int table_write(const struct table *table, size_t width, bool colour, struct strbuf *out)
{
    size_t columns = table->column_count;
    auto_free size_t *widths = calloc(columns, sizeof(*widths));
    auto_free struct table_cell *head = calloc(columns, sizeof(*head));
    if (!widths || !head || table->failed)
        return -1;
    measure(table, widths);
    size_t count = fit(table, widths, width);
    for (size_t i = 0; i < columns; i++)
        head[i] = (struct table_cell){.text = (char *)table->columns[i].title, .tone = TONE_BOLD};
    add_row(out, table, head, widths, count, colour);
    for (size_t i = 0; i + columns <= table->cell_count; i += columns)
        add_row(out, table, &table->cells[i], widths, count, colour);
    return out->failed ? -1 : 0;
}
