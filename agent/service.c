/* The packaged service's settings. See service.h. */
#include "agent/service.h"

#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/fs.h"

#define FILE_MAX 65536
#define PREFIX   "PANEL_AGENT_"
#define BLANKS   " \t\r"

/* Without blanks around it, and without the quotes that these leave. */
static char *trim(char *text)
{
    text += strspn(text, BLANKS);
    size_t len = strlen(text);
    while (len && strchr(BLANKS, text[len - 1]))
        len--;
    if (len >= 2 && (*text == '"' || *text == '\'') && text[len - 1] == *text) {
        text++;
        len -= 2;
    }
    text[len] = '\0';
    return text;
}

/* NAME=VALUE; comments and others' variables are none of ours. */
static int take_line(char *line, struct err *err)
{
    char *name = line + strspn(line, BLANKS);
    char *equals = strchr(name, '=');
    if (!equals || strncmp(name, PREFIX, sizeof(PREFIX) - 1) != 0)
        return 0;
    *equals = '\0';
    return setenv(name, trim(equals + 1), 0) < 0 ? err_nomem(err) : 0;
}

int service_read_defaults(const char *path, struct err *err)
{
    auto_free char *text = NULL;
    if (fs_read(path, FILE_MAX, &text, NULL, err) < 0)
        return err->code == ERR_NOT_FOUND ? 0 : -1;
    for (char *line = text; line;) {
        char *end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        if (take_line(line, err) < 0)
            return -1;
        line = end;
    }
    return 0;
}

size_t service_split(char *text, char **words, size_t max)
{
    size_t count = 0;
    while (*(text += strspn(text, BLANKS)) && count < max) {
        words[count++] = text;
        text += strcspn(text, BLANKS);
        if (*text)
            *text++ = '\0';
    }
    return count;
}
