/* What the files of the doctor share; nobody else includes it. See doctor.h. */
#ifndef AGENT_DOCTOR_PARTS_H
#define AGENT_DOCTOR_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/doctor.h"
#include "agent/identity.h"

struct doctor {
    const struct options *options;
    struct identity identity;
    bool joined;  /* identity is filled */
    bool running; /* an agent holds the state folder's lock */
    unsigned broken;
    unsigned warnings;
};

enum finding { FINDING_WELL, FINDING_WARNING, FINDING_BROKEN };

/* One line: what was looked at, and what was found. */
void doctor_say(struct doctor *doctor, enum finding finding, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Below it: what to do. */
void doctor_advise(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* doctor_host.c: this machine. */
void doctor_check_disk(struct doctor *doctor, const char *dir);
/* cgroups: /sys/fs/cgroup; proc: /proc. */
void doctor_check_cgroups(struct doctor *doctor, const char *cgroups, const char *proc);
/* Sets running. */
void doctor_check_port(struct doctor *doctor);
/* What the panel was told to connect to; panel_url may be NULL. */
void doctor_check_address(struct doctor *doctor, const char *panel_url);

/* doctor_reach.c: who should answer. */
void doctor_check_docker(struct doctor *doctor);
/* url NULL: it isn't known. ca: by whose certificates it is trusted, PEM; NULL: the system's. */
void doctor_check_panel(struct doctor *doctor, const char *url, const char *ca);
/* Its clock against ours, seconds since 1970. */
void doctor_check_clock(struct doctor *doctor, int64_t theirs, int64_t ours);

#endif
