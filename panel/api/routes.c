/* Every route there is. A path that isn't here is 404; a row without a permission is denied. Rows
 * with an ":id" stand behind those whose paths it could be. */
#include "panel/api/handlers.h"
#include "panel/api/internal.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "panel/metrics/metrics.h"

#define KIB     1024u
#define MIB     (1024u * 1024u)
#define SOON    (30u * 1000u) /* answers that need nobody but the store */
#define AT_ONCE (10u * 1000u)
#define LONGEST (330u * 1000u) /* ?wait=300 and a margin */

const struct route routes[] = {
    {HTTP_GET, "/api/users", SCOPE_USERS_READ, BOUND_OWN, MIB, AT_ONCE, false, users_list, NULL},
    {HTTP_POST, "/api/getUser", SCOPE_USERS_READ, BOUND_OWN, MIB, AT_ONCE, false, users_get, NULL},
    {HTTP_POST, "/api/auth/create-user", SCOPE_USERS_WRITE, BOUND_NOT, MIB, SOON, true,
     users_create, NULL},
    {HTTP_GET, "/api/users/:id", SCOPE_USERS_READ, BOUND_OWN, MIB, AT_ONCE, false, users_get_one,
     NULL},
    {HTTP_PATCH, "/api/users/:id", SCOPE_USERS_WRITE, BOUND_OWN, MIB, SOON, true, users_patch,
     NULL},
    {HTTP_DELETE, "/api/users/:id", SCOPE_USERS_WRITE, BOUND_NOT, MIB, SOON, true, users_delete,
     NULL},

    {HTTP_GET, "/api/nodes", SCOPE_NODES_READ, BOUND_NOT, MIB, AT_ONCE, false, nodes_list, NULL},
    {HTTP_POST, "/api/nodes/create", SCOPE_NODES_WRITE, BOUND_NOT, MIB, SOON, true, nodes_create,
     NULL},
    {HTTP_DELETE, "/api/nodes/delete", SCOPE_NODES_WRITE, BOUND_NOT, MIB, SOON, true, nodes_delete,
     NULL},
    {HTTP_GET, "/api/nodes/:id", SCOPE_NODES_READ, BOUND_NOT, MIB, AT_ONCE, false, nodes_get, NULL},
    {HTTP_PATCH, "/api/nodes/:id", SCOPE_NODES_WRITE, BOUND_NOT, MIB, SOON, true, nodes_patch,
     NULL},
    {HTTP_POST, "/api/nodes/:id/token", SCOPE_NODES_WRITE, BOUND_NOT, MIB, SOON, true, nodes_token,
     NULL},
    {HTTP_GET, "/api/nodes/:id/orphans", SCOPE_NODES_READ, BOUND_NOT, MIB, AT_ONCE, false,
     orphans_list, NULL},
    {HTTP_DELETE, "/api/nodes/:id/orphans", SCOPE_NODES_WRITE, BOUND_NOT, MIB, 90u * 1000u, true,
     orphans_delete, instances_delete_resume},

    {HTTP_GET, "/api/images", SCOPE_IMAGES_READ, BOUND_ALL, MIB, AT_ONCE, false, images_list, NULL},
    {HTTP_POST, "/api/images/create", SCOPE_IMAGES_WRITE, BOUND_NOT, 4 * MIB, SOON, true,
     images_create, NULL},
    {HTTP_DELETE, "/api/images/delete", SCOPE_IMAGES_WRITE, BOUND_NOT, MIB, SOON, true,
     images_delete, NULL},
    {HTTP_GET, "/api/images/:id", SCOPE_IMAGES_READ, BOUND_ALL, MIB, AT_ONCE, false, images_get_one,
     NULL},
    {HTTP_PATCH, "/api/images/:id", SCOPE_IMAGES_WRITE, BOUND_NOT, 4 * MIB, SOON, true,
     images_patch, NULL},
    {HTTP_DELETE, "/api/images/:id", SCOPE_IMAGES_WRITE, BOUND_NOT, MIB, SOON, true,
     images_delete_one, NULL},

    {HTTP_GET, "/api/instances", SCOPE_INSTANCES_READ, BOUND_OWN, MIB, AT_ONCE, false,
     instances_list, NULL},
    {HTTP_POST, "/api/getInstance", SCOPE_INSTANCES_READ, BOUND_OWN, MIB, AT_ONCE, false,
     instances_get, NULL},
    {HTTP_POST, "/api/getUserInstance", SCOPE_INSTANCES_READ, BOUND_OWN, MIB, AT_ONCE, false,
     instances_get_of_user, NULL},
    {HTTP_POST, "/api/instances/deploy", SCOPE_INSTANCES_WRITE, BOUND_NOT, MIB, LONGEST, true,
     instances_deploy, instances_deploy_resume},
    {HTTP_DELETE, "/api/instance/delete", SCOPE_INSTANCES_WRITE, BOUND_NOT, MIB, 90u * 1000u, true,
     instances_delete, instances_delete_resume},
    {HTTP_POST, "/api/instances/suspend/:id", SCOPE_INSTANCES_WRITE, BOUND_NOT, MIB, 90u * 1000u,
     true, instances_suspend, instances_suspend_resume},
    {HTTP_POST, "/api/instances/unsuspend/:id", SCOPE_INSTANCES_WRITE, BOUND_NOT, MIB, 90u * 1000u,
     true, instances_unsuspend, instances_suspend_resume},
    {HTTP_GET, "/api/instances/:id", SCOPE_INSTANCES_READ, BOUND_USER, MIB, AT_ONCE, false,
     instances_get_one, NULL},
    {HTTP_PATCH, "/api/instances/:id", SCOPE_INSTANCES_WRITE, BOUND_EDITOR, MIB, 90u * 1000u, true,
     instances_patch, instances_patch_resume},
    {HTTP_DELETE, "/api/instances/:id", SCOPE_INSTANCES_WRITE, BOUND_NOT, MIB, 90u * 1000u, true,
     instances_delete_one, instances_delete_one_resume},
    {HTTP_POST, "/api/instances/:id/power", SCOPE_INSTANCES_WRITE, BOUND_USER, MIB, 90u * 1000u,
     true, instances_power, instances_power_resume},
    {HTTP_GET, "/api/instances/:id/users", SCOPE_INSTANCES_READ, BOUND_OWNER, MIB, AT_ONCE, false,
     access_list, NULL},
    {HTTP_POST, "/api/instances/:id/users", SCOPE_INSTANCES_WRITE, BOUND_OWNER, MIB, SOON, true,
     access_give, NULL},
    {HTTP_DELETE, "/api/instances/:id/users", SCOPE_INSTANCES_WRITE, BOUND_OWNER, MIB, SOON, true,
     access_take, NULL},
    {HTTP_GET, "/api/instances/:id/logs", SCOPE_INSTANCES_READ, BOUND_USER, MIB, 45u * 1000u, false,
     console_logs, NULL},
    {HTTP_GET, "/api/instances/:id/console", SCOPE_INSTANCES_READ, BOUND_USER, MIB, AT_ONCE, false,
     console_open, NULL},
    {HTTP_POST, "/api/instances/:id/console", SCOPE_INSTANCES_WRITE, BOUND_USER, MIB, 45u * 1000u,
     true, console_command, NULL},
    {HTTP_POST, "/api/instances/:id/command", SCOPE_INSTANCES_WRITE, BOUND_USER, MIB, 45u * 1000u,
     true, console_command, NULL},
    {HTTP_POST, "/api/instances/:id/redeploy", SCOPE_INSTANCES_WRITE, BOUND_OWNER, MIB, LONGEST,
     true, instances_redeploy, instances_retry_resume},
    {HTTP_POST, "/api/instances/:id/reinstall", SCOPE_INSTANCES_WRITE, BOUND_OWNER, MIB, LONGEST,
     true, instances_reinstall, instances_retry_resume},
    {HTTP_POST, "/api/instances/:id/retry", SCOPE_INSTANCES_WRITE, BOUND_USER, MIB, LONGEST, true,
     instances_retry, instances_retry_resume},

    {HTTP_GET, "/api/instances/:id/stats", SCOPE_INSTANCES_READ, BOUND_USER, MIB, SOON, false,
     stats_get, NULL},
    {HTTP_GET, "/api/events", SCOPE_EVENTS_READ, BOUND_OWN, MIB, AT_ONCE, false, events_follow,
     NULL},
    {HTTP_GET, "/api/audit", SCOPE_AUDIT_READ, BOUND_NOT, MIB, AT_ONCE, false, audit_list, NULL},
    {HTTP_GET, "/api/stats", SCOPE_INSTANCES_READ, BOUND_OWN, MIB, SOON, false, stats_list, NULL},

    {HTTP_GET, "/api/keys", SCOPE_KEYS_READ, BOUND_OWN, MIB, AT_ONCE, false, keys_list, NULL},
    {HTTP_POST, "/api/keys", SCOPE_KEYS_WRITE, BOUND_OWN, MIB, SOON, true, keys_create,
     keys_create_resume},
    {HTTP_GET, "/api/keys/:id", SCOPE_KEYS_READ, BOUND_OWN, MIB, AT_ONCE, false, keys_get, NULL},
    {HTTP_PATCH, "/api/keys/:id", SCOPE_KEYS_WRITE, BOUND_OWN, MIB, SOON, true, keys_patch, NULL},
    {HTTP_DELETE, "/api/keys/:id", SCOPE_KEYS_WRITE, BOUND_OWN, MIB, SOON, true, keys_delete, NULL},
    {HTTP_POST, "/api/keys/:id/rotate", SCOPE_KEYS_WRITE, BOUND_OWN, MIB, SOON, true, keys_rotate,
     keys_rotate_resume},

    {HTTP_POST, "/api/auth/login", PERMISSION_PUBLIC, BOUND_NOT, 16 * KIB, SOON, false, auth_login,
     NULL},
    {HTTP_GET, "/api/auth/me", PERMISSION_ANY_KEY, BOUND_ALL, MIB, AT_ONCE, false, auth_me, NULL},
    {HTTP_POST, "/api/auth/logout", PERMISSION_ANY_KEY, BOUND_ALL, MIB, SOON, true, auth_logout,
     NULL},

    {HTTP_GET, "/join", PERMISSION_PUBLIC, BOUND_NOT, KIB, AT_ONCE, false, join_describe, NULL},
    {HTTP_POST, "/join", PERMISSION_PUBLIC, BOUND_NOT, 64 * KIB, SOON, false, join_answer, NULL},

    {HTTP_GET, "/metrics", SCOPE_METRICS_READ, BOUND_NOT, KIB, AT_ONCE, false, metrics_get, NULL},
    {HTTP_GET, "/healthz", PERMISSION_PUBLIC, BOUND_NOT, KIB, AT_ONCE, false, health_alive, NULL},
    {HTTP_GET, "/readyz", PERMISSION_PUBLIC, BOUND_NOT, KIB, AT_ONCE, false, health_ready, NULL},
    {HTTP_GET, "/api/openapi.json", PERMISSION_ANY_KEY, BOUND_ALL, KIB, AT_ONCE, false,
     docs_get_document, NULL},
    {HTTP_GET, "/docs", PERMISSION_PUBLIC, BOUND_NOT, KIB, AT_ONCE, false, docs_get_page, NULL},
    {HTTP_GET, "/docs/openapi.json", PERMISSION_PUBLIC, BOUND_NOT, KIB, AT_ONCE, false,
     docs_get_document, NULL},
};
const size_t routes_count = sizeof(routes) / sizeof(routes[0]);
_Static_assert(sizeof(routes) / sizeof(routes[0]) < METRIC_ROUTES_MAX, "each route is counted");

static char ops[METRIC_ROUTES_MAX][64];

static void name_ops(void)
{
    for (size_t i = 0; i < routes_count; i++)
        snprintf(ops[i], sizeof(ops[i]), "%s %s", call_method_word(routes[i].method),
                 routes[i].path);
}

const char *route_op(const struct route *route)
{
    static pthread_once_t named = PTHREAD_ONCE_INIT;
    pthread_once(&named, name_ops);
    return ops[route - routes];
}

const char *route_thing(const struct route *route)
{
    static const struct {
        const char *path;
        const char *thing;
    } things[] = {{"/api/instance", "instance"},
                  {"/api/getInstance", "instance"},
                  {"/api/nodes", "node"},
                  {"/join", "node"},
                  {"/api/users", "user"},
                  {"/api/getUser", "user"},
                  {"/api/auth/create-user", "user"},
                  {"/api/images", "image"}};
    for (size_t i = 0; i < sizeof(things) / sizeof(things[0]); i++) {
        if (strncmp(route->path, things[i].path, strlen(things[i].path)) == 0)
            return things[i].thing;
    }
    return "id";
}

unsigned route_metric(const struct route *route)
{
    return (unsigned)(route - routes) + 1;
}

bool route_match(const struct route *route, const char *path, char param[ROUTE_PARAM_SIZE])
{
    const char *want = route->path;
    while (*want && *want != ':') {
        if (*want++ != *path++)
            return false;
    }
    if (!*want)
        return !*path;
    size_t len = strcspn(path, "/");
    if (!len || len >= ROUTE_PARAM_SIZE || strcmp(want + strcspn(want, "/"), path + len) != 0)
        return false;
    memcpy(param, path, len);
    param[len] = '\0';
    return true;
}
