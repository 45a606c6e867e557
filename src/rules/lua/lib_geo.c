/* lib_geo: `geo`: distances and areas on a round earth. */
#include <math.h>

#include "rules/lua/state.h"

static const double earth_radius_m = 6371008.8;

static double radians(double degrees)
{
    return degrees * (3.14159265358979323846 / 180);
}

/* Haversine */
static double distance_m(double lat1, double lon1, double lat2, double lon2)
{
    double half_lat = sin(radians(lat2 - lat1) / 2), half_lon = sin(radians(lon2 - lon1) / 2);
    double a = half_lat * half_lat + cos(radians(lat1)) * cos(radians(lat2)) * half_lon * half_lon;
    return 2 * earth_radius_m * asin(sqrt(a < 1 ? a : 1));
}

static double distance_arguments(lua_State *L)
{
    return distance_m(luaL_checknumber(L, 1), luaL_checknumber(L, 2), luaL_checknumber(L, 3),
                      luaL_checknumber(L, 4));
}

static int geo_distance(lua_State *L)
{
    lua_pushnumber(L, distance_arguments(L));
    return 1;
}

static int geo_in_circle(lua_State *L)
{
    lua_pushboolean(L, distance_arguments(L) <= luaL_checknumber(L, 5));
    return 1;
}

/* The corner i of the polygon at index 3. */
static void read_corner(lua_State *L, lua_Integer i, double *lat, double *lon)
{
    int is_lat = 0, is_lon = 0;
    if (lua_rawgeti(L, 3, i) == LUA_TTABLE) {
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        *lat = lua_tonumberx(L, -2, &is_lat);
        *lon = lua_tonumberx(L, -1, &is_lon);
        lua_pop(L, 2);
    }
    if (!is_lat || !is_lon)
        luaL_error(L, "geo.in_polygon: corner %I is not {lat, lon}", (LUAI_UACINT)i);
    lua_pop(L, 1);
}

/* Counts how often a ray from the point crosses the border. */
static int geo_in_polygon(lua_State *L)
{
    double lat = luaL_checknumber(L, 1), lon = luaL_checknumber(L, 2);
    luaL_checktype(L, 3, LUA_TTABLE);
    ps_lua_table_ready(L, 3);
    lua_Integer count = (lua_Integer)lua_rawlen(L, 3);
    luaL_argcheck(L, count >= 3, 3, "a polygon has at least three corners");
    ps_lua_charge(L, (size_t)count * 4);
    bool inside = false;
    double from_lat, from_lon, to_lat, to_lon;
    read_corner(L, count, &from_lat, &from_lon);
    for (lua_Integer i = 1; i <= count; i++) {
        read_corner(L, i, &to_lat, &to_lon);
        if ((from_lat > lat) != (to_lat > lat) &&
            lon < from_lon + (lat - from_lat) / (to_lat - from_lat) * (to_lon - from_lon))
            inside = !inside;
        from_lat = to_lat;
        from_lon = to_lon;
    }
    lua_pushboolean(L, inside);
    return 1;
}

const luaL_Reg ps_lua_lib_geo[] = {
    { "distance", geo_distance },
    { "in_circle", geo_in_circle },
    { "in_polygon", geo_in_polygon },
    { NULL, NULL },
};
