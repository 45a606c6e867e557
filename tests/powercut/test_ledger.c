/* The ledger of the power cuts: it allows what may be, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "powercut/ledger.h"

enum { NOW = 1000, DEVICE = 1, CELL = 7, LOOKED_AT_MAX = 5 };

/* What happened to one cell, in order: messages count from 1. */
static const struct history_case {
    const char *name;
    const char *events;  /* w acknowledged write, W failed, x acknowledged delete, X failed;
                            f as w, but it is expired */
    const char *allowed; /* digits; 0: nothing is shown */
} history_cases[] = {
    { "nothing happened", "", "0" },
    { "an acknowledged write is there", "w", "1" },
    { "the last one wins", "ww", "2" },
    { "a failed write may be there", "W", "01" },
    { "it may have replaced the one before", "wW", "12" },
    { "an acknowledged one replaces all", "wWw", "3" },
    { "an acknowledged delete leaves nothing", "wWx", "0" },
    { "a failed delete may leave nothing", "wX", "01" },
    { "a write after it counts", "wXw", "2" },
    { "an expired one is not shown", "f", "0" },
    { "nor does it show what it replaced", "wf", "0" },
    { "all of it at once", "wXWf", "0" },
    { "a failed one behind an expired one", "fW", "02" },
};

static void play(struct ledger *ledger, const char *events)
{
    ledger_init(ledger);
    for (const char *event = events; *event; event++) {
        bool acknowledged = *event == 'w' || *event == 'x' || *event == 'f';
        if (*event == 'x' || *event == 'X')
            ledger_deleted(ledger, DEVICE, CELL - 2, CELL + 1, acknowledged);
        else
            ledger_wrote(ledger, DEVICE, CELL,
                         ledger_message(ledger, *event == 'f' ? NOW : INT64_MAX), acknowledged);
    }
}

static void check_allowed(const struct ledger *ledger, const char *allowed, const char *name)
{
    for (unsigned message = 0; message < LOOKED_AT_MAX; message++) {
        bool wanted = false;
        for (const char *digit = allowed; *digit; digit++)
            wanted |= *digit == (char)('0' + message);
        if (ledger_allows(ledger, DEVICE, CELL, message, NOW) != wanted)
            fail_msg("%s: message %u", name, message);
    }
}

static void a_cell_allows_what_may_have_become_of_it(void **state)
{
    (void)state;
    static struct ledger ledger;
    for (size_t i = 0; i < sizeof history_cases / sizeof *history_cases; i++) {
        const struct history_case *c = &history_cases[i];
        play(&ledger, c->events);
        check_allowed(&ledger, c->allowed, c->name);
        assert_true(ledger_allows(&ledger, DEVICE, CELL + 1, LEDGER_NOTHING, NOW));
        assert_false(ledger_allows(&ledger, DEVICE, CELL + 1, 1, NOW));
    }
}

static void what_was_found_once_stays(void **state)
{
    (void)state;
    static struct ledger ledger;
    play(&ledger, "wWX");
    check_allowed(&ledger, "012", "before");
    ledger_found(&ledger, DEVICE, CELL, 2, NOW);
    check_allowed(&ledger, "2", "the failed write was found");
    play(&ledger, "wWX");
    ledger_found(&ledger, DEVICE, CELL, LEDGER_NOTHING, NOW);
    check_allowed(&ledger, "0", "nothing was found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cell_allows_what_may_have_become_of_it),
        cmocka_unit_test(what_was_found_once_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
