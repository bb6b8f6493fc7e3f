// Command mutants shows that the tests have teeth. Each patch in this folder breaks one rule of the protocols on which
// Roster's promises stand, as a programmer might; the tests that its header names must fail on it, and do not fail
// without it. The patched files replace the real ones only in the eyes of the compiler (`go build -overlay`), so no
// switch for a mistake is part of what is shipped.
//
// A header says what is broken, and then which tests find it, as arguments of `go test`:
//
//	The seat is freed before the member is removed.
//	Found by: ./services/membership -run TestRemoveMember
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// mutants is how many there are: none gets lost.
const mutants = 15

// limit is how long the tests of one mutant may take.
const limit = 10 * time.Minute

func main() {
	check := flag.Bool("check", false, "only see that every patch applies and compiles")
	only := flag.String("only", "", "regular expression of the mutants to run")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *check, *only); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, check bool, only string) error {
	chosen, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	root, err := exec.CommandContext(ctx, "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		return fmt.Errorf("find the repository: %w", err)
	}
	r := runner{root: strings.TrimSpace(string(root))}
	files, err := filepath.Glob(filepath.Join(r.root, "services/mutants/*.patch"))
	if err != nil {
		return err
	}
	escaped := 0
	for _, file := range files {
		m, err := read(file)
		if err != nil {
			return err
		}
		if !chosen.MatchString(m.name) {
			continue
		}
		begin := time.Now()
		verdict, err := r.try(ctx, m, check)
		if err != nil {
			verdict = err.Error()
			escaped++
		}
		fmt.Printf("%-28s %6s  %s\n", m.name, time.Since(begin).Round(time.Second), verdict)
	}
	if only == "" && len(files) != mutants {
		return fmt.Errorf("there are %d patches, not %d", len(files), mutants)
	}
	if escaped > 0 {
		return fmt.Errorf("%d of the mutants are not caught", escaped)
	}
	return nil
}

// mutant is one patch.
type mutant struct {
	name, file string
	tests      []string // arguments of `go test`
	changes    []string // files, from the root
}

// read reads a patch and its header.
func read(file string) (m mutant, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return m, err
	}
	m.name, m.file = strings.TrimSuffix(filepath.Base(file), ".patch"), file
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		if tests, ok := strings.CutPrefix(lines.Text(), "Found by: "); ok {
			m.tests = strings.Fields(tests)
		}
		if changed, ok := strings.CutPrefix(lines.Text(), "+++ b/"); ok {
			m.changes = append(m.changes, changed)
		}
	}
	if len(m.tests) == 0 || len(m.changes) == 0 {
		return m, fmt.Errorf("%s names no tests, or changes nothing", filepath.Base(file))
	}
	return m, lines.Err()
}

type runner struct {
	root   string
	passed []string // tests that pass without any patch
}

// try runs a mutant's tests with and without it. The error says that it was not caught, or could not be tried.
func (r *runner) try(ctx context.Context, m mutant, check bool) (verdict string, err error) {
	dir, err := os.MkdirTemp("", "roster-mutant-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	overlay, err := r.overlay(ctx, m, dir)
	if err != nil {
		return "", err
	}
	if said, err := r.test(ctx, overlay, append(slices.Clone(m.tests), "-run", "^$")).CombinedOutput(); err != nil {
		return "", fmt.Errorf("does not compile: %s", bytes.TrimSpace(said))
	}
	if check {
		return "applies", nil
	}
	if without := strings.Join(m.tests, " "); !slices.Contains(r.passed, without) {
		said, err := r.test(ctx, "", m.tests).CombinedOutput()
		if err != nil || bytes.Contains(said, []byte("[no tests to run]")) {
			return "", fmt.Errorf("its tests do not pass without it: %s", bytes.TrimSpace(said))
		}
		r.passed = append(r.passed, without)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	said, err := r.test(ctx, overlay, append([]string{"-json", "-count=1"}, m.tests...)).Output()
	if ctx.Err() != nil {
		return "", fmt.Errorf("its tests did not end within %v", limit)
	}
	if err == nil {
		return "", fmt.Errorf("ESCAPED: go test %s passes", strings.Join(m.tests, " "))
	}
	failed := failures(said)
	if len(failed) == 0 {
		return "", fmt.Errorf("go test failed, but no test did: %s", said[max(0, len(said)-2000):])
	}
	return "caught by " + strings.Join(failed[:min(3, len(failed))], ", "), nil
}

// overlay patches copies of the files and writes what the compiler has to know of them.
func (r *runner) overlay(ctx context.Context, m mutant, dir string) (file string, err error) {
	replace := make(map[string]string)
	for _, changed := range m.changes {
		original, patched := filepath.Join(r.root, changed), filepath.Join(dir, changed)
		text, err := os.ReadFile(original)
		if err != nil {
			return "", err
		}
		if err := os.MkdirAll(filepath.Dir(patched), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(patched, text, 0o600); err != nil {
			return "", err
		}
		replace[original] = patched
	}
	apply := exec.CommandContext(ctx, "git", "apply", m.file)
	apply.Dir = dir
	apply.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir)) // it is no part of a repository
	if said, err := apply.CombinedOutput(); err != nil {
		return "", fmt.Errorf("does not apply any more: %s", bytes.TrimSpace(said))
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file = filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, text, 0o600)
}

// test is `go test`. The overlay goes by the environment, so that binaries which tests build have it too.
func (r *runner) test(ctx context.Context, overlay string, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test"}, args...)...)
	cmd.Dir = r.root
	cmd.Env = os.Environ()
	if overlay != "" {
		cmd.Env = append(cmd.Env, "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+overlay))
	}
	return cmd
}

// failures returns the names of the tests that failed, those without failed parts.
func failures(said []byte) (names []string) {
	for line := range bytes.Lines(said) {
		var event struct{ Action, Test string }
		if json.Unmarshal(line, &event) != nil || event.Action != "fail" || event.Test == "" {
			continue
		}
		if !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(name, event.Test+"/") }) {
			names = append(names, event.Test)
		}
	}
	return names
}
