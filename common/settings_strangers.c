/* Variables of the environment that look like settings and are none. See settings.h. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/log.h"
#include "common/settings.h"

#define NAME_MAX_LEN 64u
#define NEAR         2u /* letters that may be wrong */

/* How many letters are to be put in, left out or changed to make one of the other. */
static unsigned distance(const char *a, size_t a_len, const char *b)
{
    unsigned row[NAME_MAX_LEN + 1];
    size_t b_len = strlen(b);
    if (a_len > NAME_MAX_LEN || b_len > NAME_MAX_LEN)
        return NEAR + 1;
    for (unsigned j = 0; j <= b_len; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a_len; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b_len; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
        }
    }
    return row[b_len];
}

/* True: it is a setting's. ret_near: the name of one that is near, else empty. */
static bool look_up(const struct settings_table *table, const char *name, size_t len,
                    struct strbuf *ret_near)
{
    unsigned nearest = NEAR + 1;
    for (size_t i = 0; i < table->count; i++) {
        auto_strbuf struct strbuf own = {0};
        settings_put_variable(table, &table->rows[i], &own);
        unsigned far = own.failed ? 0 : distance(name, len, own.data);
        if (!far)
            return true;
        if (far < nearest) {
            nearest = far;
            strbuf_reset(ret_near);
            strbuf_str(ret_near, own.data);
        }
    }
    return false;
}

/* The file's name, and what the packaged service's line gets by itself. */
static bool is_beside(const char *rest, size_t len)
{
    static const char *const names[] = {"CONFIG", "OPTIONS"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strlen(names[i]) == len && memcmp(names[i], rest, len) == 0)
            return true;
    }
    return false;
}

void settings_warn_of_strangers(const struct settings_table *table)
{
    size_t prefix = strlen(table->prefix);
    for (char **at = environ; at && *at; at++) {
        auto_strbuf struct strbuf near = {0};
        size_t len = strcspn(*at, "=");
        if (strncmp(*at, table->prefix, prefix) != 0 || is_beside(*at + prefix, len - prefix) ||
            look_up(table, *at, len, &near))
            continue;
        char name[NAME_MAX_LEN + 1];
        snprintf(name, sizeof(name), "%.*s", (int)(len < NAME_MAX_LEN ? len : NAME_MAX_LEN), *at);
        log_warn("the environment has a variable that is no setting: not taken",
                 "name=%s did_you_mean=%s", name, near.data && near.len ? near.data : "-");
    }
}
