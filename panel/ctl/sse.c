/* Server-sent events. See sse.h. */
#include "panel/ctl/sse.h"

#include <string.h>

static void set(struct strbuf *sb, const char *text, size_t len)
{
    strbuf_reset(sb);
    strbuf_add(sb, text, len);
}

static const char *text_of(const struct strbuf *sb, const char *fallback)
{
    return sb->data && sb->len ? sb->data : fallback;
}

static void dispatch(struct sse *sse, sse_take take, void *arg)
{
    if (sse->has_data) {
        struct sse_event event = {.type = text_of(&sse->type, "message"),
                                  .id = text_of(&sse->id, ""),
                                  .data = text_of(&sse->data, "")};
        take(arg, &event);
    }
    sse->has_data = false;
    strbuf_reset(&sse->data);
    strbuf_reset(&sse->type);
}

static bool is_field(const char *line, size_t len, const char *name)
{
    return strlen(name) == len && memcmp(line, name, len) == 0;
}

static void take_line(struct sse *sse, sse_take take, void *arg)
{
    const char *line = sse->line.data ? sse->line.data : "";
    size_t len = sse->line.len;
    if (!len) {
        dispatch(sse, take, arg);
        return;
    }
    const char *colon = memchr(line, ':', len);
    size_t name = colon ? (size_t)(colon - line) : len;
    const char *value = colon ? colon + 1 : line + len;
    if (colon && *value == ' ')
        value++;
    size_t value_len = len - (size_t)(value - line);
    if (is_field(line, name, "data")) {
        if (sse->has_data)
            strbuf_char(&sse->data, '\n');
        strbuf_add(&sse->data, value, value_len);
        sse->has_data = true;
    } else if (is_field(line, name, "event")) {
        set(&sse->type, value, value_len);
    } else if (is_field(line, name, "id")) {
        set(&sse->id, value, value_len);
    } /* comments and what isn't known: nothing */
}

int sse_feed(struct sse *sse, const char *bytes, size_t len, sse_take take, void *arg)
{
    for (size_t i = 0; i < len; i++) {
        char c = bytes[i];
        bool after_cr = sse->after_cr;
        sse->after_cr = c == '\r';
        if (c == '\n' && after_cr)
            continue;
        if (c != '\n' && c != '\r') {
            strbuf_char(&sse->line, c);
            if (sse->line.len + sse->data.len > SSE_EVENT_MAX)
                return -1;
            continue;
        }
        bool whole = !sse->line.failed;
        take_line(sse, take, arg);
        strbuf_reset(&sse->line);
        if (!whole || sse->data.failed || sse->type.failed || sse->id.failed)
            return -1;
    }
    return sse->line.failed ? -1 : 0;
}

void sse_restart(struct sse *sse)
{
    strbuf_reset(&sse->line);
    strbuf_reset(&sse->data);
    strbuf_reset(&sse->type);
    sse->after_cr = sse->has_data = false;
}

void sse_fini(struct sse *sse)
{
    strbuf_fini(&sse->line);
    strbuf_fini(&sse->data);
    strbuf_fini(&sse->type);
    strbuf_fini(&sse->id);
}
