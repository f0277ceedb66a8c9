/* The settings of the log, which each daemon's table has in the same words: two rows, for a struct
 * with the members log_level and log_format. */
#ifndef COMMON_LOG_SETTINGS_H
#define COMMON_LOG_SETTINGS_H

#include <stddef.h>

#include "common/log.h"
#include "common/settings.h"

/* type: the program's struct; taker: the part that takes a change of them. */
#define LOG_SETTINGS(type, taker)                                                                  \
    {.name = "logLevel",                                                                           \
     .kind = SETTING_CHOICE,                                                                       \
     .offset = offsetof(type, log_level),                                                          \
     .preset = "info",                                                                             \
     .choices = log_level_names,                                                                   \
     .word = "LEVEL",                                                                              \
     .part = (taker),                                                                              \
     .help = "what is logged, to stderr: this and what is graver"},                                \
    {                                                                                              \
        .name = "logFormat", .kind = SETTING_CHOICE, .offset = offsetof(type, log_format),         \
        .preset = "logfmt", .choices = log_format_names, .word = "FORM", .part = (taker),          \
        .help = "how each line of it is written"                                                   \
    }

#endif
