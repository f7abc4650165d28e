//go:build race

package taskmanager

func init() { raceEnabled = true }
