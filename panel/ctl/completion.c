/* panelctl completion bash: the script, made from the table of commands; and panelctl __names, by
 * which it asks for the names of what there is. See handlers.h. The script that is installed is
 * packaging/completion/panelctl; a test holds it against this. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "panel/ctl/common_steps.h"
#include "panel/ctl/handlers.h"

/* What a word of a usage line, or an option's value, is completed with. */
static const struct {
    const char *word;
    const char *noun; /* of __names; NULL: files */
} values[] = {
    {"NODE", "node"},   {"INSTANCE", "instance"}, {"USER", "user"},
    {"IMAGE", "image"}, {"KEY", "key"},           {"FILE", NULL},
};

/* --- the script ------------------------------------------------------------------------------ */

static bool is_first(size_t row)
{
    for (size_t i = 0; i < row; i++) {
        if (strcmp(commands[i].noun, commands[row].noun) == 0)
            return false;
    }
    return !commands[row].hidden;
}

static void put_first(const char *forms)
{
    printf("%.*s", form_first(forms), forms);
}

static void put_nouns(void)
{
    const char *between = "";
    for (size_t i = 0; i < commands_count; i++) {
        if (!is_first(i))
            continue;
        fputs(between, stdout);
        put_first(commands[i].noun);
        between = " ";
    }
}

static void put_verbs(void)
{
    for (size_t i = 0; i < commands_count; i++) {
        if (!is_first(i) || !*commands[i].verb)
            continue;
        printf("        %s) words=\"", commands[i].noun);
        const char *between = "";
        for (size_t k = i; k < commands_count; k++) {
            if (strcmp(commands[k].noun, commands[i].noun) != 0 || commands[k].hidden)
                continue;
            fputs(between, stdout);
            put_first(commands[k].verb);
            between = " ";
        }
        puts("\" ;;");
    }
}

static void put_option_names(const struct option_spec *options, size_t count)
{
    for (size_t i = 0; i < count; i++)
        printf("%s--%s", i ? " " : "", options[i].name);
}

/* Whose things the arguments are: the first word that says so. */
static const char *argument_noun(const char *arguments)
{
    size_t len = strcspn(arguments, " .[]");
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        if (strlen(values[i].word) == len && strncmp(values[i].word, arguments, len) == 0)
            return values[i].noun ? values[i].noun : "files";
    }
    return "";
}

/* "noun verb", with all forms of both. */
static void put_pattern(const struct command *command)
{
    const char *between = "";
    for (const char *noun = command->noun; *noun;
         noun += strcspn(noun, "|") + !!strchr(noun, '|')) {
        const char *verb = command->verb;
        do {
            printf("%s\"%.*s %.*s\"", between, form_first(noun), noun, form_first(verb), verb);
            between = "|";
            verb += strcspn(verb, "|") + !!strchr(verb, '|');
        } while (*verb);
        char alone[32];
        snprintf(alone, sizeof(alone), "%.*s", form_first(noun), noun);
        if (*command->verb && command_alone(alone) == command)
            printf("|\"%s \"", alone);
    }
}

static void put_commands(void)
{
    for (size_t i = 0; i < commands_count; i++) {
        const struct command *command = &commands[i];
        if (command->hidden)
            continue;
        fputs("        ", stdout);
        put_pattern(command);
        fputs(") options=\"", stdout);
        put_option_names(command->options, command->option_count);
        printf("\" things=\"%s\" ;;\n", argument_noun(command->arguments));
    }
}

static void put_choices(const struct option_spec *option)
{
    if (!option->value)
        return;
    const char *noun = argument_noun(option->value);
    printf("        --%s", option->name);
    if (option->letter)
        printf("|-%c", option->letter);
    fputs(") ", stdout);
    if (option->choices) {
        fputs("words=\"", stdout);
        for (const char *p = option->choices; *p; p++)
            putchar(*p == '|' ? ' ' : *p);
        puts("\" ;;");
    } else {
        printf("things=\"%s\" ;;\n", *noun ? noun : "nothing");
    }
}

/* Each option's values, once: an option of one name has one meaning here. */
static void put_values(void)
{
    for (size_t i = 0; i < common_options_count; i++)
        put_choices(&common_options[i]);
    for (size_t i = 0; i < commands_count; i++) {
        for (size_t k = 0; k < commands[i].option_count; k++) {
            const struct option_spec *option = &commands[i].options[k];
            bool seen = false;
            for (size_t j = 0; j < i && !seen; j++) {
                for (size_t l = 0; l < commands[j].option_count && !seen; l++)
                    seen = strcmp(commands[j].options[l].name, option->name) == 0;
            }
            if (!seen)
                put_choices(option);
        }
    }
}

/* Which words are noun and verb is found as args.c does it, but for values of options. */
static const char head[] = "# bash completion of panelctl; made by: panelctl completion bash\n"
                           "_panelctl() {\n"
                           "    local cur prev word noun= verb= words= options= things= value=\n"
                           "    cur=${COMP_WORDS[COMP_CWORD]}\n"
                           "    prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
                           "    COMPREPLY=()\n"
                           "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
                           "        if [ -n \"$value\" ]; then\n"
                           "            value=\n"
                           "            continue\n"
                           "        fi\n"
                           "        case $word in\n";

static const char tail[] =
    "    if [ -n \"$words\" ]; then\n"
    "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
    "    elif [ \"$things\" = files ]; then\n"
    "        compopt -o filenames 2>/dev/null\n"
    "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
    "    elif [ -n \"$things\" ] && [ \"$things\" != nothing ]; then\n"
    "        mapfile -t COMPREPLY < <(compgen -W \"$(\"${COMP_WORDS[0]}\" __names \"$things\" \\\n"
    "            --timeout 3 2>/dev/null)\" -- \"$cur\")\n"
    "    fi\n"
    "}\n"
    "complete -F _panelctl panelctl\n";

/* Options with a value, so that the word behind one isn't taken for a noun. */
static void put_valued(void)
{
    fputs("        -o", stdout);
    for (size_t i = 0; i < common_options_count; i++) {
        if (common_options[i].value)
            printf("|--%s", common_options[i].name);
    }
    puts(") value=yes ;;");
}

static void put_script(void)
{
    fputs(head, stdout);
    put_valued();
    puts("        -*) ;;\n"
         "        *) if [ -z \"$noun\" ]; then noun=$word; elif [ -z \"$verb\" ]; then verb=$word; "
         "fi ;;\n"
         "        esac\n"
         "    done\n"
         "    case $prev in");
    put_values();
    fputs("    esac\n"
          "    if [ -z \"$words$things\" ]; then\n"
          "        case \"$noun $verb\" in\n",
          stdout);
    put_commands();
    puts("        esac\n"
         "    fi\n"
         "    if [ -n \"$words$things\" ] && [[ $cur != -* ]]; then\n"
         "        :\n"
         "    elif [[ $cur == -* ]]; then\n"
         "        things=");
    fputs("        words=\"$options ", stdout);
    put_option_names(common_options, common_options_count);
    puts("\"\n"
         "    elif [ -z \"$noun\" ]; then");
    fputs("        words=\"", stdout);
    put_nouns();
    puts("\"\n"
         "    elif [ -z \"$verb\" ]; then\n"
         "        case $noun in");
    put_verbs();
    puts("        esac\n"
         "    fi");
    fputs(tail, stdout);
}

int run_completion(struct ctl *ctl, struct err *err)
{
    if (strcmp(ctl->args.words[0], "bash") != 0)
        return err_set(err, ERR_INVALID, "usage",
                       "there is a completion for bash alone, not for %.40s", ctl->args.words[0]);
    put_script();
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}

/* --- names ----------------------------------------------------------------------------------- */

/* What a shell would take apart is left to be named by its id. */
static bool is_word(const char *name)
{
    return *name && !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789_.:@+-")];
}

int run_names(struct ctl *ctl, struct err *err)
{
    static const char *const nouns_of[] = {[THING_NODE] = "node",
                                           [THING_INSTANCE] = "instance",
                                           [THING_USER] = "user",
                                           [THING_IMAGE] = "image",
                                           [THING_KEY] = "key"};
    auto_json json_t *list = NULL;
    size_t i;
    json_t *row;
    size_t thing = 0;
    while (thing < ARRAY_LEN(nouns_of) && strcmp(nouns_of[thing], ctl->args.words[0]) != 0)
        thing++;
    if (thing == ARRAY_LEN(nouns_of))
        return EXIT_USAGE;
    if (resolve_list(ctl, (enum thing)thing, &list, err) < 0)
        return -1;
    json_array_foreach(list, i, row)
    {
        if (thing_is_over((enum thing)thing, row))
            continue;
        const char *name = thing_name((enum thing)thing, row);
        const char *id = thing_id((enum thing)thing, row);
        if (is_word(name) || is_word(id))
            puts(is_word(name) ? name : id);
    }
    return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
}
