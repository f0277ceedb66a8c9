/* The command line. */
#ifndef AGENT_OPTIONS_H
#define AGENT_OPTIONS_H

#include <stdbool.h>

#include "agent/install.h"
#include "common/log.h"

#define OPTIONS_STATE_DEFAULT  "/var/lib/panel-agent"
#define OPTIONS_DOCKER_DEFAULT "unix:///var/run/docker.sock"

struct options {
    bool join;
    const char *state_dir;
    const char *docker_socket; /* the path alone */
    enum log_level log_level;
    enum log_format log_format;
    struct install_limits install;
    const char *panel_url; /* of join, likewise the next two */
    const char *token;
    const char *listen; /* NULL: chosen from the node's address */
};

/* 0: go on. Otherwise *ret_status is what the program should exit with, everything said. The
 * texts are argv's. */
int options_parse(int argc, char **argv, struct options *ret, int *ret_status);

#endif
