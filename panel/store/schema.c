/* The database's shape. See schema.h.
 *
 * Every rule that must hold is a constraint here, whatever the code above checks before.
 * Sums over a node's instances are kept by triggers, so that listing nodes stays a walk over
 * nodes. Migrations are only ever added. */
#include "panel/store/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/auto.h"
#include "panel/domain/words.h"

#define APPLICATION_ID 0x50414e4c /* "PANL" */

/* --- events and audit ------------------------------------------------------------------------ */

/* clang-format off */
#define NOW " CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
/* The end of a trigger; row is NEW or OLD. */
#define INSTANCE_EVENT(kind, row)                                                                  \
    " BEGIN INSERT INTO events(at, kind, instance_id, node_id, user_id, phase, suspended, power,"  \
    " observed, error_code, error_message) VALUES(" NOW ", '" kind "', "                           \
    row ".id, " row ".node_id, " row ".user_id, " row ".phase, " row ".suspended, "                \
    row ".power, " row ".observed, " row ".error_code, " row ".error_message); END;"
#define OTHER_EVENT(kind, column, row, name)                                                       \
    " BEGIN INSERT INTO events(at, kind, " column ", name)"                                        \
    " VALUES(" NOW ", '" kind "', " row ".id, " name "); END;"
#define ACCESS_EVENT(kind, row)                                                                    \
    " BEGIN INSERT INTO events(at, kind, instance_id, user_id)"                                    \
    " VALUES(" NOW ", '" kind "', " row ".instance_id, " row ".user_id); END;"
#define IMAGE_EVENT(kind, row)                                                                     \
    " BEGIN INSERT INTO events(at, kind, name) VALUES(" NOW ", '" kind "', " row ".name); END;"

static const char events_and_audit[] =
    "CREATE TABLE events("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, kind TEXT NOT NULL,"
    " instance_id TEXT NOT NULL DEFAULT '', node_id TEXT NOT NULL DEFAULT '',"
    " user_id TEXT NOT NULL DEFAULT '', name TEXT NOT NULL DEFAULT '', phase INTEGER,"
    " suspended INTEGER, power INTEGER, observed INTEGER, error_code TEXT,"
    " error_message TEXT) STRICT;"
    "ALTER TABLE nodes ADD COLUMN status TEXT NOT NULL DEFAULT '';"

    "CREATE TABLE audit("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, request TEXT NOT NULL,"
    " key_id TEXT NOT NULL, key_name TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,"
    " target TEXT NOT NULL, status INTEGER NOT NULL, code TEXT NOT NULL) STRICT;"
    "CREATE INDEX audit_by_target ON audit(target, seq);"

    "CREATE TRIGGER event_instance_created AFTER INSERT ON instances"
    INSTANCE_EVENT("instance.created", "NEW")
    "CREATE TRIGGER event_instance_state AFTER UPDATE OF phase, suspended, power, observed,"
    " error_code ON instances WHEN NEW.phase <> OLD.phase OR NEW.suspended <> OLD.suspended"
    " OR NEW.power <> OLD.power OR NEW.observed <> OLD.observed"
    " OR NEW.error_code <> OLD.error_code"
    INSTANCE_EVENT("instance.state", "NEW")
    "CREATE TRIGGER event_instance_changed AFTER UPDATE OF name, user_id, image, memory_mib,"
    " cpu_milli, disk_mib, ports, primary_port, env, variables ON instances"
    " WHEN NEW.name <> OLD.name OR NEW.user_id <> OLD.user_id OR NEW.image <> OLD.image"
    " OR NEW.memory_mib <> OLD.memory_mib OR NEW.cpu_milli <> OLD.cpu_milli"
    " OR NEW.disk_mib <> OLD.disk_mib OR NEW.ports <> OLD.ports"
    " OR NEW.primary_port <> OLD.primary_port OR NEW.env <> OLD.env"
    " OR NEW.variables <> OLD.variables"
    INSTANCE_EVENT("instance.changed", "NEW")
    "CREATE TRIGGER event_instance_deleted AFTER DELETE ON instances"
    INSTANCE_EVENT("instance.deleted", "OLD")

    "CREATE TRIGGER event_node_created AFTER INSERT ON nodes"
    OTHER_EVENT("node.created", "node_id", "NEW", "''")
    "CREATE TRIGGER event_node_joined AFTER UPDATE OF joined ON nodes"
    " WHEN NEW.joined = 1 AND OLD.joined = 0"
    OTHER_EVENT("node.joined", "node_id", "NEW", "''")
    "CREATE TRIGGER event_node_status AFTER UPDATE OF status ON nodes"
    " WHEN NEW.status <> OLD.status"
    OTHER_EVENT("node.status", "node_id", "NEW", "NEW.status")
    "CREATE TRIGGER event_node_changed AFTER UPDATE OF name, tags, ram, disk, processor, address,"
    " port, maintenance, drained, auto_first, auto_last, memory_overcommit, cpu_overcommit"
    " ON nodes WHEN NEW.name <> OLD.name OR NEW.tags <> OLD.tags"
    " OR NEW.ram <> OLD.ram OR NEW.disk <> OLD.disk OR NEW.processor <> OLD.processor"
    " OR NEW.address <> OLD.address OR NEW.port <> OLD.port"
    " OR NEW.maintenance <> OLD.maintenance OR NEW.drained <> OLD.drained"
    " OR NEW.auto_first <> OLD.auto_first OR NEW.auto_last <> OLD.auto_last"
    " OR NEW.memory_overcommit <> OLD.memory_overcommit"
    " OR NEW.cpu_overcommit <> OLD.cpu_overcommit"
    OTHER_EVENT("node.changed", "node_id", "NEW", "''")
    "CREATE TRIGGER event_node_buried AFTER UPDATE OF deleted ON nodes"
    " WHEN NEW.deleted = 1 AND OLD.deleted = 0"
    OTHER_EVENT("node.deleted", "node_id", "NEW", "''")
    "CREATE TRIGGER event_node_deleted AFTER DELETE ON nodes WHEN OLD.deleted = 0"
    OTHER_EVENT("node.deleted", "node_id", "OLD", "''")

    "CREATE TRIGGER event_user_created AFTER INSERT ON users"
    OTHER_EVENT("user.created", "user_id", "NEW", "''")
    "CREATE TRIGGER event_user_changed AFTER UPDATE OF username, email, password_hash, admin"
    " ON users WHEN NEW.deleted = 0 AND (NEW.username <> OLD.username OR NEW.email <> OLD.email"
    " OR NEW.password_hash <> OLD.password_hash OR NEW.admin <> OLD.admin)"
    OTHER_EVENT("user.changed", "user_id", "NEW", "''")
    "CREATE TRIGGER event_user_buried AFTER UPDATE OF deleted ON users"
    " WHEN NEW.deleted = 1 AND OLD.deleted = 0"
    OTHER_EVENT("user.deleted", "user_id", "NEW", "''")
    "CREATE TRIGGER event_user_deleted AFTER DELETE ON users WHEN OLD.deleted = 0"
    OTHER_EVENT("user.deleted", "user_id", "OLD", "''")

    "CREATE TRIGGER event_access_given AFTER INSERT ON access"
    ACCESS_EVENT("access.given", "NEW")
    "CREATE TRIGGER event_access_taken AFTER DELETE ON access"
    ACCESS_EVENT("access.taken", "OLD")

    "CREATE TRIGGER event_image_created AFTER INSERT ON images" IMAGE_EVENT("image.created", "NEW")
    "CREATE TRIGGER event_image_changed AFTER UPDATE ON images" IMAGE_EVENT("image.changed", "NEW")
    "CREATE TRIGGER event_image_deleted AFTER DELETE ON images" IMAGE_EVENT("image.deleted", "OLD");
/* As INSTANCE_EVENT, but what a drained node keeps down is recorded as powered off, as it is shown. */
#define KEPT_DOWN(row)                                                                             \
    row ".suspended = 0 AND " row ".power = 0 AND " row ".phase <> 2"                              \
    " AND EXISTS (SELECT 1 FROM nodes WHERE id = " row ".node_id AND drained = 1)"
#define DRAINABLE_EVENT(kind, row)                                                                 \
    " BEGIN INSERT INTO events(at, kind, instance_id, node_id, user_id, phase, suspended, power,"  \
    " observed, error_code, error_message) VALUES(" NOW ", '" kind "', "                           \
    row ".id, " row ".node_id, " row ".user_id, " row ".phase, " row ".suspended, "                \
    "iif(" KEPT_DOWN(row) ", 1, " row ".power), " row ".observed, "                                \
    row ".error_code, " row ".error_message); END;"

static const char drain_in_events[] =
    "DROP TRIGGER event_instance_state;"
    "CREATE TRIGGER event_instance_state AFTER UPDATE OF phase, suspended, power, observed,"
    " error_code ON instances WHEN NEW.phase <> OLD.phase OR NEW.suspended <> OLD.suspended"
    " OR NEW.power <> OLD.power OR NEW.observed <> OLD.observed"
    " OR NEW.error_code <> OLD.error_code"
    DRAINABLE_EVENT("instance.state", "NEW")
    "DROP TRIGGER event_instance_changed;"
    "CREATE TRIGGER event_instance_changed AFTER UPDATE OF name, user_id, image, memory_mib,"
    " cpu_milli, disk_mib, ports, primary_port, env, variables ON instances"
    " WHEN NEW.name <> OLD.name OR NEW.user_id <> OLD.user_id OR NEW.image <> OLD.image"
    " OR NEW.memory_mib <> OLD.memory_mib OR NEW.cpu_milli <> OLD.cpu_milli"
    " OR NEW.disk_mib <> OLD.disk_mib OR NEW.ports <> OLD.ports"
    " OR NEW.primary_port <> OLD.primary_port OR NEW.env <> OLD.env"
    " OR NEW.variables <> OLD.variables"
    DRAINABLE_EVENT("instance.changed", "NEW")
    /* A drain alone changes no instance's row; what is at rest already hears of nothing else. */
    "CREATE TRIGGER event_node_drained AFTER UPDATE OF drained ON nodes"
    " WHEN NEW.drained = 1 AND OLD.drained = 0"
    " BEGIN INSERT INTO events(at, kind, instance_id, node_id, user_id, phase, suspended, power,"
    " observed, error_code, error_message) SELECT " NOW ", 'instance.state', id, node_id, user_id,"
    " phase, 0, 1, observed, error_code, error_message FROM instances"
    " WHERE node_id = NEW.id AND suspended = 0 AND power = 0 AND phase < 2; END;";
_Static_assert(PHASE_FAILED == 2 && PHASE_DELETING == 3 && POWER_ON == 0 && POWER_OFF == 1,
               "drain_in_events says so");

/* Of images only their names had been told, and of keys nothing. */
static const char events_of_images_and_keys[] =
    "ALTER TABLE events ADD COLUMN image_id TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE events ADD COLUMN key_id TEXT NOT NULL DEFAULT '';"
    "DROP TRIGGER event_image_created; DROP TRIGGER event_image_changed;"
    "DROP TRIGGER event_image_deleted;"
    "CREATE TRIGGER event_image_created AFTER INSERT ON images"
    OTHER_EVENT("image.created", "image_id", "NEW", "NEW.name")
    "CREATE TRIGGER event_image_changed AFTER UPDATE OF name, body ON images"
    " WHEN NEW.name <> OLD.name OR NEW.body <> OLD.body"
    OTHER_EVENT("image.changed", "image_id", "NEW", "NEW.name")
    "CREATE TRIGGER event_image_deleted AFTER DELETE ON images"
    OTHER_EVENT("image.deleted", "image_id", "OLD", "OLD.name")
    "CREATE TRIGGER event_key_created AFTER INSERT ON api_keys"
    OTHER_EVENT("key.created", "key_id", "NEW", "NEW.name")
    "CREATE TRIGGER event_key_revoked AFTER UPDATE OF revoked_at ON api_keys"
    " WHEN NEW.revoked_at <> 0 AND OLD.revoked_at = 0"
    OTHER_EVENT("key.revoked", "key_id", "NEW", "NEW.name");

/* Keys get what they may do, a user they belong to, and secrets that can be replaced. A session is
 * a key of a kind of its own. */
#define KEY_EVENT(kind, row)                                                                       \
    " BEGIN INSERT INTO events(at, kind, key_id, user_id, name)"                                   \
    " VALUES(" NOW ", '" kind "', " row ".id, " row ".user_id, " row ".name); END;"
#define END_KEYS_OF(row)                                                                           \
    " BEGIN UPDATE api_keys SET revoked_at = " NOW " WHERE user_id = " row ".id"                   \
    "  AND revoked_at = 0 AND session = 0;"                                                        \
    " DELETE FROM api_keys WHERE user_id = " row ".id AND session = 1; END;"

static const char keys_and_sessions[] =
    "DROP TRIGGER event_key_created; DROP TRIGGER event_key_revoked;"
    "ALTER TABLE api_keys RENAME TO api_keys_before;"
    "CREATE TABLE api_keys("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
    " session INTEGER NOT NULL DEFAULT 0 CHECK(session IN (0,1)),"
    " scopes TEXT NOT NULL DEFAULT 'admin', user_id TEXT NOT NULL DEFAULT '',"
    " rate_limit INTEGER NOT NULL DEFAULT -1, created_at INTEGER NOT NULL,"
    " expires_at INTEGER NOT NULL DEFAULT 0, revoked_at INTEGER NOT NULL DEFAULT 0,"
    " rotated_at INTEGER NOT NULL DEFAULT 0, last_used_at INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX api_keys_by_user ON api_keys(user_id, session) WHERE user_id <> '';"
    "INSERT INTO api_keys(id, name, created_at, expires_at, revoked_at)"
    " SELECT id, name, created_at, expires_at, revoked_at FROM api_keys_before"
    " ORDER BY created_at, id;"

    "CREATE TABLE secrets("
    " hash BLOB PRIMARY KEY, key INTEGER NOT NULL REFERENCES api_keys(seq) ON DELETE CASCADE,"
    " until INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;"
    "CREATE INDEX secrets_by_key ON secrets(key);"
    "INSERT INTO secrets(hash, key) SELECT o.hash, k.seq FROM api_keys_before o"
    " JOIN api_keys k USING(id);"
    "DROP TABLE api_keys_before;"

    "CREATE TRIGGER event_key_created AFTER INSERT ON api_keys WHEN NEW.session = 0"
    KEY_EVENT("key.created", "NEW")
    "CREATE TRIGGER event_key_changed AFTER UPDATE OF name, scopes, expires_at, rate_limit"
    " ON api_keys WHEN NEW.session = 0 AND (NEW.name <> OLD.name OR NEW.scopes <> OLD.scopes"
    " OR NEW.expires_at <> OLD.expires_at OR NEW.rate_limit <> OLD.rate_limit)"
    KEY_EVENT("key.changed", "NEW")
    "CREATE TRIGGER event_key_rotated AFTER UPDATE OF rotated_at ON api_keys"
    " WHEN NEW.session = 0 AND NEW.rotated_at <> OLD.rotated_at"
    KEY_EVENT("key.rotated", "NEW")
    "CREATE TRIGGER event_key_revoked AFTER UPDATE OF revoked_at ON api_keys"
    " WHEN NEW.session = 0 AND NEW.revoked_at <> 0 AND OLD.revoked_at = 0"
    KEY_EVENT("key.revoked", "NEW")

    "CREATE TRIGGER keys_of_deleted AFTER DELETE ON users" END_KEYS_OF("OLD")
    "CREATE TRIGGER keys_of_buried AFTER UPDATE OF deleted ON users"
    " WHEN NEW.deleted = 1 AND OLD.deleted = 0" END_KEYS_OF("OLD")
    "CREATE TRIGGER sessions_of_old_password AFTER UPDATE OF password_hash ON users"
    " WHEN NEW.password_hash <> OLD.password_hash"
    " BEGIN DELETE FROM api_keys WHERE user_id = OLD.id AND session = 1; END;";
/* clang-format on */

/* --- all ------------------------------------------------------------------------------------- */

static const char *const migrations[] = {
    /* 1 */
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"

    "CREATE TABLE api_keys("
    " id TEXT PRIMARY KEY, name TEXT NOT NULL, hash BLOB NOT NULL UNIQUE,"
    " created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL DEFAULT 0,"
    " revoked_at INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;"

    "CREATE TABLE users("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " username TEXT NOT NULL COLLATE NOCASE UNIQUE, email TEXT NOT NULL COLLATE NOCASE UNIQUE,"
    " password_hash TEXT NOT NULL, admin INTEGER NOT NULL CHECK(admin IN (0,1)),"
    " created_at INTEGER NOT NULL) STRICT;"

    "CREATE TABLE nodes("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
    " tags TEXT NOT NULL, ram TEXT NOT NULL, disk TEXT NOT NULL, processor TEXT NOT NULL,"
    " address TEXT NOT NULL, port TEXT NOT NULL, created_at INTEGER NOT NULL,"
    " joined INTEGER NOT NULL DEFAULT 0, deleted INTEGER NOT NULL DEFAULT 0,"
    " last_seen INTEGER NOT NULL DEFAULT 0,"
    " agent_version TEXT NOT NULL DEFAULT '', docker_version TEXT NOT NULL DEFAULT '',"
    " capacity_memory_mib INTEGER NOT NULL DEFAULT 0, capacity_cpus INTEGER NOT NULL DEFAULT 0,"
    " capacity_disk_mib INTEGER NOT NULL DEFAULT 0,"
    " allocated_memory_mib INTEGER NOT NULL DEFAULT 0,"
    " allocated_cpu_milli INTEGER NOT NULL DEFAULT 0,"
    " instances INTEGER NOT NULL DEFAULT 0) STRICT;"

    "CREATE TABLE node_joins("
    " node_id TEXT PRIMARY KEY REFERENCES nodes(id) ON DELETE CASCADE, key BLOB NOT NULL,"
    " expires_at INTEGER NOT NULL, used_by TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;"

    "CREATE TABLE images("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE,"
    " body TEXT NOT NULL, created_at INTEGER NOT NULL) STRICT;"

    "CREATE TABLE instances("
    " seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
    " user_id TEXT NOT NULL REFERENCES users(id), node_id TEXT NOT NULL REFERENCES nodes(id),"
    " image TEXT NOT NULL, alt_images TEXT NOT NULL, memory_mib INTEGER NOT NULL,"
    " cpu_milli INTEGER NOT NULL, disk_mib INTEGER NOT NULL, ports TEXT NOT NULL,"
    " primary_port INTEGER NOT NULL, env TEXT NOT NULL, cmd TEXT NOT NULL,"
    " variables TEXT NOT NULL, stop_command TEXT NOT NULL, mount_path TEXT NOT NULL,"
    " template TEXT, created_at INTEGER NOT NULL,"
    " generation INTEGER NOT NULL DEFAULT 1, suspended INTEGER NOT NULL DEFAULT 0,"
    " phase INTEGER NOT NULL DEFAULT 0, phase_since INTEGER NOT NULL,"
    " observed INTEGER NOT NULL DEFAULT 0, container_id TEXT NOT NULL DEFAULT '',"
    " error_code TEXT NOT NULL DEFAULT '', error_message TEXT NOT NULL DEFAULT '',"
    " progress_percent INTEGER NOT NULL DEFAULT 0, updated_at INTEGER NOT NULL) STRICT;"
    "CREATE INDEX instances_by_user ON instances(user_id, seq);"
    "CREATE INDEX instances_by_node ON instances(node_id, seq);"

    "CREATE TABLE ports("
    " node_id TEXT NOT NULL REFERENCES nodes(id), protocol TEXT NOT NULL,"
    " host_port INTEGER NOT NULL CHECK(host_port BETWEEN 1 AND 65535),"
    " instance_id TEXT NOT NULL REFERENCES instances(id) ON DELETE CASCADE,"
    " PRIMARY KEY(node_id, protocol, host_port)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX ports_by_instance ON ports(instance_id);"

    "CREATE TRIGGER instances_added AFTER INSERT ON instances BEGIN"
    " UPDATE nodes SET instances = instances + 1,"
    "  allocated_memory_mib = allocated_memory_mib + NEW.memory_mib,"
    "  allocated_cpu_milli = allocated_cpu_milli + NEW.cpu_milli WHERE id = NEW.node_id; END;"
    "CREATE TRIGGER instances_removed AFTER DELETE ON instances BEGIN"
    " UPDATE nodes SET instances = instances - 1,"
    "  allocated_memory_mib = allocated_memory_mib - OLD.memory_mib,"
    "  allocated_cpu_milli = allocated_cpu_milli - OLD.cpu_milli WHERE id = OLD.node_id; END;"
    "CREATE TRIGGER instances_resized AFTER UPDATE OF memory_mib, cpu_milli ON instances BEGIN"
    " UPDATE nodes SET allocated_memory_mib = allocated_memory_mib + NEW.memory_mib - "
    "OLD.memory_mib,"
    "  allocated_cpu_milli = allocated_cpu_milli + NEW.cpu_milli - OLD.cpu_milli"
    "  WHERE id = NEW.node_id; END;"

    "CREATE TABLE answers("
    " scope TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL, status INTEGER NOT NULL,"
    " body TEXT NOT NULL, waits_for TEXT NOT NULL, created_at INTEGER NOT NULL,"
    " PRIMARY KEY(scope, key)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX answers_by_age ON answers(created_at);",

    /* 2 */
    "CREATE TABLE removals("
    " instance_id TEXT PRIMARY KEY, node_id TEXT NOT NULL REFERENCES nodes(id) ON DELETE CASCADE,"
    " generation INTEGER NOT NULL) STRICT, WITHOUT ROWID;",

    /* 3 */
    "ALTER TABLE instances ADD COLUMN port_choices INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE ports ADD COLUMN chosen INTEGER NOT NULL DEFAULT 0 CHECK(chosen IN (0,1));",

    /* 4 */
    "ALTER TABLE instances ADD COLUMN power INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE instances ADD COLUMN stop_timeout_s INTEGER NOT NULL DEFAULT 30;",

    /* 5 */
    "ALTER TABLE nodes ADD COLUMN maintenance INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE users ADD COLUMN deleted INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX users_deleted ON users(id) WHERE deleted = 1;"
    "ALTER TABLE instances ADD COLUMN exits TEXT NOT NULL DEFAULT '[]';"
    "ALTER TABLE instances ADD COLUMN last_exit_at INTEGER NOT NULL DEFAULT 0;",

    /* 6 */
    "ALTER TABLE instances ADD COLUMN terminal INTEGER NOT NULL DEFAULT 0;",

    /* 7 */
    "ALTER TABLE instances ADD COLUMN template_id TEXT;"
    "UPDATE instances SET template_id = json_extract(template, '$.Id');"
    "CREATE INDEX instances_by_template ON instances(template_id) WHERE template_id IS NOT NULL;",

    /* 8 */
    "ALTER TABLE nodes ADD COLUMN auto_first INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE nodes ADD COLUMN auto_last INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE nodes ADD COLUMN memory_overcommit INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE nodes ADD COLUMN cpu_overcommit INTEGER NOT NULL DEFAULT 0;",

    /* 9 */
    "ALTER TABLE nodes ADD COLUMN drained INTEGER NOT NULL DEFAULT 0;",

    /* 10 */
    "CREATE TABLE access("
    " user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,"
    " instance_id TEXT NOT NULL REFERENCES instances(id) ON DELETE CASCADE,"
    " PRIMARY KEY(user_id, instance_id)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX access_by_instance ON access(instance_id);"
    "CREATE TRIGGER instances_given AFTER UPDATE OF user_id ON instances BEGIN"
    " DELETE FROM access WHERE instance_id = NEW.id AND user_id = NEW.user_id; END;",

    /* 11 */
    events_and_audit,

    /* 12 */
    "ALTER TABLE instances ADD COLUMN install TEXT NOT NULL DEFAULT '[]';"
    "ALTER TABLE instances ADD COLUMN install_round INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE instances ADD COLUMN install_wipe INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE instances ADD COLUMN reinstalling INTEGER NOT NULL DEFAULT 0;",

    /* 13 */
    "ALTER TABLE instances ADD COLUMN resizes INTEGER NOT NULL DEFAULT 0;",

    /* 14 */
    "ALTER TABLE instances ADD COLUMN pull_round INTEGER NOT NULL DEFAULT 0;",

    /* 15 */
    "ALTER TABLE instances ADD COLUMN own_env TEXT NOT NULL DEFAULT '{}';"
    "ALTER TABLE instances ADD COLUMN previous TEXT;"
    "ALTER TABLE instances ADD COLUMN undone TEXT;"
    "ALTER TABLE ports ADD COLUMN former INTEGER NOT NULL DEFAULT 0;",

    /* 16 */
    drain_in_events,

    /* 17 */
    events_of_images_and_keys,

    /* 18 */
    keys_and_sessions,

    /* 19 */
    "ALTER TABLE audit ADD COLUMN detail TEXT NOT NULL DEFAULT '';",
};

static int read_number(struct db *db, const char *sql, int64_t *ret, struct err *err)
{
    struct stmt *stmt = db_stmt(db, sql, err);
    if (!stmt || db_step(stmt, err) < 0)
        return -1;
    *ret = db_int(stmt, 0);
    db_end(stmt);
    return 0;
}

static int back_up(struct db *db, const char *path, int64_t version, struct err *err)
{
    auto_free char *copy = NULL;
    if (asprintf(&copy, "%s.before-%lld", path, (long long)version + 1) < 0) {
        copy = NULL;
        return err_nomem(err);
    }
    unlink(copy);
    struct stmt *stmt = db_stmt(db, "VACUUM INTO ?1", err);
    if (!stmt)
        return -1;
    db_bind_text(stmt, 1, copy);
    return db_run(stmt, err) < 0 ? err_wrap(err, "can't copy the database before migrating it") : 0;
}

static int read_version(struct db *db, const char *path, int64_t *ret_version, struct err *err)
{
    const int64_t latest = (int64_t)ARRAY_LEN(migrations);
    int64_t application;
    int64_t tables;
    if (read_number(db, "PRAGMA user_version", ret_version, err) < 0 ||
        read_number(db, "PRAGMA application_id", &application, err) < 0 ||
        read_number(db, "SELECT count(*) FROM sqlite_schema", &tables, err) < 0)
        return -1;
    if (application != APPLICATION_ID && (application || *ret_version || tables))
        return err_set(err, ERR_INVALID, "not_our_database", "%s is not a panel's database", path);
    if (*ret_version > latest)
        return err_set(err, ERR_INVALID, "newer_database",
                       "%s was written by a newer panel (schema %lld, this one knows %lld); "
                       "install that version again",
                       path, (long long)*ret_version, (long long)latest);
    return 0;
}

int schema_check(struct db *db, const char *path, struct err *err)
{
    int64_t version;
    if (read_version(db, path, &version, err) < 0)
        return -1;
    return version > 0 ? 0
                       : err_set(err, ERR_INVALID, "not_our_database",
                                 "%s is not a panel's database", path);
}

int schema_migrate(struct db *db, const char *path, struct err *err)
{
    const int64_t latest = (int64_t)ARRAY_LEN(migrations);
    int64_t version;
    if (read_version(db, path, &version, err) < 0)
        return -1;
    if (version == latest)
        return 0;
    if (version > 0 && back_up(db, path, version, err) < 0)
        return -1;
    char mark[96];
    snprintf(mark, sizeof(mark), "PRAGMA application_id=%d; PRAGMA user_version=%lld; COMMIT",
             APPLICATION_ID, (long long)latest);
    if (db_exec(db, "BEGIN IMMEDIATE", err) < 0)
        return -1;
    for (; version < latest; version++) {
        if (db_exec(db, migrations[version], err) < 0) {
            (void)db_exec(db, "ROLLBACK", NULL);
            return err_wrap(err, "can't migrate the database to schema %lld",
                            (long long)version + 1);
        }
    }
    return db_exec(db, mark, err);
}
