package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasmill/wasmill/test/harness"
)

// An upload that ends early is refused by that name, and leaves neither a module nor a temporary file.
func TestAnUploadCutOffHalfWayLeavesNothing(t *testing.T) {
	cluster := built.wasmill.Cluster(t, "--taskmanagers", "1")
	module, err := os.ReadFile(guests(t)["c"])
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(cluster.URL)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(harness.Stretched(20 * time.Second)))
	fmt.Fprintf(conn, "POST /v1/modules HTTP/1.1\r\nHost: %s\r\nContent-Type: application/wasm\r\nContent-Length: %d\r\n\r\n", u.Host, len(module))
	if _, err := conn.Write(module[:len(module)/2]); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), `"kind":"incomplete"`) {
		t.Errorf("answered %s: %s", resp.Status, body)
	}
	nothingKept(t, cluster)
}

// nothingKept fails the test if the JobManager holds a module or a part of one.
func nothingKept(t *testing.T, cluster *harness.Cluster) {
	t.Helper()
	modules, err := cluster.ListModules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(modules) != 0 {
		t.Errorf("modules are kept: %+v", modules)
	}
	entries, err := os.ReadDir(filepath.Join(cluster.Dir, "jobmanager", "modules"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("%s is left", e.Name())
	}
}

// A full disk refuses the upload and nothing else: the JobManager goes on, and takes the module when there is room.
func TestAFullDiskRefusesTheUploadOnly(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	dir := t.TempDir()
	modules := filepath.Join(dir, "jobmanager", "modules")
	if err := os.MkdirAll(modules, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", modules).CombinedOutput(); err != nil {
		t.Skipf("mounting a small file system is not allowed here: %s", out)
	}
	t.Cleanup(func() { exec.Command("umount", "-l", modules).Run() })
	ballast := filepath.Join(modules, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1<<20-8<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	cluster := built.wasmill.ClusterIn(t, dir, "--taskmanagers", "1")
	args := []string{"--param", "input=" + mobyDick(t), "--param", "output=" + filepath.Join(t.TempDir(), "out")}
	r := cluster.Run(guests(t)["c"], args...)
	if r.Code != 1 || !strings.Contains(r.Stderr, "no space left") {
		t.Errorf("exit status %d (expected 1), stderr: %s", r.Code, r.Stderr)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	nothingKept(t, cluster)
	cluster.Run(guests(t)["c"], args...).OK(t)
}
