/* Bytes of the link, as both sides take them in: what is accepted is text where it should be, and
 * is the same message once packed and unpacked again. */
#include <stdlib.h>
#include <string.h>

#include "common/envelope.h"
#include "common/utf8.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_init();
    return 0;
}

static void check_texts(const Wire__Envelope *envelope)
{
    CHECK(utf8_is_valid(envelope->panel_id) && utf8_is_valid(envelope->node_id));
    if (envelope->body_case == WIRE__ENVELOPE__BODY_FAILURE)
        CHECK(utf8_is_valid(envelope->failure->code) && utf8_is_valid(envelope->failure->message));
    if (envelope->body_case == WIRE__ENVELOPE__BODY_SYNC_REPLY) {
        for (size_t i = 0; i < envelope->sync_reply->n_statuses; i++) {
            const Wire__InstanceStatus *status = envelope->sync_reply->statuses[i];
            CHECK(utf8_is_valid(status->instance_id) && utf8_is_valid(status->error_message));
        }
    }
    if (envelope->body_case == WIRE__ENVELOPE__BODY_APPLY && envelope->apply->spec) {
        const Wire__InstanceSpec *spec = envelope->apply->spec;
        char hash[65];
        for (size_t i = 0; i < spec->n_env; i++)
            CHECK(utf8_is_valid(spec->env[i]));
        CHECK(envelope_spec_hash(spec, hash, NULL) == 0 && strlen(hash) == 64);
    }
}

/* protobuf-c keeps unknown fields as they came, also some that it would not take again. */
static bool has_unknown(const ProtobufCMessage *message)
{
    const char *base = (const char *)message;
    if (message->n_unknown_fields)
        return true;
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        bool absent = field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF &&
                      *(const uint32_t *)(base + field->quantifier_offset) != field->id;
        if (field->type != PROTOBUF_C_TYPE_MESSAGE || absent)
            continue;
        bool many = field->label == PROTOBUF_C_LABEL_REPEATED;
        size_t count = many ? *(const size_t *)(base + field->quantifier_offset) : 1;
        void *const *values = many ? *(void *const *const *)(base + field->offset)
                                   : (void *const *)(base + field->offset);
        for (size_t k = 0; k < count; k++) {
            if (values[k] && has_unknown(values[k]))
                return true;
        }
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Wire__Envelope *envelope = NULL;
    Wire__Envelope *again = NULL;
    uint8_t *packed = NULL;
    uint8_t *packed_again = NULL;
    size_t len = 0;
    size_t len_again = 0;
    struct err err = {0};
    if (envelope_unpack(data, size, &envelope, &err) < 0) {
        CHECK(!envelope && err.code == ERR_PROTOCOL && err.msg[0]);
        return 0;
    }
    CHECK(envelope->protocol_version >= WIRE_PROTOCOL_OLDEST &&
          envelope->protocol_version <= WIRE_PROTOCOL_NEWEST);
    check_texts(envelope);
    if (has_unknown(&envelope->base)) {
        envelope_free(envelope);
        return 0;
    }
    if (envelope_pack(envelope, &packed, &len, &err) == 0) {
        CHECK(len <= WIRE_FRAME_MAX);
        CHECK(envelope_unpack(packed, len, &again, &err) == 0);
        CHECK(again->body_case == envelope->body_case && again->epoch == envelope->epoch);
        CHECK(envelope_pack(again, &packed_again, &len_again, &err) == 0);
        CHECK(len == len_again && memcmp(packed, packed_again, len) == 0);
    } else {
        CHECK(err.code == ERR_TOO_LARGE);
    }
    envelope_free(envelope);
    envelope_free(again);
    free(packed);
    free(packed_again);
    return 0;
}
