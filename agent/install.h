/* What is downloaded into an instance's volume before its first start, and again for each
 * reinstallation: a round, named by a number that only rises.
 *
 * Each install has a thread of its own; what it calls back comes on the loop's. That a round has
 * been done is a file in the state folder, written after all of it is on the disk, so one that was
 * broken off by anything is done again from the start. What was done is told in a log beside it. */
#ifndef AGENT_INSTALL_H
#define AGENT_INSTALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/loop.h"
#include "common/err.h"
#include "panel.pb-c.h"

#define INSTALL_FILES_MAX 256
#define INSTALL_LOG_MAX   (64u * 1024u)

struct install_limits {
    uint64_t bytes_max; /* of all files of a round together */
    uint32_t seconds_max;
    bool allow_local; /* this host and its links may be asked for files, too */
};

struct installs;
struct install;

/* loop must outlive it. */
struct installs *installs_create(const char *state_dir, struct loop *loop,
                                 const struct install_limits *limits, struct err *err);
/* For those that start from now on. */
void installs_set_limits(struct installs *installs, const struct install_limits *limits);
/* Breaks off what is under way; done() isn't called. NULL is fine. */
void installs_destroy(struct installs *installs);

/* Is what the spec wants installed not there yet? Reads a small file. */
bool install_is_due(const struct installs *installs, const Wire__InstanceSpec *spec);

/* volume_dir is there; the spec has been checked, and is not needed afterwards. done() is called
 * once, soon after install_cancel() at the latest: err->code ERR_NONE, or why not, in a sentence.
 * NULL with err set. */
struct install *install_start(struct installs *installs, const Wire__InstanceSpec *spec,
                              const char *volume_dir,
                              void (*done)(void *arg, const struct err *err), void *arg,
                              struct err *err);
void install_cancel(struct install *install);
/* Of all that is to be downloaded, as far as is known. */
uint32_t install_percent(const struct install *install);

/* The log of the latest round for the caller to free; ERR_NOT_FOUND when there was none. */
int install_log_read(const struct installs *installs, const char *volume_id, char **ret_text,
                     struct err *err);
/* Nothing was ever installed in it. */
void install_forget(const struct installs *installs, const char *volume_id);

#endif
