/* Port mappings as clients write them: container:host, the reverse of docker run -p.
 * Pure; any thread. */
#ifndef PANEL_DOMAIN_PORTS_H
#define PANEL_DOMAIN_PORTS_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "panel/domain/words.h"

#define PORTS_MAX 100

/* "8080:18080,9000:19000/udp,25565": each with /tcp or /udp, both without; host absent, 0 or
 * "auto": 0, for the panel to pick. out holds PORTS_MAX. ERR_INVALID "invalid_field". */
int ports_parse(const char *field, const char *s, struct port_mapping out[PORTS_MAX],
                size_t *ret_count, struct err *err);

/* "18080", "8080:18080" (its host port), "0" or "auto" (0: the first mapping's). What is asked for
 * has to be among the mappings. */
int ports_parse_primary(const char *field, const char *s, const struct port_mapping *ports,
                        size_t count, uint16_t *ret_port, struct err *err);

/* "25000-25999": what host ports may be picked from. */
int ports_parse_range(const char *field, const char *s, struct port_range *ret_range,
                      struct err *err);

#endif
