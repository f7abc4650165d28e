package file

import "github.com/wasmill/wasmill/internal/connector"

// At resolves the input's path.
func (s *Source) At(dir string) (map[string]string, error) {
	return connector.At(opSource, s.config, dir)
}

// At resolves the output's path.
func (s *Sink) At(dir string) (map[string]string, error) { return connector.At(opSink, s.config, dir) }
