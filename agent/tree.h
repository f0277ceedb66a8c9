/* Removing folders that strangers filled. Blocks for as long as that takes; any thread. */
#ifndef AGENT_TREE_H
#define AGENT_TREE_H

#include "common/err.h"

/* rm -rf, however deep the tree is and whatever its names are: never follows a link, never needs
 * a path longer than one name, keeps a bounded number of files open. Absent is success. */
int tree_remove(const char *path, struct err *err);

#endif
