/* Line editing. See line_editor.h.
 *
 * libedit draws the line; to print above it, the rows that it takes are cleared, the text is
 * written, and libedit is told to draw anew from where the cursor is then. It reads characters
 * through next_char(), which is where we wait. The history lives as long as the console: commands
 * may hold passwords, so they are not kept on a disk. */
#include "panel/ctl/line_editor.h"

#include <errno.h>
#include <histedit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "common/strbuf.h"
#include "panel/ctl/term.h"
#include "panel/ctl/text.h"

#define HISTORY_MAX 500

struct line_editor {
    EditLine *el;
    History *history;
    const char *prompt;
    bool (*wait)(void *arg);
    void *arg;
    char *line;
    bool reading; /* a line is on the screen */
    bool ended;
};

static struct line_editor *editor_of(EditLine *el)
{
    void *data = NULL;
    el_get(el, EL_CLIENTDATA, &data);
    return data;
}

static char *prompt_of(EditLine *el)
{
    return (char *)editor_of(el)->prompt;
}

/* One character of UTF-8 from the terminal. 1, 0 at the end, -1 for bytes that are none. */
static int next_char(EditLine *el, wchar_t *ret)
{
    struct line_editor *editor = editor_of(el);
    mbstate_t state = {0};
    editor->reading = true;
    for (;;) {
        char byte;
        if (!editor->wait(editor->arg)) {
            editor->ended = true;
            return 0;
        }
        ssize_t n = read(STDIN_FILENO, &byte, 1);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n <= 0)
            return 0;
        size_t took = mbrtowc(ret, &byte, 1, &state);
        if (took == (size_t)-1)
            memset(&state, 0, sizeof(state)); /* that was none; go on behind it */
        else if (took != (size_t)-2)
            return 1;
    }
}

struct line_editor *line_editor_create(const char *prompt, bool (*wait)(void *arg), void *arg,
                                       struct err *err)
{
    HistEvent event;
    struct line_editor *editor = calloc(1, sizeof(*editor));
    if (!editor) {
        err_nomem(err);
        return NULL;
    }
    *editor = (struct line_editor){.prompt = prompt, .wait = wait, .arg = arg};
    editor->el = el_init("panelctl", stdin, stdout, stderr);
    editor->history = history_init();
    if (!editor->el || !editor->history) {
        line_editor_destroy(editor);
        err_set(err, ERR_INTERNAL, "no_terminal", "this terminal can't be used for editing");
        return NULL;
    }
    history(editor->history, &event, H_SETSIZE, HISTORY_MAX);
    history(editor->history, &event, H_SETUNIQUE, 1);
    el_set(editor->el, EL_CLIENTDATA, editor);
    el_set(editor->el, EL_PROMPT, prompt_of);
    el_set(editor->el, EL_EDITOR, "emacs");
    el_set(editor->el, EL_HIST, history, editor->history);
    el_set(editor->el, EL_GETCFN, next_char);
    el_set(editor->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    return editor;
}

void line_editor_destroy(struct line_editor *editor)
{
    if (!editor)
        return;
    if (editor->el)
        el_end(editor->el); /* the terminal is as it was */
    if (editor->history)
        history_end(editor->history);
    free(editor->line);
    free(editor);
}

const char *line_editor_read(struct line_editor *editor)
{
    HistEvent event;
    int count = 0;
    /* Its modes are there before the prompt is, and stay while a line is sent: else what is typed
     * early would be shown twice, and a Ctrl-D be the terminal's own, and lost. */
    el_set(editor->el, EL_PREP_TERM, 1);
    const char *line = el_gets(editor->el, &count);
    editor->reading = false;
    el_set(editor->el, EL_PREP_TERM, 1);
    if (editor->ended || !line || count <= 0)
        return NULL;
    free(editor->line);
    editor->line = strndup(line, strcspn(line, "\r\n"));
    if (editor->line && *editor->line)
        history(editor->history, &event, H_ENTER, editor->line);
    return editor->line;
}

/* Rows between the beginning of the prompt and the cursor. */
static size_t rows_above_cursor(const struct line_editor *editor)
{
    struct strbuf before = {0};
    const LineInfo *info = el_line(editor->el);
    struct term term = {.out = true};
    strbuf_str(&before, editor->prompt);
    strbuf_add(&before, info->buffer, (size_t)(info->cursor - info->buffer));
    size_t rows = before.data ? text_width(before.data) / term_width(&term) : 0;
    strbuf_fini(&before);
    return rows;
}

void line_editor_print(struct line_editor *editor, const char *text, size_t len)
{
    if (editor->reading) {
        size_t rows = rows_above_cursor(editor);
        if (rows)
            fprintf(stdout, "\x1b[%zuA", rows);
        fputs("\r\x1b[J", stdout);
    }
    fwrite(text, 1, len, stdout);
    fflush(stdout);
    if (editor->reading)
        el_set(editor->el, EL_REFRESH);
}

void line_editor_redraw(struct line_editor *editor)
{
    if (!editor->reading)
        return;
    el_resize(editor->el);
    el_set(editor->el, EL_PREP_TERM,
           0); /* whoever had the terminal meanwhile has set its own modes */
    el_set(editor->el, EL_PREP_TERM, 1);
    fputs("\r\x1b[J", stdout);
    el_set(editor->el, EL_REFRESH);
}
