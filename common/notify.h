/* sd_notify(3) without libsystemd: one datagram to $NOTIFY_SOCKET. Any thread, while nobody changes
 * the environment. */
#ifndef COMMON_NOTIFY_H
#define COMMON_NOTIFY_H

#include <stdint.h>

/* state as systemd documents it, e.g. "READY=1". Does nothing where no supervisor listens. */
void notify_supervisor(const char *state);

/* How long the supervisor waits for the next "WATCHDOG=1" of this process (systemd's WatchdogSec=),
 * in ms; 0: it doesn't. */
int64_t notify_watchdog_ms(void);

#endif
