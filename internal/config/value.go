package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Size is a number of bytes, written as 256MiB, 64KiB, 10MB or 4096.
type Size int64

// String writes the size in the largest binary unit that it is a multiple of.
func (s Size) String() string {
	units := []string{"TiB", "GiB", "MiB", "KiB"}
	for i, u := range units {
		if one := Size(1) << (10 * (len(units) - i)); s >= one && s%one == 0 {
			return fmt.Sprintf("%d%s", s/one, u)
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// parse reads text into field, a pointer to the option's type.
func parse(field any, text string) error {
	switch p := field.(type) {
	case *string:
		*p = text
	case *[]string:
		*p = nil
		for _, one := range strings.Split(text, ",") {
			if one = strings.TrimSpace(one); one != "" {
				*p = append(*p, one)
			}
		}
	case *bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("expected true or false")
		}
		*p = b
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("expected a number, for example 4")
		}
		*p = n
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("expected a duration with a unit, for example 10s, 500ms or 5m")
		}
		*p = d
	case *Size:
		n, err := humanize.ParseBytes(text)
		if err != nil || n > math.MaxInt64 {
			return fmt.Errorf("expected a size, for example 256MiB, 64KiB or 4096")
		}
		*p = Size(n)
	}
	return nil
}

// show writes what field points to as parse reads it.
func show(field any) string {
	switch p := field.(type) {
	case *string:
		return *p
	case *[]string:
		return strings.Join(*p, ",")
	case *bool:
		return strconv.FormatBool(*p)
	case *int:
		return strconv.Itoa(*p)
	case *time.Duration:
		return short(*p)
	case *Size:
		return p.String()
	}
	return ""
}

// short writes a duration without the zero parts that time.Duration ends in: 1m0s is 1m.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// set gives the option the value that text says, if its type and bounds allow it.
func (o *Option) set(c *Config, text string) error {
	field := o.field(c)
	if err := parse(field, text); err != nil {
		return fmt.Errorf("%s: %q (%w)", o.Key, text, err)
	}
	if len(o.OneOf) > 0 && !slices.Contains(o.OneOf, text) {
		return fmt.Errorf("%s: %q (expected %s)", o.Key, text, strings.Join(o.OneOf, ", "))
	}
	n := number(field)
	if (o.Min != "" && n < o.bound(o.Min)) || (o.Max != "" && n > o.bound(o.Max)) {
		return fmt.Errorf("%s: %s (expected %s)", o.Key, text, o.bounds())
	}
	return nil
}

// number returns what field points to as a number that bounds can be compared with.
func number(field any) int64 {
	switch p := field.(type) {
	case *int:
		return int64(*p)
	case *time.Duration:
		return int64(*p)
	case *Size:
		return int64(*p)
	}
	return 0
}

func (o *Option) bound(text string) int64 {
	field := o.field(new(Config))
	if err := parse(field, text); err != nil {
		panic(fmt.Sprintf("bound of option %s: %v", o.Key, err)) // a mistake in the table, met by its test
	}
	return number(field)
}

// bounds says the range of the option, as in "1 <= n <= 1024"; empty when it has none.
func (o *Option) bounds() string {
	switch {
	case o.Min != "" && o.Max != "":
		return o.Min + " <= n <= " + o.Max
	case o.Min != "":
		return "n >= " + o.Min
	case o.Max != "":
		return "n <= " + o.Max
	}
	return ""
}
