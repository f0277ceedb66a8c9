/* The latest whole lists, as they were sent: a dashboard's next look at what hasn't changed costs
 * no more than the sending. A body is found by its route and ETag, which is made of the versions
 * of all that the list shows, so an old one is never found. Any thread. */
#ifndef PANEL_API_LIST_CACHE_H
#define PANEL_API_LIST_CACHE_H

#include <stdbool.h>

#include "common/err.h"
#include "common/shared.h"

#define LIST_CACHE_ETAG_SIZE 160

struct list_cache;
struct route;

int list_cache_create(struct list_cache **ret_cache, struct err *err);
void list_cache_destroy(struct list_cache *cache);

/* A reference of the caller's, or NULL. */
struct shared *list_cache_get(struct list_cache *cache, const struct route *route,
                              const char *etag);
/* Keep a reference, unless it is too big to be kept, or small enough to be made anew. */
void list_cache_put(struct list_cache *cache, const struct route *route, const char *etag,
                    struct shared *body);

/* Was the last whole list of this route so long that making it holds others up? */
bool list_cache_was_long(struct list_cache *cache, const struct route *route);

#endif
