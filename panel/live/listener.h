/* Whoever follows something that goes on. */
#ifndef PANEL_LIVE_LISTENER_H
#define PANEL_LIVE_LISTENER_H

struct live_listener {
    /* There may be something to take, or it is time for a sign of life. Any thread. */
    void (*wake)(void *arg);
    /* No wake() will come any more: once, after it has left. */
    void (*release)(void *arg);
    void *arg;
};

#endif
