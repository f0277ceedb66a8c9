/* One slot a list route; a newer body takes the place of an older one. See list_cache.h. */
#include "panel/api/list_cache.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"

#define KEEP_MIN (16u * 1024u)
#define KEEP_MAX (16u * 1024u * 1024u) /* bytes of one body */
#define LONG     (256u * 1024u)        /* a millisecond's work */
#define SLOTS    5                     /* users, nodes, images, instances, their statistics */

struct list_cache {
    pthread_mutex_t lock;
    struct slot {
        const struct route *route; /* NULL: free */
        struct shared *body;
        size_t last_len; /* of the latest, kept or not */
        char etag[LIST_CACHE_ETAG_SIZE];
    } slots[SLOTS];
};

int list_cache_create(struct list_cache **ret_cache, struct err *err)
{
    struct list_cache *cache = calloc(1, sizeof(*cache));
    if (!cache)
        return err_nomem(err);
    pthread_mutex_init(&cache->lock, NULL);
    *ret_cache = cache;
    return 0;
}

void list_cache_destroy(struct list_cache *cache)
{
    if (!cache)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        shared_unref(cache->slots[i].body);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* The route's, else a free one; NULL when there is neither. */
static struct slot *slot_of(struct list_cache *cache, const struct route *route)
{
    for (size_t i = 0; i < SLOTS; i++) {
        if (!cache->slots[i].route || cache->slots[i].route == route)
            return &cache->slots[i];
    }
    return NULL;
}

struct shared *list_cache_get(struct list_cache *cache, const struct route *route, const char *etag)
{
    struct shared *body = NULL;
    pthread_mutex_lock(&cache->lock);
    struct slot *slot = slot_of(cache, route);
    if (slot && slot->body && strcmp(slot->etag, etag) == 0)
        body = shared_ref(slot->body);
    pthread_mutex_unlock(&cache->lock);
    return body;
}

bool list_cache_was_long(struct list_cache *cache, const struct route *route)
{
    pthread_mutex_lock(&cache->lock);
    struct slot *slot = slot_of(cache, route);
    bool was_long = slot && slot->last_len >= LONG;
    pthread_mutex_unlock(&cache->lock);
    return was_long;
}

void list_cache_put(struct list_cache *cache, const struct route *route, const char *etag,
                    struct shared *body)
{
    bool keep = shared_len(body) >= KEEP_MIN && shared_len(body) <= KEEP_MAX;
    struct shared *old = NULL;
    pthread_mutex_lock(&cache->lock);
    struct slot *slot = slot_of(cache, route);
    if (slot) {
        old = slot->body;
        slot->route = route;
        slot->last_len = shared_len(body);
        slot->body = keep ? shared_ref(body) : NULL;
        snprintf(slot->etag, sizeof(slot->etag), "%s", etag);
    }
    pthread_mutex_unlock(&cache->lock);
    shared_unref(old);
}
