/* What Docker's logs look like on the wire, taken apart into lines.
 *
 * Asked for with timestamps=1, each message is its time (RFC 3339), a space and the text, with a
 * newline at its end unless Docker cut it there, at 16 KiB. Without a terminal each message stands
 * in a frame of its own with a head of eight bytes (the Engine API's "Stream format" of
 * ContainerAttach); with one they just follow each other. One thread. */
#ifndef AGENT_LOG_STREAM_H
#define AGENT_LOG_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/strbuf.h"

struct log_text {
    uint64_t time_ns; /* since 1970; 0: there was none that could be read */
    bool is_error;
    bool is_cut; /* the line goes on in the next text of the same output */
    const char *text;
    size_t len;
};

/* Zero-initialise, then set these three. */
struct log_stream {
    bool terminal;
    void (*take)(void *arg, const struct log_text *text);
    void *arg;
    /* private */
    unsigned char head[8];
    size_t head_len;
    size_t frame_left;
    bool is_error;
    bool after_cut; /* the last text was */
    bool failed;    /* memory was out: what has gathered is lost */
    struct strbuf message;
};

/* Whole messages are handed to take(), their text borrowed. */
void log_stream_add(struct log_stream *stream, const char *data, size_t len);
/* What is left of an unfinished message is handed over too. Ends the stream. */
void log_stream_end(struct log_stream *stream);
/* Without that. */
void log_stream_fini(struct log_stream *stream);

#endif
