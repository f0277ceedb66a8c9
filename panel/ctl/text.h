/* Texts for a person at a terminal: how wide they are, cut short, with nothing in them that could
 * steer the terminal, and quantities as people write them. Pure; any thread after text_init(). */
#ifndef PANEL_CTL_TEXT_H
#define PANEL_CTL_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"

/* Once, at start: what is read and shown is UTF-8, whatever the environment says. */
void text_init(void);

/* Columns that a text takes on a terminal. */
size_t text_width(const char *text);

/* Add a text of somebody else's. What moves the cursor, rings, recolours or turns the direction of
 * writing stands as an escape (\n, \u001b, \u202e); so do bytes that are no UTF-8. */
void text_add_safe(struct strbuf *out, const char *text, size_t len);

/* The same for a line that a container printed: tabs stay, and with colours its colours do too
 * (SGR sequences and nothing else; they end with the line). */
void text_add_line(struct strbuf *out, const char *text, size_t len, bool colours);

/* The same for JSON or YAML of many lines, which stays what it is. */
void text_add_document(struct strbuf *out, const char *text);

/* Add a safe text in at most so many columns; "…" ends what was cut. */
void text_add_cut(struct strbuf *out, const char *text, size_t columns);

/* 512 MiB, 1.5 GiB; 12.3 kB; 42 s, 5 min, 3 h, 2 d. */
void text_add_mib(struct strbuf *out, double mib);
void text_add_bytes(struct strbuf *out, double bytes);
void text_add_duration(struct strbuf *out, int64_t seconds);

#endif
