/* What the files of the API share; nobody else includes it.
 *
 * A struct call is one admitted request. It belongs to its http_req and is gone, at the latest,
 * when the request has been answered: nothing may touch it after call_answer*(). */
#ifndef PANEL_API_INTERNAL_H
#define PANEL_API_INTERNAL_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/crypto.h"
#include "common/err.h"
#include "common/log.h"
#include "common/strbuf.h"
#include "panel/api/api.h"
#include "panel/api/event_memo.h"
#include "panel/api/identity.h"
#include "panel/api/list_cache.h"
#include "panel/api/lister.h"
#include "panel/auth/limiter.h"
#include "panel/domain/scope.h"

struct api {
    struct api_rooms rooms;
    struct api_settings settings; /* but for the next two, which change */
    _Atomic uint32_t rate_limit, session_hours;
    char *public_url;                     /* owned copy, or NULL */
    uint8_t dummy_key[CRYPTO_HASH_BYTES]; /* for joins of nodes that don't exist */
    struct list_cache *lists;
    struct lister *lister;
    struct limiters limiters;
    struct event_memo *events;
    _Atomic size_t metrics_len; /* of the last scrape, bytes */
};

/* --- routes.c -------------------------------------------------------------------------------- */

/* Who may: those whose key has that scope. A row without one is nobody's. */
enum {
    PERMISSION_DENIED = SCOPE_NONE,
    PERMISSION_PUBLIC = SCOPE_COUNT, /* no key; the handler proves who it is */
    PERMISSION_ANY_KEY,
};

/* And what of it a key that is bound to a user may, where that is no admin. */
enum bound {
    BOUND_NOT = 0, /* nothing */
    BOUND_ALL,     /* all: nothing there is somebody's own */
    BOUND_OWN,     /* the handler sees to it that he meets what is his, and nothing else */
    BOUND_USER,    /* ":id" is an instance that he owns or has been given access to */
    BOUND_OWNER,   /* … that he owns */
    BOUND_EDITOR,  /* … that he owns, and of its fields those that are for him to change */
};

#define ROUTE_PARAM_SIZE 65

struct call;

struct route {
    enum http_method method;
    const char *path; /* one segment may be ":id" */
    int permission;   /* an enum scope, or one of the above */
    enum bound bound;
    uint32_t max_body;
    uint32_t deadline_ms;
    bool mutates; /* takes an Idempotency-Key */
    void (*handle)(struct call *call);
    /* Where the answer waits for the fleet: wait for that instance, then answer. */
    void (*resume)(struct call *call, const char *instance_id);
};

extern const struct route routes[];
extern const size_t routes_count;

/* "POST /api/instances/:id/power" */
const char *route_op(const struct route *route);
/* What the id in its path or body is one of: "instance", "node", "user" or "image". */
const char *route_thing(const struct route *route);
/* What requests of the route are counted under; never 0. */
unsigned route_metric(const struct route *route);

/* Does path match the row's? A ":id" segment is copied to param. */
bool route_match(const struct route *route, const char *path, char param[ROUTE_PARAM_SIZE]);

/* --- call.c ---------------------------------------------------------------------------------- */

struct call {
    struct api *api;
    struct http_req *req;
    const struct route *route;
    struct api_key key;                  /* id "": there is none, and needn't be */
    uint8_t key_hash[CRYPTO_HASH_BYTES]; /* of its text */
    uint64_t key_seen;                   /* versions of what it is known by */
    json_t *body;                        /* an object, once the handler runs; NULL on GET */
    bool deferred;
    bool has_idempotency;
    bool openmetrics; /* that format, rather than the older one */
    char param[ROUTE_PARAM_SIZE];
    char made[ROUTE_PARAM_SIZE]; /* the id of what it has made; "": nothing yet */
    char idempotency_key[IDEMPOTENCY_KEY_MAX + 1];
    char digest[CRYPTO_HEX_LEN + 1]; /* of what is asked for, with an Idempotency-Key */
    uint8_t seal[CRYPTO_HASH_BYTES]; /* likewise; nobody makes it who hasn't the key's text */
    char *first;                     /* the answer that was kept, for resume(); owned */
    struct {
        int64_t seq; /* of its row; 0: it has none */
        int status;  /* that the row has */
        bool done;   /* there is nothing to be added */
    } audit;
};

/* While it lasts, this thread's lines of the log name the request, what it does, and to what. The
 * call's texts are borrowed. */
struct call_scope {
    struct log_scope req, op, thing;
};
void call_scope_begin(struct call_scope *scope, const struct call *call);
void call_scope_end(struct call_scope *scope);
#define auto_call_scope __attribute__((cleanup(call_scope_end)))

/* The id of what it is about, by its path, its body, or what it has made; "" where there is none.
 */
const char *call_target(const struct call *call);

/* Before the request is handed to another thread; again is fine. */
void call_defer(struct call *call);

/* Answer, taking the text; a failed strbuf becomes a plain 500. Any thread. */
void call_answer(struct call *call, int status, struct strbuf *take_body);
void call_answer_err(struct call *call, const struct err *err);
/* "GET" */
const char *call_method_word(enum http_method method);
const char *call_method_name(const struct http_req *req);
/* 200 and a stream; NULL: it has been answered. See http_req_stream(). Not when deferred. */
struct http_stream *call_stream(struct call *call, const char *type,
                                const struct http_source *source);
/* Is there an instance of the id in the path? -1: ERR_NOT_FOUND "instance_not_found". */
int call_check_instance(const struct call *call, struct err *err);
/* 200 with a text that is shared; takes a reference. */
void call_answer_shared(struct call *call, struct shared *take_body);
/* An idempotent first answer again; takes answer->body. */
void call_replay(struct call *call, struct answer *take_answer);

/* --- identity.c ------------------------------------------------------------------------------ */

/* The user whose world is all that the call may see; NULL: it isn't bound to one. */
static inline const char *call_viewer(const struct call *call)
{
    return call->key.bound ? call->key.user_id : NULL;
}

/* May it do everything? */
static inline bool call_is_admin(const struct call *call)
{
    return !call->key.bound && call->key.scopes == SCOPES_ADMIN;
}

/* --- errors.c -------------------------------------------------------------------------------- */

/* The one mapping from an error to its status. */
int error_status(const struct err *err);
/* The error's JSON. What isn't for the client's eyes is logged and replaced. */
void error_render(const struct err *err, const char *request_id, struct strbuf *out);
/* The same, and the value that the call had in the field at fault, if that is no secret. */
void call_render_err(const struct call *call, const struct err *err, struct strbuf *out);
/* The same from parts; field and details (a JSON value) may be NULL. */
void error_write(struct strbuf *out, const char *code, const char *sentence, const char *request_id,
                 const char *field, const char *details);
/* An error that was kept, as the answer to another request; what can't be changed stays. */
char *error_readdress(char *take_text, const char *request_id);

/* --- list.c: paging and ETag ----------------------------------------------------------------- */

struct list {
    struct store_page page;
    struct strbuf out; /* the array, to be filled item by item */
    char limit[8];     /* as asked, "" when not */
    char etag[LIST_CACHE_ETAG_SIZE];
    bool whole;  /* not a page, and with an ETag: worth keeping */
    bool tagged; /* it has one */
};

/* Reads If-None-Match, limit and cursor. versions: all that the answer depends on, read before the
 * rows are; count 0: no ETag. False: the call has been answered, or will be by the lister. */
bool list_begin(struct call *call, const uint64_t *versions, size_t count, struct list *ret_list);
/* rc and err are the store's. Answers. */
void list_end(struct call *call, struct list *list, int rc, const struct err *err);

/* --- mutation.c ------------------------------------------------------------------------------ */

/* One change that answers its call; embed it first. */
struct mutation {
    struct store_change change;
    struct call *call;
    /* Inside the transaction: change the store, then fill status, body and, when the answer has to
     * wait for the fleet, waits_for. May run more than once. */
    int (*apply)(struct mutation *mutation, struct store_tx *tx, struct err *err);
    /* After the commit, before the answer; may be NULL. Not for replays and refusals. */
    void (*committed)(struct mutation *mutation);
    /* After the commit, in the place of the answer, which is kept only; may be NULL. */
    void (*proceed)(struct mutation *mutation);
    void (*destroy)(struct mutation *mutation);
    int status;
    struct strbuf body;
    char waits_for[40];
    const char *made; /* the id of what it makes, if it does */
    /* private */
    int64_t audit_seq;
    int audit_status;
    bool replayed;
    bool refused;
    struct answer replay;
};

/* Defers the call, does the change, answers, destroys the mutation: all of it, always. */
void mutation_submit(struct mutation *mutation);

/* The Idempotency-Key of a call, checked; and its first answer, if there is one, given again.
 * False: the call has been answered. */
bool idempotency_begin(struct call *call);

/* --- user_change.c --------------------------------------------------------------------------- */

/* Are the fields that are there, the id and the password (NULL: none) good ones? */
int user_check(const struct user_change *fields, const char *password, struct err *err);
/* Whoever makes an admin, or changes one, is one: ERR_UNAUTHORIZED "forbidden". */
int user_check_giver(const struct call *call, struct err *err);

/* --- node_change.c --------------------------------------------------------------------------- */

/* Are the fields that are there good ones? */
int node_check(const struct node_change *fields, struct err *err);

/* portRange and overcommit; null is none of its own. */
struct body;
void node_read_shares(struct body *body, struct node_change *ret_change);

/* --- waiting.c ------------------------------------------------------------------------------- */

/* The answer once outcome is known: returns the status, fills out. On the fleet's thread. */
typedef int (*waiting_fn)(struct call *call, const char *instance_id, enum fleet_outcome outcome,
                          struct strbuf *out);

/* Defers the call, waits for the goal, remembers the final answer where there is an
 * Idempotency-Key, and answers. */
void call_wait(struct call *call, const char *instance_id, enum fleet_goal goal,
               uint32_t timeout_ms, waiting_fn render);

/* A FAILED instance as the error that its deploy ended in; returns the status. deploy.c. */
int instance_render_failure(const struct instance *instance, const char *request_id,
                            struct strbuf *out);
/* The same of one whose last change was undone; its id and the code of why in details. */
int instance_render_undone(const struct instance *instance, const char *request_id,
                           struct strbuf *out);

/* Answer for good: first remembered, where there is an Idempotency-Key. The call is deferred. */
void call_answer_kept(struct call *call, int status, struct strbuf *take_body);

/* Answer, and forget the first answer: a repeat is a request like any other. Likewise. */
void call_answer_forgotten(struct call *call, int status, struct strbuf *take_body);

/* ?wait=SECONDS (0–300). */
int call_read_wait(const struct call *call, uint32_t *ret_seconds, struct err *err);

#endif
