#include "powercut/scenario.h"

#include <stdio.h>
#include <string.h>

#include "powercut/pins.h"

/* w write    b much of one device   p two batches in one commit   a attributes   d delete
 * s seal     t trim    m merge what is due   f merge a file   r retention   h shed a file
 * c checkpoint   q ask for everything   k ask slowly, while files are merged and dropped
 * . a minute passes    : three days pass     x stop and start */
static const char first_life[] = "wapstwxbdsqc.rw";
/* Seven runs in most files before, so that the next seal makes merges due. */
#define PREFIX "waswpswdswwstwpswswws"
static const char later_life[] = PREFIX "wpasmmtcdqw.rsp:krfwxwpdst:mkr.qrcw";
static const char shed_life[] = PREFIX "bbsmkqdwst.rhbsqfpd:shqxw:mkr.hcw";
const char scenario_afterwards[] = "wpstfm.rcw";

enum { ATTRIBUTES = 6, EXPIRE_DAYS = 6, MUCH = 12, TURNS_MAX = 12, MEANWHILE = 5000 };

/* Of four seeds one begins with nothing, one sheds. */
struct scenario scenario_make(uint64_t seed)
{
    bool is_first = seed % 4 == 0, sheds = seed % 4 == 2;
    return (struct scenario){
        .seed = seed,
        .steps = is_first ? first_life
                 : sheds  ? shed_life
                          : later_life,
        .prefix = is_first ? 0 : sizeof PREFIX - 1,
        .kind = { .scarce = seed % 4 == 3, .in_slices = sheds || seed % 8 >= 7 || seed % 8 == 0 },
    };
}

/* splitmix64 */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static unsigned below(uint64_t *state, unsigned bound)
{
    return (unsigned)(draw(state) % bound);
}

/* ---- what is written --------------------------------------------------------------------------
 */

/* Everything of the first day expires, and some of the rest. */
static int64_t gone_ms(uint64_t *random, unsigned cell)
{
    unsigned day = grid_day(cell);
    if (day == GRID_DAYS || (day != 0 && below(random, 4) != 0))
        return INT64_MAX;
    return GRID_EPOCH_MS + EXPIRE_DAYS * GRID_DAY_MS;
}

/* Two of three fall on the first two days, so that these have many runs. */
static unsigned pick_cell(uint64_t *random)
{
    unsigned cell = below(random, LEDGER_CELLS);
    while (below(random, 3) != 0 && grid_day(cell) > 1)
        cell = below(random, LEDGER_CELLS);
    return cell;
}

static void add_write_to(struct life *life, uint64_t *random, unsigned device,
                         struct plant_effects *effects)
{
    unsigned cell = pick_cell(random);
    int64_t gone = gone_ms(random, cell);
    uint32_t message = ledger_message(&life->ledger, gone);
    effects->items[effects->count++] = (struct plant_effect){
        .kind = PLANT_WRITE,
        .device = device,
        .cell = cell,
        .message = message,
        .ttl_s = gone == INT64_MAX ? 0 : (uint32_t)((gone - grid_cell_ms(cell)) / 1000),
    };
}

static void add_write(struct life *life, uint64_t *random, struct plant_effects *effects)
{
    add_write_to(life, random, below(random, GRID_ATTRIBUTES), effects);
}

static void add_delete(struct life *life, uint64_t *random, struct plant_effects *effects)
{
    (void)life;
    unsigned cell = below(random, LEDGER_CELLS - 4), latest = below(random, 6);
    bool everything = below(random, 5) == 0;
    effects->items[effects->count++] =
        (struct plant_effect){ .kind = PLANT_DELETE,
                               .device = below(random, GRID_ATTRIBUTES),
                               .cell = everything ? 0 : cell,
                               .cell_end = everything ? LEDGER_CELLS : cell + 4,
                               .delete_latest = latest != 0,
                               .rewrite_latest = latest >= 3 && !everything };
}

static void add_attribute(struct life *life, uint64_t *random, struct plant_effects *effects)
{
    bool clears = below(random, 4) == 0;
    effects->items[effects->count++] = (struct plant_effect){
        .kind = clears ? PLANT_CLEAR_ATTRIBUTE : PLANT_SET_ATTRIBUTE,
        .device = GRID_ATTRIBUTES,
        .cell = below(random, ATTRIBUTES),
        .message = clears ? 0 : ledger_message(&life->ledger, INT64_MAX),
    };
}

static void fill(struct life *life, char step, uint64_t *random, struct plant_effects *effects)
{
    unsigned count = step == 'd' ? 1 : 1 + below(random, 5),
             device = below(random, GRID_ATTRIBUTES);
    for (unsigned i = 0; step == 'b' && i < MUCH; i++)
        add_write_to(life, random, device, effects);
    for (unsigned i = 0; i < count && step != 'b'; i++) {
        if (step == 'a')
            add_attribute(life, random, effects);
        else
            add_write(life, random, effects);
        if (step == 'd')
            add_delete(life, random, effects);
        if (below(random, 6) == 0)
            add_attribute(life, random, effects);
    }
    if (step == 'd' && below(random, 2) == 0)
        add_write(life, random, effects); /* behind the delete, in the same batch */
}

static void enter(struct ledger *ledger, const struct plant_effects *effects, bool acknowledged)
{
    for (size_t i = 0; i < effects->count; i++) {
        const struct plant_effect *effect = &effects->items[i];
        if (effect->kind == PLANT_WRITE || effect->kind == PLANT_SET_ATTRIBUTE)
            ledger_wrote(ledger, effect->device, effect->cell, effect->message, acknowledged);
        else
            ledger_deleted(ledger, effect->device, effect->cell,
                           effect->kind == PLANT_DELETE ? effect->cell_end : effect->cell + 1,
                           acknowledged);
    }
}

/* ---- commits ----------------------------------------------------------------------------------
 */

static enum ps_status commit(struct life *life, char step, size_t index)
{
    uint64_t random = life->scenario->seed * 1000003 + index;
    struct plant_effects effects[PLANT_BATCHES] = { 0 };
    enum ps_status statuses[PLANT_BATCHES] = { PS_OK, PS_OK };
    size_t count = step == 'p' ? 2 : 1;
    for (size_t i = 0; i < count; i++)
        fill(life, step, &random, &effects[i]);
    plant_commit(&life->plant, effects, count, statuses);
    for (size_t i = 0; i < count; i++) {
        enter(&life->ledger, &effects[i], statuses[i] == PS_OK);
        pins_note(life, &effects[i], statuses[i] == PS_OK);
    }
    if (statuses[0] == PS_OK && statuses[1] == PS_OK)
        return PS_OK;
    snprintf(life->plant.why, sizeof life->plant.why, "commit: %s, %s", ps_status_text(statuses[0]),
             ps_status_text(statuses[1]));
    return statuses[0] != PS_OK ? statuses[0] : statuses[1];
}

/* ---- life -------------------------------------------------------------------------------------
 */

void life_begin(struct life *life, const struct scenario *scenario, const char *dir)
{
    memset(life, 0, sizeof *life);
    life->scenario = scenario;
    life->dir = dir;
    life->now_ms = GRID_EPOCH_MS + 4 * GRID_DAY_MS + GRID_DAY_MS / 2;
    ledger_init(&life->ledger);
}

/* As the keeper does while a merge rests: it seals what came meanwhile. */
static void take_turn(void *arg)
{
    struct life *life = arg;
    if (life->turns >= TURNS_MAX)
        return;
    life->turns++;
    if (commit(life, 'w', MEANWHILE + life->turns) == PS_OK)
        (void)plant_seal(&life->plant);
    life->plant.why[0] = '\0';
}

enum ps_status life_start(struct life *life)
{
    enum ps_status st = plant_open(&life->plant, life->dir, &life->scenario->kind, life->now_ms);
    life->plant.pins = life->pins;
    plant_when_resting(&life->plant, take_turn, life);
    if (st != PS_OK)
        plant_close(&life->plant);
    life->is_open = st == PS_OK;
    return st;
}

void life_stop(struct life *life)
{
    if (life->is_open)
        plant_close(&life->plant);
    life->is_open = false;
}

static enum ps_status pass_time(struct life *life, int64_t ms)
{
    life->now_ms += ms;
    life->plant.now_ms = life->now_ms;
    return PS_OK;
}

static enum ps_status compare(struct life *life, unsigned device, const uint32_t *cells,
                              bool after_start)
{
    for (unsigned cell = 0; cell < LEDGER_CELLS; cell++) {
        if (!ledger_allows(&life->ledger, device, cell, cells[cell], life->now_ms)) {
            char wanted[120];
            ledger_describe(&life->ledger, device, cell, wanted, sizeof wanted);
            snprintf(life->plant.why, sizeof life->plant.why,
                     "%s: device %u cell %u (day %u) has %u, wanted %s",
                     cells[cell] == LEDGER_NOTHING ? "lost" : "wrong", device, cell, grid_day(cell),
                     cells[cell], wanted);
            return PS_EPROTO;
        }
        if (after_start)
            ledger_found(&life->ledger, device, cell, cells[cell], life->now_ms);
    }
    return PS_OK;
}

/* ---- steps ------------------------------------------------------------------------------------
 */

static enum ps_status shed(struct life *life)
{
    enum ps_status st = plant_shed(&life->plant);
    for (unsigned cell = 0; cell < LEDGER_CELLS; cell++) {
        for (unsigned device = 0; device < GRID_ATTRIBUTES && life->plant.shed[cell]; device++)
            ledger_deleted(&life->ledger, device, cell, cell + 1, false);
    }
    return st;
}

struct meanwhile {
    struct plant *plant;
    enum ps_status status;
    char why[sizeof((struct plant *)0)->why];
};

static void merge_and_drop(void *arg)
{
    struct meanwhile *meanwhile = arg;
    struct plant *plant = meanwhile->plant;
    meanwhile->status = plant_merge_file(plant);
    if (meanwhile->status == PS_OK)
        meanwhile->status = plant_retention(plant);
    memcpy(meanwhile->why, plant->why, sizeof plant->why);
    plant->why[0] = '\0';
}

static enum ps_status ask_slowly(struct life *life, size_t index)
{
    unsigned device = (unsigned)(index % GRID_ATTRIBUTES);
    uint32_t cells[LEDGER_CELLS];
    struct meanwhile meanwhile = { .plant = &life->plant };
    struct life before = *life; /* what comes meanwhile is not in the snapshot */
    enum ps_status st = plant_read_slowly(&life->plant, device, cells, merge_and_drop, &meanwhile);
    if (st == PS_OK) {
        st = compare(&before, device, cells, false);
        memcpy(life->plant.why, before.plant.why, sizeof before.plant.why);
    }
    if (st != PS_OK || meanwhile.status == PS_OK)
        return st;
    memcpy(life->plant.why, meanwhile.why, sizeof meanwhile.why);
    return meanwhile.status;
}

enum ps_status life_step(struct life *life, char step, size_t index)
{
    struct plant *plant = &life->plant;
    switch (step) {
    case 's':
        return plant_seal(plant);
    case 't':
        return plant_trim(plant);
    case 'm':
        return plant_merge(plant);
    case 'f':
        return plant_merge_file(plant);
    case 'r':
        return plant_retention(plant);
    case 'h':
        return shed(life);
    case 'c':
        return plant_checkpoint(plant);
    case 'q':
        return life_check(life, false);
    case 'k':
        return ask_slowly(life, index);
    case '.':
        return pass_time(life, 61000);
    case ':':
        return pass_time(life, 3 * GRID_DAY_MS);
    case 'x':
        life_stop(life);
        return life_start(life);
    default:
        return commit(life, step, index);
    }
}

/* ---- checks -----------------------------------------------------------------------------------
 */

enum ps_status life_check(struct life *life, bool after_start)
{
    struct plant_view view;
    pins_look(life);
    enum ps_status st = plant_read(&life->plant, &view);
    for (unsigned device = 0; device < LEDGER_DEVICES && st == PS_OK; device++)
        st = compare(life, device, view.cells[device], after_start);
    if (!after_start || st == PS_OK)
        return after_start ? plant_inspect(&life->plant) : st;
    char read_says[100]; /* what the files say explains it */
    snprintf(read_says, sizeof read_says, "%.99s", life->plant.why);
    if (plant_inspect(&life->plant) == PS_OK)
        life->plant.why[0] = '\0';
    size_t len = strnlen(life->plant.why, sizeof life->plant.why - sizeof read_says - 2);
    snprintf(life->plant.why + len, sizeof life->plant.why - len, "%s%s", len ? "; " : "",
             read_says);
    return st;
}
