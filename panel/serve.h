/* The daemon's life: everything opened, served until a signal, and closed. */
#ifndef PANEL_SERVE_H
#define PANEL_SERVE_H

#include "panel/config.h"

/* Blocks until SIGTERM or SIGINT; returns the program's exit status. Says on stdout where it
 * listens, once it does; why it can't, on stderr. At SIGHUP config is read again, from given, and
 * changed as far as it can be (reload.h). */
int serve(struct config *config, const struct settings_given *given);

#endif
