/* Other settings for a running daemon. See reload.h.
 *
 * in_force is what every room has; pending has, in the rows that wait, what only a restart takes.
 * The lock is for reload_answer() alone: nobody else looks at them on another thread.
 *
 * A pair of TLS files is written one after the other, so what changed is tried once it has stayed
 * the same from one look to the next; and what was tried is not tried again before it changes. What
 * the daemon was started with counts as not tried: opening the store may have taken a while. */
#include "panel/reload.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/auto.h"
#include "common/clock.h"
#include "common/json_writer.h"
#include "panel/http/tls.h"

/* As much of a file as tells whether it is another; zero where there is none. */
struct file_mark {
    dev_t device;
    ino_t inode;
    off_t size;
    int64_t changed_s, changed_ns;
};

struct tls_marks {
    struct file_mark cert, key;
};

struct reload {
    struct config *in_force;
    struct config pending;
    uint64_t waiting; /* rows of pending that a restart would take */
    const struct settings_given *given;
    struct reload_rooms rooms;
    struct tls_marks tried, seen;
    pthread_mutex_t lock;
};

static void mark_file(const char *path, struct file_mark *mark)
{
    struct stat st;
    memset(mark, 0, sizeof(*mark)); /* compared as bytes */
    if (!path || stat(path, &st) < 0)
        return;
    mark->device = st.st_dev;
    mark->inode = st.st_ino;
    mark->size = st.st_size;
    mark->changed_s = st.st_mtim.tv_sec;
    mark->changed_ns = st.st_mtim.tv_nsec;
}

static struct tls_marks mark_tls(const struct config *config)
{
    struct tls_marks marks;
    mark_file(config->tls_cert, &marks.cert);
    mark_file(config->tls_key, &marks.key);
    return marks;
}

int reload_create(struct config *config, const struct settings_given *given,
                  const struct reload_rooms *rooms, struct reload **ret_reload, struct err *err)
{
    struct reload *reload = calloc(1, sizeof(*reload));
    if (!reload)
        return err_nomem(err);
    reload->in_force = config;
    reload->given = given;
    reload->rooms = *rooms;
    reload->seen = mark_tls(config);
    pthread_mutex_init(&reload->lock, NULL);
    *ret_reload = reload;
    return 0;
}

void reload_destroy(struct reload *reload)
{
    if (!reload)
        return;
    config_fini(&reload->pending);
    pthread_mutex_destroy(&reload->lock);
    free(reload);
}

/* --- the parts ------------------------------------------------------------------------------- */

static int take_log(struct reload *reload, const struct config *fresh, struct err *err)
{
    (void)reload;
    (void)err;
    log_level_set(fresh->log_level);
    log_format_set(fresh->log_format);
    return 0;
}

static int take_tls_watch(struct reload *reload, const struct config *fresh, struct err *err)
{
    (void)reload; /* it is asked for before each pause */
    (void)fresh;
    (void)err;
    return 0;
}

static int take_fleet(struct reload *reload, const struct config *fresh, struct err *err)
{
    struct fleet_settings settings = {
        .beat_ms = (uint32_t)fresh->heartbeat_ms,
        .install_timeout_ms = (uint32_t)fresh->install_timeout_ms,
        .stop_timeout_ms = (uint32_t)fresh->stop_timeout_ms,
    };
    return fleet_retime(reload->rooms.fleet, &settings, err);
}

static int take_audit(struct reload *reload, const struct config *fresh, struct err *err)
{
    (void)err;
    store_keep_audit(reload->rooms.store, (uint32_t)fresh->audit_days);
    return 0;
}

static int take_api(struct reload *reload, const struct config *fresh, struct err *err)
{
    (void)err;
    api_retune(reload->rooms.api, (uint32_t)fresh->rate_limit, (uint32_t)fresh->session_hours);
    return 0;
}

static const struct taker {
    enum config_part part;
    int (*take)(struct reload *reload, const struct config *fresh, struct err *err);
} takers[] = {
    {CONFIG_LOG, take_log},     {CONFIG_TLS_WATCH, take_tls_watch},
    {CONFIG_FLEET, take_fleet}, {CONFIG_AUDIT, take_audit},
    {CONFIG_API, take_api},
};

/* The certificate itself is taken apart from these: its files may be new under the same names. */
static void use_pair(const struct config *config, struct tls_pair *take_pair)
{
    char until[CLOCK_ISO_LEN];
    auto_strbuf struct strbuf doubt = {0};
    config_judge_tls(config, take_pair, &doubt);
    if (doubt.len)
        settings_log_faults(&doubt, "the certificate isn't valid now");
    clock_format_iso(tls_pair_not_after(take_pair) * 1000, until);
    if (tls_use(take_pair))
        log_info("certificate taken", "file=%s valid_until=%s", config->tls_cert, until);
}

/* Those of parts that were taken. */
static unsigned take_parts(struct reload *reload, const struct config *fresh, unsigned parts)
{
    for (size_t i = 0; i < ARRAY_LEN(takers); i++) {
        struct err err = {0};
        if (!(parts & takers[i].part) || takers[i].take(reload, fresh, &err) == 0)
            continue;
        log_error("settings not taken", "reason=\"%s\"", err.msg);
        parts &= ~(unsigned)takers[i].part;
    }
    return parts;
}

/* --- SIGHUP ---------------------------------------------------------------------------------- */

static void take_fresh(struct reload *reload, struct config *fresh, struct tls_pair *take_pair)
{
    uint64_t changed = settings_differing(&config_table, reload->in_force, fresh);
    unsigned parts = settings_parts_of(&config_table, changed);
    if (!reload->in_force->tls_cert != !fresh->tls_cert) { /* HTTP or HTTPS is settled at start */
        parts &= ~(unsigned)CONFIG_TLS;
        tls_pair_destroy(steal_ptr(take_pair));
    }
    parts = take_parts(reload, fresh, parts);
    if (take_pair)
        use_pair(fresh, take_pair);
    uint64_t taken = settings_of_parts(&config_table, changed, parts);
    pthread_mutex_lock(&reload->lock);
    settings_exchange(&config_table, ~(changed & ~taken), reload->in_force, fresh);
    config_fini(&reload->pending);
    reload->pending = *fresh;
    reload->waiting = changed & ~taken;
    pthread_mutex_unlock(&reload->lock);
    settings_log_outcome(&config_table, taken, changed & ~taken);
}

void reload_take(struct reload *reload)
{
    struct config fresh = {0};
    struct tls_pair *pair = NULL;
    auto_strbuf struct strbuf faults = {0};
    int rc = config_load(&fresh, reload->given, &faults);
    struct tls_marks marks = mark_tls(&fresh);
    if (rc == 0)
        rc = config_load_tls(&fresh, &pair, &faults);
    if (rc < 0) {
        settings_log_faults(&faults, "settings not taken; the old ones stay");
        config_fini(&fresh);
        return;
    }
    reload->tried = reload->seen = marks;
    take_fresh(reload, &fresh, pair);
}

/* --- the TLS files --------------------------------------------------------------------------- */

static bool same_marks(const struct tls_marks *a, const struct tls_marks *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

void reload_look(struct reload *reload)
{
    struct tls_pair *pair = NULL;
    auto_strbuf struct strbuf faults = {0};
    if (!reload->in_force->tls_cert)
        return;
    struct tls_marks now = mark_tls(reload->in_force);
    bool at_rest = same_marks(&now, &reload->seen);
    reload->seen = now;
    if (!at_rest || same_marks(&now, &reload->tried))
        return;
    reload->tried = now;
    if (config_load_tls(reload->in_force, &pair, &faults) < 0)
        settings_log_faults(&faults, "certificate not taken; the old one stays");
    else
        use_pair(reload->in_force, pair);
}

int64_t reload_pause_ms(const struct reload *reload)
{
    bool looks = reload->in_force->tls_cert && reload->in_force->tls_watch_ms;
    return looks ? reload->in_force->tls_watch_ms : -1;
}

/* --- told ------------------------------------------------------------------------------------ */

void reload_answer(struct reload *reload, struct strbuf *out)
{
    pthread_mutex_lock(&reload->lock);
    jw_bool(out, "running", true);
    jw_string(out, "file", reload->given->file);
    settings_put_json(&config_table, reload->in_force, &reload->pending, reload->waiting, out);
    pthread_mutex_unlock(&reload->lock);
}
