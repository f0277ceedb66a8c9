/* One protocol message: packed, unpacked, checked. See envelope.h.
 *
 * Texts are checked by walking protobuf-c's own descriptors, so a field added to the .proto is
 * checked without a line here. The walk is bounded: no type in the .proto is recursive. */
#include "common/envelope.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/crypto.h"
#include "common/utf8.h"

int envelope_check_id(const char *id)
{
    size_t len = strlen(id);
    if (len < 1 || len > 64 || strcmp(id, ".") == 0 || strcmp(id, "..") == 0)
        return -1;
    for (size_t i = 0; i < len; i++) {
        char c = id[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              c == '_' || c == '.' || c == '-'))
            return -1;
    }
    return 0;
}

int envelope_pack(const Wire__Envelope *envelope, uint8_t **ret_data, size_t *ret_len,
                  struct err *err)
{
    size_t len = wire__envelope__get_packed_size(envelope);
    if (len > WIRE_FRAME_MAX)
        return err_set(err, ERR_TOO_LARGE, "frame_too_large",
                       "a message of %zu bytes is over the link's limit of %u", len,
                       WIRE_FRAME_MAX);
    uint8_t *data = malloc(len ? len : 1);
    if (!data)
        return err_nomem(err);
    wire__envelope__pack(envelope, data);
    *ret_data = data;
    *ret_len = len;
    return 0;
}

static bool check_message(const ProtobufCMessage *message);

static bool check_one(const ProtobufCFieldDescriptor *field, const void *value)
{
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        const char *text = *(char *const *)value;
        return !text || utf8_is_valid(text);
    }
    const ProtobufCMessage *sub = *(ProtobufCMessage *const *)value;
    return !sub || check_message(sub);
}

static bool check_message(const ProtobufCMessage *message)
{
    const char *base = (const char *)message;
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF &&
            *(const uint32_t *)(base + field->quantifier_offset) != field->id)
            continue;
        if (field->label != PROTOBUF_C_LABEL_REPEATED) {
            if (!check_one(field, base + field->offset))
                return false;
            continue;
        }
        size_t count = *(const size_t *)(base + field->quantifier_offset);
        void *const *values = *(void *const *const *)(base + field->offset);
        for (size_t k = 0; k < count; k++) {
            if (!check_one(field, &values[k]))
                return false;
        }
    }
    return true;
}

int envelope_unpack(const uint8_t *data, size_t len, Wire__Envelope **ret_envelope, struct err *err)
{
    if (len > WIRE_FRAME_MAX)
        return err_set(err, ERR_PROTOCOL, "frame_too_large", "a message of %zu bytes is too large",
                       len);
    Wire__Envelope *envelope = wire__envelope__unpack(NULL, len, data);
    if (!envelope)
        return err_set(err, ERR_PROTOCOL, "bad_message", "the bytes are not a message");
    if (envelope->protocol_version < WIRE_PROTOCOL_OLDEST ||
        envelope->protocol_version > WIRE_PROTOCOL_NEWEST) {
        err_set(err, ERR_PROTOCOL, "protocol_version",
                "the peer speaks protocol version %u, this side %u", envelope->protocol_version,
                WIRE_PROTOCOL_VERSION);
    } else if (!check_message(&envelope->base)) {
        err_set(err, ERR_PROTOCOL, "bad_text", "a text in the message is not UTF-8");
    } else {
        *ret_envelope = envelope;
        return 0;
    }
    envelope_free(envelope);
    return -1;
}

void envelope_free(Wire__Envelope *envelope)
{
    if (envelope)
        wire__envelope__free_unpacked(envelope, NULL);
}

int envelope_spec_hash(const Wire__InstanceSpec *spec, char out[65], struct err *err)
{
    size_t len = wire__instance_spec__get_packed_size(spec);
    uint8_t *data = malloc(len ? len : 1);
    if (!data)
        return err_nomem(err);
    wire__instance_spec__pack(spec, data);
    crypto_digest_hex(data, len, out);
    free(data);
    return 0;
}
