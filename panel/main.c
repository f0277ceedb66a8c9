/* paneld: its command line. What the daemon does is in serve.c, what each command does in its own
 * file. */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/arguments.h"
#include "common/auto.h"
#include "common/crypto.h"
#include "common/fs.h"
#include "common/json_writer.h"
#include "common/owner.h"
#include "panel/ca_command.h"
#include "panel/config.h"
#include "panel/control.h"
#include "panel/http/tls.h"
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
    "  --config FILE               read settings from FILE, one JSON object: {\"logLevel\": "
    "\"debug\"}\n"
    "  --check-config              say all that is wrong with the settings and the TLS files, and "
    "exit\n"
    "  -o, --output table|json     how \"config\" and \"ca status\" print (table)\n"
    "  --version                   print the version\n"
    "  --help, -h                  print this\n"
    "\n"
    "Settings, with their defaults and bounds. Each has one name in three forms, and the later "
    "wins:\n"
    "in FILE logLevel, in the environment PANELD_LOG_LEVEL, as a flag --log-level. PANELD_CONFIG "
    "may\n"
    "name FILE. Those with a * are taken at SIGHUP, the others at a restart.\n"
    "\n";

static const char examples_text[] =
    "\n"
    "Examples:\n"
    "  paneld --data ./panel                               # and in another shell:\n"
    "  KEY=$(paneld key create --data ./panel --name me)\n"
    "  curl -H \"x-api-key: $KEY\" http://127.0.0.1:3001/api/nodes\n"
    "\n"
    "  paneld --config /etc/panel.json --check-config && kill -HUP \"$(pidof paneld)\"\n";

static int fail_usage(const char *program, const struct err *err)
{
    fprintf(stderr, "paneld: %s\nTry '%s --help'.\n", err->msg, program);
    return 2;
}

static void print_help(void);

/* --- the command line ------------------------------------------------------------------------ */

struct arguments {
    struct settings_given given;
    struct arguments_words words;
    struct key_wish key;
    struct strbuf scopes; /* each --scope, a blank between them */
    bool scoped;
    const char *output;
    struct import_options import;
    bool check_only;
    bool replace;
    bool force;
    bool help;
    bool version;
};

static void arguments_fini(struct arguments *args)
{
    strbuf_fini(&args->scopes);
}

static int read_arguments(int argc, char **argv, struct arguments *args, struct err *err)
{
    const struct argument own[] = {
        {.name = "config", .value = &args->given.file},
        {.name = "check-config", .given = &args->check_only},
        {.name = "name", .value = &args->key.name},
        {.name = "scope", .values = &args->scopes, .given = &args->scoped},
        {.name = "user", .value = &args->key.user_id},
        {.name = "expires", .value = &args->key.expires},
        {.name = "replace", .given = &args->replace},
        {.name = "force", .given = &args->force},
        {.name = "dry-run", .given = &args->import.dry_run},
        {.name = "partial", .given = &args->import.partial},
        {.name = "json", .given = &args->import.json},
        {.name = "agent-port", .value = &args->import.agent_port},
        {.name = "output", .letter = 'o', .value = &args->output},
        {.name = "version", .given = &args->version},
        {.name = "help", .letter = 'h', .given = &args->help},
    };
    const char *file = getenv("PANELD_CONFIG");
    args->given.file = file && *file ? file : NULL;
    if (arguments_read(own, ARRAY_LEN(own), &config_table, argc, argv, &args->given, &args->words,
                       err) < 0)
        return -1;
    if (args->scoped)
        args->key.scopes = args->scopes.data ? args->scopes.data : "";
    return 0;
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
    if (key_command_create(config->data, &args->key, key, &err) < 0)
        return fail_command("create a key", &err);
    puts(key);
    crypto_wipe(key, sizeof(key));
    return fflush(stdout) == 0 ? 0 : 1;
}

/* Of what is done by now: that it lacks a row undoes nothing. */
static void note_done(const struct config *config, const char *command, const char *file)
{
    struct err err = {0};
    auto_free char *path = realpath(file, NULL);
    if (key_command_note(config->data, command, path ? path : file, &err) < 0)
        fprintf(stderr, "paneld: done, but not in the audit trail: %s\n", err.msg);
}

static int back_up(const struct config *config, const struct arguments *args, const char *file)
{
    struct err err = {0};
    if (backup_write(config->data, file, args->replace, &err) < 0)
        return fail_command("back up", &err);
    note_done(config, "backup", file);
    if (owner_give_back(config->data, &err) < 0)
        return fail_command("back up", &err);
    printf("backed up to %s; it holds keys, so keep it as you keep those\n", file);
    return 0;
}

static int restore(const struct config *config, const struct arguments *args, const char *file)
{
    struct err err = {0};
    auto_fd int lock = -1;
    if (fs_make_dir(config->data, 0700, &err) < 0)
        return fail_command("restore", &err);
    if (fs_lock(config->data, "panel.lock", &lock, &err) < 0) {
        if (err.code == ERR_CONFLICT)
            err_set(&err, ERR_CONFLICT, "running", "stop the paneld that runs on %s first",
                    config->data);
        return fail_command("restore", &err);
    }
    if (backup_restore(config->data, file, args->replace, &err) < 0)
        return fail_command("restore", &err);
    close(lock);
    lock = -1;
    note_done(config, "restore", file);
    if (owner_give_back(config->data, &err) < 0)
        return fail_command("restore", &err);
    printf(
        "restored to %s%s\n"
        "Instances made after the backup show as orphans on their nodes; those deleted after it\n"
        "are wanted again, and come back with empty volumes.\n",
        config->data,
        args->replace ? "; what was there before is in the newest folder replaced-… of it" : "");
    return 0;
}

static int import_skyport(const struct config *config, const struct arguments *args,
                          const char *file)
{
    struct err err = {0};
    enum import_result result;
    if (import_command(config, file, &args->import, stdout, &result, &err) < 0)
        return fail_command("import", &err);
    if (!args->import.dry_run && result != IMPORT_REFUSED)
        note_done(config, "import-skyport", file);
    return fflush(stdout) == 0 ? (int)result : 1;
}

static int list_keys(const struct config *config, const struct arguments *args, const char *unused)
{
    (void)args;
    (void)unused;
    struct err err = {0};
    if (key_command_list(config->data, stdout, &err) < 0)
        return fail_command("list the keys", &err);
    return fflush(stdout) == 0 ? 0 : 1;
}

static int revoke_key(const struct config *config, const struct arguments *args, const char *key)
{
    (void)args;
    struct err err = {0};
    if (key_command_revoke(config->data, key, &err) < 0)
        return fail_command("revoke the key", &err);
    printf("revoked; it opens nothing any more\n");
    return 0;
}

/* What a paneld has in force that would be started like this. */
static char *describe(const struct config *config, const struct arguments *args)
{
    struct strbuf out = {0};
    jw_object_begin(&out, NULL);
    jw_bool(&out, "running", false);
    jw_string(&out, "file", args->given.file);
    settings_put_json(&config_table, config, NULL, 0, &out);
    jw_object_end(&out);
    return strbuf_steal(&out);
}

static int print_settings(const char *json, const struct config *config, bool running,
                          struct err *err)
{
    printf(running ? "In force in the paneld that runs on %s:\n"
                   : "No paneld runs on %s. One that is started like this has:\n",
           config->data);
    return settings_print_table(json, stdout, err);
}

static int show_config(const struct config *config, const struct arguments *args,
                       const char *unused)
{
    (void)unused;
    struct err err = {0};
    auto_free char *json = NULL;
    bool running = control_request(config->data, "{\"command\":\"config\"}", &json, &err) == 0;
    if (!running && err.code != ERR_NOT_FOUND)
        return fail_command("ask the running paneld", &err);
    if (!running && !(json = describe(config, args)))
        return fail_command("show the settings", (err_nomem(&err), &err));
    if (args->output && strcmp(args->output, "json") == 0)
        puts(json);
    else if (print_settings(json, config, running, &err) < 0)
        return fail_command("show the settings", &err);
    return fflush(stdout) == 0 ? 0 : 1;
}

static int run_ca(const struct config *config, const struct arguments *args, const char *command,
                  const char *what)
{
    struct err err = {0};
    bool as_json = args->output && strcmp(args->output, "json") == 0;
    if (ca_command_run(config->data, command, args->force, as_json, stdout, &err) < 0)
        return fail_command(what, &err);
    return fflush(stdout) == 0 ? 0 : 1;
}

static int show_ca(const struct config *config, const struct arguments *args, const char *unused)
{
    (void)unused;
    return run_ca(config, args, "ca.status", "look at the CA");
}

static int rotate_ca(const struct config *config, const struct arguments *args, const char *unused)
{
    (void)unused;
    return run_ca(config, args, "ca.rotate", "make another CA");
}

static int retire_ca(const struct config *config, const struct arguments *args, const char *unused)
{
    (void)unused;
    return run_ca(config, args, "ca.retire", "end the old CA");
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
     "admin),\n"
     "                                                --user ID (bound to that user),\n"
     "                                                --expires 30d|TIME"},
    {{"key", "list"}, 0, list_keys, "key list [--data DIR]", "names, ids and states; never a key"},
    {{"key", "revoke"}, 1, revoke_key, "key revoke [--data DIR] ID|NAME", "end a key, at once"},
    {{"config", NULL},
     0,
     show_config,
     "config [--data DIR] [-o json]",
     "the settings in force, and from where"},
    {{"ca", "status"},
     0,
     show_ca,
     "ca status [--data DIR] [-o json]",
     "whose certificates nodes have"},
    {{"ca", "rotate"},
     0,
     rotate_ca,
     "ca rotate [--data DIR]",
     "another CA beside the old; nodes move to it"},
    {{"ca", "retire"},
     0,
     retire_ca,
     "ca retire [--data DIR] [--force]",
     "end the old one, once all have moved;\n"
     "                                                --force: those that have not must join "
     "again"},
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
    fputs("The daemon may run meanwhile, or not, but for ca, which needs it, and restore and\n"
          "import-skyport, which must not have it.\n",
          stdout);
    fputs(options_text, stdout);
    settings_print_help(&config_table, stdout);
    fputs(examples_text, stdout);
}

/* Root's file of a backup, or of another panel, may lie where the panel's user can't go; the rest
 * is done as that user. */
static int take_user(const struct config *config, const struct command *command, struct err *err)
{
    bool is_file = command && (command->run == back_up || command->run == restore ||
                               command->run == import_skyport);
    return is_file ? 0 : owner_become(config->data, err);
}

/* The command that the operands name; NULL with err set when they name none. */
static const struct command *find_command(int count, const char *const *words, struct err *err)
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

/* What belongs to some commands is refused elsewhere. */
static int check_belonging(const struct arguments *args, const struct command *command,
                           struct err *err)
{
    int (*run)(const struct config *, const struct arguments *, const char *) =
        command ? command->run : NULL;
    bool for_key = args->key.name || args->key.scopes || args->key.user_id || args->key.expires;
    if (for_key && run != create_key)
        return err_set(err, ERR_INVALID, "bad_option",
                       "--name, --scope, --user and --expires belong to \"key create\"");
    if (args->replace && run != restore && run != back_up)
        return err_set(err, ERR_INVALID, "bad_option",
                       "--replace belongs to \"backup\" and \"restore\"");
    if (args->force && run != retire_ca)
        return err_set(err, ERR_INVALID, "bad_option", "--force belongs to \"ca retire\"");
    if (run != import_skyport && (args->import.dry_run || args->import.partial ||
                                  args->import.json || args->import.agent_port))
        return err_set(err, ERR_INVALID, "bad_option",
                       "--dry-run, --partial, --json and --agent-port belong to "
                       "\"import-skyport\"");
    if (args->output && run != show_config && run != show_ca)
        return err_set(err, ERR_INVALID, "bad_option",
                       "--output belongs to \"config\" and \"ca status\"");
    if (args->output && strcmp(args->output, "json") != 0 && strcmp(args->output, "table") != 0)
        return err_set(err, ERR_INVALID, "bad_option",
                       "--output must be table or json, not \"%.32s\"", args->output);
    return 0;
}

/* What root can read the daemon's user may not be able to, so it is looked at as that user. */
static int check_settings(const struct config *config, const struct settings_given *given,
                          struct strbuf *faults)
{
    struct tls_pair *pair;
    struct err err = {0};
    char user[64];
    bool other = owner_is_other(config->data);
    if (other)
        owner_name(config->data, user, sizeof(user));
    if (owner_become(config->data, &err) < 0)
        return fail_command("look at the files as the daemon does", &err);
    if (given->file && access(given->file, R_OK) < 0)
        strbuf_fmt(faults, "%s can't be read: %s\n", given->file, strerror(errno));
    if (config_load_tls(config, &pair, faults) == 0 && pair)
        config_judge_tls(config, pair, faults);
    tls_pair_destroy(pair);
    settings_print_faults(faults, "paneld");
    if (!faults->len && !faults->failed) {
        puts("the settings are right");
        return 0;
    }
    if (other)
        fprintf(stderr, "paneld: looked at as the user %s, to whom %s belongs\n", user,
                config->data);
    return 1;
}

static int run_command(struct arguments *args, const struct command *command, struct config *config)
{
    struct err err = {0};
    auto_strbuf struct strbuf faults = {0};
    int loaded = config_load(config, &args->given, &faults);
    if (args->check_only) {
        settings_warn_of_strangers(&config_table);
        return check_settings(config, &args->given, &faults);
    }
    if (loaded < 0) {
        settings_print_faults(&faults, "paneld");
        return args->given.file ? 1 : 2;
    }
    log_level_set(config->log_level);
    log_format_set(config->log_format);
    settings_warn_of_strangers(&config_table);
    if (take_user(config, command, &err) < 0)
        return fail_command("begin", &err);
    if (command)
        return command->run(config, args, args->words.at[args->words.count - 1]);
    return serve(config, &args->given);
}

static int run(int argc, char **argv)
{
    struct err err = {0};
    struct arguments args __attribute__((cleanup(arguments_fini))) = {0};
    struct config config = {0};
    const struct command *command = NULL;
    if (read_arguments(argc, argv, &args, &err) < 0)
        return fail_usage(argv[0], &err);
    if (args.help || args.version) {
        if (args.help)
            print_help();
        else
            puts("paneld " PANEL_VERSION);
        return fflush(stdout) == 0 ? 0 : 1;
    }
    if (args.words.count && !(command = find_command((int)args.words.count, args.words.at, &err)))
        return fail_usage(argv[0], &err);
    if (check_belonging(&args, command, &err) < 0)
        return fail_usage(argv[0], &err);
    int status = run_command(&args, command, &config);
    config_fini(&config);
    return status;
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
    struct err err = {0};
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    tame_malloc();
    if (crypto_init(&err) < 0) {
        fprintf(stderr, "paneld: %s\n", err.msg);
        return 1;
    }
    return run(argc, argv);
}
