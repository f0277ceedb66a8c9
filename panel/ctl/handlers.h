/* What the rows of the table of commands run. Each returns the exit code, or -1 with err set. One
 * thread. */
#ifndef PANEL_CTL_HANDLERS_H
#define PANEL_CTL_HANDLERS_H

#include "panel/ctl/ctl.h"

int run_node_list(struct ctl *ctl, struct err *err);
int run_node_get(struct ctl *ctl, struct err *err);
int run_node_create(struct ctl *ctl, struct err *err);
int run_node_update(struct ctl *ctl, struct err *err);
int run_node_delete(struct ctl *ctl, struct err *err);
int run_node_token(struct ctl *ctl, struct err *err);
int run_node_drain(struct ctl *ctl, struct err *err);
int run_node_undrain(struct ctl *ctl, struct err *err);
int run_node_orphans(struct ctl *ctl, struct err *err);
int run_node_remove_orphan(struct ctl *ctl, struct err *err);

int run_instance_list(struct ctl *ctl, struct err *err);
int run_instance_get(struct ctl *ctl, struct err *err);
int run_instance_deploy(struct ctl *ctl, struct err *err);
int run_instance_update(struct ctl *ctl, struct err *err);
int run_instance_delete(struct ctl *ctl, struct err *err);
int run_instance_power(struct ctl *ctl, struct err *err);
int run_instance_suspend(struct ctl *ctl, struct err *err);
int run_instance_install(struct ctl *ctl, struct err *err); /* retry, redeploy, reinstall */
int run_instance_logs(struct ctl *ctl, struct err *err);
int run_instance_command(struct ctl *ctl, struct err *err);
int run_instance_console(struct ctl *ctl, struct err *err);
int run_instance_stats(struct ctl *ctl, struct err *err);
int run_instance_users(struct ctl *ctl, struct err *err);
int run_instance_share(struct ctl *ctl, struct err *err); /* and unshare */

int run_user_list(struct ctl *ctl, struct err *err);
int run_user_get(struct ctl *ctl, struct err *err);
int run_user_create(struct ctl *ctl, struct err *err);
int run_user_update(struct ctl *ctl, struct err *err);
int run_user_login(struct ctl *ctl, struct err *err);
int run_user_logout(struct ctl *ctl, struct err *err);
int run_user_delete(struct ctl *ctl, struct err *err);

int run_image_list(struct ctl *ctl, struct err *err);
int run_image_get(struct ctl *ctl, struct err *err);
int run_image_import(struct ctl *ctl, struct err *err);
int run_image_update(struct ctl *ctl, struct err *err);
int run_image_delete(struct ctl *ctl, struct err *err);

int run_key_list(struct ctl *ctl, struct err *err);
int run_key_get(struct ctl *ctl, struct err *err);
int run_key_create(struct ctl *ctl, struct err *err);
int run_key_update(struct ctl *ctl, struct err *err);
int run_key_revoke(struct ctl *ctl, struct err *err);
int run_key_rotate(struct ctl *ctl, struct err *err);
int run_key_whoami(struct ctl *ctl, struct err *err);

int run_event_list(struct ctl *ctl, struct err *err);
int run_audit_list(struct ctl *ctl, struct err *err);
int run_backup(struct ctl *ctl, struct err *err);
int run_top(struct ctl *ctl, struct err *err);
int run_doctor(struct ctl *ctl, struct err *err);
int run_version(struct ctl *ctl, struct err *err);
int run_help(struct ctl *ctl, struct err *err);
int run_completion(struct ctl *ctl, struct err *err);
int run_names(struct ctl *ctl, struct err *err);

#endif
