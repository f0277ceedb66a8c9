/* Those who want to know that something was committed. */
#include "panel/store/internal.h"

#include <utlist.h>

void store_listen(struct store *store, struct store_listener *listener)
{
    pthread_mutex_lock(&store->listeners_lock);
    DL_APPEND(store->listeners, listener);
    pthread_mutex_unlock(&store->listeners_lock);
}

void store_unlisten(struct store *store, struct store_listener *listener)
{
    pthread_mutex_lock(&store->listeners_lock);
    DL_DELETE(store->listeners, listener);
    pthread_mutex_unlock(&store->listeners_lock);
}

void listeners_wake(struct store *store)
{
    struct store_listener *listener;
    pthread_mutex_lock(&store->listeners_lock);
    DL_FOREACH(store->listeners, listener)
    listener->wake(listener->arg);
    pthread_mutex_unlock(&store->listeners_lock);
}
