/* Lines of a container's log, each with its position (panel.proto, LogPosition), in order and
 * bounded: when there are too many the oldest go, and are counted. One thread. */
#ifndef AGENT_LOG_LINES_H
#define AGENT_LOG_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/log_stream.h"
#include "panel.pb-c.h"

struct log_position {
    uint64_t time_ns;
    uint32_t index;
};

struct log_line {
    struct log_line *next;
    struct log_position at;
    uint64_t number; /* among all that were taken in, from 0 */
    bool is_error;
    bool is_cut;
    size_t len;
    char text[];
};

/* Zero-initialise, then set bytes_max and, to leave out lines, the others. */
struct log_lines {
    size_t bytes_max;
    struct log_position after; /* no line that isn't behind it, … */
    struct log_position until; /* … nor one behind this; time_ns 0: no such end */
    /* private */
    struct log_line *first;
    struct log_line **end;
    size_t bytes; /* of memory */
    size_t count;
    uint64_t taken;
    uint64_t dropped;         /* of them */
    struct log_position last; /* seen */
    struct log_position kept; /* the last that was taken in */
};

/* -1, 0 or 1: a is before, at, behind b. */
int log_position_compare(struct log_position a, struct log_position b);
/* NULL: before everything. */
struct log_position log_position_of(const Wire__LogPosition *position);

/* Texts in the order in which Docker tells them, from the first one of its moment on. */
void log_lines_add(struct log_lines *lines, const struct log_text *text);
/* Those up to there are done with. */
void log_lines_forget(struct log_lines *lines, struct log_position until);
void log_lines_clear(struct log_lines *lines);

/* The first lines as messages, of bytes_max bytes at most (a first one is always told): one block
 * of memory for the caller to free, which borrows the texts. *ret_bytes is the most that they take
 * when packed, and may be NULL. NULL with *ret_count 0: none, or no memory. */
Wire__LogLine **log_lines_tell(const struct log_lines *lines, size_t bytes_max, size_t *ret_count,
                               size_t *ret_bytes);

#endif
