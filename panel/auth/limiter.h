/* Counting how often something happened in a window of time, for many things at once, in bounded
 * memory and without a lock: it is asked on every request.
 *
 * A thing is a number that is no secret and not 0. When there are more things at once than there
 * is room for, those that did least are forgotten first, so counts may come out too low and never
 * too high. The windows of different things end at different times. Any thread. */
#ifndef PANEL_AUTH_LIMITER_H
#define PANEL_AUTH_LIMITER_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct limiter;

/* slots: a power of two. */
int limiter_create(size_t slots, uint32_t window_ms, struct limiter **ret_limiter, struct err *err);
void limiter_destroy(struct limiter *limiter);

struct limiter_count {
    uint32_t count;   /* in this window */
    uint32_t left_ms; /* until it ends; at least 1 */
};

/* It has happened once more. now_ms: monotonic. */
struct limiter_count limiter_add(struct limiter *limiter, uint64_t thing, int64_t now_ms);
/* How often it has, so far. */
struct limiter_count limiter_look(struct limiter *limiter, uint64_t thing, int64_t now_ms);

/* As if it had never happened. */
void limiter_forget(struct limiter *limiter, uint64_t thing);

/* A number for bytes that others choose. Two of them are the same thing by bad luck alone: nobody
 * can make it so who doesn't know the limiter's secret. */
uint64_t limiter_thing(const struct limiter *limiter, const void *bytes, size_t len);

#endif
