/* Bytes of an Engine's answer, read by libcurl and by what cuts a stream into lines: the real HTTP
 * client, over a unix socket whose other end says what the input holds. When the answer is a plain
 * one that ends with the connection, its lines must be just those that stand in it.
 *
 * Input: a byte ('s': the answer is streamed), then the answer; its bytes come in two pieces. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/http_client.h"
#include "common/strbuf.h"
#include "tests/fuzz/fuzz.h"

static struct sockaddr_un place = {.sun_family = AF_UNIX};
static int listener;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    fuzz_init();
    snprintf(place.sun_path, sizeof(place.sun_path), "%s/engine", fuzz_folder());
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&place, sizeof(place)) == 0);
    CHECK(listen(listener, 4) == 0);
    return 0;
}

struct conversation {
    struct strbuf lines; /* each with its newline */
    unsigned ended;
    struct http_reply reply;
};

static void take_line(void *arg, const char *line, size_t len)
{
    struct conversation *talk = arg;
    CHECK(len && len <= HTTP_LINE_MAX && !line[len] && !memchr(line, '\n', len));
    CHECK(line[len - 1] != '\r' && line[len - 1] != ' ');
    strbuf_add(&talk->lines, line, len);
    strbuf_char(&talk->lines, '\n');
}

static void take_end(void *arg, const struct http_reply *reply)
{
    struct conversation *talk = arg;
    CHECK(!talk->ended++);
    CHECK(reply->body && !reply->body[reply->len] && reply->len <= HTTP_BODY_MAX);
    CHECK(reply->err.code == ERR_NONE || reply->err.msg[0]);
    json_t *root = json_loadb(reply->body, reply->len, JSON_DECODE_ANY, NULL);
    json_decref(root);
    talk->reply = *reply;
}

/* What a plain answer's lines are, without curl; false where it is no such answer. */
static bool read_plain(const char *data, size_t len, struct strbuf *lines)
{
    static const char head[] = "HTTP/1.1 200 OK\r\n\r\n";
    if (len < sizeof(head) - 1 || memcmp(data, head, sizeof(head) - 1) != 0)
        return false;
    const char *end = data + len;
    data += sizeof(head) - 1;
    for (const char *nl; (nl = memchr(data, '\n', (size_t)(end - data))) != NULL; data = nl + 1) {
        size_t line = (size_t)(nl - data);
        while (line && (data[line - 1] == '\r' || data[line - 1] == ' '))
            line--;
        if (line) {
            strbuf_add(lines, data, line);
            strbuf_char(lines, '\n');
        }
    }
    return true;
}

/* The Engine's end: when somebody calls say one half, and then the other and hang up. */
static int say(int fd, const char *data, size_t len, size_t *said)
{
    size_t piece = fd >= 0 ? len : len / 2;
    if (fd < 0)
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return fd;
    while (*said < piece) {
        ssize_t sent = send(fd, data + *said, piece - *said, MSG_NOSIGNAL);
        if (sent <= 0)
            break;
        *said += (size_t)sent;
    }
    if (*said == len)
        shutdown(fd, SHUT_WR);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct conversation talk = {0};
    struct timers timers = {0};
    struct err err = {0};
    bool streamed = fuzz_byte(&in) == 's';
    size_t len;
    size_t said = 0;
    char *answer = fuzz_rest(&in, &len);
    struct http_client *client = http_client_create(place.sun_path, &timers, &err);
    struct http_spec spec = {.method = "GET",
                             .path = "/events",
                             .timeout_ms = 3000,
                             .line = streamed ? take_line : NULL,
                             .done = take_end,
                             .arg = &talk};
    CHECK(client && http_client_start(client, &spec, &err));
    int fd = -1;
    for (int i = 0; i < 1000 && !talk.ended; i++) {
        http_client_run(client);
        fd = say(fd, answer, len, &said);
        if (!talk.ended)
            (void)http_client_poll(client, -1, i < 4 ? 0 : 1);
    }
    CHECK(talk.ended == 1);
    auto_strbuf struct strbuf wanted = {0};
    if (streamed && read_plain(answer, len, &wanted)) {
        CHECK(talk.reply.err.code == ERR_NONE && talk.reply.status == 200);
        CHECK(wanted.len == talk.lines.len);
        CHECK(!wanted.len || memcmp(wanted.data, talk.lines.data, wanted.len) == 0);
    }
    if (fd >= 0)
        close(fd);
    http_client_destroy(client);
    CHECK(!timers.first);
    strbuf_fini(&talk.lines);
    free(answer);
    return 0;
}
