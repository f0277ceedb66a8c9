/* What the command line can be: one table of commands, and the rows' parts.
 *
 * From it come the parser (args.c), all help texts and guesses (help.c), the completion
 * (completion.c) and the bodies of requests (body.c). A command without a handler can't be written,
 * and an option that no row has is refused. Constant; any thread. */
#ifndef PANEL_CTL_GRAMMAR_H
#define PANEL_CTL_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>

#include "common/err.h"

struct ctl;

/* How an option goes into a request's body. */
enum body_kind {
    BODY_NONE,         /* it doesn't */
    BODY_TEXT,         /* as it is */
    BODY_TRUE,         /* given: true */
    BODY_YES_NO,       /* yes or no */
    BODY_TEXT_OR_NULL, /* "none": null */
    BODY_PAIR,         /* KEY=VALUE or KEY into an object; KEY- : null; may be given again */
    BODY_WORDS         /* A,B into an array; may be given again */
};

struct option_spec {
    const char *name;  /* without its dashes */
    char letter;       /* or 0 */
    const char *value; /* what its value is called; NULL: it has none */
    const char *help;
    const char *choices; /* words with | between them; NULL: anything */
    enum body_kind kind;
    const char *member; /* of the body; "a.b": b in the object a */
};

struct command {
    const char *noun; /* forms with | between them, the one to be shown first */
    const char *verb; /* likewise; "" for a command of one word */
    const char *arguments;
    int least;
    int most; /* words after the verb; -1: any number */
    const char *help;
    const char *more; /* of its own help, or NULL */
    const struct option_spec *options;
    size_t option_count;
    bool hidden;
    bool local; /* needs no panel */
    /* The exit code, or -1 with err set. */
    int (*run)(struct ctl *ctl, struct err *err);
};

extern const struct command commands[];
extern const size_t commands_count;
/* What every command takes. */
extern const struct option_spec common_options[];
extern const size_t common_options_count;

struct noun_help {
    const char *noun;
    const char *help; /* a line */
    const char *more; /* sentences and examples */
};
extern const struct noun_help nouns[];
extern const size_t nouns_count;

/* Is the word one of the forms? "a|b" */
bool form_has(const char *forms, const char *word);
/* The first of them, as the length of its text. */
int form_first(const char *forms);

#endif
