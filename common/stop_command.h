/* What a template's StopCommand means: "^C", "^SIGTERM" or "^term" is a signal, other text a line
 * for the standard input, "" the image's own signal. The panel reports what isn't known, the agent
 * does what is. Pure; any thread. */
#ifndef COMMON_STOP_COMMAND_H
#define COMMON_STOP_COMMAND_H

#include <stdbool.h>

bool stop_command_is_line(const char *command);
/* Does it ask for a signal, known or not? */
bool stop_command_is_signal(const char *command);
/* "SIGINT"; NULL: it asks for none, or for one that is not known. */
const char *stop_command_signal(const char *command);

#endif
