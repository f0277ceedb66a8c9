/* panelctl instance console: what the instance prints, and lines for its standard input.
 *
 * One thread: the line editor waits for the keyboard in wait_for_key(), and there the stream of
 * lines is moved on. A line is sent by POST and answered before the next one is read. Without a
 * terminal the lines of stdin are sent one by one, and the console ends with them. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/clock.h"
#include "panel/ctl/api.h"
#include "panel/ctl/common_steps.h"
#include "panel/ctl/handlers.h"
#include "panel/ctl/line_editor.h"
#include "panel/ctl/logs.h"
#include "panel/ctl/stream.h"
#include "panel/ctl/text.h"

#define TURN_MS 1000
#define LAST_MS 500

struct console {
    struct ctl *ctl;
    struct stream *stream;
    struct line_editor *editor; /* NULL: no terminal */
    char *path;                 /* where lines go */
    struct strbuf out;          /* shown at the end of a turn */
    bool over;                  /* the stream has ended, err says how */
    int rc;
    struct err err;
};

static volatile sig_atomic_t interrupted;
static volatile sig_atomic_t disturbed; /* another size, or back from a stop */

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static void on_disturbance(int number)
{
    (void)number;
    disturbed = 1;
}

/* --- what comes ------------------------------------------------------------------------------ */

static void take_event(void *arg, const struct sse_event *event)
{
    struct console *console = arg;
    logs_add_event(console->ctl, event, false, &console->out);
}

static void tell_gap(void *arg, const char *why)
{
    struct console *console = arg;
    strbuf_char(&console->out, '[');
    text_add_safe(&console->out, why, strlen(why));
    strbuf_str(&console->out, "; going on when it is back]\n");
}

static void show(struct console *console)
{
    if (!console->out.len)
        return;
    if (console->editor) {
        if (console->out.data[console->out.len - 1] != '\n')
            strbuf_char(&console->out, '\n'); /* the rest of a long line comes below it */
        line_editor_print(console->editor, console->out.data, console->out.len);
    } else if (view_put(&console->out, &console->err) < 0) {
        console->over = true;
        console->rc = -1;
    }
    strbuf_reset(&console->out);
}

/* One turn: the stream, and a look at stdin, or at nothing else (-1). */
static bool turn(struct console *console, int fd, int ms)
{
    bool readable = false;
    int rc = stream_poll(console->stream, fd, ms, &readable, &console->err);
    show(console);
    if (rc <= 0 && !console->over) {
        console->over = true;
        console->rc = rc;
    }
    return readable;
}

static bool wait_for_key(void *arg)
{
    struct console *console = arg;
    while (!console->over && !interrupted) {
        if (disturbed) {
            disturbed = 0;
            line_editor_redraw(console->editor);
        }
        if (turn(console, STDIN_FILENO, TURN_MS))
            return !interrupted;
    }
    return false;
}

/* --- what goes ------------------------------------------------------------------------------- */

/* Refusals that another line, or a later one, may not meet are told and not the end. */
static void send_line(struct console *console, const char *line)
{
    struct err err = {0};
    auto_json json_t *body = json_pack("{ss}", "line", line);
    if (!body)
        err_set(&err, ERR_INVALID, "not_utf8", "the line is not UTF-8, and was not sent");
    else
        api_change(console->ctl, "POST", console->path, body, NULL, &err);
    if (err.code == ERR_NONE)
        return;
    strbuf_str(&console->out, "[not sent: ");
    text_add_safe(&console->out, err.msg, strlen(err.msg));
    strbuf_str(&console->out, "]\n");
    show(console);
    console->rc = err.code == ERR_UNAUTHORIZED ? EXIT_DENIED : EXIT_FAILED;
}

/* --- with and without a terminal ------------------------------------------------------------- */

static int edit(struct console *console, struct err *err)
{
    const char *line;
    struct sigaction action = {.sa_handler = on_interrupt}; /* without SA_RESTART: it ends a wait */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    action.sa_handler = on_disturbance;
    sigaction(SIGWINCH, &action, NULL);
    sigaction(SIGCONT, &action, NULL);
    console->editor = line_editor_create("> ", wait_for_key, console, err);
    if (!console->editor)
        return -1;
    while ((line = line_editor_read(console->editor))) {
        if (*line)
            send_line(console, line);
    }
    line_editor_destroy(console->editor);
    console->editor = NULL;
    fputc('\n', stdout);
    return 0;
}

static void send_piece(struct console *console, const char *line, size_t len)
{
    auto_free char *text = strndup(line, len);
    if (!text)
        return;
    text[strcspn(text, "\r")] = '\0';
    send_line(console, text);
}

/* What stdin has at once, whole lines of it sent. False at its end. */
static bool take_input(struct console *console, struct strbuf *held)
{
    char piece[4096];
    ssize_t n = read(STDIN_FILENO, piece, sizeof(piece));
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    if (n > 0)
        strbuf_add(held, piece, (size_t)n);
    size_t used = 0;
    while (used < held->len) {
        const char *line = held->data + used;
        const char *newline = memchr(line, '\n', held->len - used);
        size_t len = newline ? (size_t)(newline - line) : held->len - used;
        if (!newline && n > 0)
            break; /* the rest of it is to come */
        send_piece(console, line, len);
        used += len + (newline ? 1 : 0);
    }
    if (used)
        memmove(held->data, held->data + used, held->len - used);
    held->len -= used;
    return n > 0 && !held->failed;
}

static void read_lines(struct console *console)
{
    auto_strbuf struct strbuf held = {0};
    bool more = true;
    /* The stream is open before the first line goes, so that nobody misses its answer. */
    while (!console->over && !stream_is_open(console->stream))
        turn(console, -1, TURN_MS);
    while (!console->over && more) {
        if (turn(console, STDIN_FILENO, TURN_MS))
            more = take_input(console, &held);
    }
    int64_t end = clock_mono_ms() + LAST_MS; /* what the last line brings */
    while (!console->over && clock_mono_ms() < end)
        turn(console, -1, LAST_MS);
}

static int talk(struct console *console, const char *path, struct err *err)
{
    struct stream_events events = {.take = take_event, .gap = tell_gap, .arg = console};
    console->stream = stream_open(console->ctl, path, &events, err);
    if (!console->stream)
        return -1;
    if (console->ctl->term.in && console->ctl->term.out) {
        if (edit(console, err) < 0)
            return -1;
        console->rc = console->over ? console->rc : EXIT_DONE;
    } else {
        read_lines(console);
    }
    if (console->over && console->rc == 0)
        step_note("[the instance is deleted]");
    if (console->rc < 0)
        *err = console->err;
    return console->rc;
}

int run_instance_console(struct ctl *ctl, struct err *err)
{
    auto_json json_t *instance = NULL;
    auto_strbuf struct strbuf path = {0};
    const char *tail = args_value(&ctl->args, "tail");
    if (!args_has(&ctl->args, "output") || ctl->format == FORMAT_YAML)
        ctl->format = FORMAT_TABLE; /* what the config file wants of lists isn't for lines */
    if (resolve(ctl, THING_INSTANCE, ctl->args.words[0], &instance, err) < 0)
        return -1;
    const char *id = thing_id(THING_INSTANCE, instance);
    struct console console = {.ctl = ctl, .path = api_path("/api/instances/", id, "/command")};
    strbuf_str(&path, "/api/instances/");
    api_add_escaped(&path, id);
    strbuf_str(&path, "/console?tail=");
    api_add_escaped(&path, tail ? tail : "20");
    if (ctl->term.in && ctl->term.out)
        step_note("%s is %s. Ctrl-D or Ctrl-C leaves; it runs on.",
                  thing_name(THING_INSTANCE, instance), view_text(instance, "State"));
    int rc = path.failed || !console.path ? err_nomem(err) : talk(&console, path.data, err);
    stream_close(console.stream);
    strbuf_fini(&console.out);
    free(console.path);
    return rc;
}
