/* Regular expressions as templates have them: Perl's, between slashes, with flags behind:
 * /^v\d+$/i. The only file that knows PCRE2. Pure; any thread. */
#ifndef PANEL_DOMAIN_PATTERN_H
#define PANEL_DOMAIN_PATTERN_H

enum pattern_outcome {
    PATTERN_MATCHES,
    PATTERN_DIFFERS,
    PATTERN_COSTLY, /* to tell would take too long, or too much memory */
    PATTERN_BAD,    /* it is none */
};

/* pattern: with slashes and flags (i, m, s, x, u), or without. */
enum pattern_outcome pattern_try(const char *pattern, const char *text);

#endif
