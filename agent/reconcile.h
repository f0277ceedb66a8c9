/* Makes this node's containers what the panel wants them to be.
 *
 * Level-triggered: an Apply or Remove only changes what is wanted; from then on, after every
 * answer of the Engine's, the next single step is chosen by comparing wanted with seen. So a newer
 * request takes effect at the next step, and nothing is lost when the Engine goes away in
 * between. Outcomes are told through the table's journal. One thread; nothing blocks. */
#ifndef AGENT_RECONCILE_H
#define AGENT_RECONCILE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/install.h"
#include "agent/instance.h"
#include "agent/loop.h"
#include "common/err.h"

struct reconcile;

/* loop and panel_id must outlive it. changed() is called whenever a Sync might have news. */
int reconcile_create(struct loop *loop, const char *state_dir, const char *panel_id,
                     const struct install_limits *limits, void (*changed)(void *arg),
                     void *changed_arg, struct reconcile **ret, struct err *err);
/* For installs that start from now on. */
void reconcile_set_install_limits(struct reconcile *reconcile, const struct install_limits *limits);
/* Breaks off what is under way; containers stay as they are. NULL is fine. */
void reconcile_destroy(struct reconcile *reconcile);

/* Refusals have the link's Failure code in err->reason. The spec is taken out of the message. */
int reconcile_apply(struct reconcile *reconcile, Wire__Apply *apply, struct err *err);
int reconcile_remove(struct reconcile *reconcile, const Wire__Remove *remove, struct err *err);

const struct instance_table *reconcile_table(const struct reconcile *reconcile);
/* Has everything been compared with the Engine once since the start? */
bool reconcile_is_inventory_ready(const struct reconcile *reconcile);
/* Borrows texts that live until the next round of the loop. */
void reconcile_fill_docker(const struct reconcile *reconcile, Wire__DockerStatus *ret_status);
/* Drop what is long gone and known by the panel to be, having read the journal up to cursor. */
void reconcile_forget_old(struct reconcile *reconcile, uint64_t cursor);

#endif
