/* sd_notify(3) without libsystemd: one datagram to $NOTIFY_SOCKET. Any thread. */
#ifndef COMMON_NOTIFY_H
#define COMMON_NOTIFY_H

/* state as systemd documents it, e.g. "READY=1". Does nothing where no supervisor listens. */
void notify_supervisor(const char *state);

#endif
