/* See pattern.h. Patterns come from strangers: what one may cost is bounded. */
#include "panel/domain/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define PATTERN_MAX 4096
#define STEPS_MAX   20000 /* less than a millisecond */
#define HEAP_KIB    1024

static bool read_flags(const char *flags, uint32_t *options)
{
    for (; *flags; flags++) {
        switch (*flags) {
        case 'i':
            *options |= PCRE2_CASELESS;
            break;
        case 'm':
            *options |= PCRE2_MULTILINE;
            break;
        case 's':
            *options |= PCRE2_DOTALL;
            break;
        case 'x':
            *options |= PCRE2_EXTENDED;
            break;
        case 'u':
            break; /* all texts are UTF-8 */
        default:
            return false;
        }
    }
    return true;
}

static pcre2_code *compile(const char *pattern)
{
    uint32_t options = PCRE2_UTF | PCRE2_NO_UTF_CHECK | PCRE2_NEVER_BACKSLASH_C;
    size_t len = strlen(pattern);
    const char *last = strrchr(pattern, '/');
    if (len > PATTERN_MAX)
        return NULL;
    if (pattern[0] == '/' && last != pattern) {
        if (!read_flags(last + 1, &options))
            return NULL;
        len = (size_t)(last - ++pattern);
    }
    int error;
    size_t at;
    return pcre2_compile((PCRE2_SPTR)pattern, len, options, &error, &at, NULL);
}

enum pattern_outcome pattern_try(const char *pattern, const char *text)
{
    enum pattern_outcome outcome = PATTERN_COSTLY;
    pcre2_code *code = compile(pattern);
    if (!code)
        return PATTERN_BAD;
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    pcre2_match_data *data = context ? pcre2_match_data_create(1, NULL) : NULL;
    if (data) {
        pcre2_set_match_limit(context, STEPS_MAX);
        pcre2_set_depth_limit(context, STEPS_MAX);
        pcre2_set_heap_limit(context, HEAP_KIB);
        int rc =
            pcre2_match(code, (PCRE2_SPTR)text, strlen(text), 0, PCRE2_NO_UTF_CHECK, data, context);
        if (rc >= 0)
            outcome = PATTERN_MATCHES;
        else if (rc == PCRE2_ERROR_NOMATCH)
            outcome = PATTERN_DIFFERS;
    }
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_code_free(code);
    return outcome;
}
