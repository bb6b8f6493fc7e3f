package devpg

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// oldest is the oldest PostgreSQL that Roster runs on.
const oldest = 15

var errMissing = errors.New("PostgreSQL 15 or newer was not found: run `make setup`, or pass --postgres DSN")

// programs must lie in one folder: initdb runs the postgres beside it. pg_ctl is not ours to run,
// but a folder without it is a collection of links and not an installation.
var programs = []string{"initdb", "pg_ctl", "postgres"}

// installed are the places where distributions keep PostgreSQL, mostly outside PATH.
var installed = []string{
	"/usr/lib/postgresql/*/bin",         // Debian
	"/usr/pgsql-*/bin",                  // Red Hat, from postgresql.org
	"/usr/libexec/postgresql*",          // Alpine
	"/opt/homebrew/opt/postgresql*/bin", // macOS on ARM
	"/usr/local/opt/postgresql*/bin",    // macOS on Intel
	"/usr/local/pgsql/bin",              // built from source
}

// installation is a folder that holds all the programs.
type installation struct {
	folder string
	major  int
}

// findBinaries returns the folder of the programs that run a cluster of this major version, or
// that make a new one when version is empty.
func findBinaries(version string) (string, error) {
	return choose(installations(), version)
}

// choose takes the first that suits: only the major version that made a cluster can run it.
func choose(installations []installation, version string) (string, error) {
	for _, i := range installations {
		if version == strconv.Itoa(i.major) || version == "" && i.major >= oldest {
			return i.folder, nil
		}
	}
	if version != "" {
		return "", fmt.Errorf("the data was made by PostgreSQL %s, which was not found: install it, or remove the data", version)
	}
	return "", errMissing
}

// installations lists what the machine has: the one on PATH, then the others, newest first.
func installations() []installation {
	var folders []string
	for _, pattern := range installed {
		found, _ := filepath.Glob(pattern) // the patterns are well formed
		folders = append(folders, found...)
	}
	others := inspect(folders...)
	slices.SortStableFunc(others, func(a, b installation) int { return b.major - a.major })
	return append(inspect(onPath()), others...)
}

// inspect keeps the folders that hold all the programs.
func inspect(folders ...string) []installation {
	var complete []installation
	for _, folder := range folders {
		if holdsAll(folder) {
			complete = append(complete, installation{folder, majorVersion(folder)})
		}
	}
	return complete
}

// onPath follows links from PATH to an installation: Debian and others link single programs.
func onPath() string {
	postgres, err := exec.LookPath("postgres")
	if err != nil {
		return ""
	}
	postgres, err = filepath.EvalSymlinks(postgres)
	if err != nil {
		return ""
	}
	return filepath.Dir(postgres)
}

func holdsAll(folder string) bool {
	if folder == "" {
		return false
	}
	for _, program := range programs {
		if _, err := exec.LookPath(filepath.Join(folder, program)); err != nil {
			return false
		}
	}
	return true
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// majorVersion asks the programs in a folder, zero when they do not run here.
func majorVersion(folder string) int {
	said, err := exec.Command(filepath.Join(folder, "postgres"), "--version").Output()
	if err != nil {
		return 0
	}
	match := versionPattern.FindSubmatch(said)
	if match == nil {
		return 0
	}
	major, _ := strconv.Atoi(string(match[1]))
	return major
}
