package c_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/wasmill/wasmill/host"
)

var snippet = regexp.MustCompile("(?ms)^```c\n(.*?)^```$")

// snippetTools are what snippets are compiled and taken with. The engine ends with the test.
func snippetTools(t *testing.T) (clang string, engine *host.Engine) {
	t.Helper()
	clang = cmp.Or(os.Getenv("CLANG"), "clang-19")
	if _, err := exec.LookPath(clang); err != nil {
		t.Skipf("%s is not installed", clang)
	}
	engine, err := host.NewEngine(t.Context(), host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close(context.Background()) })
	return clang, engine
}

// Each snippet of the documentation in C is a whole job: it compiles without a warning, and is taken when it is uploaded and submitted.
func TestSnippetsAreJobs(t *testing.T) {
	clang, engine := snippetTools(t)
	seen := 0
	for _, pattern := range []string{"../../README.md", "../../docs/*.md", "../*.md", "../c/*.md", "../../abi/*.md", "../../examples/*.md"} {
		pages, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range pages {
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range snippet.FindAllSubmatchIndex(text, -1) {
				seen++
				line := 1 + strings.Count(string(text[:at[2]]), "\n")
				if problem := tryJob(t, engine, clang, string(text[at[2]:at[3]])); problem != nil {
					t.Errorf("%s, snippet at line %d: %v", filepath.Base(page), line, problem)
				}
			}
		}
	}
	if seen == 0 {
		t.Error("no snippet was found")
	}
}

// What is wrong in a snippet is told.
func TestWrongSnippetsAreFound(t *testing.T) {
	clang, engine := snippetTools(t)
	job := func(body string) string { return "#include \"wasmill.h\"\nWASMILL_JOB(\"x\") {\n" + body + "\n}\n" }
	for text, want := range map[string]string{
		job(`wasmill_sink_to(wasmill_source(job, wasmill_files("x")), wasmill_print());`):                               "",
		job(`wasmill_sink_to(wasmill_source(job, wasmill_files("x")), wasmill_nowhere());`):                             "wasmill_nowhere",
		job(`wasmill_sink_to(wasmill_source(job, wasmill_files(5)), wasmill_print());`):                                 "incompatible integer to pointer",
		job(`wasmill_stream unused = wasmill_source(job, wasmill_files("x"));`):                                         "unused variable",
		job(`wasmill_sink_to(wasmill_first_of_all(wasmill_source(job, wasmill_files("x")), "f", 3), wasmill_print());`): "has no uid",
		job(`(void)job;`): "operators: empty",
	} {
		if got := tryJob(t, engine, clang, text); (got == nil) != (want == "") || got != nil && !strings.Contains(got.Error(), want) {
			t.Errorf("%s: %v (expected %q)", text, got, want)
		}
	}
}

// tryJob compiles a job and does with it what an upload and a submission do.
func tryJob(t *testing.T, engine *host.Engine, clang, text string) error {
	module, err := compile(t, clang, text)
	if err != nil {
		return err
	}
	return submit(t.Context(), engine, module)
}

func compile(t *testing.T, clang, text string) (module string, err error) {
	dir := t.TempDir()
	source := filepath.Join(dir, "job.c")
	module = filepath.Join(dir, "job.wasm")
	if err := os.WriteFile(source, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), clang, "--target=wasm32-unknown-unknown", "-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-ffreestanding",
		"-nostdlib", "-Wl,--no-entry,--strip-debug", "-I.", "-o", module, source)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return module, nil
}
