/* paneld: its command line. What the daemon does is in serve.c, what each command does in its own
 * file. */
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/auto.h"
#include "common/crypto.h"
#include "common/fs.h"
#include "common/owner.h"
#include "panel/import_command.h"
#include "panel/key_command.h"
#include "panel/serve.h"
#include "panel/store/backup.h"

static const char intro_text[] =
    "paneld - the panel daemon: a REST API that places containers on nodes\n"
    "\n"
    "Usage:\n"
    "  paneld [options]                              serve until SIGTERM or Ctrl-C; the first "
    "start\n"
    "                                                makes the panel in its data folder\n";

static const char options_text[] =
    "\n"
    "Options:\n"
    "  --data DIR          where everything is kept (default /var/lib/panel)\n"
    "  --listen ADDR:PORT  IP address and port of the API (default 127.0.0.1:3001; port 0 picks a\n"
    "                      free one); use TLS, or a TLS proxy, on any other than loopback\n"
    "  --tls-cert FILE     serve HTTPS with this certificate chain (PEM) ...\n"
    "  --tls-key FILE      ... and its key\n"
    "  --config FILE       settings as a JSON object; options given here win over it\n"
    "  --check-config      say whether the settings are right, and exit\n"
    "  --log-level LEVEL   debug, info, warn or error (default info), to stderr\n"
    "  --log-format FORM   logfmt or json (default logfmt)\n"
    "  --version           print the version\n"
    "  --help, -h          print this\n"
    "\n"
    "Settings in FILE, with their defaults:\n"
    "  listen (127.0.0.1:3001), tlsCert and tlsKey (none), logLevel (info), logFormat\n"
    "  (logfmt), metricsAccess (key: /metrics wants an API key; loopback, open), publicUrl (the "
    "address\n"
    "  that a request came to), heartbeatMs (5000), installTimeoutMs (1800000), stopTimeoutMs "
    "(60000),\n"
    "  autoPortFirst (20000), autoPortLast (29999), memoryOvercommit (1.0), auditDays (90),\n"
    "  rateLimit (60000 requests a minute of each key; 0: any), sessionHours (12)\n"
    "\n"
    "Examples:\n"
    "  paneld --data ./panel                               # and in another shell:\n"
    "  KEY=$(paneld key create --data ./panel --name me)\n"
    "  curl -H \"x-api-key: $KEY\" http://127.0.0.1:3001/api/nodes\n";

static int fail_usage(const char *program, const struct err *err)
{
    fprintf(stderr, "paneld: %s\nTry '%s --help'.\n", err->msg, program);
    return 2;
}

static void print_help(void);

/* --- the command line ------------------------------------------------------------------------ */

enum {
    OPT_DATA = 256,
    OPT_LISTEN,
    OPT_CERT,
    OPT_KEY,
    OPT_CONFIG,
    OPT_CHECK,
    OPT_LEVEL,
    OPT_FORMAT,
    OPT_NAME,
    OPT_SCOPE,
    OPT_USER,
    OPT_EXPIRES,
    OPT_REPLACE,
    OPT_DRY_RUN,
    OPT_PARTIAL,
    OPT_JSON,
    OPT_AGENT_PORT,
    OPT_VERSION,
    OPT_HELP
};

static const struct option options[] = {
    {"data", required_argument, NULL, OPT_DATA},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"tls-cert", required_argument, NULL, OPT_CERT},
    {"tls-key", required_argument, NULL, OPT_KEY},
    {"config", required_argument, NULL, OPT_CONFIG},
    {"check-config", no_argument, NULL, OPT_CHECK},
    {"log-level", required_argument, NULL, OPT_LEVEL},
    {"log-format", required_argument, NULL, OPT_FORMAT},
    {"name", required_argument, NULL, OPT_NAME},
    {"scope", required_argument, NULL, OPT_SCOPE},
    {"user", required_argument, NULL, OPT_USER},
    {"expires", required_argument, NULL, OPT_EXPIRES},
    {"replace", no_argument, NULL, OPT_REPLACE},
    {"dry-run", no_argument, NULL, OPT_DRY_RUN},
    {"partial", no_argument, NULL, OPT_PARTIAL},
    {"json", no_argument, NULL, OPT_JSON},
    {"agent-port", required_argument, NULL, OPT_AGENT_PORT},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {0},
};

struct arguments {
    const char *config_file;
    struct key_wish key;
    struct strbuf scopes; /* each --scope, a blank between them */
    struct import_options import;
    bool check_only;
    bool replace;
    bool imports; /* one of import's options was given */
    bool done;    /* --help or --version was answered */
};

static void arguments_fini(struct arguments *args)
{
    strbuf_fini(&args->scopes);
}

/* The config file first, wherever it stands, so that the other options win over it. */
static int read_config_option(int argc, char **argv, struct config *config, struct err *err)
{
    int c;
    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == OPT_CONFIG && config_read_file(config, optarg, err) < 0)
            return -1;
    }
    opterr = 1;
    optind = 1;
    return 0;
}

static int read_option(int c, struct config *config, struct arguments *args, struct err *err)
{
    switch (c) {
    case OPT_DATA:
        return config_set_text(&config->data_dir, optarg, err);
    case OPT_LISTEN:
        return config_set_text(&config->listen, optarg, err);
    case OPT_CERT:
        return config_set_text(&config->tls_cert, optarg, err);
    case OPT_KEY:
        return config_set_text(&config->tls_key, optarg, err);
    case OPT_LEVEL:
        return config_set_text(&config->log_level, optarg, err);
    case OPT_FORMAT:
        return config_set_text(&config->log_format, optarg, err);
    case OPT_CONFIG:
        args->config_file = optarg; /* read before */
        return 0;
    case OPT_NAME:
        args->key.name = optarg;
        return 0;
    case OPT_SCOPE:
        strbuf_fmt(&args->scopes, "%s%s", args->scopes.len ? " " : "", optarg);
        args->key.scopes = args->scopes.data ? args->scopes.data : "";
        return args->scopes.failed ? err_nomem(err) : 0;
    case OPT_USER:
        args->key.user_id = optarg;
        return 0;
    case OPT_EXPIRES:
        args->key.expires = optarg;
        return 0;
    case OPT_REPLACE:
        args->replace = true;
        return 0;
    case OPT_DRY_RUN:
        return args->import.dry_run = args->imports = true, 0;
    case OPT_PARTIAL:
        return args->import.partial = args->imports = true, 0;
    case OPT_JSON:
        return args->import.json = args->imports = true, 0;
    case OPT_AGENT_PORT:
        args->import.agent_port = optarg;
        args->imports = true;
        return 0;
    case OPT_CHECK:
        args->check_only = true;
        return 0;
    case OPT_VERSION:
        puts("paneld " PANEL_VERSION);
        args->done = true;
        return 0;
    case 'h':
    case OPT_HELP:
        print_help();
        args->done = true;
        return 0;
    default:
        return err_set(err, ERR_INVALID, "bad_option", "an option is unknown or lacks its value");
    }
}

/* --- commands -------------------------------------------------------------------------------- */

static int fail_command(const char *what, const struct err *err)
{
    fprintf(stderr, "paneld: can't %s: %s\n", what, err->msg);
    return 1;
}

static int create_key(const struct config *config, const struct arguments *args, const char *unused)
{
    (void)unused;
    struct err err = {0};
    char key[API_KEY_LEN + 1];
    if (!args->key.name) {
        err_set(&err, ERR_INVALID, "no_name",
                "key create needs --name NAME, by which you will know the key");
        return fail_usage("paneld", &err);
    }
    if (key_command_create(config->data_dir, &args->key, key, &err) < 0)
        return fail_command("create a key", &err);
    puts(key);
    crypto_wipe(key, sizeof(key));
    return fflush(stdout) == 0 ? 0 : 1;
}

static int back_up(const struct config *config, const struct arguments *args, const char *file)
{
    struct err err = {0};
    if (backup_write(config->data_dir, file, args->replace, &err) < 0 ||
        owner_give_back(config->data_dir, &err) < 0)
        return fail_command("back up", &err);
    printf("backed up to %s; it holds keys, so keep it as you keep those\n", file);
    return 0;
}

static int restore(const struct config *config, const struct arguments *args, const char *file)
{
    struct err err = {0};
    auto_fd int lock = -1;
    if (fs_make_dir(config->data_dir, 0700, &err) < 0)
        return fail_command("restore", &err);
    if (fs_lock(config->data_dir, "panel.lock", &lock, &err) < 0) {
        if (err.code == ERR_CONFLICT)
            err_set(&err, ERR_CONFLICT, "running", "stop the paneld that runs on %s first",
                    config->data_dir);
        return fail_command("restore", &err);
    }
    if (backup_restore(config->data_dir, file, args->replace, &err) < 0 ||
        owner_give_back(config->data_dir, &err) < 0)
        return fail_command("restore", &err);
    printf(
        "restored to %s%s\n"
        "Instances made after the backup show as orphans on their nodes; those deleted after it\n"
        "are wanted again, and come back with empty volumes.\n",
        config->data_dir, args->replace ? "; what was there is in its folder replaced-<time>" : "");
    return 0;
}

static int import_skyport(const struct config *config, const struct arguments *args,
                          const char *file)
{
    struct err err = {0};
    enum import_result result;
    if (import_command(config, file, &args->import, stdout, &result, &err) < 0)
        return fail_command("import", &err);
    return fflush(stdout) == 0 ? (int)result : 1;
}

static int list_keys(const struct config *config, const struct arguments *args, const char *unused)
{
    (void)args;
    (void)unused;
    struct err err = {0};
    if (key_command_list(config->data_dir, stdout, &err) < 0)
        return fail_command("list the keys", &err);
    return fflush(stdout) == 0 ? 0 : 1;
}

static int revoke_key(const struct config *config, const struct arguments *args, const char *key)
{
    (void)args;
    struct err err = {0};
    if (key_command_revoke(config->data_dir, key, &err) < 0)
        return fail_command("revoke the key", &err);
    printf("revoked; it opens nothing any more\n");
    return 0;
}

static const struct command {
    const char *words[2];
    int operands; /* after the words */
    int (*run)(const struct config *config, const struct arguments *args, const char *operand);
    const char *usage, *help;
} commands[] = {
    {{"key", "create"},
     0,
     create_key,
     "key create [--data DIR] --name NAME",
     "print a new API key; with --scope SCOPE ...\n"
     "                                                (read, instances:write, ...; default: "
     "admin), "
     "--user ID\n"
     "                                                (bound to that user), --expires 30d|TIME"},
    {{"key", "list"}, 0, list_keys, "key list [--data DIR]", "names, ids and states; never a key"},
    {{"key", "revoke"}, 1, revoke_key, "key revoke [--data DIR] ID|NAME", "end a key, at once"},
    {{"backup", NULL},
     1,
     back_up,
     "backup [--data DIR] [--replace] FILE",
     "all into one file;\n"
     "                                                --replace overwrites one that is there"},
    {{"restore", NULL},
     1,
     restore,
     "restore [--data DIR] [--replace] FILE",
     "and back, while no daemon runs;\n"
     "                                                --replace moves what is there aside"},
    {{"import-skyport", NULL},
     1,
     import_skyport,
     "import-skyport [--data DIR] FILE",
     "move in from a Skyport panel\n"
     "                                                by its database, while no daemon runs; "
     "--dry-run\n"
     "                                                changes nothing, --partial leaves out what "
     "can't\n"
     "                                                be taken, --json reports for a program,\n"
     "                                                --agent-port PORT (default 7400) is the "
     "agents'"},
};

static void print_help(void)
{
    fputs(intro_text, stdout);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        printf("  paneld %-37s  %s\n", commands[i].usage, commands[i].help);
    fputs("The daemon may run meanwhile, or not, but for restore and import-skyport.\n", stdout);
    fputs(options_text, stdout);
}

/* Root's file of a backup may lie where the panel's user can't go; the rest is done as that user.
 */
static int take_user(const struct config *config, const struct command *command, struct err *err)
{
    bool is_file = command && (command->run == back_up || command->run == restore);
    return is_file ? 0 : owner_become(config->data_dir, err);
}

/* The command that the operands name; NULL with err set when they name none. */
static const struct command *find_command(int count, char **words, struct err *err)
{
    auto_strbuf struct strbuf near = {0}; /* those that begin alike */
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        const struct command *command = &commands[i];
        int length = command->words[1] ? 2 : 1;
        if (strcmp(words[0], command->words[0]) != 0)
            continue;
        strbuf_fmt(&near, "\n  paneld %s", command->usage);
        if (length == 2 && (count < 2 || strcmp(words[1], command->words[1]) != 0))
            continue;
        if (count == length + command->operands)
            return command;
        err_set(err, ERR_INVALID, "bad_command", "the command is\n  paneld %s", command->usage);
        return NULL;
    }
    if (near.data)
        err_set(err, ERR_INVALID, "bad_command", "say which:%s", near.data);
    else
        err_set(err, ERR_INVALID, "bad_command", "there is no command \"%.64s\"", words[0]);
    return NULL;
}

static int run(int argc, char **argv, struct config *config)
{
    struct err err = {0};
    struct arguments args __attribute__((cleanup(arguments_fini))) = {0};
    const struct command *command = NULL;
    int c;
    if (read_config_option(argc, argv, config, &err) < 0) {
        fprintf(stderr, "paneld: %s\n", err.msg);
        return 1;
    }
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (read_option(c, config, &args, &err) < 0)
            return fail_usage(argv[0], &err);
    }
    if (args.done)
        return 0;
    if (optind < argc && !(command = find_command(argc - optind, argv + optind, &err)))
        return fail_usage(argv[0], &err);
    bool for_key = args.key.name || args.key.scopes || args.key.user_id || args.key.expires;
    if ((for_key && (!command || command->run != create_key)) ||
        (args.replace && (!command || (command->run != restore && command->run != back_up))) ||
        (args.imports && (!command || command->run != import_skyport))) {
        err_set(&err, ERR_INVALID, "bad_option",
                "--name, --scope, --user and --expires belong to \"key create\", --replace to "
                "\"backup\" and \"restore\", --dry-run, --partial, --json and --agent-port to "
                "\"import-skyport\"");
        return fail_usage(argv[0], &err);
    }
    if (config_check(config, &err) < 0) {
        fprintf(stderr, "paneld: %s\n", err.msg);
        return args.check_only || args.config_file ? 1 : 2;
    }
    log_level_set(config->level);
    log_format_set(config->format);
    if (!args.check_only && take_user(config, command, &err) < 0)
        return fail_command("begin", &err);
    if (command)
        return command->run(config, &args, argv[argc - 1]);
    if (args.check_only) {
        if (serve_check(config, &err) < 0) {
            fprintf(stderr, "paneld: %s\n", err.msg);
            return 1;
        }
        puts("the settings are right");
        return 0;
    }
    return serve(config);
}

/* Freed memory goes back to the system; and of the four buffers of 16 KiB that nng and mbedTLS keep
 * for every node, as mappings of their own, only the pages that are used take memory. */
static void tame_malloc(void)
{
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 16 * 1024);
    mallopt(M_TOP_PAD, 0); /* else they would be cut from the heap's end */
    mallopt(M_MMAP_MAX,
            48 * 1024); /* the kernel allows a process 65,530; past ours the heap serves */
}

int main(int argc, char **argv)
{
    struct config config;
    struct err err = {0};
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    tame_malloc();
    if (crypto_init(&err) < 0 || config_init(&config, &err) < 0) {
        fprintf(stderr, "paneld: %s\n", err.msg);
        return 1;
    }
    int status = run(argc, argv, &config);
    config_fini(&config);
    return status;
}
