#include "core/telemetry/store_damage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void ps_damage_list_deinit(struct ps_damage_list *list)
{
    free(list->aside.items);
    free(list->partly.items);
    *list = (struct ps_damage_list){ 0 };
}

static size_t find(const struct ps_damage_names *names, const char *name)
{
    size_t i = 0;
    while (i < names->count && strcmp(names->items[i], name) != 0)
        i++;
    return i;
}

static bool has_room(struct ps_damage_names *names)
{
    if (names->count < names->cap)
        return true;
    size_t cap = names->cap ? 2 * names->cap : 8;
    if (cap > PS_DAMAGE_NAMES_MAX)
        return false;
    void *larger = realloc(names->items, cap * sizeof *names->items);
    if (!larger)
        return false;
    names->items = larger;
    names->cap = cap;
    return true;
}

bool ps_damage_names_add(struct ps_damage_names *names, const char *name)
{
    if (find(names, name) < names->count)
        return false;
    if (has_room(names))
        snprintf(names->items[names->count++], PS_MANIFEST_NAME_SIZE, "%s", name);
    else
        names->unnamed++; /* the log has it */
    return true;
}

bool ps_damage_names_remove(struct ps_damage_names *names, const char *name)
{
    size_t i = find(names, name);
    if (i == names->count)
        return false;
    memmove(names->items + i, names->items + i + 1, (names->count - i - 1) * sizeof *names->items);
    names->count--;
    return true;
}

static void put_names(const struct ps_damage_names *names, const char *ending, char *out,
                      size_t size)
{
    size_t len = strlen(out);
    for (size_t i = 0; i < names->count; i++) {
        size_t added = strlen(names->items[i]) + strlen(ending) + (len ? 2 : 0);
        if (len + added >= size)
            return;
        snprintf(out + len, size - len, "%s%s%s", len ? ", " : "", names->items[i], ending);
        len += added;
    }
}

size_t ps_damage_list_tell(const struct ps_damage_list *list, struct ps_text *names)
{
    char text[PS_TEXT_SIZE] = "";
    put_names(&list->aside, "", text, sizeof text);
    put_names(&list->partly, ".db", text, sizeof text);
    ps_text_set(names, "%s", text);
    return list->aside.count + list->aside.unnamed + list->partly.count + list->partly.unnamed;
}
