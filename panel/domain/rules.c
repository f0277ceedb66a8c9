/* See rules.h. A type is a rule like any other; so are the members beside it. */
#include "panel/domain/rules.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/auto.h"
#include "common/utf8.h"
#include "panel/domain/environment.h"
#include "panel/domain/pattern.h"
#include "panel/domain/text.h"

enum verdict { HOLDS, BROKEN, UNKNOWN };

struct rule {
    char *name;
    char *args; /* behind the colon; "" without */
};

struct subject {
    const char *value;
    bool is_number; /* sizes are those of the number, not of the text */
};

/* --- the rules ------------------------------------------------------------------------------- */

static bool is_decimal(const char *s, bool whole)
{
    s += *s == '-' || *s == '+';
    size_t digits = strspn(s, "0123456789");
    s += digits;
    if (!whole && *s == '.') {
        size_t behind = strspn(s + 1, "0123456789");
        digits = behind ? digits + behind : 0;
        s += 1 + behind;
    }
    return digits && !*s;
}

/* False: it is none. */
static bool read_number(const char *s, double *ret)
{
    if (!is_decimal(s, false))
        return false;
    *ret = strtod(s, NULL);
    return isfinite(*ret);
}

static double size_of(const struct subject *subject)
{
    double n = 0;
    if (subject->is_number)
        return read_number(subject->value, &n) ? n : 0;
    for (const char *p = subject->value; *p; p++)
        n += ((unsigned char)*p & 0xc0) != 0x80;
    return n;
}

static enum verdict said(bool holds)
{
    return holds ? HOLDS : BROKEN;
}

static enum verdict any_text(const struct subject *subject, const char *args)
{
    (void)subject;
    (void)args;
    return HOLDS;
}

static enum verdict integer(const struct subject *subject, const char *args)
{
    (void)args;
    return said(is_decimal(subject->value, true));
}

static enum verdict number(const struct subject *subject, const char *args)
{
    (void)args;
    return said(is_decimal(subject->value, false));
}

static enum verdict boolean(const struct subject *subject, const char *args)
{
    (void)args;
    static const char *const words[] = {"true", "false", "1", "0"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(subject->value, words[i]) == 0)
            return HOLDS;
    }
    return BROKEN;
}

static enum verdict least(const struct subject *subject, const char *args)
{
    double n;
    return read_number(args, &n) ? said(size_of(subject) >= n) : UNKNOWN;
}

static enum verdict most(const struct subject *subject, const char *args)
{
    double n;
    return read_number(args, &n) ? said(size_of(subject) <= n) : UNKNOWN;
}

static enum verdict exactly(const struct subject *subject, const char *args)
{
    double n;
    return read_number(args, &n) ? said(size_of(subject) == n) : UNKNOWN;
}

static bool read_range(const char *args, double *ret_from, double *ret_to)
{
    char from[32];
    size_t len = strcspn(args, ",");
    if (!args[len] || len >= sizeof(from))
        return false;
    snprintf(from, sizeof(from), "%.*s", (int)len, args);
    return read_number(from, ret_from) && read_number(args + len + 1, ret_to);
}

static enum verdict between(const struct subject *subject, const char *args)
{
    double from;
    double to;
    if (!read_range(args, &from, &to))
        return UNKNOWN;
    return said(size_of(subject) >= from && size_of(subject) <= to);
}

static bool is_digits(const char *s)
{
    return !s[strspn(s, "0123456789")];
}

static enum verdict digits(const struct subject *subject, const char *args)
{
    double n;
    if (!read_number(args, &n))
        return UNKNOWN;
    return said(is_digits(subject->value) && (double)strlen(subject->value) == n);
}

static enum verdict digits_between(const struct subject *subject, const char *args)
{
    double from;
    double to;
    double len = (double)strlen(subject->value);
    if (!read_range(args, &from, &to))
        return UNKNOWN;
    return said(is_digits(subject->value) && len >= from && len <= to);
}

/* Letters beyond ASCII are letters, too. */
static enum verdict letters_and(const char *value, const char *others)
{
    for (; *value; value++) {
        bool letter = (*value >= 'a' && *value <= 'z') || (*value >= 'A' && *value <= 'Z') ||
                      (unsigned char)*value >= 0x80;
        if (!letter && !strchr(others, *value))
            return BROKEN;
    }
    return HOLDS;
}

static enum verdict alpha(const struct subject *subject, const char *args)
{
    (void)args;
    return letters_and(subject->value, "");
}

static enum verdict alpha_num(const struct subject *subject, const char *args)
{
    (void)args;
    return letters_and(subject->value, "0123456789");
}

static enum verdict alpha_dash(const struct subject *subject, const char *args)
{
    (void)args;
    return letters_and(subject->value, "0123456789_-");
}

/* Does one of the words between commas say yes? */
static bool any_word(const char *args, const char *value,
                     bool (*test)(const char *value, const char *word, size_t len))
{
    for (;;) {
        size_t len = strcspn(args, ",");
        if (test(value, args, len))
            return true;
        if (!args[len])
            return false;
        args += len + 1;
    }
}

static bool equals(const char *value, const char *word, size_t len)
{
    return strlen(value) == len && memcmp(value, word, len) == 0;
}

static bool begins_with(const char *value, const char *word, size_t len)
{
    return strncmp(value, word, len) == 0;
}

static bool ends_in(const char *value, const char *word, size_t len)
{
    size_t have = strlen(value);
    return have >= len && memcmp(value + have - len, word, len) == 0;
}

static enum verdict in(const struct subject *subject, const char *args)
{
    return said(any_word(args, subject->value, equals));
}

static enum verdict not_in(const struct subject *subject, const char *args)
{
    return said(!any_word(args, subject->value, equals));
}

static enum verdict starts_with(const struct subject *subject, const char *args)
{
    return said(any_word(args, subject->value, begins_with));
}

static enum verdict ends_with(const struct subject *subject, const char *args)
{
    return said(any_word(args, subject->value, ends_in));
}

static enum verdict regex(const struct subject *subject, const char *args)
{
    enum pattern_outcome outcome = pattern_try(args, subject->value);
    return outcome == PATTERN_BAD ? UNKNOWN : said(outcome == PATTERN_MATCHES);
}

static enum verdict not_regex(const struct subject *subject, const char *args)
{
    enum pattern_outcome outcome = pattern_try(args, subject->value);
    return outcome == PATTERN_BAD ? UNKNOWN : said(outcome == PATTERN_DIFFERS);
}

static enum verdict url(const struct subject *subject, const char *args)
{
    (void)args;
    const char *value = subject->value;
    size_t len = strcspn(value, ":");
    return said(len && strncmp(value + len, "://", 3) == 0 && value[len + 3] &&
                !strpbrk(value, " \t\r\n"));
}

static bool is_ip(int family, const char *value)
{
    unsigned char scratch[16];
    return inet_pton(family, value, scratch) == 1;
}

static enum verdict ip(const struct subject *subject, const char *args)
{
    (void)args;
    return said(is_ip(AF_INET, subject->value) || is_ip(AF_INET6, subject->value));
}

static enum verdict ipv4(const struct subject *subject, const char *args)
{
    (void)args;
    return said(is_ip(AF_INET, subject->value));
}

static enum verdict ipv6(const struct subject *subject, const char *args)
{
    (void)args;
    return said(is_ip(AF_INET6, subject->value));
}

static enum verdict email(const struct subject *subject, const char *args)
{
    (void)args;
    return said(text_check_email("", subject->value, NULL) == 0);
}

static enum verdict port(const struct subject *subject, const char *args)
{
    (void)args;
    return said(text_check_port("", subject->value, NULL) == 0);
}

static const struct known {
    const char *name;
    enum verdict (*judge)(const struct subject *subject, const char *args);
    bool is_number;
} known_rules[] = {
    {"required", any_text, false}, /* rules_require() sees to it */
    {"nullable", any_text, false},
    {"sometimes", any_text, false},
    {"present", any_text, false},
    {"filled", any_text, false},
    {"bail", any_text, false},
    {"string", any_text, false},
    {"text", any_text, false},
    {"textarea", any_text, false},
    {"password", any_text, false},
    {"select", any_text, false},
    {"integer", integer, true},
    {"int", integer, true},
    {"number", number, true},
    {"numeric", number, true},
    {"float", number, true},
    {"boolean", boolean, false},
    {"bool", boolean, false},
    {"min", least, false},
    {"max", most, false},
    {"size", exactly, false},
    {"between", between, false},
    {"digits", digits, false},
    {"digits_between", digits_between, false},
    {"alpha", alpha, false},
    {"alpha_num", alpha_num, false},
    {"alpha_dash", alpha_dash, false},
    {"in", in, false},
    {"not_in", not_in, false},
    {"starts_with", starts_with, false},
    {"ends_with", ends_with, false},
    {"regex", regex, false},
    {"not_regex", not_regex, false},
    {"url", url, false},
    {"ip", ip, false},
    {"ipv4", ipv4, false},
    {"ipv6", ipv6, false},
    {"email", email, false},
    {"port", port, true},
};

static const struct known *find_rule(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(known_rules); i++) {
        if (strcasecmp(known_rules[i].name, name) == 0)
            return &known_rules[i];
    }
    return NULL;
}

/* --- where they stand ------------------------------------------------------------------------ */

typedef bool (*rule_fn)(void *arg, const char *name, const char *args);

/* One rule as it is written. True: go on. */
static bool give_rule(const char *text, size_t len, rule_fn fn, void *arg)
{
    auto_free char *rule = strndup(text, len);
    if (!rule || !*rule)
        return true;
    char *colon = strchr(rule, ':');
    if (colon)
        *colon = '\0';
    return fn(arg, rule, colon ? colon + 1 : "");
}

/* Up to the next "|"; one within a pattern's slashes belongs to it. */
static size_t rule_length(const char *text)
{
    size_t len = strcspn(text, "|");
    if (strncmp(text, "regex:/", 7) != 0 && strncmp(text, "not_regex:/", 11) != 0)
        return len;
    const char *slash = strchr(text, '/');
    for (const char *p = slash + 1; *p; p++) {
        if (*p == '\\' && p[1])
            p++;
        else if (*p == '/')
            return (size_t)(p - text) + strcspn(p, "|");
    }
    return len;
}

static bool each_of_list(const char *text, rule_fn fn, void *arg)
{
    while (*text) {
        size_t len = rule_length(text);
        if (!give_rule(text, len, fn, arg))
            return false;
        text += len;
        text += *text == '|';
    }
    return true;
}

static bool each_of_rules(const json_t *rules, rule_fn fn, void *arg)
{
    size_t i;
    json_t *item;
    if (json_is_string(rules))
        return each_of_list(json_string_value(rules), fn, arg);
    json_array_foreach(rules, i, item)
    {
        const char *text = json_string_value(item);
        if (text && !give_rule(text, strlen(text), fn, arg))
            return false;
    }
    return true;
}

static bool member_rule(const json_t *spec, const char *member, const char *rule, rule_fn fn,
                        void *arg)
{
    const json_t *value = json_object_get(spec, member);
    json_t *text = value ? environment_text(value) : NULL;
    bool go_on = !text || !*json_string_value(text) || fn(arg, rule, json_string_value(text));
    json_decref(text);
    return go_on;
}

static bool each_rule(const json_t *spec, rule_fn fn, void *arg)
{
    const char *type = json_string_value(json_object_get(spec, "type"));
    return (!type || !*type || fn(arg, type, "")) &&
           each_of_rules(json_object_get(spec, "rules"), fn, arg) &&
           member_rule(spec, "min", "min", fn, arg) && member_rule(spec, "max", "max", fn, arg) &&
           member_rule(spec, "pattern", "regex", fn, arg);
}

/* --- what is asked of them ------------------------------------------------------------------- */

static bool see_required(void *arg, const char *name, const char *args)
{
    (void)args;
    bool *required = arg;
    *required = *required || strcasecmp(name, "required") == 0;
    return !*required;
}

bool rules_require(const json_t *spec)
{
    bool required = json_is_true(json_object_get(spec, "required"));
    (void)each_rule(spec, see_required, &required);
    return required;
}

static bool see_number(void *arg, const char *name, const char *args)
{
    (void)args;
    bool *is_number = arg;
    const struct known *rule = find_rule(name);
    *is_number = *is_number || (rule && rule->is_number);
    return !*is_number;
}

struct check {
    struct subject subject;
    char broken[96]; /* the rule that the value breaks */
};

static bool check_rule(void *arg, const char *name, const char *args)
{
    struct check *check = arg;
    const struct known *rule = find_rule(name);
    if (!rule || rule->judge(&check->subject, args) != BROKEN)
        return true;
    char text[sizeof(check->broken)];
    snprintf(text, sizeof(text), "%s%s%s", name, *args ? ":" : "", args);
    utf8_copy(check->broken, sizeof(check->broken), text);
    return false;
}

static bool is_option(const json_t *options, const char *value)
{
    size_t i;
    json_t *item;
    json_array_foreach(options, i, item)
    {
        json_t *text = environment_text(item);
        bool same = text && strcmp(json_string_value(text), value) == 0;
        json_decref(text);
        if (same)
            return true;
    }
    return false;
}

/* The value of what is called like a secret is nobody's to read in an error. */
static void show_value(const char *name, const char *value, char out[64])
{
    static const char *const words[] = {"pass", "secret", "token", "key"};
    utf8_copy(out, 64, value);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcasestr(name, words[i]))
            snprintf(out, 64, "not shown");
    }
}

int rules_check(const char *name, const json_t *spec, const char *value, struct err *err)
{
    struct check check = {.subject = {.value = value}};
    const json_t *options = json_object_get(spec, "options");
    if (!*value)
        return 0;
    (void)each_rule(spec, see_number, &check.subject.is_number);
    (void)each_rule(spec, check_rule, &check);
    if (!check.broken[0] && json_array_size(options) && !is_option(options, value))
        snprintf(check.broken, sizeof(check.broken), "one of its options");
    if (!check.broken[0])
        return 0;
    char shown[64];
    show_value(name, value, shown);
    return err_field(err, ERR_INVALID, "invalid_variable", "variables",
                     "The variable \"%.64s\" is \"%s\", which its rule \"%s\" doesn't allow.", name,
                     shown, check.broken);
}

struct unknown {
    void (*found)(void *arg, const char *rule);
    void *arg;
};

static bool see_unknown(void *arg, const char *name, const char *args)
{
    const struct unknown *unknown = arg;
    const struct subject any = {.value = "1"};
    const struct known *rule = find_rule(name);
    if (!rule || rule->judge(&any, args) == UNKNOWN) {
        auto_free char *text = NULL;
        if (asprintf(&text, "%s%s%s", name, *args ? ":" : "", args) < 0)
            text = NULL;
        unknown->found(unknown->arg, text ? text : name);
    }
    return true;
}

void rules_unknown(const json_t *spec, void (*found)(void *arg, const char *rule), void *arg)
{
    struct unknown unknown = {found, arg};
    (void)each_rule(spec, see_unknown, &unknown);
}
