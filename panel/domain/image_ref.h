/* Docker image references: [registry[:port]/]path[:tag][@digest]. Pure; any thread. */
#ifndef PANEL_DOMAIN_IMAGE_REF_H
#define PANEL_DOMAIN_IMAGE_REF_H

#include "common/err.h"

/* ERR_INVALID "invalid_field". */
int image_ref_check(const char *field, const char *s, struct err *err);

#endif
