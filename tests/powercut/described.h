/* described: does a range file say whose the series are that it has points of? */
#ifndef PS_TESTS_POWERCUT_DESCRIBED_H
#define PS_TESTS_POWERCUT_DESCRIBED_H

#include "core/telemetry/run_file.h"

/** *missing = a series with points in the file, of complete runs or not, that its copy of the
 *  catalogue does not have; 0: there is none. */
PS_MUST_CHECK
enum ps_status described_check(struct ps_run_file *file, uint32_t *missing);

#endif
