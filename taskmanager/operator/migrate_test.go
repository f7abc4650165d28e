package operator

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/taskmanager/state"
)

// migrating is a guest whose elements are texts that say their version: "x@1" becomes "x@3". It drops "gone@1" and refuses
// "bad@1".
type migrating struct {
	do       func(key string, n uint32, o *Overlay) error // for each group
	asked    []string                                     // a line for each migration
	prefetch map[string]string
}

func (m *migrating) Migrate(state int, from uint16, in *abi.Builder, name func(uint32) string) (*abi.Batch, error) {
	var was abi.Batch
	in.View(&was)
	columns := abi.ColumnValues
	if was.KeyOffs != nil {
		columns |= abi.ColumnKeys
	}
	out, nulls, line := abi.NewBuilder(columns), make([]byte, (was.N+7)/8), fmt.Sprintf("%d from %d:", state, from)
	for i := range was.N {
		text, version, _ := strings.Cut(string(was.Value(i)), "@")
		line += " " + text
		r := abi.Record{Value: []byte(text + "@3")}
		if was.KeyOffs != nil {
			r.Key = was.Key(i)
		}
		switch {
		case version != fmt.Sprint(from):
			return nil, fmt.Errorf("%s@%s was said to be of version %d", text, version, from)
		case text == "bad":
			return nil, errors.New(name(uint32(i)) + ": " + name(abi.None))
		case text == "gone":
			nulls[i/8] |= 1 << (i % 8)
		}
		out.Append(r)
	}
	m.asked = append(m.asked, line)
	var made abi.Batch
	out.View(&made)
	made.ValueNulls = nulls
	return &made, nil
}

func (m *migrating) Call(_ abi.Verb, g *abi.GroupsWriter, o *Overlay) (_ []byte, err error) {
	each(g.Bytes(), func(i int, g abi.Group, _, values [][]byte) {
		value := "" // of the state; the record's is empty, and comes last
		if len(values) > 1 {
			value = string(values[0])
		}
		m.prefetch[string(g.Key)] = value
		if m.do != nil && err == nil {
			err = m.do(string(g.Key), uint32(i), o)
		}
	})
	return nil, err
}

func (m *migrating) Emit(abi.ChangeKind) error { return nil }

// Retry makes each unit's call alone, and leaves out what fails.
func (m *migrating) Retry(_ error, n int, call func(lo, hi int) error, _ func(int) Unit) error {
	for i := range n {
		if err := call(i, i+1); err != nil {
			m.asked = append(m.asked, "error: "+err.Error())
		}
	}
	return nil
}

// moved is the function of the tests, of a schema version.
func moved(version int) *abi.Function {
	of := func(name, kind string) abi.State {
		s := abi.State{Name: name, Scope: "keyed", Kind: kind, Codec: abi.CodecUTF8, Version: version, TTL: 1000, Migrates: true}
		if kind == "map" {
			s.Key = abi.CodecUTF8
		}
		return s
	}
	return &abi.Function{States: []abi.State{of("value", "value"), of("list", "list"), of("map", "map")}}
}

// run makes a call for keys.
func (m *migrating) run(t *testing.T, p *Process, keys ...string) {
	t.Helper()
	m.asked, m.prefetch = nil, map[string]string{}
	w := abi.NewBuilder(abi.ColumnKeys | abi.ColumnValues)
	var hashes []uint64
	for _, k := range keys {
		w.Append(abi.Record{Key: []byte(k)})
		hashes = append(hashes, xxhash.Sum64String(k))
	}
	var b abi.Batch
	w.View(&b)
	if err := p.Process(&b, hashes, 0); err != nil {
		t.Fatal(err)
	}
}

func (m *migrating) want(t *testing.T, what string, lines ...string) {
	t.Helper()
	if !reflect.DeepEqual(m.asked, lines) && len(m.asked)+len(lines) > 0 {
		t.Errorf("%s: asked %q (expected %q)", what, m.asked, lines)
	}
}

// stored is a store with elements that functions of versions 1 and 2 have stored: each writes "text@version" as its state
// is written in.
func stored(t *testing.T, write map[int]func(p *Process)) state.Store {
	t.Helper()
	store := state.NewMemory()
	store.SetTime(100)
	for version := 1; version <= 3; version++ {
		if f := write[version]; f != nil {
			p, err := NewProcess(ProcessConfig{UID: "u", Key: abi.CodecUTF8, Function: moved(version), Store: store, Calls: &migrating{}})
			if err != nil {
				t.Fatal(err)
			}
			f(p)
		}
	}
	return store
}

func open(t *testing.T, store state.Store, m *migrating) *Process {
	t.Helper()
	p, err := NewProcess(ProcessConfig{UID: "u", Key: abi.CodecUTF8, Function: moved(3), Store: store, Calls: m})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Values of all keys of a call that have one version are one migration; what it makes is stored, in its version, and ends
// when the old value would have.
func TestOldValuesAreMigratedTogether(t *testing.T) {
	put := func(version int, keys ...string) func(*Process) {
		return func(p *Process) {
			for _, k := range keys {
				check(t, p.put(&p.states[0], []byte(k), xxhash.Sum64String(k), []byte(fmt.Sprintf("%s@%d", k, version))))
			}
		}
	}
	store := stored(t, map[int]func(*Process){1: put(1, "a", "gone", "b", "untouched"), 2: put(2, "c", "d"), 3: put(3, "e")})
	m := &migrating{}
	p := open(t, store, m)
	store.SetTime(500)
	m.run(t, p, "a", "c", "gone", "none", "b", "e")
	m.want(t, "first", "0 from 1: a gone b", "0 from 2: c")
	if got, want := m.prefetch, map[string]string{"a": "a@3", "b": "b@3", "c": "c@3", "e": "e@3", "gone": "", "none": ""}; !reflect.DeepEqual(got, want) {
		t.Errorf("the guest was given %q (expected %q)", got, want)
	}
	m.run(t, p, "a", "c", "gone", "d")
	m.want(t, "second", "0 from 2: d")
	frozen, err := store.Freeze()
	check(t, err)
	frozen.Release()
	store.SetTime(1100) // 1,000 behind the first write
	m.run(t, p, "a", "d", "untouched")
	m.want(t, "expired")
	if got, want := m.prefetch, map[string]string{"a": "", "d": "", "untouched": ""}; !reflect.DeepEqual(got, want) {
		t.Errorf("after the time that they had: %q", got)
	}
}

func TestOldElementsAreMigratedWhenTheyAreRead(t *testing.T) {
	fill := func(version int) func(*Process) {
		return func(p *Process) {
			for _, k := range []string{"a", "b"} {
				hash := xxhash.Sum64String(k)
				for _, v := range []string{"x", "gone", "y"} {
					if v != "gone" || version == 1 {
						check(t, p.states[1].sorted.Append(hash, []byte(k), []byte(fmt.Sprintf("%s@%d", v, version))))
						check(t, p.states[2].sorted.Put(hash, []byte(k), []byte(fmt.Sprint(v, version)), []byte(fmt.Sprintf("%s@%d", v, version))))
					}
				}
			}
		}
	}
	store := stored(t, map[int]func(*Process){1: fill(1), 2: fill(2)})
	m := &migrating{}
	p := open(t, store, m)
	scan := func(o *Overlay, n uint32, s uint16, want string) error {
		var got []string
		for cursor := uint64(0); ; {
			a, err := o.Read(abi.StateScan, []abi.StateRequest{{Group: n, State: s, Limit: 2, Cursor: cursor}}, nil)
			if err != nil {
				return err
			}
			for i, v := range a[0].Values {
				line := string(v)
				if s == 2 {
					line = string(a[0].Keys[i]) + "=" + line
				}
				got = append(got, line)
			}
			if !a[0].More {
				break
			}
			cursor = a[0].Cursor
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("state %d of group %d is %q (expected %q)", s, n, text, want)
		}
		return nil
	}
	m.do = func(key string, n uint32, o *Overlay) error { return scan(o, n, 1, "x@3 y@3 x@3 y@3") }
	m.run(t, p, "a", "b")
	m.want(t, "lists", "1 from 1: x gone y x gone y", "1 from 2: x y", "1 from 2: x", "1 from 2: y")
	m.run(t, p, "a", "b")
	m.want(t, "lists again")

	get := func(o *Overlay, n uint32, sub string) string {
		a, err := o.Read(abi.StateGet, []abi.StateRequest{{Group: n, State: 2, Key: []byte(sub)}, {Group: n, State: 2, Key: []byte("y2")}}, nil)
		check(t, err)
		if len(a[0].Values) == 0 {
			return ""
		}
		return string(a[0].Values[0])
	}
	m.do = func(key string, n uint32, o *Overlay) error {
		check(t, o.Write(abi.StatePut, []abi.StateRequest{{Group: n, State: 2, Key: []byte("y1"), Value: []byte("new@3")}}))
		for sub, want := range map[string]string{"x1": "x@3", "gone1": "", "y1": "new@3"} {
			if got := get(o, n, sub); got != want {
				t.Errorf("%s is %q (expected %q)", sub, got, want)
			}
		}
		return scan(o, n, 2, "x1=x@3 x2=x@3 y1=new@3 y2=y@3")
	}
	m.run(t, p, "a") // nothing of b is looked at, and y1 was overwritten before anybody saw it
	for _, line := range m.asked {
		if strings.Contains(line, "from 1") && strings.Contains(line, "y") {
			t.Errorf("what is overwritten is migrated: %q", m.asked)
		}
	}
	store.SetTime(1099)
	m.do = func(key string, n uint32, o *Overlay) error { return scan(o, n, 1, "x@3 y@3 x@3 y@3") }
	m.run(t, p, "a")
	store.SetTime(1100)
	m.do = func(key string, n uint32, o *Overlay) error { return scan(o, n, 1, "") }
	m.run(t, p, "a", "b")
	m.want(t, "expired")
}

// An element that cannot be migrated is the fault of the records that need it.
func TestElementsThatCannotBeMigrated(t *testing.T) {
	value := func(k, v string) func(*Process) {
		return func(p *Process) {
			check(t, p.put(&p.states[0], []byte(k), xxhash.Sum64String(k), []byte(v)))
			check(t, p.put(&p.states[0], []byte("good"), xxhash.Sum64String("good"), []byte("fine@1")))
			check(t, p.states[2].sorted.Put(xxhash.Sum64String(k), []byte(k), []byte("sub"), []byte("bad@1")))
			check(t, p.states[2].sorted.Put(xxhash.Sum64String("good"), []byte("good"), []byte("sub"), []byte("fine@1")))
		}
	}
	m := &migrating{}
	p := open(t, stored(t, map[int]func(*Process){1: value("k", "bad@1")}), m)
	m.run(t, p, "good", "k", "other")
	m.want(t, "value", "0 from 1: fine", `error: state "value" of key "k", version 1: state "value" of key "k", version 1`)
	if got := m.prefetch; !reflect.DeepEqual(got, map[string]string{"good": "fine@3", "other": ""}) {
		t.Errorf("the guest was given %q", got)
	}

	// Of another key's map it is no matter, and is not asked for again.
	p = open(t, stored(t, map[int]func(*Process){1: value("k", "fine@1")}), m)
	m.do = func(key string, n uint32, o *Overlay) error {
		if key != "good" {
			return nil
		}
		_, err := o.Read(abi.StateGet, []abi.StateRequest{{Group: n, State: 2, Key: []byte("sub")}}, nil)
		return err
	}
	m.run(t, p, "k", "good")
	m.want(t, "map of another key", "0 from 1: fine fine", "2 from 1: fine")
	m.do = func(_ string, n uint32, o *Overlay) error {
		_, err := o.Read(abi.StateGet, []abi.StateRequest{{Group: n, State: 2, Key: []byte("sub")}}, nil)
		return err
	}
	m.run(t, p, "good", "k")
	m.want(t, "map", `error: state "map" of key "k", entry "sub", version 1: state "map" of key "k", entry "sub", version 1`)
}
