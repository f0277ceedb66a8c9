/* Help. See help.h. Nothing here knows a command by name: what the table says is what is told. */
#include "panel/ctl/help.h"

#include <string.h>

#include "common/auto.h"
#include "common/strbuf.h"
#include "panel/ctl/handlers.h"

#define WORD_MAX 32 /* longer words resemble nothing */

/* --- guesses --------------------------------------------------------------------------------- */

/* Letters to be changed, left out, put in or swapped until one word is the other. */
static size_t distance(const char *a, const char *b)
{
    size_t rows = strlen(a);
    size_t columns = strlen(b);
    size_t d[WORD_MAX + 1][WORD_MAX + 1];
    if (rows > WORD_MAX || columns > WORD_MAX)
        return WORD_MAX;
    for (size_t i = 0; i <= rows; i++) {
        for (size_t j = 0; j <= columns; j++) {
            if (!i || !j) {
                d[i][j] = i + j;
                continue;
            }
            size_t best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (d[i - 1][j] + 1 < best)
                best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best)
                best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    }
    return d[rows][columns];
}

struct guess {
    const char *word; /* what was typed */
    char best[WORD_MAX + 1];
    size_t distance;
};

static void consider(struct guess *guess, const char *candidate, size_t len)
{
    char text[WORD_MAX + 1];
    if (!len || len > WORD_MAX)
        return;
    memcpy(text, candidate, len);
    text[len] = '\0';
    size_t typed = strlen(guess->word);
    size_t far = distance(guess->word, text);
    if (typed >= 2 && strncmp(text, guess->word, typed) == 0)
        far = 1; /* the beginning of it */
    if (far <= 1 + typed / 4 && far < guess->distance) {
        guess->distance = far;
        memcpy(guess->best, text, len + 1);
    }
}

static void consider_forms(struct guess *guess, const char *forms)
{
    while (*forms) {
        size_t len = strcspn(forms, "|");
        consider(guess, forms, len);
        forms += len + (forms[len] == '|');
    }
}

/* What other tools call it. */
static const char *own_word(const char *word)
{
    static const char *const words[][2] = {
        {"ps", "instance list"},    {"containers", "instance list"}, {"exec", "instance console"},
        {"sh", "instance console"}, {"inspect", "instance get"},     {"scale", "instance update"},
        {"status", "doctor"},       {"templates", "image list"}};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(words[i][0], word) == 0)
            return words[i][1];
    }
    return NULL;
}

/* The commands whose verb was said without its noun, as they would be whole. */
static size_t add_commands_of(const char *verb, const char *next, struct strbuf *out)
{
    size_t count = 0;
    for (size_t i = 0; i < commands_count; i++) {
        const struct command *command = &commands[i];
        if (command->hidden || !form_has(command->verb, verb))
            continue;
        strbuf_fmt(out, "%s\"panelctl %.*s %s%s%s\"", count++ ? ", " : "",
                   form_first(command->noun), command->noun, verb, next && command->most ? " " : "",
                   next && command->most ? next : "");
    }
    return count;
}

/* word: what was typed, or what that may have been meant to be. False: nothing is known of it. */
static bool guess_command(const char *typed, const char *word, const char *next, struct err *err)
{
    auto_strbuf struct strbuf list = {0};
    char shown[WORD_MAX + 1];
    const char *own = own_word(word);
    snprintf(shown, sizeof(shown), "%s", next ? next : "");
    size_t count = add_commands_of(word, *shown ? shown : NULL, &list);
    if (count)
        err_set(err, ERR_INVALID, "usage", "there is no \"%.64s\" alone; did you mean %s%s?", typed,
                count > 1 ? "one of " : "", list.data ? list.data : "");
    else if (own)
        err_set(err, ERR_INVALID, "usage",
                "there is no \"%.64s\"; did you mean \"panelctl %s\"? Try: panelctl --help", typed,
                own);
    return count || own;
}

int help_unknown_noun(const char *noun, const char *next, struct err *err)
{
    if (guess_command(noun, noun, next, err))
        return -1;
    struct guess guess = {.word = noun, .distance = WORD_MAX};
    for (size_t i = 0; i < commands_count; i++) {
        if (!commands[i].hidden)
            consider_forms(&guess, commands[i].noun);
    }
    if (guess.best[0])
        return err_set(err, ERR_INVALID, "usage",
                       "there is no \"%.64s\"; did you mean \"%s\"? Try: panelctl --help", noun,
                       guess.best);
    for (size_t i = 0; i < commands_count; i++) {
        if (!commands[i].hidden)
            consider_forms(&guess, commands[i].verb);
    }
    if (guess.best[0] && guess_command(noun, guess.best, next, err))
        return -1;
    return err_set(err, ERR_INVALID, "usage", "there is no \"%.64s\". Try: panelctl --help", noun);
}

int help_unknown_verb(const char *noun, const char *verb, struct err *err)
{
    struct guess guess = {.word = verb, .distance = WORD_MAX};
    for (size_t i = 0; i < commands_count; i++) {
        if (form_has(commands[i].noun, noun) && !commands[i].hidden)
            consider_forms(&guess, commands[i].verb);
    }
    if (guess.best[0])
        return err_set(err, ERR_INVALID, "usage",
                       "there is no \"%.32s %.64s\"; did you mean \"%.32s %s\"? "
                       "Try: panelctl %.32s --help",
                       noun, verb, noun, guess.best, noun);
    return err_set(err, ERR_INVALID, "usage",
                   "there is no \"%.32s %.64s\". Try: panelctl %.32s --help", noun, verb, noun);
}

static bool has_option(const struct command *command, const char *name)
{
    for (size_t i = 0; command && i < command->option_count; i++) {
        if (strcmp(command->options[i].name, name) == 0)
            return true;
    }
    return false;
}

int help_unknown_option(const struct command *command, const char *arg, struct err *err)
{
    char name[WORD_MAX + 1];
    const char *word = arg + strspn(arg, "-");
    size_t len = strcspn(word, "=");
    len = len > WORD_MAX ? WORD_MAX : len;
    memcpy(name, word, len);
    name[len] = '\0';
    struct guess guess = {.word = name, .distance = WORD_MAX};
    for (size_t i = 0; command && i < command->option_count; i++)
        consider_forms(&guess, command->options[i].name);
    for (size_t i = 0; i < common_options_count; i++)
        consider_forms(&guess, common_options[i].name);
    if (strcmp(name, "env") == 0 && has_option(command, "var"))
        snprintf(guess.best, sizeof(guess.best), "var");    /* what other tools call it */
    int shown = arg[1] == '-' ? (int)strcspn(arg, "=") : 2; /* a value may be a secret */
    shown = shown > 64 ? 64 : shown;
    if (guess.best[0] && len > 1)
        return err_set(err, ERR_INVALID, "usage", "there is no option %.*s%s; did you mean --%s?",
                       shown, arg, command ? " here" : "", guess.best);
    return err_set(err, ERR_INVALID, "usage", "there is no option %.*s%s", shown, arg,
                   command ? " here" : "");
}

int help_unknown_choice(const struct option_spec *option, const char *value, struct err *err)
{
    struct strbuf list = {0};
    for (const char *p = option->choices; *p; p++) {
        if (*p == '|')
            strbuf_str(&list, strchr(p + 1, '|') ? ", " : " or ");
        else
            strbuf_char(&list, *p);
    }
    err_set(err, ERR_INVALID, "usage", "--%s must be %s, not \"%.64s\"", option->name,
            list.data ? list.data : "", value);
    strbuf_fini(&list);
    return -1;
}

/* --- texts ----------------------------------------------------------------------------------- */

/* panelctl node get; valid until the next call. */
static const char *name_of(const struct command *command)
{
    static char text[80];
    snprintf(text, sizeof(text), "panelctl %.*s%s%.*s", form_first(command->noun), command->noun,
             *command->verb ? " " : "", form_first(command->verb), command->verb);
    return text;
}

const char *help_usage(const struct command *command)
{
    static char text[256];
    snprintf(text, sizeof(text), "%s%s%s", name_of(command), *command->arguments ? " " : "",
             command->arguments);
    return text;
}

/* Two columns; what is too long for the first has a line of its own. */
static void print_pair(FILE *out, const char *left, int width, const char *right)
{
    if ((int)strlen(left) > width)
        fprintf(out, "  %s\n  %*s  %s\n", left, width, "", right);
    else
        fprintf(out, "  %-*s  %s\n", width, left, right);
}

static void print_options(FILE *out, const struct option_spec *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char left[64];
        const struct option_spec *option = &options[i];
        snprintf(left, sizeof(left), "%s%c%s--%s%s%s", option->letter ? "-" : " ",
                 option->letter ? option->letter : ' ', option->letter ? ", " : "  ", option->name,
                 option->value ? " " : "", option->value ? option->value : "");
        print_pair(out, left, 28, option->help);
    }
}

static const char general[] =
    "panelctl operates a panel: its nodes, instances, users and templates, over the REST API.\n"
    "\n"
    "Usage: panelctl NOUN VERB [WORD...] [OPTION...]\n"
    "\n";

static const char ending[] =
    "\n"
    "Nodes, instances, users, images and keys are named by their id, by the beginning of it (3\n"
    "characters or more, if only one begins so), or by their name. \"panelctl nodes\" is short "
    "for\n"
    "\"panelctl node list\", and so with \"instances\", \"users\", \"images\", \"keys\", "
    "\"events\" and\n"
    "\"audit\". \"panelctl NOUN --help\" and \"panelctl NOUN VERB --help\" tell more.\n"
    "\n"
    "Where the panel is and with which key, the first that says it:\n"
    "  --url, --key-file, --ca-cert                    (a key is never an argument)\n"
    "  PANEL_URL, PANEL_API_KEY, PANEL_KEY_FILE, PANEL_CA_CERT, PANEL_TIMEOUT\n"
    "  ~/.config/panel/config.json, or --config FILE, or PANEL_CONFIG:\n"
    "      {\"url\": \"https://panel.example.com\", \"keyFile\": \"~/.config/panel/key\"}\n"
    "      also: key, caCert, timeout (seconds), output\n"
    "\n"
    "Exit codes:\n"
    "  0  done                            4  the key is not valid, or may not do this\n"
    "  1  it failed, or was refused       5  the panel can't be reached\n"
    "  2  the command line is wrong       6  conflict: taken, suspended, drained, not running\n"
    "  3  no such thing, or ambiguous     7  busy or no answer in time: try again\n"
    "\n"
    "NO_COLOR, when set, turns colours off.\n";

static void print_general(FILE *out)
{
    fputs(general, out);
    for (size_t i = 0; i < nouns_count; i++)
        fprintf(out, "  %-11s %s\n", nouns[i].noun, nouns[i].help);
    fputs("\nOptions of all commands:\n", out);
    print_options(out, common_options, common_options_count);
    fputs(ending, out);
}

static void print_noun(FILE *out, const char *noun)
{
    const struct noun_help *help = NULL;
    const struct command *first = NULL;
    for (size_t i = 0; i < commands_count && !first; i++) {
        if (form_has(commands[i].noun, noun))
            first = &commands[i];
    }
    if (!first)
        return;
    for (size_t i = 0; i < nouns_count && !help; i++) {
        if (form_has(first->noun, nouns[i].noun))
            help = &nouns[i];
    }
    if (help)
        fprintf(out, "%.*s: %s\n\n", form_first(first->noun), first->noun, help->help);
    for (size_t i = 0; i < commands_count; i++) {
        const struct command *command = &commands[i];
        if (!form_has(command->noun, noun) || command->hidden)
            continue;
        print_pair(out, help_usage(command), 46, command->help);
    }
    if (help && help->more)
        fprintf(out, "\n%s", help->more);
    fputs("\n\"--help\" behind any of these tells its options; \"panelctl --help\" those of all.\n",
          out);
}

static void print_command(FILE *out, const struct command *command)
{
    fprintf(out, "%s: %s\n\nUsage: %s [OPTION...]\n", name_of(command), command->help,
            help_usage(command));
    const char *others = command->verb + form_first(command->verb);
    for (const char *lead = "Also: "; *others; lead = ", ") {
        others++;
        fprintf(out, "%s%.*s", lead, form_first(others), others);
        others += form_first(others);
        if (!*others)
            fputc('\n', out);
    }
    if (command->more)
        fprintf(out, "\n%s", command->more);
    if (command->option_count) {
        fputs("\nOptions:\n", out);
        print_options(out, command->options, command->option_count);
    }
    fputs("\nOptions of all commands:\n", out);
    print_options(out, common_options, common_options_count);
}

void help_print(FILE *out, const struct args *args)
{
    if (args->command)
        print_command(out, args->command);
    else if (args->noun)
        print_noun(out, args->noun);
    else
        print_general(out);
}

int run_version(struct ctl *ctl, struct err *err)
{
    (void)ctl;
    (void)err;
    puts("panelctl " PANEL_VERSION);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

int run_help(struct ctl *ctl, struct err *err)
{
    const char *noun = ctl->args.count > 0 ? ctl->args.words[0] : NULL;
    const char *verb = ctl->args.count > 1 ? ctl->args.words[1] : "";
    struct args args = {.noun = noun, .command = noun ? command_find(noun, verb) : NULL};
    if (noun && !noun_exists(noun))
        return help_unknown_noun(noun, ctl->args.count > 1 ? verb : NULL, err);
    if (*verb && !args.command)
        return help_unknown_verb(noun, verb, err);
    help_print(stdout, &args);
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}
