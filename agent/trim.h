/* Giving memory back that was needed only to start, or for a burst. Any thread. */
#ifndef AGENT_TRIM_H
#define AGENT_TRIM_H

/* Drop from this process the pages of program code that start-up touched, and free heap. What is
 * needed again comes back from the page cache. */
void trim_memory(void);

#endif
