/* How an instance is asked to stop, as its template's StopCommand says (common/stop_command.h).
 * Pure; any thread. */
#ifndef AGENT_STOPPING_H
#define AGENT_STOPPING_H

#include <stdbool.h>

#define STOP_SIGNAL_SIZE 16

bool stopping_is_by_line(const char *command);
/* "SIGINT"; "" for a line, and when the image's own is to be used: also for one that isn't known,
 * which the panel reported when the template came. */
void stopping_signal(const char *command, char out[STOP_SIGNAL_SIZE]);

#endif
