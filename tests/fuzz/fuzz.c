/* See fuzz.h. */
#include "tests/fuzz/fuzz.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/fs.h"
#include "common/log.h"

static char folder[256];

void fuzz_broken(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

void fuzz_init(void)
{
    CHECK(crypto_init(NULL) == 0);
    log_level_set(LOG_ERROR);
    signal(SIGPIPE, SIG_IGN);
}

static void remove_folder(void)
{
    (void)fs_remove_tree(folder, NULL);
}

const char *fuzz_folder(void)
{
    const char *top = getenv("TMPDIR");
    snprintf(folder, sizeof(folder), "%s/panel-fuzz.XXXXXX", top ? top : "/tmp");
    CHECK(mkdtemp(folder));
    atexit(remove_folder);
    return folder;
}

uint8_t fuzz_byte(struct fuzz_input *in)
{
    if (!in->size)
        return 0;
    in->size--;
    return *in->data++;
}

static char *take(struct fuzz_input *in, size_t len, size_t *ret_len)
{
    char *text = malloc(len + 1);
    CHECK(text);
    if (len)
        memcpy(text, in->data, len);
    text[len] = '\0';
    in->data += len;
    in->size -= len;
    if (ret_len)
        *ret_len = len;
    return text;
}

char *fuzz_rest(struct fuzz_input *in, size_t *ret_len)
{
    return take(in, in->size, ret_len);
}

char *fuzz_text(struct fuzz_input *in, int sep, size_t *ret_len)
{
    const uint8_t *end = in->size ? memchr(in->data, sep, in->size) : NULL;
    char *text = take(in, end ? (size_t)(end - in->data) : in->size, ret_len);
    if (end)
        (void)fuzz_byte(in);
    return text;
}
