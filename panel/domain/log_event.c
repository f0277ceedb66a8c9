/* See log_event.h. */
#include "panel/domain/log_event.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/auto.h"
#include "common/crypto.h"
#include "common/json_writer.h"
#include "common/utf8.h"
#include "panel/domain/text.h"

#define NS_PER_S 1000000000u

static void add_time(struct strbuf *out, uint64_t ns)
{
    struct tm tm;
    char text[32];
    char whole[48];
    time_t seconds = (time_t)(ns / NS_PER_S);
    gmtime_r(&seconds, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(whole, sizeof(whole), "%s.%09" PRIu64 "Z", text, ns % NS_PER_S);
    jw_string(out, "time", whole);
}

static void add_text(struct strbuf *out, const struct log_event *event)
{
    auto_strbuf struct strbuf text = {0};
    strbuf_add(&text, event->text, event->len);
    if (!event->len) {
        jw_string(out, "line", "");
    } else if (text.failed) {
        out->failed = true;
    } else if (!memchr(text.data, '\0', text.len) && utf8_is_valid(text.data)) {
        jw_string(out, "line", text.data);
    } else {
        strbuf_reset(&text);
        crypto_add_base64(&text, event->text, event->len);
        jw_string(out, "base64", text.failed ? "" : text.data);
        out->failed |= text.failed;
    }
}

void log_event_add(struct strbuf *out, const struct log_event *event)
{
    auto_strbuf struct strbuf json = {0};
    jw_object_begin(&json, NULL);
    add_time(&json, event->at.time_ns);
    jw_string(&json, "stream", event->is_error ? "stderr" : "stdout");
    add_text(&json, event);
    if (event->is_cut)
        jw_bool(&json, "cut", true);
    jw_object_end(&json);
    strbuf_fmt(out, "id: %" PRIu64 "-%" PRIu32 "\ndata: ", event->at.time_ns, event->at.index);
    strbuf_add(out, json.data, json.len);
    strbuf_str(out, "\n\n");
    out->failed |= json.failed;
}

void log_event_add_lost(struct strbuf *out, uint64_t lines)
{
    strbuf_fmt(out, "event: lost\ndata: {\"lines\":%" PRIu64 "}\n\n", lines);
}

bool log_point_parse(const char *id, struct log_point *ret_point)
{
    char time[24];
    uint64_t index;
    const char *dash = strchr(id, '-');
    if (!dash || (size_t)(dash - id) >= sizeof(time))
        return false;
    memcpy(time, id, (size_t)(dash - id));
    time[dash - id] = '\0';
    if (!text_parse_uint(time, INT64_MAX, &ret_point->time_ns) ||
        !text_parse_uint(dash + 1, UINT32_MAX, &index))
        return false;
    ret_point->index = (uint32_t)index;
    return true;
}

int log_point_compare(struct log_point a, struct log_point b)
{
    if (a.time_ns != b.time_ns)
        return a.time_ns < b.time_ns ? -1 : 1;
    return a.index == b.index ? 0 : a.index < b.index ? -1 : 1;
}
