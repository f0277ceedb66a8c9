/* One protocol message between panel and agent: packed, unpacked, and checked in one place.
 *
 * protobuf-c checks neither sizes nor UTF-8; what leaves envelope_unpack() has been through
 * both. docs/protocol.md tells what each message means. Any thread. */
#ifndef COMMON_ENVELOPE_H
#define COMMON_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "panel.pb-c.h"

#define WIRE_PROTOCOL_VERSION 1u
/* A peer may be one version older or newer. */
#define WIRE_PROTOCOL_OLDEST 1u
#define WIRE_PROTOCOL_NEWEST 2u

#define WIRE_FRAME_MAX     (1024u * 1024u) /* bytes in one frame, both ways */
#define WIRE_STATUSES_MAX  500u            /* InstanceStatus in one SyncReply */
#define WIRE_SYNC_WAIT_MAX 60000u          /* ms that a Sync may be held */

/* The packed bytes, for the caller to free. ERR_TOO_LARGE past WIRE_FRAME_MAX. */
int envelope_pack(const Wire__Envelope *envelope, uint8_t **ret_data, size_t *ret_len,
                  struct err *err);

/* The message, for the caller to free with envelope_free(). ERR_PROTOCOL when the bytes are not
 * one, a text is not UTF-8, or the version is too far off. A body this side doesn't know yet is
 * body_case WIRE__ENVELOPE__BODY__NOT_SET: the receiver answers Failure. */
int envelope_unpack(const uint8_t *data, size_t len, Wire__Envelope **ret_envelope,
                    struct err *err);

/* NULL is fine. */
void envelope_free(Wire__Envelope *envelope);

/* spec_hash: SHA-256 of the packed spec, as hex. */
int envelope_spec_hash(const Wire__InstanceSpec *spec, char out[65], struct err *err);

/* Is this 1–64 characters of [0-9A-Za-z_.-]? The only shape an id may have, and so safe in
 * labels, file names and URLs ("." and ".." are refused). */
int envelope_check_id(const char *id);

#endif
