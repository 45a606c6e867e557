/* lib_time: `time`: milliseconds since 1970 as dates and back.
 *
 * Time zones are given as "UTC", "Z" or an offset ("+02:00", "-0530").
 * Not here: names of places ("Europe/Helsinki"); they raise an error that says so. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/clock.h"
#include "rules/lua/state.h"

enum {
    MS_PER_S = 1000,
    S_PER_DAY = 86400,
    DATE_TEXT_SIZE = 64,
    FORMAT_LEN_MAX = 128,
};

/* Years 0000 to 9999: what the text forms can show. */
static const int64_t ms_min = -62167219200000, ms_max = 253402300799999;

/* A moment in some zone's calendar. */
struct moment {
    struct tm tm;
    int ms;
    int offset_s;
};

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* --- zones --- */

static bool two_digits(const char *text, int *out)
{
    if (!isdigit((unsigned char)text[0]) || !isdigit((unsigned char)text[1]))
        return false;
    *out = (text[0] - '0') * 10 + (text[1] - '0');
    return true;
}

/* "Z", "+hh", "+hhmm" or "+hh:mm". Returns: its length, 0 if it is none. */
static size_t parse_offset(const char *text, int *offset_s)
{
    int hours, minutes = 0;
    size_t len = 3;
    if (*text == 'Z' || *text == 'z') {
        *offset_s = 0;
        return 1;
    }
    if ((*text != '+' && *text != '-') || !two_digits(text + 1, &hours))
        return 0;
    bool colon = text[3] == ':';
    if (two_digits(text + 3 + colon, &minutes))
        len = 5 + (size_t)colon;
    if (hours > 14 || minutes > 59)
        return 0;
    *offset_s = (hours * 3600 + minutes * 60) * (*text == '-' ? -1 : 1);
    return len;
}

static int checked_offset(lua_State *L, int index)
{
    int offset_s = 0;
    const char *zone = luaL_optstring(L, index, "UTC");
    if (strcmp(zone, "UTC") != 0 && strcmp(zone, "GMT") != 0 &&
        (parse_offset(zone, &offset_s) == 0 || parse_offset(zone, &offset_s) != strlen(zone)))
        luaL_error(L, "time: unknown time zone '%s' (use UTC or an offset like +02:00)", zone);
    return offset_s;
}

/* --- moments --- */

static int64_t checked_ms(lua_State *L, int index)
{
    lua_Number real = luaL_checknumber(L, index);
    int is_integer;
    lua_Integer ms = lua_tointegerx(L, index, &is_integer);
    if (!is_integer) /* 1.5e12 / 7 is as good a time as any */
        ms = real > (double)ms_min && real < (double)ms_max ? (lua_Integer)real : INT64_MAX;
    luaL_argcheck(L, ms >= ms_min && ms <= ms_max, index, "time out of range");
    ps_lua_charge(L, 20);
    return ms;
}

static struct moment moment_of(int64_t ms, int offset_s)
{
    struct moment moment = { .offset_s = offset_s };
    time_t seconds = (time_t)(floor_div(ms, MS_PER_S) + offset_s);
    moment.ms = (int)(ms - floor_div(ms, MS_PER_S) * MS_PER_S);
    gmtime_r(&seconds, &moment.tm);
    return moment;
}

static int64_t ms_of(struct moment *moment)
{
    return ((int64_t)timegm(&moment->tm) - moment->offset_s) * MS_PER_S + moment->ms;
}

/* 1 for Monday to 7 for Sunday */
static int week_day(const struct moment *moment)
{
    return moment->tm.tm_wday == 0 ? 7 : moment->tm.tm_wday;
}

static int time_now(lua_State *L)
{
    lua_pushinteger(L, ps_clock_now_ms());
    return 1;
}

static int time_iso(lua_State *L)
{
    struct moment m = moment_of(checked_ms(L, 1), 0);
    char text[DATE_TEXT_SIZE], fraction[8] = "";
    if (m.ms)
        snprintf(fraction, sizeof fraction, ".%03d", m.ms);
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d%sZ", m.tm.tm_year + 1900,
             m.tm.tm_mon + 1, m.tm.tm_mday, m.tm.tm_hour, m.tm.tm_min, m.tm.tm_sec, fraction);
    lua_pushstring(L, text);
    return 1;
}

/* --- format --- */

static void put_directive(lua_State *L, luaL_Buffer *out, const struct moment *m, char directive)
{
    const struct tm *tm = &m->tm;
    char text[DATE_TEXT_SIZE];
    int offset_min = m->offset_s / 60, width = 2, value;
    switch (directive) {
    case 'Y':
        width = 4;
        value = tm->tm_year + 1900;
        break;
    case 'm':
        value = tm->tm_mon + 1;
        break;
    case 'd':
        value = tm->tm_mday;
        break;
    case 'H':
        value = tm->tm_hour;
        break;
    case 'M':
        value = tm->tm_min;
        break;
    case 'S':
        value = tm->tm_sec;
        break;
    case 'j':
        width = 3;
        value = tm->tm_yday + 1;
        break;
    case 'u':
        width = 1;
        value = week_day(m);
        break;
    case 'z':
        snprintf(text, sizeof text, "%c%02d%02d", offset_min < 0 ? '-' : '+', abs(offset_min) / 60,
                 abs(offset_min) % 60);
        luaL_addstring(out, text);
        return;
    case 'Z':
        snprintf(text, sizeof text, offset_min ? "%c%02d:%02d" : "UTC", offset_min < 0 ? '-' : '+',
                 abs(offset_min) / 60, abs(offset_min) % 60);
        luaL_addstring(out, text);
        return;
    case '%':
        luaL_addchar(out, '%');
        return;
    default:
        luaL_error(L, "time: unknown directive '%%%c'", directive);
        return;
    }
    snprintf(text, sizeof text, "%0*d", width, value);
    luaL_addstring(out, text);
}

/* %F and %T stand for others. Returns: the directives in full, in `out`. */
static const char *expand(lua_State *L, int index, char *out, size_t size)
{
    const char *format = luaL_checkstring(L, index);
    luaL_argcheck(L, strlen(format) <= FORMAT_LEN_MAX, index, "format too long");
    size_t used = 0;
    for (; *format; format++) {
        const char *longer = NULL;
        if (format[0] == '%' && format[1] == 'F')
            longer = "%Y-%m-%d";
        else if (format[0] == '%' && format[1] == 'T')
            longer = "%H:%M:%S";
        else if (format[0] == '%' && format[1] == '%')
            longer = "%%";
        size_t len = longer ? strlen(longer) : 1;
        PS_ASSERT(used + len < size);
        memcpy(out + used, longer ? longer : format, len);
        used += len;
        format += longer ? 1 : 0;
    }
    out[used] = '\0';
    return out;
}

static int time_format(lua_State *L)
{
    char directives[FORMAT_LEN_MAX * 5];
    int64_t ms = checked_ms(L, 1);
    const char *format = expand(L, 2, directives, sizeof directives);
    struct moment moment = moment_of(ms, checked_offset(L, 3));
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    for (; *format; format++) {
        if (*format == '%')
            put_directive(L, &out, &moment, *++format);
        else
            luaL_addchar(&out, *format);
    }
    luaL_pushresult(&out);
    return 1;
}

/* --- parse --- */

static bool parse_number(const char **text, int width, int low, int high, int *out)
{
    int value = 0;
    for (int i = 0; i < width; i++) {
        if (!isdigit((unsigned char)**text))
            return false;
        value = value * 10 + (*(*text)++ - '0');
    }
    *out = value;
    return value >= low && value <= high;
}

static bool parse_directive(const char **text, char directive, struct moment *m, int *year_day)
{
    struct tm *tm = &m->tm;
    int ignored;
    switch (directive) {
    case 'Y':
        if (!parse_number(text, 4, 0, 9999, &tm->tm_year))
            return false;
        tm->tm_year -= 1900;
        return true;
    case 'm':
        if (!parse_number(text, 2, 1, 12, &tm->tm_mon))
            return false;
        tm->tm_mon--;
        return true;
    case 'd':
        return parse_number(text, 2, 1, 31, &tm->tm_mday);
    case 'H':
        return parse_number(text, 2, 0, 23, &tm->tm_hour);
    case 'M':
        return parse_number(text, 2, 0, 59, &tm->tm_min);
    case 'S':
        return parse_number(text, 2, 0, 60, &tm->tm_sec);
    case 'j':
        return parse_number(text, 3, 1, 366, year_day);
    case 'u':
        return parse_number(text, 1, 1, 7, &ignored);
    case 'z':
    case 'Z': {
        size_t len = strncmp(*text, "UTC", 3) == 0 ? 3 : parse_offset(*text, &m->offset_s);
        *text += len;
        return len > 0;
    }
    default:
        return directive == '%' && *(*text)++ == '%';
    }
}

/* A day that the month does not have would slide into the next one. */
static bool day_exists(const struct moment *m)
{
    struct tm tm = m->tm;
    timegm(&tm);
    return tm.tm_mday == m->tm.tm_mday && tm.tm_mon == m->tm.tm_mon;
}

static bool parse_by_format(const char *text, const char *format, struct moment *m)
{
    int year_day = 0;
    for (; *format; format++) {
        if (*format == '%') {
            if (!parse_directive(&text, *++format, m, &year_day))
                return false;
        } else if (*text++ != *format) {
            return false;
        }
    }
    if (*text || !day_exists(m))
        return false;
    if (year_day) {
        m->tm.tm_mon = 0;
        m->tm.tm_mday = year_day;
    }
    return true;
}

/* .5, .123, .123456: what is finer than a millisecond is cut */
static bool parse_fraction(const char **text, int *ms)
{
    int scale = 100;
    if (**text != '.' && **text != ',')
        return true;
    if (!isdigit((unsigned char)*++*text))
        return false;
    for (; isdigit((unsigned char)**text); ++*text) {
        *ms += (**text - '0') * scale;
        scale /= 10;
    }
    return true;
}

/* 2023-11-14, 2023-11-14T22:13, ...:20, ...:20.123, each with Z or an offset, or taken in `m`'s */
static bool parse_iso(const char *text, struct moment *m)
{
    int unused;
    static const char date[] = "Y-m-d";
    for (const char *part = date; *part; part++) {
        if (*part == '-' ? *text++ != '-' : !parse_directive(&text, *part, m, &unused))
            return false;
    }
    if (*text == 'T' || *text == 't' || *text == ' ') {
        text++;
        if (!parse_directive(&text, 'H', m, &unused) || *text++ != ':' ||
            !parse_directive(&text, 'M', m, &unused))
            return false;
        if (*text == ':' && (text++, !parse_directive(&text, 'S', m, &unused)))
            return false;
        if (!parse_fraction(&text, &m->ms))
            return false;
        text += *text ? parse_offset(text, &m->offset_s) : 0;
    }
    return *text == '\0' && day_exists(m);
}

/* (s[, format[, zone]]) -> ms, or nil and why */
static int time_parse(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    struct moment moment = { .tm = { .tm_year = 70, .tm_mday = 1 },
                             .offset_s = checked_offset(L, 3) };
    ps_lua_charge(L, 30);
    bool fine = strlen(text) == len && len <= FORMAT_LEN_MAX * 2;
    if (fine && lua_isnoneornil(L, 2)) {
        fine = parse_iso(text, &moment);
    } else if (fine) {
        char directives[FORMAT_LEN_MAX * 5];
        fine = parse_by_format(text, expand(L, 2, directives, sizeof directives), &moment);
    }
    if (fine) {
        lua_pushinteger(L, ms_of(&moment));
        return 1;
    }
    lua_pushnil(L);
    lua_pushliteral(L, "not a time of this format");
    return 2;
}

/* --- parts --- */

static int time_parts(lua_State *L)
{
    int64_t ms = checked_ms(L, 1);
    struct moment m = moment_of(ms, checked_offset(L, 2));
    const struct {
        const char *name;
        int value;
    } parts[] = {
        { "year", m.tm.tm_year + 1900 },
        { "month", m.tm.tm_mon + 1 },
        { "day", m.tm.tm_mday },
        { "hour", m.tm.tm_hour },
        { "min", m.tm.tm_min },
        { "sec", m.tm.tm_sec },
        { "ms", m.ms },
        { "wday", week_day(&m) },
        { "yday", m.tm.tm_yday + 1 },
    };
    lua_createtable(L, 0, sizeof parts / sizeof parts[0]);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        lua_pushinteger(L, parts[i].value);
        lua_setfield(L, -2, parts[i].name);
    }
    return 1;
}

static int time_start_of(lua_State *L)
{
    static const char *const units[] = { "hour", "day", "week", "month", "year", NULL };
    enum { HOUR, DAY, WEEK, MONTH, YEAR };
    int64_t ms = checked_ms(L, 1);
    int unit = luaL_checkoption(L, 2, NULL, units);
    struct moment m = moment_of(ms, checked_offset(L, 3));
    m.ms = m.tm.tm_sec = m.tm.tm_min = 0;
    if (unit >= DAY)
        m.tm.tm_hour = 0;
    if (unit == WEEK)
        m.tm.tm_mday -= week_day(&m) - 1;
    if (unit >= MONTH)
        m.tm.tm_mday = 1;
    if (unit == YEAR)
        m.tm.tm_mon = 0;
    lua_pushinteger(L, ms_of(&m));
    return 1;
}

const luaL_Reg ps_lua_lib_time[] = {
    { "now", time_now },     { "iso", time_iso },     { "format", time_format },
    { "parse", time_parse }, { "parts", time_parts }, { "start_of", time_start_of },
    { NULL, NULL },
};
