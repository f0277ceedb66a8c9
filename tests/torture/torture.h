/* Torture: a piece of work is done again and again, and each time another call in it fails.
 *
 * First every allocation in turn, then every other call that can fail (files, sockets, threads).
 * Calls of our own code fail by the linker's --wrap (wraps.c), those of SQLite and
 * protobuf-c by the hooks that these have (libraries.c). After each failure: no crash, an error
 * that says what it is (or success, where the failure could be borne), no descriptor left open;
 * after all of them: nothing leaked. What must hold besides, after() asserts.
 *
 * TORTURE_LONG=1 leaves out none of a long row of calls, and also lets all from the n-th on fail.
 * TORTURE_ONLY=NAME/KIND/N makes that one failure alone, and shows the stack it happens on. */
#ifndef TESTS_TORTURE_TORTURE_H
#define TESTS_TORTURE_TORTURE_H

#include "tests/unit/unit.h"

#include <stdbool.h>

#include "common/err.h"

enum torture_kind {
    TORTURE_MEMORY,    /* no memory */
    TORTURE_CALLS,     /* an I/O error, a full disk, no descriptor */
    TORTURE_INTERRUPT, /* EINTR: must be borne */
    TORTURE_PIECES,    /* a read or write of one byte: must be borne */
    TORTURE_KINDS
};

struct torture {
    const char *name;
    void (*before)(void); /* may be NULL; nothing fails here */
    /* Does the work and cleans up after it. Must not assert. */
    int (*work)(struct err *err);
    void (*after)(int rc); /* may be NULL; nothing fails here */
};

/* Counts what failed for torture_evidence(). */
void torture(const struct torture *scenario);

/* "evidence: PROMISE|what|N", with the failures made since the last call. */
void torture_evidence(const char *promise, const char *modules);

/* A new folder, in memory where there is such a place. */
void torture_folder(char out[64]);

/* --- for those that make calls fail ---------------------------------------------------------- */

/* Is this call, of that kind, to fail? */
bool torture_hit(enum torture_kind kind, const char *call);

/* Has a call of work() failed so far? For a work() that must know what it may expect. */
bool torture_has_hit(void);

/* Hooks into SQLite; before it is used. */
void torture_libraries(void);

#endif
