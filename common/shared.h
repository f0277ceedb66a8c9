/* Bytes that several owners hold at once, counted. Never changed once made. Any thread. */
#ifndef COMMON_SHARED_H
#define COMMON_SHARED_H

#include <stddef.h>

struct shared;

/* Takes data (malloc'ed); one reference. NULL without memory: then data is freed. */
struct shared *shared_create(char *take_data, size_t len);
struct shared *shared_ref(struct shared *shared);
/* NULL is fine. */
void shared_unref(struct shared *shared);

const char *shared_data(const struct shared *shared);
size_t shared_len(const struct shared *shared);

#endif
