/* See log_lines.h. */
#include "agent/log_lines.h"

#include <stdlib.h>
#include <string.h>

int log_position_compare(struct log_position a, struct log_position b)
{
    if (a.time_ns != b.time_ns)
        return a.time_ns < b.time_ns ? -1 : 1;
    return a.index == b.index ? 0 : a.index < b.index ? -1 : 1;
}

struct log_position log_position_of(const Wire__LogPosition *position)
{
    return position ? (struct log_position){position->time_ns, position->index}
                    : (struct log_position){0};
}

/* Lines of one moment are counted, and so are those of a clock that went back: what came later
 * lies behind. */
static struct log_position next_position(const struct log_lines *lines, uint64_t time_ns)
{
    if (time_ns > lines->last.time_ns)
        return (struct log_position){time_ns, 0};
    return (struct log_position){lines->last.time_ns, lines->last.index + 1};
}

static void drop_first(struct log_lines *lines)
{
    struct log_line *line = lines->first;
    lines->first = line->next;
    if (!lines->first)
        lines->end = NULL;
    lines->bytes -= sizeof(*line) + line->len;
    lines->count--;
    free(line);
}

void log_lines_add(struct log_lines *lines, const struct log_text *text)
{
    struct log_position at = next_position(lines, text->time_ns);
    lines->last = at;
    if (log_position_compare(at, lines->after) <= 0 ||
        (lines->until.time_ns && log_position_compare(at, lines->until) > 0))
        return;
    lines->kept = at;
    uint64_t number = lines->taken++;
    size_t size = sizeof(struct log_line) + text->len;
    while (lines->first && lines->bytes + size > lines->bytes_max) {
        drop_first(lines);
        lines->dropped++;
    }
    struct log_line *line = malloc(size);
    if (!line) {
        lines->dropped++;
        return;
    }
    *line = (struct log_line){.at = at,
                              .number = number,
                              .is_error = text->is_error,
                              .is_cut = text->is_cut,
                              .len = text->len};
    memcpy(line->text, text->text, text->len);
    if (lines->first)
        *lines->end = line;
    else
        lines->first = line;
    lines->end = &line->next;
    lines->bytes += size;
    lines->count++;
}

void log_lines_forget(struct log_lines *lines, struct log_position until)
{
    while (lines->first && log_position_compare(lines->first->at, until) <= 0)
        drop_first(lines);
}

void log_lines_clear(struct log_lines *lines)
{
    while (lines->first)
        drop_first(lines);
}

/* What a line takes in a packed message, but for its text: tags, lengths, position, flags. */
#define LINE_OVERHEAD 40u

Wire__LogLine **log_lines_tell(const struct log_lines *lines, size_t bytes_max, size_t *ret_count,
                               size_t *ret_bytes)
{
    size_t count = 0;
    size_t bytes = 0;
    for (const struct log_line *line = lines->first; line; line = line->next) {
        size_t more = line->len + LINE_OVERHEAD;
        if (count && bytes + more > bytes_max)
            break;
        bytes += more;
        count++;
    }
    if (ret_bytes)
        *ret_bytes = bytes;
    struct told {
        Wire__LogLine line;
        Wire__LogPosition position;
    } * told;
    *ret_count = 0;
    Wire__LogLine **all = count ? malloc(count * (sizeof(void *) + sizeof(*told))) : NULL;
    if (!all)
        return NULL;
    told = (struct told *)(all + count);
    const struct log_line *line = lines->first;
    for (size_t i = 0; i < count; i++, line = line->next) {
        wire__log_line__init(&told[i].line);
        wire__log_position__init(&told[i].position);
        told[i].position.time_ns = line->at.time_ns;
        told[i].position.index = line->at.index;
        told[i].line.position = &told[i].position;
        told[i].line.text.data = (uint8_t *)(uintptr_t)line->text;
        told[i].line.text.len = line->len;
        told[i].line.is_error = line->is_error;
        told[i].line.is_cut = line->is_cut;
        all[i] = &told[i].line;
    }
    *ret_count = count;
    return all;
}
