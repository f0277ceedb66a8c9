/* What panelctl shows on a terminal, of whatever a panel, a node or a container says: names and log
 * lines, event streams, YAML. Nothing of it may steer the terminal, what is cut must fit, and a
 * stream says the same however its bytes come. The first byte picks one. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/strbuf.h"
#include "common/utf8.h"
#include "panel/ctl/sse.h"
#include "panel/ctl/text.h"
#include "panel/ctl/yaml.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_init();
    text_init();
    return 0;
}

/* Length of a colour sequence; 0: it is none. */
static size_t colour_at(const char *p)
{
    size_t len = strncmp(p, "\x1b[", 2) == 0 ? 2 + strspn(p + 2, "0123456789;") : 0;
    return len && p[len] == 'm' ? len + 1 : 0;
}

/* No control character, C1 ones included, and no mark of direction. */
static void check_harmless(const char *text, bool tabs, bool colours)
{
    CHECK(utf8_is_valid(text));
    for (const char *p = text; *p; p++) {
        size_t colour = colours ? colour_at(p) : 0;
        unsigned char a = (unsigned char)p[0];
        if (colour) {
            p += colour - 1;
            continue;
        }
        CHECK(a >= 0x20 || (tabs && a == '\t'));
        CHECK(a != 0x7f);
        CHECK(!(a == 0xc2 && (unsigned char)p[1] < 0xa0));
        CHECK(strncmp(p, "\xe2\x80\xae", 3) != 0 && strncmp(p, "\xe2\x81\xa6", 3) != 0);
    }
}

static void try_text(struct fuzz_input *in)
{
    size_t columns = fuzz_byte(in);
    auto_strbuf struct strbuf safe = {0};
    auto_strbuf struct strbuf again = {0};
    auto_strbuf struct strbuf cut = {0};
    strbuf_str(&safe, "");
    strbuf_str(&again, "");
    strbuf_str(&cut, "");
    text_add_safe(&safe, (const char *)in->data, in->size);
    check_harmless(safe.data, false, false);
    text_add_safe(&again, safe.data, safe.len);
    CHECK(strcmp(safe.data, again.data) == 0);
    text_add_cut(&cut, safe.data, columns);
    CHECK(text_width(cut.data) <= columns && utf8_is_valid(cut.data));
    CHECK(text_width(safe.data) > columns || strcmp(cut.data, safe.data) == 0);
}

static void try_line(struct fuzz_input *in, bool colours)
{
    auto_strbuf struct strbuf line = {0};
    strbuf_str(&line, "");
    text_add_line(&line, (const char *)in->data, in->size, colours);
    check_harmless(line.data, true, colours);
    /* A colour ends with its line. */
    const char *last = strrchr(line.data, '\x1b');
    CHECK(!last || strcmp(last, "\x1b[0m") == 0);
}

static void take(void *arg, const struct sse_event *event)
{
    strbuf_fmt(arg, "%s\x01%s\x01%s\x02", event->type, event->id, event->data);
}

static void try_events(struct fuzz_input *in)
{
    struct sse whole = {0};
    struct sse pieces = {0};
    auto_strbuf struct strbuf a = {0};
    auto_strbuf struct strbuf b = {0};
    size_t step = 1 + fuzz_byte(in) % 7u;
    int rc = sse_feed(&whole, (const char *)in->data, in->size, take, &a);
    for (size_t at = 0; at < in->size; at += step) {
        size_t left = in->size - at;
        CHECK(sse_feed(&pieces, (const char *)in->data + at, left < step ? left : step, take, &b) ==
              rc);
    }
    CHECK(a.len == b.len && (!a.len || memcmp(a.data, b.data, a.len) == 0));
    sse_fini(&whole);
    sse_fini(&pieces);
}

/* Lines are the document's alone: none comes out of a text. */
static void try_yaml(struct fuzz_input *in)
{
    auto_strbuf struct strbuf yaml = {0};
    auto_strbuf struct strbuf shown = {0};
    json_t *value = json_loadb((const char *)in->data, in->size, JSON_DECODE_ANY, NULL);
    if (!value)
        return;
    strbuf_str(&shown, "");
    yaml_add(&yaml, value);
    CHECK(yaml.len && yaml.data[yaml.len - 1] == '\n');
    text_add_document(&shown, yaml.data);
    for (char *p = shown.data; *p; p++) {
        if (*p == '\n')
            *p = ' ';
    }
    check_harmless(shown.data, false, false);
    json_decref(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.data = data, .size = size};
    switch (fuzz_byte(&in) % 5) {
    case 0:
        try_text(&in);
        break;
    case 1:
        try_line(&in, false);
        break;
    case 2:
        try_line(&in, true);
        break;
    case 3:
        try_events(&in);
        break;
    default:
        try_yaml(&in);
    }
    return 0;
}
