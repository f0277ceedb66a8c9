/* Making API keys on the host. See key_command.h. */
#include "panel/key_command.h"

#include <errno.h>
#include <semaphore.h>
#include <time.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/fs.h"
#include "panel/control.h"

#define DAEMON_WAIT_MS 10000

struct key_change {
    struct store_change change;
    const char *name;
    uint8_t digest[CRYPTO_HASH_BYTES];
    struct err *err;
    int result;
    sem_t finished;
};

static int apply(struct store_change *change, struct store_tx *tx, struct err *err)
{
    struct key_change *key = (struct key_change *)change;
    return store_key_create(tx, key->name, key->digest, err);
}

static void done(struct store_change *change, const struct err *err)
{
    struct key_change *key = (struct key_change *)change;
    key->result = err ? -1 : 0;
    if (err && key->err)
        *key->err = *err;
    sem_post(&key->finished);
}

static int check_name(const char *name, struct err *err)
{
    size_t len = 0;
    for (; name[len]; len++) {
        if ((unsigned char)name[len] < 0x20 || name[len] == 0x7f)
            return err_set(err, ERR_INVALID, "bad_name", "the key's name has control characters");
    }
    if (len < 1 || len > 64)
        return err_set(err, ERR_INVALID, "bad_name", "the key's name must have 1 to 64 bytes");
    return 0;
}

int key_create(struct store *store, const char *name, char out_key[API_KEY_LEN + 1],
               struct err *err)
{
    struct key_change key = {.change = {.apply = apply, .done = done}, .name = name, .err = err};
    if (check_name(name, err) < 0)
        return -1;
    api_key_generate(out_key);
    api_key_digest(out_key, key.digest);
    sem_init(&key.finished, 0, 0);
    int rc = store_submit(store, &key.change, err);
    if (rc == 0) {
        while (sem_wait(&key.finished) < 0 && errno == EINTR)
            ;
        rc = key.result;
    }
    sem_destroy(&key.finished);
    return rc;
}

static int create_alone(const char *dir, int lock_fd, const char *name, char *out_key,
                        struct err *err)
{
    auto_fd int held = lock_fd;
    struct store *store;
    if (store_open(dir, NULL, &store, err) < 0)
        return -1;
    int rc = key_create(store, name, out_key, err);
    store_close(store);
    return rc;
}

int key_command_create(const char *dir, const char *name, char out_key[API_KEY_LEN + 1],
                       struct err *err)
{
    if (check_name(name, err) < 0 || fs_make_dir(dir, 0700, err) < 0)
        return -1;
    /* A daemon that has the lock but isn't listening yet is starting up or going down. */
    int64_t deadline = clock_mono_ms() + DAEMON_WAIT_MS;
    for (;;) {
        int lock_fd;
        if (fs_lock(dir, "panel.lock", &lock_fd, err) == 0)
            return create_alone(dir, lock_fd, name, out_key, err);
        if (err->code != ERR_CONFLICT)
            return -1;
        int rc = control_request_key(dir, name, out_key, err);
        if (rc == 0 || err->code != ERR_NOT_FOUND)
            return rc;
        if (clock_mono_ms() > deadline)
            return err_set(err, ERR_TIMEOUT, "daemon_silent",
                           "a paneld runs on %s but does not answer on its control socket", dir);
        nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
    }
}
