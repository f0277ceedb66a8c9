/* What the doctor looks at on this machine: disk, control groups, the agent's port. See doctor.h.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "agent/address.h"
#include "agent/doctor_parts.h"
#include "common/auto.h"
#include "common/fs.h"

#define MIB             (1024u * 1024u)
#define DISK_LOW        (UINT64_C(2048) * MIB)
#define DISK_LOW_SHARE  20 /* a twentieth */
#define DISK_NONE       (UINT64_C(64) * MIB)
#define CONNECT_WAIT_MS 3000

/* --- disk ------------------------------------------------------------------------------------ */

void doctor_check_disk(struct doctor *doctor, const char *dir)
{
    struct statvfs st;
    if (statvfs(dir, &st) < 0) {
        doctor_say(doctor, FINDING_WARNING, "disk", "can't look at %s: %s", dir, strerror(errno));
        return;
    }
    uint64_t left = (uint64_t)st.f_bavail * st.f_frsize;
    uint64_t all = (uint64_t)st.f_blocks * st.f_frsize;
    bool no_files = st.f_files && !st.f_favail;
    enum finding finding = left < DISK_NONE || no_files                     ? FINDING_BROKEN
                           : left < DISK_LOW || left < all / DISK_LOW_SHARE ? FINDING_WARNING
                                                                            : FINDING_WELL;
    doctor_say(doctor, finding, "disk", "%llu of %llu MiB are free below %s%s",
               (unsigned long long)(left / MIB), (unsigned long long)(all / MIB), dir,
               no_files ? ", but no more files can be made there" : "");
    if (finding != FINDING_WELL)
        doctor_advise("make room: docker image prune; du -xsh %s/volumes/* shows who has how much",
                      dir);
}

/* --- control groups -------------------------------------------------------------------------- */

static bool can_read(const char *dir, const char *name)
{
    auto_free char *path = fs_join(dir, name);
    auto_fd int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    return fd >= 0;
}

void doctor_check_cgroups(struct doctor *doctor, const char *cgroups, const char *proc)
{
    bool v2 = can_read(cgroups, "cgroup.controllers");
    bool v1 = can_read(cgroups, "memory/memory.stat");
    if (!v1 && !v2) {
        doctor_say(doctor, FINDING_WARNING, "cgroups",
                   "no memory statistics in %s: instances will have no stats", cgroups);
        doctor_advise("mount the control groups there, as systemd does");
    } else if (!can_read(proc, "1/cgroup")) {
        doctor_say(doctor, FINDING_WARNING, "cgroups",
                   "processes of others are hidden in %s: instances will have no stats", proc);
        doctor_advise("mount it without hidepid, or with gid= of a group that the agent is in");
    } else {
        doctor_say(doctor, FINDING_WELL, "cgroups", "version %d", v2 ? 2 : 1);
    }
}

/* --- the port -------------------------------------------------------------------------------- */

struct place {
    struct sockaddr_storage address;
    socklen_t len;
    unsigned port;
};

/* text: ADDR:PORT, as address_is_listen() has it. */
static void read_place(const char *text, struct place *ret)
{
    char host[ADDRESS_TEXT_SIZE + 2] = "";
    const char *colon = strrchr(text, ':');
    bool v6 = text[0] == '[';
    *ret = (struct place){.port = (unsigned)strtoul(colon + 1, NULL, 10)};
    snprintf(host, sizeof(host), "%.*s", (int)(colon - text) - 2 * v6, text + v6);
    if (v6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ret->address;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons((uint16_t)ret->port);
        inet_pton(AF_INET6, host, &in6->sin6_addr);
        ret->len = sizeof(*in6);
    } else {
        struct sockaddr_in *in = (struct sockaddr_in *)&ret->address;
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)ret->port);
        inet_pton(AF_INET, host, &in->sin_addr);
        ret->len = sizeof(*in);
    }
}

/* 0 or an errno. */
static int try_bind(const struct place *place)
{
    int on = 1;
    auto_fd int fd = socket(place->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, (const struct sockaddr *)&place->address, place->len) < 0 || listen(fd, 1) < 0)
        return errno;
    return 0;
}

static int try_connect(const struct place *place)
{
    auto_fd int fd =
        socket(place->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    if (connect(fd, (const struct sockaddr *)&place->address, place->len) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    struct pollfd poller = {.fd = fd, .events = POLLOUT};
    int error = ETIMEDOUT;
    socklen_t len = sizeof(error);
    if (poll(&poller, 1, CONNECT_WAIT_MS) == 1)
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
    return error;
}

/* Their files say that they are in use; their rules only root may read. */
static void hint_firewalls(unsigned port)
{
    auto_free char *text = NULL;
    struct err err;
    if (fs_read("/etc/ufw/ufw.conf", 65536, &text, NULL, &err) == 0 &&
        strstr(text, "\nENABLED=yes"))
        doctor_advise("ufw is on here: ufw allow proto tcp from PANEL'S-ADDRESS to any port %u",
                      port);
    if (access("/run/firewalld", F_OK) == 0)
        doctor_advise("firewalld is on here: firewall-cmd --permanent --add-port=%u/tcp && "
                      "firewall-cmd --reload",
                      port);
}

/* A word of a line of /proc/net/tcp, cut out of it; "" at its end. */
static const char *take_word(char **line)
{
    char *word = *line + strspn(*line, " ");
    char *end = word + strcspn(word, " \n");
    *line = *end ? end + 1 : end;
    *end = '\0';
    return word;
}

/* "0200007F:9C40": words of 32 bits in this machine's order, and a port. */
static void read_peer(const char *text, char out[ADDRESS_TEXT_SIZE])
{
    uint32_t words[4] = {0};
    size_t count = strcspn(text, ":") / 8;
    for (size_t i = 0; i < count && i < 4; i++) {
        char word[9];
        snprintf(word, sizeof(word), "%.8s", text + 8 * i);
        words[i] = (uint32_t)strtoul(word, NULL, 16);
    }
    snprintf(out, ADDRESS_TEXT_SIZE, "?");
    inet_ntop(count == 1 ? AF_INET : AF_INET6, words, out, ADDRESS_TEXT_SIZE);
}

/* Is somebody connected to a port of this machine? table: /proc/net/tcp or tcp6. */
static bool find_peer(const char *table, unsigned port, char out[ADDRESS_TEXT_SIZE])
{
    char text[512];
    bool found = false;
    FILE *file = fopen(table, "re");
    while (file && !found && fgets(text, sizeof(text), file)) {
        char *line = text;
        (void)take_word(&line); /* its number */
        const char *local = strrchr(take_word(&line), ':');
        const char *remote = take_word(&line);
        found = strcmp(take_word(&line), "01") == 0 && local && /* established */
                strtoul(local + 1, NULL, 16) == port;
        if (found)
            read_peer(remote, out);
    }
    if (file)
        fclose(file);
    return found;
}

/* The panel keeps one connection up, and leaves a trace here the first time that it comes through.
 * peer: who is connected; NULL when nobody is. */
static void check_visited(struct doctor *doctor, const char *peer, unsigned port)
{
    const struct identity *id = &doctor->identity;
    if (id->epoch && peer) {
        doctor_say(doctor, FINDING_WELL, "port",
                   "the agent listens on %s; the panel is connected, from %s", id->listen, peer);
    } else if (id->epoch) {
        doctor_say(doctor, FINDING_WARNING, "port",
                   "the agent listens on %s; the panel has been here, but is not connected now",
                   id->listen);
        doctor_advise("does paneld run, does it still know this node (panelctl node get %s), and "
                      "does TCP port %s of %s let it in? A node that was deleted there joins "
                      "anew: panelctl node create. One whose CA the panel has ended (paneld ca "
                      "retire) joins again: panelctl node token %s prints how",
                      id->node_id, id->port, id->address, id->node_id);
    } else {
        doctor_say(doctor, FINDING_WARNING, "port",
                   "the agent listens on %s, but the panel has never come through", id->listen);
        doctor_advise(
            "the panel connects to %s, TCP port %s: open it for the panel in each firewall on "
            "the way, in a cloud's as well; if the address is wrong: panelctl node update %s "
            "--address HOST",
            id->address, id->port, id->node_id);
        hint_firewalls(port);
    }
}

static bool agent_runs(const struct doctor *doctor)
{
    struct err err = {0};
    auto_fd int lock = -1;
    return fs_lock(doctor->identity.dir, "agent.lock", &lock, &err) < 0 && err.code == ERR_CONFLICT;
}

void doctor_check_port(struct doctor *doctor)
{
    const char *listen_at = doctor->identity.listen;
    struct place place;
    char peer[ADDRESS_TEXT_SIZE];
    read_place(listen_at, &place);
    doctor->running = agent_runs(doctor);
    bool visited = find_peer("/proc/net/tcp", place.port, peer) ||
                   find_peer("/proc/net/tcp6", place.port, peer); /* before we connect ourselves */
    int error = doctor->running ? try_connect(&place) : try_bind(&place);
    if (doctor->running && error == 0) {
        check_visited(doctor, visited ? peer : NULL, place.port);
    } else if (doctor->running) {
        doctor_say(doctor, FINDING_BROKEN, "port", "an agent runs, but not on %s: %s", listen_at,
                   strerror(error));
        doctor_advise("its log says why: journalctl -u panel-agent");
    } else if (error == 0) {
        doctor_say(doctor, FINDING_BROKEN, "port", "%s is free: the agent does not run", listen_at);
        doctor_advise("systemctl start panel-agent");
    } else {
        doctor_say(doctor, FINDING_BROKEN, "port", "can't listen on %s: %s", listen_at,
                   strerror(error));
        if (error == EADDRINUSE)
            doctor_advise(
                "somebody else has it: ss -ltnp 'sport = :%u' tells who; or give the node "
                "another port: panelctl node update %s --port PORT, then join anew",
                place.port, doctor->identity.node_id);
        else if (error == EACCES)
            doctor_advise("ports below 1024 are root's: give the node another");
        else if (error == EADDRNOTAVAIL)
            doctor_advise("no interface of this machine has that address: join anew with --listen");
    }
}

/* --- the address ----------------------------------------------------------------------------- */

/* http://127.0.0.1:3001, https://[::1]/, http://localhost */
static bool is_on_loopback(const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    bool v6 = *host == '[';
    size_t len = strcspn(host + v6, v6 ? "]" : ":/");
    char name[ADDRESS_TEXT_SIZE];
    if (len >= sizeof(name))
        return false;
    memcpy(name, host + v6, len);
    name[len] = '\0';
    return strcmp(name, "localhost") == 0 || address_is_loopback(name);
}

void doctor_check_address(struct doctor *doctor, const char *panel_url)
{
    const struct identity *id = &doctor->identity;
    if (!address_is_loopback(id->address) && strcmp(id->address, "localhost") != 0) {
        doctor_say(doctor, FINDING_WELL, "address", "joined as %s, port %s", id->address, id->port);
    } else if (panel_url && is_on_loopback(panel_url)) {
        doctor_say(doctor, FINDING_WELL, "address",
                   "joined as %s, as the panel is on this machine: nobody else reaches instances",
                   id->address);
    } else {
        doctor_say(doctor, FINDING_WARNING, "address",
                   "joined as %s: only a panel on this machine comes through, and nobody else "
                   "reaches instances",
                   id->address);
        doctor_advise(
            "if the panel is elsewhere, or others are to reach instances: panelctl node update "
            "%s --address HOST, then join anew by panelctl node token %s",
            id->node_id, id->node_id);
    }
}
