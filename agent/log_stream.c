/* See log_stream.h. */
#include "agent/log_stream.h"

#include <string.h>

#include "common/iso_time.h"

#define PART_MAX    16384u        /* of a text: where Docker cuts */
#define MESSAGE_MAX (64u * 1024u) /* of one in a frame; a longer one is cut by us */
#define TIME_MAX    64u

/* --- messages -------------------------------------------------------------------------------- */

/* The length of the time and its space at the start of a message; 0: there is none yet. */
static size_t take_time(const char *message, size_t len, uint64_t *ret_ns)
{
    char text[TIME_MAX];
    const char *space = memchr(message, ' ', len < sizeof(text) ? len : sizeof(text));
    if (!space)
        return 0;
    size_t size = (size_t)(space - message);
    if (size >= sizeof(text))
        return 0;
    memcpy(text, message, size);
    text[size] = '\0';
    return iso_time_parse(text, ret_ns) ? size + 1 : 0;
}

static void add_to_message(struct log_stream *stream, const char *data, size_t len)
{
    strbuf_add(&stream->message, data, len);
    stream->failed |= stream->message.failed;
}

static void empty_message(struct log_stream *stream)
{
    if (stream->failed)
        strbuf_fini(&stream->message);
    strbuf_reset(&stream->message);
    stream->failed = false;
}

/* The first len bytes of the gathered ones are a message. Without a newline it is one that Docker
 * cut, if it is as long as those are: the log driver "local" leaves out the one at the end of a
 * line that it has cut before. */
static void give_part(struct log_stream *stream, const char *message, size_t len, bool whole)
{
    struct log_text text = {.is_error = stream->is_error};
    size_t at = take_time(message, len, &text.time_ns);
    text.text = message + at;
    text.len = len - at;
    text.is_cut = !whole && text.len >= PART_MAX;
    stream->after_cut = text.is_cut;
    stream->take(stream->arg, &text);
}

/* All that has gathered. */
static void give(struct log_stream *stream, bool whole)
{
    const struct strbuf *message = &stream->message;
    if (!stream->failed && message->data)
        give_part(stream, message->data, message->len, whole);
    empty_message(stream);
}

static void give_frame(struct log_stream *stream)
{
    struct strbuf *message = &stream->message;
    bool whole = message->len && message->data && message->data[message->len - 1] == '\n';
    if (whole)
        message->len--;
    give(stream, whole);
}

/* --- frames ---------------------------------------------------------------------------------- */

static size_t add_head(struct log_stream *stream, const char *data, size_t len)
{
    size_t part = sizeof(stream->head) - stream->head_len;
    part = part < len ? part : len;
    memcpy(stream->head + stream->head_len, data, part);
    stream->head_len += part;
    if (stream->head_len == sizeof(stream->head)) {
        const unsigned char *h = stream->head;
        stream->is_error = h[0] == 2;
        stream->frame_left =
            (size_t)h[4] << 24 | (size_t)h[5] << 16 | (size_t)h[6] << 8 | (size_t)h[7];
        if (!stream->frame_left)
            stream->head_len = 0;
    }
    return part;
}

static size_t add_frame(struct log_stream *stream, const char *data, size_t len)
{
    size_t part = stream->frame_left < len ? stream->frame_left : len;
    size_t room = MESSAGE_MAX - stream->message.len;
    part = part < room ? part : room;
    add_to_message(stream, data, part);
    stream->frame_left -= part;
    if (!stream->frame_left) {
        give_frame(stream);
        stream->head_len = 0;
    } else if (stream->message.len == MESSAGE_MAX) {
        give(stream, false);
    }
    return part;
}

/* --- a terminal ------------------------------------------------------------------------------ */

/* How much may still be added before Docker would have cut. */
static size_t room_of(const struct log_stream *stream)
{
    uint64_t ns;
    size_t time =
        stream->message.data ? take_time(stream->message.data, stream->message.len, &ns) : 0;
    if (!time && stream->message.len < TIME_MAX)
        return 1; /* byte by byte, until the time is there */
    return time + PART_MAX - stream->message.len;
}

/* Behind a part that was cut, the end of its line may stand right before the next message: where a
 * carriage return is followed by a time. The length of that end; 0: there is none. */
static size_t end_of_cut(const struct log_stream *stream)
{
    uint64_t ns;
    const struct strbuf *message = &stream->message;
    if (!stream->after_cut || stream->failed || !message->data)
        return 0;
    for (size_t i = 1; i < message->len; i++) {
        if (message->data[i - 1] == '\r' && take_time(message->data + i, message->len - i, &ns))
            return i;
    }
    return 0;
}

static void give_line(struct log_stream *stream)
{
    size_t end = end_of_cut(stream);
    if (!end) {
        give(stream, true);
        return;
    }
    give_part(stream, stream->message.data, end, true);
    give_part(stream, stream->message.data + end, stream->message.len - end, true);
    empty_message(stream);
}

static size_t add_terminal(struct log_stream *stream, const char *data, size_t len)
{
    size_t room = room_of(stream);
    size_t part = room < len ? room : len;
    const char *newline = memchr(data, '\n', part);
    if (newline) {
        add_to_message(stream, data, (size_t)(newline - data));
        give_line(stream);
        return (size_t)(newline - data) + 1;
    }
    add_to_message(stream, data, part);
    if (part == room && room_of(stream) == 0)
        give(stream, false);
    return part;
}

/* --- all ------------------------------------------------------------------------------------- */

void log_stream_add(struct log_stream *stream, const char *data, size_t len)
{
    while (len) {
        size_t taken;
        if (stream->terminal)
            taken = add_terminal(stream, data, len);
        else if (stream->head_len < sizeof(stream->head))
            taken = add_head(stream, data, len);
        else
            taken = add_frame(stream, data, len);
        data += taken;
        len -= taken;
    }
}

void log_stream_end(struct log_stream *stream)
{
    if (stream->message.len)
        give(stream, false);
    log_stream_fini(stream);
}

void log_stream_fini(struct log_stream *stream)
{
    strbuf_fini(&stream->message);
    stream->head_len = 0;
    stream->frame_left = 0;
    stream->failed = false;
}
