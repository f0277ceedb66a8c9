/* See stop_command.h. */
#include "common/stop_command.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "common/auto.h"

static const struct {
    const char *name, *signal;
} signals[] = {
    {"C", "SIGINT"},        {"\\", "SIGQUIT"},        {"SIGHUP", "SIGHUP"},
    {"SIGINT", "SIGINT"},   {"SIGQUIT", "SIGQUIT"},   {"SIGABRT", "SIGABRT"},
    {"SIGKILL", "SIGKILL"}, {"SIGUSR1", "SIGUSR1"},   {"SIGUSR2", "SIGUSR2"},
    {"SIGTERM", "SIGTERM"}, {"SIGWINCH", "SIGWINCH"},
};

bool stop_command_is_line(const char *command)
{
    return command && command[0] && command[0] != '^';
}

bool stop_command_is_signal(const char *command)
{
    return command && command[0] == '^';
}

const char *stop_command_signal(const char *command)
{
    if (!stop_command_is_signal(command))
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        const char *name = signals[i].name;
        bool is_long = strncmp(name, "SIG", 3) == 0;
        if (strcasecmp(command + 1, name) == 0 ||
            (is_long && strcasecmp(command + 1, name + 3) == 0))
            return signals[i].signal;
    }
    return NULL;
}
