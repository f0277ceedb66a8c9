/* What clang's analyzer can't see across files: every err_*() returns -1. Included before all
 * else when clang-tidy looks at a file; never compiled. */
#ifndef TESTS_LINT_ANALYZER_H
#define TESTS_LINT_ANALYZER_H

#include "common/err.h"

#define err_set(...)   ((void)err_set(__VA_ARGS__), -1)
#define err_field(...) ((void)err_field(__VA_ARGS__), -1)
#define err_io(...)    ((void)err_io(__VA_ARGS__), -1)
#define err_nomem(e)   ((void)err_nomem(e), -1)
#define err_wrap(...)  ((void)err_wrap(__VA_ARGS__), -1)

#endif
