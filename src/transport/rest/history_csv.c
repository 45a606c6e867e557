/* history_csv: a history as a table, RFC 4180: ts, iso, then a column for each key.
 *
 * Rows join the keys by timestamp. A question brings the next points of a column; a row is sure
 * when every column either has a next point or is known to have no more. A column that runs dry is
 * asked for on behind the last row, together with those that would be dry soon; the others keep
 * what they have. So a key with few points is not looked for in all files again and again, while
 * the others go on. */
#include <stdlib.h>

#include "core/json_text.h"
#include "transport/rest/history.h"

enum {
    KEY_POINTS_MIN = 16,   /* of a question, however many keys there are */
    ROW_LOOK_MAX = 1000000 /* columns looked at for one slice */
};

#define DAY_MS (24ll * 3600 * 1000)

struct column {
    size_t left;           /* points it may still get */
    bool whole;            /* nothing comes behind what it has */
    bool asked;            /* in the question that is on its way */
    struct ps_points have; /* brought; those from `at` on are not written yet */
    size_t at;
};

struct csv_history {
    struct ps_http_producer producer; /* first */
    struct ps_rest_history ask;
    struct ps_history_query rest; /* what is behind the last row */
    bool ascending;
    bool head_written;
    bool dry;               /* a column must be asked for before the next row */
    struct column *columns; /* one per key */
    const char **names;     /* room for the keys of a question */
};

/* --- fields --- */

/* RFC 4180, 2: quoted if it must be; also an empty text, which is not the same as no value. */
static void put_text(struct ps_buf *out, const char *text, size_t len)
{
    bool plain = len > 0;
    for (size_t i = 0; i < len && plain; i++)
        plain = text[i] != '"' && text[i] != ',' && text[i] != '\r' && text[i] != '\n';
    if (plain) {
        ps_buf_put(out, text, len);
        return;
    }
    ps_buf_put_char(out, '"');
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"')
            ps_buf_put_char(out, '"');
        ps_buf_put_char(out, text[i]);
    }
    ps_buf_put_char(out, '"');
}

static void put_value(struct ps_buf *out, const struct ps_value *value)
{
    if (value->type == PS_VALUE_STRING || value->type == PS_VALUE_JSON)
        put_text(out, value->text, value->len);
    else if (value->type != PS_VALUE_NULL)
        ps_value_put_text(out, value);
}

/* Civil date of a day since 1970, proleptic Gregorian, by eras of 400 years that begin in March, so
 * that the leap day is the last of a year. (Hinnant, "chrono-compatible low-level date algorithms")
 */
static void civil_date(int64_t day, int64_t *year, int *month, int *day_of_month)
{
    enum { ERA_DAYS = 146097, DAYS_BEFORE_1970 = 719468 };
    day += DAYS_BEFORE_1970;
    int64_t era = (day >= 0 ? day : day - (ERA_DAYS - 1)) / ERA_DAYS;
    int64_t of_era = day - era * ERA_DAYS;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / (ERA_DAYS - 1)) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int shifted = (int)((5 * of_year + 2) / 153); /* March is 0 */
    *day_of_month = (int)(of_year - (153 * shifted + 2) / 5) + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = year_of_era + era * 400 + (*month <= 2);
}

static void set_digits(char *at, int count, int64_t number)
{
    for (; count > 0; count--, number /= 10)
        at[count - 1] = (char)('0' + number % 10);
}

/* ISO 8601 in UTC; years of more or less than four digits in its expanded form. By hand: a table
 * has millions of them. */
static void put_iso(struct ps_buf *out, int64_t ts_ms)
{
    char text[] = "-00-00T00:00:00.000Z";
    int64_t day = ts_ms / DAY_MS, ms = ts_ms % DAY_MS, year;
    int month, day_of_month;
    if (ms < 0) {
        ms += DAY_MS;
        day--;
    }
    civil_date(day, &year, &month, &day_of_month);
    char four[4];
    set_digits(four, 4, year < 0 ? 0 : year);
    if (year >= 0 && year <= 9999)
        ps_buf_put(out, four, sizeof four);
    else
        ps_buf_printf(out, "%+07lld", (long long)year);
    set_digits(text + 1, 2, month);
    set_digits(text + 4, 2, day_of_month);
    set_digits(text + 7, 2, ms / 3600000);
    set_digits(text + 10, 2, ms / 60000 % 60);
    set_digits(text + 13, 2, ms / 1000 % 60);
    set_digits(text + 16, 3, ms % 1000);
    ps_buf_put(out, text, sizeof text - 1);
}

/* --- asking --- */

static bool is_before(const struct csv_history *csv, int64_t left_ms, int64_t right_ms)
{
    return csv->ascending ? left_ms < right_ms : left_ms > right_ms;
}

static size_t unwritten(const struct column *column)
{
    return column->have.count - column->at;
}

/* How many points a question brings of each column. */
static size_t share_of_each(const struct csv_history *csv)
{
    size_t open = 0;
    for (size_t i = 0; i < csv->ask.keys.count; i++)
        open += !csv->columns[i].whole;
    size_t share = csv->ask.slice_points / (open ? open : 1);
    return share < KEY_POINTS_MIN ? KEY_POINTS_MIN : share;
}

/* Those that are dry, and those that have less than half a share: what they still have is brought
 * again. */
static size_t choose_columns(struct csv_history *csv, size_t share)
{
    size_t count = 0;
    for (size_t i = 0; i < csv->ask.keys.count; i++) {
        struct column *column = &csv->columns[i];
        column->asked = !column->whole && unwritten(column) <= share / 2;
        if (column->asked)
            csv->names[count++] = csv->ask.keys.list[i];
    }
    return count;
}

/* Move the points into the column. `share`: how many were asked for; 0: all. */
static void fill(struct column *column, struct ps_points *points, size_t share)
{
    ps_points_deinit(&column->have);
    column->have = *points;
    *points = (struct ps_points){ 0 };
    column->at = 0;
    column->whole = !share || column->have.count < share || column->have.count >= column->left;
    if (column->have.count > column->left)
        ps_points_truncate(&column->have, column->left);
}

static enum ps_status ask(struct csv_history *csv, struct ps_db *db)
{
    size_t share = ps_rest_history_is_sliced(&csv->rest) ? share_of_each(csv) : 0;
    size_t count = choose_columns(csv, share);
    struct ps_history_query query = csv->rest;
    struct ps_point_set set;
    if (share)
        query.limit = share;
    enum ps_status st = ps_rest_history_ask(&csv->ask, db, csv->names, count, &query, &set);
    if (st != PS_OK)
        return st;
    size_t list = 0;
    for (size_t i = 0; i < csv->ask.keys.count; i++) {
        if (csv->columns[i].asked)
            fill(&csv->columns[i], &set.keys[list++], share);
    }
    ps_point_set_deinit(&set);
    csv->dry = false;
    return PS_OK;
}

/* --- writing --- */

/* The time of the next row, if there is one; no column may be dry. */
static bool next_row(const struct csv_history *csv, int64_t *ts_ms)
{
    bool found = false;
    for (size_t i = 0; i < csv->ask.keys.count; i++) {
        const struct column *column = &csv->columns[i];
        if (!unwritten(column))
            continue;
        int64_t at_ms = column->have.points[column->at].ts_ms;
        if (!found || is_before(csv, at_ms, *ts_ms))
            *ts_ms = at_ms;
        found = true;
    }
    return found;
}

/* There is nothing behind the last row. */
static void end_columns(struct csv_history *csv)
{
    for (size_t i = 0; i < csv->ask.keys.count; i++)
        csv->columns[i].whole = true;
    csv->dry = false;
}

static void write_row(struct csv_history *csv, struct ps_buf *out, int64_t ts_ms)
{
    ps_json_put_long(out, ts_ms);
    ps_buf_put_char(out, ',');
    put_iso(out, ts_ms);
    for (size_t i = 0; i < csv->ask.keys.count; i++) {
        struct column *column = &csv->columns[i];
        ps_buf_put_char(out, ',');
        if (!unwritten(column) || column->have.points[column->at].ts_ms != ts_ms)
            continue;
        put_value(out, &column->have.points[column->at].value);
        column->at++;
        column->left--;
        csv->dry |= !column->whole && !unwritten(column);
    }
    ps_buf_put_text(out, "\r\n");
    if (!ps_rest_history_go_on(&csv->rest, ts_ms))
        end_columns(csv);
}

/* False: the slice is full. */
static bool write_rows(struct csv_history *csv, struct ps_buf *out)
{
    int64_t ts_ms = 0;
    size_t looked = 0;
    for (; !csv->dry && next_row(csv, &ts_ms); looked += 2 * csv->ask.keys.count) {
        if (out->len >= PS_HTTP_SLICE_BYTES || looked >= ROW_LOOK_MAX)
            return false;
        write_row(csv, out, ts_ms);
    }
    return true;
}

static void write_head(struct csv_history *csv, struct ps_buf *out)
{
    ps_buf_put_text(out, "ts,iso");
    for (size_t i = 0; i < csv->ask.keys.count; i++) {
        ps_buf_put_char(out, ',');
        put_text(out, csv->ask.keys.list[i], strlen(csv->ask.keys.list[i]));
    }
    ps_buf_put_text(out, "\r\n");
    csv->head_written = true;
}

static enum ps_status produce(struct ps_http_producer *producer, struct ps_db *db,
                              struct ps_buf *out, bool *done)
{
    struct csv_history *csv = (struct csv_history *)producer;
    if (!csv->head_written)
        write_head(csv, out);
    while (write_rows(csv, out)) {
        *done = !csv->dry;
        if (*done)
            return PS_OK;
        enum ps_status st = ask(csv, db);
        if (st != PS_OK)
            return st;
    }
    return PS_OK;
}

static void destroy(struct ps_http_producer *producer)
{
    struct csv_history *csv = (struct csv_history *)producer;
    for (size_t i = 0; csv->columns && i < csv->ask.keys.count; i++)
        ps_points_deinit(&csv->columns[i].have);
    ps_rest_keys_deinit(&csv->ask.keys);
    free(csv->columns);
    free(csv->names);
    free(csv);
}

struct ps_http_producer *ps_rest_history_csv(struct ps_rest_history *history)
{
    struct csv_history *csv = calloc(1, sizeof *csv);
    if (!csv)
        return NULL;
    csv->producer = (struct ps_http_producer){ produce, destroy };
    size_t keys = history->keys.count;
    csv->columns = calloc(keys + 1, sizeof *csv->columns);
    csv->names = calloc(keys + 1, sizeof *csv->names);
    if (!csv->columns || !csv->names) {
        destroy(&csv->producer); /* the keys are still the caller's: not in there yet */
        return NULL;
    }
    csv->ask = *history;
    csv->rest = history->query;
    csv->ascending = history->query.ascending || !ps_history_query_is_raw(&history->query);
    csv->dry = keys > 0 && history->query.start_ms < history->query.end_ms;
    for (size_t i = 0; i < keys; i++)
        csv->columns[i].left =
            ps_rest_history_is_sliced(&history->query) ? history->query.limit : SIZE_MAX;
    return &csv->producer;
}
