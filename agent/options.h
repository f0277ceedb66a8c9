/* The agent's settings and its command line: one row each of the table in options.c. How they are
 * read, in what order, and what is told of faults: common/settings.h. */
#ifndef AGENT_OPTIONS_H
#define AGENT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/install.h"
#include "common/arguments.h"
#include "common/log.h"
#include "common/settings.h"

/* Who takes a change while the agent runs; what has none needs a restart. */
enum options_part { OPTIONS_LOG = 1, OPTIONS_INSTALL = 2 };

struct options {
    struct settings_head head;
    char *state;
    char *docker; /* unix:// and the path */
    char *listen; /* NULL: chosen from the node's address when joining, and kept */
    enum log_level log_level;
    enum log_format log_format;
    int64_t install_max_mib;
    int64_t install_timeout; /* seconds */
    bool install_allow_local;
};

extern const struct settings_table options_table;

enum options_action {
    OPTIONS_SERVE,
    OPTIONS_JOIN,
    OPTIONS_DOCTOR,
    OPTIONS_SHOW,
    OPTIONS_CHECK,
};

#define OPTIONS_LINE_MAX 2048

/* What the command line says besides settings. The texts are argv's, the environment's and its own:
 * it stays where it is. */
struct options_command {
    enum options_action action;
    struct settings_given given;
    const char *panel_url; /* of join and the doctor */
    const char *token;     /* of join */
    const char *ca_cert;   /* of join and the doctor: a file; NULL: the system's, or as joined */
    bool as_json;          /* of config */
    bool of_service;       /* given holds what the packaged service has, besides what was typed */
    char service_line[OPTIONS_LINE_MAX]; /* what it points to */
};

/* Commands that are typed without a --config, a --state or variables of these names are about the
 * packaged service: below what is typed they take what it is given (agent/service.h).
 *
 * 0: go on. Otherwise *ret_status is what the program should exit with, everything said. ret is all
 * zero before, and given to options_fini() in any case. */
int options_parse(int argc, char **argv, struct options *ret, struct options_command *ret_command,
                  int *ret_status);
void options_fini(struct options *options);

/* What the file of --ca-cert has, for the caller to free; NULL without one. As who typed it: before
 * becoming the service's user. */
int options_read_ca(const struct options_command *command, char **ret_ca, struct err *err);

const char *options_docker_socket(const struct options *options);
/* The address of the settings, where they have one, in place of that of joining. */
int options_choose_listen(const struct options *options, char **listen, struct err *err);
struct install_limits options_install_limits(const struct options *options);

/* Take from what was given whatever can be taken now; -1 at a fault: all stays as it was. The log
 * says either. The parts that changed are for the caller to apply. */
int options_reload(struct options *options, const struct settings_given *given,
                   unsigned *ret_parts);

#endif
