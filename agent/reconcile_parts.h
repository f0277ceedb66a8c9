/* What reconcile.c, steps.c and observe.c share, and nobody else includes.
 *
 *   reconcile.c  what is wanted; which step is next; how a goal ends
 *   steps.c      one Docker call each: begin it, take in its answer, decide again
 *   sparing.c    steps, too: the older container, kept until the newer has proved itself
 *   observe.c    what is seen: lists, hints and inspections beside the steps */
#ifndef AGENT_RECONCILE_PARTS_H
#define AGENT_RECONCILE_PARTS_H

#include "agent/docker.h"
#include "agent/docker_watch.h"
#include "agent/failure.h"
#include "agent/install.h"
#include "agent/instance.h"
#include "agent/reconcile.h"
#include "agent/volume.h"

struct reconcile {
    struct loop *loop;
    const char *panel_id;
    struct docker *docker;
    struct docker_watch *watch;
    struct volumes *volumes;
    struct installs *installs;
    struct instance_table table;
    uint64_t stamp; /* orders what was seen by when it was asked for */
    uint64_t list_seq;
    uint32_t looks; /* inspections under way beside the steps */
    uint32_t pulls;
    uint32_t installing;
    bool ready;           /* the table is true: steps may be taken */
    bool inventory_ready; /* it has been once */
};

/* reconcile.c */

/* Take the next step towards the goal, if there is one to take and none under way. */
void reconcile_decide(struct instance *inst);
/* The goal is given up until the panel asks again. */
void reconcile_fail(struct instance *inst, const struct failure *failure);
void reconcile_reach(struct instance *inst);
/* What the goal was about is not as it was when it was reached. */
void reconcile_again(struct instance *inst);
/* The Engine went away in the middle of a step: go on when it is back. */
void reconcile_lose_engine(struct instance *inst);
/* The Engine is about to finish something: wait, though not for ever, then fail with code. */
void reconcile_wait(struct instance *inst, const char *code);
/* Tell the panel what is being done. */
void reconcile_report(struct instance *inst, Wire__Observed observed);
/* Nothing is being done: tell what is there. changed: there is news besides. */
void reconcile_settle(struct instance *inst, bool changed);
void reconcile_decide_all(struct reconcile *reconcile);
bool reconcile_is_alive(const struct docker_container *container);
/* Was it made from the wanted spec, or can it be made so in place? */
bool reconcile_is_wanted(const struct instance *inst, const struct docker_container *container);
/* The container with that id stays as it is, and why; the goal ends so once it runs. */
void reconcile_keep(struct instance *inst, const char *container_id, const struct failure *why);

/* steps.c */

void step_begin(struct instance *inst, enum instance_step step);
void step_end(struct instance *inst);
/* The call has been started, or the reason why not is dealt with. */
void step_begun(struct instance *inst, struct docker_call *call, const struct err *err);
/* Every end_ begins with this. False: the Engine went away, and there is no more to do now. */
bool step_answered(struct instance *inst, const struct docker_reply *reply);
/* It is over and didn't do what it should. */
void step_give_up(struct instance *inst, const struct failure *failure);
/* This is how the container is as of now. */
void step_see(struct instance *inst, const struct docker_container *container);
void step_see_state(struct instance *inst, enum container_state state);
/* What became of it? Goes on for the same request as the step before it. */
void step_check(struct instance *inst);

void steps_image(struct instance *inst);
void steps_pull(struct instance *inst);
void steps_admit_pull(struct reconcile *reconcile);
void steps_create(struct instance *inst);
void steps_lookup(struct instance *inst);
void steps_start(struct instance *inst);
void steps_unpause(struct instance *inst);
void steps_resize(struct instance *inst);
void steps_delete(struct instance *inst);
void steps_erase(struct instance *inst);
/* Wait a moment, then look at what is there and decide again. */
void steps_pause(struct instance *inst);
/* A new goal: break the step off if it can be and no longer serves. */
void steps_interrupt(struct instance *inst, bool same_image);
/* Break it off whatever it is, but for STEP_ERASE. */
void steps_abandon(struct instance *inst);

/* installing.c */

/* Put into the volume what its spec wants there, wiped first where it says so. */
void steps_install(struct instance *inst);

/* sparing.c */

/* May the container be kept, stopped, until the one in its place has proved itself? */
bool sparing_is_due(const struct instance *inst);
void steps_spare(struct instance *inst);
/* There is a spare one: what is next because of it? False: what would be next without it. */
bool sparing_decide(struct instance *inst);
/* Of one that is not to run; false: it doesn't. */
bool sparing_halt(struct instance *inst);
void steps_prove(struct instance *inst);
/* Another look at the container, which may have ended while it was to prove itself. */
void sparing_note_end(struct instance *inst);
void steps_drop(struct instance *inst);
/* The container that is to take its place doesn't come up: is there an older one to put back? */
bool sparing_fall_back(struct instance *inst, const struct failure *why);

/* stopping.c */

void steps_stop(struct instance *inst);
/* Another look at the container, which may have ended meanwhile. */
void steps_note_end(struct instance *inst);

/* observe.c */

/* The container as it was at stamp seq; NULL: there is none. */
void observe_container(struct instance *inst, const struct docker_container *seen, uint64_t seq);
/* The one that is kept while another takes its place, likewise. */
void observe_spare(struct instance *inst, const struct docker_container *seen, uint64_t seq);
/* Ask the Engine about this container of the instance's, beside any step. */
void observe_look(struct instance *inst, const char *container_id);
extern const struct docker_watch_events observe_events; /* arg is to be set */

#endif
