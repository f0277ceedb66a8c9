/* How an instance is asked to stop, as its template's StopCommand says: "^C" or "^SIGTERM" is a
 * signal, other text a line for its standard input, "" the image's own signal. Pure; any thread. */
#ifndef AGENT_STOPPING_H
#define AGENT_STOPPING_H

#include <stdbool.h>

#define STOP_SIGNAL_SIZE 16

bool stopping_is_by_line(const char *command);
/* "SIGINT"; "" for a line, and when the image's own is to be used. */
void stopping_signal(const char *command, char out[STOP_SIGNAL_SIZE]);

#endif
