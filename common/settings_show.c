/* Settings: names, values and help as texts. See settings.h; how they are read is in settings.c. */
#include "common/settings.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/json_writer.h"
#include "common/log.h"
#include "common/utf8.h"

#define QUOTED_MAX     100
#define LINE_MAX_SHOWN 512
#define HELP_INDENT    30
#define HELP_WIDTH     100

/* --- names and values ------------------------------------------------------------------------ */

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

/* logLevel → log-level */
void settings_put_flag(const struct setting *setting, struct strbuf *out)
{
    for (const char *p = setting->name; *p; p++) {
        if (is_upper(*p))
            strbuf_char(out, '-');
        strbuf_char(out, is_upper(*p) ? (char)(*p - 'A' + 'a') : *p);
    }
}

/* logLevel → PANELD_LOG_LEVEL */
void settings_put_variable(const struct settings_table *table, const struct setting *setting,
                           struct strbuf *out)
{
    strbuf_str(out, table->prefix);
    for (const char *p = setting->name; *p; p++) {
        if (is_upper(*p))
            strbuf_char(out, '_');
        strbuf_char(out, *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p);
    }
}

void settings_put_place(const struct settings_table *table, const void *values, size_t row,
                        struct strbuf *out)
{
    const struct settings_head *head = values;
    const struct setting *setting = &table->rows[row];
    if (head->source[row] == SETTING_ENVIRONMENT) {
        settings_put_variable(table, setting, out);
    } else if (head->source[row] == SETTING_FLAG) {
        strbuf_str(out, "--");
        settings_put_flag(setting, out);
    } else if (head->source[row] == SETTING_FILE) {
        strbuf_fmt(out, "%s: %s", head->file, setting->name);
    } else {
        strbuf_str(out, setting->name);
    }
}

void settings_put_quoted(struct strbuf *out, const char *text)
{
    bool valid = utf8_is_valid(text);
    size_t len = strnlen(text, QUOTED_MAX + 1);
    bool cut = len > QUOTED_MAX;
    while (cut && len && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--; /* not inside a character */
    strbuf_char(out, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = (unsigned char)text[i];
        strbuf_char(out, byte < 0x20 || byte == 0x7f || (byte > 0x7f && !valid) ? '?' : text[i]);
    }
    strbuf_str(out, cut ? "...\"" : "\"");
}

static const void *at(const struct setting *setting, const void *values)
{
    return (const char *)values + setting->offset;
}

void settings_put_value(const struct setting *setting, const void *values, struct strbuf *out)
{
    const void *value = at(setting, values);
    const char *text;
    switch (setting->kind) {
    case SETTING_TEXT:
        text = *(char *const *)value;
        strbuf_str(out, text ? text : "");
        break;
    case SETTING_CHOICE:
        strbuf_str(out, setting->choices[*(const int *)value]);
        break;
    case SETTING_NUMBER:
        strbuf_fmt(out, "%" PRId64, *(const int64_t *)value);
        break;
    case SETTING_RATIO:
        strbuf_fmt(out, "%g", *(const double *)value);
        break;
    case SETTING_SWITCH:
        strbuf_str(out, *(const bool *)value ? "true" : "false");
        break;
    }
}

static void put_bound(const struct setting *setting, double bound, struct strbuf *out)
{
    if (setting->kind == SETTING_NUMBER)
        strbuf_fmt(out, "%" PRId64, (int64_t)bound);
    else
        strbuf_fmt(out, "%g", bound);
}

static void put_choices(const struct setting *setting, struct strbuf *out)
{
    for (size_t i = 0; setting->choices[i]; i++) {
        const char *between = setting->choices[i + 1] ? ", " : " or ";
        strbuf_fmt(out, "%s%s", i ? between : "", setting->choices[i]);
    }
}

void settings_put_form(const struct setting *setting, struct strbuf *out)
{
    if (setting->kind == SETTING_TEXT) {
        strbuf_str(out, setting->form);
    } else if (setting->kind == SETTING_CHOICE) {
        put_choices(setting, out);
    } else if (setting->kind == SETTING_SWITCH) {
        strbuf_str(out, "true or false");
    } else {
        strbuf_str(out, setting->kind == SETTING_NUMBER ? "a whole number" : "a number");
        strbuf_str(out, " from ");
        put_bound(setting, setting->least, out);
        strbuf_str(out, " to ");
        put_bound(setting, setting->most, out);
        if (setting->unit)
            strbuf_fmt(out, " (%s)", setting->unit);
    }
}

/* --- faults and outcomes ---------------------------------------------------------------------- */

void settings_print_faults(const struct strbuf *faults, const char *program)
{
    if (faults->failed)
        fprintf(stderr, "%s: out of memory\n", program);
    for (const char *line = faults->data; line && *line;) {
        int len = (int)strcspn(line, "\n");
        fprintf(stderr, "%s: %.*s\n", program, len, line);
        line += len + (line[len] == '\n');
    }
}

void settings_log_faults(const struct strbuf *faults, const char *outcome)
{
    if (faults->failed)
        log_error("fault in the settings", "outcome=\"%s\" reason=\"%s\"", outcome,
                  "out of memory");
    for (const char *line = faults->data; line && *line;) {
        int len = (int)strcspn(line, "\n");
        char text[LINE_MAX_SHOWN];
        snprintf(text, sizeof(text), "%.*s", len, line);
        log_error("fault in the settings", "outcome=\"%s\" reason=\"%s\"", outcome, text);
        line += len + (line[len] == '\n');
    }
}

void settings_log_outcome(const struct settings_table *table, uint64_t taken, uint64_t waiting)
{
    auto_strbuf struct strbuf names = {0};
    auto_strbuf struct strbuf later = {0};
    settings_put_names(table, taken, &names);
    settings_put_names(table, waiting, &later);
    log_info("settings read again", "taken=\"%s\"", names.len ? names.data : "");
    if (later.len)
        log_warn("settings wait for a restart", "names=\"%s\"", later.data);
}

/* --- help ------------------------------------------------------------------------------------ */

/* " (5000 ms; 100 to 60000)", " (info; debug, info, warn or error)" */
static void put_limits(const struct setting *setting, struct strbuf *out)
{
    if (setting->kind == SETTING_SWITCH)
        return;
    strbuf_fmt(out, " (%s", setting->preset ? setting->preset : setting->none);
    if (setting->unit)
        strbuf_fmt(out, " %s", setting->unit);
    if (setting->kind != SETTING_TEXT)
        strbuf_str(out, "; ");
    if (setting->kind == SETTING_CHOICE) {
        put_choices(setting, out);
    } else if (setting->kind != SETTING_TEXT) {
        put_bound(setting, setting->least, out);
        strbuf_str(out, " to ");
        put_bound(setting, setting->most, out);
    }
    strbuf_char(out, ')');
}

/* The text in lines of HELP_WIDTH, all but the first behind HELP_INDENT spaces. */
static void print_wrapped(const char *text, FILE *to)
{
    size_t room = HELP_WIDTH - HELP_INDENT;
    while (strlen(text) > room) {
        size_t len = room;
        while (len && text[len] != ' ')
            len--;
        if (!len)
            break;
        fprintf(to, "%.*s\n%*s", (int)len, text, HELP_INDENT, "");
        text += len + 1;
    }
    fprintf(to, "%s\n", text);
}

void settings_print_help(const struct settings_table *table, FILE *to)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct setting *setting = &table->rows[i];
        auto_strbuf struct strbuf flag = {0};
        auto_strbuf struct strbuf text = {0};
        strbuf_str(&flag, "  --");
        settings_put_flag(setting, &flag);
        if (setting->word)
            strbuf_fmt(&flag, " %s", setting->word);
        strbuf_str(&text, setting->help);
        put_limits(setting, &text);
        if (setting->part)
            strbuf_str(&text, " *");
        if (flag.failed || text.failed)
            return;
        if (flag.len < HELP_INDENT)
            fprintf(to, "%-*s", HELP_INDENT, flag.data);
        else
            fprintf(to, "%s\n%*s", flag.data, HELP_INDENT, "");
        print_wrapped(text.data, to);
    }
}

/* --- JSON, and a table from it ---------------------------------------------------------------- */

static const char *const kind_names[] = {[SETTING_TEXT] = "text",
                                         [SETTING_CHOICE] = "choice",
                                         [SETTING_NUMBER] = "number",
                                         [SETTING_RATIO] = "ratio",
                                         [SETTING_SWITCH] = "switch"};

static const char *const source_names[] = {[SETTING_DEFAULT] = "default",
                                           [SETTING_FILE] = "file",
                                           [SETTING_ENVIRONMENT] = "environment",
                                           [SETTING_FLAG] = "flag"};

/* In the value's own JSON type; null where there is none. */
static void put_json_text(const struct setting *setting, const char *key, const char *text,
                          struct strbuf *out)
{
    if (!text || !*text)
        jw_null(out, key);
    else if (setting->secret)
        jw_string(out, key, "(not shown)");
    else if (setting->kind == SETTING_TEXT || setting->kind == SETTING_CHOICE)
        jw_string(out, key, text);
    else
        jw_raw(out, key, text);
}

static void put_json_value(const struct setting *setting, const char *key, const void *values,
                           struct strbuf *out)
{
    auto_strbuf struct strbuf text = {0};
    settings_put_value(setting, values, &text);
    put_json_text(setting, key, text.data, out);
    out->failed |= text.failed;
}

/* The text is one that is written into `text` before; a name of it for JSON. */
static void put_json_made(struct strbuf *out, const char *key, struct strbuf *text)
{
    jw_string(out, key, text->data);
    out->failed |= text->failed;
    strbuf_reset(text);
}

static void put_json_bounds(const struct setting *setting, struct strbuf *out)
{
    auto_strbuf struct strbuf text = {0};
    if (setting->kind == SETTING_NUMBER || setting->kind == SETTING_RATIO) {
        put_bound(setting, setting->least, &text);
        jw_raw(out, "least", text.data);
        strbuf_reset(&text);
        put_bound(setting, setting->most, &text);
        jw_raw(out, "most", text.data);
    }
    if (setting->unit)
        jw_string(out, "unit", setting->unit);
    if (setting->kind == SETTING_CHOICE) {
        jw_array_begin(out, "choices");
        for (size_t i = 0; setting->choices[i]; i++)
            jw_string(out, NULL, setting->choices[i]);
        jw_array_end(out);
    }
    out->failed |= text.failed;
}

static void put_json_row(const struct settings_table *table, size_t row, const void *values,
                         const void *pending, bool waits, struct strbuf *out)
{
    const struct settings_head *head = values;
    const struct setting *setting = &table->rows[row];
    auto_strbuf struct strbuf text = {0};
    jw_object_begin(out, NULL);
    jw_string(out, "name", setting->name);
    put_json_value(setting, "value", values, out);
    jw_string(out, "from", source_names[head->source[row]]);
    settings_put_place(table, values, row, &text);
    if (head->source[row] != SETTING_DEFAULT)
        put_json_made(out, "place", &text);
    strbuf_reset(&text);
    if (waits)
        put_json_value(setting, "afterRestart", pending, out);
    jw_string(out, "kind", kind_names[setting->kind]);
    put_json_bounds(setting, out);
    put_json_text(setting, "default", setting->preset, out);
    if (setting->none)
        jw_string(out, "withoutOne", setting->none);
    settings_put_variable(table, setting, &text);
    put_json_made(out, "environment", &text);
    strbuf_str(&text, "--");
    settings_put_flag(setting, &text);
    put_json_made(out, "flag", &text);
    jw_bool(out, "reloads", setting->part != 0);
    jw_string(out, "help", setting->help);
    jw_object_end(out);
}

void settings_put_json(const struct settings_table *table, const void *values, const void *pending,
                       uint64_t waiting, struct strbuf *out)
{
    jw_array_begin(out, "settings");
    for (size_t i = 0; i < table->count; i++)
        put_json_row(table, i, values, pending, waiting >> i & 1, out);
    jw_array_end(out);
}

/* As in the file, but texts without their quotes; where there is none, what that means. */
static void put_plain(const json_t *row, const char *key, struct strbuf *out)
{
    const json_t *value = json_object_get(row, key);
    const char *none = json_string_value(json_object_get(row, "withoutOne"));
    if (json_is_string(value)) {
        strbuf_str(out, json_string_value(value));
    } else if (json_is_null(value)) {
        strbuf_str(out, none ? none : "none");
    } else {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        strbuf_str(out, text ? text : "?");
        free(text);
    }
}

static void put_row_value(const json_t *row, struct strbuf *out)
{
    const char *unit = json_string_value(json_object_get(row, "unit"));
    put_plain(row, "value", out);
    if (unit)
        strbuf_fmt(out, " %s", unit);
    if (json_object_get(row, "afterRestart")) {
        strbuf_str(out, ", after a restart ");
        put_plain(row, "afterRestart", out);
    }
}

static int value_width(const json_t *rows)
{
    size_t width = 0;
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        auto_strbuf struct strbuf value = {0};
        put_row_value(row, &value);
        width = value.len > width ? value.len : width;
    }
    return (int)width;
}

static void print_row(const json_t *row, int width, FILE *to)
{
    auto_strbuf struct strbuf value = {0};
    const char *place = json_string_value(json_object_get(row, "place"));
    put_row_value(row, &value);
    fprintf(to, "%-17s  %-*s  %s%s%s%s\n", json_string_value(json_object_get(row, "name")), width,
            value.failed ? "?" : value.data, json_string_value(json_object_get(row, "from")),
            place ? " (" : "", place ? place : "", place ? ")" : "");
}

int settings_print_table(const char *json, FILE *to, struct err *err)
{
    json_t *root = json_loads(json, 0, NULL);
    const json_t *rows = json_object_get(root, "settings");
    int width = value_width(rows);
    size_t i;
    json_t *row;
    if (json_array_size(rows) == 0) {
        json_decref(root);
        return err_set(err, ERR_PROTOCOL, "bad_answer",
                       "what should be the settings makes no sense");
    }
    fprintf(to, "%-17s  %-*s  %s\n", "SETTING", width, "VALUE", "FROM");
    json_array_foreach(rows, i, row)
    {
        print_row(row, width, to);
    }
    json_decref(root);
    return 0;
}
