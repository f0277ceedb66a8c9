/* The floor of the event streams: libmicrohttpd copying the same bytes to each of its clients.
 *
 *   floor-stream THREADS     says its port, then takes lines "LENGTH" from stdin: so many bytes
 * more
 *
 * Clients are suspended while there is nothing new, as the panel's are. */
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLIENTS_MAX 1000
#define BYTES_MAX   (64u * 1024u * 1024u)

struct client {
    struct MHD_Connection *connection;
    int waiting;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct client clients[CLIENTS_MAX];
static size_t client_count;
static char *bytes;
static size_t len;

static ssize_t read_more(void *arg, uint64_t at, char *to, size_t max)
{
    struct client *client = arg;
    pthread_mutex_lock(&lock);
    size_t part = len - at < max ? (size_t)(len - at) : max;
    if (part) {
        memcpy(to, bytes + at, part);
    } else {
        client->waiting = 1;
        MHD_suspend_connection(client->connection);
    }
    pthread_mutex_unlock(&lock);
    return (ssize_t)part;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **ctx)
{
    (void)arg;
    (void)url;
    (void)method;
    (void)version;
    (void)upload;
    (void)upload_size;
    (void)ctx;
    pthread_mutex_lock(&lock);
    struct client *client = client_count < CLIENTS_MAX ? &clients[client_count++] : NULL;
    pthread_mutex_unlock(&lock);
    if (!client)
        return MHD_NO;
    client->connection = connection;
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, read_more, client, NULL);
    MHD_add_response_header(response, "Content-Type", "text/event-stream");
    enum MHD_Result rc = MHD_queue_response(connection, 200, response);
    MHD_destroy_response(response);
    return rc;
}

int main(int argc, char **argv)
{
    char line[64];
    bytes = malloc(BYTES_MAX);
    if (argc != 2 || !bytes) {
        fprintf(stderr, "usage: floor-stream THREADS\n");
        return 2;
    }
    memset(bytes, 'x', BYTES_MAX);
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
                         on_request, NULL, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)atoi(argv[1]),
                         MHD_OPTION_CONNECTION_LIMIT, 4096u, MHD_OPTION_END);
    if (!daemon)
        return 1;
    printf("listening on %u\n", MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        size_t more = strtoul(line, NULL, 10);
        pthread_mutex_lock(&lock);
        len = len + more < BYTES_MAX ? len + more : BYTES_MAX;
        for (size_t i = 0; i < client_count; i++) {
            if (clients[i].waiting) {
                clients[i].waiting = 0;
                MHD_resume_connection(clients[i].connection);
            }
        }
        pthread_mutex_unlock(&lock);
    }
    _exit(0); /* its clients needn't be told */
}
