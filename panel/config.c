/* The panel's settings. See config.h. */
#include "panel/config.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/crypto.h"
#include "common/fs.h"
#include "common/log_settings.h"
#include "panel/http/tls.h"

#define PEM_MAX (1u << 20)

/* --- what fits ------------------------------------------------------------------------------- */

/* An IP literal, IPv6 in brackets, and a port. The outputs may be NULL. */
static bool read_listen(const char *text, char *address, size_t size, uint16_t *port)
{
    char host[64];
    unsigned char binary[16];
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (!colon || len >= sizeof(host) || len >= size)
        return false;
    memcpy(host, text, len);
    host[len] = '\0';
    char *end = NULL;
    long number = colon[1] >= '0' && colon[1] <= '9' ? strtol(colon + 1, &end, 10) : -1;
    if (number < 0 || number > 65535 || *end ||
        (inet_pton(AF_INET, host, binary) != 1 && inet_pton(AF_INET6, host, binary) != 1))
        return false;
    memcpy(address, host, len + 1);
    *port = (uint16_t)number;
    return true;
}

static bool is_listen(const char *text)
{
    char address[64];
    uint16_t port;
    return read_listen(text, address, sizeof(address), &port);
}

static bool is_proxies(const char *text)
{
    struct http_proxies proxies;
    return http_proxies_read(text, &proxies);
}

/* With a host, and with nothing that can't stand in one. */
static bool is_url(const char *text)
{
    size_t scheme = strncmp(text, "http://", 7) == 0    ? 7
                    : strncmp(text, "https://", 8) == 0 ? 8
                                                        : 0;
    if (!scheme || !text[scheme] || text[scheme] == '/')
        return false;
    for (; *text; text++) {
        if (*text <= 0x20 || *text >= 0x7f || strchr("\"'<>\\?#", *text))
            return false;
    }
    return true;
}

/* What must hold for several together. */
static void check(const void *values, struct strbuf *faults)
{
    const struct config *config = values;
    if (!config->tls_cert != !config->tls_key &&
        settings_both_fit(&config_table, values, "tlsCert", "tlsKey"))
        strbuf_fmt(faults,
                   "tlsCert and tlsKey go together, and only %s is set; set the other, too\n",
                   config->tls_cert ? "tlsCert" : "tlsKey");
    if (config->auto_port_first > config->auto_port_last &&
        settings_both_fit(&config_table, values, "autoPortFirst", "autoPortLast"))
        strbuf_fmt(faults, "autoPortFirst (%lld) must not be above autoPortLast (%lld)\n",
                   (long long)config->auto_port_first, (long long)config->auto_port_last);
}

/* --- the table ------------------------------------------------------------------------------- */

#define AT(member) offsetof(struct config, member)

static const char *const metrics_access_names[] = {
    [METRICS_KEYED] = "key", [METRICS_LOOPBACK] = "loopback", [METRICS_OPEN] = "open", NULL};

static const struct setting rows[] = {
    {.name = "data",
     .kind = SETTING_TEXT,
     .offset = AT(data),
     .preset = "/var/lib/panel",
     .form = "a folder",
     .word = "DIR",
     .help = "where everything is kept"},
    {.name = "listen",
     .kind = SETTING_TEXT,
     .offset = AT(listen),
     .preset = "127.0.0.1:3001",
     .fits = is_listen,
     .form = "an IP address and a port, such as 127.0.0.1:3001 or [::1]:3001",
     .word = "ADDR:PORT",
     .help = "IP address and port of the API; port 0 picks a free one. Beyond loopback, use TLS or "
             "a TLS proxy: without TLS a line of the log warns"},
    {.name = "tlsCert",
     .kind = SETTING_TEXT,
     .offset = AT(tls_cert),
     .none = "none",
     .form = "a file with a certificate and its chain (PEM)",
     .word = "FILE",
     .part = CONFIG_TLS,
     .help = "serve HTTPS with this certificate, followed by its chain (PEM)"},
    {.name = "tlsKey",
     .kind = SETTING_TEXT,
     .offset = AT(tls_key),
     .none = "none",
     .form = "a file with the certificate's key (PEM)",
     .word = "FILE",
     .part = CONFIG_TLS,
     .help = "the key of that certificate (PEM, not encrypted)"},
    {.name = "tlsWatchMs",
     .kind = SETTING_NUMBER,
     .offset = AT(tls_watch_ms),
     .preset = "10000",
     .least = 0,
     .most = 86400000,
     .unit = "ms",
     .word = "N",
     .part = CONFIG_TLS_WATCH,
     .help = "how often both files are looked at; once they have changed and fit each other, new "
             "connections get them. 0: only at SIGHUP"},
    {.name = "publicUrl",
     .kind = SETTING_TEXT,
     .offset = AT(public_url),
     .none = "the request's own Host",
     .fits = is_url,
     .form = "a URL that begins with http:// or https://, such as https://panel.example.com",
     .word = "URL",
     .help = "what joinCommand tells agents to join at; set it when nodes are on other machines"},
    {.name = "trustedProxies",
     .kind = SETTING_TEXT,
     .offset = AT(trusted_proxies),
     .none = "none",
     .fits = is_proxies,
     .form = "up to 16 IP addresses with commas between, such as 127.0.0.1,::1",
     .word = "ADDR,...",
     .help = "from these the last address in X-Forwarded-For that isn't one of them is the "
             "client's, for the limits on logins and the log; without, all behind a proxy share "
             "one limit"},
    LOG_SETTINGS(struct config, CONFIG_LOG),
    {.name = "metricsAccess",
     .kind = SETTING_CHOICE,
     .offset = AT(metrics_access),
     .preset = "key",
     .choices = metrics_access_names,
     .word = "WHO",
     .help = "who may see /metrics. key: who has an API key with the scope metrics:read; loopback: "
             "also who connects from this machine, a proxy on it too; open: everybody"},
    {.name = "heartbeatMs",
     .kind = SETTING_NUMBER,
     .offset = AT(heartbeat_ms),
     .preset = "5000",
     .least = 100,
     .most = 60000,
     .unit = "ms",
     .word = "N",
     .part = CONFIG_FLEET,
     .help = "how often each node is heard; it is Suspect after one missed beat, Offline after "
             "three"},
    {.name = "installTimeoutMs",
     .kind = SETTING_NUMBER,
     .offset = AT(install_timeout_ms),
     .preset = "1800000",
     .least = 1000,
     .most = 86400000,
     .unit = "ms",
     .word = "N",
     .part = CONFIG_FLEET,
     .help = "INSTALLING has ended by then, in READY or FAILED"},
    {.name = "stopTimeoutMs",
     .kind = SETTING_NUMBER,
     .offset = AT(stop_timeout_ms),
     .preset = "60000",
     .least = 1000,
     .most = 3600000,
     .unit = "ms",
     .word = "N",
     .part = CONFIG_FLEET,
     .help = "stopping an instance has ended by then, too"},
    {.name = "autoPortFirst",
     .kind = SETTING_NUMBER,
     .offset = AT(auto_port_first),
     .preset = "20000",
     .least = 1,
     .most = 65535,
     .word = "PORT",
     .help = "the first host port that auto picks, on nodes without a portRange"},
    {.name = "autoPortLast",
     .kind = SETTING_NUMBER,
     .offset = AT(auto_port_last),
     .preset = "29999",
     .least = 1,
     .most = 65535,
     .word = "PORT",
     .help = "the last of them"},
    {.name = "memoryOvercommit",
     .kind = SETTING_RATIO,
     .offset = AT(memory_overcommit),
     .preset = "1.0",
     .least = 0.1,
     .most = 100,
     .word = "RATIO",
     .help = "how much of a node's memory may be promised, where its overcommit doesn't say"},
    {.name = "rateLimit",
     .kind = SETTING_NUMBER,
     .offset = AT(rate_limit),
     .preset = "60000",
     .least = 0,
     .most = 1000000000,
     .unit = "requests",
     .word = "N",
     .part = CONFIG_API,
     .help = "how many requests a minute each key may make that has no limit of its own; 0: any "
             "number"},
    {.name = "sessionHours",
     .kind = SETTING_NUMBER,
     .offset = AT(session_hours),
     .preset = "12",
     .least = 1,
     .most = 8760,
     .unit = "hours",
     .word = "N",
     .part = CONFIG_API,
     .help = "from a login to the end of its session; those under way keep theirs"},
    {.name = "auditDays",
     .kind = SETTING_NUMBER,
     .offset = AT(audit_days),
     .preset = "90",
     .least = 1,
     .most = 36500,
     .unit = "days",
     .word = "N",
     .part = CONFIG_AUDIT,
     .help = "for how long GET /api/audit remembers who changed what"},
};
_Static_assert(ARRAY_LEN(rows) <= SETTINGS_MAX, "more settings than a head has room for");

const struct settings_table config_table = {
    .prefix = "PANELD_", .rows = rows, .count = ARRAY_LEN(rows), .check = check};

int config_load(struct config *config, const struct settings_given *given, struct strbuf *faults)
{
    if (settings_load(&config_table, given, config, faults) < 0)
        return -1;
    (void)read_listen(config->listen, config->address, sizeof(config->address), &config->port);
    (void)http_proxies_read(config->trusted_proxies, &config->proxies);
    return 0;
}

void config_fini(struct config *config)
{
    settings_fini(&config_table, config);
}

/* --- TLS ------------------------------------------------------------------------------------- */

/* "PLACE must be FORM, not "FILE": why" */
static int tls_fault(const struct config *config, const char *name, const char *value,
                     const char *why, struct strbuf *faults)
{
    size_t row = (size_t)settings_find(&config_table, name);
    settings_put_place(&config_table, config, row, faults);
    strbuf_fmt(faults, " must be %s, not ", rows[row].form);
    settings_put_quoted(faults, value);
    strbuf_fmt(faults, ": %s\n", why);
    return -1;
}

int config_load_tls(const struct config *config, struct tls_pair **ret_pair, struct strbuf *faults)
{
    auto_free char *cert = NULL;
    auto_free char *key = NULL;
    size_t key_len = 0;
    struct err err = {0};
    int rc = 0;
    *ret_pair = NULL;
    if (!config->tls_cert || !config->tls_key)
        return 0;
    if (fs_read(config->tls_cert, PEM_MAX, &cert, NULL, &err) < 0)
        rc = tls_fault(config, "tlsCert", config->tls_cert, err.msg, faults);
    if (fs_read(config->tls_key, PEM_MAX, &key, &key_len, &err) < 0)
        rc = tls_fault(config, "tlsKey", config->tls_key, err.msg, faults);
    if (rc == 0 && tls_pair_create(cert, key, ret_pair, &err) < 0) {
        bool is_cert = strcmp(err.reason, "bad_certificate") == 0;
        rc = tls_fault(config, is_cert ? "tlsCert" : "tlsKey",
                       is_cert ? config->tls_cert : config->tls_key, err.msg, faults);
    }
    if (key)
        crypto_wipe(key, key_len);
    return rc;
}

void config_judge_tls(const struct config *config, const struct tls_pair *pair,
                      struct strbuf *faults)
{
    int64_t now = clock_wall_ms() / 1000;
    bool early = now < tls_pair_not_before(pair);
    char when[CLOCK_ISO_LEN];
    if (!early && now <= tls_pair_not_after(pair))
        return;
    clock_format_iso((early ? tls_pair_not_before(pair) : tls_pair_not_after(pair)) * 1000, when);
    size_t row = (size_t)settings_find(&config_table, "tlsCert");
    settings_put_place(&config_table, config, row, faults);
    strbuf_str(faults, " must be a certificate that is valid now; that in ");
    settings_put_quoted(faults, config->tls_cert);
    strbuf_fmt(faults, " %s %s\n", early ? "begins at" : "ended at", when);
}
