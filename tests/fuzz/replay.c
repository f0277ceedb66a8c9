/* Runs a target over files, without libFuzzer: fuzz_NAME FILE... A fault ends the program. */
#include <stdio.h>
#include <stdlib.h>

#include "common/fs.h"
#include "tests/fuzz/fuzz.h"

#define FILE_MAX (4u << 20)

#pragma weak LLVMFuzzerInitialize

int main(int argc, char **argv)
{
    if (LLVMFuzzerInitialize)
        LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) {
        char *data;
        size_t len;
        struct err err = {0};
        fprintf(stderr, "%s\n", argv[i]); /* the last one is at fault, if any */
        if (fs_read(argv[i], FILE_MAX, &data, &len, &err) < 0) {
            fprintf(stderr, "%s\n", err.msg);
            return 2;
        }
        /* of just its length, so that the sanitizer sees who reads past it */
        uint8_t *exact = realloc(data, len ? len : 1);
        LLVMFuzzerTestOneInput(exact ? exact : (uint8_t *)data, len);
        free(exact ? exact : (uint8_t *)data);
    }
    printf("%d inputs\n", argc - 1);
    return 0;
}
