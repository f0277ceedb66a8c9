/* The table of commands: all that panelctl can. See grammar.h. A route of the API that no row here
 * reaches is one that an operator has to do by hand. */
#include "common/auto.h"
#include "panel/ctl/handlers.h"

#define OPTIONS(list) list, ARRAY_LEN(list)
#define NO_OPTIONS    NULL, 0

#define WATCH                                                                                      \
    {                                                                                              \
        "watch", 'w', NULL, "show it again whenever it changes", NULL, BODY_NONE, NULL             \
    }
#define YES                                                                                        \
    {                                                                                              \
        "yes", 'y', NULL, "don't ask", NULL, BODY_NONE, NULL                                       \
    }
#define NO_WAIT                                                                                    \
    {                                                                                              \
        "no-wait", 0, NULL, "don't wait until it is done", NULL, BODY_NONE, NULL                   \
    }

#define OUT                                                                                        \
    {                                                                                              \
        "out", 0,         "FILE", "the secret into this file, which only you can read",            \
        NULL,  BODY_NONE, NULL},                                                                   \
    {                                                                                              \
        "replace", 0, NULL, "with --out: FILE may be there already", NULL, BODY_NONE, NULL         \
    }

const struct option_spec common_options[] = {
    {"output", 'o', "FORMAT", "table, wide, json, yaml or name (ids alone)",
     "table|wide|json|yaml|name", BODY_NONE, NULL},
    {"url", 0, "URL", "the panel's address (PANEL_URL)", NULL, BODY_NONE, NULL},
    {"key-file", 0, "FILE", "holds the API key in its first line (PANEL_KEY_FILE)", NULL, BODY_NONE,
     NULL},
    {"ca-cert", 0, "FILE", "trust certificates of this CA (PANEL_CA_CERT)", NULL, BODY_NONE, NULL},
    {"timeout", 0, "SECONDS", "how long an answer may take (30)", NULL, BODY_NONE, NULL},
    {"config", 0, "FILE", "in the place of ~/.config/panel/config.json", NULL, BODY_NONE, NULL},
    {"no-color", 0, NULL, "no colours", NULL, BODY_NONE, NULL},
    {"help", 'h', NULL, "tell what there is", NULL, BODY_NONE, NULL},
    {"version", 0, NULL, "print the version", NULL, BODY_NONE, NULL},
};
const size_t common_options_count = ARRAY_LEN(common_options);

/* --- nodes ----------------------------------------------------------------------------------- */

#define NODE_FIELDS                                                                                \
    {"port", 0, "PORT", "the agent's port", NULL, BODY_TEXT, "port"},                              \
        {"tags", 0, "A,B", "by which instances are placed (default)", NULL, BODY_TEXT, "tags"},    \
        {"ram", 0, "TEXT", "kept as it is said; the agent measures", NULL, BODY_TEXT, "ram"},      \
        {"disk", 0, "TEXT", "likewise", NULL, BODY_TEXT, "disk"},                                  \
        {"processor", 0, "TEXT", "likewise", NULL, BODY_TEXT, "processor"},                        \
        {"port-range", 0,                                                                          \
         "FROM-TO",    "host ports that are picked from; none: the panel's own",                   \
         NULL,         BODY_TEXT_OR_NULL,                                                          \
         "portRange"},                                                                             \
        {"overcommit-memory",                                                                      \
         0,                                                                                        \
         "N",                                                                                      \
         "how much may be promised, as a multiple; none: the "                                     \
         "panel's own",                                                                            \
         NULL,                                                                                     \
         BODY_TEXT_OR_NULL,                                                                        \
         "overcommit.memory"},                                                                     \
    {                                                                                              \
        "overcommit-cpu", 0, "N", "likewise for cores; none: not counted", NULL,                   \
            BODY_TEXT_OR_NULL, "overcommit.cpu"                                                    \
    }

static const struct option_spec watching[] = {WATCH};
static const struct option_spec sure[] = {YES};

static const struct option_spec node_create[] = {
    {"address", 0, "HOST", "where the panel reaches the agent: a name or an IP address", NULL,
     BODY_TEXT, "address"},
    NODE_FIELDS,
};
static const struct option_spec node_update[] = {
    {"name", 0, "NAME", "another name", NULL, BODY_TEXT, "name"},
    {"address", 0, "HOST", "where the panel reaches the agent", NULL, BODY_TEXT, "address"},
    {"maintenance", 0, "yes|no", "it takes no new instances", "yes|no", BODY_YES_NO, "maintenance"},
    NODE_FIELDS,
};
static const struct option_spec node_delete[] = {
    {"force", 0, NULL, "with its instances and their volumes", NULL, BODY_NONE, NULL},
    YES,
};
static const struct option_spec waiting[] = {NO_WAIT};
static const struct option_spec node_undrain[] = {
    {"keep-maintenance", 0, NULL, "it goes on taking no new instances", NULL, BODY_NONE, NULL},
};

/* --- instances ------------------------------------------------------------------------------- */

#define SIZES(memory_, cpu_, primary_)                                                             \
    {"memory", 'm', "SIZE", "MiB, or with a unit: 512, 2G" memory_, NULL, BODY_TEXT, "memory"},    \
        {"cpu", 'c', "CORES", "0.5, 2, 50%" cpu_, NULL, BODY_TEXT, "cpu"},                         \
        {"disk", 0, "SIZE", "MiB, or with a unit; kept, but no limit", NULL, BODY_TEXT, "disk"},   \
        {"primary", 0, "PORT", "the main host port" primary_, NULL, BODY_TEXT, "primary"},         \
    {                                                                                              \
        "var", 'e', "KEY=VALUE", "a variable; KEY alone: the environment's; again for more", NULL, \
            BODY_PAIR, "variables"                                                                 \
    }

/* As the API has them, and its InternalStates; a test holds them against its description. */
#define STATES                                                                                     \
    "running|stopped|crashed|failed|suspended|pulling|creating|installing|starting|stopping|"      \
    "deleting|unknown|INSTALLING|READY|FAILED|DELETING"

static const struct option_spec instance_list[] = {
    {"user", 0, "USER", "those that it owns", NULL, BODY_NONE, NULL},
    {"shared", 0, NULL, "with --user: also those that it may use", NULL, BODY_NONE, NULL},
    {"node", 0, "NODE", "those on it", NULL, BODY_NONE, NULL},
    {"state", 0, "STATE", "running, stopped, crashed, failed, …", STATES, BODY_NONE, NULL},
    WATCH,
};
static const struct option_spec instance_deploy[] = {
    {"image", 'i', "REFERENCE", "Docker image", NULL, BODY_TEXT, "image"},
    {"template", 't', "IMAGE", "a template that gives defaults, its image included", NULL,
     BODY_NONE, NULL},
    {"user", 'u', "USER", "whose it is", NULL, BODY_NONE, NULL},
    {"ports", 'p', "C:H,C:H",
     "at least one container:host; host may be auto; /tcp, /udp, else both", NULL, BODY_TEXT,
     "ports"},
    {"node", 'n', "NODE", "where; auto (without it): where there is most room", NULL, BODY_NONE,
     NULL},
    {"tags", 0, "A,B", "with auto: which the node must have", NULL, BODY_TEXT, "tags"},
    SIZES("; without it 512", "; without it 1", "; without it the first"),
    NO_WAIT,
};
static const struct option_spec instance_update[] = {
    {"name", 0, "NAME", "another name", NULL, BODY_TEXT, "name"},
    {"user", 'u', "USER", "another owner", NULL, BODY_NONE, NULL},
    {"image", 'i', "REFERENCE", "another Docker image, of those that its AltImages name", NULL,
     BODY_TEXT, "image"},
    {"force", 0, NULL, "any other image, too: a newer one, or one that was mistyped", NULL,
     BODY_TRUE, "force"},
    {"ports", 'p', "C:H,C:H", "other ports", NULL, BODY_TEXT, "ports"},
    SIZES("", "", ""),
    {"env", 0, "KEY=VALUE", "of its environment; KEY- removes; again for more", NULL, BODY_PAIR,
     "env"},
    NO_WAIT,
};
static const struct option_spec instance_reinstall[] = {
    {"wipe", 0, NULL, "begin with an empty volume", NULL, BODY_TRUE, "wipe"},
    YES,
    NO_WAIT,
};
static const struct option_spec instance_logs[] = {
    {"follow", 'f', NULL, "go on with each new line, over restarts of everything", NULL, BODY_NONE,
     NULL},
    {"tail", 'n', "N", "the last so many lines, or all (100)", NULL, BODY_NONE, NULL},
    {"since", 0, "TIME", "only from then on: 10m, 2h, or 2026-01-31T12:00:00Z", NULL, BODY_NONE,
     NULL},
    {"timestamps", 't', NULL, "with --follow: when each was printed", NULL, BODY_NONE, NULL},
    {"install", 0, NULL, "of its last install", NULL, BODY_NONE, NULL},
};
static const struct option_spec instance_console[] = {
    {"tail", 'n', "N", "begin with the last so many lines (20)", NULL, BODY_NONE, NULL},
};
static const struct option_spec instance_stats[] = {
    {"follow", 'f', NULL, "again every second", NULL, BODY_NONE, NULL},
    {"sort", 0, "cpu|memory|name", "of all instances: by what", "cpu|memory|name", BODY_NONE, NULL},
};

/* --- the others ------------------------------------------------------------------------------ */

static const struct option_spec user_create[] = {
    {"email", 0, "ADDRESS", "its e-mail address", NULL, BODY_TEXT, "email"},
    {"id", 0, "ID", "made when it isn't given", NULL, BODY_TEXT, "userId"},
    {"admin", 0, "yes|no", "may it do everything", "yes|no", BODY_YES_NO, "admin"},
};
static const struct option_spec user_update[] = {
    {"username", 0, "NAME", "another name", NULL, BODY_TEXT, "username"},
    {"email", 0, "ADDRESS", "another e-mail address", NULL, BODY_TEXT, "email"},
    {"admin", 0, "yes|no", "may it do everything", "yes|no", BODY_YES_NO, "admin"},
    {"password", 0, NULL, "another password: asked for, or the next line of stdin", NULL, BODY_NONE,
     NULL},
    {"current-password", 0, NULL, "to change oneself: asked for, or the first line of stdin", NULL,
     BODY_NONE, NULL},
};
static const struct option_spec user_login[] = {OUT};
static const struct option_spec user_delete[] = {
    {"force", 0, NULL, "with the instances that it owns", NULL, BODY_NONE, NULL},
    YES,
};
static const struct option_spec image_import[] = {
    {"name", 0, "NAME", "in the place of the file's Name", NULL, BODY_TEXT, "Name"},
};
static const struct option_spec image_update[] = {
    {"file", 'f', "FILE", "JSON whose members take the place of those before; - is stdin", NULL,
     BODY_NONE, NULL},
    {"name", 0, "NAME", "another name", NULL, BODY_TEXT, "Name"},
    {"image", 'i', "REFERENCE", "another Docker image", NULL, BODY_TEXT, "Image"},
    {"description", 0, "TEXT", "another description", NULL, BODY_TEXT, "Description"},
};
static const struct option_spec image_delete[] = {
    {"force", 0, NULL, "though instances were made from it; they keep their own copy", NULL,
     BODY_NONE, NULL},
    YES,
};

#define KEY_FIELDS                                                                                 \
    {"scope", 0,                                                                                   \
     "A,B",   "what it may: read, admin, or such as instances:write; again for more",              \
     NULL,    BODY_WORDS,                                                                          \
     "scopes"},                                                                                    \
        {"expires", 0,         "TIME", "until when: 90d, 2026-12-31T00:00:00Z, or never",          \
         NULL,      BODY_NONE, NULL},                                                              \
    {                                                                                              \
        "rate", 0, "N", "requests a minute, 0: any number; none: the panel's own", NULL,           \
            BODY_TEXT_OR_NULL, "rateLimit"                                                         \
    }

static const struct option_spec key_create[] = {
    KEY_FIELDS,
    {"user", 0, "USER", "bind it to a user: it sees and does what that one may", NULL, BODY_NONE,
     NULL},
    OUT,
};
static const struct option_spec key_update[] = {
    {"name", 0, "NAME", "another name", NULL, BODY_TEXT, "name"},
    KEY_FIELDS,
};
static const struct option_spec key_rotate[] = {
    {"grace", 0, "SPAN", "for so long the old secret is good, too: 10m, 24h; 7d at most", NULL,
     BODY_NONE, NULL},
    OUT,
    YES,
};
static const struct option_spec event_list[] = {
    {"follow", 'f', NULL, "go on with what happens, over restarts", NULL, BODY_NONE, NULL},
    {"instance", 0, "INSTANCE", "only of this one", NULL, BODY_NONE, NULL},
    {"node", 0, "NODE", "only of it and of the instances on it", NULL, BODY_NONE, NULL},
    {"user", 0, "USER", "only of it and of its instances", NULL, BODY_NONE, NULL},
    {"after", 0, "ID", "those behind this event", NULL, BODY_NONE, NULL},
    {"since", 0, "TIME", "only from then on: 2h, 7d, or 2026-01-31T12:00:00Z", NULL, BODY_NONE,
     NULL},
    {"limit", 0, "N", "the last so many at most", NULL, BODY_NONE, NULL},
};
static const struct option_spec audit_list[] = {
    {"key", 0, "KEY", "only what this API key did: its id or name", NULL, BODY_NONE, NULL},
    {"target", 0, "THING", "only what was done to this: an id, or a name", NULL, BODY_NONE, NULL},
    {"since", 0, "TIME", "only from then on: 2h, 7d, or 2026-01-31T12:00:00Z", NULL, BODY_NONE,
     NULL},
    {"limit", 0, "N", "so many at most (100)", NULL, BODY_NONE, NULL},
};
static const struct option_spec top[] = {
    {"sort", 0, "cpu|memory|name", "by what (cpu)", "cpu|memory|name", BODY_NONE, NULL},
    {"once", 0, NULL, "print it once", NULL, BODY_NONE, NULL},
};

#define NODE     "node|nodes"
#define INSTANCE "instance|instances"
#define USER     "user|users"
#define IMAGE    "image|images"
#define KEY      "key|keys"

const struct command commands[] = {
    {NODE, "list|ls", "", 0, 0, "all nodes", NULL, OPTIONS(watching), false, false, run_node_list},
    {NODE, "get|show", "NODE", 1, 1, "one node, with all that is known of it", NULL,
     OPTIONS(watching), false, false, run_node_get},
    {NODE, "create", "NAME --address HOST", 1, 1,
     "a new node; prints the command by which it joins",
     "The command is alone on stdout: panelctl node create n1 --address n1.example.com | ssh n1 "
     "sh\n",
     OPTIONS(node_create), false, false, run_node_create},
    {NODE, "update", "NODE", 1, 1, "change where it is, what it holds, maintenance",
     "What isn't named stays as it is.\n", OPTIONS(node_update), false, false, run_node_update},
    {NODE, "drain", "NODE", 1, 1, "stop all that runs there, for as long as it lasts",
     "Waits until nothing runs there. What is wanted of the instances stays: \"undrain\" brings "
     "back\n"
     "what was to run.\n",
     OPTIONS(waiting), false, false, run_node_drain},
    {NODE, "undrain", "NODE", 1, 1, "end a drain, and maintenance", NULL, OPTIONS(node_undrain),
     false, false, run_node_undrain},
    {NODE, "token", "NODE", 1, 1, "another join token, in the place of the one it had",
     "For a token that was lost or has expired, and for a machine that was set up anew.\n",
     NO_OPTIONS, false, false, run_node_token},
    {NODE, "delete|rm", "NODE", 1, 1, "delete a node", NULL, OPTIONS(node_delete), false, false,
     run_node_delete},
    {NODE, "orphans", "NODE", 1, 1, "containers there that the panel doesn't know", NULL,
     OPTIONS(watching), false, false, run_node_orphans},
    {NODE, "remove-orphan", "NODE INSTANCE-ID", 2, 2, "remove one of them, with its volume", NULL,
     OPTIONS(sure), false, false, run_node_remove_orphan},

    {INSTANCE, "list|ls", "", 0, 0, "all instances, or some", NULL, OPTIONS(instance_list), false,
     false, run_instance_list},
    {INSTANCE, "get|show", "INSTANCE", 1, 1, "one instance, with all that is known of it", NULL,
     OPTIONS(watching), false, false, run_instance_get},
    {INSTANCE, "deploy|create|run",
     "NAME --user USER --ports C:H (--image REFERENCE|--template IMAGE)", 1, 1, "a new instance",
     "Waits until it runs or has failed, and shows how far it is. One that failed is still there:\n"
     "\"retry\" tries again, and another deploy would make a second one. Example:\n"
     "  panelctl instance deploy lobby --template Minecraft --user alex --ports 25565:auto -m 2G\n"
     "The image can be changed later: \"update --image\".\n",
     OPTIONS(instance_deploy), false, false, run_instance_deploy},
    {INSTANCE, "update", "INSTANCE", 1, 1, "change its name, owner, sizes, ports, variables",
     "What isn't named stays as it is. --var KEY- removes a variable. --image takes one of the\n"
     "instance's AltImages, which come from its template; any other, as a newer one or one that\n"
     "was mistyped, takes --force. The volume stays, and the old container until the new one "
     "runs.\n",
     OPTIONS(instance_update), false, false, run_instance_update},
    {INSTANCE, "start", "INSTANCE...", 1, -1, "start it", NULL, NO_OPTIONS, false, false,
     run_instance_power},
    {INSTANCE, "stop", "INSTANCE...", 1, -1, "stop it; it stays stopped", NULL, NO_OPTIONS, false,
     false, run_instance_power},
    {INSTANCE, "restart", "INSTANCE...", 1, -1, "stop it and start it again", NULL, NO_OPTIONS,
     false, false, run_instance_power},
    {INSTANCE, "kill", "INSTANCE...", 1, -1, "stop it without asking it", NULL, NO_OPTIONS, false,
     false, run_instance_power},
    {INSTANCE, "suspend", "INSTANCE...", 1, -1, "stop it; nobody can start it", NULL, NO_OPTIONS,
     false, false, run_instance_suspend},
    {INSTANCE, "unsuspend", "INSTANCE...", 1, -1, "end that; it starts", NULL, NO_OPTIONS, false,
     false, run_instance_suspend},
    {INSTANCE, "delete|rm", "INSTANCE...", 1, -1, "delete it with its volume", NULL, OPTIONS(sure),
     false, false, run_instance_delete},
    {INSTANCE, "retry", "INSTANCE", 1, 1, "install a failed one again", NULL, OPTIONS(waiting),
     false, false, run_instance_install},
    {INSTANCE, "redeploy", "INSTANCE", 1, 1, "pull its image again, make a new container", NULL,
     OPTIONS(waiting), false, false, run_instance_install},
    {INSTANCE, "reinstall", "INSTANCE", 1, 1, "do its template's installation again", NULL,
     OPTIONS(instance_reinstall), false, false, run_instance_install},
    {INSTANCE, "logs", "INSTANCE", 1, 1, "what it has printed", NULL, OPTIONS(instance_logs), false,
     false, run_instance_logs},
    {INSTANCE, "command", "INSTANCE LINE...", 2, -1, "write a line to its standard input",
     "The words are put together with blanks. If one begins with \"-\", put \"--\" before them.\n",
     NO_OPTIONS, false, false, run_instance_command},
    {INSTANCE, "console|attach", "INSTANCE", 1, 1, "see what it prints, and write to it",
     "On a terminal with line editing and history (arrows, Ctrl-R); Ctrl-D or Ctrl-C leaves, and "
     "the\n"
     "instance runs on. Otherwise each line of stdin is sent, and it ends with them.\n",
     OPTIONS(instance_console), false, false, run_instance_console},
    {INSTANCE, "stats", "[INSTANCE]", 0, 1, "what it uses of its node, or all do", NULL,
     OPTIONS(instance_stats), false, false, run_instance_stats},
    {INSTANCE, "users", "INSTANCE", 1, 1, "who may use it beside its owner", NULL,
     OPTIONS(watching), false, false, run_instance_users},
    {INSTANCE, "share", "INSTANCE USER", 2, 2, "let a user use it", NULL, NO_OPTIONS, false, false,
     run_instance_share},
    {INSTANCE, "unshare", "INSTANCE USER", 2, 2, "end that", NULL, NO_OPTIONS, false, false,
     run_instance_share},

    {USER, "list|ls", "", 0, 0, "all users", NULL, OPTIONS(watching), false, false, run_user_list},
    {USER, "get|show", "USER", 1, 1, "one user, by id, name or e-mail address", NULL,
     OPTIONS(watching), false, false, run_user_get},
    {USER, "create", "USERNAME --email ADDRESS", 1, 1, "a new user",
     "The password is asked for; without a terminal it is the first line of stdin.\n",
     OPTIONS(user_create), false, false, run_user_create},
    {USER, "update", "USER", 1, 1, "change name, address, rights or password",
     "With a key that is bound to the user himself --current-password is needed.\n",
     OPTIONS(user_update), false, false, run_user_update},
    {USER, "delete|rm", "USER", 1, 1, "delete a user", NULL, OPTIONS(user_delete), false, false,
     run_user_delete},
    {USER, "login", "USERNAME", 1, 1, "a session of the user, which is used as a key",
     "By name or e-mail address; no key is needed. The password is asked for; without a terminal "
     "it "
     "is\n"
     "the first line of stdin. The session's token is alone on stdout, or with --out FILE there:\n"
     "  panelctl user login alex --out alex.session\n"
     "  panelctl instances --key-file alex.session\n"
     "  panelctl user logout --key-file alex.session\n",
     OPTIONS(user_login), false, false, run_user_login},
    {USER, "logout", "", 0, 0, "end the session that is used as the key", NULL, NO_OPTIONS, false,
     false, run_user_logout},

    {IMAGE, "list|ls", "", 0, 0, "all templates", NULL, OPTIONS(watching), false, false,
     run_image_list},
    {IMAGE, "get|show", "IMAGE", 1, 1, "one template, and what of it isn't done", NULL,
     OPTIONS(watching), false, false, run_image_get},
    {IMAGE, "import|create", "FILE", 1, 1, "a template from a JSON file; - is stdin", NULL,
     OPTIONS(image_import), false, false, run_image_import},
    {IMAGE, "update", "IMAGE", 1, 1, "change a template", NULL, OPTIONS(image_update), false, false,
     run_image_update},
    {IMAGE, "delete|rm", "IMAGE", 1, 1, "delete a template", NULL, OPTIONS(image_delete), false,
     false, run_image_delete},

    {KEY, "list|ls", "", 0, 0, "all API keys that ever were; never their secrets", NULL,
     OPTIONS(watching), false, false, run_key_list},
    {KEY, "get|show", "KEY", 1, 1, "one key: what it may, until when, its last use", NULL,
     OPTIONS(watching), false, false, run_key_get},
    {KEY, "create", "NAME", 1, 1, "a new key, shown once, alone on stdout",
     "With --out FILE it goes there, and --key-file FILE takes it from there.\n"
     "Without --scope it is an admin's. The scopes: users, nodes, images, instances and keys, "
     "each\n"
     "with :read or :write, events:read, audit:read, metrics:read; read is all that reads, admin\n"
     "everything.\n",
     OPTIONS(key_create), false, false, run_key_create},
    {KEY, "update", "KEY", 1, 1, "change its name, scopes, end or rate, at once",
     "What isn't named stays as it is; --scope takes the place of all that it had.\n",
     OPTIONS(key_update), false, false, run_key_update},
    {KEY, "revoke|delete|rm", "KEY", 1, 1, "end a key, at once", NULL, OPTIONS(sure), false, false,
     run_key_revoke},
    {KEY, "rotate", "KEY", 1, 1, "another secret, shown as that; the old one ends", NULL,
     OPTIONS(key_rotate), false, false, run_key_rotate},
    {KEY, "whoami", "", 0, 0, "the key that panelctl uses: what it is, and may", NULL, NO_OPTIONS,
     false, false, run_key_whoami},

    {"event|events", "list|ls", "", 0, 0, "what happened, or happens",
     "-o json prints one object a line. Without --follow: what the panel keeps, up to now, the\n"
     "newest last. With --follow what comes, behind what --since, --limit or --after name.\n",
     OPTIONS(event_list), false, false, run_event_list},
    {"audit", "list|ls", "", 0, 0, "which key did what to what, the newest first", NULL,
     OPTIONS(audit_list), false, false, run_audit_list},
    {"backup|backups", "", "", 0, -1, "how a backup is made (on the panel's host)", NULL,
     NO_OPTIONS, false, true, run_backup},
    {"top", "", "", 0, 0, "what all instances use, every second; q ends",
     "Into a file or a pipe, or with --once or -o json: once.\n", OPTIONS(top), false, false,
     run_top},
    {"doctor", "", "", 0, 0, "what is wrong, and what to do about it",
     "Looks at the settings, the way to the panel, its certificate and clock, the key, versions, "
     "and\n"
     "every node and instance. Changes nothing. Exits with 1 if anything has FAILed.\n",
     NO_OPTIONS, false, false, run_doctor},
    {"help", "", "[NOUN [VERB]]", 0, 2, "what --help tells", NULL, NO_OPTIONS, true, true,
     run_help},
    {"version", "", "", 0, 0, "what --version tells", NULL, NO_OPTIONS, true, true, run_version},
    {"completion", "", "bash", 1, 1, "the script for bash: source <(panelctl completion bash)",
     NULL, NO_OPTIONS, true, true, run_completion},
    {"__names", "", "NOUN", 1, 1, "for completion", NULL, NO_OPTIONS, true, false, run_names},
};
const size_t commands_count = ARRAY_LEN(commands);

const struct noun_help nouns[] = {
    {"node", "the machines that instances run on",
     "A node is made here and joined there:\n"
     "  panelctl node create n1 --address n1.example.com   prints a command for the node, good "
     "once\n"
     "  panelctl node get n1 --watch                       shows it come Online\n"},
    {"instance", "the containers: deploy, start and stop, logs, console, stats",
     "Examples:\n"
     "  panelctl instance deploy web --image nginx:alpine --user alex --ports 80:auto\n"
     "  panelctl instance logs web -f --since 10m\n"
     "  panelctl instances --node n1 --state crashed -o name | xargs -n1 panelctl instance "
     "restart\n"},
    {"user", "whose instances are; passwords are asked for, never arguments", NULL},
    {"image", "templates that instances are made from",
     "  panelctl image get Minecraft -o json > minecraft.json\n"
     "  panelctl image update Minecraft -f minecraft.json\n"},
    {"key", "API keys: what they may do, until when",
     "  panelctl key create shop --scope users:write,instances:read --expires 365d --out shop.key\n"
     "  panelctl key rotate shop --grace 24h --out shop.key --replace\n"},
    {"event", "what happens to nodes, instances, users and images", NULL},
    {"audit", "who did what", NULL},
    {"backup", "how a backup is made", NULL},
    {"top", "a live table of what instances use", NULL},
    {"doctor", "find what is wrong, and what to do about it", NULL},
};
const size_t nouns_count = ARRAY_LEN(nouns);
