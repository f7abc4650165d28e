//go:build race

package operator

func init() { raceEnabled = true }
