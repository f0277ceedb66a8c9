/* Who should answer the doctor: the Docker Engine, and the panel. See doctor.h. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/docker.h"
#include "agent/doctor_parts.h"
#include "agent/http_client.h"
#include "agent/loop.h"
#include "agent/service.h"
#include "common/auto.h"
#include "common/clock.h"
#include "common/envelope.h"

#define DOCKER_WAIT_MS 5000
#define PANEL_WAIT_MS  10000
#define CLOCK_OFF_S    30
#define CLOCK_BROKEN_S 86400 /* certificates are good from a day before they are made */
#define NOT_A_PANEL    "%s answers with status %ld, not as a panel does"

/* --- Docker ---------------------------------------------------------------------------------- */

/* 0 or an errno. */
static int try_socket(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(at.sun_path))
        return ENAMETOOLONG;
    memcpy(at.sun_path, path, strlen(path));
    auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
        return errno;
    return 0;
}

static void say_no_socket(struct doctor *doctor, const char *path, int error)
{
    doctor_say(doctor, FINDING_BROKEN, "docker", "can't connect to %s: %s", path, strerror(error));
    if (error == EACCES)
        doctor_advise(
            "the agent's user has to be in the socket's group: adduser panel-agent docker "
            "&& systemctl restart panel-agent");
    else if (access("/usr/bin/dockerd", X_OK) == 0 || access("/usr/sbin/dockerd", X_OK) == 0)
        doctor_advise("Docker is installed and doesn't run: systemctl start docker; why it "
                      "doesn't: journalctl -u docker");
    else
        doctor_advise("Docker is not installed: apt install docker.io; where its socket is "
                      "elsewhere, name it: {\"docker\": \"unix://PATH\"} in " SERVICE_CONFIG
                      ", or --docker unix://PATH");
}

struct probe {
    struct docker *docker;
    bool done;
    struct err err;
};

static void end_probe(void *arg, const struct docker_reply *reply)
{
    struct probe *probe = arg;
    probe->done = true;
    probe->err = reply->err;
}

static bool is_done(void *arg)
{
    return ((struct probe *)arg)->done;
}

static void run_probe(struct loop *loop, struct probe *probe)
{
    struct docker_call *call = docker_probe(probe->docker, end_probe, probe, &probe->err);
    if (!call)
        return;
    loop_run_for(loop, DOCKER_WAIT_MS, is_done, probe);
    if (probe->done)
        return;
    docker_call_cancel(call);
    err_set(&probe->err, ERR_TIMEOUT, "no_answer", "it doesn't answer within %d s",
            DOCKER_WAIT_MS / 1000);
}

static void say_probe(struct doctor *doctor, const struct probe *probe)
{
    const char *path = options_docker_socket(doctor->options);
    if (probe->err.code == ERR_NONE) {
        doctor_say(doctor, FINDING_WELL, "docker", "version %s, API %s at %s",
                   docker_version(probe->docker), docker_api_version(probe->docker), path);
        return;
    }
    doctor_say(doctor, FINDING_BROKEN, "docker", "%s: %s", path, probe->err.msg);
    if (probe->err.code == ERR_PROTOCOL)
        doctor_advise("take a release of Docker and of panel-agent that understand each other: "
                      "API 1.24 to 1.47");
    else
        doctor_advise("systemctl restart docker; containers go on where its live-restore is set");
}

void doctor_check_docker(struct doctor *doctor)
{
    const char *path = options_docker_socket(doctor->options);
    struct loop loop;
    struct probe probe = {0};
    int error = try_socket(path);
    if (error) {
        say_no_socket(doctor, path, error);
        return;
    }
    if (loop_init(&loop, path, &probe.err) < 0) {
        doctor_say(doctor, FINDING_WARNING, "docker", "%s", probe.err.msg);
        return;
    }
    probe.docker = docker_create(loop.http);
    if (probe.docker)
        run_probe(&loop, &probe);
    else
        err_nomem(&probe.err);
    say_probe(doctor, &probe);
    docker_destroy(probe.docker);
    loop_fini(&loop);
}

/* --- the panel ------------------------------------------------------------------------------- */

void doctor_check_clock(struct doctor *doctor, int64_t theirs, int64_t ours)
{
    int64_t off = ours - theirs;
    int64_t far = off < 0 ? -off : off;
    if (far <= CLOCK_OFF_S) {
        doctor_say(doctor, FINDING_WELL, "clock", "as the panel's");
        return;
    }
    doctor_say(doctor, far >= CLOCK_BROKEN_S ? FINDING_BROKEN : FINDING_WARNING, "clock",
               "%lld s %s the panel's%s", (long long)far, off < 0 ? "behind" : "ahead of",
               far >= CLOCK_BROKEN_S ? ": certificates will not be accepted" : "");
    doctor_advise("on whichever is wrong: timedatectl set-ntp true");
}

/* Members of what a panel says of itself. */
static void check_description(struct doctor *doctor, const char *url, long status, const char *body)
{
    json_t *root = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
    const json_t *version = json_object_get(root, "protocolVersion");
    json_int_t theirs = json_integer_value(version);
    if (status == 200 && json_is_integer(version)) {
        bool same = theirs >= WIRE_PROTOCOL_OLDEST && theirs <= WIRE_PROTOCOL_NEWEST;
        doctor_say(doctor, same ? FINDING_WELL : FINDING_BROKEN, "panel",
                   "%s speaks version %lld of the protocol, this agent %u", url, (long long)theirs,
                   WIRE_PROTOCOL_VERSION);
        if (!same)
            doctor_advise("install the same release of panel and panel-agent");
    } else if (status == 405 && json_object_get(root, "requestId")) {
        doctor_say(doctor, FINDING_WARNING, "panel", "%s is older and doesn't tell its version",
                   url);
        doctor_advise("install the same release of panel and panel-agent");
    } else {
        doctor_say(doctor, doctor->joined ? FINDING_WARNING : FINDING_BROKEN, "panel", NOT_A_PANEL,
                   url, status);
        doctor_advise("is that its address? --panel URL names another");
    }
    json_decref(root);
}

/* Once joined, a node needs nothing of the panel's HTTP: the panel comes to it. */
static void say_no_panel(struct doctor *doctor, const struct err *err)
{
    doctor_say(doctor, doctor->joined ? FINDING_WARNING : FINDING_BROKEN, "panel", "%s", err->msg);
    if (strcmp(err->reason, HTTP_UNTRUSTED) == 0) {
        doctor_advise("panel-agent doctor --ca-cert FILE; a join with it keeps it");
        return;
    }
    doctor_advise(
        "is that its address, does paneld run (systemctl status paneld) and listen beyond "
        "127.0.0.1 (\"listen\" in /etc/panel/paneld.json), is its port open?");
}

/* What is at an http:// address has moved when https:// is spoken there, trusted or not. */
static bool has_moved(const char *full)
{
    auto_free char *https = NULL;
    auto_free char *body = NULL;
    int64_t date;
    long status;
    struct err err = {0};
    if (strncasecmp(full, "http://", 7) != 0 || asprintf(&https, "https://%s", full + 7) < 0) {
        https = NULL;
        return false;
    }
    return http_get(https, NULL, PANEL_WAIT_MS, &status, &date, &body, &err) == 0 ||
           strcmp(err.reason, HTTP_UNTRUSTED) == 0;
}

static void say_moved(struct doctor *doctor, const char *url)
{
    const char *rest = url + strlen("http://");
    doctor_say(doctor, doctor->joined ? FINDING_WARNING : FINDING_BROKEN, "panel",
               "%s speaks HTTPS now: its address is https://%s", url, rest);
    doctor_advise("panel-agent doctor --panel https://%s, with --ca-cert FILE where its CA is your "
                  "own%s",
                  rest,
                  doctor->joined ? "; the node works on as it is, and a join anew keeps the address"
                                 : "; join likewise");
}

void doctor_check_panel(struct doctor *doctor, const char *url, const char *ca)
{
    auto_free char *full = NULL;
    auto_free char *body = NULL;
    int64_t date = -1;
    long status = 0;
    struct err err = {0};
    if (!url) {
        if (!doctor->joined)
            return;
        doctor_say(doctor, FINDING_WARNING, "panel", "its address isn't known: not looked at");
        doctor_advise("name it: panel-agent doctor --panel URL");
        return;
    }
    size_t len = strlen(url);
    while (len && url[len - 1] == '/')
        len--;
    if (asprintf(&full, "%.*s/join", (int)len, url) < 0) {
        full = NULL;
        return;
    }
    int rc = http_get(full, ca, PANEL_WAIT_MS, &status, &date, &body, &err);
    if ((rc < 0 || (status != 200 && status != 405)) && has_moved(full)) {
        say_moved(doctor, url);
        return;
    }
    if (rc < 0) {
        say_no_panel(doctor, &err);
        return;
    }
    check_description(doctor, url, status, body);
    if (date >= 0)
        doctor_check_clock(doctor, date, clock_wall_ms() / 1000);
}
