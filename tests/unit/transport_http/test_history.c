/* History over REST: every parameter, long answers in slices that join without a seam, tables, and
 * deletes. Everything behind it is real. */
#include "unit/transport_http/rest_client.h"

#include "actors/entity_calls.h"
#include "core/clock.h"
#include "core/json_text.h"

#define BASE_MS 1700000000000ll

/* --- devices and their points --- */

static void make_device(struct fixture *f, const char *name, char base[128])
{
    char id[PS_UUID_TEXT_SIZE];
    assert_int_equal(POST(f, "/api/device", AT("{\"name\":\"%s\"}", name)), 200);
    take_id(f, id);
    snprintf(base, 128, "/api/plugins/telemetry/DEVICE/%s", id);
}

static void save(struct fixture *f, const char *base, const char *body)
{
    assert_int_equal(POST(f, AT("%s/timeseries/ANY", base), body), 200);
    assert_string_equal(f->text, "");
}

/* Points of `key` at BASE_MS, + step_ms, ...: 0.0, 0.1, ... */
static void save_many(struct fixture *f, const char *base, const char *key, size_t count,
                      int64_t step_ms)
{
    for (size_t at = 0; at < count;) {
        struct ps_buf body = { 0 };
        ps_buf_put_char(&body, '[');
        for (size_t i = 0; i < 5000 && at < count; i++, at++)
            ps_buf_printf(&body, "%s{\"ts\":%lld,\"values\":{\"%s\":%zu.%zu}}", i ? "," : "",
                          BASE_MS + (long long)at * step_ms, key, at / 10, at % 10);
        ps_buf_put_char(&body, ']');
        save(f, base, ps_buf_cstr(&body));
        ps_buf_deinit(&body);
    }
}

static void read_history(struct fixture *f, const char *base, const char *query)
{
    if (GET(f, AT("%s/values/timeseries?%s", base, query)) != 200)
        print_message("%s: %s\n", query, f->text);
    assert_int_equal(f->status, 200);
}

/* Does the list hold `count` points of save_many(), from the `first` on? */
static void assert_many(struct fixture *f, const char *key, size_t first, size_t count,
                        int64_t step_ms, bool ascending)
{
    const json_t *list = json_object_get(f->json, key);
    assert_int_equal(json_array_size(list), count);
    for (size_t i = 0; i < count; i++) {
        size_t number = ascending ? first + i : first - i;
        char value[32];
        snprintf(value, sizeof value, "%zu.%zu", number / 10, number % 10);
        const json_t *point = json_array_get(list, i);
        assert_int_equal(json_integer_value(json_object_get(point, "ts")),
                         BASE_MS + (int64_t)number * step_ms);
        assert_string_equal(json_string_value(json_object_get(point, "value")), value);
    }
}

/* From here on what was saved is read from sealed files. */
static void seal(struct fixture *f)
{
    MUST(ps_keeper_seal_now(f->world.keeper));
}

/* --- parameters --- */

static void every_parameter_is_understood_or_refused(void **state)
{
    struct fixture *f = *state;
    char base[128];
    make_device(f, "Parameters", base);
    save(f, base,
         "[{\"ts\":1000,\"values\":{\"k\":10}},{\"ts\":2000,\"values\":{\"k\":20}},"
         "{\"ts\":3000,\"values\":{\"k\":30}},{\"ts\":4000,\"values\":{\"k\":15}}]");
    static const struct {
        const char *query, *want;
    } good[] = {
        { "interval=2000&agg=MIN", "[[2000,\"10\"],[4000,\"15\"]]" },
        { "interval=2000&agg=MAX", "[[2000,\"20\"],[4000,\"30\"]]" },
        { "interval=2000&agg=SUM", "[[2000,\"30\"],[4000,\"45\"]]" },
        { "interval=2000&agg=COUNT", "[[2000,\"2\"],[4000,\"2\"]]" },
        { "interval=2000&agg=AVG&useStrictDataTypes=true", "[[2000,15.0],[4000,22.5]]" },
        { "interval=2000&agg=AVG&orderBy=DESC&limit=1", "[[2000,\"15.0\"],[4000,\"22.5\"]]" },
        { "interval=0&agg=AVG&limit=1", "[[4000,\"15\"]]" },
        { "agg=NONE&intervalType=MONTH&limit=1", "[[4000,\"15\"]]" },
        { "agg=SUM&intervalType=MILLISECONDS&interval=4000&timeZone=Europe/Kyiv",
          "[[3000,\"75\"]]" },
        { "agg=SUM&intervalType=WEEK", "[[3000,\"75\"]]" },
        { "agg=SUM&intervalType=WEEK_ISO&timeZone=UTC", "[[3000,\"75\"]]" },
        { "agg=SUM&intervalType=MONTH&timeZone=Asia/Kathmandu", "[[3000,\"75\"]]" },
        { "agg=SUM&intervalType=QUARTER&interval=5", "[[3000,\"75\"]]" },
        { "agg=&intervalType=&timeZone=&orderBy=&downsample=&limit=1", "[[4000,\"15\"]]" },
        { "points=2&downsample=MINMAX&orderBy=ASC", "[[1000,\"10\"],[3000,\"30\"]]" },
        { "points=3&downsample=LTTB&orderBy=ASC", "[[1000,\"10\"],[3000,\"30\"],[4000,\"15\"]]" },
        { "points=100&downsample=LTTB&orderBy=ASC",
          "[[1000,\"10\"],[2000,\"20\"],[3000,\"30\"],[4000,\"15\"]]" },
        { "keys=k,k&limit=1", "[[4000,\"15\"]]" },
        { "points=2&downsample=NONE&limit=1", "[[4000,\"15\"]]" },
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct ps_buf got = { 0 };
        read_history(f, base, AT("keys=k&startTs=1000&endTs=5000&%s", good[i].query));
        ps_buf_put_char(&got, '[');
        for (size_t j = 0; j < json_array_size(json_object_get(f->json, "k")); j++) {
            const json_t *point = json_array_get(json_object_get(f->json, "k"), j);
            char *value = json_dumps(json_object_get(point, "value"), JSON_ENCODE_ANY);
            ps_buf_printf(&got, "%s[%lld,%s]", j ? "," : "",
                          (long long)json_integer_value(json_object_get(point, "ts")), value);
            free(value);
        }
        ps_buf_put_char(&got, ']');
        if (strcmp(ps_buf_cstr(&got), good[i].want) != 0)
            print_message("%s\n", good[i].query);
        assert_string_equal(ps_buf_cstr(&got), good[i].want);
        ps_buf_deinit(&got);
    }
    static const char *const bad[] = {
        "agg=avg",
        "agg=MEDIAN",
        "interval=-1",
        "interval=1s",
        "intervalType=YEAR",
        "intervalType=week",
        "limit=0",
        "limit=-1",
        "limit=many",
        "orderBy=asc",
        "timeZone=Mars/Olympus",
        "timeZone=../etc/passwd",
        "timeZone=/etc/localtime",
        "timeZone="
        "0123456789012345678901234567890123456789012345678901234567890",
        "points=600",
        "points=600&downsample=&limit=1",
        "points=600&downsample=BEST",
        "downsample=MINMAX",
        "points=1&downsample=LTTB",
        "points=0&downsample=LTTB",
        "points=100001&downsample=LTTB",
        "points=x",
        "points=600&downsample=LTTB&agg=AVG&interval=1000",
        "points=600&downsample=LTTB&agg=AVG&intervalType=WEEK",
        "useStrictDataTypes=yes",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        GET(f, AT("%s/values/timeseries?keys=k&startTs=1000&endTs=5000&%s", base, bad[i]));
        if (f->status != 400)
            print_message("%s\n", bad[i]);
        assert_error(f, 400, 31, NULL);
    }
}

static void calendar_buckets_end_where_the_zone_says(void **state)
{
    struct fixture *f = *state;
    char base[128];
    make_device(f, "Calendar", base);
    /* Kyiv: +02:00, and +03:00 from March 31, 2024, 03:00 on. */
    const int64_t start = 1707955200000ll;                          /* February 15, 00:00 UTC */
    const int64_t march = 1709244000000ll, april = 1711918800000ll; /* midnights in Kyiv */
    const int64_t end = 1712700000000ll;
    char body[512];
    snprintf(body, sizeof body,
             "[{\"ts\":%lld,\"values\":{\"k\":1}},{\"ts\":%lld,\"values\":{\"k\":2}},"
             "{\"ts\":%lld,\"values\":{\"k\":4}},{\"ts\":%lld,\"values\":{\"k\":8}}]",
             (long long)march - 1, (long long)march, (long long)april - 1, (long long)april);
    save(f, base, body);
    char query[256], want[256];
    snprintf(query, sizeof query,
             "keys=k&agg=SUM&intervalType=MONTH&timeZone=Europe/Kyiv&startTs=%lld&endTs=%lld",
             (long long)start, (long long)end);
    snprintf(want, sizeof want,
             "{\"k\":[{\"ts\":%lld,\"value\":\"1\"},{\"ts\":%lld,\"value\":\"6\"},"
             "{\"ts\":%lld,\"value\":\"8\"}]}",
             (long long)(start + (march - start) / 2), (long long)(march + (april - march) / 2),
             (long long)(april + (end - april) / 2));
    read_history(f, base, query);
    assert_string_equal(f->text, want);
}

static void too_many_buckets_are_refused_of_any_kind(void **state)
{
    struct fixture *f = *state;
    char base[128];
    make_device(f, "Buckets", base);
    static const struct {
        const char *query;
        unsigned status;
    } cases[] = {
        { "endTs=700000&interval=1000", 200 },
        { "endTs=701000&interval=1000", 400 },
        { "endTs=701000&interval=1", 400 },              /* as if it were a second */
        { "endTs=423360000000&intervalType=WEEK", 200 }, /* 700 weeks */
        { "endTs=423964800000&intervalType=WEEK_ISO", 400 },
        { "endTs=1820000000000&intervalType=MONTH", 200 }, /* 57 years */
        { "endTs=9007199254740991&intervalType=QUARTER", 400 },
        { "endTs=9223372036854775807&interval=1000", 400 },
        { "startTs=-9223372036854775808&endTs=9223372036854775807&interval=1000", 400 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *start = strncmp(cases[i].query, "startTs", 7) == 0 ? "" : "startTs=0&";
        GET(f, AT("%s/values/timeseries/history?keys=k&agg=AVG&%s%s", base, start, cases[i].query));
        if (f->status != cases[i].status)
            print_message("%s\n", cases[i].query);
        assert_int_equal(f->status, cases[i].status);
        if (f->status == 400)
            assert_non_null(strstr(f->text, "Number of intervals is to high"));
    }
}

/* --- long answers --- */

enum { MANY = 20011, STEP_MS = 1500 };

static char many[128]; /* a device with MANY points of "long" and a few of others */

static void long_answers_have_no_seam(void **state)
{
    struct fixture *f = *state;
    make_device(f, "Many", many);
    save_many(f, many, "long", MANY, STEP_MS);
    seal(f);
    save_many(f, many, "short", 3, STEP_MS);
    static const char range[] = "startTs=0&endTs=1800000000000";
    char query[256];

    snprintf(query, sizeof query, "keys=short,none,long,short2&%s&limit=1000000", range);
    read_history(f, many, query);
    assert_true(f->slices > 5);
    assert_in_range(f->longest_slice, 1000, PS_HTTP_SLICE_BYTES + 256);
    assert_int_equal(json_object_size(f->json), 2); /* keys without points are absent */
    assert_many(f, "long", MANY - 1, MANY, STEP_MS, false);
    assert_many(f, "short", 2, 3, STEP_MS, false);

    snprintf(query, sizeof query, "keys=long,short&%s&limit=1000000&orderBy=ASC", range);
    read_history(f, many, query);
    assert_many(f, "long", 0, MANY, STEP_MS, true);
    assert_many(f, "short", 0, 3, STEP_MS, true);

    static const size_t limits[] = { 1, 1023, 1024, 1025, 5120, 8192, 9216, MANY - 1, MANY };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        snprintf(query, sizeof query, "keys=long,short&%s&limit=%zu", range, limits[i]);
        read_history(f, many, query);
        assert_many(f, "long", MANY - 1, limits[i], STEP_MS, false);
        assert_many(f, "short", 2, limits[i] < 3 ? limits[i] : 3, STEP_MS, false);
    }
    snprintf(query, sizeof query, "keys=long&startTs=%lld&endTs=%lld&limit=1000000&orderBy=ASC",
             BASE_MS + 10 * STEP_MS, BASE_MS + 9010 * STEP_MS);
    read_history(f, many, query);
    assert_many(f, "long", 10, 9000, STEP_MS, true);
}

static void long_texts_make_small_slices(void **state)
{
    struct fixture *f = *state;
    enum { TEXT = 30000, COUNT = 60 };
    char base[128], *text = malloc(TEXT + 1);
    make_device(f, "Texts", base);
    memset(text, 'x', TEXT);
    text[TEXT] = '\0';
    for (int i = 0; i < COUNT; i++) {
        struct ps_buf body = { 0 };
        ps_buf_printf(&body, "{\"ts\":%d,\"values\":{\"t\":\"%d%s\"}}", i, i, text);
        save(f, base, ps_buf_cstr(&body));
        ps_buf_deinit(&body);
    }
    read_history(f, base, "keys=t&startTs=0&endTs=1000&limit=1000&orderBy=ASC");
    assert_in_range(f->longest_slice, 1, PS_HTTP_SLICE_BYTES + TEXT + 256);
    const json_t *list = json_object_get(f->json, "t");
    assert_int_equal(json_array_size(list), COUNT);
    for (int i = 0; i < COUNT; i++) {
        const char *value =
            json_string_value(json_object_get(json_array_get(list, (size_t)i), "value"));
        assert_int_equal(strtol(value, NULL, 10), i);
        assert_string_equal(value + strspn(value, "0123456789"), text);
    }
    free(text);
}

static void a_question_nobody_waits_for_is_given_up(void **state)
{
    struct fixture *f = *state;
    static const _Atomic bool abandoned = true;
    const struct ps_history_query queries[] = {
        { .aggregate = PS_AGG_AVG, .interval_ms = 1000 },
        { .aggregate = PS_AGG_COUNT, .interval_type = PS_INTERVAL_QUARTER },
        { .downsample = PS_DOWNSAMPLE_MINMAX, .points = 10 },
        { .downsample = PS_DOWNSAMPLE_LTTB, .points = 10 },
        { .limit = 10000 },
        { .limit = 10000, .ascending = true },
    };
    struct ps_entity_ref ref = { .entity.type = PS_ENTITY_DEVICE };
    const char *key = "long", *id = strrchr(many, '/') + 1;
    MUST(ps_uuid_parse(id, strlen(id), &ref.entity.id));
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        struct ps_history_query query = queries[i];
        struct ps_point_set set;
        query.start_ms = BASE_MS;
        query.end_ms = BASE_MS + 10000 * 1000ll;
        MUST(ps_entity_history(f->world.services.actors, f->world.db, &ref, &key, 1, &query, &set));
        assert_true(set.keys[0].count > 0);
        ps_point_set_deinit(&set);
        query.abandoned = &abandoned;
        assert_int_equal(
            ps_entity_history(f->world.services.actors, f->world.db, &ref, &key, 1, &query, &set),
            PS_ECLOSED);
    }
}

/* All slices of an answer are of one present, whatever the clock does meanwhile. */
static void a_question_may_bring_its_own_present(void **state)
{
    struct fixture *f = *state;
    char base[128];
    make_device(f, "Present", base);
    assert_int_equal(POST(f, AT("%s/timeseries/ANY/3600", base), "{\"k\":1}"), 200);
    struct ps_entity_ref ref = { .entity.type = PS_ENTITY_DEVICE };
    const char *key = "k", *id = strrchr(base, '/') + 1;
    MUST(ps_uuid_parse(id, strlen(id), &ref.entity.id));
    const int64_t now_ms = ps_clock_now_ms(), presents[] = { 0, now_ms, now_ms + 7200 * 1000 };
    for (size_t i = 0; i < sizeof presents / sizeof presents[0]; i++) {
        struct ps_history_query query = { .end_ms = INT64_MAX, .limit = 1, .now_ms = presents[i] };
        struct ps_point_set set;
        MUST(ps_entity_history(f->world.services.actors, f->world.db, &ref, &key, 1, &query, &set));
        assert_int_equal(set.keys[0].count, i < 2);
        ps_point_set_deinit(&set);
    }
}

/* --- tables --- */

static void a_table_is_quoted_as_rfc_4180_has_it(void **state)
{
    struct fixture *f = *state;
    char base[128];
    make_device(f, "Table", base);
    save(f, base,
         "[{\"ts\":0,\"values\":{\"n\":1,\"t\":\"plain\",\"a,b\":true}},"
         "{\"ts\":1719830400123,\"values\":{\"n\":-2.5,\"t\":\"say \\\"hi\\\", you\"}},"
         "{\"ts\":951782400000,\"values\":{\"t\":\"two\\r\\nlines\",\"j\":{\"x\":[1,\"y\"]}}},"
         "{\"ts\":951868799999,\"values\":{\"t\":\"\"}},"
         "{\"ts\":-1,\"values\":{\"n\":9223372036854775807}},"
         "{\"ts\":-62167219200001,\"values\":{\"n\":0}},"
         "{\"ts\":253402300800000,\"values\":{\"n\":0.25}}]");
    static const char query[] =
        "key=n&key=t&key=a,b&key=j&startTs=-99999999999999&endTs=999999999999999&orderBy=ASC";
    static const char want[] = "ts,iso,n,t,\"a,b\",j\r\n"
                               "-62167219200001,-000001-12-31T23:59:59.999Z,0,,,\r\n"
                               "-1,1969-12-31T23:59:59.999Z,9223372036854775807,,,\r\n"
                               "0,1970-01-01T00:00:00.000Z,1,plain,true,\r\n"
                               "951782400000,2000-02-29T00:00:00.000Z,,\"two\r\nlines\",,"
                               "\"{\"\"x\"\":[1,\"\"y\"\"]}\"\r\n"
                               "951868799999,2000-02-29T23:59:59.999Z,,\"\",,\r\n"
                               "1719830400123,2024-07-01T10:40:00.123Z,-2.5,\"say \"\"hi\"\", "
                               "you\",,\r\n"
                               "253402300800000,+010000-01-01T00:00:00.000Z,0.25,,,\r\n";
    f->accept = "text/csv";
    read_history(f, base, query);
    assert_string_equal(f->content_type, PS_HTTP_CSV);
    assert_string_equal(f->text, want);

    read_history(f, base, "keys=n&startTs=-5&endTs=5&limit=1");
    assert_string_equal(f->text, "ts,iso,n\r\n0,1970-01-01T00:00:00.000Z,1\r\n");
    read_history(f, base, "keys=n,t&startTs=5&endTs=6");
    assert_string_equal(f->text, "ts,iso,n,t\r\n");
    read_history(f, base, "keys=n&startTs=6&endTs=5");
    assert_string_equal(f->text, "ts,iso,n\r\n");
    read_history(f, base, "startTs=5&endTs=6");
    assert_string_equal(f->text, "ts,iso\r\n");
    read_history(f, base, "keys=n,t&startTs=-2&endTs=4&interval=3&agg=COUNT");
    assert_string_equal(f->text, "ts,iso,n,t\r\n-1,1969-12-31T23:59:59.999Z,2,1\r\n");
    GET(f, AT("%s/values/timeseries?keys=n&startTs=0&endTs=1&agg=X", base));
    assert_error(f, 400, 31, NULL); /* errors are JSON */
    f->accept = NULL;
}

/* Rows of keys that share few timestamps: made in slices, compared with what JSON tells. */
static void a_long_table_joins_its_keys_by_time(void **state)
{
    struct fixture *f = *state;
    enum { ODD_STEP_MS = 2500, ODD = 9000, LIMIT = 8500 };
    char query[256];
    save_many(f, many, "odd", ODD / 2, ODD_STEP_MS);
    seal(f);
    save_many(f, many, "odd", ODD, ODD_STEP_MS); /* half of it again */
    for (int ascending = 0; ascending < 2; ascending++) {
        for (int limited = 0; limited < 2; limited++) {
            size_t left[2] = { limited ? LIMIT : MANY, limited ? LIMIT : ODD }, rows = 0;
            int64_t step[2] = { STEP_MS, ODD_STEP_MS };
            size_t at[2] = { ascending ? 0 : MANY - 1, ascending ? 0 : ODD - 1 };
            snprintf(query, sizeof query,
                     "keys=long,odd,none&startTs=0&endTs=1800000000000&orderBy=%s%s",
                     ascending ? "ASC" : "DESC", limited ? "&limit=8500" : "");
            f->accept = "text/csv";
            read_history(f, many, query);
            f->accept = NULL;
            assert_true(f->slices > 3);
            assert_in_range(f->longest_slice, 1000, PS_HTTP_SLICE_BYTES + 256);
            char *line = strchr(f->text, '\n') + 1;
            for (; *line; line = strchr(line, '\n') + 1, rows++) {
                int64_t times[2] = { BASE_MS + (int64_t)at[0] * step[0],
                                     BASE_MS + (int64_t)at[1] * step[1] };
                int64_t now = times[0];
                if (!left[0] || (left[1] && (ascending ? times[1] < now : times[1] > now)))
                    now = times[1];
                assert_true(left[0] || left[1]);
                char want[2][32] = { "", "" };
                for (int i = 0; i < 2; i++) {
                    if (!left[i] || times[i] != now)
                        continue;
                    snprintf(want[i], 32, "%zu.%zu", at[i] / 10, at[i] % 10);
                    at[i] += ascending ? 1 : (size_t)-1;
                    left[i]--;
                }
                char start[32], end[96];
                snprintf(start, sizeof start, "%lld,20", (long long)now);
                assert_memory_equal(line, start, strlen(start));
                snprintf(end, sizeof end, "Z,%s,%s,\r\n", want[0], want[1]);
                assert_memory_equal(strchr(line, 'Z'), end, strlen(end));
            }
            assert_int_equal(left[0], 0);
            assert_int_equal(left[1], 0);
        }
    }
}

enum { UNEVEN_TIMES = 12000, UNEVEN_KEYS = 5 };

/* How often each key has a point; the last ones are rare. */
static bool uneven_has(int key, unsigned i)
{
    static const unsigned every[UNEVEN_KEYS] = { 1, 2, 7, 97, 5000 };
    return (i * 2654435761u >> 8) % every[key] == 0;
}

/* Key 1 has long texts, so that its points are brought a few at a time. */
static void put_uneven_row(struct ps_buf *row, unsigned i, const char *before, const char *quote)
{
    static const char text[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklm";
    for (int key = 0; key < UNEVEN_KEYS; key++) {
        if (*before == ',')
            ps_buf_put_char(row, ',');
        if (!uneven_has(key, i))
            continue;
        if (*before != ',')
            ps_buf_printf(row, "%s\"u%d\":", key ? "," : "", key);
        if (key == 1)
            ps_buf_printf(row, "%s%s%u%s", quote, text, i, quote);
        else
            ps_buf_printf(row, "%u", i + (unsigned)key);
    }
}

static void save_uneven(struct fixture *f, const char *base, unsigned from, unsigned end)
{
    for (unsigned i = from; i < end;) {
        struct ps_buf body = { 0 };
        for (unsigned k = 0; k < 500 && i < end; k++, i++) {
            ps_buf_printf(&body, "%s{\"ts\":%lld,\"values\":{", k ? "," : "[",
                          (long long)BASE_MS + i * 1000ll);
            put_uneven_row(&body, i, "", "\"");
            ps_buf_put_text(&body, "}}");
        }
        ps_buf_put_char(&body, ']');
        save(f, base, ps_buf_cstr(&body));
        ps_buf_deinit(&body);
    }
}

/* Columns run dry at different rows and are asked for alone or together. */
static void a_table_of_uneven_keys_has_every_value_once(void **state)
{
    struct fixture *f = *state;
    char base[128];
    make_device(f, "Uneven", base);
    save_uneven(f, base, 0, UNEVEN_TIMES / 2);
    seal(f);
    save_uneven(f, base, UNEVEN_TIMES / 2, UNEVEN_TIMES);
    for (int ascending = 0; ascending < 2; ascending++) {
        f->accept = "text/csv";
        read_history(f, base,
                     AT("keys=u0,u1,u2,u3,u4&startTs=0&endTs=1800000000000&orderBy=%s",
                        ascending ? "ASC" : "DESC"));
        f->accept = NULL;
        const char *line = strchr(f->text, '\n') + 1;
        for (unsigned n = 0; n < UNEVEN_TIMES; n++) {
            unsigned i = ascending ? n : UNEVEN_TIMES - 1 - n;
            struct ps_buf want = { 0 };
            ps_buf_put_char(&want, 'Z');
            put_uneven_row(&want, i, ",", "");
            ps_buf_put_text(&want, "\r\n");
            assert_int_equal(strtoll(line, NULL, 10), BASE_MS + i * 1000ll);
            assert_memory_equal(strchr(line, 'Z'), want.data, want.len);
            line = strchr(line, '\n') + 1;
            ps_buf_deinit(&want);
        }
        assert_string_equal(line, "");
    }
}

/* --- deletes --- */

static void bad_deletes_are_refused(void **state)
{
    struct fixture *f = *state;
    char base[128];
    make_device(f, "Bad deletes", base);
    save(f, base, "{\"ts\":1000,\"values\":{\"k\":10}}");
    static const char *const bad[] = {
        "",
        "keys=k",
        "deleteAllDataForKeys=true",
        "keys=&deleteAllDataForKeys=true",
        "keys=k&startTs=0",
        "keys=k&endTs=5",
        "keys=k&startTs=x&endTs=5",
        "keys=k&startTs=6&endTs=5",
        "keys=k&deleteAllDataForKeys=1",
        "keys=k&deleteAllDataForKeys=false",
        "keys=k&deleteAllDataForKeys=true&deleteLatest=no",
        "keys=k&deleteAllDataForKeys=true&rewriteLatestIfDeleted=no",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        DELETE(f, AT("%s/timeseries/delete?%s", base, bad[i]));
        if (f->status != 400)
            print_message("%s\n", bad[i]);
        assert_error(f, 400, 31, NULL);
    }
    const char *all = AT("%s/timeseries/delete?keys=k&deleteAllDataForKeys=true", base);
    call_as(f, f->customer, PS_HTTP_DELETE, all, NULL);
    assert_error(f, 403, 20, NULL);
    call_as(f, f->sysadmin, PS_HTTP_DELETE, all, NULL);
    assert_error(f, 403, 20, NULL);
    DELETE(f, "/api/plugins/telemetry/DEVICE/f0000000-0000-4000-8000-000000000000/timeseries/"
              "delete?keys=k&deleteAllDataForKeys=true");
    assert_error(f, 404, 32, NULL);
    read_history(f, base, "keys=k&startTs=0&endTs=5000");
    assert_string_equal(f->text, "{\"k\":[{\"ts\":1000,\"value\":\"10\"}]}");
}

static void deletes_do_what_their_parameters_say(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *query;
        const char *history; /* timestamps left, newest first */
        const char *latest;  /* value; NULL: none */
    } cases[] = {
        { "keys=k&startTs=2000&endTs=3000", "3000 1000 ", "30" },
        { "keys=k&startTs=2000&endTs=2000", "3000 2000 1000 ", "30" },
        { "keys=k&startTs=2000&endTs=3001&deleteLatest=true", "1000 ", NULL },
        { "keys=k&startTs=2000&endTs=3001&rewriteLatestIfDeleted=true", "1000 ", "10" },
        { "keys=k&startTs=2000&endTs=3001&deleteLatest=false", "1000 ", "30" },
        { "keys=k&startTs=0&endTs=9000&rewriteLatestIfDeleted=true", "", NULL },
        { "keys=k&deleteAllDataForKeys=true", "", NULL },
        { "key=k&deleteAllDataForKeys=true", "", NULL },
        { "keys=other,k&deleteAllDataForKeys=true&startTs=5&endTs=6", "", NULL },
        { "keys=other&deleteAllDataForKeys=true", "3000 2000 1000 ", "30" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char base[128], left[64] = "";
        make_device(f, AT("Delete %zu", i), base);
        save(f, base,
             "[{\"ts\":1000,\"values\":{\"k\":10}},{\"ts\":2000,\"values\":{\"k\":20}},"
             "{\"ts\":3000,\"values\":{\"k\":30}}]");
        print_message("%s\n", cases[i].query);
        if (i % 2)
            seal(f);
        assert_int_equal(DELETE(f, AT("%s/timeseries/delete?%s", base, cases[i].query)), 200);
        assert_string_equal(f->text, "");
        read_history(f, base, "keys=k&startTs=0&endTs=9000");
        const json_t *list = json_object_get(f->json, "k");
        for (size_t j = 0; j < json_array_size(list); j++)
            snprintf(left + strlen(left), 16, "%lld ",
                     json_integer_value(json_object_get(json_array_get(list, j), "ts")));
        assert_string_equal(left, cases[i].history);
        read_history(f, base, "keys=k");
        const char *value = json_string_value(
            json_object_get(json_array_get(json_object_get(f->json, "k"), 0), "value"));
        if (cases[i].latest)
            assert_string_equal(value, cases[i].latest);
        else
            assert_null(value);
    }
}

static void attributes_are_still_deleted_by_scope(void **state)
{
    struct fixture *f = *state;
    char base[128];
    make_device(f, "Both deletes", base);
    assert_int_equal(POST(f, AT("%s/SERVER_SCOPE", base), "{\"k\":1}"), 200);
    assert_int_equal(DELETE(f, AT("%s/SERVER_SCOPE?keys=k", base)), 200);
    assert_int_equal(GET(f, AT("%s/keys/attributes", base)), 200);
    assert_string_equal(f->text, "[]");
}

/* --- time to live --- */

static void a_ttl_is_taken_from_the_path(void **state)
{
    struct fixture *f = *state;
    char base[128];
    make_device(f, "Ttl", base);
    assert_int_equal(POST(f, AT("%s/timeseries/ANY/3600", base),
                          "[{\"fresh\":1},{\"ts\":1000,\"values\":{\"stale\":1}}]"),
                     200);
    read_history(f, base, "keys=fresh,stale&startTs=0&endTs=9999999999999");
    assert_int_equal(json_object_size(f->json), 1);
    assert_non_null(json_object_get(f->json, "fresh"));
    read_history(f, base, "keys=stale");
    assert_non_null(strstr(f->text, "\"value\":null"));
    assert_int_equal(POST(f, AT("%s/timeseries/ANY/0", base), "{\"ts\":1000,\"values\":{\"x\":1}}"),
                     200);
    read_history(f, base, "keys=x&startTs=0&endTs=2000");
    assert_int_equal(json_object_size(f->json), 1);
    static const char *const bad[] = { "-1", "x", "1.5", "99999999999999999999", "3153600001" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        POST(f, AT("%s/timeseries/ANY/%s", base, bad[i]), "{\"k\":1}");
        assert_error(f, 400, 31, NULL);
    }
}

static void the_retention_of_files_is_the_administrators(void **state)
{
    struct fixture *f = *state;
    GET(f, "/api/admin/telemetry/retention");
    assert_error(f, 403, 20, NULL);
    assert_int_equal(call_as(f, f->sysadmin, PS_HTTP_GET, "/api/admin/telemetry/retention", NULL),
                     200);
    assert_true(json_is_array(f->json));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_parameter_is_understood_or_refused),
        cmocka_unit_test(calendar_buckets_end_where_the_zone_says),
        cmocka_unit_test(too_many_buckets_are_refused_of_any_kind),
        cmocka_unit_test(long_answers_have_no_seam),
        cmocka_unit_test(a_question_nobody_waits_for_is_given_up),
        cmocka_unit_test(a_question_may_bring_its_own_present),
        cmocka_unit_test(long_texts_make_small_slices),
        cmocka_unit_test(a_table_is_quoted_as_rfc_4180_has_it),
        cmocka_unit_test(a_long_table_joins_its_keys_by_time),
        cmocka_unit_test(a_table_of_uneven_keys_has_every_value_once),
        cmocka_unit_test(bad_deletes_are_refused),
        cmocka_unit_test(deletes_do_what_their_parameters_say),
        cmocka_unit_test(attributes_are_still_deleted_by_scope),
        cmocka_unit_test(a_ttl_is_taken_from_the_path),
        cmocka_unit_test(the_retention_of_files_is_the_administrators),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
