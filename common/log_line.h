/* One line of the log being put together, in either format. Never longer than it may be: what
 * doesn't fit is cut, at a character's end, and fields behind it are left off. For log.c alone. */
#ifndef COMMON_LOG_LINE_H
#define COMMON_LOG_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/log.h"

#define LOG_LINE_MAX 2048

struct log_line {
    char text[LOG_LINE_MAX];
    size_t len;
    enum log_format format;
    bool full;
};

void log_line_begin(struct log_line *line, enum log_format format);
void log_line_string(struct log_line *line, const char *key, size_t key_len, const char *value,
                     size_t value_max);
/* digits: a whole number as text. */
void log_line_number(struct log_line *line, const char *key, size_t key_len, const char *digits);
/* Its end, with '\n'. */
void log_line_end(struct log_line *line);

#endif
