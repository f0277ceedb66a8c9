/* Amounts as clients write them. Pure; any thread. */
#ifndef PANEL_DOMAIN_QUANTITY_H
#define PANEL_DOMAIN_QUANTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"

#define QUANTITY_MEMORY_MIN_MIB  6u /* Docker's own minimum */
#define QUANTITY_MIB_MAX         (16u * 1024u * 1024u)
#define QUANTITY_CPU_MIN_MILLI   10
#define QUANTITY_CPU_MAX_MILLI   (1024 * 1000)
#define QUANTITY_RATIO_MIN_MILLI 100
#define QUANTITY_RATIO_MAX_MILLI (100 * 1000)

/* "512", "512M", "512MiB", "1.5g", "2GiB": binary units, MiB without one; whole MiB from min to
 * QUANTITY_MIB_MAX. ERR_INVALID "invalid_field". */
int quantity_parse_mib(const char *field, const char *s, uint64_t min, uint64_t *ret_mib,
                       struct err *err);

/* "1", "0.5", "50%" (of one core), in thousandths; what is finer is rounded. */
int quantity_parse_cpu(const char *field, const char *s, int64_t *ret_milli, struct err *err);

/* "1.5": a number from 0.1 to 100, in thousandths. */
bool quantity_parse_ratio(const char *s, uint32_t *ret_milli);

#endif
