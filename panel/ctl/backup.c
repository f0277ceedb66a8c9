/* panelctl backup: what it can't do, and how it is done. A backup holds the panel's keys, so it is
 * made by whoever has the host; no API hands it out. */
#include <stdio.h>

#include "panel/ctl/common_steps.h"
#include "panel/ctl/handlers.h"

int run_backup(struct ctl *ctl, struct err *err)
{
    (void)ctl;
    (void)err;
    fputs("panelctl: backups are made on the panel's host, not over the API, since a backup holds "
          "the\n"
          "keys by which panel and nodes know each other. Run there, as root, while paneld runs:\n"
          "\n"
          "  paneld backup FILE              everything into one file\n"
          "\n"
          "and to go back, with paneld stopped:\n"
          "\n"
          "  paneld restore FILE\n",
          stderr);
    return EXIT_FAILED;
}
