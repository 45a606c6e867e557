/* Content negotiation between two types: the better weight wins, a draw is the other's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "transport/http/accept.h"

static void the_greater_weight_wins(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        bool csv;
    } cases[] = {
        { "text/csv", true },
        { "TEXT/CSV", true },
        { "text/csv;charset=utf-8", true },
        { "text/csv; header=present; q=0.3", true },
        { "text/csv, */*;q=0.1", true },
        { "text/*", true },
        { "text/*;q=0.2, application/json;q=0.1", true },
        { "application/json;q=0.5 , text/csv;q=0.501", true },
        { "*/*, application/json;q=0", true },
        { "application/json;q=0.9,text/csv;Q=1.000", true },
        { "nonsense, text/csv", true },
        { "text/csv;q=junk, text/*;q=0.5", true },

        { NULL, false },
        { "", false },
        { ",, ;", false },
        { "*/*", false },
        { "application/json", false },
        { "application/json, text/csv", false },
        { "text/csv;q=0", false },
        { "text/csv;q=0, */*", false },
        { "text/csv;q=0.4, application/*;q=0.5", false },
        { "text/csv;q=1.5", false },
        { "text/csv;q=0.1234", false },
        { "text/csvx", false },
        { "text/cs", false },
        { "text/", false },
        { "text/*x", false },
        { "image/png", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool csv = ps_http_prefers(cases[i].accept, "text/csv", "application/json");
        if (csv != cases[i].csv)
            print_message("%s\n", cases[i].accept);
        assert_int_equal(csv, cases[i].csv);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_greater_weight_wins) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
