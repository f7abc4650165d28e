package taskmanager

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
	"github.com/wasmill/wasmill/host"
	"github.com/wasmill/wasmill/internal/wire"
)

// migratingStep is a process step whose guest is a fake.
func migratingStep(m *fakeModule) (*processStep, *guest) {
	g := &guest{ctx: context.Background(), start: func(context.Context) (sandbox, error) { return m.start(), nil }}
	h := &handle{guest: g, names: "count", functions: abi.Handle{Functions: []abi.HandleFunction{{Function: 2}}}}
	return &processStep{name: "count", handle: h}, g
}

func elements(values ...string) *abi.Builder {
	b := abi.NewBuilder(abi.ColumnValues)
	for _, v := range values {
		b.Append(abi.Record{Value: []byte(v)})
	}
	return b
}

func named(record uint32) string {
	if record == 1 {
		return `state "total" of key "whale", version 1`
	}
	return `state "total", version 1`
}

// The instance that migrates is another than the task's, is given up when there is nothing to migrate for long, and ends
// with the task's.
func TestMigrationsHaveAnInstanceOfTheirOwn(t *testing.T) {
	m := &fakeModule{}
	s, g := migratingStep(m)
	if err := g.open(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := s.Migrate(0, 1, elements("1"), named); err != nil {
			t.Fatal(err)
		}
	}
	if n := m.instances.Load(); n != 2 || g.aside == g.box {
		t.Errorf("%d instances (expected one of the task's and one that migrates)", n)
	}
	for range asideBatches {
		g.rest()
	}
	if g.aside == nil {
		t.Error("the instance was given up early")
	}
	if g.rest(); g.aside != nil {
		t.Error("the instance that migrates stays for ever")
	}
	if g.box == nil {
		t.Error("the task's own was given up")
	}
	if _, err := s.Migrate(0, 1, elements("1"), named); err != nil || m.instances.Load() != 3 {
		t.Errorf("after that: %v, %d instances", err, m.instances.Load())
	}
	aside := g.aside.(*fakeBox)
	g.cancel()
	if _, err := s.Migrate(0, 1, elements("1"), named); err == nil || guestKind(err.(*host.Error).Kind) != wire.KindCanceled {
		t.Errorf("canceled: %v", err)
	}
	select {
	case <-aside.canceled:
	default:
		t.Error("the instance that migrates was not canceled")
	}
	if g.close(); g.aside != nil || g.box != nil {
		t.Error("instances are left")
	}
}

func TestFailedMigrationsSayWhatOf(t *testing.T) {
	for _, c := range []struct {
		name      string
		died      host.Error
		kind      host.Kind
		want      string
		instances int32 // that two migrations take
	}{
		{"it fails", host.Error{Kind: host.KindFailed, Message: "no number", Record: 1}, host.KindMigration, `state "total" of key "whale", version 1: no number`, 1},
		{"it traps", host.Error{Kind: host.KindTrap, Message: "unreachable", Record: abi.None}, host.KindMigration, `state "total", version 1: trap: unreachable`, 2},
		{"it spins", host.Error{Kind: host.KindTimeLimit, Message: "it took too long", Record: abi.None}, host.KindTimeLimit, `state "total", version 1: time limit: it took too long`, 2},
	} {
		died := c.died
		m := &fakeModule{migrate: func(*abi.Builder) *host.Error { return &died }}
		s, _ := migratingStep(m)
		for range 2 {
			_, err := s.Migrate(0, 1, elements("1", "x"), named)
			var e *host.Error
			if !errors.As(err, &e) || e.Kind != c.kind || e.Message != c.want || e.Record != abi.None {
				t.Errorf("%s: %v (expected %s: %s)", c.name, err, c.kind, c.want)
			}
		}
		if n := m.instances.Load(); n != c.instances {
			t.Errorf("%s: %d instances (expected %d)", c.name, n, c.instances)
		}
	}
	g := &guest{start: func(context.Context) (sandbox, error) { return nil, refuse(wire.KindIO, "nobody has it") }}
	s := &processStep{handle: &handle{guest: g, functions: abi.Handle{Functions: make([]abi.HandleFunction, 1)}}}
	var f *wire.Failure
	if _, err := s.Migrate(0, 1, elements("1"), named); !errors.As(err, &f) || f.Kind != wire.KindIO || !strings.Contains(f.Message, "nobody has it") {
		t.Errorf("no instance to be had: %v", err)
	}
}
