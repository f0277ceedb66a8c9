/* Lines of a log's event stream, shown. One thread. */
#ifndef PANEL_CTL_LOGS_H
#define PANEL_CTL_LOGS_H

#include "common/strbuf.h"
#include "panel/ctl/ctl.h"
#include "panel/ctl/sse.h"

/* Add what an event has to show: a line with its newline, or a note about lost ones. */
void logs_add_event(const struct ctl *ctl, const struct sse_event *event, bool times,
                    struct strbuf *out);

#endif
