/* Named places where a test may make the program die, dawdle or fail.
 *
 * Only in builds with PANEL_FAILPOINTS; elsewhere they are nothing at all. What happens where is
 * set by the environment variable of the same name: "NAME=die", "NAME=sleep:MS" or "NAME=fail",
 * several joined by ';', each with an optional "@N" to act at the N-th visit alone. die is SIGKILL:
 * nothing is flushed, closed or said. Any thread.
 *
 * HURRIED(ms) is ms, but there divided by what the environment variable PANEL_HURRY says, so that
 * a test of a long patience needn't have one. */
#ifndef COMMON_FAILPOINT_H
#define COMMON_FAILPOINT_H

#include <stdbool.h>
#include <stdint.h>

#ifdef PANEL_FAILPOINTS
/* True: the place is to fail. */
bool failpoint_visit(const char *name);
#define FAILPOINT(name) failpoint_visit(name)
uint32_t failpoint_hurried(uint32_t ms);
#define HURRIED(ms) failpoint_hurried(ms)
#else
#define FAILPOINT(name) false
#define HURRIED(ms)     (ms)
#endif

#endif
