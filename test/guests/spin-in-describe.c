// Spin-in-describe does not come back when it is asked for its graph.
#include "wasmill.h"

static volatile uint32_t turns;

WASMILL_JOB("spin-in-describe") {
	while (wasmill_param(job, "input", NULL) != NULL) turns++;
}
