/* Counted bytes. See shared.h. */
#include "common/shared.h"

#include <stdatomic.h>
#include <stdlib.h>

struct shared {
    atomic_uint refs;
    size_t len;
    char *data;
};

struct shared *shared_create(char *take_data, size_t len)
{
    struct shared *shared = malloc(sizeof(*shared));
    if (!shared) {
        free(take_data);
        return NULL;
    }
    atomic_init(&shared->refs, 1);
    shared->len = len;
    shared->data = take_data;
    return shared;
}

struct shared *shared_ref(struct shared *shared)
{
    atomic_fetch_add(&shared->refs, 1);
    return shared;
}

void shared_unref(struct shared *shared)
{
    if (!shared || atomic_fetch_sub(&shared->refs, 1) != 1)
        return;
    free(shared->data);
    free(shared);
}

const char *shared_data(const struct shared *shared)
{
    return shared->data;
}

size_t shared_len(const struct shared *shared)
{
    return shared->len;
}
