package c_test

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// The header compiled for this machine reads and writes the golden encodings of the ABI.
func TestGoldenEncodings(t *testing.T) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler")
	}
	program := filepath.Join(t.TempDir(), "golden")
	build := exec.Command(cc, "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-o", program, "testdata/golden.c")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := exec.Command(program, "../../abi/testdata").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
