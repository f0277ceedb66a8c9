/* The agent's settings and its command line. See options.h. */
#include "agent/options.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/address.h"
#include "agent/service.h"
#include "common/auto.h"
#include "common/fs.h"
#include "common/json_writer.h"
#include "common/log_settings.h"

#define SCHEME      "unix://"
#define SERVICE_MAX 64 /* words of its line */
#define CA_MAX      32768

/* --- the table ------------------------------------------------------------------------------- */

static bool is_docker(const char *text)
{
    size_t len = sizeof(SCHEME) - 1;
    return strncmp(text, SCHEME, len) == 0 && text[len] == '/';
}

#define AT(member) offsetof(struct options, member)

static const struct setting rows[] = {
    {.name = "state",
     .kind = SETTING_TEXT,
     .offset = AT(state),
     .preset = "/var/lib/panel-agent",
     .form = "a folder",
     .word = "DIR",
     .help = "the node's identity and its volumes"},
    {.name = "docker",
     .kind = SETTING_TEXT,
     .offset = AT(docker),
     .preset = "unix:///var/run/docker.sock",
     .fits = is_docker,
     .form = "unix:// and an absolute path",
     .word = "unix://PATH",
     .help = "the Docker Engine's socket"},
    {.name = "listen",
     .kind = SETTING_TEXT,
     .offset = AT(listen),
     .none = "as joined",
     .fits = address_is_listen,
     .form = "an IP address and a port, such as 0.0.0.0:7443",
     .word = "ADDR:PORT",
     .help =
         "where the panel connects to, IPv6 in brackets; join by itself takes the node's port as "
         "the panel knows it, on all of IPv4, or on loopback alone when that is the node's "
         "address"},
    LOG_SETTINGS(struct options, OPTIONS_LOG),
    {.name = "installMaxMib",
     .kind = SETTING_NUMBER,
     .offset = AT(install_max_mib),
     .preset = "4096",
     .least = 1,
     .most = 16 * 1024 * 1024,
     .unit = "MiB",
     .word = "N",
     .part = OPTIONS_INSTALL,
     .help = "how much a template may have downloaded, all its files together"},
    {.name = "installTimeout",
     .kind = SETTING_NUMBER,
     .offset = AT(install_timeout),
     .preset = "1200", /* before the panel loses its patience */
     .least = 1,
     .most = 86400,
     .unit = "s",
     .word = "SECONDS",
     .part = OPTIONS_INSTALL,
     .help = "how long all of that may take"},
    {.name = "installAllowLocal",
     .kind = SETTING_SWITCH,
     .offset = AT(install_allow_local),
     .part = OPTIONS_INSTALL,
     .help =
         "templates may have files downloaded from this host and its link-local addresses, too"},
};
_Static_assert(ARRAY_LEN(rows) <= SETTINGS_MAX, "more settings than a head has room for");

const struct settings_table options_table = {
    .prefix = "PANEL_AGENT_", .rows = rows, .count = ARRAY_LEN(rows)};

const char *options_docker_socket(const struct options *options)
{
    return options->docker + sizeof(SCHEME) - 1;
}

int options_choose_listen(const struct options *options, char **listen, struct err *err)
{
    char *chosen = options->listen ? strdup(options->listen) : NULL;
    if (options->listen && !chosen)
        return err_nomem(err);
    if (chosen) {
        free(*listen);
        *listen = chosen;
    }
    return 0;
}

struct install_limits options_install_limits(const struct options *options)
{
    return (struct install_limits){.bytes_max = (uint64_t)options->install_max_mib << 20,
                                   .seconds_max = (uint32_t)options->install_timeout,
                                   .allow_local = options->install_allow_local};
}

int options_read_ca(const struct options_command *command, char **ret_ca, struct err *err)
{
    *ret_ca = NULL;
    if (command->ca_cert && fs_read(command->ca_cert, CA_MAX, ret_ca, NULL, err) < 0)
        return err_wrap(err, "--ca-cert");
    return 0;
}

void options_fini(struct options *options)
{
    settings_fini(&options_table, options);
}

/* --- help ------------------------------------------------------------------------------------ */

static const char help[] =
    "panel-agent runs on every node and keeps its Docker containers as the panel wants them.\n"
    "\n"
    "Usage:\n"
    "  panel-agent join --panel URL --token TOKEN [--ca-cert FILE] [--listen ADDR:PORT]\n"
    "                   [--state DIR]\n"
    "      Make this machine a node of the panel, once. \"panelctl node create\" prints the whole\n"
    "      command (it is the joinCommand of POST /api/nodes/create). The token works once and\n"
    "      within an hour; the secret in it never leaves this machine. After a failure the same\n"
    "      command may be run again.\n"
    "\n"
    "  panel-agent doctor [--panel URL] [--ca-cert FILE] [settings]\n"
    "      Say what keeps this machine from being a good node, and what to do. Exits with 0 when\n"
    "      all is well, 1 when something is broken, 3 when there are warnings alone.\n"
    "\n"
    "  panel-agent [settings]\n"
    "      Serve. Stays up while Docker or the panel is away. SIGTERM ends it and leaves the\n"
    "      containers running.\n"
    "\n"
    "  panel-agent config [-o json]\n"
    "      Print the settings that the service, or an agent which is started like this, has, and\n"
    "      from where.\n"
    "\n"
    "Options:\n"
    "  --panel URL                 of join and doctor: the panel, https:// or http://\n"
    "  --token TOKEN               of join: pj1.<node>.<secret>\n"
    "  --ca-cert FILE              of join and doctor: trust the panel's HTTPS by this CA (PEM); "
    "kept by\n"
    "                              join for the doctor\n"
    "  --config FILE               read settings from FILE, one JSON object: {\"logLevel\": "
    "\"debug\"}\n"
    "  --check-config              say all that is wrong with the settings, and exit\n"
    "  -o, --output table|json     how \"config\" prints (table)\n"
    "  --version                   print the version\n"
    "  --help, -h                  print this\n"
    "\n"
    "Settings, with their defaults and bounds. Each has one name in three forms, and the later "
    "wins:\n"
    "in FILE logLevel, in the environment PANEL_AGENT_LOG_LEVEL, as a flag --log-level.\n"
    "PANEL_AGENT_CONFIG may name FILE. Those with a * are taken at SIGHUP, the others at a "
    "restart.\n"
    "Commands take those of the packaged service (" SERVICE_CONFIG ", and what\n" SERVICE_DEFAULTS
    " sets), unless --config or --state names another agent.\n"
    "\n";

static const char examples[] =
    "\n"
    "Examples, as root:\n"
    "  panel-agent join --panel https://panel.example.com --token TOKEN\n"
    "  panel-agent\n";

/* --- the command line ------------------------------------------------------------------------ */

struct extra {
    const char *output;
    bool check, version, help;
};

static int usage_error(int *ret_status, const struct err *err)
{
    fprintf(stderr, "panel-agent: %s\nTry \"panel-agent --help\".\n", err->msg);
    *ret_status = 2;
    return -1;
}

static int check_words(const struct arguments_words *words, struct options_command *command,
                       struct err *err)
{
    const char *word = words->count ? words->at[0] : NULL;
    if (words->count > 1)
        return err_set(err, ERR_INVALID, "bad_command", "\"%.64s\" is a word too many",
                       words->at[1]);
    if (word && strcmp(word, "join") == 0)
        command->action = OPTIONS_JOIN;
    else if (word && strcmp(word, "doctor") == 0)
        command->action = OPTIONS_DOCTOR;
    else if (word && strcmp(word, "config") == 0)
        command->action = OPTIONS_SHOW;
    else if (word)
        return err_set(err, ERR_INVALID, "bad_command",
                       "there is no command \"%.64s\"; there are join, doctor and config", word);
    return 0;
}

static int check_extra(const struct extra *extra, struct options_command *command, struct err *err)
{
    bool is_join = command->action == OPTIONS_JOIN;
    if (!is_join && command->token)
        return err_set(err, ERR_INVALID, "bad_option", "--token belongs to: panel-agent join");
    if (!is_join && command->action != OPTIONS_DOCTOR && command->panel_url)
        return err_set(err, ERR_INVALID, "bad_option",
                       "--panel belongs to: panel-agent join, panel-agent doctor");
    if (!is_join && command->action != OPTIONS_DOCTOR && command->ca_cert)
        return err_set(err, ERR_INVALID, "bad_option",
                       "--ca-cert belongs to: panel-agent join, panel-agent doctor");
    if (is_join && (!command->panel_url || !command->token))
        return err_set(err, ERR_INVALID, "bad_option", "join needs --panel URL and --token TOKEN");
    if (extra->output && command->action != OPTIONS_SHOW)
        return err_set(err, ERR_INVALID, "bad_option", "--output belongs to: panel-agent config");
    if (extra->output && strcmp(extra->output, "json") != 0 && strcmp(extra->output, "table") != 0)
        return err_set(err, ERR_INVALID, "bad_option",
                       "--output must be table or json, not \"%.32s\"", extra->output);
    command->as_json = extra->output && strcmp(extra->output, "json") == 0;
    if (extra->check)
        command->action = OPTIONS_CHECK;
    return 0;
}

/* Is it about the packaged service? Serving, and what names another agent, is not. */
static bool is_of_service(const struct options_command *command)
{
    const char *state = getenv("PANEL_AGENT_STATE");
    return command->action != OPTIONS_SERVE && !command->given.file && !(state && *state) &&
           !command->given.flags[settings_find(&options_table, "state")];
}

/* What the service's own line says, below what is typed. */
static int take_service_line(struct options_command *command, const char *line, struct err *err)
{
    char *words[1 + SERVICE_MAX] = {"panel-agent"};
    struct settings_given given = {0};
    struct arguments_words none = {0};
    const struct argument own[] = {{.name = "config", .value = &given.file}};
    if (strlen(line) >= sizeof(command->service_line))
        return err_set(err, ERR_INVALID, "bad_option", "PANEL_AGENT_OPTIONS is too long");
    memcpy(command->service_line, line, strlen(line) + 1);
    size_t count = service_split(command->service_line, words + 1, SERVICE_MAX);
    if (arguments_read(own, ARRAY_LEN(own), &options_table, (int)count + 1, words, &given, &none,
                       err) < 0)
        return err_wrap(err, "PANEL_AGENT_OPTIONS, as in " SERVICE_DEFAULTS);
    for (size_t i = 0; i < options_table.count; i++) {
        if (!command->given.flags[i])
            command->given.flags[i] = given.flags[i];
    }
    command->given.file = given.file;
    return 0;
}

static int take_service(struct options_command *command, struct err *err)
{
    if (service_read_defaults(SERVICE_DEFAULTS, err) < 0)
        return -1;
    const char *line = getenv("PANEL_AGENT_OPTIONS");
    if (line && take_service_line(command, line, err) < 0)
        return -1;
    if (!command->given.file && access(SERVICE_CONFIG, F_OK) == 0)
        command->given.file = SERVICE_CONFIG;
    command->of_service = command->given.file || line;
    return 0;
}

static int read_line(int argc, char **argv, struct options_command *command, struct extra *extra,
                     struct err *err)
{
    const struct argument own[] = {
        {.name = "panel", .value = &command->panel_url},
        {.name = "token", .value = &command->token},
        {.name = "ca-cert", .value = &command->ca_cert},
        {.name = "config", .value = &command->given.file},
        {.name = "check-config", .given = &extra->check},
        {.name = "output", .letter = 'o', .value = &extra->output},
        {.name = "version", .given = &extra->version},
        {.name = "help", .letter = 'h', .given = &extra->help},
    };
    struct arguments_words words = {0};
    const char *file = getenv("PANEL_AGENT_CONFIG");
    command->given.file = file && *file ? file : NULL;
    if (arguments_read(own, ARRAY_LEN(own), &options_table, argc, argv, &command->given, &words,
                       err) < 0)
        return -1;
    if (extra->help || extra->version)
        return 0;
    if (check_words(&words, command, err) < 0 || check_extra(extra, command, err) < 0)
        return -1;
    return is_of_service(command) ? take_service(command, err) : 0;
}

static int print_help(void)
{
    fputs(help, stdout);
    settings_print_help(&options_table, stdout);
    fputs(examples, stdout);
    return fflush(stdout) == 0 ? 0 : 1;
}

static int print_settings(const struct options *options, const struct options_command *command)
{
    auto_strbuf struct strbuf out = {0};
    struct err err;
    jw_object_begin(&out, NULL);
    jw_string(&out, "file", command->given.file);
    settings_put_json(&options_table, options, NULL, 0, &out);
    jw_object_end(&out);
    if (out.failed)
        return 1;
    if (command->as_json)
        puts(out.data);
    else if (settings_print_table(out.data, stdout, &err) < 0)
        return 1;
    return fflush(stdout) == 0 ? 0 : 1;
}

int options_parse(int argc, char **argv, struct options *ret, struct options_command *ret_command,
                  int *ret_status)
{
    struct err err;
    struct extra extra = {0};
    auto_strbuf struct strbuf faults = {0};
    *ret_command = (struct options_command){.action = OPTIONS_SERVE};
    *ret_status = 0;
    if (read_line(argc, argv, ret_command, &extra, &err) < 0)
        return usage_error(ret_status, &err);
    if (extra.help || extra.version) {
        *ret_status = extra.help ? print_help() : puts("panel-agent " PANEL_VERSION) < 0;
        return -1;
    }
    settings_warn_of_strangers(&options_table);
    if (settings_load(&options_table, &ret_command->given, ret, &faults) < 0) {
        settings_print_faults(&faults, "panel-agent");
        *ret_status = ret_command->given.file || ret_command->action == OPTIONS_CHECK ? 1 : 2;
        return -1;
    }
    if (ret_command->action == OPTIONS_CHECK)
        puts("the settings are right");
    else if (ret_command->action == OPTIONS_SHOW)
        *ret_status = print_settings(ret, ret_command);
    return ret_command->action == OPTIONS_CHECK || ret_command->action == OPTIONS_SHOW ? -1 : 0;
}

/* --- SIGHUP ---------------------------------------------------------------------------------- */

int options_reload(struct options *options, const struct settings_given *given, unsigned *ret_parts)
{
    struct options fresh = {0};
    auto_strbuf struct strbuf faults = {0};
    int rc = settings_load(&options_table, given, &fresh, &faults);
    if (rc < 0) {
        settings_log_faults(&faults, "settings not taken; the old ones stay");
    } else {
        uint64_t changed = settings_differing(&options_table, options, &fresh);
        *ret_parts = settings_parts_of(&options_table, changed);
        uint64_t taken = settings_of_parts(&options_table, changed, *ret_parts);
        settings_exchange(&options_table, ~(changed & ~taken), options, &fresh);
        settings_log_outcome(&options_table, taken, changed & ~taken);
    }
    options_fini(&fresh);
    return rc;
}
