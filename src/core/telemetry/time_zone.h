/* time_zone: how far local time is from UTC, at any instant, in any zone of the machine's tz
 * database.
 *
 * libc can do this for one zone per process only: tzset() works on globals and on the environment,
 * which other threads read. GLib's GTimeZone and ICU can, at the price of megabytes and of a second
 * main library. The files themselves (TZif, RFC 9636) are a table of instants and offsets and one
 * line of rule for the time after it, so we read these. Every byte is checked: a zone's file is
 * input like any other.
 *
 * Thread: a loaded zone may be read by any. */
#ifndef PS_CORE_TELEMETRY_TIME_ZONE_H
#define PS_CORE_TELEMETRY_TIME_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

/* A day of the year, and a time on it, when a rule changes the offset. */
struct ps_zone_change {
    char kind; /* 'M' month.week.day, 'J' day 1..365 without 29 February, 'D' day 0..365 */
    int month, week, day;
    int32_t at_s; /* after midnight of that day, local time before the change; may be negative */
};

/* Offsets in seconds east of Greenwich. */
struct ps_time_zone {
    size_t count;      /* transitions */
    int64_t *at_s;     /* owned; Unix time, ascending */
    int32_t *offset_s; /* owned; from that instant on */
    int32_t first_s;   /* offset before the first transition */
    /* After the last one: */
    bool has_rule; /* else the last offset stays */
    bool changes;  /* twice a year; else always standard_s */
    int32_t standard_s, summer_s;
    struct ps_zone_change to_summer, to_standard;
};

/**
 * Load a zone by its IANA name, as "Europe/Berlin"; NULL or empty: the server's (TZ, then
 * /etc/localtime; UTC if there is none). The name is checked, it never leaves the database's
 * folder. "UTC" and "GMT" need no file.
 * Returns: PS_OK; PS_EINVAL there is no such zone; PS_ENOMEM
 */
PS_MUST_CHECK
enum ps_status ps_time_zone_load(const char *name, struct ps_time_zone *out);
/** The zone of a TZif file's bytes. Returns: PS_OK; PS_EPROTO; PS_ENOMEM */
PS_MUST_CHECK
enum ps_status ps_time_zone_parse(const void *bytes, size_t len, struct ps_time_zone *out);
void ps_time_zone_deinit(struct ps_time_zone *zone); /* zeroed is fine */

/** The offset at an instant of Unix time. */
int32_t ps_time_zone_offset(const struct ps_time_zone *zone, int64_t unix_s);
/** The first instant at which the local clock shows `local_s` (seconds since 1970, local), or has
 *  jumped over it. */
int64_t ps_time_zone_instant(const struct ps_time_zone *zone, int64_t local_s);

#endif
