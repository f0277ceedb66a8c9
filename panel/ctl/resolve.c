/* Ids and names. See resolve.h.
 *
 * A whole id is asked for directly, so scripts cost one request; for anything else the list is
 * read. What fits best wins: an id, then a name, then an id's beginning; two that fit equally well
 * are an error, since the next word may be "delete". Revoked keys stay in the list, so of two that
 * fit equally well the one that isn't over is meant. */
#include "panel/ctl/resolve.h"

#include <string.h>
#include <strings.h>

#include "common/auto.h"
#include "common/strbuf.h"
#include "panel/ctl/api.h"
#include "panel/ctl/text.h"
#include "panel/ctl/view.h"

#define SHOWN_MAX 4 /* of the ambiguous ones */

static const struct kind {
    const char *noun;
    const char *path;
    const char *id;
    const char *names[2];
    bool any_case;    /* names are unique without regard to case */
    const char *over; /* the member that one has which is no more than remembered, or NULL */
} kinds[] = {
    [THING_NODE] = {"node", "/api/nodes", "id", {"name"}, false, NULL},
    [THING_INSTANCE] = {"instance", "/api/instances", "Id", {"Name"}, false, NULL},
    [THING_USER] = {"user", "/api/users", "userId", {"username", "email"}, true, NULL},
    [THING_IMAGE] = {"image", "/api/images", "Id", {"Name"}, false, NULL},
    [THING_KEY] = {"key", "/api/keys", "id", {"name"}, false, "revokedAt"},
};

const char *thing_noun(enum thing thing)
{
    return kinds[thing].noun;
}

const char *thing_id(enum thing thing, const json_t *value)
{
    return view_text(value, kinds[thing].id);
}

const char *thing_name(enum thing thing, const json_t *value)
{
    return view_text(value, kinds[thing].names[0]);
}

bool thing_is_over(enum thing thing, const json_t *value)
{
    return kinds[thing].over && *view_text(value, kinds[thing].over);
}

int resolve_list(struct ctl *ctl, enum thing thing, json_t **ret, struct err *err)
{
    return api_list(ctl, kinds[thing].path, 0, ret, err);
}

static bool may_be_id(const char *word)
{
    size_t len = strlen(word);
    return len > 0 && len <= 64 && strcmp(word, ".") != 0 && strcmp(word, "..") != 0 &&
           strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == len;
}

int resolve_by_id(struct ctl *ctl, enum thing thing, const char *id, json_t **ret, struct err *err)
{
    auto_strbuf struct strbuf path = {0};
    strbuf_fmt(&path, "%s/", kinds[thing].path);
    api_add_escaped(&path, id);
    return path.failed ? err_nomem(err) : api_get(ctl, path.data, ret, err);
}

/* 1: found; 0: not by this way; -1. */
static int get_directly(struct ctl *ctl, enum thing thing, const char *word, json_t **ret,
                        struct err *err)
{
    if (!may_be_id(word))
        return 0;
    if (resolve_by_id(ctl, thing, word, ret, err) == 0)
        return 1;
    if (err->code != ERR_NOT_FOUND && err->code != ERR_INVALID)
        return -1;
    *err = (struct err){0};
    return 0;
}

enum fit { FIT_NOT, FIT_PREFIX, FIT_NAME, FIT_ID };

static enum fit fit_of(const struct kind *kind, const json_t *row, const char *word)
{
    size_t len = strlen(word);
    const char *id = view_text(row, kind->id);
    if (strcmp(id, word) == 0)
        return FIT_ID;
    for (size_t i = 0; i < ARRAY_LEN(kind->names) && kind->names[i]; i++) {
        const char *name = view_text(row, kind->names[i]);
        if ((kind->any_case ? strcasecmp(name, word) : strcmp(name, word)) == 0 && *word)
            return FIT_NAME;
    }
    return len >= RESOLVE_PREFIX_LEAST && strncmp(id, word, len) == 0 ? FIT_PREFIX : FIT_NOT;
}

struct search {
    unsigned rank; /* how well those fit that were the best so far */
    size_t count;
    json_t *first;      /* borrowed */
    struct strbuf list; /* of those that fit */
};

static void consider(struct search *search, enum thing thing, json_t *row, const char *word)
{
    const struct kind *kind = &kinds[thing];
    enum fit fit = fit_of(kind, row, word);
    unsigned rank = 2 * (unsigned)fit + !thing_is_over(thing, row);
    if (fit == FIT_NOT || rank < search->rank)
        return;
    if (rank > search->rank) {
        search->rank = rank;
        search->count = 0;
        search->first = row;
        strbuf_reset(&search->list);
    }
    if (search->count++ < SHOWN_MAX) {
        const char *name = view_text(row, kind->names[0]);
        const char *id = view_text(row, kind->id);
        strbuf_str(&search->list, search->count > 1 ? ", " : "");
        text_add_safe(&search->list, id, strlen(id));
        strbuf_str(&search->list, " (");
        text_add_safe(&search->list, name, strnlen(name, 24));
        strbuf_char(&search->list, ')');
    }
}

static int choose(const struct search *search, const struct kind *kind, const char *word,
                  json_t **ret, struct err *err)
{
    auto_strbuf struct strbuf shown = {0};
    text_add_safe(&shown, word, strnlen(word, 64));
    const char *text = shown.data ? shown.data : "";
    if (!search->count && strlen(word) < RESOLVE_PREFIX_LEAST)
        return err_set(err, ERR_NOT_FOUND, "not_found",
                       "there is no %s \"%s\" (the beginning of an id needs %d characters)",
                       kind->noun, text, RESOLVE_PREFIX_LEAST);
    if (!search->count)
        return err_set(err, ERR_NOT_FOUND, "not_found",
                       "there is no %s \"%s\"; \"panelctl %s list\" shows them", kind->noun, text,
                       kind->noun);
    if (search->count > 1)
        return err_set(err, ERR_NOT_FOUND, "ambiguous", "\"%s\" may be %zu %ss: %s%s", text,
                       search->count, kind->noun, search->list.data ? search->list.data : "",
                       search->count > SHOWN_MAX ? ", …" : "");
    *ret = json_incref(search->first);
    return 0;
}

/* A table cuts long ids, and what was copied from one ends in its "…". */
static size_t length_without_cut(const char *word)
{
    static const char cut[] = "…";
    size_t len = strlen(word);
    size_t tail = sizeof(cut) - 1;
    return len > tail && strcmp(word + len - tail, cut) == 0 ? len - tail : len;
}

int resolve(struct ctl *ctl, enum thing thing, const char *typed, json_t **ret, struct err *err)
{
    const struct kind *kind = &kinds[thing];
    auto_free char *word = strndup(typed, length_without_cut(typed));
    if (!word)
        return err_nomem(err);
    int direct = get_directly(ctl, thing, word, ret, err);
    if (direct)
        return direct < 0 ? -1 : 0;
    auto_json json_t *list = NULL;
    if (resolve_list(ctl, thing, &list, err) < 0)
        return -1;
    struct search search = {0};
    size_t i;
    json_t *row;
    json_array_foreach(list, i, row) consider(&search, thing, row, word);
    int rc = choose(&search, kind, word, ret, err);
    strbuf_fini(&search.list);
    return rc;
}

/* As the panel makes ids of users: 8-4-4-4-12. */
static bool is_uuid(const char *word)
{
    static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    if (strlen(word) != sizeof(shape) - 1)
        return false;
    for (size_t i = 0; shape[i]; i++) {
        if (shape[i] == '-' ? word[i] != '-' : !strchr("0123456789abcdefABCDEF", word[i]))
            return false;
    }
    return true;
}

/* Who reads nothing can't look for a name, so the word has to be an id; the panel says if it's
 * none. An owner sees himself alone, and shares with others by their ids. */
static bool may_be_unseen(struct ctl *ctl, enum thing thing, const char *typed,
                          const struct err *err)
{
    if (strcmp(err->reason, "forbidden") == 0 && may_be_id(typed)) {
        ctl->blind = kinds[thing].noun;
        return true;
    }
    return thing == THING_USER && strcmp(err->reason, "not_found") == 0 && is_uuid(typed);
}

int resolve_target(struct ctl *ctl, enum thing thing, const char *typed, json_t **ret,
                   struct err *err)
{
    const struct kind *kind = &kinds[thing];
    if (resolve(ctl, thing, typed, ret, err) == 0)
        return 0;
    if (!may_be_unseen(ctl, thing, typed, err))
        return -1;
    *ret = json_pack("{ssss}", kind->id, typed, kind->names[0], typed);
    if (!*ret)
        return err_nomem(err);
    *err = (struct err){0};
    return 0;
}

int resolve_id(struct ctl *ctl, enum thing thing, const char *word, char **ret_id, struct err *err)
{
    auto_json json_t *value = NULL;
    if (resolve_target(ctl, thing, word, &value, err) < 0)
        return -1;
    *ret_id = strdup(thing_id(thing, value));
    return *ret_id ? 0 : err_nomem(err);
}
