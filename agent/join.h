/* Becoming a node of a panel: `panel-agent join`. Blocks until it is done. */
#ifndef AGENT_JOIN_H
#define AGENT_JOIN_H

#include "agent/options.h"
#include "common/err.h"

/* Join and store the identity; says on stdout what to run next. err.msg is for the operator. */
int join_run(const struct options *options, const struct options_command *command, struct err *err);

#endif
