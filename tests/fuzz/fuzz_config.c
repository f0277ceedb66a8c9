/* The panel's config file. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/json_writer.h"
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
    CHECK(config->data && config->listen);
    CHECK(config->heartbeat_ms >= 100 && config->heartbeat_ms <= 60000);
    CHECK(config->install_timeout_ms >= 1000 && config->install_timeout_ms <= 86400000);
    CHECK(config->stop_timeout_ms >= 1000 && config->stop_timeout_ms <= 3600000);
    CHECK(config->auto_port_first >= 1 && config->auto_port_first <= config->auto_port_last &&
          config->auto_port_last <= 65535);
    CHECK(config->memory_overcommit >= 0.1 && config->memory_overcommit <= 100);
    CHECK(config->address[0] && strlen(config->address) < sizeof(config->address));
    CHECK(!config->tls_cert == !config->tls_key);
    CHECK(config->log_level >= LOG_DEBUG && config->log_level <= LOG_ERROR);
}

/* What is in force reads as JSON. */
static void check_shown(const struct config *config)
{
    auto_strbuf struct strbuf out = {0};
    jw_object_begin(&out, NULL);
    settings_put_json(&config_table, config, NULL, 0, &out);
    jw_object_end(&out);
    CHECK(!out.failed);
    json_t *root = json_loads(out.data, JSON_REJECT_DUPLICATES, NULL);
    CHECK(json_array_size(json_object_get(root, "settings")) == config_table.count);
    json_decref(root);
}

/* Faults are whole lines without control characters. */
static void check_faults(const struct strbuf *faults)
{
    CHECK(faults->len && faults->data[faults->len - 1] == '\n' && utf8_is_valid(faults->data));
    for (size_t i = 0; i < faults->len; i++)
        CHECK((unsigned char)faults->data[i] >= 0x20 || faults->data[i] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config = {0};
    auto_strbuf struct strbuf faults = {0};
    struct settings_given given = {.file = path};
    CHECK(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
    if (config_load(&config, &given, &faults) == 0) {
        check_settings(&config);
        check_shown(&config);
    } else {
        check_faults(&faults);
    }
    config_fini(&config);
    return 0;
}
