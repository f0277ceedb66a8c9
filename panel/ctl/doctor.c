/* panelctl doctor: what is wrong between here, the panel and its nodes, and what to do about it.
 *
 * Each check adds findings: ok, warn or FAIL, with a way out. The first that fails at the bottom
 * (no address, no key) ends it, since what stands on it can't be seen. Changes nothing. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/iso_time.h"
#include "panel/ctl/api.h"
#include "panel/ctl/common_steps.h"
#include "panel/ctl/handlers.h"
#include "panel/ctl/table.h"
#include "panel/ctl/text.h"

#define SKEW_WARN_S    5
#define SKEW_BAD_S     60
#define CERT_WARN_DAYS 30
#define DISK_WARN      90 /* percent */
#define DAY_S          86400

struct doctor {
    struct ctl *ctl;
    json_t *findings;
    bool failed;
    bool nodes_unseen; /* the key is a user's */
    bool out_of_memory;
};

enum grade { GRADE_OK, GRADE_WARN, GRADE_FAIL };

/* fix: NULL where there is nothing to do. */
static void find(struct doctor *doctor, enum grade grade, const char *check, const char *fix,
                 const char *fmt, ...) __attribute__((format(printf, 5, 6)));

static void find(struct doctor *doctor, enum grade grade, const char *check, const char *fix,
                 const char *fmt, ...)
{
    static const char *const words[] = {"ok", "warn", "FAIL"};
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    int len = vasprintf(&text, fmt, ap);
    va_end(ap);
    json_t *row = len < 0 ? NULL
                          : json_pack("{ssssssss?}", "check", check, "status", words[grade],
                                      "message", text, "fix", fix);
    if (!row || json_array_append_new(doctor->findings, row) < 0)
        doctor->out_of_memory = true;
    if (len >= 0)
        free(text);
    doctor->failed |= grade == GRADE_FAIL;
}

/* --- the way to the panel -------------------------------------------------------------------- */

static void check_settings(struct doctor *doctor)
{
    const struct settings *settings = &doctor->ctl->settings;
    find(doctor, GRADE_OK, "config", NULL,
         settings->config_read ? "%s is read" : "%s is not there, and needn't be",
         settings->config_path);
    find(doctor, GRADE_OK, "address", NULL, "%s, from %s", settings->values[SETTING_URL],
         settings->from[SETTING_URL]);
}

static const char *reach_fix(const char *reason)
{
    if (strcmp(reason, "unresolved") == 0)
        return "is the name right? Set the address with --url, PANEL_URL or the config file";
    if (strcmp(reason, "refused") == 0)
        return "does paneld run there, and listen on an address that is reached from here "
               "(its setting \"listen\")? Does a firewall let the port through?";
    if (strcmp(reason, "not_http") == 0)
        return "is it https:// perhaps, or another port? Set the address with --url, PANEL_URL or "
               "the config file";
    if (strcmp(reason, "untrusted") == 0)
        return "for a certificate of your own name its CA with --ca-cert; "
               "is it http:// perhaps, or another host?";
    return "does a firewall drop the port? Is the host up?";
}

static bool is_loopback(const char *url)
{
    static const char *const hosts[] = {"localhost", "[::1]"};
    const char *host = strstr(url, "://") + 3;
    size_t len = strcspn(host, "/");
    const char *port = memrchr(host, ':', len);
    if (port && strspn(port + 1, "0123456789") == len - (size_t)(port + 1 - host))
        len = (size_t)(port - host);
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        if (strlen(hosts[i]) == len && strncmp(host, hosts[i], len) == 0)
            return true;
    }
    return strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == len;
}

static void check_transport(struct doctor *doctor, const struct http_answer *answer)
{
    const char *url = doctor->ctl->settings.values[SETTING_URL];
    if (strncmp(url, "https://", 8) != 0) {
        if (is_loopback(url))
            find(doctor, GRADE_OK, "tls", NULL, "not needed on this host alone");
        else
            find(doctor, GRADE_WARN, "tls",
                 "give paneld --tls-cert and --tls-key, or a TLS proxy, and use https://",
                 "the key crosses the network in the clear");
        return;
    }
    if (!answer->cert_ends_s) {
        find(doctor, GRADE_OK, "tls", NULL, "trusted; when its certificate ends can't be seen");
        return;
    }
    int64_t days = (answer->cert_ends_s - clock_wall_ms() / 1000) / DAY_S;
    if (days < CERT_WARN_DAYS)
        find(doctor, days < 0 ? GRADE_FAIL : GRADE_WARN, "tls",
             "put another certificate in the place of the panel's (its settings tlsCert, tlsKey)",
             "the panel's certificate ends in %lld days", (long long)days);
    else
        find(doctor, GRADE_OK, "tls", NULL, "trusted; the certificate is good for %lld days",
             (long long)days);
}

static void check_clock(struct doctor *doctor, const struct http_answer *answer)
{
    if (!answer->date_s) {
        find(doctor, GRADE_WARN, "clock", NULL, "the answer says no time");
        return;
    }
    long long skew = (long long)(answer->date_s - clock_wall_ms() / 1000);
    long long far = skew < 0 ? -skew : skew;
    find(doctor,
         far > SKEW_BAD_S    ? GRADE_FAIL
         : far > SKEW_WARN_S ? GRADE_WARN
                             : GRADE_OK,
         "clock",
         far > SKEW_WARN_S
             ? "set the clocks right on both (chrony, systemd-timesyncd): join tokens "
               "and certificates are valid by them"
             : NULL,
         "the panel's is %lld s %s this one", far, skew < 0 ? "behind" : "ahead of");
}

/* A user's own key sees no nodes whatever scopes it gets: what it sees is looked at. */
static bool belongs_to_user(struct doctor *doctor, const char *from)
{
    struct err err = {0};
    auto_json json_t *who = NULL;
    if (api_get(doctor->ctl, "/api/auth/me", &who, &err) < 0) {
        api_forget_failure(doctor->ctl);
        return false;
    }
    const char *name = view_text(who, "user.username");
    if (!*name || json_is_true(json_object_get(who, "admin")))
        return false;
    find(doctor, GRADE_OK, "key", NULL,
         "accepted; it is from %s, and is %s's: it sees his instances, and no nodes", from, name);
    doctor->nodes_unseen = true;
    return true;
}

/* False: nothing more can be seen. */
static bool check_key(struct doctor *doctor, const struct http_answer *answer)
{
    struct err err = {0};
    const struct settings *settings = &doctor->ctl->settings;
    auto_strbuf struct strbuf origin = {0};
    settings_add_key_origin(settings, &origin);
    const char *from = origin.data ? origin.data : "";
    if (answer->status / 100 == 2) {
        find(doctor, GRADE_OK, "key", NULL, "accepted; it is from %s", from);
        return true;
    }
    api_fail(doctor->ctl, answer, &err);
    if (strcmp(err.reason, "forbidden") == 0 && belongs_to_user(doctor, from))
        return true;
    if (err.code != ERR_UNAUTHORIZED)
        find(doctor, GRADE_FAIL, "panel", "is this the panel's address, and nothing else's?", "%s",
             err.msg);
    else if (settings->key_fault.code)
        find(doctor, GRADE_FAIL, "key",
             "\"panelctl key create NAME --out FILE\" makes a file that --key-file takes", "%s",
             settings->key_fault.msg);
    else if (!settings->values[SETTING_KEY])
        find(doctor, GRADE_FAIL, "key",
             "on the panel's host: paneld key create --name NAME. Then: export PANEL_API_KEY=…, or "
             "--key-file",
             "no key is set");
    else if (strcmp(err.reason, "forbidden") == 0)
        find(
            doctor, GRADE_FAIL, "key",
            "the doctor looks with nodes:read and instances:read, or read; \"panelctl key whoami\" "
            "tells what this key may",
            "the key from %s may not look: %s", from, err.msg);
    else
        find(doctor, GRADE_FAIL, "key",
             "on the panel's host \"paneld key list\" shows which are valid, and \"paneld key "
             "create\" makes another",
             "the panel refuses the key from %s: %s", from, err.msg);
    return false;
}

static bool check_panel(struct doctor *doctor)
{
    struct err err = {0};
    struct http_answer answer = {0};
    struct http_request request = {.method = "GET", .path = "/api/nodes?limit=1"};
    if (http_send(doctor->ctl->http, &request, &answer, &err) < 0) {
        find(doctor, GRADE_FAIL, "panel", reach_fix(err.reason), "%s", err.msg);
        return false;
    }
    find(doctor, GRADE_OK, "panel", NULL, "answers");
    check_transport(doctor, &answer);
    check_clock(doctor, &answer);
    bool good = check_key(doctor, &answer);
    http_answer_fini(&answer);
    return good;
}

/* Does it do what it is for? A read of its lists tells nothing of a disk that is full. */
static void check_ready(struct doctor *doctor)
{
    struct err err = {0};
    struct http_answer answer = {0};
    struct http_request request = {.method = "GET", .path = "/readyz"};
    if (http_send(doctor->ctl->http, &request, &answer, &err) < 0) {
        find(doctor, GRADE_FAIL, "ready", reach_fix(err.reason), "%s", err.msg);
        return;
    }
    if (answer.status / 100 == 2) {
        find(doctor, GRADE_OK, "ready", NULL, "it can write");
    } else if (answer.status == 404) {
        find(doctor, GRADE_OK, "ready", NULL, "not asked: /readyz is not passed on to it");
    } else {
        api_fail(doctor->ctl, &answer, &err);
        find(doctor, GRADE_FAIL, "ready",
             "on the panel's host: df and the log (journalctl -u paneld); until then changes are "
             "refused, and what runs goes on",
             "%s", err.msg);
    }
    http_answer_fini(&answer);
}

/* --- versions -------------------------------------------------------------------------------- */

/* The panel tells its version in its description, where it serves one. */
static void check_version(struct doctor *doctor)
{
    struct err err = {0};
    auto_json json_t *description = NULL;
    const char *version = "";
    if (api_get(doctor->ctl, "/api/openapi.json", &description, &err) == 0)
        version = view_text(description, "info.version");
    if (!*version)
        find(doctor, GRADE_OK, "version", NULL,
             "panelctl is " PANEL_VERSION "; the panel doesn't tell its own");
    else if (strcmp(version, PANEL_VERSION) == 0)
        find(doctor, GRADE_OK, "version", NULL, "panelctl and panel are both " PANEL_VERSION);
    else
        find(doctor, GRADE_WARN, "version", "install the same version of both",
             "panelctl is " PANEL_VERSION ", the panel %s", version);
}

/* --- nodes ----------------------------------------------------------------------------------- */

static void add_since(const json_t *node, struct strbuf *out)
{
    uint64_t ns;
    const char *seen = view_text(node, "lastSeen");
    if (!iso_time_parse(seen, &ns))
        return;
    strbuf_str(out, ", last seen ");
    text_add_duration(out, clock_wall_ms() / 1000 - (int64_t)(ns / 1000000000u));
    strbuf_str(out, " ago");
}

static void check_status(struct doctor *doctor, const json_t *node)
{
    auto_strbuf struct strbuf since = {0};
    auto_strbuf struct strbuf fix = {0};
    const char *status = view_text(node, "status");
    const char *name = view_text(node, "name");
    add_since(node, &since);
    const char *ago = since.data ? since.data : "";
    if (strcmp(status, "Online") == 0) {
        find(doctor, GRADE_OK, "node", NULL, "%s is Online", name);
    } else if (strcmp(status, "Unconfigured") == 0) {
        strbuf_fmt(&fix, "panelctl node token %s: prints the command to be run there", name);
        find(doctor, GRADE_WARN, "node", fix.data, "%s is Unconfigured: no agent has joined yet",
             name);
    } else if (strcmp(status, "Maintenance") == 0) {
        bool drained = !json_is_null(view_member(node, "drain"));
        strbuf_fmt(&fix, "when it is over: panelctl node undrain %s", name);
        find(doctor, GRADE_WARN, "node", fix.data, "%s is %s: it takes no new instances", name,
             drained ? "drained" : "in maintenance");
    } else {
        strbuf_fmt(&fix,
                   "does %s answer at port %s from the panel's host? There: systemctl status "
                   "panel-agent, and panel-agent's log; is the address right (panelctl node update "
                   "%s --address)? If its certificate ended, or \"paneld ca status\" names it, it "
                   "joins again: panelctl node token %s prints how",
                   view_text(node, "address"), view_text(node, "port"), name, name);
        find(doctor, strcmp(status, "Suspect") == 0 ? GRADE_WARN : GRADE_FAIL, "node", fix.data,
             "%s is %s%s", name, status, ago);
    }
}

static void check_docker(struct doctor *doctor, const json_t *node)
{
    if (strcmp(view_text(node, "docker.status"), "down") == 0)
        find(doctor, GRADE_FAIL, "docker", "on the node: systemctl status docker",
             "%s: its Docker Engine does not answer: %s", view_text(node, "name"),
             view_text(node, "docker.error"));
}

static void check_agent_version(struct doctor *doctor, const json_t *node)
{
    const char *version = view_text(node, "agentVersion");
    if (*version && strcmp(version, PANEL_VERSION) != 0)
        find(doctor, GRADE_WARN, "version", "install the panel's version of panel-agent there",
             "the agent of %s is %s, panelctl " PANEL_VERSION, view_text(node, "name"), version);
}

static void check_room(struct doctor *doctor, const json_t *node)
{
    double disk = json_number_value(view_member(node, "capacity.diskMiB"));
    double used = json_number_value(view_member(node, "usage.diskMiB"));
    json_int_t orphans = json_integer_value(json_object_get(node, "orphans"));
    const char *name = view_text(node, "name");
    if (disk > 0 && used * 100 / disk >= DISK_WARN)
        find(doctor, GRADE_WARN, "disk",
             "on the node: docker system df; make room or move instances",
             "%s: its disk is full to %.0f %%", name, used * 100 / disk);
    if (orphans > 0) {
        auto_strbuf struct strbuf fix = {0};
        strbuf_fmt(&fix, "panelctl node orphans %s lists them, node remove-orphan removes one",
                   name);
        find(doctor, GRADE_WARN, "orphans", fix.data,
             "%s: %lld containers are there that the panel doesn't know", name, (long long)orphans);
    }
}

static int check_nodes(struct doctor *doctor, struct err *err)
{
    auto_json json_t *nodes = NULL;
    size_t i;
    json_t *node;
    if (resolve_list(doctor->ctl, THING_NODE, &nodes, err) < 0)
        return -1;
    if (!json_array_size(nodes))
        find(doctor, GRADE_WARN, "node", "panelctl node create NAME --address HOST",
             "there is no node yet");
    json_array_foreach(nodes, i, node)
    {
        check_status(doctor, node);
        check_docker(doctor, node);
        check_agent_version(doctor, node);
        check_room(doctor, node);
    }
    return 0;
}

/* --- instances ------------------------------------------------------------------------------- */

static int check_instances(struct doctor *doctor, struct err *err)
{
    auto_json json_t *instances = NULL;
    size_t i;
    json_t *row;
    size_t troubled = 0;
    if (resolve_list(doctor->ctl, THING_INSTANCE, &instances, err) < 0) {
        if (!doctor->nodes_unseen || strcmp(err->reason, "forbidden") != 0)
            return -1;
        find(doctor, GRADE_WARN, "instance", "give the key the scope instances:read", "%s",
             err->msg);
        *err = (struct err){0};
        api_forget_failure(doctor->ctl);
        return 0;
    }
    json_array_foreach(instances, i, row)
    {
        const char *state = view_text(row, "State");
        const char *id = view_text(row, "Id");
        auto_strbuf struct strbuf fix = {0};
        bool failed = strcmp(state, "failed") == 0;
        if (!failed && strcmp(state, "crashed") != 0)
            continue;
        troubled++;
        strbuf_fmt(&fix,
                   failed ? "when its cause is mended: panelctl instance retry %s"
                          : "what it said last: panelctl instance logs %s",
                   id);
        find(doctor, GRADE_WARN, "instance", fix.data, "%s (%s) is %s: %s", view_text(row, "Name"),
             id, state, view_text(row, "Error.message"));
    }
    if (!troubled)
        find(doctor, GRADE_OK, "instance", NULL, "%zu, none of them failed or crashed",
             json_array_size(instances));
    return 0;
}

/* --- telling --------------------------------------------------------------------------------- */

static int print_findings(struct doctor *doctor, struct err *err)
{
    struct ctl *ctl = doctor->ctl;
    auto_strbuf struct strbuf out = {0};
    size_t i;
    json_t *row;
    if (view_is_data(ctl))
        return view_print_data(ctl, doctor->findings, err);
    json_array_foreach(doctor->findings, i, row)
    {
        const char *status = view_text(row, "status");
        const char *message = view_text(row, "message");
        const char *fix = view_text(row, "fix");
        char word[8];
        snprintf(word, sizeof(word), "%-4s", status);
        tone_add(&out, word, view_tone(status), ctl->term.colour);
        strbuf_fmt(&out, "  %-9s ", view_text(row, "check"));
        text_add_safe(&out, message, strlen(message));
        strbuf_char(&out, '\n');
        if (*fix) {
            strbuf_str(&out, "                → ");
            text_add_safe(&out, fix, strlen(fix));
            strbuf_char(&out, '\n');
        }
    }
    return view_put(&out, err);
}

int run_doctor(struct ctl *ctl, struct err *err)
{
    struct doctor doctor = {.ctl = ctl, .findings = json_array()};
    int rc = doctor.findings ? 0 : err_nomem(err);
    check_settings(&doctor);
    if (rc == 0 && check_panel(&doctor)) {
        check_ready(&doctor);
        check_version(&doctor);
        rc = doctor.nodes_unseen ? 0 : check_nodes(&doctor, err);
        if (rc == 0)
            rc = check_instances(&doctor, err);
    }
    if (doctor.out_of_memory)
        rc = err_nomem(err);
    else if (print_findings(&doctor, err) < 0)
        rc = -1;
    json_decref(doctor.findings);
    return rc < 0 ? -1 : doctor.failed ? EXIT_FAILED : EXIT_DONE;
}
