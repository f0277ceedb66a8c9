/* The terminal. See term.h.
 *
 * A terminal whose modes were changed gets them back whatever ends or stops the program: a signal
 * does that in its handler, and then kills or stops as if nothing had been. */
#include "panel/ctl/term.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "common/auto.h"
#include "common/crypto.h"

#define SECRET_MAX 1025 /* one more than a password may have */

static struct termios saved;
static struct termios used; /* in their place */
static volatile sig_atomic_t changed;

void term_init(struct term *term, bool no_colour)
{
    const char *forbidden = getenv("NO_COLOR");
    const char *kind = getenv("TERM");
    bool colours = !no_colour && !(forbidden && *forbidden) && !(kind && strcmp(kind, "dumb") == 0);
    *term = (struct term){
        .in = isatty(STDIN_FILENO), .out = isatty(STDOUT_FILENO), .err = isatty(STDERR_FILENO)};
    term->colour = term->out && colours;
    term->err_colour = term->err && colours;
}

static size_t number_of(const char *text)
{
    size_t n = 0;
    for (; text && *text >= '0' && *text <= '9' && n < 10000; text++)
        n = n * 10 + (size_t)(*text - '0');
    return text && !*text ? n : 0;
}

size_t term_width(const struct term *term)
{
    struct winsize size;
    if (!term->out)
        return 0;
    size_t columns = number_of(getenv("COLUMNS"));
    if (!columns && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        columns = size.ws_col;
    return columns ? columns : 80;
}

size_t term_height(void)
{
    struct winsize size;
    size_t rows = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
    return rows ? rows : 24;
}

/* --- modes ----------------------------------------------------------------------------------- */

static void restore(void)
{
    if (changed)
        tcsetattr(STDIN_FILENO, TCSANOW, &saved);
    changed = 0;
}

static void restore_and_die(int number)
{
    restore();
    signal(number, SIG_DFL);
    raise(number);
}

/* Ctrl-Z: whoever has the terminal meanwhile finds it as it was. */
static void restore_and_stop(int number)
{
    bool again = changed;
    (void)number;
    if (again)
        tcsetattr(STDIN_FILENO, TCSANOW, &saved);
    raise(SIGSTOP);
    if (again)
        tcsetattr(STDIN_FILENO, TCSANOW, &used);
}

static void change(tcflag_t without)
{
    static const int deadly[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    static bool registered;
    if (changed || tcgetattr(STDIN_FILENO, &saved) < 0)
        return;
    if (!registered)
        registered = atexit(restore) == 0;
    used = saved;
    used.c_lflag &= ~without;
    changed = 1;
    for (size_t i = 0; i < ARRAY_LEN(deadly); i++)
        signal(deadly[i], restore_and_die);
    signal(SIGTSTP, restore_and_stop);
    tcsetattr(STDIN_FILENO, TCSANOW, &used);
}

void term_keys(const struct term *term, bool on)
{
    if (!term->in)
        return;
    if (on)
        change(ICANON | ECHO);
    else
        restore();
}

/* --- questions ------------------------------------------------------------------------------- */

/* A line of stdin, byte by byte, so that no more than it is taken. Its length, or -1 at the end. */
static int read_line(char *out, size_t size)
{
    size_t len = 0;
    bool any = false;
    for (;;) {
        char c;
        ssize_t n = read(STDIN_FILENO, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        any = true;
        if (c == '\n')
            break;
        if (len + 1 < size)
            out[len++] = c;
    }
    out[len] = '\0';
    return any ? (int)len : -1;
}

int term_confirm(const struct term *term, const char *question, struct err *err)
{
    char answer[16];
    if (!term->in || !term->err)
        return err_set(err, ERR_INVALID, "usage",
                       "there is no terminal to ask at: \"%.200s\" Say --yes if it is meant",
                       question);
    fprintf(stderr, "%s [y/N] ", question);
    if (read_line(answer, sizeof(answer)) < 0)
        fputc('\n', stderr);
    return strcmp(answer, "y") == 0 || strcmp(answer, "Y") == 0 || strcmp(answer, "yes") == 0;
}

static int ask_secret(const char *prompt, char *out)
{
    fputs(prompt, stderr);
    int len = read_line(out, SECRET_MAX + 1);
    fputc('\n', stderr);
    return len;
}

/* Nothing of it is shown, however early it is typed. */
static int type_secret(const char *what, bool twice, char *out, struct err *err)
{
    char prompt[64];
    char again[SECRET_MAX + 1];
    bool same = true;
    change(ECHO);
    snprintf(prompt, sizeof(prompt), "%s: ", what);
    int len = ask_secret(prompt, out);
    if (len > 0 && twice) {
        snprintf(prompt, sizeof(prompt), "%s again: ", what);
        ask_secret(prompt, again);
        same = strcmp(again, out) == 0;
        crypto_wipe(again, sizeof(again));
    }
    restore();
    if (len <= 0)
        return err_set(err, ERR_INVALID, "usage", "no %s was typed", what);
    return same ? 0 : err_set(err, ERR_INVALID, "usage", "they are not the same");
}

static int read_secret(const struct term *term, const char *what, bool twice, char *out,
                       struct err *err)
{
    if (term->in)
        return type_secret(what, twice, out, err);
    if (read_line(out, SECRET_MAX + 1) <= 0)
        return err_set(err, ERR_INVALID, "usage", "stdin holds no %s; it is a line of it", what);
    return 0;
}

int term_read_secret(const struct term *term, const char *what, bool twice, char **ret,
                     struct err *err)
{
    auto_free char *out = calloc(1, SECRET_MAX + 1);
    if (!out)
        return err_nomem(err);
    if (read_secret(term, what, twice, out, err) < 0) {
        crypto_wipe(out, SECRET_MAX + 1);
        return -1;
    }
    *ret = steal_ptr(out);
    return 0;
}
