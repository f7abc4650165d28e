// Command s3server is an S3 server for tests: Versity's gateway over a directory, on a Unix socket. It is a program of its
// own, and a module of its own, since the gateway changes the working directory, can be run once a process, and brings
// some sixty modules. It ends when its standard input does, and so with the test that has started it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
)

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: s3server DIR SOCKET KEY SECRET")
		os.Exit(2)
	}
	if err := serve(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, "s3server:", err)
		os.Exit(1)
	}
}

func serve(dir, socket, key, secret string) error {
	objects, err := posix.New(dir, meta.XattrMeta{}, posix.PosixOpts{})
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return embedgw.RunVersityGW(context.Background(), objects, &embedgw.Config{
		RootUserAccess: key, RootUserSecret: secret, Ports: []string{socket}, MaxConnections: 1024, MaxRequests: 1024,
		MultipartMaxParts: 10_000, KeepAlive: true, Quiet: true,
	})
}
