// Rules says of each fact what the rules say of its key: rules are broadcast, facts are dealt out by key, or in turn.
//
//	in facts     key,time,id
//	in rules     key,time,text     sets what is said of a key; time is not looked at
//	out told     key,time,id,text  for each fact, once every rule of `rules` is there; until then facts wait
//
// Facts wait in a list state of their key, for a timer of event time, which comes when both inputs have ended: what is said then is
// what the last rule of a key has set, in every subtask, if none was lost and none counts twice: with `count`, the text is the number
// of rules of the key instead, which each has counted up.
#include "work.h"

enum { RULES, WAITING };

static bool counts;

static wasmill_bytes no_line(const wasmill_record *r) { return r->value; }
static int64_t time_of(const wasmill_record *r) { return work_int(r->value, 1); }
static wasmill_bytes key_of(const wasmill_record *r) { return work_field(r->value, 0); }

static void tell(wasmill_context *c, wasmill_bytes fact) {
	wasmill_bytes said = wasmill_map_get(c, RULES, work_field(fact, 0));
	work_line l = work_begin(fact.size + said.size + 2);
	work_text(&l, fact);
	work_char(&l, ',');
	if (said.data == NULL) {
		work_char(&l, '-');
	} else {
		work_text(&l, said);
	}
	wasmill_bytes line = work_end(l);
	wasmill_emit(c->out, line.data, line.size);
}

static void wait(wasmill_context *c, const wasmill_record *r) {
	wasmill_list_add(c, WAITING, r->value);
	wasmill_set_timer(c, WASMILL_EVENT_TIME, INT64_MAX - 1);
}

static void last(wasmill_context *c, wasmill_clock clock, int64_t time) {
	(void)clock, (void)time;
	for (wasmill_scan s = wasmill_scan_state(c, WAITING); wasmill_next(&s);) tell(c, s.value);
	wasmill_clear(c, WAITING);
}

static void rule(wasmill_context *c, const wasmill_record *r) {
	wasmill_bytes key = work_field(r->value, 0), text = work_field(r->value, 2);
	if (counts) {
		wasmill_bytes was = wasmill_map_get(c, RULES, key);
		work_line l = work_begin(24);
		work_number(&l, was.data == NULL ? 1 : work_int(was, 0) + 1);
		text = work_end(l);
	}
	wasmill_map_put(c, RULES, key, text);
}

static void spoil(wasmill_context *c, const wasmill_record *r) { wasmill_map_put(c, RULES, work_field(r->value, 0), r->value); }

WASMILL_JOB("rules") {
	int64_t disorder = wasmill_param_i64_or(job, "disorder", 100, "how far a line may be behind, in milliseconds");
	counts = *wasmill_param_or(job, "count-rules", "", "not empty: what is said of a key is how many rules it has had") != 0;
	bool spoils = *wasmill_param_or(job, "spoil", "", "not empty: facts change the rules, which the host refuses") != 0;
	wasmill_keyed facts = wasmill_key_by(wasmill_assign_timestamps(work_source(job, "facts", "make-facts", no_line), "fact-time", time_of, disorder), "fact-key", key_of, WASMILL_UTF8);
	wasmill_stream rules = wasmill_assign_timestamps(work_source(job, "rules", "make-rules", no_line), "rule-time", time_of, disorder);
	wasmill_stream told = wasmill_broadcast_process(facts, rules, "rules", (wasmill_processor){
		.process = spoils ? spoil : wait, .process_other = rule, .timer = last, .codec = WASMILL_UTF8,
		.states = {
			[RULES] = {.name = "rules", .kind = WASMILL_BROADCAST_STATE, .codec = WASMILL_UTF8, .key_codec = WASMILL_UTF8},
			[WAITING] = {.name = "waiting", .kind = WASMILL_LIST_STATE, .codec = WASMILL_UTF8},
		},
	});
	work_sink(wasmill_uid(told, "rules"), "told");
}
