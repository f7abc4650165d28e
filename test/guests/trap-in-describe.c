// Trap-in-describe crashes when it is asked for its graph.
#include "wasmill.h"

WASMILL_JOB("trap-in-describe") {
	if (wasmill_param(job, "input", NULL) != NULL) __builtin_trap();
}
