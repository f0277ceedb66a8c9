/* Showing things. See view.h.
 *
 * -o json and yaml show what the panel answered, all of it; tables and details show the columns of
 * columns.c, safe for a terminal. */
#include "panel/ctl/view.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/iso_time.h"
#include "panel/ctl/text.h"
#include "panel/ctl/yaml.h"

json_t *view_member(const json_t *value, const char *path)
{
    char name[64];
    while (value && *path) {
        size_t len = strcspn(path, ".");
        if (len >= sizeof(name))
            return NULL;
        memcpy(name, path, len);
        name[len] = '\0';
        value = json_object_get(value, name);
        path += len + (path[len] == '.');
    }
    return (json_t *)value;
}

const char *view_text(const json_t *value, const char *path)
{
    const char *text = json_string_value(view_member(value, path));
    return text ? text : "";
}

bool view_is_data(const struct ctl *ctl)
{
    return ctl->format == FORMAT_JSON || ctl->format == FORMAT_YAML;
}

int view_put(const struct strbuf *out, struct err *err)
{
    if (out->failed)
        return err_nomem(err);
    size_t len = out->len;
    if ((len && fwrite(out->data, 1, len, stdout) != len) || fflush(stdout) != 0)
        return errno == EPIPE ? err_set(err, ERR_IO, "reader_gone", "nobody reads the output")
                              : err_io(err, errno, "can't write the output");
    return 0;
}

/* --- cells ----------------------------------------------------------------------------------- */

enum tone view_tone(const char *state)
{
    static const struct {
        const char *word;
        enum tone tone;
    } tones[] = {
        {"running", TONE_GOOD},
        {"Online", TONE_GOOD},
        {"READY", TONE_GOOD},
        {"valid", TONE_GOOD},
        {"up", TONE_GOOD},
        {"ok", TONE_GOOD},
        {"crashed", TONE_BAD},
        {"failed", TONE_BAD},
        {"FAILED", TONE_BAD},
        {"Offline", TONE_BAD},
        {"down", TONE_BAD},
        {"FAIL", TONE_BAD},
        {"Suspect", TONE_WARN},
        {"Maintenance", TONE_WARN},
        {"Unconfigured", TONE_WARN},
        {"unknown", TONE_WARN},
        {"suspended", TONE_WARN},
        {"deleting", TONE_WARN},
        {"pulling", TONE_WARN},
        {"creating", TONE_WARN},
        {"installing", TONE_WARN},
        {"starting", TONE_WARN},
        {"stopping", TONE_WARN},
        {"INSTALLING", TONE_WARN},
        {"warn", TONE_WARN},
        {"stopped", TONE_DIM},
        {"revoked", TONE_DIM},
        {"expired", TONE_WARN},
        {"Online, no Docker", TONE_BAD},
    };
    for (size_t i = 0; i < ARRAY_LEN(tones); i++) {
        if (strcmp(tones[i].word, state) == 0)
            return tones[i].tone;
    }
    return TONE_PLAIN;
}

static void add_plain(struct strbuf *out, const json_t *value)
{
    if (json_is_string(value)) {
        text_add_safe(out, json_string_value(value), json_string_length(value));
        return;
    }
    auto_free char *text =
        json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
    if (text)
        text_add_safe(out, text, strlen(text));
}

/* An object's members, as name=value; of what has members of its own, in brackets. */
static void add_members(struct strbuf *out, const json_t *object, const char *between)
{
    const char *key;
    json_t *item;
    bool first = true;
    json_object_foreach((json_t *)object, key, item)
    {
        if (json_is_null(item))
            continue; /* not said */
        strbuf_str(out, first ? "" : between);
        first = false;
        text_add_safe(out, key, strlen(key));
        strbuf_char(out, '=');
        if (json_is_object(item)) {
            strbuf_char(out, '(');
            add_members(out, item, ", ");
            strbuf_char(out, ')');
        } else {
            add_plain(out, item);
        }
    }
}

static void add_list(struct strbuf *out, const json_t *value, const char *between)
{
    size_t i;
    json_t *item;
    if (json_is_object(value))
        add_members(out, value, between);
    json_array_foreach(value, i, item)
    {
        strbuf_str(out, i ? between : "");
        if (json_is_object(item))
            add_members(out, item, " ");
        else
            add_plain(out, item);
    }
}

static void add_age(struct strbuf *out, const json_t *value)
{
    uint64_t ns;
    const char *text = json_string_value(value);
    if (text && iso_time_parse(text, &ns))
        text_add_duration(out, clock_wall_ms() / 1000 - (int64_t)(ns / 1000000000u));
    else
        add_plain(out, value);
}

/* between: what stands between the items of one that has LINES. */
static void add_cell(struct strbuf *out, const struct column *column, const json_t *row,
                     const char *between)
{
    const json_t *value = view_member(row, column->path);
    if (!value || json_is_null(value))
        return;
    switch (column->kind) {
    case COLUMN_MIB:
        text_add_mib(out, json_number_value(value));
        break;
    case COLUMN_BYTES:
        text_add_bytes(out, json_number_value(value));
        break;
    case COLUMN_PERCENT:
        strbuf_fmt(out, "%.1f %%", json_number_value(value));
        break;
    case COLUMN_AGE:
        add_age(out, value);
        break;
    case COLUMN_YES:
        strbuf_str(out, json_is_true(value) ? "yes" : "no");
        break;
    case COLUMN_LIST:
    case COLUMN_LINES:
        if (json_is_array(value) || json_is_object(value))
            add_list(out, value, column->kind == COLUMN_LINES ? between : ", ");
        else
            add_plain(out, value);
        break;
    default:
        add_plain(out, value);
    }
}

/* --- tables and details ---------------------------------------------------------------------- */

static int add_table(const struct ctl *ctl, const struct view *view, const json_t *array,
                     struct strbuf *out, struct err *err)
{
    enum column_reach reach = ctl->format == FORMAT_WIDE ? IN_WIDE : IN_TABLE;
    struct table_column heads[32];
    const struct column *shown[32];
    size_t count = 0;
    for (size_t i = 0; i < view->count && count < ARRAY_LEN(heads); i++) {
        const struct column *column = &view->columns[i];
        if (column->reach > reach)
            continue;
        bool number = column->kind == COLUMN_MIB || column->kind == COLUMN_BYTES ||
                      column->kind == COLUMN_NUMBER || column->kind == COLUMN_PERCENT;
        heads[count] = (struct table_column){.title = column->title,
                                             .flags = column->flags | (number ? TABLE_RIGHT : 0u)};
        shown[count++] = column;
    }
    struct table table;
    table_init(&table, heads, count);
    size_t i;
    json_t *row;
    json_array_foreach(array, i, row)
    {
        for (size_t k = 0; k < count; k++) {
            auto_strbuf struct strbuf cell = {0};
            add_cell(&cell, shown[k], row, ", ");
            table.failed |= cell.failed;
            const char *text = cell.data ? cell.data : "";
            table_add(&table, text, shown[k]->kind == COLUMN_STATE ? view_tone(text) : TONE_PLAIN);
        }
    }
    size_t width = ctl->format == FORMAT_WIDE ? 0 : term_width(&ctl->term);
    int rc = table_write(&table, width, ctl->term.colour, out);
    table_fini(&table);
    return rc < 0 ? err_nomem(err) : 0;
}

/* "MEMORY USED" → "Memory used:" */
static void add_label(struct strbuf *out, const char *title, size_t width, bool colour)
{
    auto_strbuf struct strbuf label = {0};
    strbuf_char(&label, title[0]);
    for (const char *p = title + 1; *p; p++)
        strbuf_char(&label, (char)tolower((unsigned char)*p));
    strbuf_char(&label, ':');
    tone_add(out, label.data ? label.data : "", TONE_BOLD, colour);
    for (size_t i = strlen(title) + 1; i < width; i++)
        strbuf_char(out, ' ');
}

static int add_details(const struct ctl *ctl, const struct view *view, const json_t *object,
                       struct strbuf *out, struct err *err)
{
    size_t width = 0;
    for (size_t i = 0; i < view->count; i++) {
        size_t len = strlen(view->columns[i].title) + 2;
        width = len > width ? len : width;
    }
    for (size_t i = 0; i < view->count; i++) {
        const struct column *column = &view->columns[i];
        auto_strbuf struct strbuf cell = {0};
        auto_strbuf struct strbuf between = {0};
        strbuf_fmt(&between, "\n%*s", (int)width, "");
        add_cell(&cell, column, object, between.data ? between.data : "");
        if (cell.failed)
            return err_nomem(err);
        if (!cell.len)
            continue;
        add_label(out, column->title, width, ctl->term.colour);
        tone_add(out, cell.data, column->kind == COLUMN_STATE ? view_tone(cell.data) : TONE_PLAIN,
                 ctl->term.colour);
        strbuf_char(out, '\n');
    }
    return out->failed ? err_nomem(err) : 0;
}

/* --- formats --------------------------------------------------------------------------------- */

/* Byte for byte into a file or a pipe. */
static int add_data(const struct ctl *ctl, const json_t *value, struct strbuf *out, struct err *err)
{
    static bool begun; /* one document after another needs a line between them in YAML */
    auto_strbuf struct strbuf text = {0};
    if (ctl->format == FORMAT_YAML) {
        strbuf_str(&text, begun ? "---\n" : "");
        begun = true;
        yaml_add(&text, value);
    } else {
        auto_free char *json =
            json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        if (!json)
            return err_nomem(err);
        strbuf_str(&text, json);
        strbuf_char(&text, '\n');
    }
    if (text.failed)
        return err_nomem(err);
    if (ctl->term.out)
        text_add_document(out, text.data);
    else
        strbuf_add(out, text.data, text.len);
    return out->failed ? err_nomem(err) : 0;
}

void view_add_json_line(const struct ctl *ctl, const char *json, struct strbuf *out)
{
    if (ctl->term.out)
        text_add_document(out, json);
    else
        strbuf_str(out, json);
    strbuf_char(out, '\n');
}

static void add_name(const struct view *view, const json_t *object, struct strbuf *out)
{
    const json_t *id = view_member(object, view->id);
    if (!id)
        return;
    add_plain(out, id);
    strbuf_char(out, '\n');
}

int view_add_list(const struct ctl *ctl, const struct view *view, const json_t *array,
                  struct strbuf *out, struct err *err)
{
    if (view_is_data(ctl))
        return add_data(ctl, array, out, err);
    if (ctl->format != FORMAT_NAME)
        return add_table(ctl, view, array, out, err);
    size_t i;
    json_t *row;
    json_array_foreach(array, i, row) add_name(view, row, out);
    return out->failed ? err_nomem(err) : 0;
}

int view_add_one(const struct ctl *ctl, const struct view *view, const json_t *object,
                 struct strbuf *out, struct err *err)
{
    if (view_is_data(ctl))
        return add_data(ctl, object, out, err);
    if (ctl->format != FORMAT_NAME)
        return add_details(ctl, view, object, out, err);
    add_name(view, object, out);
    return out->failed ? err_nomem(err) : 0;
}

int view_print_list(const struct ctl *ctl, const struct view *view, const json_t *array,
                    struct err *err)
{
    auto_strbuf struct strbuf out = {0};
    return view_add_list(ctl, view, array, &out, err) < 0 ? -1 : view_put(&out, err);
}

int view_print_data(const struct ctl *ctl, const json_t *value, struct err *err)
{
    auto_strbuf struct strbuf out = {0};
    return add_data(ctl, value, &out, err) < 0 ? -1 : view_put(&out, err);
}

int view_print_done(const struct ctl *ctl, const struct view *view, const json_t *object,
                    struct err *err, const char *fmt, ...)
{
    auto_strbuf struct strbuf out = {0};
    if (view_is_data(ctl))
        return view_print_data(ctl, object, err);
    if (ctl->format == FORMAT_NAME) {
        if (view)
            add_name(view, object, &out);
        return view_put(&out, err);
    }
    char *sentence = NULL;
    va_list ap;
    va_start(ap, fmt);
    int len = vasprintf(&sentence, fmt, ap);
    va_end(ap);
    if (len < 0)
        return err_nomem(err);
    text_add_safe(&out, sentence, (size_t)len);
    strbuf_char(&out, '\n');
    free(sentence);
    return view_put(&out, err);
}
