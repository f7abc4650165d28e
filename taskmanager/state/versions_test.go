package state_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/internal/checkpoint/snapshot"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// versioned is the states of one attempt, as a module of a schema version declares them.
type versioned struct {
	store state.Store
	table state.Table
	lists state.Sorted
	maps  state.Sorted
}

// Elements keep the version that they were written with, and the time at which they end, in memory, on disk and in files,
// until they are migrated.
func TestElementsKeepTheirVersions(t *testing.T) {
	for name, open := range map[string]func(state.Config) (state.Store, error){"memory": state.New, "spilling": spilling(t, 1)} {
		t.Run(name, func(t *testing.T) {
			check := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			var files []*snapshot.Reader
			attempt := func(version uint16, ttl, now int64) versioned {
				s, err := open(state.Config{Groups: 8, To: 8, Restored: files})
				check(err)
				s.SetTime(now)
				v := versioned{store: s}
				v.table, err = s.Table(state.Spec{Operator: "o", Name: "value", Kind: state.Bytes, Version: version, TTL: ttl}, state.Global)
				check(err)
				v.lists, err = s.Sorted(state.Spec{Operator: "o", Name: "list", Kind: state.List, Version: version, TTL: ttl})
				check(err)
				v.maps, err = s.Sorted(state.Spec{Operator: "o", Name: "map", Kind: state.Map, Version: version, TTL: ttl})
				check(err)
				return v
			}
			save := func(v versioned) {
				check(v.store.Trim())
				p := written(t, v.store, fmt.Sprint("file ", len(files)))
				r, err := snapshot.Open(bytes.NewReader(p), int64(len(p)))
				check(err)
				files = append(files, r)
				check(v.store.Close())
			}
			one := func(v versioned, key string, read bool) state.Entry {
				var e [1]state.Entry
				check(v.table.ResolveKeys([][]byte{[]byte(key)}, []uint64{xxhash.Sum64String(key)}, read, e[:]))
				return e[0]
			}
			put := func(v versioned, key, value string) {
				hash := xxhash.Sum64String(key)
				check(v.table.SetValue(one(v, key, false), []byte(value)))
				check(v.lists.Append(hash, []byte(key), []byte(value)))
				check(v.maps.Put(hash, []byte(key), []byte("sub"), []byte(value)))
			}
			migrate := func(v versioned, key, value string) {
				hash := xxhash.Sum64String(key)
				check(v.table.Migrate(one(v, key, true), []byte(value)))
				var sub []byte
				check(v.lists.Scan(hash, []byte(key), nil, func(s, _ []byte, _ uint16) bool { sub = bytes.Clone(s); return false }))
				check(v.lists.Migrate(hash, []byte(key), sub, []byte(value)))
				check(v.maps.Migrate(hash, []byte(key), []byte("sub"), []byte(value)))
			}
			want := func(v versioned, key, values string) {
				t.Helper()
				hash, got := xxhash.Sum64String(key), ""
				if e := one(v, key, true); e != state.NoEntry {
					got = fmt.Sprintf("%s@%d", v.table.Value(e), v.table.Version(e))
				}
				got += "|"
				check(v.lists.Scan(hash, []byte(key), nil, func(_, value []byte, version uint16) bool {
					got += fmt.Sprintf("%s@%d", value, version)
					return true
				}))
				got += "|"
				if value, version, err := v.maps.Get(hash, []byte(key), []byte("sub")); value != nil || err != nil {
					check(err)
					got += fmt.Sprintf("%s@%d", value, version)
				}
				if got != values {
					t.Errorf("%s is %s (expected %s)", key, got, values)
				}
			}

			v := attempt(1, 1000, 0)
			for _, key := range []string{"a", "b", "c"} {
				put(v, key, "one")
			}
			save(v)
			v = attempt(2, 1000, 100)
			want(v, "a", "one@1|one@1|one@1")
			migrate(v, "a", "two, and longer")
			put(v, "d", "two")
			want(v, "a", "two, and longer@2|two, and longer@2|two, and longer@2")
			save(v)
			v = attempt(3, 1000, 200)
			want(v, "a", "two, and longer@2|two, and longer@2|two, and longer@2")
			want(v, "b", "one@1|one@1|one@1")
			want(v, "d", "two@2|two@2|two@2")
			migrate(v, "b", "three")
			check(v.lists.Migrate(xxhash.Sum64String("a"), []byte("a"), []byte("none"), nil))
			save(v)

			v = attempt(3, 1000, 999)
			want(v, "b", "three@3|three@3|three@3")
			want(v, "c", "one@1|one@1|one@1")
			check(v.store.Close())
			v = attempt(3, 1000, 1000) // what was migrated ends with what was not; d was written later
			for _, key := range []string{"a", "b", "c"} {
				want(v, key, "||")
			}
			want(v, "d", "two@2|two@2|two@2")
			check(v.store.Close())
			v = attempt(4, 0, 500) // the state has no TTL any more: values are stored in another form
			want(v, "c", "one@1|one@1|one@1")
			want(v, "b", "three@3|three@3|three@3")
			check(v.store.Close())
		})
	}
}
