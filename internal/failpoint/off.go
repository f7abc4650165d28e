//go:build !failpoint

package failpoint

// Enabled says whether this build asks the environment.
const Enabled = false

// Hit is where the process may be broken.
func Hit(Point) {}

// FateOf is what becomes of a control request of that name.
func FateOf(string) Fate { return Sent }

// Planted says whether a step is to be left out.
func Planted(Bug) bool { return false }
