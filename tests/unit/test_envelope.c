/* The wire: what is packed is unpacked, and bytes of strangers do no harm. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#include "common/auto.h"
#include "common/crypto.h"
#include "common/envelope.h"

static void fill(Wire__Envelope *envelope)
{
    wire__envelope__init(envelope);
    envelope->protocol_version = WIRE_PROTOCOL_VERSION;
    envelope->panel_id = "panel";
    envelope->node_id = "node";
    envelope->epoch = 3;
    envelope->call_id = 4;
}

static void expect_refused(const Wire__Envelope *envelope)
{
    size_t len = wire__envelope__get_packed_size(envelope);
    auto_free uint8_t *data = malloc(len ? len : 1);
    wire__envelope__pack(envelope, data);
    Wire__Envelope *out = NULL;
    struct err err = {0};
    assert_int_equal(envelope_unpack(data, len, &out, &err), -1);
    assert_int_equal(err.code, ERR_PROTOCOL);
    assert_null(out);
}

static void test_there_and_back(void **state)
{
    (void)state;
    Wire__Envelope envelope;
    Wire__Remove remove = WIRE__REMOVE__INIT;
    fill(&envelope);
    remove.instance_id = "i-ä😀";
    remove.generation = UINT64_MAX;
    envelope.body_case = WIRE__ENVELOPE__BODY_REMOVE;
    envelope.remove = &remove;
    auto_free uint8_t *data = NULL;
    size_t len = 0;
    assert_int_equal(envelope_pack(&envelope, &data, &len, NULL), 0);
    Wire__Envelope *out = NULL;
    assert_int_equal(envelope_unpack(data, len, &out, NULL), 0);
    assert_int_equal(out->body_case, WIRE__ENVELOPE__BODY_REMOVE);
    assert_string_equal(out->remove->instance_id, "i-ä😀");
    assert_true(out->remove->generation == UINT64_MAX);
    envelope_free(out);
    envelope_free(NULL);
}

static void test_versions_too_far_off_are_refused(void **state)
{
    (void)state;
    Wire__Envelope envelope;
    for (uint32_t version = 0; version < 5; version++) {
        fill(&envelope);
        envelope.protocol_version = version;
        if (version < WIRE_PROTOCOL_OLDEST || version > WIRE_PROTOCOL_NEWEST)
            expect_refused(&envelope);
    }
}

static void test_texts_that_are_not_utf8_are_refused(void **state)
{
    (void)state;
    static char *const bad[] = {
        "\xff",
        "\xc0\xaf",
        "\xe0\x80\x80",
        "\xed\xa0\x80",
        "\xf4\x90\x80\x80",
        "\xf8\x88\x80",
        "a\x80",
        "\xc3",
        "\xe2\x82",
        "\xf0\x9f\x98",
        "\xc1\xbf",
        "\xf0\x80\x80\x80",
        "\xf5\x80\x80\x80",
        "\xc3(",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        Wire__Envelope envelope;
        fill(&envelope);
        envelope.node_id = bad[i];
        expect_refused(&envelope);
    }
}

static void test_texts_deep_inside_are_looked_at_too(void **state)
{
    (void)state;
    Wire__Envelope envelope;
    Wire__Apply apply = WIRE__APPLY__INIT;
    Wire__InstanceSpec spec = WIRE__INSTANCE_SPEC__INIT;
    char *env[] = {"GOOD=1", "BAD=\xff"};
    fill(&envelope);
    spec.env = env;
    spec.n_env = 2;
    apply.spec = &spec;
    envelope.body_case = WIRE__ENVELOPE__BODY_APPLY;
    envelope.apply = &apply;
    expect_refused(&envelope);

    Wire__SyncReply reply = WIRE__SYNC_REPLY__INIT;
    Wire__InstanceStatus status = WIRE__INSTANCE_STATUS__INIT;
    Wire__InstanceStatus *statuses[] = {&status};
    status.error_message = "\xff";
    reply.statuses = statuses;
    reply.n_statuses = 1;
    envelope.body_case = WIRE__ENVELOPE__BODY_SYNC_REPLY;
    envelope.sync_reply = &reply;
    expect_refused(&envelope);
}

static void test_a_frame_too_large_is_refused_both_ways(void **state)
{
    (void)state;
    Wire__Envelope envelope;
    fill(&envelope);
    auto_free char *huge = malloc(WIRE_FRAME_MAX + 1);
    memset(huge, 'x', WIRE_FRAME_MAX);
    huge[WIRE_FRAME_MAX] = '\0';
    envelope.node_id = huge;
    uint8_t *data = NULL;
    size_t len = 0;
    struct err err = {0};
    assert_int_equal(envelope_pack(&envelope, &data, &len, &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_null(data);
    expect_refused(&envelope);
}

/* Every cut of a good message, and thousands of bent ones: an answer, and no crash. */
static void test_bent_bytes_do_no_harm(void **state)
{
    (void)state;
    Wire__Envelope envelope;
    Wire__Apply apply = WIRE__APPLY__INIT;
    Wire__InstanceSpec spec = WIRE__INSTANCE_SPEC__INIT;
    Wire__PortMapping port = WIRE__PORT_MAPPING__INIT;
    Wire__PortMapping *ports[] = {&port};
    char *env[] = {"A=b", "C=d"};
    fill(&envelope);
    spec.image = "image";
    spec.env = env;
    spec.n_env = 2;
    spec.ports = ports;
    spec.n_ports = 1;
    port.host_port = 1;
    apply.spec = &spec;
    apply.instance_id = "instance";
    envelope.body_case = WIRE__ENVELOPE__BODY_APPLY;
    envelope.apply = &apply;
    auto_free uint8_t *data = NULL;
    size_t len = 0;
    assert_int_equal(envelope_pack(&envelope, &data, &len, NULL), 0);
    assert_true(len > 0);
    for (size_t cut = 0; cut < len; cut++) {
        Wire__Envelope *out = NULL;
        if (envelope_unpack(data, cut, &out, NULL) == 0)
            envelope_free(out);
    }
    srandom(3);
    auto_free uint8_t *bent = malloc(len + 1);
    for (int round = 0; round < 20000; round++) {
        memcpy(bent, data, len);
        for (long i = random() % 4; i >= 0; i--)
            bent[(size_t)random() % (len + 1)] = (uint8_t)random();
        Wire__Envelope *out = NULL;
        if (envelope_unpack(bent, len, &out, NULL) == 0)
            envelope_free(out);
    }
}

static void test_equal_specs_have_equal_hashes(void **state)
{
    (void)state;
    Wire__InstanceSpec a = WIRE__INSTANCE_SPEC__INIT;
    Wire__InstanceSpec b = WIRE__INSTANCE_SPEC__INIT;
    char first[65];
    char second[65];
    a.image = b.image = "x";
    assert_int_equal(envelope_spec_hash(&a, first, NULL), 0);
    assert_int_equal(envelope_spec_hash(&b, second, NULL), 0);
    assert_string_equal(first, second);
    assert_int_equal(strlen(first), 64);
    b.memory_bytes = 1;
    assert_int_equal(envelope_spec_hash(&b, second, NULL), 0);
    assert_string_not_equal(first, second);
}

static void test_ids(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "0", "A-Z_a.z", "...", "-", "a..b"};
    static const char *const bad[] = {"",    ".", "..",   "a/b", "a b",
                                      "a\n", "ä", "a\\b", "a:b", "a%b"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_int_equal(envelope_check_id(good[i]), 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(envelope_check_id(bad[i]), -1);
    char longest[66];
    memset(longest, 'x', 65);
    longest[64] = '\0';
    assert_int_equal(envelope_check_id(longest), 0);
    longest[64] = 'x';
    longest[65] = '\0';
    assert_int_equal(envelope_check_id(longest), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_versions_too_far_off_are_refused),
        cmocka_unit_test(test_texts_that_are_not_utf8_are_refused),
        cmocka_unit_test(test_texts_deep_inside_are_looked_at_too),
        cmocka_unit_test(test_a_frame_too_large_is_refused_both_ways),
        cmocka_unit_test(test_bent_bytes_do_no_harm),
        cmocka_unit_test(test_equal_specs_have_equal_hashes),
        cmocka_unit_test(test_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
