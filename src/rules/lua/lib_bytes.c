/* lib_bytes: reading binary frames as device manuals describe them: offsets from 0, big-endian
 * unless told otherwise. */
#include "rules/lua/state.h"

/* The bytes [offset, offset + need) of argument 1, or an error that says what is missing. */
static const unsigned char *checked_span(lua_State *L, const char *name, lua_Integer offset,
                                         lua_Integer need)
{
    size_t len;
    const char *bytes = luaL_checklstring(L, 1, &len);
    if (offset < 0 || need < 0 || offset > (lua_Integer)len || need > (lua_Integer)len - offset)
        luaL_error(L, "bytes.%s: offset %I needs %I bytes, the string has %I", name,
                   (LUAI_UACINT)offset, (LUAI_UACINT)need, (LUAI_UACINT)len);
    return (const unsigned char *)bytes + offset;
}

static bool is_little(lua_State *L, int index)
{
    static const char *const orders[] = { "be", "le", NULL };
    return luaL_checkoption(L, index, "be", orders) == 1;
}

static uint64_t assemble(const unsigned char *bytes, unsigned count, bool little)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < count; i++)
        value = value << 8 | bytes[little ? count - 1 - i : i];
    return value;
}

static int64_t extend_sign(uint64_t value, unsigned bytes)
{
    unsigned unused = 64 - 8 * bytes;
    return (int64_t)(value << unused) >> unused;
}

static int read_integer(lua_State *L, const char *name, unsigned count, bool is_signed, int order)
{
    const unsigned char *bytes = checked_span(L, name, luaL_checkinteger(L, 2), count);
    uint64_t value = assemble(bytes, count, is_little(L, order));
    lua_pushinteger(L, is_signed ? extend_sign(value, count) : (int64_t)value);
    return 1;
}

#define INTEGER_READER(name, count, is_signed)                                                     \
    static int bytes_##name(lua_State *L)                                                          \
    {                                                                                              \
        return read_integer(L, #name, count, is_signed, 3);                                        \
    }
INTEGER_READER(u8, 1, false)
INTEGER_READER(i8, 1, true)
INTEGER_READER(u16, 2, false)
INTEGER_READER(i16, 2, true)
INTEGER_READER(u24, 3, false)
INTEGER_READER(i24, 3, true)
INTEGER_READER(u32, 4, false)
INTEGER_READER(i32, 4, true)
INTEGER_READER(i64, 8, true)
#undef INTEGER_READER

static unsigned checked_width(lua_State *L)
{
    lua_Integer width = luaL_checkinteger(L, 3);
    luaL_argcheck(L, width >= 1 && width <= 8, 3, "length must be 1 to 8");
    return (unsigned)width;
}

static int bytes_uint(lua_State *L)
{
    return read_integer(L, "uint", checked_width(L), false, 4);
}

static int bytes_int(lua_State *L)
{
    return read_integer(L, "int", checked_width(L), true, 4);
}

static int bytes_f32(lua_State *L)
{
    const unsigned char *bytes = checked_span(L, "f32", luaL_checkinteger(L, 2), 4);
    uint32_t bits = (uint32_t)assemble(bytes, 4, is_little(L, 3));
    float value;
    memcpy(&value, &bits, sizeof value);
    lua_pushnumber(L, value);
    return 1;
}

static int bytes_f64(lua_State *L)
{
    const unsigned char *bytes = checked_span(L, "f64", luaL_checkinteger(L, 2), 8);
    uint64_t bits = assemble(bytes, 8, is_little(L, 3));
    double value;
    memcpy(&value, &bits, sizeof value);
    lua_pushnumber(L, value);
    return 1;
}

/* (s, bitOffset, count): bits as an integer, the first bit of the string is its highest */
static int bytes_bits(lua_State *L)
{
    lua_Integer offset = luaL_checkinteger(L, 2), count = luaL_checkinteger(L, 3);
    luaL_argcheck(L, offset >= 0 && offset <= INT64_MAX - 64, 2, "bit offset out of range");
    luaL_argcheck(L, count >= 1 && count <= 63, 3, "number of bits must be 1 to 63");
    lua_Integer first = offset / 8, last = (offset + count - 1) / 8;
    const unsigned char *bytes = checked_span(L, "bits", first, last - first + 1);
    uint64_t value = 0;
    for (lua_Integer i = 0; i < count; i++) {
        unsigned bit = (unsigned)(offset % 8 + i);
        value = value << 1 | (bytes[bit / 8] >> (7 - bit % 8) & 1);
    }
    lua_pushinteger(L, (lua_Integer)value);
    return 1;
}

static int bytes_bit(lua_State *L)
{
    lua_Integer value = luaL_checkinteger(L, 1), n = luaL_checkinteger(L, 2);
    luaL_argcheck(L, n >= 0 && n <= 63, 2, "bit number must be 0 to 63");
    lua_pushinteger(L, (lua_Integer)((uint64_t)value >> n & 1));
    return 1;
}

static int bytes_bcd(lua_State *L)
{
    lua_Integer offset = luaL_checkinteger(L, 2), len = luaL_checkinteger(L, 3);
    luaL_argcheck(L, len >= 1 && len <= 9, 3, "length must be 1 to 9");
    const unsigned char *bytes = checked_span(L, "bcd", offset, len);
    lua_Integer value = 0;
    for (lua_Integer i = 0; i < len; i++) {
        if (bytes[i] >> 4 > 9 || (bytes[i] & 15) > 9)
            return luaL_error(L, "bytes.bcd: byte %I at offset %I has no decimal digits",
                              (LUAI_UACINT)bytes[i], (LUAI_UACINT)(offset + i));
        value = value * 100 + (bytes[i] >> 4) * 10 + (bytes[i] & 15);
    }
    lua_pushinteger(L, value);
    return 1;
}

static int bytes_ascii(lua_State *L)
{
    lua_Integer offset = luaL_checkinteger(L, 2), len = luaL_checkinteger(L, 3);
    const char *text = (const char *)checked_span(L, "ascii", offset, len);
    ps_lua_charge_bytes(L, (size_t)len);
    lua_pushlstring(L, text, strnlen(text, (size_t)len));
    return 1;
}

/* --- making --- */

static int bytes_from_array(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    ps_lua_table_ready(L, 1);
    size_t count = lua_rawlen(L, 1);
    ps_lua_charge(L, 1 + count);
    luaL_Buffer out;
    char *bytes = luaL_buffinitsize(L, &out, count);
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, 1, (lua_Integer)i + 1);
        int is_integer;
        lua_Integer value = lua_tointegerx(L, -1, &is_integer);
        if (!is_integer || value < -128 || value > 255)
            return luaL_error(L, "bytes.from_array: element %I is not an integer of -128 to 255",
                              (LUAI_UACINT)i + 1);
        bytes[i] = (char)value;
        lua_pop(L, 1);
    }
    luaL_pushresultsize(&out, count);
    return 1;
}

static int bytes_to_array(lua_State *L)
{
    size_t len;
    const char *bytes = luaL_checklstring(L, 1, &len);
    ps_lua_charge(L, 1 + len);
    luaL_argcheck(L, len < INT32_MAX, 1, "string too long");
    lua_createtable(L, (int)len, 0);
    for (size_t i = 0; i < len; i++) {
        lua_pushinteger(L, (unsigned char)bytes[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    ps_lua_meta_push(L, PS_LUA_META_ARRAY);
    lua_setmetatable(L, -2);
    return 1;
}

static int bytes_reverse(lua_State *L)
{
    size_t len;
    const char *from = luaL_checklstring(L, 1, &len);
    ps_lua_charge_bytes(L, len);
    luaL_Buffer out;
    char *to = luaL_buffinitsize(L, &out, len);
    for (size_t i = 0; i < len; i++)
        to[i] = from[len - 1 - i];
    luaL_pushresultsize(&out, len);
    return 1;
}

const luaL_Reg ps_lua_lib_bytes[] = {
    { "u8", bytes_u8 },
    { "i8", bytes_i8 },
    { "u16", bytes_u16 },
    { "i16", bytes_i16 },
    { "u24", bytes_u24 },
    { "i24", bytes_i24 },
    { "u32", bytes_u32 },
    { "i32", bytes_i32 },
    { "i64", bytes_i64 },
    { "f32", bytes_f32 },
    { "f64", bytes_f64 },
    { "uint", bytes_uint },
    { "int", bytes_int },
    { "bits", bytes_bits },
    { "bit", bytes_bit },
    { "bcd", bytes_bcd },
    { "ascii", bytes_ascii },
    { "from_array", bytes_from_array },
    { "to_array", bytes_to_array },
    { "reverse", bytes_reverse },
    { NULL, NULL },
};
