// Ledger moves money between accounts and keeps a balance for each.
//
//	in   from,to,amount               account names, a whole number > 0
//	out  account,seq,delta,balance    a line for each side of each transfer
//
// A checker must find: for each account, seq is 1, 2, 3 ... without gaps or repeats, and balance is the sum of the deltas
// up to it; the last balances of all accounts add up to 0; the deltas are those of the lines read, as many as twice these.
// With one reader of one file, the deltas of an account are in the order of the file.
#include "work.h"

static int64_t accounts, effort;

static wasmill_bytes make(const wasmill_record *r) {
	uint64_t x = work_mix((uint64_t)r->timestamp), n = (uint64_t)accounts, from = x % n;
	work_line l = work_begin(80);
	work_number(&l, (int64_t)from);
	work_char(&l, ',');
	work_number(&l, (int64_t)((from + 1 + (x >> 20) % (n - 1)) % n));
	work_char(&l, ',');
	work_number(&l, (int64_t)(1 + (x >> 40) % 1000));
	return work_end(l);
}

// book_side emits account,delta.
static void book_side(wasmill_out *out, wasmill_bytes account, int64_t delta) {
	work_line l = work_begin(account.size + 24);
	work_text(&l, account);
	work_char(&l, ',');
	work_number(&l, delta);
	wasmill_bytes b = work_end(l);
	wasmill_emit(out, b.data, b.size);
}

static void split(const wasmill_record *r, wasmill_out *out) {
	int64_t amount = work_int(r->value, 2);
	book_side(out, work_field(r->value, 0), -amount);
	book_side(out, work_field(r->value, 1), amount);
}

static wasmill_pair by_account(const wasmill_record *r) {
	return (wasmill_pair){work_field(r->value, 0), wasmill_i64(work_int(r->value, 1))};
}

enum { ACCOUNT }; // row(seq, balance)

static volatile uint64_t tired;

static void book(wasmill_context *c, const wasmill_record *r) {
	uint64_t x = (uint64_t)effort;
	for (int64_t i = 0; i < effort; i++) x = work_mix(x);
	tired = x;
	wasmill_bytes old = wasmill_get(c, ACCOUNT);
	int64_t delta = wasmill_as_i64(r->value), seq = 1, balance = delta;
	if (old.data != NULL) {
		seq += wasmill_row_i64(old, 2, 0);
		balance += wasmill_row_i64(old, 2, 1);
	}
	wasmill_row row = wasmill_row_begin(2);
	wasmill_row_set_i64(&row, 0, seq);
	wasmill_row_set_i64(&row, 1, balance);
	wasmill_put(c, ACCOUNT, wasmill_row_end(&row));
	work_line l = work_begin(c->key.size + 72);
	work_text(&l, c->key);
	work_char(&l, ',');
	work_number(&l, seq);
	work_char(&l, ',');
	work_number(&l, delta);
	work_char(&l, ',');
	work_number(&l, balance);
	wasmill_bytes b = work_end(l);
	wasmill_emit(c->out, b.data, b.size);
}

WASMILL_JOB("ledger") {
	accounts = wasmill_param_i64_or(job, "accounts", 100, "accounts of the lines that are made");
	effort = wasmill_param_i64_or(job, "effort", 0, "rounds of useless work for each side of a transfer");
	if (accounts < 2) wasmill_refuse(job, "accounts: fewer than 2");
	wasmill_stream sides = wasmill_flat_map(work_source(job, "input", "make", make), "split", split, WASMILL_UTF8);
	wasmill_stream booked = wasmill_process(wasmill_key_value_by(sides, "by-account", by_account, WASMILL_UTF8, WASMILL_I64), "book",
		(wasmill_processor){.process = book, .codec = WASMILL_UTF8,
			.states = {[ACCOUNT] = {.name = "account", .codec = "row(seq: i64, balance: i64)"}}});
	work_sink(wasmill_uid(booked, "book"), "");
}
