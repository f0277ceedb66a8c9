/* What the running daemon has in force, and how it takes other settings: all of the parts in
 * config.h at SIGHUP, and the TLS files as well when they have changed.
 *
 * Everything is read and checked before anything is taken; at a fault all stays as it is, and the
 * log says why. reload_answer(): any thread; the others: the thread that created it. */
#ifndef PANEL_RELOAD_H
#define PANEL_RELOAD_H

#include "panel/config.h"
#include "panel/fleet/fleet.h"
#include "panel/store/store.h"

struct reload;

struct reload_rooms {
    struct store *store;
    struct fleet *fleet;
    struct api *api;
};

/* config is changed as settings are taken; it, given and the rooms must outlive this. */
int reload_create(struct config *config, const struct settings_given *given,
                  const struct reload_rooms *rooms, struct reload **ret_reload, struct err *err);
void reload_destroy(struct reload *reload);

/* Read all settings again and take what can be taken. */
void reload_take(struct reload *reload);

/* Have the TLS files changed, and come to rest since the last look? Then take them. */
void reload_look(struct reload *reload);
/* How long until the next look, in ms; -1: none is wanted. */
int64_t reload_pause_ms(const struct reload *reload);

/* Append to an object what is in force: "running", "file", "settings". */
void reload_answer(struct reload *reload, struct strbuf *out);

#endif
