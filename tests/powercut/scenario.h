/* scenario: what happens before, at and after a cut; all of it follows from a seed.
 *
 * A life of the storage in some thirty steps: writes alone and in shared commits, attributes,
 * deletes, seals, trims, merges, checkpoints, expiry, files dropped, a restart. The steps before
 * `prefix` run once and undisturbed; what they leave (a disk and a ledger) is where each trial of
 * the seed begins. Every fourth seed begins with nothing at all: a first start. What else differs
 * from seed to seed stands in scenario_make(). */
#ifndef PS_TESTS_POWERCUT_SCENARIO_H
#define PS_TESTS_POWERCUT_SCENARIO_H

#include "powercut/ledger.h"
#include "powercut/plant.h"

struct scenario {
    uint64_t seed;
    const char *steps; /* a letter each, see scenario.c */
    size_t prefix;
    struct plant_kind kind;
};

/** What a life has come to: the plant is open between steps, unless a start failed. */
struct life {
    const struct scenario *scenario;
    const char *dir;
    struct plant plant;
    bool is_open;
    int64_t now_ms;
    struct ledger ledger;
    struct plant_pin pins[LEDGER_DEVICES];
    size_t turns; /* that were taken while merges rested */
};

struct scenario scenario_make(uint64_t seed);
/** Steps after a cut, to see that life goes on. */
extern const char scenario_afterwards[];

void life_begin(struct life *life, const struct scenario *scenario, const char *dir);
enum ps_status life_start(struct life *life);
void life_stop(struct life *life);
/** Take step number `index`, a letter of scenario->steps or scenario_afterwards. Whatever it says,
 *  the ledger knows what may have happened. PS_EPROTO: what was read is not what there must be. */
enum ps_status life_step(struct life *life, char step, size_t index);
/** Read everything back and compare. `after_start`: what is found is what there is from now on
 * (until then a commit that failed may still turn out to have happened), and the files are looked
 * into, where nothing unknown may be left. PS_EPROTO: life->plant.why. */
enum ps_status life_check(struct life *life, bool after_start);

#endif
