/* The small languages: image references, ports, amounts, names, addresses, URLs, media types. What
 * is accepted must mean one thing, to the panel and to the agent. The first byte picks one. */
#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/address.h"
#include "agent/container_spec.h"
#include "agent/docker.h"
#include "common/envelope.h"
#include "common/strbuf.h"
#include "common/utf8.h"
#include "panel/api/body.h"
#include "panel/config.h"
#include "panel/domain/image_ref.h"
#include "panel/domain/ports.h"
#include "panel/domain/quantity.h"
#include "panel/domain/text.h"
#include "panel/http/uri.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_init();
    return 0;
}

/* A refusal names the field and says something that a client can be shown. */
static bool refused(int rc, const struct err *err)
{
    if (rc == 0)
        return false;
    CHECK(rc == -1 && err->code == ERR_INVALID && strcmp(err->reason, "invalid_field") == 0);
    CHECK(strcmp(err->field, "f") == 0 && err->msg[0] && utf8_is_valid(err->msg));
    return true;
}

static void try_image(const char *s)
{
    struct err err = {0};
    if (refused(image_ref_check("f", s, &err), &err))
        return;
    CHECK(docker_image_is_sane(s)); /* or the agent would refuse for ever */
}

static void write_ports(struct strbuf *out, const struct port_mapping *ports, size_t count)
{
    for (size_t i = 0; i < count; i++)
        strbuf_fmt(out, "%s%u:%u%s", i ? "," : "", ports[i].container_port, ports[i].host_port,
                   ports[i].tcp && ports[i].udp ? ""
                   : ports[i].tcp               ? "/tcp"
                                                : "/udp");
}

static void try_ports(const char *s, const char *primary)
{
    struct err err = {0};
    struct port_mapping ports[PORTS_MAX];
    struct port_mapping again[PORTS_MAX];
    size_t count;
    size_t count_again;
    uint16_t port;
    if (refused(ports_parse("f", s, ports, &count, &err), &err))
        return;
    CHECK(count > 0 && count <= PORTS_MAX);
    auto_strbuf struct strbuf text = {0};
    write_ports(&text, ports, count);
    CHECK(ports_parse("f", text.data, again, &count_again, NULL) == 0 && count == count_again);
    for (size_t i = 0; i < count; i++) {
        CHECK(ports[i].container_port && (ports[i].tcp || ports[i].udp));
        CHECK(ports[i].container_port == again[i].container_port &&
              ports[i].host_port == again[i].host_port && ports[i].tcp == again[i].tcp &&
              ports[i].udp == again[i].udp);
    }
    if (refused(ports_parse_primary("f", primary, ports, count, &port, &err), &err) || !port)
        return;
    bool among = false;
    for (size_t i = 0; i < count; i++)
        among |= ports[i].host_port == port;
    CHECK(among);
}

static void try_amounts(const char *s)
{
    struct err err = {0};
    uint64_t mib;
    uint64_t mib_again;
    int64_t milli;
    int64_t milli_again;
    char text[32];
    if (!refused(quantity_parse_mib("f", s, QUANTITY_MEMORY_MIN_MIB, &mib, &err), &err)) {
        CHECK(mib >= QUANTITY_MEMORY_MIN_MIB && mib <= QUANTITY_MIB_MAX);
        snprintf(text, sizeof(text), "%llu MiB", (unsigned long long)mib);
        CHECK(quantity_parse_mib("f", text, mib, &mib_again, NULL) == 0 && mib == mib_again);
    }
    if (!refused(quantity_parse_cpu("f", s, &milli, &err), &err)) {
        CHECK(milli >= QUANTITY_CPU_MIN_MILLI && milli <= QUANTITY_CPU_MAX_MILLI);
        snprintf(text, sizeof(text), "%lld.%03lld", (long long)(milli / 1000),
                 (long long)(milli % 1000));
        CHECK(quantity_parse_cpu("f", text, &milli_again, NULL) == 0 && milli == milli_again);
    }
}

static void try_names(const char *s)
{
    struct err err = {0};
    if (!utf8_is_valid(s)) /* never comes that far */
        return;
    if (!refused(text_check_name("f", s, 64, &err), &err))
        CHECK(*s && strlen(s) <= (size_t)64 * 4 && !strpbrk(s, "\r\n\t\x7f"));
    if (!refused(text_check_line("f", s, 64, &err), &err))
        CHECK(strlen(s) <= 64 && !strpbrk(s, "\r\n\t\x7f"));
    if (!refused(text_check_email("f", s, &err), &err))
        CHECK(strchr(s, '@') && !strpbrk(s, " \r\n,;<>\""));
    /* both sides must agree on what an id is */
    CHECK(refused(text_check_id("f", s, &err), &err) == (envelope_check_id(s) < 0));
    if (text_is_env_name(s))
        CHECK(!strpbrk(s, "= \n") && *s);
}

static void try_address(const char *s)
{
    struct err err = {0};
    if (!utf8_is_valid(s))
        return;
    if (!refused(text_check_address("f", s, &err), &err))
        CHECK(*s && strlen(s) <= 253 && !strpbrk(s, " /%[]@\r\n"));
    if (!refused(text_check_port("f", s, &err), &err))
        CHECK(strtol(s, NULL, 10) >= 1 && strtol(s, NULL, 10) <= 65535 && isdigit(s[0]));
    if (address_is_listen(s))
        CHECK(strrchr(s, ':') && strtol(strrchr(s, ':') + 1, NULL, 10) >= 1);
    if (address_is_loopback(s))
        CHECK(address_is_local(s));
}

/* A mount path that the panel takes must be one that the agent takes. */
static void try_mount(const char *s)
{
    struct err err = {0};
    if (!utf8_is_valid(s) || refused(text_check_mount_path("f", s, &err), &err))
        return;
    Wire__InstanceSpec spec = WIRE__INSTANCE_SPEC__INIT;
    spec.image = (char *)"busybox";
    spec.memory_bytes = 64 << 20;
    spec.nano_cpus = 500000000;
    spec.volume_id = (char *)"v";
    spec.mount_path = (char *)(uintptr_t)s;
    CHECK(container_spec_check(&spec, &err) == 0);
}

static void encode(struct strbuf *out, const char *s)
{
    for (; *s; s++)
        strbuf_fmt(out, *s == '/' ? "/" : "%%%02X", (unsigned char)*s);
}

static void try_url(const char *s, size_t len)
{
    struct uri uri;
    struct uri again;
    char *scratch = malloc(URI_SCRATCH_SIZE(len));
    CHECK(scratch);
    const char *wrong = uri_parse(s, len, scratch, &uri);
    if (wrong) {
        CHECK(wrong[0] && utf8_is_valid(wrong));
        free(scratch);
        return;
    }
    CHECK(uri.path[0] == '/' && utf8_is_valid(uri.path));
    for (const unsigned char *p = (const unsigned char *)uri.path; *p; p++)
        CHECK(*p >= 0x20 && *p != 0x7f);
    const char *at = uri.params;
    for (size_t i = 0; i < uri.param_count; i++) {
        CHECK(at >= scratch && at < scratch + URI_SCRATCH_SIZE(len) && utf8_is_valid(at));
        CHECK(uri_param(&uri, at));
        at += strlen(at) + 1;
        CHECK(utf8_is_valid(at));
        at += strlen(at) + 1;
    }
    CHECK(at <= scratch + URI_SCRATCH_SIZE(len));
    auto_strbuf struct strbuf text = {0};
    encode(&text, uri.path);
    char *scratch_again = malloc(URI_SCRATCH_SIZE(text.len));
    CHECK(scratch_again);
    CHECK(!uri_parse(text.data, text.len, scratch_again, &again));
    CHECK(strcmp(uri.path, again.path) == 0);
    free(scratch_again);
    free(scratch);
}

static void try_utf8(const char *s, size_t len)
{
    char copy[16];
    json_t *theirs = json_stringn(s, strlen(s)); /* jansson's own idea of it */
    CHECK(utf8_is_valid(s) == (theirs != NULL));
    json_decref(theirs);
    utf8_copy(copy, sizeof(copy), s);
    CHECK(utf8_is_valid(copy) && strlen(copy) < sizeof(copy));
    if (len < sizeof(copy) && utf8_is_valid(s))
        CHECK(strcmp(copy, s) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    uint8_t what = fuzz_byte(&in);
    size_t len;
    char *more = what == 'p' ? fuzz_text(&in, '\n', NULL) : NULL;
    char *s = fuzz_rest(&in, &len);
    switch (what) {
    case 'i':
        try_image(s);
        break;
    case 'p':
        try_ports(s, more);
        break;
    case 'q':
        try_amounts(s);
        break;
    case 'n':
        try_names(s);
        break;
    case 'a':
        try_address(s);
        break;
    case 'm':
        try_mount(s);
        break;
    case 'u':
        try_url(s, len);
        break;
    case '8':
        try_utf8(s, len);
        break;
    case 't':
        (void)body_is_json_type(s);
        break;
    default:
        free(more);
        free(s);
        return -1; /* not worth keeping */
    }
    free(more);
    free(s);
    return 0;
}
