/* Dropping start-up's pages. See trim.h.
 *
 * Loading and initialising some forty libraries touches far more code than serving does. Only
 * mappings that can't hold anything of our own are dropped: private file mappings that are
 * readable and executable but not writable. Not relocated data (r--p after RELRO holds changed
 * pages), not the heap. Sanitizers keep their own books of memory, so there this does nothing. */
#include "agent/trim.h"

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TRIM_OFF 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TRIM_OFF 1
#endif
#endif

#ifdef TRIM_OFF

void trim_memory(void) {}

#else

void trim_memory(void)
{
    malloc_trim(0);
    FILE *maps = fopen("/proc/self/maps", "re");
    if (!maps)
        return;
    char line[512];
    while (fgets(line, sizeof(line), maps)) {
        unsigned long from;
        unsigned long to;
        char mode[5];
        unsigned long inode;
        if (sscanf(line, "%lx-%lx %4s %*s %*s %lu", &from, &to, mode, &inode) != 4)
            continue;
        if (strcmp(mode, "r-xp") == 0 && inode != 0)
            madvise((void *)(uintptr_t)from, to - from, MADV_DONTNEED);
    }
    fclose(maps);
}

#endif
