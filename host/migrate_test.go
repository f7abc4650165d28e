package host

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/abi"
)

// started starts a guest of another package's.
func started(t *testing.T, path string) *Instance {
	t.Helper()
	wasm, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found, err := engine(t).Inspect(context.Background(), wasm, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := engine(t).Load(context.Background(), found.MeteredID, func(context.Context) ([]byte, error) { return found.Metered, nil })
	if err != nil {
		t.Fatal(err)
	}
	i, err := m.Instantiate(context.Background(), InstanceConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.Close(context.Background()) })
	return i
}

func TestMigrate(t *testing.T) {
	i := started(t, "../abi/conformance/testdata/c-process.wasm")
	f := slices.IndexFunc(i.Manifest().Functions, func(f abi.Function) bool { return f.Name == "moved" })
	total, names := uint32(f)<<16, uint32(f)<<16|1
	of := func(columns abi.Columns, values ...string) *abi.Builder {
		b := abi.NewBuilder(columns)
		for _, v := range values {
			b.Append(abi.Record{Key: []byte("k" + v), Value: []byte(v)})
		}
		return b
	}
	out, err := i.Migrate(total, 1, of(abi.ColumnValues, "1685", "gone", "7"))
	if err != nil {
		t.Fatal(err)
	}
	if out.N != 3 || binary.LittleEndian.Uint64(out.Value(0)) != 1685 || out.ValueNulls[0] != 2 || binary.LittleEndian.Uint64(out.Value(2)) != 7 {
		t.Errorf("%+v", out)
	}
	if out, err = i.Migrate(names, 2, of(abi.ColumnKeys|abi.ColumnValues, "a", "b")); err != nil || string(out.Value(1)) != "b!" || string(out.Key(1)) != "kb" {
		t.Errorf("%+v, %v", out, err)
	}
	var e *Error
	if _, err = i.Migrate(total, 1, of(abi.ColumnValues, "7", "whale")); !errors.As(err, &e) || e.Kind != KindFailed || e.Record != 1 || e.Step != "migrate" {
		t.Errorf("an element that it refuses: %v", err)
	}
	if _, err = i.Migrate(total, 1, of(abi.ColumnValues, "8")); err != nil {
		t.Errorf("after that: %v", err)
	}
	if _, err = i.Migrate(99<<16, 1, of(abi.ColumnValues, "8")); !errors.As(err, &e) || e.Kind != KindRefused {
		t.Errorf("of a function that there is not: %v", err)
	}
}

// What a guest answers is held against what it was asked.
func TestMigratedElementsAreChecked(t *testing.T) {
	in := abi.NewBuilder(abi.ColumnKeys | abi.ColumnValues)
	in.Append(abi.Record{Key: []byte("k"), Value: []byte("v")})
	encoded := func(columns abi.Columns, all ...abi.Record) []byte {
		b := abi.NewBuilder(columns)
		for _, r := range all {
			b.Append(r)
		}
		return b.Encode(abi.AlignedBytes(b.Size()))
	}
	good := abi.Record{Key: []byte("k"), Value: []byte("w")}
	for _, c := range []struct {
		name  string
		reply []byte
		want  string
	}{
		{"right", encoded(abi.ColumnKeys|abi.ColumnValues, good), ""},
		{"none", nil, "batch: 0 bytes"},
		{"two for one", encoded(abi.ColumnKeys|abi.ColumnValues, good, good), "2 elements (expected 1)"},
		{"without values", encoded(abi.ColumnKeys, good), "without values"},
		{"without keys", encoded(abi.ColumnValues, good), "without keys"},
		{"another key", encoded(abi.ColumnKeys|abi.ColumnValues, abi.Record{Key: []byte("x")}), "element 0: another key"},
		{"too large", encoded(abi.ColumnKeys|abi.ColumnValues, abi.Record{Key: []byte("k"), Value: make([]byte, abi.MaxRecordBytes+1)}), "element 0: 16777217 bytes"},
	} {
		err := checkMigrated(new(abi.Batch), c.reply, in)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v (expected %q)", c.name, err, c.want)
		}
	}
}
