/* What the fuzz targets share.
 *
 * A target is one file, fuzz_NAME.c, with LLVMFuzzerTestOneInput(): built with clang by the preset
 * "fuzz" it is libFuzzer's, built by any other it replays files (replay.c). It checks more than
 * that nothing crashes: CHECK() what must hold for any input. One input leaves nothing behind for
 * the next. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Optional; once, before the first input. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what))                                                                               \
            fuzz_broken(#what, __FILE__, __LINE__);                                                \
    } while (0)
void fuzz_broken(const char *what, const char *file, int line) __attribute__((noreturn));

/* For LLVMFuzzerInitialize(): quiet logs, randomness, and nothing of ours in the way. */
void fuzz_init(void);
/* An empty folder that is removed when the program ends. */
const char *fuzz_folder(void);

/* Of clock.c, for targets that are linked with it. */
extern int64_t fuzz_now_ms;

/* What is left of an input. */
struct fuzz_input {
    const uint8_t *data;
    size_t size;
};
/* The next byte, 0 past the end. */
uint8_t fuzz_byte(struct fuzz_input *in);
/* A copy of the next stretch, up to and without sep (which is skipped), for the caller to free: of
 * just the length it has and a NUL, so that the sanitizer sees who reads past it. A NUL in it ends
 * it for those who read a text. */
char *fuzz_text(struct fuzz_input *in, int sep, size_t *ret_len);
/* All the rest likewise. */
char *fuzz_rest(struct fuzz_input *in, size_t *ret_len);

#endif
