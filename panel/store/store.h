/* The store: everything the panel must not forget, in the domain's words.
 *
 * Writes go through one thread. store_submit() queues a change; the writer runs what has
 * gathered as one transaction, each change in a savepoint of its own, commits with an fsync,
 * and only then calls each change's done(). So whoever is told of success may tell the world.
 * Reads run on the caller's thread, on a read-only connection of that thread's own, and see
 * what has been committed. Nothing outside panel/store knows SQL.
 *
 * Texts given to write functions are copied into the database; texts in rows handed to
 * callbacks live until the callback returns. */
#ifndef PANEL_STORE_STORE_H
#define PANEL_STORE_STORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/crypto.h"
#include "common/err.h"
#include "common/mailbox.h"
#include "common/strbuf.h"
#include "common/watchdog.h"
#include "panel/domain/scope.h"
#include "panel/domain/words.h"

struct store;
struct store_tx; /* the writer's open transaction; only inside apply() */

/* Opens or creates DIR/panel.db, migrates it, starts the writer. Refuses a database written by
 * a newer version. on_fatal is called, on the writer's thread, when a commit ended in an I/O
 * error: its outcome is unknown and nothing more may be written; the program should exit. */
int store_open(const char *dir, void (*on_fatal)(const struct err *err), struct store **ret_store,
               struct err *err);

/* Finishes what is queued; from now on store_submit() is refused. Not while a change is submitted
 * that must not be. */
void store_drain(struct store *store);
/* The same, then closes. Other threads must have ended their reads. */
void store_close(struct store *store);

/* Of the writer. It may be asked until store_drain(). */
struct heart *store_heart(struct store *store);

/* --- writing --------------------------------------------------------------------------------- */

/* One queued change; embed it, first, in what the change needs. The submitter owns it again when
 * done() runs. Neither function may block or submit and wait. */
struct store_change {
    struct mail mail; /* private */
    struct err error; /* private */
    /* On the writer's thread, inside the transaction. -1 undoes this change alone. May be run
     * again, when the transaction has to be repeated without a change that broke it. */
    int (*apply)(struct store_change *change, struct store_tx *tx, struct err *err);
    /* On the writer's thread, after the commit (err NULL) or with what went wrong. */
    void (*done)(struct store_change *change, const struct err *err);
};

/* Queue a change; done() will be called exactly once. ERR_BUSY when the queue is full or the
 * store is closing: then done() is not called. Any thread. */
int store_submit(struct store *store, struct store_change *change, struct err *err);

/* --- how it does ------------------------------------------------------------------------------ */

struct store_health {
    uint32_t queued, queue_max; /* changes that wait or are being committed */
    int64_t committed_at;       /* mono ms of the last commit that worked; the opening is one */
    char failure[40];           /* why the last one didn't; "" when it did */
};
/* Any thread; takes no lock. */
void store_health(struct store *store, struct store_health *ret_health);

struct store_space {
    uint64_t database, free_pages, wal; /* bytes; free_pages are part of the first */
    uint64_t disk, disk_free;           /* of the filesystem it lies on, as its owner may use it */
};
/* Reader. */
int store_space(struct store *store, struct store_space *ret_space, struct err *err);

/* Inside apply(): a write that changes nothing anybody sees, to learn whether writing works. */
int store_touch(struct store_tx *tx, struct err *err);

/* --- versions: what ETags are made from ------------------------------------------------------ */

enum store_table {
    STORE_USERS, /* and who owns or may use which instance */
    STORE_NODES,
    STORE_IMAGES,
    STORE_INSTANCES,
    STORE_KEYS, /* but for when they were last used */
    STORE_TABLES
};

/* A number that rises after each commit that touched the table. Any thread. */
uint64_t store_version(const struct store *store, enum store_table table);

/* --- paging ---------------------------------------------------------------------------------- */

/* Rows come in order of creation. */
struct store_page {
    int64_t after;  /* in: sequence number to start behind; 0: from the start */
    uint32_t limit; /* in: most rows; 0: all */
    int64_t next;   /* out: value of after for the next page; 0: this was the last */
};

/* --- meta ------------------------------------------------------------------------------------ */

struct store_identity {
    char panel_id[CRYPTO_UUID_SIZE];
    uint64_t epoch; /* risen by store_open() */
};
const struct store_identity *store_identity(const struct store *store);

/* --- API keys and sessions ------------------------------------------------------------------- */

#define API_KEY_ID_SIZE   17
#define API_KEY_NAME_SIZE 65
#define USER_ID_SIZE      65
#define KEY_LIFE_MAX_MS   (100LL * 366 * 24 * 3600 * 1000) /* of one that has an end at all */
#define KEYS_MAX          100 /* of one user; and so many dead ones are remembered */
#define SESSIONS_MAX      100 /* of one user; the oldest end for newer ones */

/* A session is a key that its user got by a password. It is in no list of keys. */
struct api_key {
    int64_t seq;
    char id[API_KEY_ID_SIZE];
    char name[API_KEY_NAME_SIZE]; /* for people; need not be unique */
    bool session;
    char scopes_text[SCOPES_TEXT_SIZE]; /* see scopes_parse() */
    scope_set scopes;
    char user_id[USER_ID_SIZE]; /* whose it is; "": nobody's, it stands for itself */
    bool bound;                 /* sees and does only what that user may; not if that is an admin.
                                 * Told by store_key_find*() alone */
    int64_t good_until;         /* of what it was found by; 0: for ever. Told there alone, too */
    int64_t rate_limit;         /* requests a minute; 0: as many as it likes, -1: as all */
    int64_t created_at;         /* wall ms; so are the rest */
    int64_t expires_at;         /* 0: never */
    int64_t revoked_at;         /* 0: not */
    int64_t rotated_at;         /* 0: it has its first secret */
    int64_t last_used_at;       /* 0: never; to the minute */
};
typedef int (*store_key_fn)(const struct api_key *key, void *arg, struct err *err);

/* Find a live key (neither revoked nor expired, its user still there) by the SHA-256 of its text.
 * 1 found, 0 not, -1 err. Reader; the second inside apply(). */
int store_key_find(struct store *store, const uint8_t hash[CRYPTO_HASH_BYTES],
                   struct api_key *ret_key, struct err *err);
int store_key_find_tx(struct store_tx *tx, const uint8_t hash[CRYPTO_HASH_BYTES],
                      struct api_key *ret_key, struct err *err);
/* By id; also of those that are dead. 1 found, 0 not; the second inside apply(). */
int store_key_get(struct store *store, const char *id, struct api_key *ret_key, struct err *err);
int store_key_see(struct store_tx *tx, const char *id, struct api_key *ret_key, struct err *err);
/* All that there are, and the dead; the oldest first; user_id NULL: whosever. Reader. */
int store_key_list(struct store *store, const char *user_id, struct store_page *page,
                   store_key_fn fn, void *arg, struct err *err);

/* Inside apply(). id, name, scopes_text, user_id, rate_limit and expires_at are read; an id of ""
 * is made. ERR_NOT_FOUND "user_not_found", ERR_CONFLICT "too_many_keys", field userId. */
int store_key_create(struct store_tx *tx, struct api_key *key,
                     const uint8_t hash[CRYPTO_HASH_BYTES], struct err *err);
/* What is to be another from now on. */
struct api_key_change {
    const char *id;
    const char *name;        /* NULL: stays */
    const char *scopes_text; /* NULL: stays */
    int64_t expires_at;      /* -1: stays, 0: never */
    int64_t rate_limit;      /* -2: stays; the rest as above */
};
/* Inside apply(). These three: ERR_NOT_FOUND "key_not_found" when there is no such key that isn't
 * revoked. */
int store_key_change(struct store_tx *tx, const struct api_key_change *change, struct err *err);
/* Another secret; the one it had is good until old_until (wall ms), those before it no more. */
int store_key_rotate(struct store_tx *tx, const char *id, const uint8_t hash[CRYPTO_HASH_BYTES],
                     int64_t old_until, struct err *err);
int store_key_end(struct store_tx *tx, const char *id, struct err *err);
/* The same by id or name: ERR_CONFLICT "key_ambiguous" when several live keys have the name. From
 * the commit on the key is not found. */
int store_key_revoke(struct store_tx *tx, const char *id_or_name, char ret_id[API_KEY_ID_SIZE],
                     struct err *err);
/* Inside apply(): it was used just now. */
int store_key_used(struct store_tx *tx, int64_t seq, struct err *err);

/* Inside apply(). As store_key_create(), for a user that is there. Drops sessions that are over. */
int store_session_create(struct store_tx *tx, struct api_key *session,
                         const uint8_t hash[CRYPTO_HASH_BYTES], struct err *err);
/* Inside apply(); 0 also when there is none. */
int store_session_end(struct store_tx *tx, const char *id, struct err *err);

/* --- users ----------------------------------------------------------------------------------- */

struct user {
    const char *id;
    const char *username;
    const char *email;
    bool admin;
    int64_t created_at;    /* wall ms */
    const char *access_to; /* JSON array text: the instances of others that he may use, too */
};
typedef int (*store_user_fn)(const struct user *user, void *arg, struct err *err);

enum user_key { USER_BY_ID, USER_BY_USERNAME, USER_BY_EMAIL };

/* Reader. 1 found (fn was called), 0 not, -1 err or fn returned -1. */
int store_user_get(struct store *store, enum user_key by, const char *value, store_user_fn fn,
                   void *arg, struct err *err);
/* Reader. fn returning -1 stops the walk. */
int store_user_list(struct store *store, struct store_page *page, store_user_fn fn, void *arg,
                    struct err *err);
/* Inside apply(). ERR_CONFLICT "user_exists" with the field at fault (username, email, userId). */
int store_user_create(struct store_tx *tx, const struct user *user, const char *password_hash,
                      struct err *err);

/* The same as store_user_get() by id, inside apply(): as it will be. */
int store_user_see(struct store_tx *tx, const char *id, store_user_fn fn, void *arg,
                   struct err *err);
/* What is to be another from now on; NULL: stays as it is. */
struct user_change {
    const char *id;
    const char *username, *email, *password_hash;
    int admin; /* 1, 0, or -1: stays */
};
/* Inside apply(). ERR_NOT_FOUND "user_not_found"; ERR_CONFLICT "user_exists" as above. */
int store_user_change(struct store_tx *tx, const struct user_change *change, struct err *err);
/* Inside apply(). ERR_NOT_FOUND likewise; ERR_CONFLICT "user_has_instances" unless force: then they
 * become DELETING (ret_ids: a line each), and the user is gone for all but them. */
int store_user_delete(struct store_tx *tx, const char *id, bool force, struct strbuf *ret_ids,
                      struct err *err);

/* What a login needs of a user. */
struct user_login {
    char id[USER_ID_SIZE];
    char username[257];
    char hash[128]; /* of the password */
};
enum login_by { LOGIN_BY_NAME, LOGIN_BY_ID };
/* By username or e-mail address, or by id. 1 found, 0 not. Reader. */
int store_user_login(struct store *store, enum login_by by, const char *name,
                     struct user_login *ret_login, struct err *err);
/* By id, inside apply(): is that still the user's password's hash? ERR_UNAUTHORIZED when not. */
int store_user_check_hash(struct store_tx *tx, const char *id, const char *hash, struct err *err);

/* --- access: who may use an instance beside its owner ------------------------------------------
 */

/* Inside apply(). ERR_NOT_FOUND "instance_not_found", "user_not_found"; ERR_CONFLICT "is_owner".
 * What he has already is no change. */
int store_access_give(struct store_tx *tx, const char *instance_id, const char *user_id,
                      struct err *err);
/* Inside apply(). ERR_NOT_FOUND likewise, or "access_not_found" when he has none. */
int store_access_take(struct store_tx *tx, const char *instance_id, const char *user_id,
                      struct err *err);
/* What may a user do with an instance? As much as there is of it that isn't being deleted. */
enum store_right { RIGHT_NONE, RIGHT_USE, RIGHT_OWN };
/* An enum store_right, or -1; the second inside apply(). */
int store_access_right(struct store *store, const char *instance_id, const char *user_id,
                       struct err *err);
int store_access_right_tx(struct store_tx *tx, const char *instance_id, const char *user_id,
                          struct err *err);
/* Reader: those who have it; id, username and email alone. ERR_NOT_FOUND "instance_not_found". */
int store_access_list(struct store *store, const char *instance_id, struct store_page *page,
                      store_user_fn fn, void *arg, struct err *err);

/* --- nodes ----------------------------------------------------------------------------------- */

struct node {
    const char *id;
    const char *name;
    const char *tags;
    const char *ram;
    const char *disk;
    const char *processor;
    const char *address;
    const char *port; /* as given; digits 1–65535 */
    bool joined;
    bool maintenance;                 /* nothing new is placed on it */
    bool drained;                     /* nor does anything run on it, whatever is wanted of it */
    bool deleted;                     /* only store_node_scan() shows such */
    struct port_range auto_ports;     /* of its own; 0, 0: it has none */
    uint32_t memory_overcommit_milli; /* likewise; thousandths */
    uint32_t cpu_overcommit_milli;    /* 0: its cores are shared without being counted */
    int64_t created_at;
    int64_t last_seen; /* wall ms as last stored; the board knows better while the panel runs */
    const char *agent_version;    /* "" before the first contact */
    const char *docker_version;   /* "" before the first contact */
    uint64_t capacity_memory_mib; /* what the agent measured; 0: unknown */
    uint32_t capacity_cpus;
    uint64_t capacity_disk_mib;
    /* Sums over its instances, each for as long as it has a right to come (back) up: FAILED and
     * suspended ones count, and those being deleted until the node has confirmed. */
    uint64_t allocated_memory_mib;
    int64_t allocated_cpu_milli;
    uint32_t instances;
    uint32_t stopping, stopped; /* how many of them, if it is drained */
};
typedef int (*store_node_fn)(const struct node *node, void *arg, struct err *err);

/* How much memory may be promised on it; panels: the ratio where it has none of its own. */
uint64_t node_usable_mib(const struct node *node, double panels);
/* How much of that is left. */
uint64_t node_free_mib(const struct node *node, double panels);

int store_node_get(struct store *store, const char *id, store_node_fn fn, void *arg,
                   struct err *err);
/* The same inside apply(): as it will be. */
int store_node_see(struct store_tx *tx, const char *id, store_node_fn fn, void *arg,
                   struct err *err);
int store_node_list(struct store *store, struct store_page *page, store_node_fn fn, void *arg,
                    struct err *err);

/* Inside apply(). Only the wire's own strings, id, created_at, ports and ratios are read from node.
 * join_key: see join_token.h; valid until join_expires_at (wall ms). ERR_CONFLICT "node_exists"
 * when a node that has joined is at its address and port. */
int store_node_create(struct store_tx *tx, const struct node *node,
                      const uint8_t join_key[CRYPTO_HASH_BYTES], int64_t join_expires_at,
                      struct err *err);

/* What is to be another from now on; NULL: stays as it is. */
struct node_change {
    const char *id;
    const char *name, *tags, *ram, *disk, *processor, *address, *port;
    int maintenance; /* 1, 0, or -1: stays; 0 ends a drain, too */
    int drain;       /* likewise; 1 is maintenance, too. What was to run is to run again after it */
    int auto_first, auto_last;             /* -1: stay; 0: the panel's */
    int memory_overcommit, cpu_overcommit; /* thousandths; -1: stays; 0: none of its own */
};
/* Inside apply(). ERR_NOT_FOUND "node_not_found"; ERR_CONFLICT "node_exists" as above. */
int store_node_change(struct store_tx *tx, const struct node_change *change, struct err *err);
/* Inside apply(): a new token for it, in the place of the one it had. ERR_NOT_FOUND likewise. */
int store_node_rejoin(struct store_tx *tx, const char *id,
                      const uint8_t join_key[CRYPTO_HASH_BYTES], int64_t join_expires_at,
                      struct err *err);

/* Inside apply(). ERR_NOT_FOUND "node_not_found"; ERR_CONFLICT "node_has_instances" (msg says how
 * many, and how many of them are being deleted) unless force: then its instances become DELETING
 * and the node leaves every list at once, but the fleet keeps working on it until the last of them
 * is gone. */
int store_node_delete(struct store_tx *tx, const char *id, bool force, struct err *err);
/* Inside apply(): forget a deleted node that has no instances left; 0 also when it still has. */
int store_node_forget(struct store_tx *tx, const char *id, struct err *err);
/* Every node: one that nobody has joined yet, and a deleted one with instances left, included. */
int store_node_scan(struct store *store, const char *id, store_node_fn fn, void *arg,
                    struct err *err);

/* What a join needs. Reader. 1 found, 0 no node or no token outstanding, -1 err. */
struct node_join {
    uint8_t key[CRYPTO_HASH_BYTES];
    int64_t expires_at;
    char used_by[CRYPTO_HEX_LEN + 1]; /* digest of the request that used it; "" when unused */
    char address[256];
    char port[8];
};
int store_node_join_get(struct store *store, const char *node_id, struct node_join *ret_join,
                        struct err *err);
/* Inside apply(). Marks the token used by that request and the node joined; ERR_CONFLICT
 * "token_used" when another request has used it, "node_exists" when another node has joined at its
 * place, ERR_NOT_FOUND when there is none. */
int store_node_join_use(struct store_tx *tx, const char *node_id, const char *request_digest,
                        struct err *err);

/* Inside apply(): what the fleet learnt. */
struct node_facts {
    const char *id;
    int64_t last_seen;
    const char *agent_version;
    const char *docker_version;
    uint64_t capacity_memory_mib;
    uint32_t capacity_cpus;
    uint64_t capacity_disk_mib;
    const char *status; /* the wire's word, for events alone; NULL: what it was */
};
int store_node_observe(struct store_tx *tx, const struct node_facts *facts, struct err *err);

/* --- images (templates) ---------------------------------------------------------------------- */

struct image {
    const char *id;
    const char *name;
    const char *body; /* the whole template as JSON text, as the wire shows it */
};
typedef int (*store_image_fn)(const struct image *image, void *arg, struct err *err);

int store_image_list(struct store *store, struct store_page *page, store_image_fn fn, void *arg,
                     struct err *err);
/* 1 found, 0 not. By exact name; names are unique. */
int store_image_find(struct store *store, const char *name, store_image_fn fn, void *arg,
                     struct err *err);
/* Inside apply(). ERR_CONFLICT "image_exists" (field Name or Id). */
int store_image_create(struct store_tx *tx, const struct image *image, struct err *err);
/* By id. 1 found, 0 not; the second inside apply(), ERR_NOT_FOUND "image_not_found". */
int store_image_get(struct store *store, const char *id, store_image_fn fn, void *arg,
                    struct err *err);
int store_image_see(struct store_tx *tx, const char *id, store_image_fn fn, void *arg,
                    struct err *err);
/* Inside apply(): another name and body for one that is there. ERR_CONFLICT "image_exists". */
int store_image_change(struct store_tx *tx, const struct image *image, struct err *err);
/* Inside apply(). ERR_NOT_FOUND "image_not_found"; ERR_CONFLICT "image_in_use" says how many
 * instances were made from it. */
int store_image_check_unused(struct store_tx *tx, const char *id, struct err *err);
/* Inside apply(). ERR_NOT_FOUND "image_not_found". Instances keep their own copy of the template.
 */
int store_image_delete(struct store_tx *tx, const char *id, struct err *err);

/* --- instances ------------------------------------------------------------------------------- */

struct instance {
    /* set by the deploy */
    const char *id;
    const char *name;
    const char *user_id;
    const char *node_id;
    const char *image;      /* Docker reference */
    const char *alt_images; /* JSON array text */
    uint64_t memory_mib;
    int64_t cpu_milli;        /* thousandths of a core */
    uint64_t disk_mib;        /* 0: none asked for */
    const char *ports;        /* canonical text, "8080:18080,9000:19000/udp" */
    uint16_t primary_port;    /* host port */
    uint32_t port_choices;    /* so often the panel may choose other host ports where it chose */
    const char *env;          /* JSON array text of K=V: what the container gets */
    const char *cmd;          /* JSON array text; "[]": the image's own */
    const char *variables;    /* JSON object text */
    const char *own_env;      /* likewise: what it was given beside them, by name */
    const char *stop_command; /* template's; "" when none */
    uint32_t stop_timeout_s; /* from being told to stop until it is killed; 0 in a new one: usual */
    uint32_t resizes;        /* changes of memory and CPU so far */
    uint64_t pull_round;     /* names the last redeploy; 0: there was none */
    bool terminal;           /* it has one */
    const char *mount_path;
    const char *template; /* JSON text, or NULL */
    int64_t created_at;
    /* desired */
    uint64_t generation; /* rises with every change of what is wanted */
    bool suspended;
    enum instance_power power;
    enum instance_phase phase;
    int64_t phase_since; /* wall ms */
    /* observed */
    enum instance_observed observed;
    const char *container_id; /* "" when there is none */
    const char *error_code;   /* "" when there is none */
    const char *error_message;
    uint32_t progress_percent;
    int64_t updated_at;
    /* joined in from its node, for reading */
    const char *node_name;
    const char *node_address;
    const char *node_port;
    bool node_joined, node_maintenance, node_drained;
    const char *install;    /* JSON array text of {"uri","path","sha256"}: what it begins with */
    uint64_t install_round; /* rises with each time that is to be done; 0: never */
    bool install_wipe;      /* its volume is emptied first */
    const char *exits;      /* JSON array of the last ones, {"at","code","oomKilled"} */
    int64_t exit_at;        /* of the last of them, wall ms; 0: there is none */
    bool changing;      /* what it was like before its last change is kept until that is proven */
    const char *undone; /* JSON object {"at","code","message"} of its last change, or NULL */
};
typedef int (*store_instance_fn)(const struct instance *instance, void *arg, struct err *err);

/* Readers. Those being deleted are not seen, but by store_instance_scan(). 1 found, 0 not. */
int store_instance_get(struct store *store, const char *id, store_instance_fn fn, void *arg,
                       struct err *err);
/* The same inside apply(). */
int store_instance_see(struct store_tx *tx, const char *id, store_instance_fn fn, void *arg,
                       struct err *err);
/* user_id NULL: of all users. */
int store_instance_list(struct store *store, const char *user_id, struct store_page *page,
                        store_instance_fn fn, void *arg, struct err *err);
/* The same: his own, and those of others that he may use, too. */
int store_instance_list_usable(struct store *store, const char *user_id, struct store_page *page,
                               store_instance_fn fn, void *arg, struct err *err);
/* All, DELETING ones included; of one node, or id not NULL: that one alone. For the fleet. */
int store_instance_scan(struct store *store, const char *node_id, const char *id,
                        store_instance_fn fn, void *arg, struct err *err);

struct instance_new {
    struct instance row; /* ports, primary_port, env, cmd and install are filled in by the create */
    const struct port_mapping *ports;
    size_t port_count;
    uint16_t primary_asked;       /* 0: the first mapping's host port */
    double memory_overcommit;     /* 1.0: the node's memory and no more */
    struct port_range auto_ports; /* host port 0 in ports picks from these; a node's own win */
};

/* Inside apply(). Checks, and reserves, all that must hold: user and node exist (ERR_NOT_FOUND
 * user_not_found, node_not_found), the node takes new ones (ERR_CONFLICT node_maintenance), host
 * ports are free on the node (ERR_CONFLICT port_taken: says the port and who has it), the memory is
 * there (ERR_CONFLICT insufficient_memory: says how much is left), the node has so many cores at
 * all (ERR_CONFLICT insufficient_cpu; they are shared, so nothing is left of them, unless the node
 * has a ratio for them), primary is one of the ports. What depends on the ports picked is made
 * here, by domain/recipe.h (ERR_INVALID as there). Phase is INSTALLING, generation 1. */
int store_instance_create(struct store_tx *tx, const struct instance_new *create, struct err *err);

/* Inside apply(): one that was elsewhere before, on a node that needs not have joined. It is READY
 * and stopped, its files are taken for installed, and its node is told nothing but that until it is
 * started. Room isn't looked at; all else is as in store_instance_create(). */
int store_instance_adopt(struct store_tx *tx, const struct instance_new *create, bool suspended,
                         struct err *err);

/* Inside apply(), each ERR_NOT_FOUND "instance_not_found" when it isn't there or is being
 * deleted. All raise the generation where they change anything. */
int store_instance_delete(struct store_tx *tx, const char *id, struct err *err); /* → DELETING */
int store_instance_suspend(struct store_tx *tx, const char *id, bool suspended, struct err *err);
/* What it is already is no change. ERR_CONFLICT "suspended" when a suspended one is to run,
 * "node_drained" when one on such a node is. To start one that FAILED is to retry it. */
int store_instance_power(struct store_tx *tx, const char *id, enum instance_power power,
                         struct err *err);
/* What of an instance is to be another; NULL and 0 stay. */
struct instance_edit {
    const char *id;
    const char *name;
    const char *user_id;
    const uint64_t *disk_mib;
    uint64_t memory_mib;
    int64_t cpu_milli;
    /* below: what only a new container can have */
    const char *image;                /* one of the instance's images */
    bool any_image;                   /* or any other */
    const struct port_mapping *ports; /* as in struct instance_new; 0 keeps one that it has */
    size_t port_count;
    const char *primary;          /* as a client says it */
    const json_t *variables;      /* given ones by name, null: no longer */
    const json_t *own_env;        /* likewise */
    struct port_range auto_ports; /* as in struct instance_new */
    double memory_overcommit;     /* likewise */
};
/* Inside apply(). ERR_NOT_FOUND as above, and "user_not_found" (field user); ERR_INVALID
 * "image_not_allowed", "invalid_field", and as the template says; ERR_CONFLICT "port_taken",
 * "no_free_port", "insufficient_memory" and "insufficient_cpu" when it is to have more than there
 * is. *ret_changed: its container is to be another, or to have other limits, and the generation is
 * risen; → INSTALLING where it needs a new one and is to run. What was before stays known until
 * that is proven (instance_facts), or is undone. What its environment and command tell of name and
 * memory stays that of when they were made, as long as only these change and it has a container. */
int store_instance_edit(struct store_tx *tx, const struct instance_edit *edit, bool *ret_changed,
                        struct err *err);
/* → INSTALLING, in a new container, with its files installed anew; wipe: into an empty volume. One
 * that isn't to run now begins with that when it is started. ERR_CONFLICT "node_drained". */
int store_instance_reinstall(struct store_tx *tx, const char *id, bool wipe, struct err *err);
/* → INSTALLING, in a new container of the image as its registry has it now; a change as those of
 * store_instance_edit(). One that isn't to run keeps its phase, and gets that when it is started.
 * ERR_CONFLICT "node_drained". */
int store_instance_redeploy(struct store_tx *tx, const char *id, struct err *err);
/* FAILED → INSTALLING; ERR_CONFLICT "not_failed" otherwise, or "node_drained". */
int store_instance_retry(struct store_tx *tx, const char *id, struct err *err);

/* Inside apply(): what the fleet saw or concluded. Written only while generation still is the
 * row's; returns 0 also when it isn't (the newer intent will be looked at by itself). */
struct instance_facts {
    const char *id;
    uint64_t generation;
    enum instance_phase phase;
    enum instance_observed observed;
    const char *container_id;
    const char *error_code;
    const char *error_message;
    uint32_t progress_percent;
    int64_t exit_at; /* wall ms of its node, when it last ended; 0: it never has */
    int32_t exit_code;
    bool exit_oom_killed;
    bool proven; /* it runs as it was last changed: what was before is forgotten */
};
int store_instance_observe(struct store_tx *tx, const struct instance_facts *facts,
                           struct err *err);
/* Inside apply(): something else on the node has one of its host ports. Where the panel chose, it
 * chooses others, and the generation rises; INSTALLING goes on, and ends when it would have. Only
 * while generation still is the row's and port_choices are left; returns 0 also when not. */
int store_instance_choose_ports(struct store_tx *tx, const char *id, uint64_t generation,
                                const struct port_range *panels, struct err *err);
/* Inside apply(): its last change came to nothing: what was before is wanted again, and the
 * generation rises. Only while generation still is the row's; 0 also when not. */
int store_instance_undo(struct store_tx *tx, const char *id, uint64_t generation, const char *code,
                        const char *message, struct err *err);
/* Inside apply(): the first half of a restart is done: it is to run again, while generation still
 * is the row's. 0 also when not. */
int store_instance_power_on(struct store_tx *tx, const char *id, uint64_t generation,
                            struct err *err);
/* Inside apply(): nothing is left on its node; forget it and free its ports. */
int store_instance_forget(struct store_tx *tx, const char *id, struct err *err);
/* Inside apply(): its node knows a generation that the row has never had, as when the database was
 * put back to an old copy. Raise the row's above it. */
int store_instance_outrank(struct store_tx *tx, const char *id, uint64_t generation,
                           struct err *err);

/* --- orphans --------------------------------------------------------------------------------- */

/* What a node has of an instance that this database doesn't know, and a person wants removed. */
struct removal {
    const char *instance_id;
    const char *node_id;
    uint64_t generation; /* above all that the node has seen of it */
};
typedef int (*store_removal_fn)(const struct removal *removal, void *arg, struct err *err);

/* Inside apply(). ERR_NOT_FOUND "orphan_not_found" when it is an instance after all. */
int store_removal_add(struct store_tx *tx, const struct removal *removal, struct err *err);
/* Inside apply(): nothing is left of it. */
int store_removal_end(struct store_tx *tx, const char *instance_id, struct err *err);
/* All, or instance_id not NULL: that one alone. Rows given, or -1. */
int store_removal_scan(struct store *store, const char *instance_id, store_removal_fn fn, void *arg,
                       struct err *err);

/* --- events ---------------------------------------------------------------------------------- */

#define EVENTS_KEPT 100000

/* What happened, in order: "instance.created", "instance.state", "instance.changed",
 * "instance.deleted"; "node.created", "node.joined", "node.status", "node.changed",
 * "node.deleted"; "user.…" and "image.…" likewise; "access.given" and "access.taken";
 * "key.created", "key.changed", "key.rotated", "key.revoked". Written with the change itself. */
struct event {
    int64_t seq;
    int64_t at; /* wall ms */
    const char *kind;
    const char *instance_id, *node_id, *user_id; /* "" where it concerns none */
    const char *image_id, *key_id;               /* likewise */
    const char *name; /* of an image or a key; a node's status; else "" */
    bool has_state;   /* the rest is told: it is an instance's */
    enum instance_phase phase;
    bool suspended;
    enum instance_power power;
    enum instance_observed observed;
    const char *error_code, *error_message;
};
typedef int (*store_event_fn)(const struct event *event, void *arg, struct err *err);

struct event_filter {
    int64_t after;                               /* that event and all before it aren't wanted */
    const char *instance_id, *node_id, *user_id; /* "": any */
    /* "": whoever. Else what concerns that user: he himself, images, instances while he owned them
     * or that he may use, and who else may use those that he owns. */
    const char *viewer_id;
};

/* The oldest and the newest that there are; 0: none. Reader. */
int store_event_bounds(struct store *store, int64_t *ret_first, int64_t *ret_last, struct err *err);
/* 1 or 0: is there one of that number? -1 when it can't be read. Reader. */
int store_event_exists(struct store *store, int64_t seq, struct err *err);
/* In order; limit at most. Reader. */
int store_event_list(struct store *store, const struct event_filter *filter, uint32_t limit,
                     store_event_fn fn, void *arg, struct err *err);

/* Somebody who wants to know that something was committed. */
struct store_listener {
    /* After each commit, and every few seconds besides. On the writer's thread: must not block, nor
     * listen or unlisten. */
    void (*wake)(void *arg);
    void *arg;
    struct store_listener *prev, *next; /* private */
};
/* Any thread. wake() isn't called any more once store_unlisten() returns. */
void store_listen(struct store *store, struct store_listener *listener);
void store_unlisten(struct store *store, struct store_listener *listener);

/* --- audit ----------------------------------------------------------------------------------- */

/* One request that was to change something. */
struct audit {
    int64_t seq;
    int64_t at; /* wall ms */
    const char *request_id;
    const char *key_id, *key_name; /* the name as of then */
    const char *method, *path;
    const char *target; /* the id of what it was about; "" unknown */
    const char *detail; /* what was asked for, in a few words; "" */
    int status;         /* of its answer; 0: not known (yet) */
    const char *code;   /* of its error; "" */
};
typedef int (*store_audit_fn)(const struct audit *audit, void *arg, struct err *err);

/* Inside apply(). seq and at aren't read. */
int store_audit_add(struct store_tx *tx, const struct audit *audit, int64_t *ret_seq,
                    struct err *err);
/* Inside apply(): how it ended. */
int store_audit_end(struct store_tx *tx, int64_t seq, int status, const char *code,
                    struct err *err);

struct audit_filter {
    int64_t before;     /* only older ones than that row; 0: from the newest on */
    int64_t since;      /* wall ms; 0: ever */
    const char *key;    /* id or name; "": any */
    const char *target; /* "": any */
};
/* The newest first. *ret_next: the row behind which there are more, for `before`; 0: none. Reader.
 */
int store_audit_list(struct store *store, const struct audit_filter *filter, uint32_t limit,
                     int64_t *ret_next, store_audit_fn fn, void *arg, struct err *err);
/* Older ones are dropped, by and by; until it is called, or with 0, none is. Any thread. */
void store_keep_audit(struct store *store, uint32_t days);

/* --- idempotency ----------------------------------------------------------------------------- */

#define IDEMPOTENCY_KEY_MAX 200

struct answer {
    int status;
    char *body; /* JSON text, owned by whoever owns the struct */
    /* An instance id when the first answer still waits for the fleet; "" otherwise. */
    char waits_for[40];
};

/* Look for the first answer. scope is the API key's id; digest covers method, path and body.
 * 1: found, ret_answer filled (free .body); 0: not; -1: ERR_CONFLICT "idempotency_key_reused"
 * when the digest differs. The _tx form is for inside apply(). */
int store_answer_find(struct store *store, const char *scope, const char *key,
                      const char digest[CRYPTO_HEX_LEN + 1], struct answer *ret_answer,
                      struct err *err);
int store_answer_find_tx(struct store_tx *tx, const char *scope, const char *key,
                         const char digest[CRYPTO_HEX_LEN + 1], struct answer *ret_answer,
                         struct err *err);
/* Inside apply(): remember (or replace) the answer for 24 h. */
int store_answer_save(struct store_tx *tx, const char *scope, const char *key,
                      const char digest[CRYPTO_HEX_LEN + 1], const struct answer *answer,
                      struct err *err);
/* 0 also when there was none. */
int store_answer_forget(struct store_tx *tx, const char *scope, const char *key, struct err *err);

/* --- inside one change ----------------------------------------------------------------------- */

/* Undo what this change did so far and go on, e.g. to remember a refusal. Inside apply(). */
int store_tx_undo(struct store_tx *tx, struct err *err);
/* A part of this change that may fail alone: when fn returns -1 what it did is undone, and the
 * change may go on. Not nested. Inside apply(); returns what fn does, or -1. */
int store_tx_try(struct store_tx *tx, int (*fn)(void *arg, struct store_tx *tx, struct err *err),
                 void *arg, struct err *err);

#endif
