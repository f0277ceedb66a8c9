/* The handlers that routes.c lists, one a row. Pool thread; none blocks. */
#ifndef PANEL_API_HANDLERS_H
#define PANEL_API_HANDLERS_H

struct call;

void users_list(struct call *call);
void users_get(struct call *call);
void users_get_one(struct call *call);
void users_create(struct call *call);
void users_patch(struct call *call);
void users_delete(struct call *call);

void access_list(struct call *call);
void access_give(struct call *call);
void access_take(struct call *call);

void nodes_list(struct call *call);
void nodes_get(struct call *call);
void nodes_create(struct call *call);
void nodes_patch(struct call *call);
void nodes_token(struct call *call);
void nodes_delete(struct call *call);
void orphans_list(struct call *call);
void orphans_delete(struct call *call);

void images_list(struct call *call);
void images_create(struct call *call);
void images_delete(struct call *call);
void images_get_one(struct call *call);
void images_patch(struct call *call);
void images_delete_one(struct call *call);

void instances_list(struct call *call);
void instances_get(struct call *call);
void instances_get_one(struct call *call);
void instances_patch(struct call *call);
void instances_patch_resume(struct call *call, const char *instance_id);
void instances_get_of_user(struct call *call);
void instances_deploy(struct call *call);
void instances_deploy_resume(struct call *call, const char *instance_id);
void instances_delete(struct call *call);
void instances_delete_one(struct call *call);
void instances_delete_resume(struct call *call, const char *instance_id);
void instances_delete_one_resume(struct call *call, const char *instance_id);
void instances_suspend(struct call *call);
void instances_unsuspend(struct call *call);
void instances_suspend_resume(struct call *call, const char *instance_id);
void instances_power(struct call *call);
void instances_power_resume(struct call *call, const char *instance_id);
void instances_redeploy(struct call *call);
void instances_reinstall(struct call *call);
void instances_retry(struct call *call);
void instances_retry_resume(struct call *call, const char *instance_id);

void console_logs(struct call *call);
void console_open(struct call *call);
void stats_get(struct call *call);
void stats_list(struct call *call);
void audit_list(struct call *call);
void events_follow(struct call *call);
void console_command(struct call *call);

void keys_list(struct call *call);
void keys_create(struct call *call);
void keys_create_resume(struct call *call, const char *seed);
void keys_get(struct call *call);
void keys_patch(struct call *call);
void keys_delete(struct call *call);
void keys_rotate(struct call *call);
void keys_rotate_resume(struct call *call, const char *seed);

void auth_login(struct call *call);
void auth_logout(struct call *call);
void auth_me(struct call *call);

void join_describe(struct call *call);
void join_answer(struct call *call);

void metrics_get(struct call *call);
void health_alive(struct call *call);
void health_ready(struct call *call);
void docs_get_document(struct call *call);
void docs_get_page(struct call *call);

#endif
