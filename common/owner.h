/* Whose folder is it? Commands are typed by root, while a daemon that was installed from a package
 * runs as a user of its own; what root left behind in the daemon's folder it could not read.
 *
 * Call these before any thread is started. */
#ifndef COMMON_OWNER_H
#define COMMON_OWNER_H

#include <stdbool.h>

#include "common/err.h"

/* Is this root, in a folder of somebody else's? No where there is no such folder. */
bool owner_is_other(const char *dir);

/* If so, become its owner for good, with the groups that he has. Otherwise nothing. ERR_IO. */
int owner_become(const char *dir, struct err *err);

/* The same for a command that has to stay root: afterwards, what in the folder belongs to root is
 * given to its owner. Links aren't followed, and what has another name elsewhere stays root's. */
int owner_give_back(const char *dir, struct err *err);

/* The owner's name, or his number; out is for a message. */
void owner_name(const char *dir, char *out, int size);

#endif
