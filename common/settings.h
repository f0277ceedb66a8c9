/* Settings: a table says all that is known of each, and the rest is made from it: how it is read
 * and checked, the help, what a program has in force, what it takes without a restart.
 *
 * The values lie in a struct of the program's whose first member is a struct settings_head; it is
 * all zero before settings_load() and given back to settings_fini(). From its name, logLevel, a
 * setting has its flag, --log-level, and its environment variable, PREFIX_LOG_LEVEL; the file is
 * one JSON object with the names themselves. The later wins: default, file, environment, flag. A
 * new setting is one row and one member of the struct. One thread at a time for each struct. */
#ifndef COMMON_SETTINGS_H
#define COMMON_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/err.h"
#include "common/strbuf.h"

#define SETTINGS_MAX 64 /* bits of a uint64_t */

enum setting_kind {
    SETTING_TEXT,   /* char *; NULL where there is none, never empty */
    SETTING_CHOICE, /* int, or an enum; an index of choices */
    SETTING_NUMBER, /* int64_t */
    SETTING_RATIO,  /* double */
    SETTING_SWITCH, /* bool; its flag needs no value */
};

enum setting_source { SETTING_DEFAULT, SETTING_FILE, SETTING_ENVIRONMENT, SETTING_FLAG };

struct setting {
    const char *name;
    enum setting_kind kind;
    size_t offset;
    const char *preset;         /* the default as text; NULL: none, 0, false or the first choice */
    const char *none;           /* what it means that a text isn't set, for the help; or NULL */
    double least, most;         /* of NUMBER and RATIO, both included */
    const char *unit;           /* "ms"; or NULL */
    const char *const *choices; /* of CHOICE; ends with NULL */
    bool (*fits)(const char *text); /* of TEXT; NULL: all but the empty one */
    const char *form; /* of TEXT, what it must be: "a URL that …"; also where fits is NULL */
    const char *word; /* the value's name in the help: ADDR:PORT */
    unsigned part;    /* a bit for who takes a change while the program runs; 0: a restart does */
    bool secret;      /* never shown */
    const char *help;
};

/* The first member of the program's struct. */
struct settings_head {
    const char *file; /* that was read; or NULL */
    unsigned char source[SETTINGS_MAX];
    uint64_t misfits; /* rows of which some source had a value that doesn't fit */
};

struct settings_table {
    const char *prefix; /* of environment variables: "PANELD_" */
    const struct setting *rows;
    size_t count;
    /* What only holds for several together; adds to faults. Every value fits by itself, but that of
     * a row of the head's misfits is not the one that was meant. Or NULL. */
    void (*check)(const void *values, struct strbuf *faults);
};

/* What is given outside of file and environment. All borrowed, and kept by the values' head. */
struct settings_given {
    const char *file; /* or NULL */
    const char *flags[SETTINGS_MAX];
};

/* Read everything, in order, and check it. Each fault is a line in faults that names where the
 * value stands, the value and what would be right. -1 when there is any, or when memory is out
 * (faults->failed). The values must be given to settings_fini() in any case. */
int settings_load(const struct settings_table *table, const struct settings_given *given,
                  void *values, struct strbuf *faults);
void settings_fini(const struct settings_table *table, void *values);
/* In check(): is the value of both the one that was meant? */
bool settings_both_fit(const struct settings_table *table, const void *values, const char *one,
                       const char *other);

/* A line of the log for each variable of the environment that begins with the prefix and is no
 * setting, with the name that may have been meant. It is no fault: others may put theirs there. */
void settings_warn_of_strangers(const struct settings_table *table);

/* The row of that name, or of that flag (without its dashes); -1 when there is none. */
int settings_find(const struct settings_table *table, const char *name);
int settings_find_flag(const struct settings_table *table, const char *flag, size_t len);

/* --- changes while the program runs ---------------------------------------------------------- */

/* Rows as bits of one number: that of row i is 1 << i. */
uint64_t settings_differing(const struct settings_table *table, const void *a, const void *b);
/* Those of rows that one of the parts takes. */
uint64_t settings_of_parts(const struct settings_table *table, uint64_t rows, unsigned parts);
/* Who takes them, all together. */
unsigned settings_parts_of(const struct settings_table *table, uint64_t rows);
/* Swap those rows, where their values differ, and tell from then on where they are from. */
void settings_exchange(const struct settings_table *table, uint64_t rows, void *a, void *b);
/* Their names, space between. */
void settings_put_names(const struct settings_table *table, uint64_t rows, struct strbuf *out);

/* --- shown ----------------------------------------------------------------------------------- */

/* Where the value of a row stands, as faults begin: "FILE: logLevel", PANELD_LOG_LEVEL or
 * --log-level. */
void settings_put_place(const struct settings_table *table, const void *values, size_t row,
                        struct strbuf *out);
/* In quotes, cut off and without control characters. */
void settings_put_quoted(struct strbuf *out, const char *text);
void settings_put_flag(const struct setting *setting, struct strbuf *out);
void settings_put_variable(const struct settings_table *table, const struct setting *setting,
                           struct strbuf *out);
/* As it would be written; nothing where there is none. Secrets as well. */
void settings_put_value(const struct setting *setting, const void *values, struct strbuf *out);
/* "a whole number from 100 to 60000 (ms)" */
void settings_put_form(const struct setting *setting, struct strbuf *out);

/* Each line of faults to stderr, behind the program's name. */
void settings_print_faults(const struct strbuf *faults, const char *program);
/* Each line of faults to the log, with what comes of it. */
void settings_log_faults(const struct strbuf *faults, const char *outcome);
/* What a SIGHUP has led to. */
void settings_log_outcome(const struct settings_table *table, uint64_t taken, uint64_t waiting);

/* The settings' part of --help. */
void settings_print_help(const struct settings_table *table, FILE *to);

/* The member "settings" of a JSON object: for each its value in force, where it is from, and all
 * that the table says. The rows that wait for a restart have their values for then in pending. */
void settings_put_json(const struct settings_table *table, const void *values, const void *pending,
                       uint64_t waiting, struct strbuf *out);
/* Such an object as a table for a person. */
int settings_print_table(const char *json, FILE *to, struct err *err);

#endif
