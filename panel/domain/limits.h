/* How long names may be, wherever they come from. */
#ifndef PANEL_DOMAIN_LIMITS_H
#define PANEL_DOMAIN_LIMITS_H

#define USERNAME_MAX      64  /* characters */
#define NODE_NAME_MAX     128 /* characters */
#define NODE_TEXT_MAX     1024
#define INSTANCE_NAME_MAX 128 /* characters */
#define DEFAULT_MOUNT     "/app/data"

#endif
