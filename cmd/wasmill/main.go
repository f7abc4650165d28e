// Command wasmill is the whole system in one binary: it runs a job in its own process, is every role of a cluster, starts
// a cluster on this machine, and speaks to one over REST. A file is a subcommand; what the parts are made of is wired
// here by hand (embedded.go, jobmanager.go, taskmanager.go), and nothing below reads a flag or the environment.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// repeatedSignal is how long after the first signal further ones still mean the same.
const repeatedSignal = 500 * time.Millisecond

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), endings()...)
	// The first signal ends the context, so that commands stop cleanly. A later one kills the process: but not one that
	// comes with the first, as when a shell signals a process and its group.
	unhook := context.AfterFunc(ctx, func() { time.AfterFunc(repeatedSignal, stop) })
	a := &app{out: &answerWriter{Writer: os.Stdout}, err: os.Stderr, environ: os.Environ()}
	status := a.run(ctx, os.Args[1:])
	unhook()
	stop()
	os.Exit(status)
}

// endings are the signals that end a command cleanly. A terminal that is closed is one, unless nohup has it ignored.
func endings() []os.Signal {
	all := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		all = append(all, syscall.SIGHUP)
	}
	return all
}
