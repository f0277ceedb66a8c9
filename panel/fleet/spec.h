/* From an instance's row to the spec that its agent builds a container from. Any thread. */
#ifndef PANEL_FLEET_SPEC_H
#define PANEL_FLEET_SPEC_H

#include "common/envelope.h"
#include "common/err.h"
#include "panel/store/store.h"

/* Everything in it belongs to the result; free with spec_destroy(). */
int spec_create(const struct instance *row, Wire__InstanceSpec **ret_spec, struct err *err);
void spec_destroy(Wire__InstanceSpec *spec);

/* The hash alone. */
int spec_hash(const struct instance *row, char out[65], struct err *err);

#endif
