/* lib_num: `num`: rounding people expect, and other small arithmetic. */
#include <math.h>

#include "core/decimal.h"
#include "core/json_text.h"
#include "rules/lua/state.h"

enum { DIGITS_MAX = 15 };

/* The significant digits of a decimal, without its point. */
static void copy_digits(const struct ps_decimal *decimal, char *out)
{
    const char *at = decimal->digits;
    for (uint32_t i = 0; i < decimal->count; at++) {
        if (*at != '.')
            out[i++] = *at;
    }
}

/* Add one to the last of `count` digits. Returns: the count, one more if all were nines. */
static size_t carry_up(char *digits, size_t count)
{
    size_t i = count;
    while (i > 0 && digits[i - 1] == '9')
        digits[--i] = '0';
    if (i > 0) {
        digits[i - 1]++;
        return count;
    }
    memmove(digits + 1, digits, count);
    digits[0] = '1';
    return count + 1;
}

/* Round half away from zero at 10^-places; the result is `out` as text, an integer times that.
 * Working on the shortest decimal form makes 1.005 round to 1.01, as its reader expects. */
static void round_text(double x, int places, char *out, size_t size)
{
    char text[PS_DOUBLE_TEXT_SIZE], digits[PS_DOUBLE_TEXT_SIZE + 1] = { 0 };
    struct ps_decimal decimal;
    ps_decimal_split(text, ps_double_format(x, text), &decimal);
    copy_digits(&decimal, digits);
    int64_t kept = (int64_t)decimal.count + decimal.power + places;
    size_t count = 0;
    if (kept >= (int64_t)decimal.count) {
        snprintf(out, size, "%s%.*se%lld", decimal.negative ? "-" : "", (int)decimal.count, digits,
                 (long long)decimal.power);
        return;
    }
    if (kept >= 0) {
        count = (size_t)kept;
        if (digits[count] >= '5')
            count = carry_up(digits, count);
    }
    snprintf(out, size, "%s%.*se%d", decimal.negative ? "-" : "", count ? (int)count : 1,
             count ? digits : "0", -places);
}

static int num_round(lua_State *L)
{
    double x = luaL_checknumber(L, 1);
    lua_Integer places = luaL_optinteger(L, 2, 0);
    luaL_argcheck(L, places >= -DIGITS_MAX && places <= DIGITS_MAX, 2, "digits must be -15 to 15");
    ps_lua_charge(L, 20);
    if (!isfinite(x))
        return luaL_error(L, "num.round: not a finite number");
    if (places <= 0 && lua_isinteger(L, 1) && places == 0) {
        lua_pushvalue(L, 1);
        return 1;
    }
    char text[2 * PS_DOUBLE_TEXT_SIZE];
    if (x == 0)
        strcpy(text, "0e0");
    else
        round_text(x, (int)places, text, sizeof text);
    struct ps_decimal decimal;
    ps_decimal_split(text, strlen(text), &decimal);
    int64_t integer;
    if (places > 0)
        lua_pushnumber(L, ps_decimal_to_double(&decimal) + 0.0); /* no negative zero */
    else if (ps_decimal_truncate(&decimal, &integer))
        lua_pushinteger(L, integer);
    else
        return luaL_error(L, "num.round: does not fit an integer");
    return 1;
}

static int num_clamp(lua_State *L)
{
    luaL_checknumber(L, 1);
    luaL_argcheck(L, luaL_checknumber(L, 2) <= luaL_checknumber(L, 3), 3, "hi is below lo");
    int pick = lua_compare(L, 1, 2, LUA_OPLT) ? 2 : lua_compare(L, 3, 1, LUA_OPLT) ? 3 : 1;
    lua_pushvalue(L, pick);
    return 1;
}

static int num_finite(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, lua_type(L, 1) == LUA_TNUMBER && isfinite(lua_tonumber(L, 1)));
    return 1;
}

/* (x, a1, a2, b1, b2): from the range a to the range b */
static int num_map(lua_State *L)
{
    double x = luaL_checknumber(L, 1), a1 = luaL_checknumber(L, 2), a2 = luaL_checknumber(L, 3);
    double b1 = luaL_checknumber(L, 4), b2 = luaL_checknumber(L, 5);
    luaL_argcheck(L, a1 != a2, 3, "the first range is empty");
    lua_pushnumber(L, b1 + (x - a1) / (a2 - a1) * (b2 - b1));
    return 1;
}

const luaL_Reg ps_lua_lib_num[] = {
    { "round", num_round }, { "clamp", num_clamp }, { "finite", num_finite },
    { "map", num_map },     { NULL, NULL },
};
