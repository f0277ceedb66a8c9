/* Texts that must be UTF-8, whoever wrote them: the link and JSON carry nothing else. Any thread.
 */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The character at the beginning of len bytes, at least one: how many of them it has, and which it
 * is. 0, and nothing, when they begin with none. */
size_t utf8_read(const char *at, size_t len, uint32_t *ret_point);

bool utf8_is_valid(const char *text);

/* Copy what fits into size bytes, NUL included: cut between two characters, and with a '?' for
 * each byte that is no part of one. */
void utf8_copy(char *out, size_t size, const char *text);

#endif
