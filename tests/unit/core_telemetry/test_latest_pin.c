/* Pins of latest values in the database: what deletions and arrivals leave there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/telemetry/latest_pin.h"
#include "unit/core_storage/temp_db.h"

enum { SERIES = 7, NOW_MS = 1000000 };

struct fixture {
    struct temp_db temp;
};

static void fixture_init(struct fixture *f)
{
    temp_db_init(&f->temp);
    assert_int_equal(ps_db_exec(f->temp.db, "INSERT INTO series(id, entity_type, entity, key)"
                                            " VALUES(7, 1, x'00000000000000000000000000000001',"
                                            " 'k'), (8, 1,"
                                            " x'00000000000000000000000000000001', 'other')"),
                     PS_OK);
}

static void fixture_deinit(struct fixture *f)
{
    temp_db_deinit(&f->temp);
}

static struct ps_value number(int64_t n)
{
    return (struct ps_value){ .type = PS_VALUE_LONG, .integer = n };
}

static void keep(struct fixture *f, int64_t ts_ms, uint32_t ttl_s)
{
    struct ps_value value = number(ts_ms);
    assert_int_equal(ps_latest_pin_keep(f->temp.db, SERIES, ts_ms, &value, ttl_s), PS_OK);
}

static bool offer(struct fixture *f, int64_t ts_ms)
{
    struct ps_value value = number(ts_ms);
    bool is_over = false;
    assert_int_equal(ps_latest_pin_offer(f->temp.db, SERIES, ts_ms, &value, 0, NOW_MS, &is_over),
                     PS_OK);
    return is_over;
}

/* "-": no pin; "24": a floor alone; "24 5": and a point of ts 5. */
static void check(struct fixture *f, const char *name, const char *want)
{
    struct ps_latest_pin pin;
    char got[80] = "-";
    assert_int_equal(ps_latest_pin_read(f->temp.db, SERIES, &pin), PS_OK);
    int len = pin.has_floor ? snprintf(got, sizeof got, "%lld", (long long)pin.floor_ms) : 0;
    if (pin.has_point) {
        snprintf(got + len, sizeof got - (size_t)len, " %lld", (long long)pin.ts_ms);
        assert_int_equal(pin.point.count, 1);
        assert_int_equal(pin.point.points[0].ts_ms, pin.ts_ms);
        assert_int_equal(pin.point.points[0].value.integer, pin.ts_ms);
    }
    if (strcmp(got, want) != 0)
        fail_msg("%s: %s, not %s", name, got, want);
    assert_false(pin.damaged);
    ps_latest_pin_deinit(&pin);
}

/* n<start> none is left, k<ts> it stays, o<ts> a point arrives and does not end it, O<ts> it does,
 * e it is over. */
static const struct pin_case {
    const char *name, *steps, *want;
} pin_cases[] = {
    { "nothing happened", "", "-" },
    { "a point of a series without pin", "O5", "-" },
    { "it goes", "n25", "24" },
    { "and an older point comes", "n25 o5", "24 5" },
    { "the next is older still", "n25 o5 o4", "24 5" },
    { "as old, and later written", "n25 o5 o5", "24 5" },
    { "newer, but not behind the floor", "n25 o5 o24", "24 24" },
    { "behind the floor", "n25 o5 O25", "-" },
    { "the end is the end", "n25 O25 O5", "-" },
    { "it stays", "k30", "29 30" },
    { "older ones do not matter", "k30 o29 o5", "29 30" },
    { "one of the same time came later", "k30 O30", "-" },
    { "it stays, then goes", "k30 n25", "29" },
    { "the floor is never lowered", "n25 o5 n3", "24" },
    { "nor by what stays", "n25 o5 k5", "24 5" },
    { "but raised", "n25 o5 k5 n40", "39" },
    { "it is replaced", "n25 o5 e", "-" },
    { "at the beginning of time", "k-9223372036854775808",
      "-9223372036854775808 "
      "-9223372036854775808" },
    { "at its end", "k9223372036854775807 O9223372036854775807", "-" },
};

static void run(struct fixture *f, const char *name, const char *steps)
{
    while (*steps) {
        char kind = *steps++, *end;
        int64_t at = strtoll(steps, &end, 10);
        steps = *end ? end + 1 : end;
        if (kind == 'n')
            assert_int_equal(ps_latest_pin_none(f->temp.db, SERIES, at), PS_OK);
        else if (kind == 'k')
            keep(f, at, 0);
        else if (kind == 'e')
            assert_int_equal(ps_latest_pin_end(f->temp.db, SERIES), PS_OK);
        else if (offer(f, at) != (kind == 'O'))
            fail_msg("%s: %lld %s the pin", name, (long long)at,
                     kind == 'O' ? "does not end" : "ends");
    }
}

static void a_pin_says_what_happened(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pin_cases / sizeof *pin_cases; i++) {
        struct fixture f;
        fixture_init(&f);
        run(&f, pin_cases[i].name, pin_cases[i].steps);
        check(&f, pin_cases[i].name, pin_cases[i].want);
        assert_int_equal(temp_db_number(f.temp.db, "SELECT count(*) FROM latest_pin"
                                                   " WHERE series <> 7"),
                         0);
        if (!strchr(pin_cases[i].want, ' '))
            assert_int_equal(temp_db_number(f.temp.db, "SELECT count(*) FROM latest_pin"), 0);
        fixture_deinit(&f);
    }
}

static void an_expired_value_gives_way_to_an_older_point(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    keep(&f, 30, NOW_MS / 1000); /* until 30 ms from now */
    offer(&f, 20);
    check(&f, "alive", "29 30");
    keep(&f, 30, NOW_MS / 1000 - 1);
    offer(&f, 20);
    check(&f, "expired", "29 20");
    fixture_deinit(&f);
}

static void what_cannot_be_right_is_no_point(void **state)
{
    (void)state;
    static const char *const damage[] = {
        "UPDATE latest_pin SET point = x''",
        "UPDATE latest_pin SET point = x'02'",
        "UPDATE latest_pin SET point = substr(point, 1, length(point) - 1)",
        "UPDATE latest_pin SET point = CAST(point || x'00' AS BLOB)",
        "UPDATE latest_pin SET ts_ms = 31",
        "UPDATE latest_pin SET ttl_s = 1",
        "UPDATE latest_pin SET series = 8",
        "UPDATE latest_pin SET point = 5",
    };
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        struct fixture f;
        struct ps_latest_pin pin;
        fixture_init(&f);
        keep(&f, 30, 0);
        assert_int_equal(ps_db_exec(f.temp.db, "UPDATE series SET latest_floor_ms = 29"), PS_OK);
        assert_int_equal(ps_db_exec(f.temp.db, damage[i]), PS_OK);
        assert_int_equal(ps_latest_pin_read(f.temp.db, i == 6 ? 8 : SERIES, &pin), PS_OK);
        if (!pin.damaged || pin.has_point || !pin.has_floor || pin.point.count)
            fail_msg("%s", damage[i]);
        ps_latest_pin_deinit(&pin);
        fixture_deinit(&f);
    }
}

static void a_series_that_is_not_there_has_no_pin(void **state)
{
    (void)state;
    struct fixture f;
    struct ps_latest_pin pin;
    struct ps_value value = number(1);
    bool is_over = false;
    fixture_init(&f);
    assert_int_equal(ps_latest_pin_read(f.temp.db, 99, &pin), PS_OK);
    assert_false(pin.has_floor || pin.has_point);
    assert_int_equal(ps_latest_pin_offer(f.temp.db, 99, 1, &value, 0, NOW_MS, &is_over), PS_OK);
    assert_true(is_over);
    keep(&f, 30, 0);
    assert_int_equal(ps_db_exec(f.temp.db, "DELETE FROM series"), PS_OK);
    assert_int_equal(temp_db_number(f.temp.db, "SELECT count(*) FROM latest_pin"), 0);
    keep(&f, 40, 0); /* its entity was deleted while this was on its way */
    assert_int_equal(temp_db_number(f.temp.db, "SELECT count(*) FROM latest_pin"), 0);
    fixture_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pin_says_what_happened),
        cmocka_unit_test(an_expired_value_gives_way_to_an_older_point),
        cmocka_unit_test(what_cannot_be_right_is_no_point),
        cmocka_unit_test(a_series_that_is_not_there_has_no_pin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
