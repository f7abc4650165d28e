// Command wasmill is the whole system in one binary: it runs a job in its own process, is every role of a cluster, starts
// a cluster on this machine, and speaks to one over REST. A file is a subcommand; what the parts are made of is wired
// here by hand (embedded.go, jobmanager.go, taskmanager.go), and nothing below reads a flag or the environment.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the context, so that commands stop cleanly; a second one kills the process.
	unhook := context.AfterFunc(ctx, stop)
	a := &app{out: os.Stdout, err: os.Stderr, environ: os.Environ()}
	status := a.run(ctx, os.Args[1:])
	unhook()
	stop()
	os.Exit(status)
}
