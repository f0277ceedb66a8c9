/* Names. See names.h. A table without them is still of use, so whatever fails here is no error. */
#include "panel/ctl/names.h"

#include "common/auto.h"
#include "common/strbuf.h"
#include "panel/ctl/api.h"
#include "panel/ctl/view.h"

void names_init(struct names *names, struct ctl *ctl)
{
    *names = (struct names){.ctl = ctl};
}

void names_fini(struct names *names)
{
    for (size_t i = 0; i < THING_COUNT; i++)
        json_decref(names->of[i]);
    *names = (struct names){0};
}

void names_set(struct names *names, enum thing thing, const char *id, const char *name)
{
    if (*id && names->of[thing])
        json_object_set_new(names->of[thing], id, json_string(name));
}

static void read_all(struct names *names, enum thing thing)
{
    struct err err = {0};
    auto_json json_t *list = NULL;
    size_t i;
    json_t *row;
    names->of[thing] = json_object();
    if (resolve_list(names->ctl, thing, &list, &err) < 0) {
        api_forget_failure(names->ctl);
        return;
    }
    json_array_foreach(list, i, row)
        names_set(names, thing, thing_id(thing, row), thing_name(thing, row));
}

const char *names_find(struct names *names, enum thing thing, const char *id)
{
    if (!names->of[thing])
        read_all(names, thing);
    const char *name = json_string_value(json_object_get(names->of[thing], id));
    return name ? name : "";
}

void names_ask(struct names *names, enum thing thing, const char *id)
{
    struct err err = {0};
    auto_json json_t *value = NULL;
    if (!names->of[thing])
        names->of[thing] = json_object();
    if (!*id)
        return;
    if (resolve_by_id(names->ctl, thing, id, &value, &err) < 0)
        api_forget_failure(names->ctl);
    else
        names_set(names, thing, id, thing_name(thing, value));
}

static void show_user(struct names *names, json_t *row, const char *member, bool with_id)
{
    const char *id = view_text(row, member);
    const char *name = *id ? names_find(names, THING_USER, id) : "";
    auto_strbuf struct strbuf text = {0};
    if (!*name)
        return;
    strbuf_str(&text, name);
    if (with_id)
        strbuf_fmt(&text, " (%s)", id);
    json_object_set_new(row, member, json_string(text.data));
}

void names_show_users(struct ctl *ctl, json_t *value, const char *member)
{
    struct names names;
    size_t i;
    json_t *row;
    if (view_is_data(ctl) || ctl->format == FORMAT_NAME)
        return;
    names_init(&names, ctl);
    json_array_foreach(value, i, row) show_user(&names, row, member, false);
    if (json_is_object(value)) {
        names_ask(&names, THING_USER, view_text(value, member));
        show_user(&names, value, member, true);
    }
    names_fini(&names);
}
