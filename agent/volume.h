/* Volumes: one folder an instance below STATE/volumes.
 *
 * Making one is quick and done in place. Removing one may take long, so a worker thread does it:
 * the folder is renamed into STATE/trash first, which is the moment it ceases to be a volume, and
 * then emptied. Trash left by a crash is emptied at the next start. */
#ifndef AGENT_VOLUME_H
#define AGENT_VOLUME_H

#include "agent/loop.h"
#include "common/err.h"

struct volumes;
struct volume_job;

/* state_dir must be absolute. loop must outlive it. */
struct volumes *volumes_create(const char *state_dir, struct loop *loop, struct err *err);
/* Waits a second at most; done() isn't called any more. NULL is fine. */
void volumes_destroy(struct volumes *volumes);

/* The folder's absolute path, for the caller to free; NULL when memory is out. */
char *volume_path(const struct volumes *volumes, const char *volume_id);
/* Make the folder if it isn't there. What is there is left as it is: images set their own modes. */
int volume_make(struct volumes *volumes, const char *volume_id, struct err *err);

/* Remove it, then call done() on the loop's thread; err->code is ERR_NONE when nothing is left. */
int volume_remove(struct volumes *volumes, const char *volume_id,
                  void (*done)(void *arg, const struct err *err), void *arg, struct err *err);

#endif
