/* The command line's words. See args.h.
 *
 * Options may stand anywhere, as "--name value", "--name=value", "-o value" or "-ovalue"; "--" ends
 * them. Which options there are is known when noun and verb are, so words are found first. */
#include "panel/ctl/args.h"

#include <stdio.h>
#include <string.h>

#include "panel/ctl/help.h"

bool form_has(const char *forms, const char *word)
{
    size_t len = strlen(word);
    while (forms && *forms) {
        size_t form = strcspn(forms, "|");
        if (form == len && memcmp(forms, word, len) == 0)
            return true;
        forms += form + (forms[form] == '|');
    }
    return false;
}

int form_first(const char *forms)
{
    return (int)strcspn(forms, "|");
}

const struct command *command_find(const char *noun, const char *verb)
{
    for (size_t i = 0; i < commands_count; i++) {
        const struct command *command = &commands[i];
        if (form_has(command->noun, noun) &&
            (*verb ? form_has(command->verb, verb) : !*command->verb))
            return command;
    }
    return NULL;
}

bool noun_exists(const char *noun)
{
    for (size_t i = 0; i < commands_count; i++) {
        if (form_has(commands[i].noun, noun))
            return true;
    }
    return false;
}

static bool has_one_verb(const char *noun)
{
    size_t verbs = 0;
    for (size_t i = 0; i < commands_count; i++)
        verbs += form_has(commands[i].noun, noun);
    return verbs == 1;
}

const struct command *command_alone(const char *noun)
{
    const struct command *list = command_find(noun, "list");
    size_t len = strlen(noun);
    return list && (noun[len - 1] == 's' || has_one_verb(noun)) ? list : NULL;
}

/* --- options --------------------------------------------------------------------------------- */

static const struct option_spec *find_in(const struct option_spec *options, size_t count,
                                         const char *name, size_t len)
{
    for (size_t i = 0; i < count; i++) {
        if (len == 1 && options[i].letter == name[0])
            return &options[i];
        if (len > 1 && strlen(options[i].name) == len && memcmp(options[i].name, name, len) == 0)
            return &options[i];
    }
    return NULL;
}

/* Of the command, of all commands, or while the command isn't known of any. */
static const struct option_spec *find_option(const struct command *command, const char *name,
                                             size_t len)
{
    const struct option_spec *found = NULL;
    if (command)
        found = find_in(command->options, command->option_count, name, len);
    if (!found)
        found = find_in(common_options, common_options_count, name, len);
    for (size_t i = 0; !command && !found && i < commands_count; i++)
        found = find_in(commands[i].options, commands[i].option_count, name, len);
    return found;
}

struct reader {
    int argc;
    char **argv;
    int at;
    bool ended; /* by "--" */
};

/* One option at the reader's place: its name, and its value if that is in the same word. */
struct word {
    const char *name;
    size_t len;
    const char *value;
};

static bool split_option(const char *arg, struct word *ret)
{
    if (arg[0] != '-' || !arg[1])
        return false;
    if (arg[1] != '-') {
        *ret = (struct word){.name = arg + 1, .len = 1, .value = arg[2] ? arg + 2 : NULL};
        if (ret->value && *ret->value == '=')
            ret->value++;
        return true;
    }
    size_t len = strcspn(arg + 2, "=");
    *ret = (struct word){
        .name = arg + 2, .len = len, .value = arg[2 + len] == '=' ? arg + 3 + len : NULL};
    return true;
}

static int take_option(struct args *args, struct reader *in, const struct word *word,
                       struct err *err)
{
    const struct option_spec *option = find_option(args->command, word->name, word->len);
    const char *value = word->value;
    if (!option)
        return help_unknown_option(args->command, in->argv[in->at], err);
    if (!option->value && value) /* which may be a secret, so it isn't told again */
        return err_set(err, ERR_INVALID, "usage", "--%s takes no value", option->name);
    if (option->value && !value) {
        if (in->at + 1 >= in->argc)
            return err_set(err, ERR_INVALID, "usage", "--%s wants a value: --%s %s", option->name,
                           option->name, option->value);
        value = in->argv[++in->at];
    }
    if (value && option->choices && !form_has(option->choices, value))
        return help_unknown_choice(option, value, err);
    if (args->given_count == ARGS_MAX)
        return err_set(err, ERR_INVALID, "usage", "there are more than %d options", ARGS_MAX);
    args->given[args->given_count++] = (struct given){.option = option, .value = value};
    return 0;
}

/* --- noun and verb --------------------------------------------------------------------------- */

/* Words that aren't options, the first two of them: which need the options' shapes to be told. */
static void find_words(int argc, char **argv, const char *ret_words[2])
{
    int found = 0;
    for (int i = 1; i < argc && found < 2; i++) {
        struct word word;
        if (strcmp(argv[i], "--") == 0)
            break;
        if (!split_option(argv[i], &word)) {
            ret_words[found++] = argv[i];
            continue;
        }
        const struct option_spec *option = find_option(NULL, word.name, word.len);
        if (option && option->value && !word.value)
            i++;
    }
}

static int find_command(struct args *args, const char *const words[2], bool help, int *ret_used,
                        struct err *err)
{
    *ret_used = 0;
    if (!words[0])
        return 0;
    if (!noun_exists(words[0]))
        return help_unknown_noun(words[0], words[1], err);
    args->noun = words[0];
    *ret_used = 1;
    args->command = command_find(words[0], "");
    if (args->command)
        return 0;
    if (!words[1]) {
        if (!help || has_one_verb(words[0])) /* the help of "nodes" is that of the noun */
            args->command = command_alone(words[0]);
        return 0;
    }
    args->command = command_find(words[0], words[1]);
    *ret_used = 2;
    return args->command ? 0 : help_unknown_verb(words[0], words[1], err);
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    }
    return false;
}

static int check_count(const struct args *args, struct err *err)
{
    const struct command *command = args->command;
    if (args->count >= command->least && (command->most < 0 || args->count <= command->most))
        return 0;
    if (args->count > command->most && command->most >= 0)
        return err_set(err, ERR_INVALID, "usage",
                       "\"%.80s\" is one word too many; the command is %s",
                       args->words[command->most], help_usage(command));
    return err_set(err, ERR_INVALID, "usage", "a word is missing; the command is %s (%s)",
                   help_usage(command), command->help);
}

int args_parse(struct args *args, int argc, char **argv, struct err *err)
{
    const char *words[2] = {0};
    bool help = wants_help(argc, argv);
    struct reader in = {.argc = argc, .argv = argv, .at = 1};
    int skip;
    *args = (struct args){0};
    find_words(argc, argv, words);
    if (find_command(args, words, help, &skip, err) < 0)
        return -1;
    for (; in.at < argc; in.at++) {
        struct word word;
        const char *arg = argv[in.at];
        if (!in.ended && strcmp(arg, "--") == 0) {
            in.ended = true;
        } else if (!in.ended && split_option(arg, &word)) {
            if (take_option(args, &in, &word, err) < 0)
                return -1;
        } else if (skip > 0) {
            skip--;
        } else if (args->count == ARGS_MAX) {
            return err_set(err, ERR_INVALID, "usage", "there are more than %d words", ARGS_MAX);
        } else {
            args->words[args->count++] = arg;
        }
    }
    return args->command && !help ? check_count(args, err) : 0;
}

/* --- what was given -------------------------------------------------------------------------- */

const char *args_next(const struct args *args, const char *option, int *at)
{
    while (*at < args->given_count) {
        const struct given *given = &args->given[(*at)++];
        if (strcmp(given->option->name, option) == 0)
            return given->value ? given->value : "";
    }
    return NULL;
}

const char *args_value(const struct args *args, const char *option)
{
    const char *last = NULL;
    const char *value;
    int at = 0;
    while ((value = args_next(args, option, &at)))
        last = value;
    return last;
}

bool args_has(const struct args *args, const char *option)
{
    return args_value(args, option) != NULL;
}
