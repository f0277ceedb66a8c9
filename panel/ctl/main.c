/* panelctl: the operator's command line, a client of the REST API alone.
 *
 * Words are read by the table of commands, settings from where they may stand, and the row's
 * handler does the rest. Every failure is one sentence on stderr and an exit code that scripts can
 * use. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/crypto.h"
#include "panel/ctl/common_steps.h"
#include "panel/ctl/handlers.h"
#include "panel/ctl/help.h"
#include "panel/ctl/http.h"
#include "panel/ctl/text.h"

static int read_format(struct ctl *ctl, struct err *err)
{
    static const char *const names[] = {"table", "wide", "json", "yaml", "name"};
    const char *wanted = ctl->settings.values[SETTING_OUTPUT];
    for (size_t i = 0; wanted && i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], wanted) == 0) {
            ctl->format = (enum format)i;
            return 0;
        }
    }
    return !wanted ? 0
                   : err_set(err, ERR_INVALID, "usage",
                             "the output (%s) must be table, wide, json, yaml or name, not "
                             "\"%.40s\"",
                             ctl->settings.from[SETTING_OUTPUT], wanted);
}

static int run_command(struct ctl *ctl, struct err *err)
{
    const struct command *command = ctl->args.command;
    if (command->local)
        return command->run(ctl, err);
    if (settings_load(&ctl->settings, &ctl->args, err) < 0 || read_format(ctl, err) < 0)
        return -1;
    struct http_options options = {.url = ctl->settings.values[SETTING_URL],
                                   .key = ctl->settings.values[SETTING_KEY],
                                   .ca_cert = ctl->settings.values[SETTING_CA],
                                   .timeout_ms = ctl->settings.timeout_ms};
    ctl->http = http_create(&options, err);
    return ctl->http ? command->run(ctl, err) : -1;
}

static int run(struct ctl *ctl, int argc, char **argv, struct err *err)
{
    if (args_parse(&ctl->args, argc, argv, err) < 0)
        return -1;
    term_init(&ctl->term, args_has(&ctl->args, "no-color"));
    if (args_has(&ctl->args, "help")) {
        help_print(stdout, &ctl->args);
        return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
    }
    if (args_has(&ctl->args, "version"))
        return run_version(ctl, err);
    if (ctl->args.command)
        return run_command(ctl, err);
    help_print(stderr, &ctl->args); /* it doesn't say what is to be done */
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct ctl ctl = {0};
    struct err err = {0};
    signal(SIGPIPE, SIG_IGN);
    umask(077);
    text_init();
    int status = crypto_init(&err) < 0 ? -1 : run(&ctl, argc, argv, &err);
    if (status < 0)
        status = step_tell_error(&ctl, &err);
    json_decref(ctl.failure);
    http_destroy(ctl.http);
    settings_fini(&ctl.settings);
    return status;
}
