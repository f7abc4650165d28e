package taskmanager

import (
	"fmt"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/internal/wire"
)

// keyChecks is how many calls check a key function behind others: one makes its records, two ask for their keys.
const keyChecks = 3

// A key that is another one when the function is asked again for the same record ends the job, and names the function.
func TestFickleKeysAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		key  func(calls int, value []byte) string
		want string
	}{
		"of the record":   {func(_ int, value []byte) string { return string(value) }, ""},
		"of what it sees": {func(calls int, value []byte) string { return fmt.Sprint(string(value), calls) }, `operator "word": its function gave record 1 of a batch ("a") the key "a1", and when it was asked again "a4"`},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			fickle := fakeFunction{name: "word", kind: abi.FunctionKey, each: func(r abi.Record, emit func(abi.Record)) {
				calls++
				r.Key = []byte(c.key(calls, r.Value))
				emit(r)
			}}
			f := newFixture(t, &listSource{splits: [][]string{{"a b a"}}}, &fakeModule{functions: []fakeFunction{splitWords, fickle}}, countJob(1)...)
			if c.want == "" {
				f.run()
				return
			}
			got := f.failed()
			if got == nil || got.Kind != wire.KindGuest || !strings.Contains(got.Message, c.want) || got.Hint == "" {
				t.Errorf("failure %+v (expected %s)", got, c.want)
			}
		})
	}
}

// A key that is shorter than its codec says is laid to the function that made it, not to who takes it, whichever batch it is in.
func TestKeysOfAWrongLengthAreFound(t *testing.T) {
	short := fakeFunction{name: "word", kind: abi.FunctionKey, each: func(r abi.Record, emit func(abi.Record)) {
		r.Key = []byte("12345678")
		if string(r.Value) == "short" {
			r.Key = []byte("abc")
		}
		emit(r)
	}}
	for at, splits := range [][][]string{{{"short"}}, {{"a"}, {"b"}, {"short"}}, {{"a"}, {"b"}, {"c d short"}}} {
		job := countJob(1)
		job[1].Key, job[2].Output = abi.CodecI64, "row(key: i64, value: i64)"
		f := newFixture(t, &listSource{splits: splits}, &fakeModule{functions: []fakeFunction{splitWords, short}}, job...)
		got := f.failed()
		want := fmt.Sprintf(`operator "word": its function gave record %d of a batch ("short") the key "abc", which has 3 bytes (expected 8 of i64)`, [...]int{1, 1, 3}[at])
		if got == nil || got.Kind != wire.KindGuest || got.Operator != "word" || got.Message != want || got.Hint == "" {
			t.Errorf("failure %+v (expected %s)", got, want)
		}
	}
}
