#include "core/telemetry/time_zone.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/telemetry/civil.h"

#define ZONE_FOLDER "/usr/share/zoneinfo"
#define SERVER_ZONE "/etc/localtime"

enum {
    FILE_BYTES_MAX = 256 * 1024,
    HEADER_BYTES = 44,
    TYPE_BYTES = 6,
    NAME_BYTES_MAX = 64,
    DAY_S = 86400,
    OFFSET_S_MAX = 26 * 3600,          /* RFC 9636 allows no more */
    RULE_OFFSET_S_MAX = 25 * 3600 - 1, /* of a rule 24:59:59; summer may be an hour more */
};

void ps_time_zone_deinit(struct ps_time_zone *zone)
{
    free(zone->at_s);
    free(zone->offset_s);
    *zone = (struct ps_time_zone){ 0 };
}

/* ---- the rule after the last transition: a POSIX TZ string -------------------------------------
 */

static bool skip_name(const char **at)
{
    const char *p = *at;
    if (*p == '<') {
        while (*p && *p != '>')
            p++;
        if (*p++ != '>')
            return false;
    } else {
        while (isalpha((unsigned char)*p))
            p++;
    }
    bool some = p > *at;
    *at = p;
    return some;
}

static bool read_number(const char **at, int max, int *out)
{
    int number = 0;
    const char *p = *at;
    while (isdigit((unsigned char)*p) && number <= max)
        number = number * 10 + (*p++ - '0');
    if (p == *at || number > max)
        return false;
    *at = p;
    *out = number;
    return true;
}

/* [+-]hh[:mm[:ss]] */
static bool read_time(const char **at, int32_t *out)
{
    int hours, minutes = 0, seconds = 0;
    bool minus = **at == '-';
    if (minus || **at == '+')
        (*at)++;
    if (!read_number(at, 167, &hours))
        return false;
    if (**at == ':') {
        (*at)++;
        if (!read_number(at, 59, &minutes))
            return false;
    }
    if (**at == ':') {
        (*at)++;
        if (!read_number(at, 59, &seconds))
            return false;
    }
    int32_t time = hours * 3600 + minutes * 60 + seconds;
    *out = minus ? -time : time;
    return true;
}

/* In TZ strings west is positive. */
static bool read_offset(const char **at, int32_t *out)
{
    int32_t west;
    if (!read_time(at, &west) || west > RULE_OFFSET_S_MAX || west < -RULE_OFFSET_S_MAX)
        return false;
    *out = -west;
    return true;
}

static bool read_day(const char **at, struct ps_zone_change *change)
{
    if (**at == 'J') {
        (*at)++;
        change->kind = 'J';
        return read_number(at, 365, &change->day) && change->day >= 1;
    }
    if (**at != 'M') {
        change->kind = 'D';
        return read_number(at, 365, &change->day);
    }
    (*at)++;
    change->kind = 'M';
    if (!read_number(at, 12, &change->month) || change->month < 1 || *(*at)++ != '.')
        return false;
    if (!read_number(at, 5, &change->week) || change->week < 1 || *(*at)++ != '.')
        return false;
    return read_number(at, 6, &change->day);
}

static bool read_change(const char **at, struct ps_zone_change *change)
{
    *change = (struct ps_zone_change){ .at_s = 2 * 3600 };
    if (*(*at)++ != ',' || !read_day(at, change))
        return false;
    if (**at != '/')
        return true;
    (*at)++;
    return read_time(at, &change->at_s); /* of up to 167 hours, and what minutes they have */
}

/* std offset [dst [offset] ,start[/time],end[/time]] */
static bool read_rule(const char *text, struct ps_time_zone *zone)
{
    const char *at = text;
    if (!skip_name(&at) || !read_offset(&at, &zone->standard_s))
        return false;
    zone->has_rule = true;
    if (!*at)
        return true;
    if (!skip_name(&at))
        return false;
    zone->summer_s = zone->standard_s + 3600;
    if (*at != ',' && !read_offset(&at, &zone->summer_s))
        return false;
    zone->changes = true;
    return read_change(&at, &zone->to_summer) && read_change(&at, &zone->to_standard) && !*at;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* The day since 1970 on which the change happens in a year. */
static int64_t change_day(const struct ps_zone_change *change, int64_t year)
{
    if (change->kind == 'D')
        return ps_day_of_civil(year, 1, 1) + change->day;
    if (change->kind == 'J') /* day 60 is always the first of March */
        return ps_day_of_civil(year, 1, 1) + change->day - 1 + (change->day >= 60 && is_leap(year));
    int64_t first = ps_day_of_civil(year, change->month, 1);
    int64_t next = change->month == 12 ? ps_day_of_civil(year + 1, 1, 1)
                                       : ps_day_of_civil(year, change->month + 1, 1);
    int64_t weekday = first + 4 - ps_floor_div(first + 4, 7) * 7;
    int64_t day = first + (change->day - weekday + 7) % 7 + 7 * (change->week - 1);
    return day < next ? day : day - 7; /* week 5 is the last there is */
}

static int32_t offset_by_rule(const struct ps_time_zone *zone, int64_t unix_s)
{
    if (!zone->changes)
        return zone->standard_s;
    int64_t year = ps_civil_of_day(ps_floor_div(unix_s + zone->standard_s, DAY_S)).year;
    int64_t summer =
        change_day(&zone->to_summer, year) * DAY_S + zone->to_summer.at_s - zone->standard_s;
    int64_t standard =
        change_day(&zone->to_standard, year) * DAY_S + zone->to_standard.at_s - zone->summer_s;
    bool is_summer = summer < standard ? unix_s >= summer && unix_s < standard
                                       : unix_s >= summer || unix_s < standard;
    return is_summer ? zone->summer_s : zone->standard_s;
}

/* ---- the file: TZif, RFC 9636 ------------------------------------------------------------------
 */

static uint64_t big_endian(const uint8_t *at, size_t bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++)
        number = number << 8 | at[i];
    return number;
}

struct header {
    char version;
    size_t ut_flags, standard_flags, leaps, times, types, chars;
};

static bool read_header(const uint8_t *at, size_t left, struct header *out)
{
    if (left < HEADER_BYTES || memcmp(at, "TZif", 4) != 0)
        return false;
    *out = (struct header){ .version = (char)at[4],
                            .ut_flags = big_endian(at + 20, 4),
                            .standard_flags = big_endian(at + 24, 4),
                            .leaps = big_endian(at + 28, 4),
                            .times = big_endian(at + 32, 4),
                            .types = big_endian(at + 36, 4),
                            .chars = big_endian(at + 40, 4) };
    /* Each is below 2^32, so their sum with small factors fits. */
    return out->types >= 1 && out->types <= 256;
}

static size_t block_bytes(const struct header *header, size_t time_bytes)
{
    return header->times * (time_bytes + 1) + header->types * TYPE_BYTES + header->chars +
           header->leaps * (time_bytes + 4) + header->standard_flags + header->ut_flags;
}

static bool read_type(const uint8_t *types, size_t index, int32_t *offset)
{
    *offset = (int32_t)(uint32_t)big_endian(types + index * TYPE_BYTES, 4);
    return *offset >= -OFFSET_S_MAX && *offset <= OFFSET_S_MAX;
}

static enum ps_status read_transitions(const struct header *header, const uint8_t *block,
                                       size_t time_bytes, struct ps_time_zone *zone)
{
    const uint8_t *indexes = block + header->times * time_bytes;
    const uint8_t *types = indexes + header->times;
    if (!read_type(types, 0, &zone->first_s))
        return PS_EPROTO;
    zone->at_s = calloc(header->times + 1, sizeof *zone->at_s);
    zone->offset_s = calloc(header->times + 1, sizeof *zone->offset_s);
    if (!zone->at_s || !zone->offset_s)
        return PS_ENOMEM;
    for (size_t i = 0; i < header->times; i++) {
        uint64_t bits = big_endian(block + i * time_bytes, time_bytes);
        zone->at_s[i] = time_bytes == 4 ? (int32_t)(uint32_t)bits : (int64_t)bits;
        if (indexes[i] >= header->types || !read_type(types, indexes[i], &zone->offset_s[i]) ||
            (i && zone->at_s[i] <= zone->at_s[i - 1]))
            return PS_EPROTO;
    }
    zone->count = header->times;
    return PS_OK;
}

static enum ps_status read_footer(const uint8_t *at, size_t left, struct ps_time_zone *zone)
{
    char rule[128];
    if (left < 2 || at[0] != '\n')
        return PS_EPROTO;
    const uint8_t *end = memchr(at + 1, '\n', left - 1);
    size_t len = end ? (size_t)(end - at - 1) : sizeof rule;
    if (len >= sizeof rule)
        return PS_EPROTO;
    memcpy(rule, at + 1, len);
    rule[len] = '\0';
    return len == 0 || read_rule(rule, zone) ? PS_OK : PS_EPROTO;
}

enum ps_status ps_time_zone_parse(const void *bytes, size_t len, struct ps_time_zone *out)
{
    const uint8_t *at = bytes, *end = at + len;
    struct header header;
    struct ps_time_zone zone = { 0 };
    size_t time_bytes = 4;
    if (!read_header(at, len, &header))
        return PS_EPROTO;
    if (header.version >= '2') { /* the same again, in 64 bits */
        size_t skip = HEADER_BYTES + block_bytes(&header, time_bytes);
        if (skip > len || !read_header(at + skip, len - skip, &header))
            return PS_EPROTO;
        at += skip;
        time_bytes = 8;
    }
    at += HEADER_BYTES;
    if (header.leaps || block_bytes(&header, time_bytes) > (size_t)(end - at))
        return PS_EPROTO; /* a clock that counts leap seconds is not Unix time */
    enum ps_status st = read_transitions(&header, at, time_bytes, &zone);
    at += block_bytes(&header, time_bytes);
    if (st == PS_OK && time_bytes == 8)
        st = read_footer(at, (size_t)(end - at), &zone);
    if (st != PS_OK) {
        ps_time_zone_deinit(&zone);
        return st;
    }
    *out = zone;
    return PS_OK;
}

static enum ps_status load_file(const char *path, struct ps_time_zone *out)
{
    FILE *file = fopen(path, "rbe");
    if (!file)
        return errno == ENOMEM ? PS_ENOMEM : PS_EINVAL;
    char *bytes = malloc(FILE_BYTES_MAX);
    size_t len = bytes ? fread(bytes, 1, FILE_BYTES_MAX, file) : 0;
    fclose(file);
    enum ps_status st = bytes ? ps_time_zone_parse(bytes, len, out) : PS_ENOMEM;
    free(bytes);
    return st == PS_EPROTO ? PS_EINVAL : st;
}

/* Letters, digits and "_+-", in parts divided by single slashes: no way out of the folder. */
static bool is_name(const char *name)
{
    size_t len = strlen(name);
    if (len > NAME_BYTES_MAX || name[0] == '/' || name[len - 1] == '/')
        return false;
    for (size_t i = 0; i < len; i++) {
        bool fine = isalnum((unsigned char)name[i]) || strchr("_+-", name[i]) ||
                    (name[i] == '/' && name[i + 1] != '/');
        if (!fine)
            return false;
    }
    return true;
}

static enum ps_status load_named(const char *name, struct ps_time_zone *out)
{
    char path[sizeof ZONE_FOLDER + NAME_BYTES_MAX + 2];
    if (!is_name(name))
        return PS_EINVAL;
    if (strcmp(name, "UTC") == 0 || strcmp(name, "GMT") == 0) {
        *out = (struct ps_time_zone){ 0 };
        return PS_OK;
    }
    snprintf(path, sizeof path, "%s/%s", ZONE_FOLDER, name);
    return load_file(path, out);
}

enum ps_status ps_time_zone_load(const char *name, struct ps_time_zone *out)
{
    if (name && *name)
        return load_named(name, out);
    const char *server = getenv("TZ");
    if (server && *server == ':')
        server++;
    if (server && *server)
        return load_named(server, out) == PS_OK ? PS_OK : load_named("UTC", out);
    return load_file(SERVER_ZONE, out) == PS_OK ? PS_OK : load_named("UTC", out);
}

/* ---- asking -----------------------------------------------------------------------------------
 */

int32_t ps_time_zone_offset(const struct ps_time_zone *zone, int64_t unix_s)
{
    size_t low = 0, high = zone->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->at_s[middle] <= unix_s)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == zone->count && zone->has_rule)
        return offset_by_rule(zone, unix_s);
    return low ? zone->offset_s[low - 1] : zone->first_s;
}

static bool has_come(const struct ps_time_zone *zone, int64_t unix_s, int64_t local_s)
{
    return unix_s + ps_time_zone_offset(zone, unix_s) >= local_s;
}

int64_t ps_time_zone_instant(const struct ps_time_zone *zone, int64_t local_s)
{
    int32_t before = ps_time_zone_offset(zone, local_s - OFFSET_S_MAX);
    int64_t instant = local_s - before;
    int32_t after = ps_time_zone_offset(zone, instant);
    if (after == before)
        return instant;
    int64_t other = local_s - after;
    if (ps_time_zone_offset(zone, other) == after)
        return other;
    /* The clock jumped over it: find the jump. */
    int64_t low = instant < other ? instant : other, high = instant < other ? other : instant;
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (has_come(zone, middle, local_s))
            high = middle;
        else
            low = middle;
    }
    return high;
}
