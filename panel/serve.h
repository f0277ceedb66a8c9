/* The daemon's life: everything opened, served until a signal, and closed. */
#ifndef PANEL_SERVE_H
#define PANEL_SERVE_H

#include "panel/config.h"

/* Blocks until SIGTERM or SIGINT; returns the program's exit status. Says on stdout where it
 * listens, once it does; why it can't, on stderr. */
int serve(const struct config *config);

/* Reads the files that the settings name, and sees whether they can be used; changes nothing. */
int serve_check(const struct config *config, struct err *err);

#endif
