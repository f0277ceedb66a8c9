/* A command line. See arguments.h. Written by hand, because getopt's messages help nobody. */
#include "common/arguments.h"

#include <string.h>

struct line {
    int argc;
    char **argv;
    int at;
};

static const struct argument *find_own(const struct argument *own, size_t count, const char *name,
                                       size_t len, bool is_letter)
{
    for (size_t i = 0; i < count; i++) {
        if (is_letter ? own[i].letter == *name
                      : strlen(own[i].name) == len && memcmp(own[i].name, name, len) == 0)
            return &own[i];
    }
    return NULL;
}

/* What stands behind "=", or else the next argument. */
static int take_value(struct line *line, const char *option, size_t len, const char *attached,
                      const char **ret, struct err *err)
{
    if (!attached && line->at + 1 >= line->argc)
        return err_set(err, ERR_INVALID, "bad_option", "%.*s needs a value", (int)len, option);
    *ret = attached ? attached : line->argv[++line->at];
    return 0;
}

static int add_value(struct line *line, size_t len, const char *attached, struct strbuf *to,
                     struct err *err)
{
    const char *value = NULL;
    if (take_value(line, line->argv[line->at], len, attached, &value, err) < 0)
        return -1;
    strbuf_fmt(to, "%s%s", to->len ? " " : "", value);
    return to->failed ? err_nomem(err) : 0;
}

static int take_own(struct line *line, const struct argument *argument, size_t len,
                    const char *attached, struct err *err)
{
    const char *option = line->argv[line->at];
    if (argument->given)
        *argument->given = true;
    if (argument->value)
        return take_value(line, option, len, attached, argument->value, err);
    if (argument->values)
        return add_value(line, len, attached, argument->values, err);
    if (attached)
        return err_set(err, ERR_INVALID, "bad_option", "%.*s takes no value", (int)len, option);
    return 0;
}

static int take_setting(struct line *line, const struct setting *setting, size_t len,
                        const char *attached, const char **ret, struct err *err)
{
    if (setting->kind != SETTING_SWITCH)
        return take_value(line, line->argv[line->at], len, attached, ret, err);
    *ret = attached ? attached : "true";
    return 0;
}

static int unknown(const char *option, size_t len, struct err *err)
{
    return err_set(err, ERR_INVALID, "bad_option", "there is no option %.*s",
                   (int)(len < 64 ? len : 64), option);
}

static int take_option(struct line *line, const struct argument *own, size_t count,
                       const struct settings_table *table, struct settings_given *given,
                       struct err *err)
{
    const char *option = line->argv[line->at];
    bool is_letter = option[1] != '-';
    size_t len = is_letter ? 2 : strcspn(option, "=");
    const char *attached = option[len] ? option + len + !is_letter : NULL;
    const char *name = option + (is_letter ? 1 : 2);
    const struct argument *argument =
        find_own(own, count, name, len - (size_t)(name - option), is_letter);
    if (argument)
        return take_own(line, argument, len, attached, err);
    int row = is_letter ? -1 : settings_find_flag(table, name, len - 2);
    if (row < 0)
        return unknown(option, len, err);
    return take_setting(line, &table->rows[row], len, attached, &given->flags[row], err);
}

int arguments_read(const struct argument *own, size_t count, const struct settings_table *table,
                   int argc, char **argv, struct settings_given *given,
                   struct arguments_words *words, struct err *err)
{
    struct line line = {argc, argv, 1};
    bool options_over = false;
    for (; line.at < argc; line.at++) {
        const char *text = argv[line.at];
        if (!options_over && strcmp(text, "--") == 0) {
            options_over = true;
        } else if (!options_over && text[0] == '-' && text[1]) {
            if (take_option(&line, own, count, table, given, err) < 0)
                return -1;
        } else if (words->count == ARGUMENTS_WORDS_MAX) {
            return err_set(err, ERR_INVALID, "bad_command", "\"%.64s\" is a word too many", text);
        } else {
            words->at[words->count++] = text;
        }
    }
    return 0;
}
