/* Settings: read, checked, compared. See settings.h; shown in settings_show.c.
 *
 * A value is either whole in its place or was never there: what doesn't fit is told and leaves what
 * an earlier source said, so that one run finds every fault. Numbers are read by hand, for strtol
 * and its family take spaces, signs and overflow. */
#include "common/settings.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/fs.h"
#include "common/utf8.h"

#define FILE_MAX  (1u << 20)
#define SHOWN_MAX 100

struct intake {
    const struct settings_table *table;
    void *values;
    enum setting_source source;
    struct strbuf *faults;
};

static struct settings_head *head_of(void *values)
{
    return values;
}

static void *place_of(const struct setting *setting, const void *values)
{
    return (char *)(uintptr_t)values + setting->offset;
}

int settings_find(const struct settings_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->rows[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

int settings_find_flag(const struct settings_table *table, const char *flag, size_t len)
{
    for (size_t i = 0; i < table->count; i++) {
        auto_strbuf struct strbuf own = {0};
        settings_put_flag(&table->rows[i], &own);
        if (own.len == len && memcmp(own.data, flag, len) == 0)
            return (int)i;
    }
    return -1;
}

/* --- one value ------------------------------------------------------------------------------- */

static void put_source_place(const struct intake *in, const struct setting *setting)
{
    if (in->source == SETTING_FLAG) {
        strbuf_str(in->faults, "--");
        settings_put_flag(setting, in->faults);
    } else if (in->source == SETTING_ENVIRONMENT) {
        settings_put_variable(in->table, setting, in->faults);
    } else {
        strbuf_fmt(in->faults, "%s: %s", head_of(in->values)->file, setting->name);
    }
}

/* shown is the value, quoted where it is a text. */
static int misfit(const struct intake *in, const struct setting *setting, const char *shown)
{
    head_of(in->values)->misfits |= UINT64_C(1) << (setting - in->table->rows);
    put_source_place(in, setting);
    strbuf_str(in->faults, " must be ");
    settings_put_form(setting, in->faults);
    if (setting->secret)
        strbuf_str(in->faults, "; what it is isn't shown\n");
    else
        strbuf_fmt(in->faults, ", not %s\n", shown);
    return -1;
}

static int put_string(const struct intake *in, const struct setting *setting, const char *text)
{
    char **at = place_of(setting, in->values);
    char *copy = strdup(text);
    if (!copy) {
        in->faults->failed = true;
        return -1;
    }
    free(*at);
    *at = copy;
    return 0;
}

static bool put_choice(const struct intake *in, const struct setting *setting, const char *text)
{
    for (int i = 0; setting->choices[i]; i++) {
        if (strcmp(setting->choices[i], text) == 0) {
            memcpy(place_of(setting, in->values), &i, sizeof(i));
            return true;
        }
    }
    return false;
}

static bool put_number(const struct intake *in, const struct setting *setting, int64_t number)
{
    if ((double)number < setting->least || (double)number > setting->most)
        return false;
    memcpy(place_of(setting, in->values), &number, sizeof(number));
    return true;
}

static bool put_ratio(const struct intake *in, const struct setting *setting, double ratio)
{
    if (!isfinite(ratio) || ratio < setting->least || ratio > setting->most)
        return false;
    memcpy(place_of(setting, in->values), &ratio, sizeof(ratio));
    return true;
}

/* Digits alone; -1 for anything else, or for more than is ever allowed. */
static int64_t read_number(const char *text)
{
    int64_t number = 0;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9' || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *p - '0', &number))
            return -1;
    }
    return *text ? number : -1;
}

/* Digits with a point between at most; NAN for anything else. */
static double read_ratio(const char *text)
{
    size_t whole = strspn(text, "0123456789");
    size_t point = whole && text[whole] == '.' ? 1 : 0;
    size_t part = point ? strspn(text + whole + 1, "0123456789") : 0;
    if (!whole || part < point || text[whole + point + part])
        return NAN;
    return strtod(text, NULL);
}

static bool put_switch(const struct intake *in, const struct setting *setting, const char *text)
{
    bool on = strcmp(text, "true") == 0;
    if (!on && strcmp(text, "false") != 0)
        return false;
    memcpy(place_of(setting, in->values), &on, sizeof(on));
    return true;
}

/* Texts are told from other kinds of value here and in put_json() alone. 0, or -1 once told. */
static int put_text(const struct intake *in, const struct setting *setting, const char *text)
{
    bool fits = false;
    switch (setting->kind) {
    case SETTING_TEXT:
        fits = *text && utf8_is_valid(text) && (!setting->fits || setting->fits(text));
        if (fits && put_string(in, setting, text) < 0)
            return -1;
        break;
    case SETTING_CHOICE:
        fits = put_choice(in, setting, text);
        break;
    case SETTING_NUMBER:
        fits = put_number(in, setting, read_number(text));
        break;
    case SETTING_RATIO:
        fits = put_ratio(in, setting, read_ratio(text));
        break;
    case SETTING_SWITCH:
        fits = put_switch(in, setting, text);
        break;
    }
    if (fits) {
        head_of(in->values)->source[setting - in->table->rows] = (unsigned char)in->source;
        return 0;
    }
    auto_strbuf struct strbuf shown = {0};
    settings_put_quoted(&shown, text);
    in->faults->failed |= shown.failed;
    return misfit(in, setting, shown.data ? shown.data : "");
}

/* --- the sources ----------------------------------------------------------------------------- */

static int misfit_json(const struct intake *in, const struct setting *setting, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    if (!text) {
        in->faults->failed = true;
        return -1;
    }
    if (strlen(text) > SHOWN_MAX)
        memcpy(text + SHOWN_MAX - 3, "...", 4);
    int rc = misfit(in, setting, text);
    free(text);
    return rc;
}

/* In the file a number is a number, not a text that holds one. */
static int put_json(const struct intake *in, const struct setting *setting, const json_t *value)
{
    bool fits = false;
    switch (setting->kind) {
    case SETTING_TEXT:
    case SETTING_CHOICE:
        if (json_is_string(value))
            return put_text(in, setting, json_string_value(value));
        break;
    case SETTING_NUMBER:
        fits = json_is_integer(value) && put_number(in, setting, json_integer_value(value));
        break;
    case SETTING_RATIO:
        fits = json_is_number(value) && put_ratio(in, setting, json_number_value(value));
        break;
    case SETTING_SWITCH:
        if (json_is_boolean(value))
            return put_text(in, setting, json_is_true(value) ? "true" : "false");
        break;
    }
    if (!fits)
        return misfit_json(in, setting, value);
    head_of(in->values)->source[setting - in->table->rows] = SETTING_FILE;
    return 0;
}

static void read_object(const struct intake *in, json_t *root)
{
    const char *name;
    json_t *value;
    json_object_foreach(root, name, value)
    {
        int row = settings_find(in->table, name);
        if (row >= 0) {
            (void)put_json(in, &in->table->rows[row], value);
            continue;
        }
        strbuf_fmt(in->faults, "%s: there is no setting ", head_of(in->values)->file);
        settings_put_quoted(in->faults, name);
        strbuf_str(in->faults, "; --help lists them\n");
    }
}

static void read_file(const struct intake *in, const char *path)
{
    auto_free char *text = NULL;
    size_t len;
    struct err err = {0};
    json_error_t where;
    if (fs_read(path, FILE_MAX, &text, &len, &err) < 0) {
        in->faults->failed |= err.code == ERR_NO_MEMORY;
        strbuf_fmt(in->faults, "%s\n", err.msg);
        return;
    }
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &where);
    if (!root && json_error_code(&where) == json_error_out_of_memory) {
        in->faults->failed = true;
    } else if (!root) {
        strbuf_fmt(in->faults, "%s: line %d: ", path, where.line);
        settings_put_quoted(in->faults, where.text);
        strbuf_str(in->faults, " is wrong with its JSON\n");
    } else if (!json_is_object(root)) {
        strbuf_fmt(in->faults, "%s must be one JSON object: {\"logLevel\": \"info\"}\n", path);
    } else {
        read_object(in, root);
    }
    json_decref(root);
}

/* An empty variable is one that isn't set, as is usual with them. */
static void read_environment(const struct intake *in)
{
    for (size_t i = 0; i < in->table->count; i++) {
        auto_strbuf struct strbuf name = {0};
        settings_put_variable(in->table, &in->table->rows[i], &name);
        const char *text = name.failed ? NULL : getenv(name.data);
        in->faults->failed |= name.failed;
        if (text && *text)
            (void)put_text(in, &in->table->rows[i], text);
    }
}

int settings_load(const struct settings_table *table, const struct settings_given *given,
                  void *values, struct strbuf *faults)
{
    struct intake in = {table, values, SETTING_DEFAULT, faults};
    head_of(values)->file = given->file;
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].preset)
            (void)put_text(&in, &table->rows[i], table->rows[i].preset);
    }
    in.source = SETTING_FILE;
    if (given->file)
        read_file(&in, given->file);
    in.source = SETTING_ENVIRONMENT;
    read_environment(&in);
    in.source = SETTING_FLAG;
    for (size_t i = 0; i < table->count; i++) {
        if (given->flags[i])
            (void)put_text(&in, &table->rows[i], given->flags[i]);
    }
    if (!faults->failed && table->check)
        table->check(values, faults);
    return faults->len || faults->failed ? -1 : 0;
}

static bool misfits(const struct settings_table *table, const struct settings_head *head,
                    const char *name)
{
    int at = settings_find(table, name);
    return at >= 0 && (head->misfits >> at & 1);
}

bool settings_both_fit(const struct settings_table *table, const void *values, const char *one,
                       const char *other)
{
    const struct settings_head *head = values;
    return !misfits(table, head, one) && !misfits(table, head, other);
}

void settings_fini(const struct settings_table *table, void *values)
{
    for (size_t i = 0; i < table->count; i++) {
        char **at = place_of(&table->rows[i], values);
        if (table->rows[i].kind == SETTING_TEXT) {
            free(*at);
            *at = NULL;
        }
    }
}

/* --- changes --------------------------------------------------------------------------------- */

static size_t size_of(enum setting_kind kind)
{
    static const size_t sizes[] = {[SETTING_TEXT] = sizeof(char *),
                                   [SETTING_CHOICE] = sizeof(int),
                                   [SETTING_NUMBER] = sizeof(int64_t),
                                   [SETTING_RATIO] = sizeof(double),
                                   [SETTING_SWITCH] = sizeof(bool)};
    return sizes[kind];
}

static bool differs(const struct setting *setting, const void *a, const void *b)
{
    const void *one = place_of(setting, a);
    const void *other = place_of(setting, b);
    if (setting->kind != SETTING_TEXT)
        return memcmp(one, other, size_of(setting->kind)) != 0;
    const char *x = *(char *const *)one;
    const char *y = *(char *const *)other;
    return x && y ? strcmp(x, y) != 0 : x != y;
}

uint64_t settings_differing(const struct settings_table *table, const void *a, const void *b)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < table->count; i++) {
        if (differs(&table->rows[i], a, b))
            rows |= UINT64_C(1) << i;
    }
    return rows;
}

uint64_t settings_of_parts(const struct settings_table *table, uint64_t rows, unsigned parts)
{
    for (size_t i = 0; i < table->count; i++) {
        if (!(table->rows[i].part & parts))
            rows &= ~(UINT64_C(1) << i);
    }
    return rows;
}

unsigned settings_parts_of(const struct settings_table *table, uint64_t rows)
{
    unsigned parts = 0;
    for (size_t i = 0; i < table->count; i++) {
        if (rows >> i & 1)
            parts |= table->rows[i].part;
    }
    return parts;
}

static void exchange(const struct setting *setting, void *a, void *b)
{
    unsigned char kept[sizeof(int64_t)];
    _Static_assert(sizeof(char *) <= sizeof(kept) && sizeof(double) <= sizeof(kept), "room");
    size_t size = size_of(setting->kind);
    memcpy(kept, place_of(setting, a), size);
    memcpy(place_of(setting, a), place_of(setting, b), size);
    memcpy(place_of(setting, b), kept, size);
}

/* Equal texts stay where they are: somebody may have kept a pointer to what can't change. */
void settings_exchange(const struct settings_table *table, uint64_t rows, void *a, void *b)
{
    for (size_t i = 0; i < table->count; i++) {
        if (!(rows >> i & 1))
            continue;
        if (differs(&table->rows[i], a, b))
            exchange(&table->rows[i], a, b);
        unsigned char source = head_of(a)->source[i];
        head_of(a)->source[i] = head_of(b)->source[i];
        head_of(b)->source[i] = source;
    }
}

void settings_put_names(const struct settings_table *table, uint64_t rows, struct strbuf *out)
{
    for (size_t i = 0; i < table->count; i++) {
        if (rows >> i & 1)
            strbuf_fmt(out, "%s%s", out->len ? " " : "", table->rows[i].name);
    }
}
