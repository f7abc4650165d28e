package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

// EnvPrefix begins the name of every environment variable that sets an option.
const EnvPrefix = "WASMILL_"

// EnvFile is the environment variable that names the configuration file.
const EnvFile = EnvPrefix + "CONFIG"

// Sources is where values come from, the later winning.
type Sources struct {
	File  string            // YAML; empty: none
	Env   []string          // NAME=value, as os.Environ; names that do not begin with EnvPrefix are not looked at
	Flags map[string]string // value by key, of the flags that were given
}

// EnvName is the environment variable that sets the option.
func (o *Option) EnvName() string {
	return EnvPrefix + strings.NewReplacer(".", "_", "-", "_").Replace(strings.ToUpper(o.Key))
}

// Load reads all sources over the defaults.
func Load(s Sources) (*Config, error) {
	c := &Config{origins: map[string]string{}}
	for i := range Options {
		if err := c.put(Options[i].Key, Options[i].Default, ""); err != nil {
			return nil, fmt.Errorf("default of %w", err)
		}
	}
	if s.File != "" {
		if err := c.loadFile(s.File); err != nil {
			return nil, err
		}
	}
	if err := c.loadEnv(s.Env); err != nil {
		return nil, err
	}
	return c, c.loadFlags(s.Flags)
}

func (c *Config) loadFile(path string) error {
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		return fmt.Errorf("read configuration %s: %w", path, err)
	}
	for _, key := range k.Keys() {
		if Find(key) == nil {
			return unknown(path, key)
		}
		if !k.Exists(key) || k.Get(key) == nil {
			return fmt.Errorf("%s: %s has no value", path, key)
		}
		if err := c.put(key, text(k.Get(key)), "file "+path); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// text is a value of a file as parse reads it.
func text(value any) string {
	all, list := value.([]any)
	if !list {
		return fmt.Sprint(value)
	}
	var parts []string
	for _, one := range all {
		parts = append(parts, fmt.Sprint(one))
	}
	return strings.Join(parts, ",")
}

func (c *Config) loadEnv(environ []string) error {
	keys := map[string]string{EnvFile: ""} // key by name of the variable
	for i := range Options {
		keys[Options[i].EnvName()] = Options[i].Key
	}
	var unknownName string
	k := koanf.New(".")
	err := k.Load(env.Provider(".", env.Opt{
		Prefix:      EnvPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			key, known := keys[name]
			if !known {
				unknownName = name
			}
			return key, value
		},
	}), nil)
	if err != nil {
		return fmt.Errorf("read environment: %w", err)
	}
	if unknownName != "" {
		return fmt.Errorf("environment: unknown option %s (nearest: %s)", unknownName, Nearest(unknownName, slices.Sorted(maps.Keys(keys))))
	}
	for _, key := range k.Keys() {
		name := Find(key).EnvName()
		if err := c.put(key, k.String(key), "environment "+name); err != nil {
			return fmt.Errorf("environment %s: %w", name, err)
		}
	}
	return nil
}

func (c *Config) loadFlags(flags map[string]string) error {
	values := map[string]any{}
	for key, text := range flags {
		values[key] = text
	}
	k := koanf.New(".")
	if err := k.Load(confmap.Provider(values, "."), nil); err != nil {
		return fmt.Errorf("read flags: %w", err)
	}
	for _, key := range k.Keys() {
		if err := c.put(key, k.String(key), "flag"); err != nil {
			return err
		}
	}
	return nil
}

// put sets an option that is known and remembers where its value came from.
func (c *Config) put(key, text, origin string) error {
	o := Find(key)
	if o == nil {
		return unknown("options", key)
	}
	if text == "" && o.Default == "" {
		switch o.field(c).(type) {
		case *string, *[]string:
		default:
			return fmt.Errorf("%s has no value", key)
		}
	}
	if origin != "" {
		c.origins[key] = origin
	}
	return o.set(c, text)
}

func unknown(where, key string) error {
	keys := make([]string, len(Options))
	for i := range Options {
		keys[i] = Options[i].Key
	}
	return fmt.Errorf("%s: unknown option %q (nearest: %s)", where, key, Nearest(key, keys))
}

// Value returns the option's value in force, as text, and where it came from.
func (c *Config) Value(o *Option) (text, origin string) {
	origin = c.origins[o.Key]
	if origin == "" {
		origin = "default"
	}
	return show(o.field(c)), origin
}
