/* The doctor's round: state folder, identity, certificate, then all else. See doctor.h.
 *
 * What it says is for a person who has just typed it, so each finding that isn't well is followed
 * by what to do, as a command where one does it. */
#include "agent/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/doctor_parts.h"
#include "agent/service.h"
#include "common/auto.h"
#include "common/clock.h"
#include "common/fs.h"
#include "common/owner.h"

/* Renewed at a third of their 90 days, so one with so few left wasn't. */
#define CERT_DAYS_LOW 14
#define DAY_S         86400

void doctor_say(struct doctor *doctor, enum finding finding, const char *what, const char *fmt, ...)
{
    static const char *const words[] = {"ok", "WARNING", "BROKEN"};
    va_list args;
    doctor->warnings += finding == FINDING_WARNING;
    doctor->broken += finding == FINDING_BROKEN;
    printf("%-8s %-13s ", words[finding], what);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
}

void doctor_advise(const char *fmt, ...)
{
    va_list args;
    printf("%23s-> ", "");
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
}

/* --- the state folder ------------------------------------------------------------------------ */

static const char join_hint[] =
    "on the panel: panelctl node create NAME, or panelctl node token NODE for one "
    "that is there; then run here, as root, the line that it prints";

static const char as_root[] = "ask as root: sudo panel-agent doctor";

/* False: there is nothing to be looked at in it. */
static bool check_state(struct doctor *doctor)
{
    const char *dir = doctor->options->state;
    struct stat st;
    if (stat(dir, &st) < 0) {
        int error = errno;
        doctor_say(doctor, FINDING_BROKEN, "state", "%s: %s", dir, strerror(error));
        if (error == EACCES)
            doctor_advise("%s", as_root);
        else
            doctor_advise("it is made when this machine joins; %s", join_hint);
        return false;
    }
    if (!S_ISDIR(st.st_mode)) {
        doctor_say(doctor, FINDING_BROKEN, "state", "%s is not a folder", dir);
        doctor_advise("name the agent's folder by --state");
        return false;
    }
    if (access(dir, R_OK | W_OK | X_OK) < 0) {
        char owner[64];
        owner_name(dir, owner, sizeof(owner));
        doctor_say(doctor, FINDING_BROKEN, "state", "%s belongs to %s and has mode %03o: %s", dir,
                   owner, st.st_mode & 0777u, strerror(errno));
        doctor_advise("%s", as_root);
        return false;
    }
    if (st.st_mode & 077) {
        doctor_say(doctor, FINDING_WARNING, "state", "%s has mode %03o: others can look into it",
                   dir, st.st_mode & 0777u);
        doctor_advise("chmod 700 %s", dir);
        return true;
    }
    doctor_say(doctor, FINDING_WELL, "state", "%s", dir);
    return true;
}

static void check_joined(struct doctor *doctor)
{
    struct err err = {0};
    const char *dir = doctor->options->state;
    if (identity_load(dir, &doctor->identity, &err) == 0 &&
        options_choose_listen(doctor->options, &doctor->identity.listen, &err) == 0) {
        doctor->joined = true;
        doctor_say(doctor, FINDING_WELL, "joined", "node %s of panel %s", doctor->identity.node_id,
                   doctor->identity.panel_id);
        return;
    }
    if (err.code != ERR_NOT_FOUND) {
        doctor_say(doctor, FINDING_BROKEN, "joined", "%s", err.msg);
        if (err.os_errno == EACCES)
            doctor_advise("its files have to belong to the agent's user: chown them as the folder");
        else
            doctor_advise(
                "join anew: on the panel, panelctl node token NODE; then run its line here");
        return;
    }
    auto_free char *pending = fs_join(dir, "join.pending");
    if (pending && access(pending, F_OK) == 0) {
        doctor_say(doctor, FINDING_BROKEN, "joined", "not yet; a join was begun and not ended");
        doctor_advise("run the same command again; a token works once and for an hour, so past "
                      "that panelctl node token NODE makes another");
    } else {
        doctor_say(doctor, FINDING_BROKEN, "joined", "not yet");
        doctor_advise("%s", join_hint);
    }
}

static void check_certificate(struct doctor *doctor)
{
    int64_t end = doctor->identity.cert_not_after;
    int64_t left = end - clock_wall_ms() / 1000;
    char text[CLOCK_ISO_LEN];
    clock_format_iso(end * 1000, text);
    if (left <= 0) {
        doctor_say(doctor, FINDING_BROKEN, "certificate", "it ended at %s", text);
        doctor_advise("if the clock is right: panelctl node token %s, stop the agent, run the "
                      "line that it prints; containers and volumes stay",
                      doctor->identity.node_id);
    } else if (left < (int64_t)CERT_DAYS_LOW * DAY_S) {
        doctor_say(doctor, FINDING_WARNING, "certificate", "it ends in %lld days, at %s",
                   (long long)(left / DAY_S), text);
        doctor_advise("the panel renews it whenever it is connected: see that it gets through");
    } else {
        doctor_say(doctor, FINDING_WELL, "certificate", "until %s", text);
    }
}

/* --- the round ------------------------------------------------------------------------------- */

static enum doctor_status sum_up(const struct doctor *doctor)
{
    if (doctor->broken)
        printf("%u broken, %u warnings\n", doctor->broken, doctor->warnings);
    else if (doctor->warnings)
        printf("nothing is broken, %u warnings\n", doctor->warnings);
    else
        printf("all is well\n");
    return doctor->broken ? DOCTOR_BROKEN : doctor->warnings ? DOCTOR_WARNINGS : DOCTOR_WELL;
}

/* Which agent all the rest is about. */
static void say_settings(struct doctor *doctor, const struct options_command *command)
{
    const char *file = command->given.file;
    if (command->of_service)
        doctor_say(doctor, FINDING_WELL, "settings", "the service's: %s%s" SERVICE_DEFAULTS,
                   file ? file : "", file ? ", " : "");
}

enum doctor_status doctor_run(const struct options *options, const struct options_command *command)
{
    struct doctor doctor = {.options = options};
    struct err err = {0};
    auto_free char *ca = NULL;
    say_settings(&doctor, command);
    if (options_read_ca(command, &ca, &err) < 0) {
        doctor_say(&doctor, FINDING_BROKEN, "panel", "%s", err.msg);
        doctor_advise("name the file (PEM) with the CA's certificate");
    }
    if (owner_become(options->state, &err) < 0)
        doctor_say(&doctor, FINDING_WARNING, "user", "%s", err.msg);
    bool usable = check_state(&doctor);
    if (usable)
        check_joined(&doctor);
    if (doctor.joined)
        check_certificate(&doctor);
    doctor_check_docker(&doctor);
    const char *panel_url = command->panel_url ? command->panel_url : doctor.identity.panel_url;
    if (doctor.joined) {
        doctor_check_port(&doctor);
        doctor_check_address(&doctor, panel_url);
    }
    if (!command->ca_cert || ca)
        doctor_check_panel(&doctor, panel_url, ca ? ca : doctor.identity.panel_ca);
    if (usable)
        doctor_check_disk(&doctor, options->state);
    doctor_check_cgroups(&doctor, "/sys/fs/cgroup", "/proc");
    identity_fini(&doctor.identity);
    return sum_up(&doctor);
}
