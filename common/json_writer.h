/* JSON text written straight into a strbuf: what the daemon answers is made without a tree.
 *
 * The caller writes in document order; commas are put by the writer. Keys are literals.
 * Strings must be valid UTF-8 (input is checked where it enters). Failure sticks in the
 * strbuf. Reading JSON is jansson's work, not ours. One thread. */
#ifndef COMMON_JSON_WRITER_H
#define COMMON_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/strbuf.h"

/* { and }, [ and ]. key is NULL inside an array or at the top. */
void jw_object_begin(struct strbuf *sb, const char *key);
void jw_object_end(struct strbuf *sb);
void jw_array_begin(struct strbuf *sb, const char *key);
void jw_array_end(struct strbuf *sb);

/* s == NULL writes null. */
void jw_string(struct strbuf *sb, const char *key, const char *s);
void jw_int(struct strbuf *sb, const char *key, int64_t n);
/* thousandths, written without trailing zeros: 1500 → 1.5 */
void jw_milli(struct strbuf *sb, const char *key, int64_t milli);
void jw_bool(struct strbuf *sb, const char *key, bool b);
void jw_null(struct strbuf *sb, const char *key);
/* text is one complete JSON value; NULL writes null. */
void jw_raw(struct strbuf *sb, const char *key, const char *text);
/* RFC 3339 text; 0 writes null. */
void jw_time(struct strbuf *sb, const char *key, int64_t wall_ms);

#endif
