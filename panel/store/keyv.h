/* Databases of others, as the key-value library "keyv" writes them: one table, keyv(key, value).
 * Read only, and blocking. */
#ifndef PANEL_STORE_KEYV_H
#define PANEL_STORE_KEYV_H

#include "common/err.h"

/* key and value live until it returns; value NULL: it is none. -1 stops the walk. */
typedef int (*keyv_fn)(const char *key, const char *value, void *arg, struct err *err);

/* Each row, in order of keys, as of one moment. ERR_NOT_FOUND "no_file" when there is no such file,
 * ERR_INVALID "no_keyv" when it isn't such a database, or is damaged. */
int keyv_read(const char *file, keyv_fn fn, void *arg, struct err *err);

#endif
