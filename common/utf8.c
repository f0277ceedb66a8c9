/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing past U+10FFFF. See utf8.h. */
#include "common/utf8.h"

#include <stdint.h>
#include <string.h>

size_t utf8_read(const char *at, size_t len, uint32_t *ret_point)
{
    const unsigned char *p = (const unsigned char *)at;
    size_t length;
    uint32_t point;
    uint32_t least;
    if (*p < 0x80)
        length = 1, point = *p, least = 0;
    else if ((*p & 0xe0) == 0xc0)
        length = 2, point = *p & 0x1fu, least = 0x80;
    else if ((*p & 0xf0) == 0xe0)
        length = 3, point = *p & 0x0fu, least = 0x800;
    else if ((*p & 0xf8) == 0xf0)
        length = 4, point = *p & 0x07u, least = 0x10000;
    else
        return 0;
    for (size_t i = 1; i < length; i++) {
        if (i >= len || (p[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (p[i] & 0x3fu);
    }
    if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        return 0;
    *ret_point = point;
    return length;
}

/* Bytes of the character at p, which is not the text's end; 0: there is none. */
static size_t char_length(const char *at)
{
    uint32_t point;
    return utf8_read(at, SIZE_MAX, &point);
}

bool utf8_is_valid(const char *text)
{
    while (*text) {
        size_t length = char_length(text);
        if (!length)
            return false;
        text += length;
    }
    return true;
}

void utf8_copy(char *out, size_t size, const char *text)
{
    while (*text) {
        size_t length = char_length(text);
        size_t step = length ? length : 1;
        if (step >= size)
            break;
        memcpy(out, length ? text : "?", step);
        out += step;
        size -= step;
        text += step;
    }
    *out = '\0';
}
