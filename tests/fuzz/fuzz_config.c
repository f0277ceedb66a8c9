/* The panel's config file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/utf8.h"
#include "panel/config.h"
#include "tests/fuzz/fuzz.h"

static int file = -1;
static char path[64];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_init();
    file = memfd_create("config", MFD_CLOEXEC);
    CHECK(file >= 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    return 0;
}

static void check_settings(const struct config *config)
{
    CHECK(config->data_dir && config->listen && config->log_level);
    CHECK(config->heartbeat_ms >= 100 && config->heartbeat_ms <= 60000);
    CHECK(config->install_timeout_ms >= 1000 && config->install_timeout_ms <= 86400000);
    CHECK(config->stop_timeout_ms >= 1000 && config->stop_timeout_ms <= 3600000);
    CHECK(config->auto_port_first >= 1 && config->auto_port_first <= config->auto_port_last &&
          config->auto_port_last <= 65535);
    CHECK(config->memory_overcommit >= 0.1 && config->memory_overcommit <= 100);
    CHECK(config->address[0] && strlen(config->address) < sizeof(config->address));
    CHECK(!config->tls_cert == !config->tls_key);
    CHECK(config->level >= LOG_DEBUG && config->level <= LOG_ERROR);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config;
    struct err err = {0};
    CHECK(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
    CHECK(config_init(&config, &err) == 0);
    if (config_read_file(&config, path, &err) == 0 && config_check(&config, &err) == 0)
        check_settings(&config);
    else
        CHECK(err.code == ERR_INVALID && err.msg[0]);
    config_fini(&config);
    return 0;
}
