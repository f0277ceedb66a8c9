/* What names, addresses and identifiers may look like. Pure; any thread.
 *
 * Each check returns 0, or -1 with ERR_INVALID "invalid_field" naming the field and what would have
 * been right. Texts are valid UTF-8 already. */
#ifndef PANEL_DOMAIN_TEXT_H
#define PANEL_DOMAIN_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

/* 1 to max characters, none a control character, not blank alone. */
int text_check_name(const char *field, const char *s, unsigned max, struct err *err);
/* No control characters, at most max bytes; may be empty. */
int text_check_line(const char *field, const char *s, unsigned max, struct err *err);
/* Sane, not pedantic: one @ with something on both sides, no blanks, at most 254 bytes. */
int text_check_email(const char *field, const char *s, struct err *err);
/* 1–64 of A-Z a-z 0-9 _ . - and not "." or "..". */
int text_check_id(const char *field, const char *s, struct err *err);
/* A host name or IP address, without scheme and port. */
int text_check_address(const char *field, const char *s, struct err *err);
/* Digits of 1–65535, without leading zeros. */
int text_check_port(const char *field, const char *s, struct err *err);
/* An absolute path without "..", that isn't "/". */
int text_check_mount_path(const char *field, const char *s, struct err *err);

/* [A-Za-z_][A-Za-z0-9_]* */
bool text_is_env_name(const char *s);
/* Digits alone, at most max. */
bool text_parse_uint(const char *s, uint64_t max, uint64_t *ret_n);

#endif
