/* Bytes of a connection, read by libmicrohttpd and what stands around it: the guard of the head,
 * the request target, bodies by length and by chunks, pipelining. A reader of our own, written by
 * RFC 9112 and nothing else, reads the same bytes; what reaches the handler must be what that one
 * finds, request for request and byte for byte, or a proxy in front would see other requests than
 * we do.
 *
 * The server is the real one, its thread included; its listener is a unix socket, and in the place
 * of its deadlines and lingering stand a few lines that know when a connection has ended. */
#include <linux/sockios.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/strbuf.h"
#include "common/utf8.h"
#include "panel/http/internal.h"
#include "tests/fuzz/fuzz.h"

#define BODY_MAX     4096
#define REQUESTS_MAX 64

/* --- the server ------------------------------------------------------------------------------ */

static struct sockaddr_un place = {.sun_family = AF_UNIX};

int listener_open(const char *address, uint16_t port, uint16_t *ret_port, struct err *err)
{
    (void)address;
    (void)port;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&place, sizeof(place)) < 0 || listen(fd, 16) < 0)
        return err_set(err, ERR_IO, "io_error", "can't listen");
    *ret_port = 1;
    return fd;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t closed = PTHREAD_COND_INITIALIZER;
static unsigned connections;

/* No deadlines; who comes and goes is counted, to know when a conversation is over. */
int sweeper_start(struct sweeper *sweeper, size_t room, struct err *err)
{
    (void)sweeper;
    (void)room;
    (void)err;
    return 0;
}

void sweeper_stop(struct sweeper *sweeper)
{
    (void)sweeper;
}

void sweeper_add(struct sweeper *sweeper, struct http_conn *conn, int64_t deadline)
{
    (void)sweeper;
    (void)conn;
    (void)deadline;
    pthread_mutex_lock(&lock);
    connections++;
    pthread_mutex_unlock(&lock);
}

void sweeper_remove(struct sweeper *sweeper, struct http_conn *conn)
{
    (void)sweeper;
    (void)conn;
    pthread_mutex_lock(&lock);
    connections--;
    pthread_cond_signal(&closed);
    pthread_mutex_unlock(&lock);
}

bool sweeper_has_hung_up(const struct http_conn *conn)
{
    (void)conn;
    return false;
}

void sweeper_set(struct sweeper *sweeper, struct http_conn *conn, int64_t deadline)
{
    (void)sweeper;
    (void)conn;
    (void)deadline;
}

void sweeper_wait(struct sweeper *sweeper, struct http_conn *conn, struct http_req *req,
                  int64_t deadline)
{
    (void)sweeper;
    (void)conn;
    (void)req;
    (void)deadline;
}

void sweeper_unwait(struct sweeper *sweeper, struct http_conn *conn)
{
    (void)sweeper;
    (void)conn;
}

void sweeper_expire_all(struct sweeper *sweeper)
{
    (void)sweeper;
}

int linger_start(struct linger_thread *linger, struct err *err)
{
    (void)linger;
    (void)err;
    return 0;
}

void linger_stop(struct linger_thread *linger)
{
    (void)linger;
}

void linger_add(struct linger_thread *linger, int fd)
{
    (void)linger;
    (void)fd;
}

/* What reached the handler on this connection, one line each. */
static struct strbuf handled;
static size_t handled_count;

static void note(struct strbuf *to, const char *method, const char *path, const char *body,
                 size_t len)
{
    strbuf_fmt(to, "%s %s %zu:", method, path, len);
    strbuf_add(to, body, len);
    strbuf_char(to, '\n');
}

static void admit(void *arg, struct http_req *req, struct http_verdict *verdict,
                  struct strbuf *body)
{
    (void)arg;
    (void)body;
    const char *path = http_req_path(req);
    CHECK(path[0] == '/' && utf8_is_valid(path));
    CHECK(http_req_id(req)[0] && !strpbrk(http_req_id(req), "\r\n "));
    *verdict = (struct http_verdict){.max_body = BODY_MAX, .deadline_ms = 10000};
    if (strcmp(path, "/refused") == 0) {
        verdict->refuse_status = 401;
        strbuf_str(body, "{}");
    }
}

static void handle(void *arg, struct http_req *req)
{
    (void)arg;
    static const char *const methods[] = {"GET", "POST", "DELETE", "PATCH", "PUT", "OTHER"};
    size_t len;
    const char *body = http_req_body(req, &len);
    CHECK(len <= BODY_MAX);
    pthread_mutex_lock(&lock);
    note(&handled, methods[http_req_method(req)], http_req_path(req), body, len);
    handled_count++;
    pthread_mutex_unlock(&lock);
    char *answer = strdup("{}");
    http_req_answer(req, 200, answer, 2);
}

static void describe(void *arg, struct http_req *req, int status, const char *code,
                     const char *sentence, struct strbuf *body)
{
    (void)arg;
    (void)req;
    CHECK(status >= 400 && code[0] && utf8_is_valid(sentence));
    strbuf_str(body, "{}");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    static const struct http_app app = {admit, handle, describe, NULL};
    static const struct http_settings settings = {
        .threads = 1, .head_timeout_ms = 10000, .body_timeout_ms = 10000, .idle_timeout_ms = 10000};
    static struct http_server *server;
    struct err err = {0};
    fuzz_init();
    snprintf(place.sun_path, sizeof(place.sun_path), "%s/http", fuzz_folder());
    if (http_server_start(&settings, &app, &server, &err) < 0)
        fuzz_broken(err.msg, __FILE__, __LINE__);
    return 0;
}

/* --- a reader by the book -------------------------------------------------------------------- */

struct reader {
    const char *at, *end;
};

static bool is_token(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (s[i] <= ' ' || s[i] >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", s[i]))
            return false;
    }
    return len > 0;
}

static bool is_end(char c)
{
    return c == '\r' || c == '\n' || !c;
}

/* One line without its end. That is CR LF, of which libmicrohttpd makes two NULs in its buffer:
 * which two of CR, LF and NUL they were nobody behind it can tell, and no proxy lets a NUL pass. */
static bool take_line(struct reader *in, const char **ret_line, size_t *ret_len)
{
    const char *at = in->at;
    while (at < in->end && !is_end(*at))
        at++;
    if (in->end - at < 2 || !(is_end(at[1]) || at[1] == ':'))
        return false;
    *ret_line = in->at;
    *ret_len = (size_t)(at - in->at);
    in->at = at + 2;
    return true;
}

struct head {
    char *method;
    char *target;
    bool chunked, has_length;
    uint64_t length;
};

static bool is_named(const char *line, size_t name_len, const char *name)
{
    return name_len == strlen(name) && strncasecmp(line, name, name_len) == 0;
}

static bool read_number(const char *s, size_t len, unsigned base, uint64_t *ret)
{
    uint64_t n = 0;
    for (size_t i = 0; i < len; i++) {
        const char *digit = memchr("0123456789abcdef", s[i] | (s[i] >= 'A' ? 0x20 : 0), base);
        if (!digit || n > UINT32_MAX)
            return false;
        n = n * base + (uint64_t)(digit - "0123456789abcdef");
    }
    *ret = n;
    return len > 0;
}

static bool read_field(struct head *head, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    if (!colon || !is_token(line, (size_t)(colon - line)))
        return false;
    const char *value = colon + 1;
    const char *end = line + len;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    size_t name_len = (size_t)(colon - line);
    if (is_named(line, name_len, "Content-Length")) {
        if (head->has_length || !read_number(value, (size_t)(end - value), 10, &head->length))
            return false;
        head->has_length = true;
    } else if (is_named(line, name_len, "Transfer-Encoding")) {
        if (head->chunked || !is_named(value, (size_t)(end - value), "chunked"))
            return false;
        head->chunked = true;
    }
    return true;
}

/* What looks like the empty line. */
static bool take_false_end(struct reader *in)
{
    bool is_there = in->end - in->at >= 2 && in->at[0] == ':' && is_end(in->at[1]);
    in->at += is_there ? 2 : 0;
    return is_there;
}

/* RFC 9112, 2.2: empty lines before a request are ignored. libmicrohttpd also takes a bare CR or LF
 * for one, and a line that begins with a NUL, which can't be seen from outside of it. */
static void skip_empty(struct reader *in)
{
    while (in->at < in->end && (*in->at == '\r' || *in->at == '\n' || !*in->at)) {
        if (!*in->at)
            while (in->at < in->end && *in->at != '\n')
                in->at++;
        else
            in->at++;
    }
}

static bool read_head(struct reader *in, struct head *head)
{
    const char *line;
    size_t len;
    skip_empty(in);
    if (!take_line(in, &line, &len))
        return false;
    const char *space = memchr(line, ' ', len);
    const char *last = memrchr(line, ' ', len);
    if (!space || space == last || !is_token(line, (size_t)(space - line)) ||
        (size_t)(line + len - last) != sizeof("HTTP/1.1") || strncmp(last + 1, "HTTP/1.", 7) != 0)
        return false;
    head->method = strndup(line, (size_t)(space - line));
    head->target = strndup(space + 1, (size_t)(last - space - 1));
    for (;;) {
        bool ends = take_false_end(in);
        if (!ends && !take_line(in, &line, &len))
            return false;
        if (ends || !len)
            return !(head->chunked && head->has_length);
        if (!read_field(head, line, len))
            return false;
    }
}

/* A line of the chunk framing, which libmicrohttpd lets end in a bare LF; what it takes behind a
 * chunk's size is as wide. Nothing is read behind such a body, so nobody can hide a request there.
 */
static bool take_chunk_line(struct reader *in, const char **ret_line, size_t *ret_len)
{
    const char *lf = in->at < in->end ? memchr(in->at, '\n', (size_t)(in->end - in->at)) : NULL;
    if (!lf)
        return false;
    *ret_line = in->at;
    *ret_len = (size_t)(lf - in->at);
    *ret_len -= *ret_len && lf[-1] == '\r';
    in->at = lf + 1;
    return true;
}

static bool take_chunk_size(struct reader *in, uint64_t *ret_size)
{
    const char *line;
    size_t len;
    if (!take_chunk_line(in, &line, &len))
        return false;
    size_t digits = strspn(line, "0123456789abcdefABCDEF");
    digits = digits < len ? digits : len;
    return read_number(line, digits, 16, ret_size) &&
           (digits == len || memchr(";\r \t", line[digits], 5));
}

/* The connection is closed after such a body, so nothing behind its last chunk may be read. */
static bool read_chunks(struct reader *in, struct strbuf *body)
{
    for (;;) {
        uint64_t size;
        if (!take_chunk_size(in, &size))
            return false;
        if (!size)
            break;
        if (size > (uint64_t)(in->end - in->at))
            return false;
        strbuf_add(body, in->at, size);
        in->at += size;
        if (in->at < in->end && *in->at == '\r')
            in->at++;
        if (in->at == in->end || *in->at++ != '\n')
            return false;
    }
    in->at = in->end;
    return true;
}

/* The next request as note() would write it; false when there is no sound one. */
static bool read_request(struct reader *in, struct strbuf *out)
{
    struct head head = {0};
    auto_strbuf struct strbuf body = {0};
    struct uri uri;
    bool sound = read_head(in, &head);
    if (sound && head.chunked) {
        sound = read_chunks(in, &body);
    } else if (sound) {
        sound = head.length <= (uint64_t)(in->end - in->at);
        if (sound && head.length)
            strbuf_add(&body, in->at, head.length);
        in->at += sound ? head.length : 0;
    }
    size_t len = head.target ? strlen(head.target) : 0;
    char *scratch = malloc(URI_SCRATCH_SIZE(len));
    CHECK(scratch);
    sound = sound && !uri_parse(head.target, len, scratch, &uri);
    if (sound) {
        static const char *const known[] = {"GET", "POST", "DELETE", "PATCH", "PUT"};
        const char *method = strcmp(head.method, "HEAD") == 0 ? "GET" : "OTHER";
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            method = strcmp(head.method, known[i]) == 0 ? known[i] : method;
        note(out, method, uri.path, body.data ? body.data : "", body.len);
    }
    free(scratch);
    free(head.method);
    free(head.target);
    return sound;
}

/* --- the two compared ------------------------------------------------------------------------ */

/* Each handled request must be one that the reader finds, in this order; refused ones are skipped
 * by the server, which then closes. */
static void compare(const char *data, size_t len)
{
    struct reader in = {data, data + len};
    size_t at = 0;
    for (size_t i = 0; i < handled_count; i++) {
        bool found = false;
        while (!found) {
            auto_strbuf struct strbuf wanted = {0};
            if (!read_request(&in, &wanted))
                fuzz_broken("a request that the reader does not find", __FILE__, __LINE__);
            found = wanted.len <= handled.len - at &&
                    memcmp(wanted.data, handled.data + at, wanted.len) == 0;
            at += found ? wanted.len : 0;
        }
    }
    CHECK(at == handled.len);
}

static int connect_server(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK(connect(fd, (struct sockaddr *)&place, sizeof(place)) == 0);
    return fd;
}

/* Until the server has read all, or has closed: libmicrohttpd overlooks an end that arrives with
 * the last bytes, and notices it at the connection's deadline only. */
static void wait_until_read(int fd)
{
    static const struct timespec moment = {.tv_nsec = 20000};
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    int left;
    while (ioctl(fd, SIOCOUTQ, &left) == 0 && left > 0 && poll(&polled, 1, 0) == 0)
        nanosleep(&moment, NULL);
}

/* Sends all, in two pieces, and reads until the server has closed. */
static void converse(const char *data, size_t len, size_t split, struct strbuf *answers)
{
    char buf[4096];
    ssize_t n;
    /* should libmicrohttpd overlook our end all the same, it will notice the close */
    static const struct timeval patience = {.tv_usec = 500000};
    int fd = connect_server();
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
    split = split < len ? split : len;
    if (split)
        (void)send(fd, data, split, MSG_NOSIGNAL);
    wait_until_read(fd);
    if (len > split)
        (void)send(fd, data + split, len - split, MSG_NOSIGNAL);
    wait_until_read(fd);
    shutdown(fd, SHUT_WR);
    while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
        strbuf_add(answers, buf, (size_t)n);
    close(fd);
    pthread_mutex_lock(&lock);
    while (connections)
        pthread_cond_wait(&closed, &lock);
    pthread_mutex_unlock(&lock);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return -1;
    auto_strbuf struct strbuf answers = {0};
    strbuf_reset(&handled);
    handled_count = 0;
    converse((const char *)data + 1, size - 1, (size_t)data[0] * 4, &answers);
    pthread_mutex_lock(&lock);
    if (answers.len)
        CHECK(strncmp(answers.data, "HTTP/1.", 7) == 0);
    compare((const char *)data + 1, size - 1);
    pthread_mutex_unlock(&lock);
    return 0;
}
