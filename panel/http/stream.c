/* Answers whose body is made while it is sent. See http.h and internal.h.
 *
 * Invariant: a stream is suspended only after read() gave nothing and nobody has woken it since
 * read() began, so no wake is lost; and it is resumed once for each time it was suspended. read()
 * runs without the lock, so a wake may come from inside whatever lock guards what is read. */
#include "panel/http/internal.h"

#include <stdlib.h>

struct http_stream *http_req_stream(struct http_req *req, const char *type,
                                    const struct http_source *source)
{
    struct http_stream *stream = calloc(1, sizeof(*stream));
    if (!stream) {
        source->close(source->arg);
        http_req_answer(req, 500, NULL, 0);
        return NULL;
    }
    atomic_init(&stream->refs, 2);
    pthread_mutex_init(&stream->lock, NULL);
    stream->server = req->server;
    stream->conn = req->conn;
    stream->connection = req->connection;
    stream->source = *source;
    req->type = type;
    req->status = 200;
    req->stream = stream;
    atomic_store(&req->state, REQ_ANSWERED);
    return stream;
}

void http_stream_unref(struct http_stream *stream)
{
    if (!stream || atomic_fetch_sub(&stream->refs, 1) != 1)
        return;
    pthread_mutex_destroy(&stream->lock);
    free(stream);
}

void http_stream_wake(struct http_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->woken = true;
    if (stream->waiting && !stream->over) {
        stream->waiting = false;
        server_resume_stream(stream);
    }
    pthread_mutex_unlock(&stream->lock);
}

int stream_read(struct http_stream *stream, char *to, size_t max)
{
    for (;;) {
        pthread_mutex_lock(&stream->lock);
        stream->woken = false;
        pthread_mutex_unlock(&stream->lock);
        if (server_is_stopping(stream->server)) /* whoever ends streams wakes them after that */
            return HTTP_STREAM_END;
        int len = stream->source.read(stream->source.arg, to, max);
        if (len)
            return len;
        pthread_mutex_lock(&stream->lock);
        bool again = stream->woken;
        if (!again) {
            stream->waiting = true;
            server_suspend_stream(stream);
        }
        pthread_mutex_unlock(&stream->lock);
        if (!again)
            return 0;
    }
}

void stream_close(struct http_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->over = true;
    pthread_mutex_unlock(&stream->lock);
    stream->source.close(stream->source.arg);
    http_stream_unref(stream);
}
