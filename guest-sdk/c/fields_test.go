package c_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
)

// Fields that decide among equals are in the manifest in their order, and need a host that knows them; the host takes the job.
func TestFieldsThatDecideAmongEquals(t *testing.T) {
	clang, engine := snippetTools(t)
	const job = `#include "wasmill.h"
WASMILL_JOB("highest") {
	wasmill_stream bids = wasmill_source(job, wasmill_nexmark("bid", "row(auction: i64, price: i64, at: ms, channel: utf8?)", 0));
	wasmill_keyed auctions = wasmill_key_by_fields(bids, "auction", WASMILL_I64, "\"auction\"");
	wasmill_stream top = wasmill_aggregates(auctions, OUTPUT, LIST);
	wasmill_sink_to(wasmill_uid(top, "top"), wasmill_print());
}
`
	const bid = "row(auction: i64, price: i64, at: ms, channel: utf8?)"
	for _, c := range []struct {
		output, list string
		want         []abi.Aggregate
		decides      bool
	}{
		{"rank: i64, b: " + bid, `WASMILL_TOP("b", 3, "price")`, []abi.Aggregate{{Name: "b", Kind: "top", Field: "price", N: 3}}, false},
		{"rank: i64, b: " + bid, `WASMILL_TOP_THEN("b", 3, "price", "at")`, []abi.Aggregate{{Name: "b", Kind: "top", Field: "price", N: 3, Then: []string{"at"}}}, true},
		{"rank: i64, b: " + bid, `WASMILL_TOP_THEN("b", 3, "price", "at" WASMILL_THEN "channel" WASMILL_THEN "auction")`,
			[]abi.Aggregate{{Name: "b", Kind: "top", Field: "price", N: 3, Then: []string{"at", "channel", "auction"}}}, true},
		{"low: " + bid + ", high: " + bid, `WASMILL_AGG_THEN("low", "minBy", "price", "at") "," WASMILL_AGG_THEN("high", "maxBy", "price", "channel" WASMILL_THEN "at")`,
			[]abi.Aggregate{{Name: "low", Kind: "minBy", Field: "price", Then: []string{"at"}}, {Name: "high", Kind: "maxBy", Field: "price", Then: []string{"channel", "at"}}}, true},
	} {
		text := strings.NewReplacer("OUTPUT", `"row(key: i64, `+c.output+`)"`, "LIST", c.list).Replace(job)
		module, err := compile(t, clang, text)
		if err != nil {
			t.Fatal(err)
		}
		m, err := describe(t, module, nil)
		if err != nil {
			t.Fatal(err)
		}
		of := slices.IndexFunc(m.Operators, func(o abi.Operator) bool { return o.Kind == abi.OperatorAggregates })
		if got := m.Operators[of].Aggregates; !reflect.DeepEqual(got, c.want) || slices.Contains(m.Features, abi.FeatureTies) != c.decides {
			t.Errorf("%s: %+v, features %v", c.list, got, m.Features)
		}
		if err := submit(t.Context(), engine, module); err != nil {
			t.Errorf("%s: %v", c.list, err)
		}
	}
}
