/* Weeks, months and quarters of time zones, against dates worked out by another implementation
 * (Python's zoneinfo): daylight saving, midnights that do not exist or come twice, the skipped day
 * of Samoa, offsets of 45 minutes, and rules for years that have no table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/telemetry/calendar.h"

static const struct period_case {
    const char *zone, *utc;
    enum ps_interval_type type;
    int64_t at_s, start_s, end_s;
} period_cases[] = {
    /* clang-format off */
    { "Europe/Berlin", "2026-03-29T00:30:00", PS_INTERVAL_WEEK, INT64_C(1774744200), INT64_C(1774738800), INT64_C(1775340000) },
    { "Europe/Berlin", "2026-03-29T00:30:00", PS_INTERVAL_WEEK_ISO, INT64_C(1774744200), INT64_C(1774220400), INT64_C(1774821600) },
    { "Europe/Berlin", "2026-03-29T00:30:00", PS_INTERVAL_MONTH, INT64_C(1774744200), INT64_C(1772319600), INT64_C(1774994400) },
    { "Europe/Berlin", "2026-03-29T00:30:00", PS_INTERVAL_QUARTER, INT64_C(1774744200), INT64_C(1767222000), INT64_C(1774994400) },
    { "Europe/Berlin", "2026-03-30T12:00:00", PS_INTERVAL_WEEK, INT64_C(1774872000), INT64_C(1774738800), INT64_C(1775340000) },
    { "Europe/Berlin", "2026-03-30T12:00:00", PS_INTERVAL_WEEK_ISO, INT64_C(1774872000), INT64_C(1774821600), INT64_C(1775426400) },
    { "Europe/Berlin", "2026-03-30T12:00:00", PS_INTERVAL_MONTH, INT64_C(1774872000), INT64_C(1772319600), INT64_C(1774994400) },
    { "Europe/Berlin", "2026-03-30T12:00:00", PS_INTERVAL_QUARTER, INT64_C(1774872000), INT64_C(1767222000), INT64_C(1774994400) },
    { "Europe/Berlin", "2026-10-25T00:30:00", PS_INTERVAL_WEEK, INT64_C(1792888200), INT64_C(1792879200), INT64_C(1793487600) },
    { "Europe/Berlin", "2026-10-25T00:30:00", PS_INTERVAL_WEEK_ISO, INT64_C(1792888200), INT64_C(1792360800), INT64_C(1792969200) },
    { "Europe/Berlin", "2026-10-25T00:30:00", PS_INTERVAL_MONTH, INT64_C(1792888200), INT64_C(1790805600), INT64_C(1793487600) },
    { "Europe/Berlin", "2026-10-25T00:30:00", PS_INTERVAL_QUARTER, INT64_C(1792888200), INT64_C(1790805600), INT64_C(1798758000) },
    { "Europe/Berlin", "2026-11-01T22:59:59", PS_INTERVAL_WEEK, INT64_C(1793573999), INT64_C(1793487600), INT64_C(1794092400) },
    { "Europe/Berlin", "2026-11-01T22:59:59", PS_INTERVAL_WEEK_ISO, INT64_C(1793573999), INT64_C(1792969200), INT64_C(1793574000) },
    { "Europe/Berlin", "2026-11-01T22:59:59", PS_INTERVAL_MONTH, INT64_C(1793573999), INT64_C(1793487600), INT64_C(1796079600) },
    { "Europe/Berlin", "2026-11-01T22:59:59", PS_INTERVAL_QUARTER, INT64_C(1793573999), INT64_C(1790805600), INT64_C(1798758000) },
    { "Europe/Berlin", "2038-07-05T10:00:00", PS_INTERVAL_WEEK, INT64_C(2161936800), INT64_C(2161807200), INT64_C(2162412000) },
    { "Europe/Berlin", "2038-07-05T10:00:00", PS_INTERVAL_WEEK_ISO, INT64_C(2161936800), INT64_C(2161893600), INT64_C(2162498400) },
    { "Europe/Berlin", "2038-07-05T10:00:00", PS_INTERVAL_MONTH, INT64_C(2161936800), INT64_C(2161548000), INT64_C(2164226400) },
    { "Europe/Berlin", "2038-07-05T10:00:00", PS_INTERVAL_QUARTER, INT64_C(2161936800), INT64_C(2161548000), INT64_C(2169496800) },
    { "Europe/Berlin", "1970-01-01T00:00:00", PS_INTERVAL_WEEK, INT64_C(0), INT64_C(-349200), INT64_C(255600) },
    { "Europe/Berlin", "1970-01-01T00:00:00", PS_INTERVAL_WEEK_ISO, INT64_C(0), INT64_C(-262800), INT64_C(342000) },
    { "Europe/Berlin", "1970-01-01T00:00:00", PS_INTERVAL_MONTH, INT64_C(0), INT64_C(-3600), INT64_C(2674800) },
    { "Europe/Berlin", "1970-01-01T00:00:00", PS_INTERVAL_QUARTER, INT64_C(0), INT64_C(-3600), INT64_C(7772400) },
    { "Europe/Berlin", "2026-10-25T23:30:00", PS_INTERVAL_WEEK, INT64_C(1792971000), INT64_C(1792879200), INT64_C(1793487600) },
    { "Europe/Berlin", "2026-10-25T23:30:00", PS_INTERVAL_WEEK_ISO, INT64_C(1792971000), INT64_C(1792969200), INT64_C(1793574000) },
    { "Europe/Berlin", "2026-10-25T23:30:00", PS_INTERVAL_MONTH, INT64_C(1792971000), INT64_C(1790805600), INT64_C(1793487600) },
    { "Europe/Berlin", "2026-10-25T23:30:00", PS_INTERVAL_QUARTER, INT64_C(1792971000), INT64_C(1790805600), INT64_C(1798758000) },
    { "America/New_York", "2026-03-08T06:59:59", PS_INTERVAL_WEEK, INT64_C(1772953199), INT64_C(1772946000), INT64_C(1773547200) },
    { "America/New_York", "2026-03-08T06:59:59", PS_INTERVAL_WEEK_ISO, INT64_C(1772953199), INT64_C(1772427600), INT64_C(1773028800) },
    { "America/New_York", "2026-03-08T06:59:59", PS_INTERVAL_MONTH, INT64_C(1772953199), INT64_C(1772341200), INT64_C(1775016000) },
    { "America/New_York", "2026-03-08T06:59:59", PS_INTERVAL_QUARTER, INT64_C(1772953199), INT64_C(1767243600), INT64_C(1775016000) },
    { "America/New_York", "2026-03-08T07:00:00", PS_INTERVAL_WEEK, INT64_C(1772953200), INT64_C(1772946000), INT64_C(1773547200) },
    { "America/New_York", "2026-03-08T07:00:00", PS_INTERVAL_WEEK_ISO, INT64_C(1772953200), INT64_C(1772427600), INT64_C(1773028800) },
    { "America/New_York", "2026-03-08T07:00:00", PS_INTERVAL_MONTH, INT64_C(1772953200), INT64_C(1772341200), INT64_C(1775016000) },
    { "America/New_York", "2026-03-08T07:00:00", PS_INTERVAL_QUARTER, INT64_C(1772953200), INT64_C(1767243600), INT64_C(1775016000) },
    { "America/New_York", "2026-11-01T05:30:00", PS_INTERVAL_WEEK, INT64_C(1793511000), INT64_C(1793505600), INT64_C(1794114000) },
    { "America/New_York", "2026-11-01T05:30:00", PS_INTERVAL_WEEK_ISO, INT64_C(1793511000), INT64_C(1792987200), INT64_C(1793595600) },
    { "America/New_York", "2026-11-01T05:30:00", PS_INTERVAL_MONTH, INT64_C(1793511000), INT64_C(1793505600), INT64_C(1796101200) },
    { "America/New_York", "2026-11-01T05:30:00", PS_INTERVAL_QUARTER, INT64_C(1793511000), INT64_C(1790827200), INT64_C(1798779600) },
    { "America/New_York", "2026-11-01T06:30:00", PS_INTERVAL_WEEK, INT64_C(1793514600), INT64_C(1793505600), INT64_C(1794114000) },
    { "America/New_York", "2026-11-01T06:30:00", PS_INTERVAL_WEEK_ISO, INT64_C(1793514600), INT64_C(1792987200), INT64_C(1793595600) },
    { "America/New_York", "2026-11-01T06:30:00", PS_INTERVAL_MONTH, INT64_C(1793514600), INT64_C(1793505600), INT64_C(1796101200) },
    { "America/New_York", "2026-11-01T06:30:00", PS_INTERVAL_QUARTER, INT64_C(1793514600), INT64_C(1790827200), INT64_C(1798779600) },
    { "America/New_York", "2050-07-01T03:30:00", PS_INTERVAL_WEEK, INT64_C(2540259000), INT64_C(2539828800), INT64_C(2540433600) },
    { "America/New_York", "2050-07-01T03:30:00", PS_INTERVAL_WEEK_ISO, INT64_C(2540259000), INT64_C(2539915200), INT64_C(2540520000) },
    { "America/New_York", "2050-07-01T03:30:00", PS_INTERVAL_MONTH, INT64_C(2540259000), INT64_C(2537668800), INT64_C(2540260800) },
    { "America/New_York", "2050-07-01T03:30:00", PS_INTERVAL_QUARTER, INT64_C(2540259000), INT64_C(2532398400), INT64_C(2540260800) },
    { "America/New_York", "1969-12-31T23:59:59", PS_INTERVAL_WEEK, INT64_C(-1), INT64_C(-327600), INT64_C(277200) },
    { "America/New_York", "1969-12-31T23:59:59", PS_INTERVAL_WEEK_ISO, INT64_C(-1), INT64_C(-241200), INT64_C(363600) },
    { "America/New_York", "1969-12-31T23:59:59", PS_INTERVAL_MONTH, INT64_C(-1), INT64_C(-2660400), INT64_C(18000) },
    { "America/New_York", "1969-12-31T23:59:59", PS_INTERVAL_QUARTER, INT64_C(-1), INT64_C(-7934400), INT64_C(18000) },
    { "UTC", "2026-01-01T00:00:00", PS_INTERVAL_WEEK, INT64_C(1767225600), INT64_C(1766880000), INT64_C(1767484800) },
    { "UTC", "2026-01-01T00:00:00", PS_INTERVAL_WEEK_ISO, INT64_C(1767225600), INT64_C(1766966400), INT64_C(1767571200) },
    { "UTC", "2026-01-01T00:00:00", PS_INTERVAL_MONTH, INT64_C(1767225600), INT64_C(1767225600), INT64_C(1769904000) },
    { "UTC", "2026-01-01T00:00:00", PS_INTERVAL_QUARTER, INT64_C(1767225600), INT64_C(1767225600), INT64_C(1775001600) },
    { "UTC", "2024-02-29T12:00:00", PS_INTERVAL_WEEK, INT64_C(1709208000), INT64_C(1708819200), INT64_C(1709424000) },
    { "UTC", "2024-02-29T12:00:00", PS_INTERVAL_WEEK_ISO, INT64_C(1709208000), INT64_C(1708905600), INT64_C(1709510400) },
    { "UTC", "2024-02-29T12:00:00", PS_INTERVAL_MONTH, INT64_C(1709208000), INT64_C(1706745600), INT64_C(1709251200) },
    { "UTC", "2024-02-29T12:00:00", PS_INTERVAL_QUARTER, INT64_C(1709208000), INT64_C(1704067200), INT64_C(1711929600) },
    { "UTC", "2000-12-31T23:59:59", PS_INTERVAL_WEEK, INT64_C(978307199), INT64_C(978220800), INT64_C(978825600) },
    { "UTC", "2000-12-31T23:59:59", PS_INTERVAL_WEEK_ISO, INT64_C(978307199), INT64_C(977702400), INT64_C(978307200) },
    { "UTC", "2000-12-31T23:59:59", PS_INTERVAL_MONTH, INT64_C(978307199), INT64_C(975628800), INT64_C(978307200) },
    { "UTC", "2000-12-31T23:59:59", PS_INTERVAL_QUARTER, INT64_C(978307199), INT64_C(970358400), INT64_C(978307200) },
    { "Asia/Kathmandu", "2026-06-30T18:14:59", PS_INTERVAL_WEEK, INT64_C(1782843299), INT64_C(1782584100), INT64_C(1783188900) },
    { "Asia/Kathmandu", "2026-06-30T18:14:59", PS_INTERVAL_WEEK_ISO, INT64_C(1782843299), INT64_C(1782670500), INT64_C(1783275300) },
    { "Asia/Kathmandu", "2026-06-30T18:14:59", PS_INTERVAL_MONTH, INT64_C(1782843299), INT64_C(1780251300), INT64_C(1782843300) },
    { "Asia/Kathmandu", "2026-06-30T18:14:59", PS_INTERVAL_QUARTER, INT64_C(1782843299), INT64_C(1774980900), INT64_C(1782843300) },
    { "Asia/Kathmandu", "2026-06-30T18:15:00", PS_INTERVAL_WEEK, INT64_C(1782843300), INT64_C(1782584100), INT64_C(1783188900) },
    { "Asia/Kathmandu", "2026-06-30T18:15:00", PS_INTERVAL_WEEK_ISO, INT64_C(1782843300), INT64_C(1782670500), INT64_C(1783275300) },
    { "Asia/Kathmandu", "2026-06-30T18:15:00", PS_INTERVAL_MONTH, INT64_C(1782843300), INT64_C(1782843300), INT64_C(1785521700) },
    { "Asia/Kathmandu", "2026-06-30T18:15:00", PS_INTERVAL_QUARTER, INT64_C(1782843300), INT64_C(1782843300), INT64_C(1790792100) },
    { "Asia/Kathmandu", "1985-12-31T18:29:59", PS_INTERVAL_WEEK, INT64_C(504901799), INT64_C(504642600), INT64_C(505246500) },
    { "Asia/Kathmandu", "1985-12-31T18:29:59", PS_INTERVAL_WEEK_ISO, INT64_C(504901799), INT64_C(504729000), INT64_C(505332900) },
    { "Asia/Kathmandu", "1985-12-31T18:29:59", PS_INTERVAL_MONTH, INT64_C(504901799), INT64_C(502223400), INT64_C(504901800) },
    { "Asia/Kathmandu", "1985-12-31T18:29:59", PS_INTERVAL_QUARTER, INT64_C(504901799), INT64_C(496953000), INT64_C(504901800) },
    { "Asia/Kathmandu", "1985-12-31T18:30:00", PS_INTERVAL_WEEK, INT64_C(504901800), INT64_C(504642600), INT64_C(505246500) },
    { "Asia/Kathmandu", "1985-12-31T18:30:00", PS_INTERVAL_WEEK_ISO, INT64_C(504901800), INT64_C(504729000), INT64_C(505332900) },
    { "Asia/Kathmandu", "1985-12-31T18:30:00", PS_INTERVAL_MONTH, INT64_C(504901800), INT64_C(504901800), INT64_C(507579300) },
    { "Asia/Kathmandu", "1985-12-31T18:30:00", PS_INTERVAL_QUARTER, INT64_C(504901800), INT64_C(504901800), INT64_C(512676900) },
    { "America/Sao_Paulo", "2018-02-18T01:59:59", PS_INTERVAL_WEEK, INT64_C(1518919199), INT64_C(1518314400), INT64_C(1518922800) },
    { "America/Sao_Paulo", "2018-02-18T01:59:59", PS_INTERVAL_WEEK_ISO, INT64_C(1518919199), INT64_C(1518400800), INT64_C(1519009200) },
    { "America/Sao_Paulo", "2018-02-18T01:59:59", PS_INTERVAL_MONTH, INT64_C(1518919199), INT64_C(1517450400), INT64_C(1519873200) },
    { "America/Sao_Paulo", "2018-02-18T01:59:59", PS_INTERVAL_QUARTER, INT64_C(1518919199), INT64_C(1514772000), INT64_C(1522551600) },
    { "America/Sao_Paulo", "2018-02-18T02:00:00", PS_INTERVAL_WEEK, INT64_C(1518919200), INT64_C(1518314400), INT64_C(1518922800) },
    { "America/Sao_Paulo", "2018-02-18T02:00:00", PS_INTERVAL_WEEK_ISO, INT64_C(1518919200), INT64_C(1518400800), INT64_C(1519009200) },
    { "America/Sao_Paulo", "2018-02-18T02:00:00", PS_INTERVAL_MONTH, INT64_C(1518919200), INT64_C(1517450400), INT64_C(1519873200) },
    { "America/Sao_Paulo", "2018-02-18T02:00:00", PS_INTERVAL_QUARTER, INT64_C(1518919200), INT64_C(1514772000), INT64_C(1522551600) },
    { "America/Sao_Paulo", "2018-02-18T02:30:00", PS_INTERVAL_WEEK, INT64_C(1518921000), INT64_C(1518314400), INT64_C(1518922800) },
    { "America/Sao_Paulo", "2018-02-18T02:30:00", PS_INTERVAL_WEEK_ISO, INT64_C(1518921000), INT64_C(1518400800), INT64_C(1519009200) },
    { "America/Sao_Paulo", "2018-02-18T02:30:00", PS_INTERVAL_MONTH, INT64_C(1518921000), INT64_C(1517450400), INT64_C(1519873200) },
    { "America/Sao_Paulo", "2018-02-18T02:30:00", PS_INTERVAL_QUARTER, INT64_C(1518921000), INT64_C(1514772000), INT64_C(1522551600) },
    { "America/Sao_Paulo", "2018-02-18T03:00:00", PS_INTERVAL_WEEK, INT64_C(1518922800), INT64_C(1518922800), INT64_C(1519527600) },
    { "America/Sao_Paulo", "2018-02-18T03:00:00", PS_INTERVAL_WEEK_ISO, INT64_C(1518922800), INT64_C(1518400800), INT64_C(1519009200) },
    { "America/Sao_Paulo", "2018-02-18T03:00:00", PS_INTERVAL_MONTH, INT64_C(1518922800), INT64_C(1517450400), INT64_C(1519873200) },
    { "America/Sao_Paulo", "2018-02-18T03:00:00", PS_INTERVAL_QUARTER, INT64_C(1518922800), INT64_C(1514772000), INT64_C(1522551600) },
    { "America/Sao_Paulo", "2018-11-04T02:59:59", PS_INTERVAL_WEEK, INT64_C(1541300399), INT64_C(1540695600), INT64_C(1541300400) },
    { "America/Sao_Paulo", "2018-11-04T02:59:59", PS_INTERVAL_WEEK_ISO, INT64_C(1541300399), INT64_C(1540782000), INT64_C(1541383200) },
    { "America/Sao_Paulo", "2018-11-04T02:59:59", PS_INTERVAL_MONTH, INT64_C(1541300399), INT64_C(1541041200), INT64_C(1543629600) },
    { "America/Sao_Paulo", "2018-11-04T02:59:59", PS_INTERVAL_QUARTER, INT64_C(1541300399), INT64_C(1538362800), INT64_C(1546308000) },
    { "America/Sao_Paulo", "2018-11-04T03:00:00", PS_INTERVAL_WEEK, INT64_C(1541300400), INT64_C(1541300400), INT64_C(1541901600) },
    { "America/Sao_Paulo", "2018-11-04T03:00:00", PS_INTERVAL_WEEK_ISO, INT64_C(1541300400), INT64_C(1540782000), INT64_C(1541383200) },
    { "America/Sao_Paulo", "2018-11-04T03:00:00", PS_INTERVAL_MONTH, INT64_C(1541300400), INT64_C(1541041200), INT64_C(1543629600) },
    { "America/Sao_Paulo", "2018-11-04T03:00:00", PS_INTERVAL_QUARTER, INT64_C(1541300400), INT64_C(1538362800), INT64_C(1546308000) },
    { "Australia/Lord_Howe", "2026-04-04T15:15:00", PS_INTERVAL_WEEK, INT64_C(1775315700), INT64_C(1775307600), INT64_C(1775914200) },
    { "Australia/Lord_Howe", "2026-04-04T15:15:00", PS_INTERVAL_WEEK_ISO, INT64_C(1775315700), INT64_C(1774789200), INT64_C(1775395800) },
    { "Australia/Lord_Howe", "2026-04-04T15:15:00", PS_INTERVAL_MONTH, INT64_C(1775315700), INT64_C(1774962000), INT64_C(1777555800) },
    { "Australia/Lord_Howe", "2026-04-04T15:15:00", PS_INTERVAL_QUARTER, INT64_C(1775315700), INT64_C(1774962000), INT64_C(1782826200) },
    { "Australia/Lord_Howe", "2040-10-10T00:00:00", PS_INTERVAL_WEEK, INT64_C(2233440000), INT64_C(2233143000), INT64_C(2233746000) },
    { "Australia/Lord_Howe", "2040-10-10T00:00:00", PS_INTERVAL_WEEK_ISO, INT64_C(2233440000), INT64_C(2233227600), INT64_C(2233832400) },
    { "Australia/Lord_Howe", "2040-10-10T00:00:00", PS_INTERVAL_MONTH, INT64_C(2233440000), INT64_C(2232624600), INT64_C(2235301200) },
    { "Australia/Lord_Howe", "2040-10-10T00:00:00", PS_INTERVAL_QUARTER, INT64_C(2233440000), INT64_C(2232624600), INT64_C(2240571600) },
    { "Pacific/Apia", "2011-12-30T09:59:59", PS_INTERVAL_WEEK, INT64_C(1325239199), INT64_C(1324807200), INT64_C(1325325600) },
    { "Pacific/Apia", "2011-12-30T09:59:59", PS_INTERVAL_WEEK_ISO, INT64_C(1325239199), INT64_C(1324893600), INT64_C(1325412000) },
    { "Pacific/Apia", "2011-12-30T09:59:59", PS_INTERVAL_MONTH, INT64_C(1325239199), INT64_C(1322733600), INT64_C(1325325600) },
    { "Pacific/Apia", "2011-12-30T09:59:59", PS_INTERVAL_QUARTER, INT64_C(1325239199), INT64_C(1317463200), INT64_C(1325325600) },
    { "Pacific/Apia", "2011-12-30T10:00:00", PS_INTERVAL_WEEK, INT64_C(1325239200), INT64_C(1324807200), INT64_C(1325325600) },
    { "Pacific/Apia", "2011-12-30T10:00:00", PS_INTERVAL_WEEK_ISO, INT64_C(1325239200), INT64_C(1324893600), INT64_C(1325412000) },
    { "Pacific/Apia", "2011-12-30T10:00:00", PS_INTERVAL_MONTH, INT64_C(1325239200), INT64_C(1322733600), INT64_C(1325325600) },
    { "Pacific/Apia", "2011-12-30T10:00:00", PS_INTERVAL_QUARTER, INT64_C(1325239200), INT64_C(1317463200), INT64_C(1325325600) },
    { "Africa/Casablanca", "2026-02-20T00:00:00", PS_INTERVAL_WEEK, INT64_C(1771545600), INT64_C(1771110000), INT64_C(1771718400) },
    { "Africa/Casablanca", "2026-02-20T00:00:00", PS_INTERVAL_WEEK_ISO, INT64_C(1771545600), INT64_C(1771200000), INT64_C(1771804800) },
    { "Africa/Casablanca", "2026-02-20T00:00:00", PS_INTERVAL_MONTH, INT64_C(1771545600), INT64_C(1769900400), INT64_C(1772323200) },
    { "Africa/Casablanca", "2026-02-20T00:00:00", PS_INTERVAL_QUARTER, INT64_C(1771545600), INT64_C(1767222000), INT64_C(1774998000) },
    { "Africa/Casablanca", "2090-06-01T00:00:00", PS_INTERVAL_WEEK, INT64_C(3799958400), INT64_C(3799609200), INT64_C(3800214000) },
    { "Africa/Casablanca", "2090-06-01T00:00:00", PS_INTERVAL_WEEK_ISO, INT64_C(3799958400), INT64_C(3799695600), INT64_C(3800300400) },
    { "Africa/Casablanca", "2090-06-01T00:00:00", PS_INTERVAL_MONTH, INT64_C(3799958400), INT64_C(3799954800), INT64_C(3802546800) },
    { "Africa/Casablanca", "2090-06-01T00:00:00", PS_INTERVAL_QUARTER, INT64_C(3799958400), INT64_C(3794684400), INT64_C(3802546800) },
    { "Europe/Dublin", "2045-01-31T23:59:59", PS_INTERVAL_WEEK, INT64_C(2369519999), INT64_C(2369260800), INT64_C(2369865600) },
    { "Europe/Dublin", "2045-01-31T23:59:59", PS_INTERVAL_WEEK_ISO, INT64_C(2369519999), INT64_C(2369347200), INT64_C(2369952000) },
    { "Europe/Dublin", "2045-01-31T23:59:59", PS_INTERVAL_MONTH, INT64_C(2369519999), INT64_C(2366841600), INT64_C(2369520000) },
    { "Europe/Dublin", "2045-01-31T23:59:59", PS_INTERVAL_QUARTER, INT64_C(2369519999), INT64_C(2366841600), INT64_C(2374614000) },
    { "Europe/Dublin", "2045-07-31T22:59:59", PS_INTERVAL_WEEK, INT64_C(2385154799), INT64_C(2384982000), INT64_C(2385586800) },
    { "Europe/Dublin", "2045-07-31T22:59:59", PS_INTERVAL_WEEK_ISO, INT64_C(2385154799), INT64_C(2385068400), INT64_C(2385673200) },
    { "Europe/Dublin", "2045-07-31T22:59:59", PS_INTERVAL_MONTH, INT64_C(2385154799), INT64_C(2382476400), INT64_C(2385154800) },
    { "Europe/Dublin", "2045-07-31T22:59:59", PS_INTERVAL_QUARTER, INT64_C(2385154799), INT64_C(2382476400), INT64_C(2390425200) },
    { "Europe/Dublin", "2045-07-31T23:00:00", PS_INTERVAL_WEEK, INT64_C(2385154800), INT64_C(2384982000), INT64_C(2385586800) },
    { "Europe/Dublin", "2045-07-31T23:00:00", PS_INTERVAL_WEEK_ISO, INT64_C(2385154800), INT64_C(2385068400), INT64_C(2385673200) },
    { "Europe/Dublin", "2045-07-31T23:00:00", PS_INTERVAL_MONTH, INT64_C(2385154800), INT64_C(2385154800), INT64_C(2387833200) },
    { "Europe/Dublin", "2045-07-31T23:00:00", PS_INTERVAL_QUARTER, INT64_C(2385154800), INT64_C(2382476400), INT64_C(2390425200) },
    { "America/St_Johns", "2009-11-01T02:29:59", PS_INTERVAL_WEEK, INT64_C(1257042599), INT64_C(1256437800), INT64_C(1257042600) },
    { "America/St_Johns", "2009-11-01T02:29:59", PS_INTERVAL_WEEK_ISO, INT64_C(1257042599), INT64_C(1256524200), INT64_C(1257132600) },
    { "America/St_Johns", "2009-11-01T02:29:59", PS_INTERVAL_MONTH, INT64_C(1257042599), INT64_C(1254364200), INT64_C(1257042600) },
    { "America/St_Johns", "2009-11-01T02:29:59", PS_INTERVAL_QUARTER, INT64_C(1257042599), INT64_C(1254364200), INT64_C(1262316600) },
    { "America/St_Johns", "2009-11-01T02:30:00", PS_INTERVAL_WEEK, INT64_C(1257042600), INT64_C(1257042600), INT64_C(1257651000) },
    { "America/St_Johns", "2009-11-01T02:30:00", PS_INTERVAL_WEEK_ISO, INT64_C(1257042600), INT64_C(1256524200), INT64_C(1257132600) },
    { "America/St_Johns", "2009-11-01T02:30:00", PS_INTERVAL_MONTH, INT64_C(1257042600), INT64_C(1257042600), INT64_C(1259638200) },
    { "America/St_Johns", "2009-11-01T02:30:00", PS_INTERVAL_QUARTER, INT64_C(1257042600), INT64_C(1254364200), INT64_C(1262316600) },
    { "America/St_Johns", "2009-11-01T02:45:00", PS_INTERVAL_WEEK, INT64_C(1257043500), INT64_C(1257042600), INT64_C(1257651000) },
    { "America/St_Johns", "2009-11-01T02:45:00", PS_INTERVAL_WEEK_ISO, INT64_C(1257043500), INT64_C(1256524200), INT64_C(1257132600) },
    { "America/St_Johns", "2009-11-01T02:45:00", PS_INTERVAL_MONTH, INT64_C(1257043500), INT64_C(1257042600), INT64_C(1259638200) },
    { "America/St_Johns", "2009-11-01T02:45:00", PS_INTERVAL_QUARTER, INT64_C(1257043500), INT64_C(1254364200), INT64_C(1262316600) },
    { "America/St_Johns", "2009-11-01T03:29:59", PS_INTERVAL_WEEK, INT64_C(1257046199), INT64_C(1257042600), INT64_C(1257651000) },
    { "America/St_Johns", "2009-11-01T03:29:59", PS_INTERVAL_WEEK_ISO, INT64_C(1257046199), INT64_C(1256524200), INT64_C(1257132600) },
    { "America/St_Johns", "2009-11-01T03:29:59", PS_INTERVAL_MONTH, INT64_C(1257046199), INT64_C(1257042600), INT64_C(1259638200) },
    { "America/St_Johns", "2009-11-01T03:29:59", PS_INTERVAL_QUARTER, INT64_C(1257046199), INT64_C(1254364200), INT64_C(1262316600) },
    { "America/St_Johns", "2009-11-01T03:30:00", PS_INTERVAL_WEEK, INT64_C(1257046200), INT64_C(1257042600), INT64_C(1257651000) },
    { "America/St_Johns", "2009-11-01T03:30:00", PS_INTERVAL_WEEK_ISO, INT64_C(1257046200), INT64_C(1256524200), INT64_C(1257132600) },
    { "America/St_Johns", "2009-11-01T03:30:00", PS_INTERVAL_MONTH, INT64_C(1257046200), INT64_C(1257042600), INT64_C(1259638200) },
    { "America/St_Johns", "2009-11-01T03:30:00", PS_INTERVAL_QUARTER, INT64_C(1257046200), INT64_C(1254364200), INT64_C(1262316600) },
    /* clang-format on */
};

static void periods_are_those_of_the_zone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof period_cases / sizeof *period_cases; i++) {
        const struct period_case *c = &period_cases[i];
        struct ps_calendar calendar;
        int64_t start, end;
        assert_int_equal(ps_calendar_init(&calendar, c->type, c->zone), PS_OK);
        for (int64_t ms = 0; ms < 1000; ms += 999) { /* the first and the last of the second */
            ps_calendar_period(&calendar, c->at_s * 1000 + ms, &start, &end);
            if (start != c->start_s * 1000 || end != c->end_s * 1000)
                print_error("%s %s kind %d: %lld .. %lld\n", c->zone, c->utc, (int)c->type,
                            (long long)start / 1000, (long long)end / 1000);
            assert_int_equal(start, c->start_s * 1000);
            assert_int_equal(end, c->end_s * 1000);
        }
        ps_calendar_deinit(&calendar);
    }
}

/* Going from end to end there is no gap, no overlap and no standstill, anywhere in int64. */
static void periods_follow_each_other(void **state)
{
    (void)state;
    static const char *const zones[] = { "Europe/Berlin",  "America/New_York",  "UTC",
                                         "Asia/Kathmandu", "America/Sao_Paulo", "Africa/Cairo" };
    static const int64_t from[] = { INT64_MIN,
                                    -INT64_C(62135596800000),
                                    0,
                                    INT64_C(1500000000000),
                                    INT64_C(2140000000000),
                                    INT64_MAX - INT64_C(200000000000) };
    for (size_t z = 0; z < sizeof zones / sizeof *zones; z++) {
        for (enum ps_interval_type type = PS_INTERVAL_WEEK; type <= PS_INTERVAL_QUARTER; type++) {
            struct ps_calendar calendar;
            assert_int_equal(ps_calendar_init(&calendar, type, zones[z]), PS_OK);
            for (size_t f = 0; f < sizeof from / sizeof *from; f++) {
                int64_t at = from[f], start, end, start_of_last, end_of_last;
                ps_calendar_period(&calendar, at, &start, &end);
                for (int n = 0; n < 200 && end != INT64_MAX; n++, at = end) {
                    ps_calendar_period(&calendar, at, &start, &end);
                    assert_true(start <= at && at < end);
                    assert_true(n == 0 || start == at);
                    ps_calendar_period(&calendar, end - 1, &start_of_last, &end_of_last);
                    assert_true(start_of_last == start && end_of_last == end);
                }
            }
            ps_calendar_deinit(&calendar);
        }
    }
}

static void names_that_are_no_zones_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {
        "Europe/Atlantis",
        "europe/berlin ",
        "../../../etc/localtime",
        "/etc/localtime",
        "Europe",
        "Europe/",
        "Europe//Berlin",
        "tzdata.zi",
        "leapseconds",
        ".",
        "zone1970.tab",
        "right/UTC",
    };
    struct ps_time_zone zone;
    char longest[300];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (ps_time_zone_load(names[i], &zone) != PS_EINVAL)
            print_error("%s\n", names[i]);
        assert_int_equal(ps_time_zone_load(names[i], &zone), PS_EINVAL);
    }
    assert_int_equal(ps_time_zone_load(longest, &zone), PS_EINVAL);
    assert_int_equal(ps_time_zone_load("", &zone), PS_OK); /* the server's */
    ps_time_zone_deinit(&zone);
}

/* ---- the format ---- */

static size_t read_zone(char *bytes, size_t cap)
{
    FILE *file = fopen("/usr/share/zoneinfo/Europe/Berlin", "rb");
    assert_non_null(file);
    size_t len = fread(bytes, 1, cap, file);
    fclose(file);
    return len;
}

/* Each one is read or refused, whatever byte is wrong or missing. */
static void damaged_files_do_no_harm(void **state)
{
    (void)state;
    enum { CAP = 65536 };
    char *bytes = malloc(CAP), *copy = NULL;
    size_t len = read_zone(bytes, CAP);
    unsigned seed = 1;
    struct ps_time_zone zone;
    assert_true(len > 100);
    for (size_t cut = 0; cut < len; cut += 1 + cut / 50) {
        copy = malloc(cut ? cut : 1); /* a reader that goes too far is seen */
        memcpy(copy, bytes, cut);
        assert_int_equal(ps_time_zone_parse(copy, cut, &zone), PS_EPROTO);
        free(copy);
    }
    for (int i = 0; i < 3000; i++) {
        copy = malloc(len);
        memcpy(copy, bytes, len);
        copy[(size_t)rand_r(&seed) % (i % 2 ? 100 : len)] = (char)rand_r(&seed);
        if (ps_time_zone_parse(copy, len, &zone) == PS_OK) {
            (void)ps_time_zone_offset(&zone, INT64_MAX / 1000);
            (void)ps_time_zone_instant(&zone, INT64_C(1) << 40);
            ps_time_zone_deinit(&zone);
        }
        free(copy);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(periods_are_those_of_the_zone),
        cmocka_unit_test(periods_follow_each_other),
        cmocka_unit_test(names_that_are_no_zones_are_refused),
        cmocka_unit_test(damaged_files_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
