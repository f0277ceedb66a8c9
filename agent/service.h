/* What the packaged service is given, for commands that are typed by hand: `panel-agent doctor` is
 * to look at the agent that systemd runs, with its Docker socket and its state folder. Before any
 * thread is started. */
#ifndef AGENT_SERVICE_H
#define AGENT_SERVICE_H

#include <stddef.h>

#include "common/err.h"

/* As packaging/deb/panel-agent.service names them. */
#define SERVICE_CONFIG   "/etc/panel/panel-agent.json"
#define SERVICE_DEFAULTS "/etc/default/panel-agent"

/* Put the variables of the agent's that the file at path sets, as systemd reads such files, into
 * the environment, but for those that are there. No file is no variables. */
int service_read_defaults(const char *path, struct err *err);

/* Cut text at its blanks, in place; how many words there are, of at most max. */
size_t service_split(char *text, char **words, size_t max);

#endif
