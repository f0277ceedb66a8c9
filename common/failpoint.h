/* Named places where a test may make the program die, dawdle or fail.
 *
 * Only in builds with PANEL_FAILPOINTS; elsewhere they are nothing at all. What happens where is
 * set by the environment variable of the same name: "NAME=die", "NAME=sleep:MS" or "NAME=fail",
 * several joined by ';', each with an optional "@N" to act at the N-th visit alone. die is SIGKILL:
 * nothing is flushed, closed or said. Any thread. */
#ifndef COMMON_FAILPOINT_H
#define COMMON_FAILPOINT_H

#include <stdbool.h>

#ifdef PANEL_FAILPOINTS
/* True: the place is to fail. */
bool failpoint_visit(const char *name);
#define FAILPOINT(name) failpoint_visit(name)
#else
#define FAILPOINT(name) false
#endif

#endif
