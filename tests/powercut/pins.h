/* pins: what the latest values of a life must be where deletes made them something else than the
 * newest point that is left, as latest_pin.h promises it. */
#ifndef PS_TESTS_POWERCUT_PINS_H
#define PS_TESTS_POWERCUT_PINS_H

#include "powercut/scenario.h"

/** These were committed, or (it failed) may have been. */
void pins_note(struct life *life, const struct plant_effects *effects, bool acknowledged);
/** Which pinned messages have expired by now. */
void pins_look(struct life *life);

#endif
