/* The log. See log.h. Each line is one write(2), so threads don't mix.
 *
 * A call's fields are read from its format once, into an array, with those of the thread's scopes
 * behind them; from there a line is made in the format that is set, and its kind is told. */
#include "common/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/log_limit.h"
#include "common/log_line.h"

#define FIELDS_MAX 24u
#define NODE_SIZE  65

static _Atomic int current_level = LOG_INFO;
static _Atomic int current_format = LOG_LOGFMT;
static _Atomic uint64_t written[LOG_ERROR + 1];
static char own_node[NODE_SIZE];
static _Thread_local struct log_scope *scopes;

const char *const log_level_names[] = {"debug", "info", "warn", "error", NULL};
const char *const log_format_names[] = {"logfmt", "json", NULL};

void log_level_set(enum log_level level)
{
    atomic_store(&current_level, (int)level);
}

bool log_is_on(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&current_level, memory_order_relaxed);
}

const char *log_level_name(enum log_level level)
{
    return log_level_names[level];
}

void log_format_set(enum log_format format)
{
    atomic_store(&current_format, (int)format);
}

void log_node_set(const char *id)
{
    snprintf(own_node, sizeof(own_node), "%s", id);
}

void log_scope_begin(struct log_scope *scope, const char *key, const char *value)
{
    *scope = (struct log_scope){.key = key, .value = value, .outer = scopes};
    scopes = scope;
}

void log_scope_end(struct log_scope *scope)
{
    scopes = scope->outer;
}

uint64_t log_lines(enum log_level level)
{
    return atomic_load_explicit(&written[level], memory_order_relaxed);
}

uint64_t log_lines_suppressed(void)
{
    return log_limit_suppressed();
}

/* --- fields ---------------------------------------------------------------------------------- */

struct field {
    const char *key;
    size_t key_len;
    const char *text; /* NULL: it is a number */
    size_t text_max;
    char digits[24];
};

struct fields {
    struct field rows[FIELDS_MAX];
    size_t count;
};

static void format_number(char out[24], bool wide, bool is_signed, va_list *ap)
{
    if (is_signed)
        snprintf(out, 24, "%lld", wide ? va_arg(*ap, long long) : (long long)va_arg(*ap, int));
    else
        snprintf(out, 24, "%llu",
                 wide ? va_arg(*ap, unsigned long long)
                      : (unsigned long long)va_arg(*ap, unsigned));
}

/* One conversion and its argument; where it ends, or NULL for one that isn't known. */
static const char *read_conversion(const char *at, struct field *field, va_list *ap)
{
    field->text = NULL;
    field->text_max = SIZE_MAX;
    if (*at++ != '%')
        return NULL;
    if (*at == '.') {
        char *end;
        field->text_max = strtoul(at + 1, &end, 10);
        at = end;
    }
    bool wide = *at == 'l' || *at == 'z'; /* 64 bits, here as everywhere we run */
    at += strspn(at, "lz");
    if (*at == 's') {
        field->text = va_arg(*ap, const char *);
        if (!field->text)
            field->text = "";
    } else if (*at == 'd' || *at == 'u') {
        format_number(field->digits, wide, *at == 'd', ap);
    } else {
        return NULL;
    }
    return at + 1;
}

/* Stops at what isn't in log.h's language; tests/lint has read every call, so there is none. */
static void read_fields(struct fields *fields, const char *fmt, va_list *ap)
{
    const char *at = fmt;
    while (*at && fields->count < FIELDS_MAX) {
        struct field *field = &fields->rows[fields->count];
        field->key = at;
        field->key_len = strcspn(at, "=");
        if (!at[field->key_len])
            return;
        at += field->key_len + 1;
        at += *at == '"';
        at = read_conversion(at, field, ap);
        if (!at)
            return;
        fields->count++;
        at += *at == '"';
        at += *at == ' ';
    }
}

static const struct field *find_field(const struct fields *fields, const char *key)
{
    size_t len = strlen(key);
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->rows[i];
        if (field->key_len == len && memcmp(field->key, key, len) == 0)
            return field;
    }
    return NULL;
}

static void add_text(struct fields *fields, const char *key, const char *text)
{
    if (!text || !*text || fields->count == FIELDS_MAX || find_field(fields, key))
        return;
    fields->rows[fields->count++] =
        (struct field){.key = key, .key_len = strlen(key), .text = text, .text_max = SIZE_MAX};
}

/* --- lines ----------------------------------------------------------------------------------- */

static uint64_t hash_bytes(uint64_t hash, const char *text, size_t max)
{
    for (size_t i = 0; i < max && text[i]; i++)
        hash = (hash ^ (unsigned char)text[i]) * 1099511628211u; /* FNV-1a */
    return hash;
}

/* What makes lines alike: the event, and the thing it is about. */
static uint64_t kind_of(const char *event, const struct fields *fields)
{
    static const char *const about[] = {"node", "instance", "client"};
    uint64_t hash = hash_bytes(14695981039346656037u, event, SIZE_MAX);
    for (size_t i = 0; i < ARRAY_LEN(about); i++) {
        const struct field *field = find_field(fields, about[i]);
        if (field && field->text)
            hash = hash_bytes(hash * 31 + i, field->text, field->text_max);
    }
    return hash;
}

static void put_field(struct log_line *line, const struct field *field)
{
    if (field->text)
        log_line_string(line, field->key, field->key_len, field->text, field->text_max);
    else
        log_line_number(line, field->key, field->key_len, field->digits);
}

static void put_literal(struct log_line *line, const char *key, const char *value)
{
    log_line_string(line, key, strlen(key), value, SIZE_MAX);
}

static void write_line(enum log_level level, const char *event, const struct fields *fields,
                       uint64_t suppressed)
{
    struct log_line line;
    char when[CLOCK_ISO_LEN];
    clock_format_iso(clock_wall_ms(), when);
    log_line_begin(&line,
                   (enum log_format)atomic_load_explicit(&current_format, memory_order_relaxed));
    put_literal(&line, "ts", when);
    put_literal(&line, "level", log_level_names[level]);
    put_literal(&line, "msg", event);
    if (suppressed) {
        struct field field = {.key = "suppressed", .key_len = strlen("suppressed")};
        snprintf(field.digits, sizeof(field.digits), "%llu", (unsigned long long)suppressed);
        put_field(&line, &field);
    }
    for (size_t i = 0; i < fields->count; i++)
        put_field(&line, &fields->rows[i]);
    log_line_end(&line);
    atomic_fetch_add_explicit(&written[level], 1, memory_order_relaxed);
    ssize_t ignored = write(STDERR_FILENO, line.text, line.len);
    (void)ignored;
}

void log_write(enum log_level level, const char *event, const char *fmt, ...)
{
    if (!log_is_on(level))
        return;
    struct fields fields;
    uint64_t suppressed = 0;
    fields.count = 0;
    va_list ap;
    va_start(ap, fmt);
    read_fields(&fields, fmt, &ap);
    va_end(ap);
    for (const struct log_scope *scope = scopes; scope; scope = scope->outer)
        add_text(&fields, scope->key, scope->value);
    if (own_node[0])
        add_text(&fields, "node", own_node);
    if (!find_field(&fields, "req") &&
        !log_limit_take(kind_of(event, &fields), clock_mono_ms(), &suppressed))
        return;
    write_line(level, event, &fields, suppressed);
}
