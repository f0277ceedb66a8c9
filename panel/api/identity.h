/* Who asks, and may they? The key of a request, its rate, its scopes, and the user it is bound to.
 *
 * A key comes in x-api-key, as "Authorization: Bearer", or, if it is a session's, in a cookie. */
#ifndef PANEL_API_IDENTITY_H
#define PANEL_API_IDENTITY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/crypto.h"
#include "common/err.h"
#include "panel/auth/limiter.h"
#include "panel/http/http.h"
#include "panel/store/store.h"

#define SESSION_COOKIE "panel_session"

struct call;

struct limiters {
    struct limiter *keys;      /* requests of each key, a minute */
    struct limiter *changes;   /* of each user who is no admin, a minute, by whichever key */
    struct limiter *strangers; /* requests without a good key, a minute, by address */
    struct limiter *logins;    /* attempts in a quarter of an hour, by account and by address */
};

int limiters_create(struct limiters *limiters, struct err *err);
void limiters_destroy(struct limiters *limiters);

/* The text that stands for a key, and its length; "" when there is none. Not after the answer. */
const char *identity_text(const struct http_req *req, size_t *ret_len);

/* Fill in the call's key, count the request, and add the headers that tell the rate.
 * ERR_UNAUTHORIZED; "forbidden" for a cookie that another site's page may have sent; ERR_BUSY
 * "rate_limited". Pool thread. */
int identity_take(struct call *call, struct err *err);

/* Count a request that is to change something, if a user's key or session makes it: what it leaves
 * behind stays, be it no more than the audit trail's word that it was refused. ERR_BUSY
 * "rate_limited". Pool thread. */
int identity_count_change(const struct call *call, struct err *err);

/* May the call's key do what its route does? ERR_UNAUTHORIZED "forbidden" says what it lacks. */
int identity_check(const struct call *call, struct err *err);

/* A body may take its time to come, and a change waits for others: is the key still good, and may
 * it still do this? Once the body is there, on the pool thread; and inside apply(), where it is for
 * certain. ERR_UNAUTHORIZED. */
int identity_renew(struct call *call, struct err *err);
int identity_check_key_tx(const struct call *call, struct store_tx *tx, struct err *err);

/* Once the body is there: is the instance that the route is about one that the user may meet, to
 * whom the key is bound? ERR_NOT_FOUND "instance_not_found", or "forbidden". Anything goes for a
 * key that isn't bound. The second inside apply(), where it is for certain. */
int identity_check_bound(const struct call *call, struct err *err);
int identity_check_bound_tx(const struct call *call, struct store_tx *tx, struct err *err);
/* The same for an instance that the body names: may it be seen at all? */
int identity_check_sight(const struct call *call, const char *instance_id, struct err *err);

/* 429 with its headers, and -1. */
int identity_refuse_rate(struct http_req *req, uint32_t left_ms, const char *what, struct err *err);

/* --- while a stream lasts -------------------------------------------------------------------- */

/* What has to stay true of whoever reads an answer that doesn't end. */
struct watch {
    struct store *store;
    uint8_t hash[CRYPTO_HASH_BYTES];
    char instance_id[65]; /* "": it is about none */
    int permission;
    bool bound;
    _Atomic uint64_t seen; /* versions of what it depends on */
    _Atomic int64_t good_until;
};

void watch_begin(struct watch *watch, const struct call *call);
/* Is it so still? Costs next to nothing while nothing has changed. Any thread that may read. */
bool watch_holds(struct watch *watch);
/* Has anything changed since that was last asked? Any thread; costs nothing. */
bool watch_is_stale(const struct watch *watch);

#endif
