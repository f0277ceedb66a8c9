/* The columns of each kind of thing, from left to right. See view.h. */
#include "common/auto.h"
#include "panel/ctl/view.h"

static const struct column nodes[] = {
    {"ID", "id", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"NAME", "name", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"STATUS", "status", COLUMN_STATE, IN_TABLE, 0},
    {"INSTANCES", "allocated.instances", COLUMN_NUMBER, IN_TABLE, 0},
    {"MEMORY", "capacity.memoryMiB", COLUMN_MIB, IN_TABLE, 0},
    {"PROMISED", "allocated.memoryMiB", COLUMN_MIB, IN_TABLE, 0},
    {"USED", "usage.memoryMiB", COLUMN_MIB, IN_TABLE, 0},
    {"CPU", "usage.cpuPercent", COLUMN_PERCENT, IN_TABLE, 0},
    {"ADDRESS", "address", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"PORT", "port", COLUMN_TEXT, IN_WIDE, 0},
    {"LAST SEEN", "lastSeen", COLUMN_AGE, IN_WIDE, 0},
    {"CORES", "capacity.cpus", COLUMN_NUMBER, IN_WIDE, 0},
    {"CORES PROMISED", "allocated.cpu", COLUMN_NUMBER, IN_DETAIL, 0},
    {"LOAD", "usage.load1", COLUMN_NUMBER, IN_DETAIL, 0},
    {"DISK", "capacity.diskMiB", COLUMN_MIB, IN_WIDE, 0},
    {"DISK USED", "usage.diskMiB", COLUMN_MIB, IN_WIDE, 0},
    {"AGENT", "agentVersion", COLUMN_TEXT, IN_WIDE, 0},
    {"DOCKER", "docker.status", COLUMN_STATE, IN_WIDE, 0},
    {"DOCKER VERSION", "docker.version", COLUMN_TEXT, IN_DETAIL, 0},
    {"DOCKER ERROR", "docker.error", COLUMN_TEXT, IN_DETAIL, 0},
    {"ORPHANS", "orphans", COLUMN_NUMBER, IN_DETAIL, 0},
    {"TAGS", "tags", COLUMN_TEXT, IN_WIDE, 0},
    {"MAINTENANCE", "maintenance", COLUMN_YES, IN_DETAIL, 0},
    {"DRAIN", "drain", COLUMN_LIST, IN_DETAIL, 0},
    {"PORT RANGE", "portRange", COLUMN_TEXT, IN_DETAIL, 0},
    {"OVERCOMMIT", "overcommit", COLUMN_LIST, IN_DETAIL, 0},
    {"SAID MEMORY", "ram", COLUMN_TEXT, IN_DETAIL, 0},
    {"SAID DISK", "disk", COLUMN_TEXT, IN_DETAIL, 0},
    {"SAID CORES", "processor", COLUMN_TEXT, IN_DETAIL, 0},
    {"CREATED", "createdAt", COLUMN_TIME, IN_DETAIL, 0},
};

static const struct column orphans[] = {
    {"INSTANCE", "instanceId", COLUMN_TEXT, IN_TABLE, 0},
    {"RUNNING", "running", COLUMN_YES, IN_TABLE, 0},
    {"CONTAINER", "containerId", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
};

static const struct column instances[] = {
    {"ID", "Id", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"NAME", "Name", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"STATE", "State", COLUMN_STATE, IN_TABLE, 0},
    {"NODE", "Node.name", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"MEMORY", "Memory", COLUMN_MIB, IN_TABLE, 0},
    {"CPU", "Cpu", COLUMN_NUMBER, IN_TABLE, 0},
    {"PRIMARY", "Primary", COLUMN_TEXT, IN_TABLE, 0},
    {"AGE", "createdAt", COLUMN_AGE, IN_TABLE, 0},
    {"IMAGE", "Image", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"USER", "User", COLUMN_TEXT, IN_WIDE, 0},
    {"PORTS", "Ports", COLUMN_TEXT, IN_WIDE, 0},
    {"DISK", "Disk", COLUMN_MIB, IN_WIDE, 0},
    {"PHASE", "InternalState", COLUMN_STATE, IN_DETAIL, 0},
    {"PROGRESS", "Progress", COLUMN_PERCENT, IN_DETAIL, 0},
    {"SUSPENDED", "suspended", COLUMN_YES, IN_DETAIL, 0},
    {"ERROR", "Error.code", COLUMN_TEXT, IN_WIDE, 0},
    {"REASON", "Error.message", COLUMN_TEXT, IN_DETAIL, 0},
    {"CHANGE", "change.state", COLUMN_TEXT, IN_WIDE, 0},
    {"UNDONE FOR", "change.reason.message", COLUMN_TEXT, IN_DETAIL, 0},
    {"NODE ID", "Node.id", COLUMN_TEXT, IN_DETAIL, 0},
    {"NODE STATUS", "Node.status", COLUMN_STATE, IN_DETAIL, 0},
    {"ADDRESS", "Node.address", COLUMN_TEXT, IN_WIDE, 0},
    {"TEMPLATE", "imageData.Name", COLUMN_TEXT, IN_DETAIL, 0},
    {"ENV", "Env", COLUMN_LINES, IN_DETAIL, 0},
    {"VARIABLES", "variables", COLUMN_LINES, IN_DETAIL, 0},
    {"STOP COMMAND", "StopCommand", COLUMN_TEXT, IN_DETAIL, 0},
    {"CONTAINER", "ContainerId", COLUMN_TEXT, IN_DETAIL, 0},
    {"EXITS", "exits", COLUMN_LINES, IN_DETAIL, 0},
    {"CREATED", "createdAt", COLUMN_TIME, IN_DETAIL, 0},
    {"UPDATED", "updatedAt", COLUMN_TIME, IN_DETAIL, 0},
};

static const struct column sharers[] = {
    {"ID", "userId", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"USERNAME", "username", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"EMAIL", "email", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
};

static const struct column users[] = {
    {"ID", "userId", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"USERNAME", "username", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"EMAIL", "email", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"ADMIN", "admin", COLUMN_YES, IN_TABLE, 0},
    {"AGE", "createdAt", COLUMN_AGE, IN_TABLE, 0},
    {"ACCESS TO", "accessTo", COLUMN_LIST, IN_WIDE, 0},
    {"CREATED", "createdAt", COLUMN_TIME, IN_DETAIL, 0},
};

static const struct column images[] = {
    {"ID", "Id", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"NAME", "Name", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"IMAGE", "Image", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"DESCRIPTION", "Description", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"AUTHOR", "AuthorName", COLUMN_TEXT, IN_WIDE, 0},
    {"STOP", "StopCommand", COLUMN_TEXT, IN_WIDE, 0},
    {"OTHER IMAGES", "AltImages", COLUMN_LIST, IN_DETAIL, 0},
    {"COMMAND", "Cmd", COLUMN_LIST, IN_DETAIL, 0},
    {"ENV", "Env", COLUMN_LINES, IN_DETAIL, 0},
    {"VARIABLES", "Variables", COLUMN_LINES, IN_DETAIL, 0},
    {"INSTALLS", "Scripts.Install", COLUMN_LINES, IN_DETAIL, 0},
    {"MOUNT PATH", "MountPath", COLUMN_TEXT, IN_DETAIL, 0},
};

/* state is put beside what /api/keys tells (key.c). */
static const struct column keys[] = {
    {"ID", "id", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"NAME", "name", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"SCOPES", "scopes", COLUMN_LIST, IN_TABLE, TABLE_SHRINKS},
    {"USER", "userId", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"AGE", "createdAt", COLUMN_AGE, IN_TABLE, 0},
    {"LAST USED", "lastUsedAt", COLUMN_AGE, IN_TABLE, 0},
    {"EXPIRES", "expiresAt", COLUMN_TIME, IN_TABLE, 0},
    {"STATE", "state", COLUMN_STATE, IN_TABLE, 0},
    {"REVOKED", "revokedAt", COLUMN_TIME, IN_WIDE, 0},
    {"RATE LIMIT", "rateLimit", COLUMN_NUMBER, IN_WIDE, 0},
    {"ROTATED", "rotatedAt", COLUMN_TIME, IN_WIDE, 0},
    {"CREATED", "createdAt", COLUMN_TIME, IN_DETAIL, 0},
};

/* What /api/auth/me tells. */
static const struct column identity[] = {
    {"KEY", "key.name", COLUMN_TEXT, IN_TABLE, 0},
    {"ID", "key.id", COLUMN_TEXT, IN_TABLE, 0},
    {"SCOPES", "key.scopes", COLUMN_LIST, IN_TABLE, 0},
    {"ADMIN", "admin", COLUMN_YES, IN_TABLE, 0},
    {"SESSION", "session", COLUMN_YES, IN_TABLE, 0},
    {"USER", "user.username", COLUMN_TEXT, IN_TABLE, 0},
    {"USER ID", "user.userId", COLUMN_TEXT, IN_TABLE, 0},
    {"EXPIRES", "key.expiresAt", COLUMN_TIME, IN_TABLE, 0},
    {"RATE LIMIT", "key.rateLimit", COLUMN_NUMBER, IN_TABLE, 0},
};

static const struct column audit[] = {
    {"TIME", "at", COLUMN_TIME, IN_TABLE, 0},
    {"KEY", "key.name", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"METHOD", "method", COLUMN_TEXT, IN_TABLE, 0},
    {"PATH", "path", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"STATUS", "status", COLUMN_NUMBER, IN_TABLE, 0},
    {"CODE", "code", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"TARGET", "target", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"DETAIL", "detail", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"REQUEST", "requestId", COLUMN_TEXT, IN_WIDE, 0},
    {"KEY ID", "key.id", COLUMN_TEXT, IN_WIDE, 0},
};

/* name and State are put beside what /api/stats tells (stats.c). */
static const struct column stats[] = {
    {"ID", "Id", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"NAME", "Name", COLUMN_TEXT, IN_TABLE, TABLE_SHRINKS},
    {"CPU", "cpu.percent", COLUMN_PERCENT, IN_TABLE, 0},
    {"MEMORY", "memory.bytes", COLUMN_BYTES, IN_TABLE, 0},
    {"LIMIT", "memory.limitBytes", COLUMN_BYTES, IN_TABLE, 0},
    {"RECEIVED", "network.receivedBytes", COLUMN_BYTES, IN_TABLE, 0},
    {"SENT", "network.sentBytes", COLUMN_BYTES, IN_TABLE, 0},
    {"READ", "blockIo.readBytes", COLUMN_BYTES, IN_WIDE, 0},
    {"WRITTEN", "blockIo.writtenBytes", COLUMN_BYTES, IN_WIDE, 0},
    {"PIDS", "pids", COLUMN_NUMBER, IN_TABLE, 0},
    {"VOLUME", "volumeBytes", COLUMN_BYTES, IN_TABLE, 0},
    {"UP", "uptimeSeconds", COLUMN_NUMBER, IN_WIDE, 0},
    {"RUNNING", "running", COLUMN_YES, IN_WIDE, 0},
};

#define VIEW(noun_, id_, name_, columns_)                                                          \
    {                                                                                              \
        noun_, id_, name_, columns_, ARRAY_LEN(columns_)                                           \
    }

const struct view view_nodes = VIEW("node", "id", "name", nodes);
const struct view view_orphans = VIEW("orphan", "instanceId", NULL, orphans);
const struct view view_instances = VIEW("instance", "Id", "Name", instances);
const struct view view_access = VIEW("user", "userId", "username", sharers);
const struct view view_users = VIEW("user", "userId", "username", users);
const struct view view_images = VIEW("image", "Id", "Name", images);
const struct view view_keys = VIEW("key", "id", "name", keys);
const struct view view_sessions = VIEW("session", "user.userId", "user.username", sharers);
const struct view view_identity = VIEW("key", "key.id", "key.name", identity);
const struct view view_audit = VIEW("request", "requestId", NULL, audit);
const struct view view_stats = VIEW("instance", "Id", "Name", stats);
