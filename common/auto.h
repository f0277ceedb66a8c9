/* Scope-bound cleanup: ownership said in the declaration.
 *
 * A variable declared with auto_* releases what it holds at the end of its scope;
 * steal_ptr()/steal_fd() move the thing out first. Any thread. */
#ifndef COMMON_AUTO_H
#define COMMON_AUTO_H

#include <stdlib.h>
#include <unistd.h>

static inline void auto_free_cleanup(void *p)
{
    free(*(void **)p);
}

static inline void auto_fd_cleanup(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline int steal_fd(int *fd)
{
    int out = *fd;
    *fd = -1;
    return out;
}

#define auto_free __attribute__((cleanup(auto_free_cleanup)))
#define auto_fd   __attribute__((cleanup(auto_fd_cleanup)))

#define steal_ptr(p)                                                                               \
    ({                                                                                             \
        __typeof__(p) steal_out = (p);                                                             \
        (p) = NULL;                                                                                \
        steal_out;                                                                                 \
    })

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
