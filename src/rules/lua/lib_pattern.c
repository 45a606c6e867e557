/* lib_pattern: string.find, match, gmatch and gsub on our own matcher, each step charged.
 *
 * Lua's own matcher recurses and cannot be stopped: a pattern of a few bytes can run for minutes
 * inside one call (LIMITS 3). */
#include "rules/lua/pattern.h"
#include "rules/lua/state.h"

enum { ITEMS_ON_STACK = 24 };

/* Read the pattern; its items live in `few` or in a userdata that is left on the Lua stack. */
static void read_pattern(lua_State *L, const char *text, size_t len, bool anchor,
                         struct ps_pattern_item *few, struct ps_pattern *out)
{
    const char *why;
    size_t count = ps_pattern_item_count(len);
    ps_lua_charge(L, 8 + len);
    if (count > ITEMS_ON_STACK)
        few = lua_newuserdatauv(L, count * sizeof *few, 0);
    else
        lua_pushnil(L);
    if (len > UINT32_MAX / 2 || ps_pattern_read(text, len, anchor, few, out, &why) != PS_OK)
        luaL_error(L, "%s", len > UINT32_MAX / 2 ? "pattern too long" : why);
}

/* Returns: true if found; charges the steps, raises at the limit. */
static bool run_pattern(lua_State *L, struct ps_pattern *pattern, const char *subject, size_t len,
                        size_t from, bool here_only, struct ps_pattern_match *match)
{
    struct ps_lua *lua = ps_lua_of(L);
    int64_t before = lua->budget, left = before;
    enum ps_status st = here_only ? ps_pattern_match_at(pattern, subject, len, from, &left, match)
                                  : ps_pattern_find(pattern, subject, len, from, &left, match);
    ps_lua_charge(L, st == PS_ELIMIT ? (size_t)before : (size_t)(before - left));
    return st == PS_OK;
}

static void push_capture(lua_State *L, const char *subject, const struct ps_pattern_match *match,
                         unsigned i)
{
    if (i >= match->count) {
        if (i > 0)
            luaL_error(L, "invalid capture index %%%d", (int)i + 1);
        lua_pushlstring(L, subject + match->start, match->end - match->start);
    } else if (match->captures[i].len == PS_PATTERN_POSITION) {
        lua_pushinteger(L, (lua_Integer)match->captures[i].start + 1);
    } else {
        lua_pushlstring(L, subject + match->captures[i].start, (size_t)match->captures[i].len);
    }
}

/* All captures, or the whole match if there are none and `whole` says so. */
static int push_captures(lua_State *L, const char *subject, const struct ps_pattern_match *match,
                         bool whole)
{
    unsigned count = match->count == 0 && whole ? 1 : match->count;
    luaL_checkstack(L, (int)count + 2, "too many captures");
    for (unsigned i = 0; i < count; i++)
        push_capture(L, subject, match, i);
    return (int)count;
}

/* An optional start like that of string.sub, from 0; beyond the end: len + 1. */
static size_t start_offset(lua_State *L, int index, size_t len)
{
    lua_Integer start = luaL_optinteger(L, index, 1);
    if (start > 0)
        return (size_t)start - 1 <= len ? (size_t)start - 1 : len + 1;
    if (start == 0 || start < -(lua_Integer)len)
        return 0;
    return len - (size_t)-start;
}

static int find_plain(lua_State *L, const char *subject, size_t len, size_t from, const char *text,
                      size_t text_len)
{
    ps_lua_charge_bytes(L, (len - from) * 2);
    const char *found =
        text_len == 0 ? subject + from : memmem(subject + from, len - from, text, text_len);
    if (!found) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, found - subject + 1);
    lua_pushinteger(L, found - subject + (lua_Integer)text_len);
    return 2;
}

static int find_or_match(lua_State *L, bool find)
{
    size_t len, pattern_len;
    const char *subject = luaL_checklstring(L, 1, &len);
    const char *text = luaL_checklstring(L, 2, &pattern_len);
    size_t from = start_offset(L, 3, len);
    if (from > len) {
        lua_pushnil(L);
        return 1;
    }
    if (find && (lua_toboolean(L, 4) || ps_pattern_is_plain(text, pattern_len)))
        return find_plain(L, subject, len, from, text, pattern_len);
    struct ps_pattern_item few[ITEMS_ON_STACK];
    struct ps_pattern pattern;
    struct ps_pattern_match match;
    read_pattern(L, text, pattern_len, true, few, &pattern);
    if (!run_pattern(L, &pattern, subject, len, from, false, &match)) {
        lua_pushnil(L);
        return 1;
    }
    if (!find)
        return push_captures(L, subject, &match, true);
    lua_pushinteger(L, (lua_Integer)match.start + 1);
    lua_pushinteger(L, (lua_Integer)match.end);
    return 2 + push_captures(L, subject, &match, false);
}

static int string_find(lua_State *L)
{
    return find_or_match(L, true);
}

static int string_match(lua_State *L)
{
    return find_or_match(L, false);
}

/* --- gmatch --- */

struct iteration {
    size_t from;
    size_t last_end; /* of the latest match: an empty one there is none; SIZE_MAX before any */
    struct ps_pattern pattern;
    struct ps_pattern_item items[];
};

/* upvalues: subject, pattern, iteration */
static int gmatch_next(lua_State *L)
{
    struct iteration *it = lua_touserdata(L, lua_upvalueindex(3));
    size_t len;
    const char *subject = lua_tolstring(L, lua_upvalueindex(1), &len);
    struct ps_pattern_match match;
    while (it->from <= len) {
        if (!run_pattern(L, &it->pattern, subject, len, it->from, false, &match))
            break;
        if (match.end == it->last_end) { /* empty, right behind the one before */
            it->from = match.start + 1;
            continue;
        }
        it->from = it->last_end = match.end;
        return push_captures(L, subject, &match, true);
    }
    it->from = SIZE_MAX;
    return 0;
}

static int string_gmatch(lua_State *L)
{
    size_t len, pattern_len;
    luaL_checklstring(L, 1, &len);
    const char *text = luaL_checklstring(L, 2, &pattern_len);
    size_t from = start_offset(L, 3, len);
    lua_settop(L, 2);
    const char *why;
    ps_lua_charge(L, 8 + pattern_len);
    size_t count = ps_pattern_item_count(pattern_len);
    struct iteration *it = lua_newuserdatauv(L, sizeof *it + count * sizeof it->items[0], 0);
    it->from = from;
    it->last_end = SIZE_MAX;
    if (pattern_len > UINT32_MAX / 2 ||
        ps_pattern_read(text, pattern_len, false, it->items, &it->pattern, &why) != PS_OK)
        return luaL_error(L, "%s", pattern_len > UINT32_MAX / 2 ? "pattern too long" : why);
    lua_pushcclosure(L, gmatch_next, 3);
    return 1;
}

/* --- gsub --- */

static void add_template(lua_State *L, luaL_Buffer *out, const char *subject,
                         const struct ps_pattern_match *match)
{
    size_t len;
    const char *template = lua_tolstring(L, 3, &len);
    ps_lua_charge_bytes(L, len);
    for (size_t i = 0; i < len; i++) {
        if (template[i] != '%') {
            luaL_addchar(out, template[i]);
            continue;
        }
        char c = ++i < len ? template[i] : '\0';
        if (c == '%') {
            luaL_addchar(out, '%');
        } else if (c == '0') {
            luaL_addlstring(out, subject + match->start, match->end - match->start);
        } else if (c >= '1' && c <= '9') {
            push_capture(L, subject, match, (unsigned)(c - '1'));
            luaL_tolstring(L, -1, NULL); /* a position is a number */
            lua_remove(L, -2);
            luaL_addvalue(out);
        } else {
            luaL_error(L, "invalid use of '%%' in replacement string");
        }
    }
}

/* Returns: true if the match was replaced by something else. */
static bool add_replacement(lua_State *L, luaL_Buffer *out, const char *subject,
                            const struct ps_pattern_match *match)
{
    int type = lua_type(L, 3);
    if (type == LUA_TFUNCTION) {
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(L, subject, match, true), 1);
    } else if (type == LUA_TTABLE) {
        push_capture(L, subject, match, 0);
        lua_gettable(L, 3);
    } else {
        add_template(L, out, subject, match);
        return true;
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        luaL_addlstring(out, subject + match->start, match->end - match->start);
        return false;
    }
    if (!lua_isstring(L, -1))
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    luaL_addvalue(out);
    return true;
}

static int string_gsub(lua_State *L)
{
    size_t len, pattern_len;
    const char *subject = luaL_checklstring(L, 1, &len);
    const char *text = luaL_checklstring(L, 2, &pattern_len);
    int type = lua_type(L, 3);
    luaL_argexpected(L,
                     type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION ||
                         type == LUA_TTABLE,
                     3, "string/function/table");
    lua_Integer count_max = luaL_optinteger(L, 4, (lua_Integer)len + 1), count = 0;
    lua_settop(L, 3);
    struct ps_pattern_item few[ITEMS_ON_STACK];
    struct ps_pattern pattern;
    struct ps_pattern_match match;
    read_pattern(L, text, pattern_len, true, few, &pattern);
    size_t from = 0, copied = 0, last_end = SIZE_MAX;
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    while (count < count_max && from <= len &&
           run_pattern(L, &pattern, subject, len, from, false, &match)) {
        if (match.end == last_end) {
            from = match.start + 1;
        } else {
            luaL_addlstring(&out, subject + copied, match.start - copied);
            add_replacement(L, &out, subject, &match);
            copied = from = last_end = match.end;
            count++;
        }
        if (pattern.anchored)
            break;
    }
    luaL_addlstring(&out, subject + copied, len - copied);
    luaL_pushresult(&out);
    lua_pushinteger(L, count);
    return 2;
}

const luaL_Reg ps_lua_lib_pattern[] = {
    { "find", string_find },
    { "match", string_match },
    { "gmatch", string_gmatch },
    { "gsub", string_gsub },
    { NULL, NULL },
};
