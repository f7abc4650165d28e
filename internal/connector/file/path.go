package file

import (
	"fmt"
	"maps"
	"path/filepath"

	"github.com/wasmill/wasmill/internal/connector"
)

// At resolves the input's path.
func (s *Source) At(dir string) (map[string]string, error) { return at(opSource, s.config, dir) }

// At resolves the output's path.
func (s *Sink) At(dir string) (map[string]string, error) { return at(opSink, s.config, dir) }

func at(op string, config map[string]string, dir string) (map[string]string, error) {
	path := config["path"]
	if filepath.IsAbs(path) {
		return config, nil
	}
	if dir == "" {
		return nil, &connector.Error{
			Op: op, Err: fmt.Errorf("path: %q is relative (expected an absolute one)", path),
			Hint: "or say in the request's \"directory\" what it is relative to",
		}
	}
	located := maps.Clone(config)
	located["path"] = filepath.Join(dir, path)
	return located, nil
}
