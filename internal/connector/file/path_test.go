package file

import (
	"strings"
	"testing"

	"github.com/wasmill/wasmill/internal/connector"
)

func TestPathsAreLocated(t *testing.T) {
	tests := []struct{ path, dir, want string }{
		{"/in/*.txt", "", "/in/*.txt"},
		{"/in/*.txt", "/home", "/in/*.txt"},
		{"in/*.txt", "/home", "/home/in/*.txt"},
		{"../out", "/home/me", "/home/out"},
		{"out", "", `file sink: path: "out" is relative (expected an absolute one)`},
	}
	for _, tt := range tests {
		sink, err := NewSink(map[string]string{"path": tt.path, "columns": "key"})
		if err != nil {
			t.Fatal(err)
		}
		config, err := sink.(connector.Located).At(tt.dir)
		if err != nil {
			if err.Error() != tt.want {
				t.Errorf("%s at %q: %v", tt.path, tt.dir, err)
			}
			continue
		}
		if config["path"] != tt.want || config["columns"] != "key" {
			t.Errorf("%s at %q: %v, want %s", tt.path, tt.dir, config, tt.want)
		}
	}
	src, err := NewSource(map[string]string{"path": "in"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := src.(connector.Located).At(""); err == nil || !strings.HasPrefix(err.Error(), "file source: path: ") {
		t.Errorf("a relative input: %v", err)
	}
}
