/* A real store for targets, with a writer that works at once on the caller's thread and, if nothing
 * else is said, undoes each change before anybody is told: linked in the place of
 * panel/store/writer.c. So a target is one thread, and each input finds the same rows:
 *
 *   key FUZZ_KEY, user u1 (ann), template t1 (plain), node n1, node n2 that hasn't joined;
 *   on n1: i1 READY, i2 FAILED, i3 INSTALLING, i4 suspended, i5 DELETING */
#ifndef TESTS_FUZZ_STORE_H
#define TESTS_FUZZ_STORE_H

#include "common/crypto.h"
#include "panel/pki/ca.h"
#include "panel/store/store.h"

#define FUZZ_KEY        "a key"
#define FUZZ_GUESTS_KEY "a guest's key" /* bound to u2 */

struct fuzz_store {
    struct store *store;
    struct ca *ca;
    uint8_t join_key[CRYPTO_HASH_BYTES]; /* n2's */
    bool keeping;                        /* changes stay, until fuzz_store_reset() */
    unsigned changes;                    /* ever submitted */
    unsigned refused;                    /* of these */
    bool (*fails)(const char *what);     /* asked each time; NULL: nothing does */
};

extern struct fuzz_store fuzz_store;

/* Once, in LLVMFuzzerInitialize(). */
void fuzz_store_open(void);
/* Back to the rows above. */
void fuzz_store_reset(void);

#endif
