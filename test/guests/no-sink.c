// No-sink is a graph whose results go nowhere.
#include "wasmill.h"

static wasmill_bytes same(const wasmill_record *r) { return r->value; }

WASMILL_JOB("no-sink") {
	wasmill_map(wasmill_source(job, wasmill_generator()), "same", same, WASMILL_UTF8);
}
