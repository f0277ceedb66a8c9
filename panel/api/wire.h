/* What users, nodes and instances look like on the wire (contract.md). Any thread. */
#ifndef PANEL_API_WIRE_H
#define PANEL_API_WIRE_H

#include "common/strbuf.h"
#include "panel/fleet/board.h"
#include "panel/store/store.h"

void wire_user(struct strbuf *out, const struct user *user);

/* secret: its text, shown once; NULL elsewhere. */
void wire_key(struct strbuf *out, const struct api_key *key, const char *secret);

/* token and command: the join, shown once; NULL elsewhere. */
void wire_node(struct strbuf *out, const struct node *node, struct board *board, const char *token,
               const char *command);

/* key: NULL inside an array or at the top. */
void wire_instance(struct strbuf *out, const char *key, const struct instance *instance,
                   struct board *board);

/* What the board says of a node that the store knows. */
enum node_status wire_node_status(struct board *board, const char *node_id, bool joined,
                                  bool maintenance, struct node_live *ret_live);

#endif
