/* Do the loops turn? Each of the panel's one-thread loops says when it wakes and when it rests.
 *
 * A loop that has worked on one round for long is stuck, or has too much to do; how long they have
 * worked in all says how near to its end each is. pulse_work() and pulse_rest() are the loop's own
 * thread's, a clock reading each; the others any thread's. */
#ifndef PANEL_METRICS_PULSE_H
#define PANEL_METRICS_PULSE_H

#include <stdint.h>

enum pulse { PULSE_FLEET, PULSE_STORE, PULSE_LISTS };
#define PULSES 3

void pulse_work(enum pulse pulse);
void pulse_rest(enum pulse pulse);

/* For how long the round under way has lasted; 0: it rests. */
int64_t pulse_round_ms(enum pulse pulse);
/* All rounds that are over. */
uint64_t pulse_busy_us(enum pulse pulse);
/* "fleet" */
const char *pulse_name(enum pulse pulse);

#endif
