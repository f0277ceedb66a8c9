/* The calls of our own code that can fail, each with a way to make it. See torture.h.
 *
 * The linker puts __wrap_CALL in the place of CALL for what is linked statically, which is ours;
 * shared libraries keep theirs. CMakeLists.txt reads the names off the lines that begin with WRAP,
 * so each stands on one line with its macro. */
#include <curl/curl.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <jansson.h>
#include <mbedtls/ecp.h>
#include <mbedtls/x509_crt.h>
#include <mbedtls/x509_csr.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/tls/tls.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "panel.pb-c.h"
#include "tests/torture/torture.h"

/* clang-format off: a name must stand beside its macro */
/* NOLINTBEGIN(bugprone-macro-parentheses,bugprone-reserved-identifier) */

#define DECLARE(type, name, params)                                                                \
    type __real_##name params;                                                                     \
    type __wrap_##name params
#define WRAP_AS(kind, name, type, params, args, failed)                                            \
    DECLARE(type, name, params);                                                                   \
    type __wrap_##name params                                                                      \
    {                                                                                              \
        if (torture_hit(kind, #name))                                                              \
            return failed;                                                                         \
        return __real_##name args;                                                                 \
    }
/* ret when there is no memory */
#define WRAP_MEMORY(name, type, params, args, failed)                                              \
    WRAP_AS(TORTURE_MEMORY, name, type, params, args, (errno = ENOMEM, failed))
/* -1 with errno */
#define WRAP_CALL(name, type, params, args, number)                                                \
    WRAP_AS(TORTURE_CALLS, name, type, params, args, (errno = (number), (type)-1))
/* The same, interrupted at times. */
#define WRAP_SLOW(name, type, params, args, number)                                                \
    DECLARE(type, name, params);                                                                   \
    type __wrap_##name params                                                                      \
    {                                                                                              \
        if (torture_hit(TORTURE_CALLS, #name))                                                     \
            return errno = (number), (type)-1;                                                     \
        if (torture_hit(TORTURE_INTERRUPT, #name))                                                 \
            return errno = EINTR, (type)-1;                                                        \
        return __real_##name args;                                                                 \
    }
/* The same, of len bytes of which but one may go. */
#define WRAP_DATA(name, params, args, number)                                                      \
    DECLARE(ssize_t, name, params);                                                                \
    ssize_t __wrap_##name params                                                                   \
    {                                                                                              \
        if (torture_hit(TORTURE_CALLS, #name))                                                     \
            return errno = (number), -1;                                                           \
        if (torture_hit(TORTURE_INTERRUPT, #name))                                                 \
            return errno = EINTR, -1;                                                              \
        if (len > 1 && torture_hit(TORTURE_PIECES, #name))                                         \
            len = 1;                                                                               \
        return __real_##name args;                                                                 \
    }
/* Written out below. */
#define WRAP_BY_HAND(name)

static void json_no_memory(json_error_t *error)
{
    if (!error)
        return;
    memset(error, 0, sizeof(*error));
    snprintf(error->text, sizeof(error->text), "out of memory");
    error->text[sizeof(error->text) - 1] = (char)json_error_out_of_memory;
}

/* --- memory ---------------------------------------------------------------------------------- */

WRAP_MEMORY(malloc, void *, (size_t size), (size), NULL)
WRAP_MEMORY(calloc, void *, (size_t count, size_t size), (count, size), NULL)
WRAP_MEMORY(realloc, void *, (void *was, size_t size), (was, size), NULL)
WRAP_MEMORY(reallocarray, void *, (void *was, size_t count, size_t size), (was, count, size), NULL)
WRAP_MEMORY(strdup, char *, (const char *text), (text), NULL)
WRAP_MEMORY(strndup, char *, (const char *text, size_t max), (text, max), NULL)
WRAP_MEMORY(realpath, char *, (const char *path, char *out), (path, out), NULL)
WRAP_BY_HAND(asprintf)
WRAP_MEMORY(pthread_setspecific, int, (pthread_key_t key, const void *value), (key, value), ENOMEM)

int __wrap_asprintf(char **ret, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **ret, const char *format, ...)
{
    if (torture_hit(TORTURE_MEMORY, "asprintf"))
        return -1; /* *ret is undefined then */
    va_list args;
    va_start(args, format);
    int len = vasprintf(ret, format, args);
    va_end(args);
    return len;
}

/* --- files ----------------------------------------------------------------------------------- */

WRAP_BY_HAND(open)
WRAP_BY_HAND(openat)
WRAP_BY_HAND(fcntl)
WRAP_DATA(read, (int fd, void *data, size_t len), (fd, data, len), EIO)
WRAP_DATA(write, (int fd, const void *data, size_t len), (fd, data, len), fd == 2 ? EPIPE : ENOSPC)
WRAP_BY_HAND(fsync)
WRAP_CALL(fstat, int, (int fd, struct stat *out), (fd, out), EIO)
WRAP_CALL(stat, int, (const char *path, struct stat *out), (path, out), EIO)
WRAP_CALL(lstat, int, (const char *path, struct stat *out), (path, out), EIO)
WRAP_CALL(access, int, (const char *path, int mode), (path, mode), EIO)
WRAP_CALL(faccessat, int, (int dir, const char *path, int mode, int flags),
          (dir, path, mode, flags), EIO)
WRAP_CALL(statvfs, int, (const char *path, struct statvfs *out), (path, out), EIO)
WRAP_CALL(chmod, int, (const char *path, mode_t mode), (path, mode), EIO)
WRAP_CALL(fchmod, int, (int fd, mode_t mode), (fd, mode), EIO)
WRAP_CALL(rename, int, (const char *from, const char *to), (from, to), EIO)
WRAP_CALL(renameat, int, (int from_dir, const char *from, int to_dir, const char *to),
          (from_dir, from, to_dir, to), EIO)
WRAP_CALL(unlink, int, (const char *path), (path), EIO)
WRAP_CALL(unlinkat, int, (int dir, const char *path, int flags), (dir, path, flags), EIO)
WRAP_CALL(remove, int, (const char *path), (path), EIO)
WRAP_CALL(rmdir, int, (const char *path), (path), EIO)
WRAP_CALL(mkdir, int, (const char *path, mode_t mode), (path, mode), ENOSPC)
WRAP_CALL(nftw, int, (const char *path, __nftw_func_t call, int fds, int flags),
          (path, call, fds, flags), EIO)
WRAP_CALL(flock, int, (int fd, int what), (fd, what), ENOLCK)
WRAP_AS(TORTURE_CALLS, opendir, DIR *, (const char *path), (path), (errno = EMFILE, NULL))
WRAP_AS(TORTURE_CALLS, fdopendir, DIR *, (int fd), (fd), (errno = ENOMEM, NULL))
WRAP_AS(TORTURE_CALLS, readdir, struct dirent *, (DIR * dir), (dir), (errno = EIO, NULL))

/* Power cuts are not tested here: nothing is synced, and so a round takes little time. */
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    (void)fd;
    if (torture_hit(TORTURE_CALLS, "fsync"))
        return errno = EIO, -1;
    return 0;
}

static int opened(const char *call, int fd)
{
    if (fd < 0 || !torture_hit(TORTURE_CALLS, call))
        return fd;
    close(fd);
    errno = EMFILE;
    return -1;
}

int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int fd = open64(path, flags, va_arg(args, mode_t));
    va_end(args);
    return opened("open", fd);
}

int __wrap_openat(int dir, const char *path, int flags, ...);
int __wrap_openat(int dir, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int fd = openat64(dir, path, flags, va_arg(args, mode_t));
    va_end(args);
    return opened("openat", fd);
}

int __wrap_fcntl(int fd, int what, ...);
int __wrap_fcntl(int fd, int what, ...)
{
    va_list args;
    va_start(args, what);
    long arg = va_arg(args, long);
    va_end(args);
    if (torture_hit(TORTURE_CALLS, "fcntl"))
        return errno = EINVAL, -1;
    return fcntl64(fd, what, arg);
}

/* --- sockets, threads ------------------------------------------------------------------------ */

WRAP_CALL(socket, int, (int domain, int type, int protocol), (domain, type, protocol), EMFILE)
WRAP_CALL(bind, int, (int fd, const struct sockaddr *at, socklen_t len), (fd, at, len), EADDRINUSE)
WRAP_CALL(listen, int, (int fd, int backlog), (fd, backlog), EADDRINUSE)
WRAP_SLOW(connect, int, (int fd, const struct sockaddr *to, socklen_t len), (fd, to, len),
          ECONNREFUSED)
WRAP_SLOW(accept4, int, (int fd, struct sockaddr *from, socklen_t *len, int flags),
          (fd, from, len, flags), EMFILE)
WRAP_DATA(recv, (int fd, void *data, size_t len, int flags), (fd, data, len, flags), ECONNRESET)
WRAP_DATA(send, (int fd, const void *data, size_t len, int flags), (fd, data, len, flags), EPIPE)
WRAP_CALL(pipe2, int, (int *fds, int flags), (fds, flags), EMFILE)
WRAP_CALL(getsockname, int, (int fd, struct sockaddr *at, socklen_t *len), (fd, at, len), ENOBUFS)
WRAP_CALL(getsockopt, int, (int fd, int level, int name, void *value, socklen_t *len),
          (fd, level, name, value, len), ENOPROTOOPT)
WRAP_CALL(setsockopt, int, (int fd, int level, int name, const void *value, socklen_t len),
          (fd, level, name, value, len), ENOPROTOOPT)
WRAP_AS(TORTURE_CALLS, pthread_create, int,
        (pthread_t * thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg),
        (thread, attr, run, arg), EAGAIN)
WRAP_AS(TORTURE_CALLS, pthread_key_create, int, (pthread_key_t * key, void (*end)(void *)),
        (key, end), EAGAIN)

/* --- mbedTLS: what makes, reads or signs something ------------------------------------------- */

#define WRAP_TLS(name, params, args)                                                               \
    WRAP_AS(TORTURE_MEMORY, name, int, params, args, MBEDTLS_ERR_X509_ALLOC_FAILED)

#define RANDOM int (*random)(void *, unsigned char *, size_t), void *random_arg
WRAP_TLS(mbedtls_pk_setup, (mbedtls_pk_context * pk, const mbedtls_pk_info_t *info), (pk, info))
WRAP_TLS(mbedtls_ecp_gen_key, (mbedtls_ecp_group_id group, mbedtls_ecp_keypair *key, RANDOM),
         (group, key, random, random_arg))
WRAP_TLS(mbedtls_pk_parse_key,
         (mbedtls_pk_context * pk, const unsigned char *key, size_t len,
          const unsigned char *password, size_t password_len),
         (pk, key, len, password, password_len))
WRAP_TLS(mbedtls_pk_write_key_pem, (mbedtls_pk_context * pk, unsigned char *out, size_t size),
         (pk, out, size))
WRAP_TLS(mbedtls_pk_check_pair, (const mbedtls_pk_context *pk, const mbedtls_pk_context *key),
         (pk, key))
WRAP_TLS(mbedtls_md,
         (const mbedtls_md_info_t *md, const unsigned char *in, size_t len, unsigned char *out),
         (md, in, len, out))
WRAP_TLS(mbedtls_mpi_read_binary, (mbedtls_mpi * mpi, const unsigned char *bytes, size_t len),
         (mpi, bytes, len))
WRAP_TLS(mbedtls_x509_crt_parse, (mbedtls_x509_crt * crt, const unsigned char *text, size_t len),
         (crt, text, len))
WRAP_TLS(mbedtls_x509_csr_parse, (mbedtls_x509_csr * csr, const unsigned char *text, size_t len),
         (csr, text, len))
WRAP_TLS(mbedtls_x509write_crt_set_serial,
         (mbedtls_x509write_cert * crt, const mbedtls_mpi *serial), (crt, serial))
WRAP_TLS(mbedtls_x509write_crt_set_validity,
         (mbedtls_x509write_cert * crt, const char *from, const char *to), (crt, from, to))
WRAP_TLS(mbedtls_x509write_crt_set_subject_name, (mbedtls_x509write_cert * crt, const char *name),
         (crt, name))
WRAP_TLS(mbedtls_x509write_crt_set_issuer_name, (mbedtls_x509write_cert * crt, const char *name),
         (crt, name))
WRAP_TLS(mbedtls_x509write_crt_set_basic_constraints,
         (mbedtls_x509write_cert * crt, int is_ca, int path_len), (crt, is_ca, path_len))
WRAP_TLS(mbedtls_x509write_crt_set_key_usage, (mbedtls_x509write_cert * crt, unsigned usage),
         (crt, usage))
WRAP_TLS(mbedtls_x509write_crt_set_extension,
         (mbedtls_x509write_cert * crt, const char *oid, size_t oid_len, int critical,
          const unsigned char *value, size_t len),
         (crt, oid, oid_len, critical, value, len))
WRAP_TLS(mbedtls_x509write_crt_pem,
         (mbedtls_x509write_cert * crt, unsigned char *out, size_t size, RANDOM),
         (crt, out, size, random, random_arg))
WRAP_TLS(mbedtls_x509write_csr_set_subject_name, (mbedtls_x509write_csr * csr, const char *name),
         (csr, name))
WRAP_TLS(mbedtls_x509write_csr_pem,
         (mbedtls_x509write_csr * csr, unsigned char *out, size_t size, RANDOM),
         (csr, out, size, random, random_arg))

/* --- nng ------------------------------------------------------------------------------------- */

#define WRAP_NNG(name, params, args) WRAP_AS(TORTURE_MEMORY, name, int, params, args, NNG_ENOMEM)

WRAP_NNG(nng_aio_alloc, (nng_aio * *aio, void (*call)(void *), void *arg), (aio, call, arg))
WRAP_NNG(nng_ctx_open, (nng_ctx * ctx, nng_socket socket), (ctx, socket))
WRAP_NNG(nng_dialer_create, (nng_dialer * dialer, nng_socket socket, const char *url),
         (dialer, socket, url))
WRAP_NNG(nng_dialer_set_ms, (nng_dialer dialer, const char *name, nng_duration ms),
         (dialer, name, ms))
WRAP_NNG(nng_dialer_set_ptr, (nng_dialer dialer, const char *name, void *value),
         (dialer, name, value))
WRAP_NNG(nng_dialer_set_size, (nng_dialer dialer, const char *name, size_t size),
         (dialer, name, size))
WRAP_NNG(nng_dialer_start, (nng_dialer dialer, int flags), (dialer, flags))
WRAP_NNG(nng_listener_create, (nng_listener * listener, nng_socket socket, const char *url),
         (listener, socket, url))
WRAP_NNG(nng_listener_set_ptr, (nng_listener listener, const char *name, void *value),
         (listener, name, value))
WRAP_NNG(nng_listener_set_size, (nng_listener listener, const char *name, size_t size),
         (listener, name, size))
WRAP_NNG(nng_listener_start, (nng_listener listener, int flags), (listener, flags))
WRAP_NNG(nng_msg_alloc, (nng_msg * *msg, size_t size), (msg, size))
WRAP_NNG(nng_msg_append, (nng_msg * msg, const void *data, size_t len), (msg, data, len))
WRAP_NNG(nng_pipe_notify, (nng_socket socket, nng_pipe_ev event, nng_pipe_cb call, void *arg),
         (socket, event, call, arg))
WRAP_NNG(nng_rep0_open, (nng_socket * socket), (socket))
WRAP_NNG(nng_req0_open, (nng_socket * socket), (socket))
WRAP_NNG(nng_socket_set_ms, (nng_socket socket, const char *name, nng_duration ms),
         (socket, name, ms))
WRAP_NNG(nng_tls_config_alloc, (nng_tls_config * *config, nng_tls_mode mode), (config, mode))
WRAP_NNG(nng_tls_config_auth_mode, (nng_tls_config * config, nng_tls_auth_mode mode),
         (config, mode))
WRAP_NNG(nng_tls_config_ca_chain, (nng_tls_config * config, const char *chain, const char *crl),
         (config, chain, crl))
WRAP_NNG(nng_tls_config_own_cert,
         (nng_tls_config * config, const char *cert, const char *key, const char *password),
         (config, cert, key, password))
WRAP_NNG(nng_tls_config_server_name, (nng_tls_config * config, const char *name), (config, name))
WRAP_NNG(nng_tls_config_version,
         (nng_tls_config * config, nng_tls_version from, nng_tls_version to), (config, from, to))

/* --- libcurl --------------------------------------------------------------------------------- */

WRAP_MEMORY(curl_easy_init, CURL *, (void), (), NULL)
WRAP_MEMORY(curl_multi_init, CURLM *, (void), (), NULL)
WRAP_MEMORY(curl_multi_add_handle, CURLMcode, (CURLM * multi, CURL *easy), (multi, easy),
            CURLM_OUT_OF_MEMORY)
WRAP_MEMORY(curl_slist_append, struct curl_slist *, (struct curl_slist * list, const char *text),
            (list, text), NULL)
WRAP_BY_HAND(curl_easy_setopt)

#undef curl_easy_setopt
CURLcode __real_curl_easy_setopt(CURL *easy, CURLoption option, ...);
CURLcode __wrap_curl_easy_setopt(CURL *easy, CURLoption option, ...);
CURLcode __wrap_curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
    va_list args;
    va_start(args, option);
    void *value = va_arg(args, void *);
    va_end(args);
    if (torture_hit(TORTURE_MEMORY, "curl_easy_setopt"))
        return CURLE_OUT_OF_MEMORY;
    return __real_curl_easy_setopt(easy, option, value);
}

/* --- jansson: whole calls, for 2.14 itself crashes when it has no memory while it parses ------ */

WRAP_MEMORY(json_loads, json_t *, (const char *text, size_t flags, json_error_t *error),
            (text, flags, error), (json_no_memory(error), NULL))
WRAP_MEMORY(json_loadb, json_t *, (const char *text, size_t len, size_t flags, json_error_t *error),
            (text, len, flags, error), (json_no_memory(error), NULL))
WRAP_MEMORY(json_object, json_t *, (void), (), NULL)
WRAP_MEMORY(json_array, json_t *, (void), (), NULL)
WRAP_MEMORY(json_string, json_t *, (const char *text), (text), NULL)
WRAP_MEMORY(json_copy, json_t *, (json_t * value), (value), NULL)
WRAP_MEMORY(json_dumps, char *, (const json_t *value, size_t flags), (value, flags), NULL)
WRAP_MEMORY(json_object_set_new, int, (json_t * object, const char *key, json_t *value),
            (object, key, value), (json_decref(value), -1))

/* --- protobuf-c: each of its allocations ----------------------------------------------------- */

WRAP_BY_HAND(protobuf_c_message_unpack)

static void *wire_alloc(void *unused, size_t size)
{
    (void)unused;
    return torture_hit(TORTURE_MEMORY, "protobuf-c") ? NULL : __real_malloc(size);
}

static void wire_free(void *unused, void *what)
{
    (void)unused;
    free(what);
}

DECLARE(ProtobufCMessage *, protobuf_c_message_unpack,
        (const ProtobufCMessageDescriptor *descriptor, ProtobufCAllocator *allocator, size_t len,
         const uint8_t *data));
ProtobufCMessage *__wrap_protobuf_c_message_unpack(const ProtobufCMessageDescriptor *descriptor,
                                                   ProtobufCAllocator *allocator, size_t len,
                                                   const uint8_t *data)
{
    static ProtobufCAllocator failing = {.alloc = wire_alloc, .free = wire_free};
    (void)allocator;
    return __real_protobuf_c_message_unpack(descriptor, &failing, len, data);
}
/* NOLINTEND(bugprone-macro-parentheses,bugprone-reserved-identifier) */
/* clang-format on */
