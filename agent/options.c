/* The command line. See options.h. Written by hand, because getopt's messages help nobody. */
#include "agent/options.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "agent/address.h"
#include "common/auto.h"

#define INSTALL_MIB_MAX     (16u * 1024u * 1024u)
#define INSTALL_SECONDS_MAX 86400

static const char help[] =
    "panel-agent runs on every node and keeps its Docker containers as the panel wants them.\n"
    "\n"
    "Usage:\n"
    "  panel-agent join --panel URL --token TOKEN [--state DIR] [--listen ADDR:PORT]\n"
    "      Make this machine a node of the panel, once. The whole command is the joinCommand in\n"
    "      the answer to POST /api/nodes/create. The token works once and within an hour; the\n"
    "      secret in it never leaves this machine. After a failure the same command may be run\n"
    "      again.\n"
    "\n"
    "  panel-agent [--state DIR] [--docker unix://PATH] [--log-level LEVEL] [--log-format FORM]\n"
    "              [--install-max-mib N] [--install-timeout SECONDS] [--install-allow-local]\n"
    "      Serve. Stays up while Docker or the panel is away. SIGTERM ends it and leaves the\n"
    "      containers running.\n"
    "\n"
    "Options of both, with their defaults:\n"
    "  --state DIR         identity and volumes           (" OPTIONS_STATE_DEFAULT ")\n"
    "  --log-level LEVEL   debug, info, warn or error     (info), to stderr\n"
    "  --log-format FORM   logfmt or json                 (logfmt)\n"
    "  --version           print the version\n"
    "  --help, -h          print this\n"
    "Options of serving:\n"
    "  --docker unix://P   the Docker Engine's socket     (" OPTIONS_DOCKER_DEFAULT ")\n"
    "  --install-max-mib N        of all that a template has downloaded together   (4096)\n"
    "  --install-timeout SECONDS  of all of that, 1 to 86400                        (1200)\n"
    "  --install-allow-local      templates may have files downloaded from this host and its\n"
    "                             link-local addresses, too\n"
    "Options of join:\n"
    "  --panel URL         the panel, https:// or http://\n"
    "  --token TOKEN       pj1.<node>.<secret>\n"
    "  --listen ADDR:PORT  where the panel connects to; an IP address, IPv6 in brackets (the "
    "node's\n"
    "                      port as the panel knows it, on all of IPv4; on loopback alone when "
    "that\n"
    "                      is the node's address)\n"
    "\n"
    "Examples, as root:\n"
    "  panel-agent join --panel https://panel.example.com --token TOKEN\n"
    "  panel-agent\n";

static int usage_error(const char *what, const char *name, int *ret_status)
{
    fprintf(stderr, "panel-agent: %s%s\nTry \"panel-agent --help\".\n", what, name);
    *ret_status = 2;
    return -1;
}

/* The value of the option at argv[*at], as "--name value" or "--name=value"; NULL if it is another
 * option. *ret_missing: it is that option, but has no value. */
static const char *take_value(int argc, char **argv, int *at, const char *name, bool *ret_missing)
{
    size_t len = strlen(name);
    const char *arg = argv[*at];
    if (!arg || strncmp(arg, name, len) != 0 || (arg[len] != '\0' && arg[len] != '='))
        return NULL;
    if (arg[len] == '=')
        return arg + len + 1;
    if (*at + 1 >= argc) {
        *ret_missing = true;
        return NULL;
    }
    return argv[++*at];
}

static bool read_count(const char *text, uint64_t max, uint64_t *ret)
{
    uint64_t n = 0;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9' || n > max)
            return false;
        n = n * 10 + (uint64_t)(*p - '0');
    }
    *ret = n;
    return n >= 1 && n <= max;
}

static int check_install(struct options *o, const char *mib, const char *seconds, int *ret_status)
{
    uint64_t n = 0;
    if (!read_count(mib, INSTALL_MIB_MAX, &n))
        return usage_error("--install-max-mib must be a number of MiB, not ", mib, ret_status);
    o->install.bytes_max = n << 20;
    if (!read_count(seconds, INSTALL_SECONDS_MAX, &n))
        return usage_error("--install-timeout must be 1 to 86400 seconds, not ", seconds,
                           ret_status);
    o->install.seconds_max = (uint32_t)n;
    return 0;
}

static int check(struct options *o, const char *docker, const char *level, int *ret_status)
{
    static const char scheme[] = "unix://";
    if (strncmp(docker, scheme, sizeof(scheme) - 1) != 0 || docker[sizeof(scheme) - 1] != '/')
        return usage_error("--docker must be unix:// and an absolute path, not ", docker,
                           ret_status);
    o->docker_socket = docker + sizeof(scheme) - 1;
    if (!log_level_parse(level, &o->log_level))
        return usage_error("--log-level must be debug, info, warn or error, not ", level,
                           ret_status);
    if (!*o->state_dir)
        return usage_error("--state must name a folder", "", ret_status);
    if (!o->join)
        return o->panel_url || o->token || o->listen
                   ? usage_error("--panel, --token and --listen belong to: panel-agent join", "",
                                 ret_status)
                   : 0;
    if (!o->panel_url || !o->token)
        return usage_error("join needs --panel URL and --token TOKEN", "", ret_status);
    if (o->listen && !address_is_listen(o->listen))
        return usage_error("--listen must be an IP address and a port, such as 0.0.0.0:7443, not ",
                           o->listen, ret_status);
    return 0;
}

static int check_format(struct options *o, const char *format, int *ret_status)
{
    if (log_format_parse(format, &o->log_format))
        return 0;
    return usage_error("--log-format must be logfmt or json, not ", format, ret_status);
}

int options_parse(int argc, char **argv, struct options *ret, int *ret_status)
{
    const char *docker = OPTIONS_DOCKER_DEFAULT;
    const char *level = "info";
    const char *format = "logfmt";
    const char *install_mib = "4096";
    const char *install_seconds = "1200"; /* before the panel loses its patience */
    struct options o = {.state_dir = OPTIONS_STATE_DEFAULT};
    struct {
        const char *name;
        const char **value;
    } known[] = {
        {"--state", &o.state_dir},
        {"--docker", &docker},
        {"--log-level", &level},
        {"--log-format", &format},
        {"--panel", &o.panel_url},
        {"--token", &o.token},
        {"--listen", &o.listen},
        {"--install-max-mib", &install_mib},
        {"--install-timeout", &install_seconds},
    };
    for (int i = 1; i < argc; i++) {
        const char *value = NULL;
        bool missing = false;
        if (i == 1 && strcmp(argv[i], "join") == 0) {
            o.join = true;
            continue;
        }
        if (strcmp(argv[i], "--install-allow-local") == 0) {
            o.install.allow_local = true;
            continue;
        }
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            *ret_status = 0;
            return -1;
        }
        if (strcmp(argv[i], "--version") == 0) {
            puts("panel-agent " PANEL_VERSION);
            *ret_status = 0;
            return -1;
        }
        for (size_t k = 0; k < ARRAY_LEN(known) && !value && !missing; k++) {
            const char *name = argv[i];
            value = take_value(argc, argv, &i, known[k].name, &missing);
            if (missing)
                return usage_error("this option needs a value: ", name, ret_status);
            if (value)
                *known[k].value = value;
        }
        if (!value)
            return usage_error("unknown option or word: ", argv[i], ret_status);
    }
    if (check(&o, docker, level, ret_status) < 0 || check_format(&o, format, ret_status) < 0 ||
        check_install(&o, install_mib, install_seconds, ret_status) < 0)
        return -1;
    *ret = o;
    return 0;
}
